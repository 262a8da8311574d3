"""All that differs by database, and only here: how it is opened and merged into, what it can hold, views, comments.

`Warehouse` asks the questions; DuckDB, Postgres and a lake have answers of their own, and all others dlt's.

Imports `catalog`, `aws` and `extract`.
"""
