"""The report: what the views say of everything that is loaded, as one document for a person.

A part is a list of panels (`parts/`), a panel a question with its SQL, its columns and the sentence that answers it.
`report.py` asks them all; `page.py` makes HTML of the answers, `plain.py` Markdown and JSON.
"""
