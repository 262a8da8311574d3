"""The rate that the service grants is found, kept to, and followed when it changes."""

from __future__ import annotations

import heapq
import random
import threading
from dataclasses import dataclass, field
from functools import partial

import dlt
import pytest

from ecr_source import ecr_source, read_outcome
from ecr_source.aws.dispatch import Calls
from ecr_source.aws.rate import Rate
from tests.server.ecr_server import Bucket, EcrServer

IN_FLIGHT = 64


@dataclass
class Simulation:
    """Calls of 64 threads, in virtual time, to a service that grants `rates`: from each moment on so many a second."""

    rates: dict[float, float]
    burst: float
    latency: float = 0.05
    now: float = 0.0
    granted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def run(self, seconds: float) -> Simulation:
        dice = random.Random(1)
        rate = Rate(clock=lambda: self.now, sleep=lambda _: None)
        bucket = Bucket(self.rates[0], self.burst, self.burst, 0.0, lambda: self.now)
        answers: list[tuple[float, float]] = []
        while self.now < seconds:
            wait = rate.ready_in()
            if len(answers) < IN_FLIGHT and wait <= 0:
                heapq.heappush(answers, (self.now + self.latency * dice.uniform(0.8, 1.3), rate.take()))
                continue
            answered = answers[0][0] if answers else seconds
            self.now = max(self.now + 1e-6, min(answered, self.now + wait if len(answers) < IN_FLIGHT else seconds))
            if answers and answers[0][0] <= self.now:
                _, sent_at = heapq.heappop(answers)
                bucket.rate = next(rate for since, rate in reversed(self.rates.items()) if since <= self.now)
                if bucket.grants():
                    self.granted.append(self.now)
                    rate.granted()
                else:
                    self.refused.append(self.now)
                    rate.refused(sent_at)
        return self

    @property
    def refused_share(self) -> float:
        return len(self.refused) / (len(self.granted) + len(self.refused))

    def granted_between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.granted)


def test_a_rate_that_was_refused_once_and_then_not_used_for_a_day_goes_on() -> None:
    times = iter([0.0, 0.0, 1.0, 86_400.0, 86_400.0, 86_401.0])
    rate = Rate(clock=lambda: next(times))
    rate.refused(0.0)
    rate.granted()
    assert rate.take() == 86_400.0


@pytest.mark.parametrize("rate", [20, 200])
@pytest.mark.parametrize("latency", [0.01, 0.05, 0.2])
def test_nine_tenths_of_what_is_granted_are_used_and_one_call_in_twenty_is_refused(rate: float, latency: float) -> None:
    seconds = 60
    calls = Simulation({0: rate}, burst=20, latency=latency).run(seconds)
    assert len(calls.granted) >= 0.9 * (20 + rate * seconds)
    assert calls.refused_share < 0.05


def test_a_rate_that_drops_is_followed_within_seconds() -> None:
    calls = Simulation({0: 200, 30: 20}, burst=20).run(60)
    assert sum(at > 34 for at in calls.refused) <= 0.05 * 20 * 26
    assert calls.granted_between(34, 60) >= 0.9 * 20 * 26


def test_a_rate_that_rises_is_found() -> None:
    calls = Simulation({0: 20, 30: 200}, burst=20).run(90)
    assert calls.granted_between(60, 90) >= 0.8 * 200 * 30
    assert calls.refused_share < 0.05


def test_jobs_that_make_no_call_hold_back_no_other() -> None:
    stopped = threading.Event()
    done: list[int] = []
    ending = threading.Timer(10, stopped.set)  # else it would wait without end
    ending.start()
    with Calls(1) as calls:
        calls.do({Rate(): iter([partial(done.append, number) for number in range(3)])}, stopped)
    ending.cancel()
    assert done == [0, 1, 2]


def test_calls_are_not_held_back_where_nothing_is_refused() -> None:
    calls = Simulation({0: 1e6}, burst=1e6).run(20)
    assert calls.granted_between(10, 20) >= 0.9 * IN_FLIGHT / 0.05 / 1.05 * 10


@pytest.fixture
def throttled(server: EcrServer) -> EcrServer:
    """A hundred repositories of an endpoint that grants 20 calls a second of each operation, 20 at once."""
    for number in range(100):
        server.registry().put(f"service-{number}")
    server.throttle = (20, 20)
    return server


def test_a_throttled_endpoint_is_read_at_its_rate(throttled: EcrServer, pipeline: dlt.Pipeline) -> None:
    pipeline.run(ecr_source(regions=["eu-west-1"], endpoint_url=throttled.url, tables=["policies"]))
    outcome = read_outcome(pipeline)
    assert not outcome.incomplete
    calls, refused = (sum(getattr(table, name) for table in outcome.tables) for name in ("calls", "throttled"))
    # Few calls: the first refusals weigh more than in a long run.
    assert refused <= 0.1 * calls


def test_an_operation_that_is_throttled_holds_back_no_other(
    throttled: EcrServer, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttled.throttle = None
    throttled.set_rate("GetRepositoryPolicy", 10, 1)
    order: list[str] = []
    monkeypatch.setattr(throttled, "before_answer", lambda operation, call: order.append(operation))
    pipeline.run(ecr_source(regions=["eu-west-1"], endpoint_url=throttled.url, tables=["policies"], max_in_flight=4))
    last = {operation: len(order) - order[::-1].index(operation) for operation in set(order)}
    assert last["GetLifecyclePolicy"] < last["GetRepositoryPolicy"] - 50
