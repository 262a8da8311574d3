"""The walk over the scopes: each from its listing to its last row, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path

from ecr_source import catalog
from ecr_source.aws.api import Api, Usage
from ecr_source.aws.budget import Budget
from ecr_source.aws.dispatch import Calls
from ecr_source.aws.scopes import FROM_BOTOCORE, Found, Scope, Target, Unreachable
from ecr_source.catalog import EXTRACTION_IMAGES
from ecr_source.catalog.table import EachRow, Operation, Table
from ecr_source.catalog.tables.image import IMAGE_TAGS, IMAGES
from ecr_source.errors import Disabled, Interrupted
from ecr_source.extract.image_selection import NEVER, Bounds, Earlier
from ecr_source.extract.operation import Reading
from ecr_source.extract.questions import Parents
from ecr_source.extract.results import ReadError, ScopeRead, TableRead, overall_status
from ecr_source.extract.spool import TableFile
from ecr_source.statuses import POSTPONED, READ

SCOPES_AT_A_TIME = 8
_SECONDS_BETWEEN_SIGNALS = 0.2


class Observer:
    """Is told how the walk goes on, from several threads; this class itself does nothing with it."""

    def scopes_found(self, count: int) -> None:
        """So many scopes are to be read."""

    def rows_read(self, scope: Scope, table: Table, rows: int) -> None:
        """So many more rows of `table` have been read in `scope`."""

    def scope_ended(self, read: ScopeRead) -> None:
        """A scope has been read, as far as it could be."""


@dataclass(frozen=True)
class Walk:
    """What to read, and where the rows wait.

    `names` asks for single repositories instead of the whole listing; `bounds` and `earlier` say for which images an
    answer is asked again; `without` are operations that are not called; at most `max_in_flight` calls are under way in
    all scopes together; what the `budget` does not reach is postponed; `stopped` ends the reading at the next call.
    """

    tables: Sequence[Table]
    folder: Path
    _: KW_ONLY
    names: Sequence[str] = ()
    bounds: Bounds = field(default_factory=Bounds)
    earlier: Earlier = field(default_factory=Earlier)
    without: Collection[Operation] = ()
    max_in_flight: int = 32
    budget: Budget = field(default_factory=Budget)
    observer: Observer = field(default_factory=Observer)
    stopped: threading.Event = field(default_factory=threading.Event)

    def read(self, scopes: Sequence[Found]) -> list[ScopeRead]:
        """Reads all scopes, at most `SCOPES_AT_A_TIME` at once; what fails in one does not touch the others.

        Those that were not tried for longest come first, one by one where calls are counted.
        """
        if not scopes:
            return []
        self.observer.scopes_found(len(scopes))
        oldest_first = self._oldest_first(scopes)
        # Scopes that are read together would race for the last calls of a budget, whichever is the oldest.
        at_a_time = 1 if self.budget.counts_calls else SCOPES_AT_A_TIME
        with Calls(self.max_in_flight) as calls, ThreadPoolExecutor(at_a_time, "scope") as pool:
            try:
                reading = [pool.submit(self._read_scope, calls, found) for found in oldest_first]
                reads = _results(reading)
            except BaseException:
                self.stopped.set()
                raise
        order = {found.scope: position for position, found in enumerate(scopes)}
        return sorted(reads, key=lambda read: order[read.scope])

    def _oldest_first(self, scopes: Sequence[Found]) -> list[Found]:
        def tried_at(found: Found) -> datetime:
            tables = self._tables_of(found)
            return min((self.earlier.last_tried(table, found.scope) for table in tables), default=NEVER)

        return sorted(scopes, key=tried_at)

    def _tables_of(self, found: Found) -> list[Table]:
        return [table for table in self.tables if table.operation.service in found.services]

    def _read_scope(self, calls: Calls, found: Found) -> ScopeRead:
        if self.stopped.is_set():
            raise Interrupted(f"stopped before reading {found.scope}")
        read = self._read_target(calls, found) if isinstance(found, Target) else self._unreachable(found)
        self.observer.scope_ended(read)
        return read

    def _read_target(self, calls: Calls, target: Target) -> ScopeRead:
        if self.budget.is_spent:
            return self._unread(target, POSTPONED)
        connection = target.connect()
        try:
            return _ScopeWalk(self, Api(connection, self.budget), calls, target.region_from).read()
        finally:
            connection.close()

    def _unreachable(self, found: Unreachable) -> ScopeRead:
        error = found.error
        failed = ReadError(error.operation, "", error.error_code, str(error), error.status)
        return self._unread(found, error.status, [failed])

    def _unread(self, found: Found, status: str, errors: Sequence[ReadError] = ()) -> ScopeRead:
        """A scope of which nothing was asked."""
        tables = [TableRead.unread(table, status) for table in self._tables_of(found)]
        return ScopeRead(found.scope, found.region_from, tables, list(errors))


def _results(futures: Sequence[Future[ScopeRead]]) -> list[ScopeRead]:
    """The results, in order; the first error ends the waiting."""
    waiting = set(futures)
    while waiting:
        # With a timeout, because Ctrl-C is handled by the main thread only when it wakes up.
        done, waiting = wait(waiting, timeout=_SECONDS_BETWEEN_SIGNALS, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
    return [one.result() for one in futures]


class _ScopeWalk:
    """One scope, stage by stage: an operation is read when the table is complete whose rows it is called for."""

    def __init__(self, walk: Walk, api: Api, calls: Calls, region_from: str) -> None:
        self._walk = walk
        self._api = api
        self._calls = calls
        self._region_from = region_from
        services = set(api.connection.clients)
        self._tables = [table for table in walk.tables if table.operation.service in services]
        self._readings: dict[Operation, Reading] = {}
        self._started_at = datetime.now(UTC)

    def read(self) -> ScopeRead:
        """Reads all tables of the scope."""
        stages = _stages(catalog.operations_of(self._tables, self._walk.without))
        for stage in stages:
            # So that a budget reaches every stage; what is one listing needs all its pages, or is nothing.
            has_half = stage is not stages[-1] and all(isinstance(one.each, EachRow) for one in stage)
            self._api.budget = self._walk.budget.half() if has_half else self._walk.budget
            self._read_stage([operation for operation in stage if self._is_wanted(operation)])
        readings = self._readings.values()
        files = [file for reading in readings for file in reading.files.values() if file.table not in self._tables]
        records = [file for file in files if file.table is EXTRACTION_IMAGES]
        records += [file for operation in self._without_need() for file in self._emptied(operation)]
        for file in files:
            if file not in records:
                file.path.unlink()
        errors = [error for reading in readings for error in reading.failures.errors if not self._is_replaced(reading)]
        if self._region_from == FROM_BOTOCORE:
            # That a region of botocore's list is not enabled is what reading it was to find out.
            errors = [error for error in errors if error.status != Disabled.status]
        tables = [self._table_read(table) for table in self._tables]
        return ScopeRead(self._api.scope, self._region_from, tables, errors, records)

    def _read_stage(self, operations: Sequence[Operation]) -> None:
        jobs = {}
        for operation in operations:
            tables = [table for table in self._spooled() if operation in table.operations]
            # Tables of single images and the record of what was asked are loaded together, or none of them is.
            is_of_images = any(table.is_asked_again for table in tables)
            reading = Reading(
                self._api,
                operation,
                tables,
                self._walk.folder,
                self._walk.names or None,
                partial(self._walk.observer.rows_read, self._api.scope),
                self._started_at if is_of_images else datetime.now(UTC),
                is_offered=not self._walk.earlier.lacks(operation, self._api.scope),
            )
            self._readings[operation] = reading
            jobs[self._api.rate_of(operation)] = reading.jobs(self._parents(operation), self._walk.stopped)
        self._calls.do(jobs, self._walk.stopped)
        if self._walk.stopped.is_set():
            raise Interrupted(f"stopped while reading {self._api.scope}")
        for operation in operations:
            self._readings[operation].finish()

    def _spooled(self) -> list[Table]:
        """The tables that are loaded, and those whose rows say what else to ask."""
        operations = catalog.operations_of(self._tables, self._walk.without)
        parents = [operation.parent for operation in operations if operation.parent]
        if self._walk.bounds.tag is not None and IMAGES in parents:
            parents.append(IMAGE_TAGS)
        return list(dict.fromkeys([*self._tables, *parents]))

    def _parents(self, operation: Operation) -> Parents | None:
        if operation.parent is None:
            return None
        above = self._readings[operation.parent.operation]
        return Parents(
            status=above.status,
            named=above.named,
            excepted=above.failures.repositories,
            file=above.files.get(operation.parent),
            tags=above.files.get(IMAGE_TAGS),
            bounds=self._walk.bounds,
            earlier=self._walk.earlier,
        )

    def _is_wanted(self, operation: Operation) -> bool:
        """Whether it is read: not one that only stands in for others that could be read."""
        preferred = [reading for other, reading in self._readings.items() if other.instead is operation]
        return not preferred or any(reading.status not in READ for reading in preferred)

    def _without_need(self) -> list[Operation]:
        """The operations that were not read, because others could be that they stand in for."""
        others = {operation.instead for operation in self._readings if operation.instead}
        return [operation for operation in others if operation.again and operation not in self._readings]

    def _emptied(self, operation: Operation) -> Iterable[TableFile]:
        """What empties the tables that only `operation` fills, and its record, if earlier runs have read it here."""
        parents = self._parents(operation)
        if parents is None or not parents.earlier.answers(operation, self._api.scope).num_rows:
            return ()
        tables = [table for table in self._tables if table.operations == (operation,)]
        reading = Reading(self._api, operation, tables, self._walk.folder, None, lambda _, __: None, self._started_at)
        return reading.emptied(parents).values()

    def _is_replaced(self, reading: Reading) -> bool:
        return reading.operation.instead in self._readings

    def _table_read(self, table: Table) -> TableRead:
        operations = [operation for operation in table.operations if operation in self._readings]
        readings = [self._readings[operation] for operation in operations]
        counted = [reading for reading in readings if not self._is_replaced(reading)]
        first = [operation for operation in self._readings if self._first_tables[operation] is table]
        excepted = {name for reading in counted for name in reading.failures.repositories}
        return TableRead(
            table=table,
            status=overall_status([reading.status for reading in counted]),
            files=[reading.files[table] for reading in counted if table in reading.files],
            usage=_sum([self._api.usage_of(operation) for operation in first]),
            excepted_repositories=len(excepted),
            note="; ".join(filter(None, (reading.note for reading in readings))),
            started_at=min((reading.started_at for reading in readings), default=self._started_at),
            finished_at=max((reading.finished_at for reading in readings), default=self._started_at),
            resumes_at=next((reading.resumes_at for reading in counted if reading.resumes_at), ""),
            is_postponed=any(reading.is_postponed for reading in counted),
        )

    @cached_property
    def _first_tables(self) -> dict[Operation, Table]:
        """The table whose row tells what the calls of an operation cost; the others come with its responses."""
        found: dict[Operation, Table] = {}
        for table in self._tables:
            for operation in catalog.operations_of([table]):
                found.setdefault(operation, table)
        return found


def _stages(operations: Sequence[Operation]) -> list[list[Operation]]:
    """The operations in the order in which they can be read: those of one stage at the same time."""
    stages: dict[int, list[Operation]] = {}
    for operation in operations:
        preferred = [_depth(other) + 1 for other in operations if other.instead is operation]
        stages.setdefault(max([_depth(operation), *preferred]), []).append(operation)
    return [stages[depth] for depth in sorted(stages)]


def _depth(operation: Operation) -> int:
    return 0 if operation.parent is None else 1 + _depth(operation.parent.operation)


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        sum(usage.calls for usage in usages),
        sum(usage.throttled for usage in usages),
        sum(usage.retried for usage in usages),
    )
