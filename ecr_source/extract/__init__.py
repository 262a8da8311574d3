"""Responses become complete files of rows, and what could not be read is told beside them.

A walk goes through every scope from its listing to its last row. Rows wait in a file until their listing is complete,
so that a partial read deletes nothing. Nothing here knows dlt.

Imports `catalog` and `aws`.
"""
