"""Arrow schemas and column descriptions, derived from the catalog."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from ecr_source.catalog import model
from ecr_source.catalog.table import (
    ArnField,
    Member,
    Namespace,
    OfParent,
    OfScope,
    Ordinal,
    RunTable,
    Source,
    Table,
)

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

_TYPE_OF_NAME = {"string": pa.string(), "int64": pa.int64(), "timestamp": TIMESTAMP}

_COMMON = {
    "unmodelled": (
        pa.string(),
        "Members of the response that no column names, as a JSON object; NULL if there are none.",
    ),
    "extracted_at": (TIMESTAMP, "When the listing that the row was read from began (UTC)."),
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


def _run_columns(table: RunTable) -> dict[str, tuple[pa.DataType, str]]:
    return {name: (_TYPE_OF_NAME[column.type], column.description) for name, column in table.columns.items()}


def _api_columns(table: Table) -> dict[str, tuple[pa.DataType, str]]:
    columns = {name: _type_and_description(table, table.rows, source) for name, source in table.sources.items()}
    return columns | _COMMON


def _type_and_description(table: Table, rows: str, source: Source) -> tuple[pa.DataType, str]:
    match source:
        case Member(path):
            shape = model.member_shape(table.operation, f"{rows}.{path}")
            return TYPE_OF_SHAPE[shape.type_name], model.description(shape)
        case ArnField(path, field):
            return pa.string(), f"The {field} in {path}."
        case Namespace(path):
            return pa.string(), f"What stands before the last slash of {path}; NULL if there is no slash."
        case Ordinal():
            return pa.int64(), "Position among the sorted siblings, from 0."
        case OfScope(_, Member() as told_by):
            return _type_and_description(table, rows, told_by)
        case OfScope("registry_id", _):
            return pa.string(), "The account id of the registry."
        case OfScope("region", _):
            return pa.string(), "The region of the registry."
        case OfParent(inner):
            return _type_and_description(table, rows.rpartition(".")[0], inner)
    raise AssertionError(source)
