"""An organization of 17,000 scopes, read in virtual time: every call, at the pace of the project's own rate controller.

The service has a token bucket for each operation of each scope, as AWS does. `python -m tests.pages.scale_page` writes
docs/scale.md with what comes of it.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ecr_source import catalog
from ecr_source.aws.rate import Rate
from ecr_source.catalog.table import EachRow, EachValue, Operation
from ecr_source.catalog.tables.image import IMAGES
from ecr_source.catalog.tables.repository import DESCRIBE_REPOSITORIES, REPOSITORIES
from ecr_source.extract.walk import SCOPES_AT_A_TIME
from tests.server.faults import Bucket

MANY_CALLS = 1_000
"""An operation with so many calls in a scope is long enough to say how much of its rate is used."""


@dataclass(frozen=True)
class Organization:
    """What is read, and what reads it; `granted` and `burst` are of each operation in each scope."""

    accounts: int = 1_000
    regions: int = 17
    share_in_use: float = 0.15
    median_repositories: float = 20
    spread: float = 1.5
    most_repositories: int = 10_000
    granted: float = 20
    burst: float = 20
    latency: float = 0.04
    max_in_flight: int = 32
    calls_a_second: float = 500
    scope_seconds: float = 0.05
    seed: int = 6

    @property
    def scopes(self) -> int:
        return self.accounts * self.regions

    @cached_property
    def repositories(self) -> list[int]:
        """How many repositories each scope has: most none, some few, few many."""
        dice = random.Random(self.seed)
        return [self._repositories(dice) for _ in range(self.scopes)]

    def _repositories(self, dice: random.Random) -> int:
        if dice.random() >= self.share_in_use:
            return 0
        return min(
            self.most_repositories, 1 + int(dice.lognormvariate(math.log(self.median_repositories), self.spread))
        )


_CALLED = catalog.operations_of(catalog.select_tables(()), catalog.not_called("ecr"))
OPERATIONS = [one for one in _CALLED if one not in {other.instead for other in _CALLED}]
"""What a run with the default tables calls, where nothing has to stand in for anything."""


def calls_of(operation: Operation, repositories: int) -> int:
    """How often an operation is called in a scope, if no repository has more than a thousand images."""
    match operation.each:
        case EachValue(_, values):
            return len(values)
        case EachRow(table, _, at_a_time):
            return math.ceil(repositories / at_a_time) if table in (REPOSITORIES, IMAGES) else 0
    is_of_repositories = operation.names or operation.instead
    return max(1, math.ceil(repositories / (operation.page_size or 1))) if is_of_repositories else 1


def calls_of_scope(repositories: int) -> int:
    """All calls in a scope."""
    return sum(calls_of(operation, repositories) for operation in OPERATIONS)


@dataclass(frozen=True)
class TaskRun:
    """How one task went: `scope_seconds` from a scope's first call to its last answer; `used` of what was granted."""

    seconds: float
    calls: int
    refused: int
    scope_seconds: tuple[float, ...]
    granted_of: tuple[float, float]


@dataclass(eq=False)
class _Asked:
    """One operation in one scope: the calls not sent yet, and those not answered well yet."""

    scope: _Scope
    rate: Rate
    bucket: Bucket
    calls: int
    unsent: int
    unanswered: int
    began: float
    queued: bool = False


@dataclass(eq=False)
class _Scope:
    repositories: int
    began: float = 0.0
    ended: float = 0.0
    unanswered: int = 0
    listed: bool = False


@dataclass
class Task:
    """A run that reads some scopes of an organization, a few at a time, in virtual time."""

    organization: Organization
    repositories: Sequence[int]
    now: float = 0.0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _ready: deque[_Asked] = field(default_factory=deque)
    _asked: list[_Asked] = field(default_factory=list)
    _number: int = 0
    _under_way: int = 0
    _busy_until: float = 0.0
    _wakes_at: float = 0.0
    _calls: int = 0
    _refused: int = 0
    _granted: float = 0.0
    _grantable: float = 0.0

    def run(self) -> TaskRun:
        """Reads all scopes to their end."""
        self._dice = random.Random(f"{self.organization.seed} {self.repositories}")
        scopes = [_Scope(repositories) for repositories in self.repositories]
        self._waiting = iter(scopes)
        for _ in range(SCOPES_AT_A_TIME):
            self._begin_next()
        self._send()
        while self._events:
            self.now, _, happens = heapq.heappop(self._events)
            happens()
            self._send()
        seconds = tuple(scope.ended - scope.began for scope in scopes)
        return TaskRun(self.now, self._calls, self._refused, seconds, (self._granted, self._grantable))

    def _at(self, time: float, happens: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (time, self._number, happens))

    def _begin_next(self) -> None:
        scope = next(self._waiting, None)
        if scope is None:
            return
        # Making clients takes the processor, as calls do.
        self._busy_until = max(self.now, self._busy_until) + self.organization.scope_seconds

        def begins() -> None:
            scope.began = self.now
            self._ask(scope, calls_of(DESCRIBE_REPOSITORIES, scope.repositories), in_turn=True)

        self._at(self._busy_until, begins)

    def _ask(self, scope: _Scope, calls: int, *, in_turn: bool = False) -> None:
        """Pages come `in_turn`; here each is a listing of its own, which asks the next."""
        settings = self.organization
        bucket = Bucket(settings.granted, settings.burst, settings.burst, self.now, self._clock)
        asked = _Asked(scope, Rate(self._clock, _never), bucket, calls, 1 if in_turn else calls, calls, self.now)
        scope.unanswered += calls
        self._queue(asked)

    def _clock(self) -> float:
        return self.now

    def _queue(self, asked: _Asked) -> None:
        if asked.queued or not asked.unsent:
            return
        asked.queued = True
        wait = asked.rate.ready_in()
        if wait <= 0:
            self._ready.append(asked)
        else:
            self._at(self.now + wait, lambda: self._ready.append(asked))

    def _send(self) -> None:
        """Sends what may be sent now, the operations in turn."""
        settings = self.organization
        while self._ready and self._under_way < settings.max_in_flight:
            if self._busy_until > self.now:
                if self._wakes_at != self._busy_until:
                    self._wakes_at = self._busy_until
                    self._at(self._busy_until, _nothing)
                return
            asked = self._ready.popleft()
            asked.queued = False
            if asked.rate.ready_in() > 0:
                self._queue(asked)
                continue
            sent_at = asked.rate.take()
            asked.unsent -= 1
            self._under_way += 1
            self._calls += 1
            self._busy_until = self.now + 1 / settings.calls_a_second
            took = settings.latency * self._dice.uniform(0.8, 1.3)
            self._at(self.now + took, _Answer(self, asked, sent_at))
            self._queue(asked)

    def answered(self, asked: _Asked, sent_at: float) -> None:
        """The answer to a call that was sent at `sent_at` is there: it was granted, or it is to be sent again."""
        self._under_way -= 1
        if not asked.bucket.grants():
            self._refused += 1
            asked.rate.refused(sent_at)
            asked.unsent += 1
            self._queue(asked)
            return
        asked.rate.granted()
        asked.unanswered -= 1
        scope = asked.scope
        scope.unanswered -= 1
        if not asked.unanswered:
            self._note_use(asked)
        elif not asked.unsent and not scope.listed:
            asked.unsent = 1
            self._queue(asked)
        if not scope.unanswered:
            self._go_on(scope)

    def _note_use(self, asked: _Asked) -> None:
        if asked.calls >= MANY_CALLS:
            self._granted += asked.calls
            self._grantable += self.organization.burst + self.organization.granted * (self.now - asked.began)

    def _go_on(self, scope: _Scope) -> None:
        if not scope.listed:
            scope.listed = True
            for operation in OPERATIONS:
                if operation is not DESCRIBE_REPOSITORIES and (calls := calls_of(operation, scope.repositories)):
                    self._ask(scope, calls)
            return
        scope.ended = self.now
        self._begin_next()


@dataclass(frozen=True)
class _Answer:
    task: Task
    asked: _Asked
    sent_at: float

    def __call__(self) -> None:
        self.task.answered(self.asked, self.sent_at)


def _never(_: float) -> None:
    raise AssertionError("a call was sent before its time")


def _nothing() -> None:
    """Time goes on."""


def tasks_of(organization: Organization, scopes_per_task: int) -> Iterator[Sequence[int]]:
    """The scopes in batches, each as the repositories of its scopes."""
    for start in range(0, organization.scopes, scopes_per_task):
        yield organization.repositories[start : start + scopes_per_task]


def run_all(organization: Organization, scopes_per_task: int) -> list[TaskRun]:
    """Every task, each in a process of its own."""
    return [Task(organization, scopes).run() for scopes in tasks_of(organization, scopes_per_task)]


def makespan(tasks: Sequence[tuple[float, float]], workers: int) -> float:
    """Seconds until all tasks are done, each reading and then loading for so long, where one loads at a time."""
    free = [0.0] * workers
    read: list[tuple[float, int]] = []
    waiting = iter(enumerate(tasks))
    ended = loads_until = 0.0
    for number, (reading, _) in waiting:
        heapq.heappush(read, (free.pop() + reading, number))
        if not free:
            break
    while read:
        now, number = heapq.heappop(read)
        loads_until = max(now, loads_until) + tasks[number][1]
        ended = max(ended, loads_until)
        # The worker is free again when its own load has ended.
        following = next(waiting, None)
        if following is not None:
            heapq.heappush(read, (loads_until + following[1][0], following[0]))
    return ended
