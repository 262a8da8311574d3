"""Which rows of a table a merge may delete or retire: those that marker rows among the staged ones name.

A marker has the columns of `Table.replaced_by` and nothing else: its `extracted_at` is NULL. The column `marked_in`
says what it is: all rows that it names were `READ`, or they are to be `KEPT`. It names a scope, a repository or an
image, and the columns that would say more are empty texts. Rows are replaced that were read and are not to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import pyarrow as pa

from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.literals import literal

READ = "read"
KEPT = "kept"

NO_MARKER = "extracted_at IS NOT NULL"
"""The condition on staged rows that are to be loaded."""

_MARKER = "extracted_at IS NULL"

_ROW_VALUES = {"bigquery": "STRUCT", "athena": "ROW", "trino": "ROW"}
"""What makes one value of several columns, in dialects in which a subquery in IN must have one column."""

# Databricks has them, but not where rows are deleted.
_WITHOUT_ROW_VALUES = {"databricks", "fabric", "tsql"}


def by_markers(table: Table | RunTable, dialect: str | None) -> str:
    """The condition on the rows of `{table}` which the markers in `{staging_table}` name, in sqlglot's `dialect`.

    The same for every load.
    """
    levels = table.replaced_by
    # Postgres and DuckDB look each row up in a hash table: as EXISTS it takes twice to ten times as long.
    read = " OR ".join(_named(table, depth, READ, dialect) for depth in range(len(levels)))
    kept = " OR ".join(_named(table, depth, KEPT, dialect) for depth in range(1, len(levels)))
    return f"(({read}) AND NOT ({kept}))" if kept else f"({read})"


def _named(table: Table | RunTable, depth: int, kind: str, dialect: str | None) -> str:
    columns = table.replaced_by[depth]
    finer = [name for name in table.replaced_by[-1] if name not in columns]
    marker = " AND ".join([_MARKER, f"{table.marked_in} = '{kind}'", *(f"{name} = ''" for name in finer)])
    if dialect in _WITHOUT_ROW_VALUES:
        same = " AND ".join(f"m.{name} = {{table}}.{name}" for name in columns)
        return f"EXISTS (SELECT 1 FROM {{staging_table}} AS m WHERE {same} AND {marker})"  # noqa: S608 (names of ours)
    names = ", ".join(columns)
    row_value = _ROW_VALUES.get(dialect or "", "")
    selected = f"{row_value}({names})" if row_value else names
    return f"{row_value}({names}) IN (SELECT {selected} FROM {{staging_table}} WHERE {marker})"  # noqa: S608 (names of ours)


def by_names(markers: pa.Table, table: Table | RunTable, dialect: str | None) -> str:
    """The condition on the rows of `{table}` which `markers` name, for tables that take no subquery."""
    columns = table.replaced_by[-1]
    named = sorted((row[table.marked_in], tuple(row[name] for name in columns)) for row in markers.to_pylist())
    read = [values for kind, values in named if kind == READ]
    kept = [values for kind, values in named if kind == KEPT]
    condition = " OR ".join(_equal(read, columns, dialect)) or "1 = 0"
    if kept:
        condition = f"({condition}) AND NOT ({' OR '.join(_equal(kept, columns, dialect))})"
    return f"({condition})"


def _equal(named: Sequence[tuple[str, ...]], columns: Sequence[str], dialect: str | None) -> Iterator[str]:
    """A condition for all that differ only in the last column that says something."""
    said = [dict(zip(columns, values, strict=True)) for values in named]
    short = [
        {name: value for position, (name, value) in enumerate(row.items()) if value or not position} for row in said
    ]
    for first, alike in groupby(short, key=lambda row: [*row.items()][:-1]):
        rows = list(alike)
        last = [*rows[0]][-1]
        yield _all_equal(dict(first), last, [row[last] for row in rows], dialect)


def _all_equal(equal: Mapping[str, str], column: str, values: Sequence[str], dialect: str | None) -> str:
    conditions = [f"{{table}}.{name} = {literal(value, dialect)}" for name, value in equal.items()]
    listed = ", ".join(literal(value, dialect) for value in values)
    conditions.append(f"{{table}}.{column} IN ({listed})")
    return f"({' AND '.join(conditions)})"
