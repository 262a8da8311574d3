"""The dlt edge: files become tables; load modes, cursors, state, one run, many tasks.

Imports all but `cli`. It is not called `load`, because `ecr_source.load` is the function.
"""
