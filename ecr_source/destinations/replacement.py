"""Which rows of a table a merge may delete or retire: those that marker rows among the staged ones name.

A marker has the columns of `Table.replaced_by` and, in `extracted_at`, when the reading began that it tells of. The
column `marked_in` says what it is: all rows that it names were `READ`, or they are to be `KEPT`. It names a scope, a
repository or an image, and the columns that would say more are empty texts. Rows are replaced that were read and are
not to be kept, but for those of scopes of which another run has loaded a complete reading that began later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.catalog import EXTRACTION_REPOSITORIES, TABLES
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.literals import literal
from ecr_source.statuses import BOUNDED, COMPLETE

READ = "read"
KEPT = "kept"

_ROW_VALUES = {"bigquery": "STRUCT", "athena": "ROW", "trino": "ROW"}
"""What makes one value of several columns, in dialects in which a subquery in IN must have one column."""

_SPACE = " "
"""Between texts that name something: none of them has one."""

# Databricks has row values, but not where rows are deleted.
_WITHOUT_ROW_VALUES = {"databricks", "fabric", "tsql"}


@dataclass(frozen=True)
class LoadedBefore:
    """The tables, by their qualified names, that tell what a dataset has got: `extraction_scopes` and `_dlt_loads`."""

    scopes: str
    loads: str

    def superseded(self, table: Table | RunTable, staged: str, dialect: str | None) -> str:
        """The condition on rows of `table`, there or among the `staged`, of which a later reading is there already."""
        told_of = _tables_told_of(table)
        if not told_of:
            return "1 = 0"
        columns = scope_columns(table)
        same = " AND ".join(f"read_later.{name} = mine.{name}" for name in columns)
        names = ", ".join(f"'{name}'" for name in told_of)
        mine = f"FROM {staged} WHERE {is_marker(table)}"
        # The second bound is for an index: of a year's ledger Postgres reads what was added meanwhile.
        later = (
            f"SELECT {_row_value([f'read_later.{name}' for name in columns], dialect, selected=True)}"  # noqa: S608 (names of ours)
            f" FROM {self.scopes} AS read_later"
            f" JOIN (SELECT {', '.join(columns)}, MIN(extracted_at) AS began_at {mine} GROUP BY {', '.join(columns)})"
            f" AS mine ON {same} WHERE read_later.started_at > mine.began_at"
            f" AND read_later.started_at > (SELECT MIN(extracted_at) {mine})"
            f" AND read_later.table_name IN ({names}) AND read_later.status IN ('{COMPLETE}', '{BOUNDED}')"
            f" AND read_later.run_id IN (SELECT load_id FROM {self.loads})"
        )
        return f"{_row_value(columns, dialect)} IN ({later})"


def is_marker(table: Table | RunTable) -> str:
    """The condition on staged rows that are markers."""
    return f"{table.marked_in} IN ('{READ}', '{KEPT}')"


def is_row(table: Table | RunTable) -> str:
    """The condition on staged rows that are to be loaded."""
    return f"({table.marked_in} IS NULL OR {table.marked_in} NOT IN ('{READ}', '{KEPT}'))"


def by_markers(table: Table | RunTable, dialect: str | None) -> str:
    """The condition on the rows of `{table}` which the markers in `{staging_table}` name, in sqlglot's `dialect`.

    The same for every load.
    """
    levels = table.replaced_by
    # Postgres and DuckDB look each row up in a hash table: as EXISTS it takes twice to ten times as long.
    read = " OR ".join(_named(table, depth, READ, dialect) for depth in range(len(levels)))
    kept = " OR ".join(_named(table, depth, KEPT, dialect) for depth in range(1, len(levels)))
    return f"(({read}) AND NOT ({kept}))" if kept else f"({read})"


def by_names(markers: pa.Table, table: Table | RunTable, dialect: str | None) -> str:
    """The condition on the rows of `{table}` which `markers` name, for tables that take no subquery."""
    read, kept = (_names(markers, table, kind, dialect) for kind in (READ, KEPT))
    return f"({read} AND NOT {kept})"


def _names(markers: pa.Table, table: Table | RunTable, kind: str, dialect: str | None) -> str:
    """The condition on the rows that the markers of one kind name, a list for each level."""
    rows = markers.filter(pc.equal(markers[table.marked_in], kind)).select(table.replaced_by[-1]).to_pylist()
    named: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        columns = next(level for level in table.replaced_by if not any(row[name] for name in row.keys() - {*level}))
        named.setdefault(columns, []).append(_SPACE.join(row[name] for name in columns))
    # One list and not ORs: of 3,000 Delta Lake makes a plan in 5 s, and of 10,000 none.
    lists = [
        f"CONCAT({_spaced([f'{{table}}.{name}' for name in columns])})"
        f" IN ({', '.join(literal(text, dialect) for text in sorted(texts))})"
        for columns, texts in named.items()
    ]
    return f"({' OR '.join(lists) or '1 = 0'})"


def _named(table: Table | RunTable, depth: int, kind: str, dialect: str | None) -> str:
    columns = table.replaced_by[depth]
    finer = [name for name in table.replaced_by[-1] if name not in columns]
    marker = " AND ".join([f"{table.marked_in} = '{kind}'", *(f"{name} = ''" for name in finer)])
    selected = _row_value(columns, dialect, selected=True)
    return f"{_row_value(columns, dialect)} IN (SELECT {selected} FROM {{staging_table}} WHERE {marker})"  # noqa: S608 (names of ours)


def _row_value(columns: Sequence[str], dialect: str | None, *, selected: bool = False) -> str:
    """The columns as what one IN compares; `selected`, as what its subquery selects."""
    names = ", ".join(columns)
    if dialect in _ROW_VALUES:
        return f"{_ROW_VALUES[dialect]}({names})"
    if dialect in _WITHOUT_ROW_VALUES and len(columns) > 1:
        return f"CONCAT({_spaced(columns)})"
    return names if selected else f"({names})"


def _spaced(columns: Sequence[str]) -> str:
    return f", '{_SPACE}', ".join(columns)


def scope_columns(table: Table | RunTable) -> list[str]:
    """The columns of the table that say which scope a row is of."""
    return [name for name in table.replaced_by[0] if name in ("registry_id", "region")]


def _tables_told_of(table: Table | RunTable) -> list[str]:
    """The names that `extraction_scopes` has for the readings that fill the table."""
    if isinstance(table, Table) and not table.is_asked_again:
        return [table.name]
    if table is EXTRACTION_REPOSITORIES:  # a reading that began before tells no more than that less is known
        return []
    # Rows of single images without the record of what was asked, or the record without them, would stay for ever.
    return [one.name for one in TABLES if one.is_asked_again]
