"""Responses become complete files of rows: the walk over scopes, and what came of each. Nothing here knows dlt.

Imports `catalog` and `aws`.
"""
