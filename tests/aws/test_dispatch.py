"""Many calls at once: each is made, none twice, no more than allowed, and no scope waits for another's."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from ecr_source.aws.dispatch import Calls, Job, one_ahead
from ecr_source.aws.rate import Rate

IN_FLIGHT = 8
WITHIN = 30
"""Seconds after which what should come has not come."""


class Watch:
    """Counts jobs that are done, and those of each scope that are under way at a time."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.under_way: Counter[str] = Counter()
        self.most = 0
        self._lock = threading.Lock()

    def job(self, scope: str, name: str) -> None:
        with self._lock:
            self.under_way[scope] += 1
            self.most = max(self.most, self.under_way.total())
        with self._lock:
            self.under_way[scope] -= 1
            self.done[name] += 1


class Held:
    """Jobs that stay under way until they are let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun = threading.Semaphore(0)

    def job(self) -> None:
        self.begun.release()
        assert self.let_go.wait(WITHIN)

    def jobs(self, number: int) -> Iterator[Job]:
        return iter([self.job] * number)

    def are_under_way(self, number: int) -> bool:
        return all(self.begun.acquire(timeout=WITHIN) for _ in range(number))


def quick(rate: float = 1e6) -> Rate:
    """A rate that is no bound."""
    found = Rate()
    found._rate = rate
    return found


def test_every_job_of_every_scope_is_done_once_and_no_more_at_a_time_than_allowed() -> None:
    watch, stopped = Watch(), threading.Event()
    names = {f"scope {scope}": [f"{scope}/{number}" for number in range(300)] for scope in range(12)}

    def read(calls: Calls, scope: str) -> None:
        jobs = [partial(watch.job, scope, name) for name in names[scope]]
        calls.do({quick(): iter(jobs[::2]), quick(): iter(jobs[1::2])}, stopped)
        assert all(watch.done[name] == 1 for name in names[scope])

    with Calls(IN_FLIGHT) as calls, ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(partial(read, calls), names))
    assert watch.done == Counter(name for of_scope in names.values() for name in of_scope)
    assert watch.most <= IN_FLIGHT


def test_a_scope_whose_calls_stay_leaves_places_to_each_other() -> None:
    slow, other, quickly, stopped = Held(), Held(), Watch(), threading.Event()
    with Calls(IN_FLIGHT) as calls, ThreadPoolExecutor(2) as pool:
        reading = [pool.submit(calls.do, {quick(): other.jobs(1)}, stopped)]
        assert other.are_under_way(1)
        reading += [pool.submit(calls.do, {quick(): slow.jobs(100)}, stopped)]
        assert slow.are_under_way(IN_FLIGHT - 2)  # half of an equal share of two scopes is two places
        calls.do({quick(): iter([partial(quickly.job, "quick", str(number)) for number in range(50)])}, stopped)
        assert quickly.done.total() == 50
        assert not slow.begun.acquire(blocking=False)
        for held in (slow, other):
            held.let_go.set()
        for one in reading:
            one.result(WITHIN)


def test_a_scope_that_is_alone_has_all_places() -> None:
    held = Held()
    with Calls(IN_FLIGHT) as calls, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(calls.do, {quick(): held.jobs(IN_FLIGHT + 5)}, threading.Event())
        assert held.are_under_way(IN_FLIGHT)
        held.let_go.set()
        reading.result(WITHIN)


def test_the_first_failure_ends_the_jobs_of_its_scope_only() -> None:
    watch, stopped = Watch(), threading.Event()
    held = Held()

    def fail() -> None:
        raise ValueError("the defect")

    with Calls(IN_FLIGHT) as calls, ThreadPoolExecutor(1) as pool:
        other = pool.submit(calls.do, {quick(): held.jobs(1)}, stopped)
        failing: list[Job] = [fail, *(partial(watch.job, "failing", str(number)) for number in range(10_000))]
        with pytest.raises(ValueError, match="the defect"):
            calls.do({quick(): iter(failing)}, stopped)
        assert watch.done.total() < 10_000
        held.let_go.set()
        other.result(WITHIN)


def test_a_failure_where_jobs_are_made_ends_them_too() -> None:
    def jobs() -> Iterator[Job]:
        yield lambda: None
        raise ValueError("the defect")

    with Calls(IN_FLIGHT) as calls, pytest.raises(ValueError, match="the defect"):
        calls.do({quick(): jobs()}, threading.Event())


def test_nothing_is_begun_once_it_is_stopped() -> None:
    held, stopped = Held(), threading.Event()
    with Calls(2) as calls, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(calls.do, {quick(): held.jobs(1_000)}, stopped)
        assert held.are_under_way(2)
        stopped.set()
        held.let_go.set()
        reading.result(WITHIN)
    assert not held.begun.acquire(blocking=False)


def made_in(threads: list[str], count: int) -> Iterator[int]:
    """The numbers up to `count`; in which thread each was made is added to `threads`."""
    for number in range(1, count + 1):
        threads.append(threading.current_thread().name)
        yield number


def test_while_a_page_is_worked_on_the_next_one_is_fetched() -> None:
    begun = threading.Event()

    def pages() -> Iterator[int]:
        yield 1
        begun.set()
        yield 2

    items = one_ahead(pages(), lambda number: number == 2)
    assert next(items) == 1
    assert begun.wait(60)
    assert list(items) == [2]


def test_a_listing_of_one_page_takes_no_thread() -> None:
    threads: list[str] = []
    assert list(one_ahead(made_in(threads, 1), lambda _: True)) == [1]
    assert threads == [threading.current_thread().name]


def test_what_comes_after_a_page_that_seemed_the_last_is_not_lost() -> None:
    assert list(one_ahead(made_in([], 3), lambda _: True)) == [1, 2, 3]
