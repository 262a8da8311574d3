"""How much a run may ask for: calls, and seconds of reading."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ecr_source.errors import BudgetSpent


class Budget:
    """At most `max_calls` requests, retries included, and none `max_seconds` after now; None is no bound.

    What it grants counts against the budget that it is a `part_of`, too. Safe to use from several threads.
    """

    def __init__(
        self,
        max_calls: int | None = None,
        max_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        part_of: Budget | None = None,
    ) -> None:
        self._calls_left = max_calls
        self._clock = clock
        self._ends_at = None if max_seconds is None else clock() + max_seconds
        self._part_of = part_of
        self._lock = threading.Lock()

    def half(self) -> Budget:
        """Half of what is left of it, rounded up."""
        calls = None if self._calls_left is None else (self._calls_left + 1) // 2
        seconds = None if self._ends_at is None else (self._ends_at - self._clock()) / 2
        return Budget(calls, seconds, self._clock, self)

    @property
    def is_limited(self) -> bool:
        """Whether there is a bound at all."""
        return self._calls_left is not None or self._ends_at is not None

    @property
    def counts_calls(self) -> bool:
        """Whether the number of requests is bounded."""
        return self._calls_left is not None

    @property
    def is_spent(self) -> bool:
        """Whether nothing may be asked any more."""
        return (self._calls_left is not None and self._calls_left <= 0) or (
            self._ends_at is not None and self._clock() >= self._ends_at
        )

    def take(self) -> None:
        """Takes one request out of the budget.

        Raises:
            BudgetSpent: there is none left.
        """
        with self._lock:
            if self.is_spent:
                raise BudgetSpent("the budget of the run is spent")
            if self._part_of is not None:
                self._part_of.take()
            if self._calls_left is not None:
                self._calls_left -= 1
