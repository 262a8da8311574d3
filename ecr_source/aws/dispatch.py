"""Many calls at once: one pool of threads, which no scope and no operation fills while another has calls to make."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self, TypeAlias, TypeVar

from ecr_source.aws.rate import Rate

Job: TypeAlias = Callable[[], None]
"""Something to ask: one call or one listing."""

_Item = TypeVar("_Item")

# How long to wait, at most, before looking again whose turn it is: rates change while one waits.
_LOOK_AGAIN = 0.05


class Calls:
    """The calls under way of all scopes, at most `max_in_flight`; a context manager. Any thread may use it."""

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._pool = ThreadPoolExecutor(max_in_flight, "call")
        self._changed = threading.Condition()
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
            whatever a job raised, the first one, after those under way have ended.
        """
        mine = _Jobs(deque(jobs.items()))
        with self._changed:
            self._under_way[mine] = 0
        try:
            while not mine.failures and (job := mine.next_job(stopped)):
                self._begin(mine, job)
        finally:
            self._wait_for_all(mine)
        if mine.failures:
            raise mine.failures[0]

    def _begin(self, mine: _Jobs, job: Job) -> None:
        def ended(future: Future[None]) -> None:
            if error := future.exception():
                mine.failures.append(error)
            with self._changed:
                self._under_way[mine] -= 1
                self._changed.notify_all()

        with self._changed:
            self._changed.wait_for(lambda: self._has_place(mine))
            self._under_way[mine] += 1
        self._pool.submit(job).add_done_callback(ended)

    def _has_place(self, mine: _Jobs) -> bool:
        return sum(self._under_way.values()) < self._max_in_flight and self._under_way[mine] < self._share()

    def _share(self) -> int:
        """The most calls that one scope may have under way: twice an equal share, half of one being left to each other.

        So a scope that answers slowly, whose calls stay, does not end up with all places.
        """
        equal = self._max_in_flight / len(self._under_way)
        return max(1, int(min(2 * equal, self._max_in_flight - (len(self._under_way) - 1) * equal / 2)))

    def _wait_for_all(self, mine: _Jobs) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._under_way[mine] == 0)
            del self._under_way[mine]
            self._changed.notify_all()


class _Jobs:
    """What one scope has to ask: the jobs of each operation, which take turns."""

    def __init__(self, waiting: deque[tuple[Rate, Iterator[Job]]]) -> None:
        self.failures: list[BaseException] = []
        self._waiting = waiting

    def next_job(self, stopped: threading.Event) -> Job | None:
        """The job whose turn it is, when its turn has come; None when there are no more, or the run is stopped."""
        while self._waiting and not stopped.is_set():
            soonest = _LOOK_AGAIN
            for _ in range(len(self._waiting)):
                rate, jobs = self._waiting[0]
                wait = rate.ready_in()
                if wait > 0:
                    soonest = min(soonest, wait)
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


def one_ahead(items: Iterator[_Item]) -> Iterator[_Item]:
    """The items, each made while the one before it is worked on."""
    with ThreadPoolExecutor(1, "ahead") as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item
