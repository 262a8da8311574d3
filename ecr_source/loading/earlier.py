"""What earlier runs loaded, read from the destination's own tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import cast

import dlt
import pyarrow as pa
from dlt.common.destination.dataset import DBApiCursor
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import DatabaseTerminalException, DatabaseUndefinedRelation

from ecr_source.aws.scopes import Scope
from ecr_source.catalog import EXTRACTION_SCOPES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.destinations.lake import open_tables
from ecr_source.destinations.postgres import is_postgres
from ecr_source.destinations.storable import storable_names
from ecr_source.extract.image_selection import NEVER
from ecr_source.loading.modes import History, IncrementalAppend, Mode
from ecr_source.statuses import READ

_ROWS_AT_A_TIME = 50_000
_NO_TABLE = (DatabaseUndefinedRelation, SqlClientNotAvailable)
# A column that is missing, of a table that an older version loaded, is a terminal error.
_NOT_AS_NOW = (*_NO_TABLE, DatabaseTerminalException)


@dataclass(frozen=True)
class _LastRead:
    started_at: datetime
    resumes_at: str | None


_NOT_READ = _LastRead(NEVER, None)


class Loaded:
    """The tables of a pipeline's dataset, as the mode keeps them: see `again.Earlier`."""

    def __init__(self, pipeline: dlt.Pipeline, mode: Mode) -> None:
        self._pipeline = pipeline
        self._mode = mode
        # One connection at a time: scopes are read by several threads.
        self._lock = threading.Lock()

    def asked(self, record: Table, tables: Sequence[Table], scope: Scope) -> pa.Table | None:
        """The newest row of each image in `record`; None unless all of `tables` were loaded with all their columns."""
        try:
            for table in tables:
                self._read(table, scope, "1 = 0")
            rows = self._read(record, scope, self._current)
        except _NOT_AS_NOW:
            return None
        # The last one wins: where rows are appended, an image has one for each time it was asked.
        key = list(record.key)
        newest = rows.group_by(key, use_threads=False).aggregate([("extracted_at", "max")])
        return rows if newest.num_rows == rows.num_rows else _newest(rows, newest, key)

    def rows(self, table: Table, scope: Scope) -> Iterator[pa.RecordBatch]:
        """The rows of `table`, to be kept; none where rows are only ever added, or where there is no such table.

        Raises:
            DatabaseTerminalException: the table cannot be read; to take it for empty would delete what is in it.
        """
        if isinstance(self._mode, IncrementalAppend):
            return
        with suppress(*_NO_TABLE):
            yield from self._read(table, scope, self._current).to_batches(_ROWS_AT_A_TIME)

    def resumes_at(self, table: Table, scope: Scope) -> str:
        """The repository at which the budget of the last run ended for `table`; empty if it did not."""
        return self._last_reads.get((table.name, scope), _NOT_READ).resumes_at or ""

    def last_read(self, table: Table, scope: Scope) -> datetime:
        """When `table` was read last, completely or in part; `NEVER` if it was not."""
        return self._last_reads.get((table.name, scope), _NOT_READ).started_at

    @cached_property
    def _last_reads(self) -> dict[tuple[str, Scope], _LastRead]:
        statuses = ", ".join(f"'{status}'" for status in sorted(READ))
        columns = "table_name, registry_id, region, started_at, resumes_at"
        newest = "row_number() OVER (PARTITION BY table_name, registry_id, region ORDER BY started_at DESC)"
        try:
            with self._lock, open_tables(self._pipeline) as client:
                ledger = client.make_qualified_table_name(EXTRACTION_SCOPES.name)
                reads = f"SELECT {columns}, {newest} AS position FROM {ledger} WHERE status IN ({statuses})"  # noqa: S608 (names of ours)
                rows = client.execute_sql(f"SELECT {columns} FROM ({reads}) AS reads WHERE position = 1") or ()  # noqa: S608 (the same)
        except _NOT_AS_NOW:
            return {}
        return {(name, Scope(account, region)): _LastRead(*last) for name, account, region, *last in rows}

    def names(self, names: pa.Array) -> pa.Array:
        """The same, but for what the destination cannot hold: the tables name images as the registry does."""
        return storable_names(names) if is_postgres(self._pipeline) else names

    @property
    def _current(self) -> str:
        return "_dlt_valid_to IS NULL" if isinstance(self._mode, History) else "1 = 1"

    def _read(self, table: Table, scope: Scope, condition: str) -> pa.Table:
        schema = arrow_schema(table)
        with self._lock, open_tables(self._pipeline) as client:
            names = ", ".join(client.escape_column_name(name) for name in schema.names)
            source = client.make_qualified_table_name(table.name)
            sql = f"SELECT {names} FROM {source} WHERE registry_id = %s AND region = %s AND {condition}"  # noqa: S608 (names of ours)
            with client.execute_query(sql, scope.registry_id, scope.region) as cursor:
                return fetch_all(cursor, schema)


def fetch_all(cursor: DBApiCursor, schema: pa.Schema) -> pa.Table:
    """All rows of a query whose columns are those of `schema`, with that schema.

    What drivers hand over differs: BigQuery's is batches, Snowflake's has names in upper case, or is None.
    """
    parts = [part for part in cursor.iter_arrow(chunk_size=cast("int", None)) if part is not None]
    tables = [pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part for part in parts]
    return pa.concat_tables(
        [table.rename_columns(schema.names).cast(schema) for table in tables] or [schema.empty_table()]
    )


def _newest(rows: pa.Table, newest: pa.Table, key: list[str]) -> pa.Table:
    times = newest.rename_columns([*key, "extracted_at"])
    return rows.join(times, [*key, "extracted_at"], join_type="inner").select(rows.column_names)
