"""The walk over one scope, from its listing to its last row."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
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
from ecr_source.aws.scopes import FROM_BOTOCORE, Scope
from ecr_source.catalog import EXTRACTION_IMAGES
from ecr_source.catalog.table import EachRow, Operation, Table
from ecr_source.catalog.tables.image import IMAGE_TAGS, IMAGES
from ecr_source.errors import Disabled, Interrupted
from ecr_source.extract.images.image_selection import NEVER, Bounds, Earlier
from ecr_source.extract.name_patterns import is_pattern, matching_any
from ecr_source.extract.operations.questions import Parents
from ecr_source.extract.operations.reading import Reading
from ecr_source.extract.reached import Reached, ScopeReached, in_all
from ecr_source.extract.repository_record import repositories_told_of
from ecr_source.extract.results import ScopeRead, TableRead, table_status
from ecr_source.extract.rows.spool import TableFile
from ecr_source.statuses import READ, SKIPPED


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
class Selection:
    """What to read, and where the rows wait.

    `names` asks for single repositories, or for those that match shell patterns, instead of the whole listing; `bounds`
    and `earlier` say for which images an answer is asked again; `without` are operations that are not called; what the
    `budget` does not reach is postponed; `stopped` ends the reading at the next call.
    """

    tables: Sequence[Table]
    folder: Path
    _: KW_ONLY
    names: Sequence[str] = ()
    bounds: Bounds = field(default_factory=Bounds)
    earlier: Earlier = field(default_factory=Earlier)
    without: Collection[Operation] = ()
    budget: Budget = field(default_factory=Budget)
    observer: Observer = field(default_factory=Observer)
    stopped: threading.Event = field(default_factory=threading.Event)

    def kept_from(self, table: Table, scope: Scope, status: str) -> datetime | None:
        """When the rows were read that stay, where the table was not read; None if it was, or there are none."""
        read_at = NEVER if status in (*READ, SKIPPED) else self.earlier.last_read(table, scope)
        return read_at if read_at != NEVER else None


class ScopeWalk:
    """One scope, stage by stage: an operation is read when the table is complete whose rows it is called for."""

    def __init__(self, selection: Selection, api: Api, calls: Calls, region_from: str) -> None:
        self._selection = selection
        self._api = api
        self._calls = calls
        self._region_from = region_from
        services = set(api.connection.clients)
        self._tables = [table for table in selection.tables if table.operation.service in services]
        self._readings: dict[Operation, Reading] = {}
        self._started_at = datetime.now(UTC)

    def read(self) -> ScopeRead:
        """Reads all tables of the scope."""
        stages = stages_of(catalog.operations_of(self._tables, self._selection.without))
        for stage in stages:
            # So that a budget reaches every stage; what is one listing needs all its pages, or is nothing.
            has_half = stage is not stages[-1] and all(isinstance(one.each, EachRow) for one in stage)
            self._api.budget = self._selection.budget.half() if has_half else self._selection.budget
            self._read_stage([operation for operation in stage if self._is_wanted(operation)])
        readings = self._readings.values()
        files = [file for reading in readings for file in reading.files.values() if file.table not in self._tables]
        records = [file for file in files if file.table is EXTRACTION_IMAGES]
        records += [file for operation in self._without_need() for file in self._emptied(operation)]
        records += [*self._repositories_told_of()]
        for file in files:
            if file not in records:
                file.delete()
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
            if reading or (operation not in self._selection.without and self._is_wanted(operation)):
                reached = reading.reached if reading else Reached(are_all_known=False, seconds_left=None)
                by_group.setdefault(catalog.group_of(table), []).append(reached)
        return ScopeReached(self._api.scope, {group: in_all(parts) for group, parts in by_group.items()})

    def _read_stage(self, operations: Sequence[Operation]) -> None:
        jobs: dict[Rate, Iterator[Job]] = {}
        for operation in operations:
            more = self._begin(operation).jobs(self._parents(operation), self._selection.stopped)
            rate = self._api.rate_of(operation)  # ListCoverage is two operations, at one rate
            jobs[rate] = chain(jobs.get(rate, ()), more)
        self._calls.do(jobs, self._selection.stopped)
        if self._selection.stopped.is_set():
            raise Interrupted(f"stopped while reading {self._api.scope}")
        for operation in operations:
            self._readings[operation].finish()

    def _begin(self, operation: Operation) -> Reading:
        tables = [table for table in self._spooled if operation in table.operations]
        # Tables of single images and the record of what was asked are loaded together, or none of them is.
        is_of_images = any(table.is_asked_again for table in tables)
        self._readings[operation] = Reading(
            self._api,
            operation,
            tables,
            self._selection.folder,
            self._selection.names or None,
            self._rows_read,
            self._started_at if is_of_images else datetime.now(UTC),
            is_offered=not self._selection.earlier.lacks(operation, self._api.scope),
            vanished=partial(self._vanished, operation),
        )
        return self._readings[operation]

    def _rows_read(self, table: Table, rows: int) -> None:
        if table in self._tables:  # others only say what else to ask
            self._selection.observer.rows_read(self._api.scope, table, rows)

    @cached_property
    def _spooled(self) -> list[Table]:
        """The tables that are loaded, and those whose rows say what else to ask."""
        operations = catalog.operations_of(self._tables, self._selection.without)
        parents = [operation.parent for operation in operations if operation.parent]
        if self._selection.bounds.look_at_tags and IMAGES in parents:
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
            bounds=self._selection.bounds,
            earlier=self._selection.earlier,
        )

    def _vanished(self, listing: Operation, patterns: Sequence[str], listed: Sequence[str]) -> list[str]:
        """The repositories that match patterns, have rows in the tables to load, and are not listed any more."""
        earlier = self._selection.earlier
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
        reading = Reading(
            self._api, operation, tables, self._selection.folder, None, lambda _, __: None, self._started_at
        )
        return reading.emptied(parents).values()

    def _repositories_told_of(self) -> Iterator[TableFile]:
        """A file of extraction_repositories for each operation that tells of repositories."""
        for operation, reading in self._readings.items():
            listed = operation.parent or (operation.instead.parent if operation.instead else None)
            if listed is None or reading.status not in READ or listed.key[-1] != "repository_name":
                continue
            if file := self._readings[listed.operation].files.get(listed):
                yield repositories_told_of(reading, file, self._selection.folder)

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
            kept_from=self._selection.kept_from(table, self._api.scope, status),
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
