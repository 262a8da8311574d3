"""Which response members the catalog names; the others are kept in `unmodelled`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

from ecr_source import catalog
from ecr_source.catalog.table import ArnField, Member, Namespace, OfParent, OfScope, Operation, Ordinal, Source, Table

Members: TypeAlias = "dict[str, Members]"
"""Names of members and, for structures, of theirs; empty for scalars and for lists that have tables of their own."""


def named_paths(operation: Operation) -> set[str]:
    """Paths of all response members that a table of `operation` maps or leaves out with a reason."""
    tables = [table for table in catalog.TABLES if table.operation == operation]
    mapped = {path for table in tables for source in table.sources.values() for path in _paths(table.rows, source)}
    return mapped | {path for table in tables for path in table.left_out}


@cache
def named_members(table: Table) -> Members:
    """The members of a row of `table` that the catalog names, as a tree."""
    tree: Members = {}
    for path in named_paths(table.operation):
        if path.startswith(f"{table.rows}."):
            _add(tree, path.removeprefix(f"{table.rows}."))
    return tree


def _add(tree: Members, path: str) -> None:
    step, _, rest = path.partition(".")
    node = tree.setdefault(step.removesuffix("[]"), {})
    if rest and not step.endswith("[]"):
        _add(node, rest)


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
