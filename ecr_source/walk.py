"""The walk over the scopes: each from its listing to its last row, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from ecr_source import catalog
from ecr_source.again import Bounds, Earlier, Nothing
from ecr_source.api import Api, Usage
from ecr_source.catalog.image import IMAGE_TAGS, IMAGES
from ecr_source.catalog.table import Operation, Table
from ecr_source.dispatch import dispatch
from ecr_source.errors import Interrupted
from ecr_source.failures import ReadError
from ecr_source.reading import Parents, Reading
from ecr_source.scopes import Connection, Scope
from ecr_source.spool import TableFile

SCOPES_AT_A_TIME = 8

READ = {"complete", "partial"}
"""The statuses of what was read, so that its rows are loaded."""

Observer: TypeAlias = Callable[[Scope, Table, int], None]
"""Is told of rows as they are read: the scope, the table and how many. Called from several threads."""


@dataclass(frozen=True)
class TableRead:
    """How the reading of one table in one scope ended: a row of `extraction_scopes`.

    `files` are those of the operations that were read; `note` says what a person should know of how it was read.
    """

    table: Table
    status: str
    files: list[TableFile]
    usage: Usage
    excepted_repositories: int
    note: str
    started_at: datetime
    finished_at: datetime

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class ScopeRead:
    """What came of one scope."""

    scope: Scope
    tables: list[TableRead]
    errors: list[ReadError]


@dataclass(frozen=True)
class Walk:
    """What to read, and where the rows wait.

    `names` asks for single repositories instead of the whole listing; `bounds` and `earlier` say for which images an
    answer is asked again; `without` are operations that are not called; `stopped` ends the reading at the next call.
    """

    tables: Sequence[Table]
    folder: Path
    names: Sequence[str] = ()
    bounds: Bounds = field(default_factory=Bounds)
    earlier: Earlier = field(default_factory=Nothing)
    without: Collection[Operation] = ()
    max_in_flight: int = 32
    observe: Observer = lambda scope, table, rows: None
    stopped: threading.Event = field(default_factory=threading.Event)

    def read(self, connections: Sequence[Connection]) -> list[ScopeRead]:
        """Reads all scopes, at most `SCOPES_AT_A_TIME` at once; what fails in one does not touch the others."""
        if not connections:
            return []
        with ThreadPoolExecutor(min(SCOPES_AT_A_TIME, len(connections)), "scope") as pool:
            try:
                return list(pool.map(self._read_scope, connections))
            except BaseException:
                self.stopped.set()
                raise

    def _read_scope(self, connection: Connection) -> ScopeRead:
        return _ScopeWalk(self, Api(connection)).read()


class _ScopeWalk:
    """One scope, stage by stage: an operation is read when the table is complete whose rows it is called for."""

    def __init__(self, walk: Walk, api: Api) -> None:
        self._walk = walk
        self._api = api
        services = set(api.connection.clients)
        self._tables = [table for table in walk.tables if table.operation.service in services]
        self._readings: dict[Operation, Reading] = {}
        self._started_at = datetime.now(UTC)

    def read(self) -> ScopeRead:
        """Reads all tables of the scope."""
        for stage in _stages(catalog.operations_of(self._tables, self._walk.without)):
            self._read_stage([operation for operation in stage if self._is_wanted(operation)])
        readings = self._readings.values()
        for file in [
            file for reading in readings for table, file in reading.files.items() if table not in self._tables
        ]:
            file.path.unlink()
        errors = [error for reading in readings for error in reading.errors if not self._is_replaced(reading)]
        return ScopeRead(self._api.scope, [self._table_read(table) for table in self._tables], errors)

    def _read_stage(self, operations: Sequence[Operation]) -> None:
        jobs = {}
        for operation in operations:
            reading = Reading(
                self._api,
                operation,
                [table for table in self._spooled() if operation in table.operations],
                self._walk.folder,
                self._walk.names or None,
                lambda table, rows: self._walk.observe(self._api.scope, table, rows),
            )
            self._readings[operation] = reading
            jobs[self._api.rate_of(operation)] = reading.jobs(self._parents(operation), self._walk.stopped)
        dispatch(jobs, self._walk.max_in_flight, self._walk.stopped)
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
        files = above.files
        return Parents(above, files.get(operation.parent), files.get(IMAGE_TAGS), self._walk.bounds, self._walk.earlier)

    def _is_wanted(self, operation: Operation) -> bool:
        """Whether it is read: not one that only stands in for others that could be read."""
        preferred = [reading for other, reading in self._readings.items() if other.instead is operation]
        return not preferred or any(reading.status not in READ for reading in preferred)

    def _is_replaced(self, reading: Reading) -> bool:
        return reading.operation.instead in self._readings

    def _table_read(self, table: Table) -> TableRead:
        operations = [operation for operation in table.operations if operation in self._readings]
        readings = [self._readings[operation] for operation in operations]
        counted = [reading for reading in readings if not self._is_replaced(reading)]
        first = [operation for operation in self._readings if self._first_table(operation) is table]
        excepted = {name for reading in counted for name in reading.excepted}
        return TableRead(
            table,
            overall_status([reading.status for reading in counted]),
            [reading.files[table] for reading in counted if table in reading.files],
            _sum([self._api.usage_of(operation) for operation in first]),
            len(excepted),
            "; ".join(filter(None, (reading.note for reading in readings))),
            min((reading.started_at for reading in readings), default=self._started_at),
            max((reading.finished_at for reading in readings), default=self._started_at),
        )

    def _first_table(self, operation: Operation) -> Table:
        """The table whose row tells what the calls of `operation` cost; the others come with its responses."""
        return next(table for table in self._tables if operation in catalog.operations_of([table]))


def _stages(operations: Sequence[Operation]) -> list[list[Operation]]:
    """The operations in the order in which they can be read: those of one stage at the same time."""
    stages: dict[int, list[Operation]] = {}
    for operation in operations:
        preferred = [_depth(other) + 1 for other in operations if other.instead is operation]
        stages.setdefault(max([_depth(operation), *preferred]), []).append(operation)
    return [stages[depth] for depth in sorted(stages)]


def _depth(operation: Operation) -> int:
    return 0 if operation.parent is None else 1 + _depth(operation.parent.operation)


def overall_status(statuses: Sequence[str]) -> str:
    """The status of a table from those of its operations, of a group from those of its tables.

    It is read, if one was; complete, if all were completely.
    """
    distinct = set(statuses) - {"skipped"} or {"skipped"}
    if len(distinct) == 1:
        return distinct.pop()
    return "partial" if distinct & READ else next(status for status in statuses if status in distinct)


def _sum(usages: Sequence[Usage]) -> Usage:
    return Usage(
        sum(usage.calls for usage in usages),
        sum(usage.throttled for usage in usages),
        sum(usage.retried for usage in usages),
    )
