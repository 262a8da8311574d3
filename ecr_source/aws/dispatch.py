"""Many calls at once: one pool of threads, which no scope and no operation fills while another has calls to make."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from ecr_source.aws.rate import Rate

Job: TypeAlias = Callable[[], None]
"""Something to ask: one call or one listing."""

_Item = TypeVar("_Item")

# Seconds until a job is due at which it is handed to a thread, which waits the rest: so those of a fast operation come
# in lots, and not each wakes up who hands them out.
_AHEAD = 0.02

# How long to wait, at most, before looking again whose turn it is: rates change while one waits.
_LOOK_AGAIN = 0.05


class Calls:
    """The calls under way of all scopes, at most `max_in_flight`; a context manager. Any thread may use it."""

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._pool = ThreadPoolExecutor(max_in_flight, "call")
        self._changed = threading.Condition()
        self._threads = 0
        self._under_way: dict[_Jobs, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def do(self, jobs: Mapping[Rate, Iterator[Job]], stopped: threading.Event) -> None:
        """Does all `jobs` of one scope, each when the rate of its operation allows its first call.

        The operations take turns, so that one that is throttled holds back no other; so do the scopes: see `_share`.

        Raises:
            whatever a job, or the making of one, raised, the first one, after those under way have ended.
        """
        mine = _Jobs(deque(jobs.items()), stopped)
        with self._changed:
            self._under_way[mine] = 0
        try:
            while job := mine.next_job():
                self._hand_out(mine, job)
        except BaseException as error:
            mine.failures.append(error)
        self._wait_for_all(mine)
        if mine.failures:
            raise mine.failures[0]

    def _hand_out(self, mine: _Jobs, job: Job) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(mine.due) < self._max_in_flight)
            mine.due.append(job)
            if self._under_way[mine] < self._share():
                self._start_thread()

    def _start_thread(self) -> None:
        if self._threads < self._max_in_flight:
            self._threads += 1
            self._pool.submit(self._work)

    def _work(self) -> None:
        """Does what is due, of whichever scope, until nothing is."""
        done: _Jobs | None = None
        while taken := self._take(done):
            done, job = taken
            try:
                job()
            except BaseException as error:
                done.failures.append(error)

    def _take(self, done: _Jobs | None) -> tuple[_Jobs, Job] | None:
        """A job that is due, of the scope that has fewest under way; counts the one before, of `done`, as ended."""
        with self._changed:
            if done is not None:
                self._under_way[done] -= 1
            for mine in self._under_way:
                if mine.due and mine.is_over:
                    mine.due.clear()
                    self._changed.notify_all()
            if done is not None and not self._under_way[done]:
                self._changed.notify_all()
            share = self._share()
            waiting = [mine for mine, under_way in self._under_way.items() if mine.due and under_way < share]
            if not waiting:
                self._threads -= 1
                return None
            mine = min(waiting, key=self._under_way.__getitem__)
            self._under_way[mine] += 1
            if len(mine.due) == self._max_in_flight:
                self._changed.notify_all()
            return mine, mine.due.popleft()

    def _share(self) -> int:
        """The most calls that one scope may have under way: twice an equal share, half of one being left to each other.

        So a scope that answers slowly, whose calls stay, does not end up with all places.
        """
        equal = self._max_in_flight / max(1, len(self._under_way))
        return max(1, int(min(2 * equal, self._max_in_flight - (len(self._under_way) - 1) * equal / 2)))

    def _wait_for_all(self, mine: _Jobs) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not mine.due and self._under_way[mine] == 0)
            del self._under_way[mine]
            for _ in range(sum(len(other.due) for other in self._under_way)):  # each has a larger share now
                self._start_thread()


class _Jobs:
    """What one scope has to ask: the jobs of each operation, which take turns, and those that are `due`."""

    def __init__(self, waiting: deque[tuple[Rate, Iterator[Job]]], stopped: threading.Event) -> None:
        self.due: deque[Job] = deque()
        self.failures: list[BaseException] = []
        self._stopped = stopped
        self._waiting = waiting

    @property
    def is_over(self) -> bool:
        """Whether nothing is to be begun any more."""
        return bool(self.failures) or self._stopped.is_set()

    def next_job(self) -> Job | None:
        """The job whose turn it is, when its turn has come; None when there are no more, or it is over."""
        while self._waiting and not self.is_over:
            soonest = _LOOK_AGAIN
            for _ in range(len(self._waiting)):
                rate, jobs = self._waiting[0]
                wait = rate.ready_in()
                if wait > _AHEAD:
                    soonest = min(soonest, wait - _AHEAD / 2)
                    self._waiting.rotate(-1)
                    continue
                job = next(jobs, None)
                if job is None:
                    self._waiting.popleft()
                    continue
                self._waiting.rotate(-1)
                rate.reserve()
                return partial(_do, job, rate)
            if self._waiting:
                time.sleep(soonest)
        return None


def _do(job: Job, rate: Rate) -> None:
    try:
        job()
    finally:
        rate.job_ended()


def one_ahead(items: Iterator[_Item], is_last: Callable[[_Item], bool]) -> Iterator[_Item]:
    """The items, each made while the one before it is worked on, unless the first is known to be the last."""
    first = next(items, None)
    if first is None:
        return
    if is_last(first):  # most listings have one page, for which a thread costs more than to read it
        yield first
        yield from items
        return
    with ThreadPoolExecutor(1, "ahead") as pool:
        following = pool.submit(next, items, None)
        yield first
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item
