"""What a run costs this project alone: memory and time as images grow, calls as the service allows or as needed."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.page import Column, Row, Section
from tests.bench.pictures import Picture
from tests.bench.process import Run, endpoint, run

MILLION = (10, 100, 1_000)
"""How many repositories, of a thousand images each."""
COMPARED_WITH = MILLION[-2]
SNAPSHOTS = ("first", "second")

CALLS = 20_000
"""How many repositories are asked for, a call each; of `HARDLY_ANY` where all but the calls is measured."""
HARDLY_ANY = 100
IN_FLIGHT = ((0.05, 8), (0.05, 16), (0.05, 32), (0.05, 64), (0.0, 64))
"""Seconds that each answer takes, and calls under way."""

FINDINGS = (50, 100)
"""Repositories, and images of each."""


@dataclass(frozen=True)
class Limits:
    """What the endpoint grants of each operation: calls a second, calls at once; and what is read from it."""

    rate: int
    burst: int
    repositories: int


LIMITS = (Limits(20, 20, 600), Limits(200, 20, 4_000))
LIMITS_LATENCY = 0.02


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _registry(repositories: int, images: int) -> tuple[object, ...]:
    return ("--repositories", repositories, "--images", images)


# a million images


def _million(rounds: int) -> list[Row]:
    runs: dict[tuple[int, str], list[Run]] = {(size, snapshot): [] for size in MILLION for snapshot in SNAPSHOTS}
    with ExitStack() as stack:
        urls = {size: stack.enter_context(endpoint(*_registry(size, 1_000))) for size in MILLION}
        for _ in range(rounds):
            for size, url in urls.items():
                with _folder() as folder:
                    for snapshot in SNAPSHOTS:
                        runs[size, snapshot].append(_noted(run(url, folder, "--table", "images")))
    return [_million_row(size, snapshot, runs) for snapshot in SNAPSHOTS for size in MILLION]


def _million_row(size: int, snapshot: str, runs: dict[tuple[int, str], list[Run]]) -> Row:
    mine, smaller = runs[size, snapshot], runs[COMPARED_WITH, snapshot]
    seconds, megabytes = _seconds(mine), _peak(mine)
    return [snapshot, size * 1_000, seconds, seconds / _seconds(smaller), megabytes, megabytes / _peak(smaller)]


def _seconds(runs: list[Run]) -> float:
    return statistics.median(one.process.seconds for one in runs)


def _peak(runs: list[Run]) -> float:
    return max(one.process.megabytes for one in runs)


# what the service grants


def _rates(rounds: int) -> list[Row]:
    return [_rate_row(limits, rounds) for limits in LIMITS]


def _rate_row(limits: Limits, rounds: int) -> Row:
    options = ("--rate", limits.rate, "--burst", limits.burst, "--latency", LIMITS_LATENCY)
    with endpoint(*_registry(limits.repositories, 1), *options) as url:
        runs = [_fresh(url, "--table", "policies") for _ in range(rounds)]
    seconds = statistics.median(one.tables["policies"].seconds for one in runs)
    used = limits.repositories / (limits.burst + limits.rate * seconds)
    throttled = statistics.median(one.throttled_share for one in runs)
    return [
        f"{limits.rate} a second, {limits.burst} at once",
        limits.repositories,
        seconds,
        used,
        throttled,
    ]


# calls under way


def _calls(rounds: int) -> list[Row]:
    with endpoint(*_registry(HARDLY_ANY, 1)) as url:
        beside = statistics.median(_lifecycle_policies(url, 64).process.of_processor for _ in range(rounds))
    return [_calls_row(latency, in_flight, rounds, beside) for latency, in_flight in IN_FLIGHT]


def _calls_row(latency: float, in_flight: int, rounds: int, beside: float) -> Row:
    with endpoint(*_registry(CALLS, 1), "--latency", latency) as url:
        runs = [_lifecycle_policies(url, in_flight) for _ in range(rounds)]
    calls = CALLS / statistics.median(one.tables["lifecycle_policies"].seconds for one in runs)
    each = (statistics.median(one.process.of_processor for one in runs) - beside) / CALLS
    ideal = in_flight / latency if latency else None
    return [latency * 1000, in_flight, calls, ideal, calls / ideal if ideal else None, each * 1000]


def _lifecycle_policies(url: str, in_flight: int) -> Run:
    return _fresh(url, "--table", "lifecycle_policies", "--max-in-flight", str(in_flight))


# findings again


def _findings(rounds: int) -> list[Row]:
    first: list[Run] = []
    second: list[Run] = []
    with endpoint(*_registry(*FINDINGS)) as url:
        for _ in range(rounds):
            with _folder() as folder:
                for runs in (first, second):
                    runs.append(_noted(run(url, folder, "--table", "findings")))
    return [_findings_row(name, runs, first) for name, runs in zip(SNAPSHOTS, (first, second), strict=True)]


def _findings_row(name: str, runs: list[Run], first: list[Run]) -> Row:
    calls, most = (statistics.median(one.calls for one in some) for some in (runs, first))
    return [name, calls, calls / most, _seconds(runs)]


# a run


def _fresh(url: str, *arguments: str) -> Run:
    """A run into a new database."""
    with _folder() as folder:
        return _noted(run(url, folder, *arguments))


def _noted(one: Run) -> Run:
    print(f"{one.process.seconds:.1f} s, {one.process.megabytes:.0f} MB, {one.tables}", flush=True)
    return one


SECTIONS = {
    "million": Section(
        "A million images",
        "10,000 images, 100,000 and 1,000,000, a thousand in each repository, each read twice into one database: first"
        " into a new one, then replacing what is there; rounds: {rounds}. Aimed at: 500 MB for a million, 1.3 times the"
        " memory and 11 times the time of 100,000.",
        (
            Column("run"),
            Column("images", "{:,}"),
            Column("whole process, s", "{:.1f}"),
            Column(f"times {COMPARED_WITH * 1_000:,}", "{:.1f}"),
            Column("peak, MB", "{:.0f}"),
            Column(f"times the peak of {COMPARED_WITH * 1_000:,}", "{:.2f}"),
        ),
        3,
        _million,
        Picture(
            "performance-memory.svg",
            "The peak of memory over the number of images, of the first run and of the second.",
            x="images",
            y="peak, MB",
            by=["run"],
            y_scale="linear",
        ),
    ),
    "rates": Section(
        "What the service grants",
        "`--table policies`, a call of GetRepositoryPolicy for each repository, from an endpoint that grants so many"
        f" calls of an operation and takes {LIMITS_LATENCY * 1000:.0f} ms for each; rounds: {{rounds}}. *Used* is the"
        " share answered of the calls granted in these seconds, *throttled* the share refused of all calls.",
        (
            Column("granted"),
            Column("repositories", "{:,}"),
            Column("seconds", "{:.1f}"),
            Column("used", "{:.1%}"),
            Column("throttled", "{:.1%}"),
        ),
        3,
        _rates,
    ),
    "calls": Section(
        "Calls under way",
        f"`--table lifecycle_policies` of {CALLS:,} repositories, a call for each, from an endpoint that takes so long"
        " for each; rounds: {rounds}. The ideal is `--max-in-flight` calls in each of these times; the first two"
        " seconds go into finding out what the service grants. *Processor* is what a call takes in all, its row"
        f" included: of the whole process, less that of a run over {HARDLY_ANY} repositories. A call through botocore"
        " alone takes 1.5 to 2 ms.",
        (
            Column("answers take, ms", "{:.0f}"),
            Column("in flight"),
            Column("calls a second", "{:,.0f}"),
            Column("ideal", "{:,.0f}"),
            Column("share of the ideal", "{:.0%}"),
            Column("processor, ms a call", "{:.2f}"),
        ),
        3,
        _calls,
        Picture(
            "performance-calls.svg",
            "The share of the ideal over the calls in flight.",
            x="in flight",
            y="share of the ideal",
            by=["answers take, ms"],
            y_scale="linear",
            y_format="%",
        ),
    ),
    "findings": Section(
        "Findings again",
        f"`--table findings` twice on {FINDINGS[0]} repositories of {FINDINGS[1]} images that do not change: a call for"
        f" each image, and the listings (1 + {FINDINGS[0]}); {{rounds}} rounds. Aimed at: 2 % of the calls.",
        (
            Column("run"),
            Column("calls", "{:,.0f}"),
            Column("of the first", "{:.1%}"),
            Column("whole process, s", "{:.1f}"),
        ),
        3,
        _findings,
    ),
}
