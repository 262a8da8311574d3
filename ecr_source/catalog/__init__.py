"""Which tables exist, as data: the call that fills each, its key, and the response member behind each column.

Arrow schemas and descriptions derive from it. To add a table is to add an entry to the file of its group in `tables`.

Imports the root only.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence

from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.catalog.tables.extraction import EXTRACTION_ERRORS, EXTRACTION_IMAGES, EXTRACTION_SCOPES
from ecr_source.catalog.tables.findings import FINDINGS_TABLES
from ecr_source.catalog.tables.image import IMAGE_TABLES
from ecr_source.catalog.tables.image_scans import LIST_COVERAGE, LIST_FINDINGS
from ecr_source.catalog.tables.image_status import IMAGE_STATUS_TABLES
from ecr_source.catalog.tables.manifests import MANIFEST_TABLES
from ecr_source.catalog.tables.policy import POLICY_TABLES, PREVIEW_TABLES
from ecr_source.catalog.tables.public import PUBLIC_TABLES
from ecr_source.catalog.tables.registry import REGISTRY_TABLES
from ecr_source.catalog.tables.repository import REPOSITORY_TABLES
from ecr_source.errors import ConfigurationError

__all__ = [
    "ALL",
    "DEFAULT_GROUPS",
    "EXTRACTION_ERRORS",
    "EXTRACTION_IMAGES",
    "EXTRACTION_SCOPES",
    "FINDINGS_FROM",
    "GET_CALLER_IDENTITY",
    "GROUPS",
    "NOT_READ",
    "RUN_TABLES",
    "TABLES",
    "called_for",
    "group_of",
    "not_called",
    "operations_of",
    "select_tables",
]

GROUPS: dict[str, list[Table]] = {
    "repositories": REPOSITORY_TABLES,
    "images": IMAGE_TABLES,
    "policies": POLICY_TABLES,
    "registry": REGISTRY_TABLES,
    "findings": FINDINGS_TABLES,
    "image_status": IMAGE_STATUS_TABLES,
    "previews": PREVIEW_TABLES,
    "manifests": MANIFEST_TABLES,
    "public": PUBLIC_TABLES,
}
"""The tables that are chosen together. A name that is a group's and a table's too chooses the group; `images.images` is
the table."""

DEFAULT_GROUPS = ("repositories", "images", "policies", "registry")
"""What is read when nothing is chosen: no call for each image, nothing with a side effect."""

ALL = "all"
"""Chooses all groups but manifests."""

MANIFESTS = "manifests"
"""The group whose reading has a side effect: it counts as a pull."""

TABLES: list[Table] = [table for group in GROUPS.values() for table in group]
"""The tables that the API fills, in the order in which they are shown."""

RUN_TABLES: list[RunTable] = [EXTRACTION_SCOPES, EXTRACTION_ERRORS, EXTRACTION_IMAGES]
"""The tables that the run fills."""

GET_CALLER_IDENTITY = Operation("sts", "GetCallerIdentity")
"""Tells which account the credentials belong to. Needs no permission."""

NOT_READ: dict[str, str] = {
    "ecr:GetAuthorizationToken": "its answer is a password",
    "ecr:GetDownloadUrlForLayer": "its answer is a presigned URL, and it counts as a pull",
    "ecr:BatchCheckLayerAvailability": "a step of a push; image_layers has the layers",
    "ecr:ListImages": "DescribeImages has all that it has",
    "ecr-public:GetAuthorizationToken": "its answer is a password",
    "ecr-public:BatchCheckLayerAvailability": "a step of a push",
}
"""The read operations that fill no table, with the reason."""


FINDINGS_FROM: dict[str, frozenset[Operation]] = {
    "ecr": frozenset({LIST_FINDINGS, LIST_COVERAGE}),
    "inspector2": frozenset(),
}
"""Who is asked for findings, with the operations that are not called then."""


def not_called(findings_from: str) -> frozenset[Operation]:
    """The operations that are not called where findings are asked from this one of `FINDINGS_FROM`.

    Raises:
        ConfigurationError: there is no such one.
    """
    if findings_from not in FINDINGS_FROM:
        raise ConfigurationError(
            f'findings cannot be read from "{findings_from}": it is one of {", ".join(FINDINGS_FROM)}'
        )
    return FINDINGS_FROM[findings_from]


def group_of(table: Table) -> str:
    """The name of the group that `table` is in; empty for a table that is in none."""
    return next((name for name, tables in GROUPS.items() if table in tables), "")


def operations_of(tables: Iterable[Table], without: Collection[Operation] = ()) -> list[Operation]:
    """The operations that must be called to fill `tables`, those of their parents first, each once."""
    found: dict[Operation, None] = {}
    for table in tables:
        for operation in table.operations:
            if operation in without:
                continue
            if operation.parent is not None:
                found.update(dict.fromkeys(operations_of([operation.parent])))
            found[operation] = None
    return list(found)


def called_for(table: Table, without: Collection[Operation] = ()) -> list[Operation]:
    """All operations that may be called to fill `table`, those included that say whether another one can tell."""
    operations = operations_of([table], without)
    asked_first = [operation.only_where.operation for operation in operations if operation.only_where]
    return list(dict.fromkeys([*operations, *asked_first]))


def select_tables(names: Sequence[str]) -> list[Table]:
    """The tables of these names, of groups or of tables; those of `DEFAULT_GROUPS`, if none is named.

    Raises:
        ConfigurationError: a name is not in the catalog.
    """
    by_name = {table.name: [table] for table in TABLES} | GROUPS
    by_name |= {f"{group}.{table.name}": [table] for group, tables in GROUPS.items() for table in tables}
    by_name[ALL] = [table for table in TABLES if group_of(table) != MANIFESTS]
    chosen: list[Table] = []
    for name in names or DEFAULT_GROUPS:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else '; "ecr-source tables" lists them'
            raise ConfigurationError(f'unknown table "{name}"{hint}')
        chosen += by_name[name]
    return [table for table in TABLES if table in chosen]
