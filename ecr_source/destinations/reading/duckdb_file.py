"""A DuckDB file that is read: DuckDB itself sees to it that nothing changes, in the file and in any other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from ecr_source.destinations.reading import (
    ROWS_AT_A_TIME,
    Column,
    DatasetReader,
    Relation,
    Rows,
    no_dataset,
    only_reads,
)
from ecr_source.destinations.views.definition import without_mark
from ecr_source.errors import ConfigurationError, DestinationUnreachable, DestinationUnusable, NotLoaded

# Without them a statement could write files, and would take the variables of this program for tables.
_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
}

SPARING = "750MB"
"""Of as much DuckDB makes the report of a million images, the whole process taking a GB, a second later than of all."""

# Not CREATE, which a PIVOT that has something else wrong is in part.
_CHANGES = {
    *("ALTER", "ATTACH", "COPY", "COPY_DATABASE", "DELETE", "DETACH", "DROP", "EXPORT", "INSERT", "LOAD"),
    *("MERGE_INTO", "UPDATE"),
}
"""The kinds of statements that change something, by DuckDB's names."""
_READ_ONLY = "which is attached in read-only mode"

_RELATIONS = """
SELECT table_name, false, comment FROM duckdb_tables()
WHERE schema_name = $1 AND database_name = current_database() AND NOT starts_with(table_name, '_dlt')
UNION ALL
SELECT view_name, true, comment FROM duckdb_views() WHERE schema_name = $1 AND database_name = current_database()
ORDER BY 1
"""
_COLUMNS = """
SELECT column_name, data_type, comment FROM duckdb_columns()
WHERE schema_name = $1 AND table_name = $2 AND database_name = current_database() ORDER BY column_index
"""


@contextmanager
def open_file(database: Path, dataset: str) -> Iterator[DatasetReader]:
    """The dataset in a DuckDB file.

    Raises:
        DestinationUnreachable: another process holds the file open.
        ConfigurationError: there is no such file, or no such dataset in it.
    """
    with _opened(database) as connection:
        (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
        try:
            connection.execute(f"USE {_quoted(name)}.{_quoted(dataset)}; SET TimeZone = 'UTC'")
        except duckdb.CatalogException as error:
            raise no_dataset(dataset, str(database)) from error
        yield DuckDbReader(connection, dataset)


def _opened(database: Path) -> duckdb.DuckDBPyConnection:
    if not database.is_file():
        raise NotLoaded(f'there is no database "{database}": give another --database, or load it')
    if not database.stat().st_size:
        raise NotLoaded(f'the database "{database}" is empty: give another --database, or load it')
    try:
        return duckdb.connect(database, read_only=True, config=_CLOSED)
    except duckdb.Error as error:
        raise unusable_file(database, error) from error


def unusable_file(database: Path, error: duckdb.Error) -> DestinationUnusable:
    """The error that says why a DuckDB file cannot be opened, and what to do."""
    text, cannot = str(error), f'cannot open the database "{database}":'
    if "Could not set lock" in text or "Conflicting lock" in text:
        return DestinationUnreachable(
            f"{cannot} another process holds it open; close that one, or wait for it, and run again"
        )
    if "not a valid DuckDB" in text:
        return DestinationUnusable(f"{cannot} it is not a DuckDB file; give another --database")
    if "Read-only" in text or "Permission" in text or not os.access(database, os.W_OK):
        return DestinationUnusable(f"{cannot} it cannot be written; change its permissions, or give another --database")
    return DestinationUnusable(f"{cannot} {_message(error)}")


class DuckDbReader(DatasetReader):
    """A dataset over a connection that may only read."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: str) -> None:
        super().__init__(dataset)
        self._connection = connection

    def rows(self, statement: str) -> Rows:
        """What the last of the statements returns."""
        try:
            self._connection.execute(statement)
            if not self._connection.description:
                raise ConfigurationError("there is no statement")
            reader = self._connection.arrow(ROWS_AT_A_TIME)
        except duckdb.Error as error:
            raise (only_reads() if _changes(statement, error) else ConfigurationError(_message(error))) from error
        return Rows(reader.schema, _batches(reader))

    def records(self, statement: str) -> list[dict[str, Any]]:
        """Worked out in `SPARING` of memory, and the rest on the disk, but where that cannot be."""
        try:
            with self._in_memory_of(SPARING):
                return super().records(statement)
        except ConfigurationError as error:
            if not isinstance(error.__cause__, (duckdb.OutOfMemoryException, duckdb.IOException)):
                raise
        return super().records(statement)

    @contextmanager
    def _in_memory_of(self, size: str) -> Iterator[None]:
        # RESET would leave DuckDB 1.5 with what it has now.
        (before,) = self._connection.execute("SELECT current_setting('memory_limit')").fetchone() or ("",)
        self._connection.execute(f"SET memory_limit = '{size}'")
        try:
            yield
        finally:
            self._connection.execute(f"SET memory_limit = '{before}'")

    @property
    def _dialect(self) -> str:
        return "duckdb"

    def relations(self) -> Sequence[Relation]:
        """With their comments."""
        return [
            Relation(name, is_view, without_mark(comment or ""))
            for name, is_view, comment in self._connection.execute(_RELATIONS, [self.dataset]).fetchall()
        ]

    def columns(self, relation: Relation) -> Sequence[Column]:
        """With their comments."""
        rows = self._connection.execute(_COLUMNS, [self.dataset, relation.name]).fetchall()
        return [Column(name, type_.lower(), comment or "") for name, type_, comment in rows]


def _changes(statement: str, error: duckdb.Error) -> bool:
    """Whether DuckDB refuses the statements because one would change something."""
    if _READ_ONLY in str(error):
        return True
    try:
        return any(one.type.name in _CHANGES for one in duckdb.extract_statements(statement))
    except duckdb.Error:
        return False


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    try:
        yield from reader
    except (duckdb.Error, pa.ArrowException, OSError) as error:  # Arrow hands on what DuckDB says later as OSError
        raise ConfigurationError(_message(error)) from error


def _message(error: Exception) -> str:
    """What it says before it shows where; in a line."""
    return " ".join(str(error).partition("\nLINE ")[0].split())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
