"""The catalog as a later version of the package has it, in which tables have columns more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from ecr_source.catalog.column import Member, OfParent, Source
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.catalog.tables.findings import IMAGE_SCAN_FINDINGS
from ecr_source.catalog.tables.repository import REPOSITORIES

_COLUMNS: dict[Table, tuple[str, str | Source]] = {
    IMAGE_SCAN_FINDINGS: ("exploit_seen_at", OfParent(Member("firstObservedAt"))),
    REPOSITORIES: ("repository_address", "repositoryUri"),
}
"""A column that is NULL in most registries, and one that never is."""


@contextmanager
def column_more(table: Table, name: str, source: str | Source) -> Iterator[None]:
    """The catalog in which the table has a column more."""
    before = {"columns": table.columns, "added": table.added}
    _become(table, {"columns": {**table.columns, name: source}, "added": table.added | {name}})
    try:
        yield
    finally:
        _become(table, before)


@contextmanager
def newer_catalog() -> Iterator[None]:
    """The catalog in which two tables have a column more."""
    with ExitStack() as columns:
        for table, (name, source) in _COLUMNS.items():
            columns.enter_context(column_more(table, name, source))
        yield


def _become(table: Table, fields: Mapping[str, object]) -> None:
    vars(table).update(fields)
    vars(table).pop("fillings", None)
    arrow_schema.cache_clear()
