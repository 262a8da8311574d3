"""What a walk asks of the runs before it, answered by the dataset that they have loaded."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.scopes import Scope
from ecr_source.catalog import (
    EXTRACTION_ERRORS,
    EXTRACTION_IMAGES,
    EXTRACTION_REPOSITORIES,
    EXTRACTION_SCOPES,
    TABLES,
)
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Filling, Operation, Table
from ecr_source.destinations.replacement import scope_columns
from ecr_source.destinations.warehouse import SqlClient
from ecr_source.extract.images.image_selection import NEVER, Earlier
from ecr_source.extract.images.portions import compact
from ecr_source.extract.rows.pseudonyms import Pseudonyms
from ecr_source.loading.loaded.dataset import NOT_AS_NOW, Dataset
from ecr_source.statuses import NOT_OFFERED, POSTPONED, READ, SKIPPED

_ANSWER = compact(arrow_schema(EXTRACTION_IMAGES))

_NOT_OFFERED_FOR = timedelta(days=7)
# Fewer calls say more of the start of a run than of its rate.
_CALLS_THAT_TELL_A_RATE = 50

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
_RATE = f"""
SELECT sum(calls) / nullif(sum(extract(epoch FROM finished_at) - extract(epoch FROM started_at)), 0)
FROM {{table}} WHERE registry_id = %s AND region = %s AND calls >= {_CALLS_THAT_TELL_A_RATE}
"""  # noqa: S608 (a number of ours)


@dataclass(frozen=True)
class _LastRead:
    """When a table was read in a scope, and what a person should know of it.

    `resumes_at` is the repository at which the budget ended, if it did.
    """

    started_at: datetime
    resumes_at: str | None
    note: str | None


_NOT_READ = _LastRead(NEVER, None, None)


class EarlierRuns(Earlier):
    """What a dataset tells a walk, of whichever pipeline loaded it: dlt's state knows only those of one name.

    Scopes and images are asked for as the registry names them; in the tables they may have pseudonyms.
    """

    def __init__(self, dataset: Dataset, pseudonyms: Pseudonyms | None = None) -> None:
        self._dataset = dataset
        self._pseudonyms = pseudonyms
        # One question at a time: scopes are read by several threads.
        self._lock = threading.Lock()

    def masked(self, pseudonyms: Pseudonyms | None) -> EarlierRuns:
        """The same with the scopes in it under these pseudonyms; what was asked is not asked again."""
        earlier = copy(self)
        earlier._pseudonyms = pseudonyms
        return earlier

    def ask_of_scopes(self) -> None:
        """Asks, for all scopes at once, what every walk needs to know."""
        _ = self._last_tries, self._not_offered, self._last_reads, self._dataset.last_run

    def ask_of_images(self) -> None:
        """Asks, for all scopes at once, which images were asked for."""
        _ = self._few_answers

    def calls_a_second(self, scope: Scope) -> float | None:
        """The rate of the calls of the last runs in the scope; None if there were few, or none."""
        rows = self._dataset.rows(EXTRACTION_SCOPES, _RATE, *self._loaded_as(scope))
        return float(rows[0][0]) if rows and rows[0][0] else None

    def last_read(self, table: Table, scope: Scope) -> datetime:
        """When `table` was read last, completely or in part; `NEVER` if it was not."""
        return self._last_read(table, scope).started_at

    def resumes_at(self, table: Table, scope: Scope) -> str:
        """The repository at which the budget of the last run ended for `table`; empty if it did not."""
        return self._last_read(table, scope).resumes_at or ""

    def was_replaced(self, operation: Operation, scope: Scope) -> bool:
        """Whether the last run could not read the operation, so that another one was read instead."""
        notes = [self._last_read(table, scope).note for table in TABLES if operation in table.operations]
        return any(f"{operation.instead} was read instead: cannot call {operation} " in (note or "") for note in notes)

    def _last_read(self, table: Table, scope: Scope) -> _LastRead:
        return self._last_reads.get((table.name, *self._loaded_as(scope)), _NOT_READ)

    @cached_property
    def _last_reads(self) -> dict[tuple[str, str, str], _LastRead]:
        try:
            with self._lock:
                rows = self._dataset.rows(EXTRACTION_SCOPES, _LAST_READS)
        except NOT_AS_NOW:
            return {}
        return {(name, account, region): _LastRead(*last) for name, account, region, *last in rows}

    def lacks(self, operation: Operation, scope: Scope) -> bool:
        """Whether a run of the last days was told that the operation is not offered in the scope."""
        return (str(operation), *self._loaded_as(scope)) in self._not_offered

    @cached_property
    def _not_offered(self) -> set[tuple[str, str, str]]:
        since = datetime.now(UTC) - _NOT_OFFERED_FOR
        with self._lock:
            rows = self._dataset.rows(EXTRACTION_ERRORS, _NOT_OFFERED)
        return {(operation, account, region) for operation, account, region, told_at in rows if told_at > since}

    def repositories(self, tables: Sequence[Table], scope: Scope) -> list[str]:
        """The repositories of which these tables have rows, or any operation told, as they are named in them."""
        asked = [one for one in tables if len(one.replaced_by) > 1 and self._last_read(one, scope) != _NOT_READ]
        if not asked:
            return []
        with self._lock, self._dataset.tables() as client:
            statement = " UNION ".join(
                f"SELECT DISTINCT {table.replaced_by[1][-1]} {self._from(client, table)}" for table in asked
            )
            values = (value for table in asked for value in self._values(table, scope))
            rows = client.execute_sql(statement, *values) or ()
            told_of = self._dataset.rows(EXTRACTION_REPOSITORIES, _TOLD_OF, *self._loaded_as(scope))
        return [name for (name,) in (*rows, *told_of)]

    def loaded_rows(self, table: Table, columns: Sequence[str], scope: Scope) -> pa.Table | None:
        """These columns of the table's rows of the scope; None if it was never read."""
        if self._last_read(table, scope) == _NOT_READ:
            return None
        schema = pa.schema([arrow_schema(table).field(name) for name in columns])
        with self._lock, self._dataset.tables() as client:
            names = ", ".join(map(client.escape_column_name, schema.names))
            statement = f"SELECT {names} {self._from(client, table)}"
            return self._dataset.fetch(client, statement, schema, *self._values(table, scope))

    def listed_items(
        self, table: Table, filling: Filling, scope: Scope, more_than: int
    ) -> dict[tuple[str, ...], int] | None:
        """How many items the listing of each of the `asked_columns` has that fills the table so, where there are more
        than so many; None if the table was never read."""
        if self._last_read(table, scope) == _NOT_READ:
            return None
        by = [filling.column_of(name) for name in filling.asked_columns]
        names = dict.fromkeys([*by, *table.listed_key(filling)])
        told_apart = {name: value for name, value in filling.constants.items() if name in table.replaced_by[0]}
        with self._lock, self._dataset.tables() as client:
            where = "".join(f" AND {name} = %s" for name in told_apart)
            distinct = f"SELECT DISTINCT {', '.join(names)} {self._from(client, table)}{where}"
            counted = f"SELECT {', '.join([*by, 'count(*)'])} FROM ({distinct}) AS items"  # noqa: S608 (names of ours)
            grouped = f" GROUP BY {', '.join(by)}" if by else ""
            statement = f"{counted}{grouped} HAVING count(*) > {more_than}"
            rows = client.execute_sql(statement, *self._values(table, scope), *told_apart.values())
        return {tuple(asked): int(count) for *asked, count in rows or ()}

    def _from(self, client: SqlClient, table: Table) -> str:
        """The rows of the table that are there now, of the scope of which the placeholders have the `_values`."""
        conditions = [*(f"{column} = %s" for column in scope_columns(table)), *self._dataset.of_versions]
        return f"FROM {client.make_qualified_table_name(table.name)} WHERE {' AND '.join(conditions)}"

    def _values(self, table: Table, scope: Scope) -> list[str]:
        values = dict(zip(("registry_id", "region"), self._loaded_as(scope), strict=True))
        return [values[column] for column in scope_columns(table)]

    def names(self, names: pa.StringArray) -> pa.StringArray:
        """The names of the registry as they are in the tables."""
        return self._dataset.destination.storable_names(self._pseudonyms.column(names) if self._pseudonyms else names)

    def last_tried(self, table: Table, scope: Scope) -> datetime:
        """When `table` was asked for last, whatever came of it; `NEVER` if it was not."""
        return self._last_tries.get((table.name, *self._loaded_as(scope)), NEVER)

    @cached_property
    def _last_tries(self) -> dict[tuple[str, str, str], datetime]:
        with self._lock:
            rows = self._dataset.rows(EXTRACTION_SCOPES, _LAST_TRIES)
        return {(name, account, region): tried_at for name, account, region, tried_at in rows}

    def answers(self, operation: Operation, scope: Scope) -> pa.Table:
        """The rows of extraction_images, with the `compact` schema of that table; of an image the newest counts."""
        account, region = self._loaded_as(scope)
        asked = account, region, str(operation)
        if asked not in self._answered:
            return _ANSWER.empty_table()
        if self._few_answers is None:
            return self._answers(_OF_OPERATION, *asked)
        registry_id, in_region, of = (pc.field(name) for name in ("registry_id", "region", "operation"))
        mine = (registry_id == asked[0]) & (in_region == asked[1]) & (of == asked[2])
        return self._few_answers.filter(mine)

    @cached_property
    def _answered(self) -> dict[tuple[str, str, str], int]:
        """The scopes and operations of which there are answers, and how many rows that are."""
        try:
            with self._lock:
                rows = self._dataset.rows(EXTRACTION_IMAGES, _ANSWERED)
        except NOT_AS_NOW:
            return {}
        return {(account, region, name): count for account, region, name, count in rows}

    @cached_property
    def _few_answers(self) -> pa.Table | None:
        """All answers, so that nothing is opened for those of one scope; None if they are too many to hold."""
        count = sum(self._answered.values())
        return self._answers("") if 0 < count <= _FEW_ANSWERS else None

    def _answers(self, condition: str, *values: str) -> pa.Table:
        with self._lock, self._dataset.tables() as client:
            names = ", ".join(client.escape_column_name(name) for name in _ANSWER.names)
            table = client.make_qualified_table_name(EXTRACTION_IMAGES.name)
            statement = _ANSWERS.format(names=names, table=table)
            return self._dataset.fetch(client, f"{statement}{condition}", _ANSWER, *values)

    def _loaded_as(self, scope: Scope) -> tuple[str, str]:
        return (self._pseudonyms.text(scope.registry_id) if self._pseudonyms else scope.registry_id), scope.region
