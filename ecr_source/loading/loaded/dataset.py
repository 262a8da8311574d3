"""The dataset of a pipeline as runs have left it: its tables, which of them have rows, and its last run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.destination.dataset import DBApiCursor
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import (
    DatabaseTerminalException,
    DatabaseUndefinedRelation,
    DestinationConnectionError,
)

from ecr_source.catalog import (
    EXTRACTION_SCOPES,
)
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.warehouse import ROWS_AT_A_TIME, SqlClient

_LAST_RUN = "SELECT mode, registry_id FROM {table} ORDER BY started_at DESC LIMIT 1"
_SCOPES_WITH_ROWS = "SELECT DISTINCT '{name}', registry_id, {region} FROM {table}"
_TABLES_WITH_ROWS = "SELECT count(*) FROM ({}) AS those_with_rows"
_HAS_ROWS = "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM {})"

_HISTORY = "history"
"""The name of the load mode in which rows that are not there any more stay, which asks datasets itself."""

NO_TABLE = (DatabaseUndefinedRelation, SqlClientNotAvailable)
# A column that is missing, of a table that an older version loaded, is a terminal error.
NOT_AS_NOW = (*NO_TABLE, DatabaseTerminalException)


@dataclass(frozen=True)
class LastRun:
    """The load mode of the run that was loaded last, and the account of one of its scopes."""

    mode: str
    registry_id: str


class Dataset:
    """The tables of a pipeline's dataset, of whichever pipeline loaded them."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._pipeline = pipeline
        self.destination = destination_of(pipeline)
        self._client: SqlClient | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """While it lasts all is asked over one connection: to open one takes 50 ms of processor."""
        with ExitStack() as stack:
            with suppress(SqlClientNotAvailable):  # files: they have no connection, and each question says so
                self._client = stack.enter_context(self.destination.open_tables(self._pipeline))
            try:
                yield
            finally:
                self._client = None

    @property
    def name(self) -> str:
        """Its name in the destination."""
        return self._pipeline.dataset_name

    @cached_property
    def last_run(self) -> LastRun | None:
        """The run that was loaded last; None if there was none."""
        rows = self.rows(EXTRACTION_SCOPES, _LAST_RUN)
        return LastRun(*map(str, rows[0])) if rows else None

    def table_format(self) -> str | None:
        """The format of its tables, where its destination has several; None if there are none yet."""
        return self.destination.table_format_of(self._pipeline, EXTRACTION_SCOPES.name)

    def scopes_with_rows(self, tables: Sequence[Table | RunTable]) -> set[tuple[str, str, str]] | None:
        """Each of the tables, by name, with each account and region that it has rows of; an empty text for no region.

        None if that is not known: one is not there, or somebody else has the database open.
        """
        if not tables:
            return set()
        parts = [(table.name, "region" if "region" in table.columns else "''") for table in tables]
        try:
            with self.tables() as client:
                statement = " UNION ALL ".join(
                    _SCOPES_WITH_ROWS.format(name=name, region=region, table=client.make_qualified_table_name(name))
                    for name, region in parts
                )
                rows = client.execute_sql(statement) or ()
        except (*NOT_AS_NOW, DestinationConnectionError):
            return None
        return {(name, account, region) for name, account, region in rows}

    def tables_with_rows(self, tables: Sequence[Table]) -> int | None:
        """How many of the tables have rows; None if that is not known."""
        try:
            with self.tables() as client:
                names = [client.make_qualified_table_name(table.name) for table in tables]
                statement = _TABLES_WITH_ROWS.format(" UNION ALL ".join(map(_HAS_ROWS.format, names)))
                ((count,),) = client.execute_sql(statement) or ((None,),)
        except (*NOT_AS_NOW, DestinationConnectionError):
            return None
        return count

    @property
    def of_versions(self) -> list[str]:
        """The condition on the rows that are there now, where their versions are kept."""
        return ["_dlt_valid_to IS NULL"] if self.last_run and self.last_run.mode == _HISTORY else []

    def tables(self) -> AbstractContextManager[SqlClient]:
        """The SQL client of the dataset, opened."""
        return nullcontext(self._client) if self._client else self.destination.open_tables(self._pipeline)

    def fetch(self, client: SqlClient, query: str, schema: pa.Schema, *values: str) -> pa.Table:
        """All rows of a query whose columns are those of `schema`, with that schema."""
        with closing(self.destination.parts_of(client, query, *values)) as parts:
            return _table(parts, schema)

    def rows(self, table: Table | RunTable, sql: str, *values: str) -> Sequence[Sequence[Any]]:
        """What a statement on the table returns; nothing if there is no such table."""
        try:
            with self.tables() as client:
                name = client.make_qualified_table_name(table.name)
                scopes = client.make_qualified_table_name(EXTRACTION_SCOPES.name)
                return client.execute_sql(sql.format(table=name, scopes=scopes), *values) or ()
        except NO_TABLE:
            return ()


def fetch_all(cursor: DBApiCursor, schema: pa.Schema) -> pa.Table:
    """All rows of a query whose columns are those of `schema`, with that schema."""
    return _table(cursor.iter_arrow(ROWS_AT_A_TIME), schema)


def _table(parts: Iterable[Any], schema: pa.Schema) -> pa.Table:
    # What drivers hand over differs: BigQuery's is batches, Snowflake's has names in upper case, or is None.
    there = (part for part in parts if part is not None)
    tables = (pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part for part in there)
    rows = [table.rename_columns(schema.names).cast(schema) for table in tables]
    return pa.concat_tables(rows or [schema.empty_table()]).unify_dictionaries()
