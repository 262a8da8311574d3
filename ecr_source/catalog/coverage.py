"""Which response members the catalog names; the others are kept in `unmodelled`."""

from __future__ import annotations

from collections.abc import Iterator

from ecr_source import catalog
from ecr_source.catalog.table import ArnField, Member, Namespace, OfParent, OfScope, Ordinal, Source


def named_paths(service: str, operation: str) -> set[str]:
    """Paths of all response members that a table of this operation maps or leaves out with a reason."""
    tables = [
        table for table in catalog.TABLES if (table.operation.service, table.operation.name) == (service, operation)
    ]
    mapped = {path for table in tables for source in table.sources.values() for path in _paths(table.rows, source)}
    return mapped | {path for table in tables for path in table.left_out}


def _paths(rows: str, source: Source) -> Iterator[str]:
    match source:
        case Member(path) | ArnField(path, _) | Namespace(path):
            yield f"{rows}.{path}"
        case OfScope(_, told_by) if told_by is not None:
            yield from _paths(rows, told_by)
        case OfParent(inner):
            yield from _paths(rows.rpartition(".")[0], inner)
        case OfScope() | Ordinal():
            return
