"""What findings cost as they grow: a first run, one after nothing changed, one after some images were scanned anew."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tests.bench.page import Column, Row, Section
from tests.bench.pictures import Picture
from tests.bench.process import ECR_SOURCE, Measurement, environment, measure
from tests.postgres import postgres_server
from tests.server.ecr_server import Registry, basic_finding, serving

SIZES = (10_000, 100_000, 1_000_000)
"""Findings: the smallest is what the memory of the others is compared with; the claims are about the largest."""
TEN_MILLION = (*SIZES, 10_000_000)
CLAIMED = SIZES[-1]
CLAIMED_TIME = 0.1
CLAIMED_MEMORY = 1.2

OF_AN_IMAGE = 200
OF_A_REPOSITORY = 100
CHANGED_EVERY = 100
FINDINGS = [basic_finding(f"CVE-2025-{number}", "openssl", "1.1") for number in range(OF_AN_IMAGE)]
SCANNED_AGAIN = 1_800_000_000.0

Images: TypeAlias = Sequence[tuple[str, str]]
"""The repository and the digest of each."""

FIRST, UNCHANGED, CHANGED = "first run", "nothing changed", "1 % of the images changed"
RUNS = (FIRST, UNCHANGED, CHANGED)
DESTINATIONS = ("DuckDB", "Postgres")


@dataclass(frozen=True)
class Case:
    """Which run, into which destination, over how many findings."""

    destination: str
    run: str
    findings: int


@dataclass(frozen=True)
class Database:
    """The options and the environment of the runs that load into it."""

    options: list[str]
    settings: dict[str, str]


@dataclass(frozen=True)
class Cost:
    """The median of the seconds of all rounds, and the highest peak of memory."""

    seconds: float
    megabytes: float


def _rows(sizes: Sequence[int], rounds: int) -> list[Row]:
    cases = [Case(destination, run, size) for destination in DESTINATIONS for run in RUNS for size in sizes]
    measured: dict[Case, list[Measurement]] = {case: [] for case in cases}
    with _destinations() as destinations:
        for _ in range(rounds):
            for size in sizes:
                for destination, new_database in destinations.items():
                    for run, measurement in _three_runs(size, new_database):
                        measured[Case(destination, run, size)].append(measurement)
                        numbers = f"{measurement.seconds:.1f} s, {measurement.megabytes:.0f} MB"
                        print(f"{destination}, {size:,} findings, {run}: {numbers}", flush=True)
    costs = {case: _cost(measurements) for case, measurements in measured.items()}
    for missed in _missed(costs):
        print(missed, flush=True)
    return [_row(case, costs) for case in cases]


@contextmanager
def _destinations() -> Iterator[dict[str, Callable[[Path], Database]]]:
    """For each destination what makes a new database."""
    with postgres_server() as postgres:
        yield {
            "DuckDB": lambda folder: Database(["--database", str(folder / "bench.duckdb")], {}),
            "Postgres": lambda _: Database(
                ["--destination", "postgres"], {"DESTINATION__POSTGRES__CREDENTIALS": postgres.new_database()}
            ),
        }


@contextmanager
def images_with_findings(images: int) -> Iterator[tuple[str, Registry, Images]]:
    """The URL of an endpoint, its registry with so many scanned images, and these."""
    with serving() as server:
        server.keep_requests = False
        yield server.url, server.registry(), _fill(server.registry(), images)


def _three_runs(findings: int, new_database: Callable[[Path], Database]) -> Iterator[tuple[str, Measurement]]:
    """The runs, one after the other into one database."""
    scanned = images_with_findings(findings // OF_AN_IMAGE)
    with scanned as (url, registry, images), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = new_database(folder)
        command = [str(ECR_SOURCE), "run", "--endpoint-url", url, "--region", "eu-west-1", *database.options]
        command += ["--table", "images", "--table", "findings"]
        for run in RUNS:
            if run == CHANGED:
                _scan_again(registry, images[::CHANGED_EVERY])
            yield run, measure(command, environment(folder) | database.settings, folder)


def _fill(registry: Registry, images: int) -> Images:
    """Pushes and scans so many images."""
    pushed = []
    for number in range(images):
        repository = f"team/r{number // OF_A_REPOSITORY}"
        if number % OF_A_REPOSITORY == 0:
            registry.put(repository)
        digest = registry.put_image(repository, tags=[f"v{number}"])["imageDigest"]
        registry.scan(repository, digest, FINDINGS)
        pushed.append((repository, digest))
    return pushed


def _scan_again(registry: Registry, images: Images) -> None:
    """A newer scan of each of these images, which finds one finding less."""
    for repository, digest in images:
        registry.images[repository][digest]["imageScanFindingsSummary"] = {"imageScanCompletedAt": SCANNED_AGAIN}
        registry.scan(repository, digest, FINDINGS[:-1], completed_at=SCANNED_AGAIN)


def _cost(measurements: Sequence[Measurement]) -> Cost:
    return Cost(
        statistics.median(one.seconds for one in measurements),
        max(one.megabytes for one in measurements),
    )


def _of_first(case: Case, costs: Mapping[Case, Cost]) -> float:
    """The share of the time of the first run."""
    return costs[case].seconds / costs[Case(case.destination, FIRST, case.findings)].seconds


def _of_smallest(case: Case, costs: Mapping[Case, Cost]) -> float:
    """How many times the memory of the same run over the fewest findings."""
    return costs[case].megabytes / costs[Case(case.destination, case.run, SIZES[0])].megabytes


def _missed(costs: Mapping[Case, Cost]) -> Iterator[str]:
    """A sentence for each claim that does not hold."""
    for destination in DESTINATIONS:
        case = Case(destination, UNCHANGED, CLAIMED)
        time, memory = _of_first(case, costs), _of_smallest(case, costs)
        if time > CLAIMED_TIME:
            yield f"MISSED: {destination}, {CLAIMED:,} findings, {UNCHANGED}: {time:.0%} of the time of the first run"
        if memory > CLAIMED_MEMORY:
            yield f"MISSED: {destination}, {CLAIMED:,} findings, {UNCHANGED}: {memory:.2f} times the memory"


def _row(case: Case, costs: Mapping[Case, Cost]) -> Row:
    return [
        case.destination,
        case.run,
        case.findings,
        costs[case].seconds,
        _of_first(case, costs),
        costs[case].megabytes,
        _of_smallest(case, costs),
    ]


def _section(sizes: Sequence[int]) -> Section:
    return Section(
        "Findings as they grow",
        f"`--table images --table findings`, {OF_AN_IMAGE} findings of each image: first into a new database, then"
        f" again with nothing changed, then with a newer scan of every {CHANGED_EVERY}th image; rounds: {{rounds}},"
        " into DuckDB and into a Postgres that does not wait for its disk and whose own memory is not counted. Aimed"
        f" at, for {CLAIMED:,} findings with nothing changed: a tenth of the time of the first run, and"
        f" {CLAIMED_MEMORY} times the memory of {SIZES[0]:,} findings. What is held is of the images, one for"
        f" {OF_AN_IMAGE} findings, and less than 1 kB of each; of the findings nothing is.",
        (
            Column("destination"),
            Column("run"),
            Column("findings", "{:,}"),
            Column("whole process, s", "{:.1f}"),
            Column("of the first", "{:.0%}"),
            Column("peak, MB", "{:.0f}"),
            Column(f"times the peak of {SIZES[0]:,}", "{:.2f}"),
        ),
        3,
        partial(_rows, sizes),
        Picture(
            "performance-findings.svg",
            "The seconds of the first run, of one after nothing changed and of one after 1 % changed, over the number"
            " of findings, in DuckDB and in Postgres.",
            x="findings",
            y="whole process, s",
            by=["run"],
            panels="destination",
        ),
    )


SECTIONS = {"growth": _section(SIZES)}

ON_REQUEST = {"growth-10m": _section(TEN_MILLION)}
"""The same section with a size more, which takes too long for every time."""
