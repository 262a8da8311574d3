"""Arrow schemas and column descriptions, derived from the catalog."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import pyarrow as pa

from ecr_source.catalog import model
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
from ecr_source.catalog.documents import DOCUMENTS
from ecr_source.catalog.table import EachRow, Filling, Operation, RunTable, Table
from ecr_source.statuses import COMPLETE, NO_ANSWER, REMARKS

TIMESTAMP = pa.timestamp("us", tz="UTC")
"""How a point in time is held: in UTC, to the microsecond."""

TYPE_OF_SHAPE = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "long": pa.int64(),
    "float": pa.float64(),
    "double": pa.float64(),
    "timestamp": TIMESTAMP,
}
"""Arrow types of botocore's scalar shapes."""

_TYPE_OF_NAME = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "timestamp": TIMESTAMP}

_Described: TypeAlias = tuple[pa.DataType, str]

_COMMON = {
    "unmodelled": (
        pa.string(),
        "Members of the response that no column names, as a JSON object; NULL if there are none.",
    ),
    "extracted_at": (
        TIMESTAMP,
        "When the row was asked for: when the call, or the listing that it belongs to, began (UTC).",
    ),
}


@cache
def arrow_schema(table: Table | RunTable) -> pa.Schema:
    """The Arrow schema of `table`: scalar columns only, keys not nullable, each with its description as metadata.

    Raises:
        KeyError: the installed botocore has no member that a column names.
    """
    columns = _run_columns(table) if isinstance(table, RunTable) else _api_columns(table)
    return pa.schema(
        pa.field(name, type_, nullable=name not in table.key, metadata={"description": text})
        for name, (type_, text) in columns.items()
    )


def column_descriptions(table: Table | RunTable) -> dict[str, str]:
    """The description of each column of `table`."""
    return {field.name: field.metadata[b"description"].decode() for field in arrow_schema(table)}


def _run_columns(table: RunTable) -> dict[str, _Described]:
    return {name: (_TYPE_OF_NAME[column.type], column.description) for name, column in table.columns.items()}


def _api_columns(table: Table) -> dict[str, _Described]:
    filling = table.fillings[0]
    return {name: describe(filling, source) for name, source in filling.sources.items()} | _COMMON


def describe(filling: Filling, source: Source, levels_up: int = 0) -> _Described:
    """The Arrow type and the description of what `source` gives, on the items so many levels above the rows."""
    match source:
        case Member(path, meaning):
            type_, text = _member(filling.operation, filling.rows_above(levels_up), path)
            return type_, meaning or text
        case ArnField(path, part, meaning):
            return pa.string(), meaning or f"The {part} in {path}."
        case Namespace(path):
            return pa.string(), f"What stands before the last slash of {path}; NULL if there is no slash."
        case Ordinal():
            return pa.int64(), "Position among the siblings, sorted by their content, from 0."
        case OfScope(_, Member() as told_by):
            return describe(filling, told_by, levels_up)
        case OfScope("registry_id", _):
            return pa.string(), "The account id of the registry."
        case OfScope():
            return pa.string(), "The region of the registry."
        case Asked(column, _, meaning):
            type_, text = _asked(filling.operation, column)
            return type_, meaning or text
        case OfParent(inner):
            return describe(filling, inner, levels_up + 1)
        case _:
            return _computed(filling.operation, source)


def _computed(operation: Operation, source: Source) -> _Described:
    match source:
        case CallOutcome():
            return pa.string(), _outcome_description(operation, source)
        case Constant(_, meaning):
            return pa.string(), meaning
        case OrZero(_, _, meaning) | Alike(meaning):
            return pa.int64(), meaning
        case Count(path):
            return pa.int64(), f"How many {path.rpartition('.')[2]} there are."
        case IsOneOf(path, values):
            return pa.bool_(), f"Whether {path} is {' or '.join(values)}."
        case ImageReference(path, part, meaning):
            return pa.string(), meaning or f"The {part.replace('_', ' ')} in {path}."
        case Lookup(_, _, _, _, meaning, type_):
            return _TYPE_OF_NAME[type_], meaning
        case Joined(_, meaning) | Listed(_, meaning):
            return pa.string(), meaning
    raise AssertionError(source)


def _asked(operation: Operation, column: str) -> _Described:
    assert isinstance(operation.each, EachRow)
    filling = operation.each.table.fillings[0]
    return describe(filling, filling.sources[column])


def _outcome_description(operation: Operation, outcome: CallOutcome) -> str:
    names = dict.fromkeys([COMPLETE, *operation.absent.values(), *outcome.names.values()])
    answers, no_answers = (", ".join(one + REMARKS.get(one, "") for one in words) for words in (names, NO_ANSWER))
    return f"What came of asking: {answers}; {no_answers}."


def _member(operation: Operation, rows: str, path: str) -> _Described:
    before, _, inside = ".".join(filter(None, (rows, path))).partition("@")
    if inside:
        return _document_member(inside)
    shape = model.member_shape(operation, before)
    text = model.description(shape) or f"The {before.rpartition('.')[2]} of the response."
    return TYPE_OF_SHAPE[shape.type_name], text if text.endswith((".", "!", "?")) else f"{text}."


def _document_member(path: str) -> _Described:
    kind, *steps = path.split(".")
    type_: pa.DataType = DOCUMENTS[kind].type
    description = ""
    for step in steps:
        field = type_.field(step.removesuffix("[]"))
        description = field.metadata[b"description"].decode()
        type_ = field.type.value_type if step.endswith("[]") else field.type
    return type_, description
