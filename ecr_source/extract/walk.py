"""The walk over the scopes: each from its listing to its last row, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime

from ecr_source.aws.api import Api
from ecr_source.aws.dispatch import Calls
from ecr_source.aws.scopes import Found, Scope, Target, Unreachable
from ecr_source.catalog.table import Table
from ecr_source.errors import Interrupted
from ecr_source.extract.images.image_selection import NEVER
from ecr_source.extract.results import ReadError, ScopeRead, TableRead
from ecr_source.extract.scope_walk import ScopeWalk, Selection
from ecr_source.statuses import GONE, PARTIAL, POSTPONED, SELECTED

SCOPES_AT_A_TIME = 8
_SECONDS_BETWEEN_SIGNALS = 0.2


@dataclass(frozen=True)
class Walk(Selection):
    """What is read, and that at most `max_in_flight` calls are under way in all scopes together."""

    _: KW_ONLY
    max_in_flight: int = 32
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
