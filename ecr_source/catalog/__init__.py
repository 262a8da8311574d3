"""What there is: every table as data. Adding a table is adding an entry here and in the file of its group."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from ecr_source.catalog.repository import REPOSITORIES, REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS
from ecr_source.catalog.run import EXTRACTION_ERRORS, EXTRACTION_SCOPES
from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.errors import ConfigurationError

__all__ = ["EXTRACTION_ERRORS", "EXTRACTION_SCOPES", "GET_CALLER_IDENTITY", "RUN_TABLES", "TABLES", "select_tables"]

TABLES: list[Table] = [REPOSITORIES, REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS]
"""The tables that the API fills, in the order in which they are shown."""

RUN_TABLES: list[RunTable] = [EXTRACTION_SCOPES, EXTRACTION_ERRORS]
"""The tables that the run fills."""

GET_CALLER_IDENTITY = Operation("sts", "GetCallerIdentity")
"""Tells which account the credentials belong to. Needs no permission."""


def select_tables(names: Sequence[str]) -> list[Table]:
    """The tables of these names; all, if none is named.

    Raises:
        ConfigurationError: a name is not in the catalog.
    """
    by_name = {table.name: table for table in TABLES}
    for name in names:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else '; "ecr-source tables" lists them'
            raise ConfigurationError(f'unknown table "{name}"{hint}')
    return [table for table in TABLES if table.name in names or not names]
