"""The walk over the scopes: each from its listing to its last row, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

import pyarrow as pa

from ecr_source import catalog
from ecr_source.aws.api import Api, Usage
from ecr_source.aws.budget import Budget
from ecr_source.aws.dispatch import Calls, Job
from ecr_source.aws.rate import Rate
from ecr_source.aws.scopes import FROM_BOTOCORE, Found, Scope, Target, Unreachable
from ecr_source.catalog import EXTRACTION_IMAGES
from ecr_source.catalog.table import EachRow, Operation, Table
from ecr_source.catalog.tables.image import IMAGE_TAGS, IMAGES
from ecr_source.errors import Disabled, Interrupted
from ecr_source.extract.images.image_selection import NEVER, Bounds, Earlier
from ecr_source.extract.name_patterns import is_pattern, matching_any
from ecr_source.extract.operation import Reading
from ecr_source.extract.progress import Reached, ScopeReached, in_all
from ecr_source.extract.questions import Parents
from ecr_source.extract.repository_record import repositories_told_of
from ecr_source.extract.results import ReadError, ScopeRead, TableRead, table_status
from ecr_source.extract.rows.spool import TableFile
from ecr_source.statuses import GONE, PARTIAL, POSTPONED, READ, SELECTED, SKIPPED

SCOPES_AT_A_TIME = 8
_SECONDS_BETWEEN_SIGNALS = 0.2


class Observer:
    """Is told how the walk goes on, from several threads; this class itself does nothing with it."""

    def scopes_found(self, count: int) -> None:
        """So many scopes are to be read."""

    def rows_read(self, scope: Scope, table: Table, rows: int) -> None:
        """So many more rows of `table` have been read in `scope`."""

    def going_on(self, scopes: Sequence[ScopeReached]) -> None:
        """These scopes are being read; it is told so every fifth of a second."""

    def scope_ended(self, read: ScopeRead) -> None:
        """A scope has been read, as far as it could be."""


@dataclass(frozen=True)
class Walk:
    """What to read, and where the rows wait.

    `names` asks for single repositories, or for those that match shell patterns, instead of the whole listing; `bounds`
    and `earlier` say for which images an answer is asked again; `without` are operations that are not called; at most
    `max_in_flight` calls are under way in all scopes together; what the `budget` does not reach is postponed; `stopped`
    ends the reading at the next call.
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
    _under_way: dict[Scope, ScopeWalk] = field(default_factory=dict, init=False)

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
                reading = [pool.submit(self._read_scope, calls, found, len(scopes) == 1) for found in oldest_first]
                reads = _results(reading, self._tell)
            except BaseException:
                self.stopped.set()
                raise
        order = {found.scope: position for position, found in enumerate(scopes)}
        errors = errors_without_matched([(read.errors, read.matched) for read in reads])
        kept = [_with_errors(read, left) for read, left in zip(reads, errors, strict=True)]
        return sorted(kept, key=lambda read: order[read.scope])

    def _tell(self) -> None:
        self.observer.going_on([walk.reached() for walk in list(self._under_way.values())])

    def _oldest_first(self, scopes: Sequence[Found]) -> list[Found]:
        def tried_at(found: Found) -> datetime:
            tables = self.tables_of(found)
            return min((self.earlier.last_tried(table, found.scope) for table in tables), default=NEVER)

        return sorted(scopes, key=tried_at)

    def tables_of(self, found: Found) -> list[Table]:
        """The tables that are read in a scope."""
        return [table for table in self.tables if table.operation.service in found.services]

    def _read_scope(self, calls: Calls, found: Found, is_only: bool) -> ScopeRead:
        if self.stopped.is_set():
            raise Interrupted(f"stopped before reading {found.scope}")
        read = self._read_target(calls, found) if isinstance(found, Target) else self._unreachable(found)
        if is_only:  # no other scope can have the names that this one lacks, so that its status is known already
            read = _with_errors(read, read.errors)
        self.observer.scope_ended(read)
        return read

    def _read_target(self, calls: Calls, target: Target) -> ScopeRead:
        if self.budget.is_spent:
            return self._unread(target, POSTPONED)
        connection = target.connect()
        try:
            walk = ScopeWalk(self, Api(connection, self.budget), calls, target.region_from)
            self._under_way[target.scope] = walk
            return walk.read()
        finally:
            self._under_way.pop(target.scope, None)
            connection.close()

    def _unreachable(self, found: Unreachable) -> ScopeRead:
        error = found.error
        failed = ReadError(error.operation, "", error.error_code, str(error), error.status)
        return self._unread(found, error.status, [failed])

    def _unread(self, found: Found, status: str, errors: Sequence[ReadError] = ()) -> ScopeRead:
        """A scope of which nothing was asked."""
        tables = [
            TableRead.unread(table, status, self.kept_from(table, found.scope, status))
            for table in self.tables_of(found)
        ]
        return ScopeRead(found.scope, found.region_from, tables, list(errors))

    def kept_from(self, table: Table, scope: Scope, status: str) -> datetime | None:
        """When the rows were read that stay, where the table was not read; None if it was, or there are none."""
        read_at = NEVER if status in (*READ, SKIPPED) else self.earlier.last_read(table, scope)
        return read_at if read_at != NEVER else None


def _results(futures: Sequence[Future[ScopeRead]], tell: Callable[[], None]) -> list[ScopeRead]:
    """The results, in order; the first error ends the waiting, in which it is told now and then how that goes on."""
    waiting = set(futures)
    while waiting:
        # With a timeout, because Ctrl-C is handled by the main thread only when it wakes up.
        done, waiting = wait(waiting, timeout=_SECONDS_BETWEEN_SIGNALS, return_when=FIRST_EXCEPTION)
        for one in done:
            one.result()
        tell()
    return [one.result() for one in futures]


def _with_errors(read: ScopeRead, errors: list[ReadError]) -> ScopeRead:
    """With these errors only: where a name was asked for that no scope has, not all was read that was asked for."""
    lacks = any(error.status == GONE for error in errors)
    tables = [replace(table, status=PARTIAL) if lacks and table.status == SELECTED else table for table in read.tables]
    return replace(read, errors=errors, tables=tables)


def errors_without_matched(scopes: Sequence[tuple[list[ReadError], frozenset[str]]]) -> list[list[ReadError]]:
    """The errors of each scope without those for names that no repository has there, but one of another scope has.

    A scope is its errors, and the names and patterns that its repositories match.
    """
    matched: frozenset[str] = frozenset().union(*(patterns for _, patterns in scopes))
    return [
        [error for error in errors if error.status != GONE or error.resource not in matched] for errors, _ in scopes
    ]


class ScopeWalk:
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
        stages = stages_of(catalog.operations_of(self._tables, self._walk.without))
        for stage in stages:
            # So that a budget reaches every stage; what is one listing needs all its pages, or is nothing.
            has_half = stage is not stages[-1] and all(isinstance(one.each, EachRow) for one in stage)
            self._api.budget = self._walk.budget.half() if has_half else self._walk.budget
            self._read_stage([operation for operation in stage if self._is_wanted(operation)])
        readings = self._readings.values()
        files = [file for reading in readings for file in reading.files.values() if file.table not in self._tables]
        records = [file for file in files if file.table is EXTRACTION_IMAGES]
        records += [file for operation in self._without_need() for file in self._emptied(operation)]
        records += [*self._repositories_told_of()]
        for file in files:
            if file not in records:
                file.path.unlink()
        errors = [error for reading in readings for error in reading.failures.errors if not self._is_replaced(reading)]
        if self._region_from == FROM_BOTOCORE:
            # That a region of botocore's list is not enabled is what reading it was to find out.
            errors = [error for error in errors if error.status != Disabled.status]
        tables = [self._table_read(table) for table in self._tables]
        matched = frozenset(pattern for reading in readings for pattern in reading.matched)
        return ScopeRead(self._api.scope, self._region_from, tables, errors, records, matched)

    def reached(self) -> ScopeReached:
        """How far it is, told to another thread."""
        by_group: dict[str, list[Reached]] = {}
        for operation, table in self._first_tables.items():
            reading = self._readings.get(operation)
            if reading or (operation not in self._walk.without and self._is_wanted(operation)):
                reached = reading.reached if reading else Reached(are_all_known=False, seconds_left=None)
                by_group.setdefault(catalog.group_of(table), []).append(reached)
        return ScopeReached(self._api.scope, {group: in_all(parts) for group, parts in by_group.items()})

    def _read_stage(self, operations: Sequence[Operation]) -> None:
        jobs: dict[Rate, Iterator[Job]] = {}
        for operation in operations:
            more = self._begin(operation).jobs(self._parents(operation), self._walk.stopped)
            rate = self._api.rate_of(operation)  # ListCoverage is two operations, at one rate
            jobs[rate] = chain(jobs.get(rate, ()), more)
        self._calls.do(jobs, self._walk.stopped)
        if self._walk.stopped.is_set():
            raise Interrupted(f"stopped while reading {self._api.scope}")
        for operation in operations:
            self._readings[operation].finish()

    def _begin(self, operation: Operation) -> Reading:
        tables = [table for table in self._spooled() if operation in table.operations]
        # Tables of single images and the record of what was asked are loaded together, or none of them is.
        is_of_images = any(table.is_asked_again for table in tables)
        self._readings[operation] = Reading(
            self._api,
            operation,
            tables,
            self._walk.folder,
            self._walk.names or None,
            self._rows_read,
            self._started_at if is_of_images else datetime.now(UTC),
            is_offered=not self._walk.earlier.lacks(operation, self._api.scope),
            vanished=partial(self._vanished, operation),
        )
        return self._readings[operation]

    def _rows_read(self, table: Table, rows: int) -> None:
        if table in self._tables:  # others only say what else to ask
            self._walk.observer.rows_read(self._api.scope, table, rows)

    def _spooled(self) -> list[Table]:
        """The tables that are loaded, and those whose rows say what else to ask."""
        operations = catalog.operations_of(self._tables, self._walk.without)
        parents = [operation.parent for operation in operations if operation.parent]
        if self._walk.bounds.look_at_tags and IMAGES in parents:
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

    def _vanished(self, listing: Operation, patterns: Sequence[str], listed: Sequence[str]) -> list[str]:
        """The repositories that match patterns, have rows in the tables to load, and are not listed any more."""
        earlier = self._walk.earlier
        tables = [table for table in self._tables if listing in catalog.operations_of([table])]
        names = partial(pa.array, type=pa.string())
        in_tables = earlier.names(names(filter(is_pattern, patterns))).to_pylist()
        loaded = matching_any(in_tables, earlier.repositories(tables, self._api.scope))
        return sorted({*loaded}.difference(earlier.names(names(listed)).to_pylist()))

    def _is_wanted(self, operation: Operation) -> bool:
        """Whether it is read: not one that only stands in for others that could be read."""
        # A copy: another thread asks too, while readings are begun.
        preferred = [reading for other, reading in list(self._readings.items()) if other.instead is operation]
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

    def _repositories_told_of(self) -> Iterator[TableFile]:
        """A file of extraction_repositories for each operation that tells of repositories."""
        for operation, reading in self._readings.items():
            listed = operation.parent or (operation.instead.parent if operation.instead else None)
            if listed is None or reading.status not in READ or listed.key[-1] != "repository_name":
                continue
            if file := self._readings[listed.operation].files.get(listed):
                yield repositories_told_of(reading, file, self._walk.folder)

    def _is_replaced(self, reading: Reading) -> bool:
        return reading.operation.instead in self._readings

    def _table_read(self, table: Table) -> TableRead:
        operations = [operation for operation in table.operations if operation in self._readings]
        readings = [self._readings[operation] for operation in operations]
        counted = [reading for reading in readings if not self._is_replaced(reading)]
        first = {str(one): one for one in self._readings if self._first_tables[one] is table}
        excepted = {name for reading in counted for name in reading.failures.repositories}
        status = table_status([reading.status for reading in counted])
        return TableRead(
            table=table,
            status=status,
            files=[reading.files[table] for reading in counted if table in reading.files],
            usage=_sum([self._api.usage_of(operation) for operation in first.values()]),
            excepted_repositories=len(excepted),
            note="; ".join(filter(None, (reading.note for reading in readings))),
            started_at=min((reading.started_at for reading in readings), default=self._started_at),
            finished_at=max((reading.finished_at for reading in readings), default=self._started_at),
            images=next((reading.images for reading in counted if reading.images), None),
            kept_from=self._walk.kept_from(table, self._api.scope, status),
            resumes_at=next((reading.resumes_at for reading in counted if reading.resumes_at), ""),
            is_postponed=any(reading.is_postponed for reading in counted),
        )

    @cached_property
    def _first_tables(self) -> dict[Operation, Table]:
        """The table whose row tells what the calls of an operation cost; the others come with its responses."""
        found: dict[Operation, Table] = {}
        by_name: dict[str, Table] = {}
        for table in self._tables:
            for operation in catalog.operations_of([table]):
                found.setdefault(operation, by_name.setdefault(str(operation), table))
        return found


def stages_of(operations: Sequence[Operation]) -> list[list[Operation]]:
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
