"""Which response members the catalog names; the others are kept in `unmodelled`, unless they may be secrets."""

from __future__ import annotations

from collections.abc import Iterator

from ecr_source import catalog
from ecr_source.catalog.column import (
    Alike,
    ArnField,
    Asked,
    CallOutcome,
    Constant,
    Count,
    ImageReference,
    IsOneOf,
    Joined,
    Listed,
    Lookup,
    Member,
    Namespace,
    OfParent,
    OfScope,
    Ordinal,
    OrZero,
    Source,
)
from ecr_source.catalog.table import Filling, Table


def named_paths(service: str, operation: str) -> set[str]:
    """Paths of all response members that a table of this operation maps or leaves out with a reason."""
    return column_paths(service, operation).union(
        *(table.left_out for table, _ in _fillings(service, operation)),
    )


def column_paths(service: str, operation: str) -> set[str]:
    """Paths of all response members that a table of this operation maps, and of those that listings need."""
    named: set[str] = set()
    for _, filling in _fillings(service, operation):
        for source in filling.sources.values():
            named.update(_paths(filling, 0, source))
        named.update(joined(filling.rows, path) for path in filling.only_having)
        named.add(filling.operation.token)
    return {path.replace("[0]", "[]") for path in named}


def is_secretive(service: str, operation: str) -> bool:
    """Whether members that no column names may be secrets."""
    return any(filling.operation.secretive for _, filling in _fillings(service, operation))


def _fillings(service: str, operation: str) -> Iterator[tuple[Table, Filling]]:
    for table in (*catalog.TABLES, *catalog.LISTINGS):
        for filling in table.fillings:
            if (filling.operation.service, filling.operation.name) == (service, operation):
                yield table, filling


def _paths(filling: Filling, levels_up: int, source: Source) -> Iterator[str]:
    match source:
        case (
            Member(path, _)
            | ArnField(path, _, _)
            | ImageReference(path, _, _)
            | Namespace(path)
            | IsOneOf(path, _)
            | CallOutcome(path, _)
            | OrZero(_, path, _)
        ):
            yield joined(filling.rows_above(levels_up), path)
        case Count(path) | Listed(path, _):
            yield joined(filling.rows_above(levels_up), f"{path}[]")
        case Lookup(path, key, _, value, _, _):
            for member in (key, value):
                yield joined(filling.rows_above(levels_up), f"{path}[].{member}")
        case OfScope(_, told_by) | Asked(_, told_by, _) if told_by is not None:
            yield from _paths(filling, levels_up, told_by)
        case Joined(sources, _):
            for inner in sources:
                yield from _paths(filling, levels_up, inner)
        case OfParent(inner):
            yield from _paths(filling, levels_up + 1, inner)
        case OfScope() | Asked() | Ordinal() | Constant() | Alike():
            return


def joined(rows: str, path: str) -> str:
    """The path of a member from the response, up to the text that holds a document."""
    return ".".join(filter(None, (rows, path))).partition("@")[0]
