"""What the tables of a dataset tell of earlier runs: dlt's state knows only those of pipelines of one name."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, cast

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.destination.dataset import DBApiCursor
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import (
    DatabaseTerminalException,
    DatabaseUndefinedRelation,
    DestinationConnectionError,
)

from ecr_source.aws.scopes import Scope
from ecr_source.catalog import (
    EXTRACTION_ERRORS,
    EXTRACTION_IMAGES,
    EXTRACTION_REPOSITORIES,
    EXTRACTION_SCOPES,
)
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Filling, Operation, RunTable, Table
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.replacement import scope_columns
from ecr_source.destinations.warehouse import SqlClient
from ecr_source.extract.images.image_selection import IMAGE, NEVER
from ecr_source.extract.rows.pseudonyms import Pseudonyms
from ecr_source.statuses import NOT_OFFERED, POSTPONED, READ, SKIPPED

_ROWS_AT_A_TIME = 50_000
_NOT_OFFERED_FOR = timedelta(days=7)
# Fewer calls say more of the start of a run than of its rate.
_CALLS_THAT_TELL_A_RATE = 50

_LAST_RUN = "SELECT mode, registry_id FROM {table} ORDER BY started_at DESC LIMIT 1"
_LAST_READS = f"""
SELECT table_name, registry_id, region, started_at, resumes_at, note FROM (
    SELECT table_name, registry_id, region, started_at, resumes_at, note,
        row_number() OVER (PARTITION BY table_name, registry_id, region ORDER BY started_at DESC) AS position
    FROM {{table}} WHERE status IN ({", ".join(f"'{status}'" for status in sorted(READ))})
) AS reads WHERE position = 1
"""  # noqa: S608 (words of ours)
_LAST_TRIES = f"""
SELECT table_name, registry_id, region, max(started_at) FROM {{table}}
WHERE status NOT IN ('{POSTPONED}', '{SKIPPED}') GROUP BY table_name, registry_id, region
"""  # noqa: S608 (words of ours)
_ANSWERED = "SELECT registry_id, region, operation, count(*) FROM {table} GROUP BY registry_id, region, operation"
_ANSWERS = "SELECT {names} FROM {table}"
_OF_OPERATION = " WHERE registry_id = %s AND region = %s AND operation = %s"
_FEW_ANSWERS = 100_000
_NOT_OFFERED = f"""
SELECT operation, errors.registry_id, errors.region, max(started_at)
FROM {{table}} AS errors
JOIN {{scopes}} AS runs
    ON runs.run_id = errors.run_id AND runs.registry_id = errors.registry_id AND runs.region = errors.region
WHERE errors.status = '{NOT_OFFERED}' GROUP BY operation, errors.registry_id, errors.region
"""  # noqa: S608 (a word of ours)
_TOLD_OF = "SELECT DISTINCT repository_name FROM {table} WHERE registry_id = %s AND region = %s"
_SCOPES_WITH_ROWS = "SELECT DISTINCT '{name}', registry_id, {region} FROM {table}"
_RATE = f"""
SELECT sum(calls) / nullif(sum(extract(epoch FROM finished_at) - extract(epoch FROM started_at)), 0)
FROM {{table}} WHERE registry_id = %s AND region = %s AND calls >= {_CALLS_THAT_TELL_A_RATE}
"""  # noqa: S608 (a number of ours)

_HISTORY = "history"
"""The name of the load mode in which rows that are not there any more stay, which asks datasets itself."""

_NO_TABLE = (DatabaseUndefinedRelation, SqlClientNotAvailable)
# A column that is missing, of a table that an older version loaded, is a terminal error.
_NOT_AS_NOW = (*_NO_TABLE, DatabaseTerminalException)


_TABLES_WITH_ROWS = "SELECT count(*) FROM ({}) AS those_with_rows"

_HAS_ROWS = "SELECT 1 AS one WHERE EXISTS (SELECT 1 FROM {})"


@dataclass(frozen=True)
class LastRun:
    """The load mode of the run that was loaded last, and the account of one of its scopes."""

    mode: str
    registry_id: str


@dataclass(frozen=True)
class LastRead:
    """When a table was read in a scope, and what a person should know of it.

    `resumes_at` is the repository at which the budget ended, if it did.
    """

    started_at: datetime
    resumes_at: str | None
    note: str | None


_NOT_READ = LastRead(NEVER, None, None)


class Dataset:
    """The tables of a pipeline's dataset, of whichever pipeline loaded them.

    Scopes and images are asked for as the registry names them; in the tables they may have pseudonyms.
    """

    def __init__(self, pipeline: dlt.Pipeline, pseudonyms: Pseudonyms | None = None) -> None:
        self._pipeline = pipeline
        self._pseudonyms = pseudonyms
        self.destination = destination_of(pipeline)
        # One connection at a time: scopes are read by several threads.
        self._lock = threading.Lock()
        self._client: SqlClient | None = None

    def masked(self, pseudonyms: Pseudonyms | None) -> Dataset:
        """The same with the scopes in it under these pseudonyms; what was asked is not asked again."""
        dataset = copy(self)
        dataset._pseudonyms = pseudonyms
        return dataset

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

    def ask_of_scopes(self) -> None:
        """Asks, for all scopes at once, what every walk needs to know."""
        _ = self._last_tries, self._not_offered, self._last_reads, self.last_run

    def ask_of_images(self) -> None:
        """Asks, for all scopes at once, which images were asked for."""
        _ = self._few_answers

    @property
    def name(self) -> str:
        """Its name in the destination."""
        return self._pipeline.dataset_name

    @cached_property
    def last_run(self) -> LastRun | None:
        """The run that was loaded last; None if there was none."""
        rows = self._rows(EXTRACTION_SCOPES, _LAST_RUN)
        return LastRun(*map(str, rows[0])) if rows else None

    def table_format(self) -> str | None:
        """The format of its tables, where its destination has several; None if there are none yet."""
        return self.destination.table_format_of(self._pipeline, EXTRACTION_SCOPES.name)

    def calls_a_second(self, scope: Scope) -> float | None:
        """The rate of the calls of the last runs in the scope; None if there were few, or none."""
        rows = self._rows(EXTRACTION_SCOPES, _RATE, *self._loaded_as(scope))
        return float(rows[0][0]) if rows and rows[0][0] else None

    def last_read(self, table: Table, scope: Scope) -> LastRead:
        """The last time that the table was read in the scope, completely or in part."""
        return self._last_reads.get((table.name, *self._loaded_as(scope)), _NOT_READ)

    @cached_property
    def _last_reads(self) -> dict[tuple[str, str, str], LastRead]:
        try:
            with self._lock:
                rows = self._rows(EXTRACTION_SCOPES, _LAST_READS)
        except _NOT_AS_NOW:
            return {}
        return {(name, account, region): LastRead(*last) for name, account, region, *last in rows}

    def lacks(self, operation: Operation, scope: Scope) -> bool:
        """Whether a run of the last days was told that the operation is not offered in the scope."""
        return (str(operation), *self._loaded_as(scope)) in self._not_offered

    @cached_property
    def _not_offered(self) -> set[tuple[str, str, str]]:
        since = datetime.now(UTC) - _NOT_OFFERED_FOR
        with self._lock:
            rows = self._rows(EXTRACTION_ERRORS, _NOT_OFFERED)
        return {(operation, account, region) for operation, account, region, told_at in rows if told_at > since}

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
        except (*_NOT_AS_NOW, DestinationConnectionError):
            return None
        return {(name, account, region) for name, account, region in rows}

    def tables_with_rows(self, tables: Sequence[Table]) -> int | None:
        """How many of the tables have rows; None if that is not known."""
        try:
            with self.tables() as client:
                names = [client.make_qualified_table_name(table.name) for table in tables]
                statement = _TABLES_WITH_ROWS.format(" UNION ALL ".join(map(_HAS_ROWS.format, names)))
                ((count,),) = client.execute_sql(statement) or ((None,),)
        except (*_NOT_AS_NOW, DestinationConnectionError):
            return None
        return count

    def repositories(self, tables: Sequence[Table], scope: Scope) -> list[str]:
        """The repositories of which these tables have rows, or any operation told, by their names there."""
        asked = [one for one in tables if len(one.replaced_by) > 1 and self.last_read(one, scope) != _NOT_READ]
        if not asked:
            return []
        with self._lock, self.tables() as client:
            statement = " UNION ".join(
                f"SELECT DISTINCT {table.replaced_by[1][-1]} {self._from(client, table)}" for table in asked
            )
            values = (value for table in asked for value in self._values(table, scope))
            rows = client.execute_sql(statement, *values) or ()
            told_of = self._rows(EXTRACTION_REPOSITORIES, _TOLD_OF, *self._loaded_as(scope))
        return [name for (name,) in (*rows, *told_of)]

    def loaded_rows(self, table: Table, columns: Sequence[str], scope: Scope) -> pa.Table | None:
        """These columns of the table's rows of the scope; None if it was never read."""
        if self.last_read(table, scope) == _NOT_READ:
            return None
        schema = pa.schema([arrow_schema(table).field(name) for name in columns])
        with self._lock, self.tables() as client:
            names = ", ".join(map(client.escape_column_name, schema.names))
            statement = f"SELECT {names} {self._from(client, table)}"
            with client.execute_query(statement, *self._values(table, scope)) as cursor:
                return fetch_all(cursor, schema)

    def listed_items(
        self, table: Table, filling: Filling, scope: Scope, more_than: int
    ) -> dict[tuple[str, ...], int] | None:
        """How many items the listing of each of the `asked_columns` has that fills the table so, where there are more
        than so many; None if the table was never read."""
        if self.last_read(table, scope) == _NOT_READ:
            return None
        by = [filling.column_of(name) for name in filling.asked_columns]
        names = dict.fromkeys([*by, *table.listed_key(filling)])
        told_apart = {name: value for name, value in filling.constants.items() if name in table.replaced_by[0]}
        with self._lock, self.tables() as client:
            where = "".join(f" AND {name} = %s" for name in told_apart)
            distinct = f"SELECT DISTINCT {', '.join(names)} {self._from(client, table)}{where}"
            counted = f"SELECT {', '.join([*by, 'count(*)'])} FROM ({distinct}) AS items"  # noqa: S608 (names of ours)
            grouped = f" GROUP BY {', '.join(by)}" if by else ""
            statement = f"{counted}{grouped} HAVING count(*) > {more_than}"
            rows = client.execute_sql(statement, *self._values(table, scope), *told_apart.values())
        return {tuple(asked): int(count) for *asked, count in rows or ()}

    def _from(self, client: SqlClient, table: Table) -> str:
        """The rows of the table that are there now, of the scope of which the placeholders have the `_values`."""
        conditions = [*(f"{column} = %s" for column in scope_columns(table)), *self.of_versions]
        return f"FROM {client.make_qualified_table_name(table.name)} WHERE {' AND '.join(conditions)}"

    @property
    def of_versions(self) -> list[str]:
        """The condition on the rows that are there now, where their versions are kept."""
        return ["_dlt_valid_to IS NULL"] if self.last_run and self.last_run.mode == _HISTORY else []

    def _values(self, table: Table, scope: Scope) -> list[str]:
        values = dict(zip(("registry_id", "region"), self._loaded_as(scope), strict=True))
        return [values[column] for column in scope_columns(table)]

    def names(self, names: pa.StringArray) -> pa.StringArray:
        """The names of the registry as they are in the tables."""
        return self.destination.storable_names(self._pseudonyms.column(names) if self._pseudonyms else names)

    def last_tried(self, table: Table, scope: Scope) -> datetime:
        """When the table was asked for last in the scope, whatever came of it."""
        return self._last_tries.get((table.name, *self._loaded_as(scope)), NEVER)

    @cached_property
    def _last_tries(self) -> dict[tuple[str, str, str], datetime]:
        with self._lock:
            rows = self._rows(EXTRACTION_SCOPES, _LAST_TRIES)
        return {(name, account, region): tried_at for name, account, region, tried_at in rows}

    def answers(self, operation: Operation, scope: Scope) -> pa.Table:
        """The rows of extraction_images of the operation in the scope, with that table's Arrow schema."""
        account, region = self._loaded_as(scope)
        asked = account, region, str(operation)
        if asked not in self._answered:
            return arrow_schema(EXTRACTION_IMAGES).empty_table()
        if self._few_answers is None:
            return _newest_of_each_image(self._answers(_OF_OPERATION, *asked))
        registry_id, in_region, of = (pc.field(name) for name in ("registry_id", "region", "operation"))
        mine = (registry_id == asked[0]) & (in_region == asked[1]) & (of == asked[2])
        return _newest_of_each_image(self._few_answers.filter(mine))

    @cached_property
    def _answered(self) -> dict[tuple[str, str, str], int]:
        """The scopes and operations of which there are answers, and how many rows that are."""
        try:
            with self._lock:
                rows = self._rows(EXTRACTION_IMAGES, _ANSWERED)
        except _NOT_AS_NOW:
            return {}
        return {(account, region, name): count for account, region, name, count in rows}

    @cached_property
    def _few_answers(self) -> pa.Table | None:
        """All answers, so that nothing is opened for those of one scope; None if they are too many to hold."""
        count = sum(self._answered.values())
        return self._answers("") if 0 < count <= _FEW_ANSWERS else None

    def _answers(self, condition: str, *values: str) -> pa.Table:
        schema = arrow_schema(EXTRACTION_IMAGES)
        with self._lock, self.tables() as client:
            names = ", ".join(client.escape_column_name(name) for name in schema.names)
            table = client.make_qualified_table_name(EXTRACTION_IMAGES.name)
            statement = _ANSWERS.format(names=names, table=table)
            with client.execute_query(f"{statement}{condition}", *values) as cursor:
                return fetch_all(cursor, schema)

    def _loaded_as(self, scope: Scope) -> tuple[str, str]:
        return (self._pseudonyms.text(scope.registry_id) if self._pseudonyms else scope.registry_id), scope.region

    def tables(self) -> AbstractContextManager[SqlClient]:
        """The SQL client of the dataset, opened."""
        return nullcontext(self._client) if self._client else self.destination.open_tables(self._pipeline)

    def _rows(self, table: Table | RunTable, sql: str, *values: str) -> Sequence[Sequence[Any]]:
        """What a statement on the table returns; nothing if there is no such table."""
        try:
            with self.tables() as client:
                name = client.make_qualified_table_name(table.name)
                scopes = client.make_qualified_table_name(EXTRACTION_SCOPES.name)
                return client.execute_sql(sql.format(table=name, scopes=scopes), *values) or ()
        except _NO_TABLE:
            return ()


def fetch_all(cursor: DBApiCursor, schema: pa.Schema) -> pa.Table:
    """All rows of a query whose columns are those of `schema`, with that schema.

    What drivers hand over differs: BigQuery's is batches, Snowflake's has names in upper case, or is None.
    """
    parts = [part for part in cursor.iter_arrow(chunk_size=cast("int", None)) if part is not None]
    tables = [pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part for part in parts]
    return pa.concat_tables(
        [table.rename_columns(schema.names).cast(schema) for table in tables] or [schema.empty_table()]
    )


def _newest_of_each_image(rows: pa.Table) -> pa.Table:
    """Where rows are appended, an image has one for each time that it was asked."""
    key = list(IMAGE)
    newest = rows.group_by(key, use_threads=False).aggregate([("extracted_at", "max")])
    if newest.num_rows == rows.num_rows:
        return rows
    times = newest.rename_columns([*key, "extracted_at"])
    return rows.join(times, [*key, "extracted_at"], join_type="inner").select(rows.column_names)
