"""How fast an operation may be called: found out from what the service grants and refuses."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

_FIRST_RATE = 100.0
_FIRST_BURST = 10.0
# While nothing is refused the rate doubles about every half second: each granted call adds this much.
_DOUBLING = 1.4
_DECREASE = 0.93
_INCREASE_PER_SECOND = 0.02
# The increase itself doubles after so many seconds without refusal, to find a rate that has risen.
_PATIENCE = 3.0
_MOST_DOUBLINGS = 10.0
_LOWEST_RATE = 0.2
# Within this time calls may come closer together than the rate says: threads do not wake to the millisecond.
_SLACK = 0.05
_MEASURED_OVER = 1.0


class Rate:
    """Additive increase, multiplicative decrease, of the calls a second of one operation in one scope.

    No rate of ECR is published: it is a token bucket per operation, account and region. The rate starts low, doubles
    until a call is refused, falls below what was granted then, and rises slowly until the next refusal. Calls are
    spaced, so that those of many threads do not come at once. Safe to use from several threads.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._rate = _FIRST_RATE
        self._base: float | None = None  # what the rate was after the last refusal
        self._decreased_at = clock()
        self._next = clock() - _FIRST_BURST / _FIRST_RATE  # when the next call would be due at an even pace
        self._granted: deque[float] = deque()
        self._under_way = 0
        self._reserved = 0

    def ready_in(self) -> float:
        """Seconds until a call could be sent, those reserved sent before it; 0 or less means now."""
        with self._lock:
            return self._due(self._clock()) + self._reserved / self._rate - self._clock()

    def reserve(self) -> None:
        """Announces a job, whose first call will `take` soon."""
        with self._lock:
            self._under_way += 1
            self._reserved += 1

    def job_ended(self) -> None:
        """A job that was announced is over; where the budget was spent, for example, it made no call."""
        with self._lock:
            self._under_way -= 1
            self._reserved = min(self._reserved, self._under_way)

    def begun(self) -> tuple[int, int]:
        """How many of the jobs announced have not made their first call yet, and how many wait for an answer."""
        with self._lock:
            return self._reserved, self._under_way - self._reserved

    def granted_a_second(self) -> float:
        """How many calls were answered in the last second."""
        with self._lock:
            return self._measured(self._clock())

    def take(self) -> float:
        """Waits until a call may be sent; returns when that is, by the clock."""
        with self._lock:
            now = self._clock()
            due = self._due(now)
            self._next = max(self._next, now - self._slack()) + 1 / self._rate
            self._reserved = max(0, self._reserved - 1)
        if due > now:
            self._sleep(due - now)
        return max(due, now)

    def granted(self) -> None:
        """A call was answered, whatever the answer."""
        with self._lock:
            now = self._clock()
            self._granted.append(now)
            measured = self._measured(now)
            if self._rate > 2 * measured + _FIRST_RATE:
                return  # what is asked for, not what is granted, sets the pace
            if self._base is None:
                self._rate += _DOUBLING
            else:
                doublings = min((now - self._decreased_at) / _PATIENCE, _MOST_DOUBLINGS)
                self._rate += _INCREASE_PER_SECOND * self._base * 2**doublings / self._rate

    def refused(self, sent_at: float) -> None:
        """A call that was sent at `sent_at` was refused because of its rate.

        Calls that were under way when the rate was last decreased say nothing about the new rate.
        """
        with self._lock:
            if self._base is not None and sent_at < self._decreased_at:
                return
            now = self._clock()
            self._rate = max(_LOWEST_RATE, _DECREASE * min(self._rate, self._measured(now)))
            self._base = self._rate
            self._decreased_at = now

    def _due(self, now: float) -> float:
        return max(now, self._next)

    def _slack(self) -> float:
        return _SLACK if self._base is not None else _FIRST_BURST / _FIRST_RATE

    def _measured(self, now: float) -> float:
        while self._granted and self._granted[0] < now - _MEASURED_OVER:
            self._granted.popleft()
        return len(self._granted) / _MEASURED_OVER
