"""All that differs by database, and only here: how tables are opened, merged, commented on, indexed and viewed.

Imports `catalog`, `aws` and `extract`.
"""
