"""Many calls at once: a pool of threads that no operation can fill while another has something to ask."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from ecr_source.rate import Rate

Job: TypeAlias = Callable[[], None]
"""Something to ask: one call or one listing."""

# How long to wait, at most, before looking again whose turn it is: rates change while one waits.
_LOOK_AGAIN = 0.05


def dispatch(jobs: Mapping[Rate, Iterator[Job]], max_in_flight: int, stopped: threading.Event) -> None:
    """Does all `jobs`, at most `max_in_flight` at once, each when the rate of its operation allows its first call.

    The operations take turns, so that one that is throttled holds back no other.

    Raises:
        whatever a job raised, the first one, after those under way have ended.
    """
    waiting = deque(jobs.items())
    free = threading.Semaphore(max_in_flight)
    failures: list[BaseException] = []

    def ended(future: Future[None]) -> None:
        if error := future.exception():
            failures.append(error)
        free.release()

    with ThreadPoolExecutor(max_in_flight, "call") as pool:
        while waiting and not failures and not stopped.is_set():
            free.acquire()
            job = _next_job(waiting, stopped)
            if job is None:
                free.release()
            else:
                pool.submit(job).add_done_callback(ended)
    if failures:
        raise failures[0]


def _next_job(waiting: deque[tuple[Rate, Iterator[Job]]], stopped: threading.Event) -> Job | None:
    """The job whose turn it is, when its turn has come; None when there are no more, or the run is stopped."""
    while waiting and not stopped.is_set():
        soonest = _LOOK_AGAIN
        for _ in range(len(waiting)):
            rate, jobs = waiting[0]
            wait = rate.ready_in()
            if wait > 0:
                soonest = min(soonest, wait)
                waiting.rotate(-1)
                continue
            job = next(jobs, None)
            if job is None:
                waiting.popleft()
                continue
            waiting.rotate(-1)
            rate.reserve()
            return job
        if waiting:
            time.sleep(soonest)
    return None
