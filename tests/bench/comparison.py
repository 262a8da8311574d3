"""This project beside the other ways, in turn on one endpoint: repositories and images."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.growth import OF_AN_IMAGE, images_with_findings
from tests.bench.page import Cell, Column, Row, Section
from tests.bench.pictures import Picture
from tests.bench.process import ROOT, Measurement, endpoint, environment, measure

OTHERS = str(ROOT / ".venv-bench/bin/python")
OURS = "ecr-source"

MODULES = {
    OURS: ("ecr_source_run", sys.executable),
    "plain dlt": ("plain_dlt", sys.executable),
    "boto3 + pandas + DuckDB": ("pandas_duckdb", OTHERS),
    "AWS CLI + DuckDB": ("aws_cli", OTHERS),
    "Cloud Custodian + DuckDB": ("custodian", OTHERS),
    "the floor": ("floor", sys.executable),
}
"""The contenders: the module of each in `contenders`, and the Python that runs it."""

REPOSITORIES = 100_000
LIST_REPOSITORIES = (OURS, "plain dlt", "boto3 + pandas + DuckDB", "AWS CLI + DuckDB", "the floor")

IMAGES = (2_000, 100)

SCANNED_IMAGES = 5_000

LATENCIES = (0, 5, 30)
"""Milliseconds that each answer takes: of a machine beside the region, and of one that is not."""
FAR = (500, 100)
LIST_IMAGES = (OURS, "boto3 + pandas + DuckDB", "Cloud Custodian + DuckDB")

SIZES = (100, 1_000, 10_000)
OF_EACH = 10
"""Images in each repository."""
LIST_IMAGES_OF_SIZES = (OURS, "plain dlt", *LIST_IMAGES[1:], "the floor")


@dataclass(frozen=True)
class Contest:
    """What is loaded: the function of each contender, the contenders, and the options of the endpoint."""

    function: str
    contenders: tuple[str, ...]
    endpoint: tuple[object, ...]

    def rows(self, rounds: int) -> list[Row]:
        """A row for each contender."""
        runs = self.runs(rounds)
        return [_row(name, measured, runs[OURS]) for name, measured in runs.items()]

    def runs(self, rounds: int) -> dict[str, list[Measurement]]:
        """The runs of each contender."""
        with endpoint(*self.endpoint) as url:
            return _runs(self.function, self.contenders, url, rounds)


def _runs(function: str, contenders: tuple[str, ...], url: str, rounds: int) -> dict[str, list[Measurement]]:
    """The runs of each contender at this endpoint, in turn."""
    runs: dict[str, list[Measurement]] = {name: [] for name in contenders}
    for round_ in range(1, rounds + 1):
        for name, measured in runs.items():
            measured.append(_measure(name, function, url))
            print(f"round {round_} {function} {name}: {measured[-1].seconds:.1f} s", flush=True)
    return runs


def _findings(rounds: int) -> list[Row]:
    """A row for each contender."""
    with images_with_findings(SCANNED_IMAGES) as (url, *_):
        runs = _runs("findings", (OURS, "the floor"), url, rounds)
    return [_row(name, measured, runs[OURS]) for name, measured in runs.items()]


def _images_from_afar(contenders: tuple[str, ...], repositories: int, images: int, latency: int) -> Contest:
    """The listing of all images, from an endpoint whose answers take so many milliseconds."""
    size = ("--repositories", repositories, "--images", images)
    return Contest("images", contenders, (*size, "--latency", latency / 1000))


def _sizes(rounds: int) -> list[Row]:
    """A row for each contender, size and latency."""
    return [
        [name, latency, size, *_far_cells(runs[name], runs[OURS]), max(one.megabytes for one in runs[name])]
        for latency in LATENCIES
        for size in SIZES
        for runs in [_images_from_afar(LIST_IMAGES_OF_SIZES, size, OF_EACH, latency).runs(rounds)]
        for name in runs
    ]


def _far(rounds: int) -> list[Row]:
    """A row for each contender, with its seconds at each latency."""
    runs = [_images_from_afar(LIST_IMAGES, *FAR, latency).runs(rounds) for latency in LATENCIES]
    return [[name, *(cell for at in runs for cell in _far_cells(at[name], at[OURS]))] for name in LIST_IMAGES]


def _far_columns(latency: int) -> tuple[Column, Column]:
    return Column(f"{latency} ms, s", "{:.1f}"), Column(f"times {OURS} at {latency} ms", "{:.2f}")


def _far_cells(runs: list[Measurement], ours: list[Measurement]) -> list[Cell]:
    seconds = [run.seconds for run in runs]
    return [statistics.median(seconds), _ratio(seconds, [run.seconds for run in ours])]


def _measure(name: str, function: str, url: str) -> Measurement:
    module, python = MODULES[name]
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "tests.bench.timed", module, function, url, f"{folder}/bench.duckdb"]
        return measure(command, environment(Path(folder)), Path(folder))


def _row(name: str, runs: list[Measurement], ours: list[Measurement]) -> Row:
    seconds, our_seconds = [run.seconds for run in runs], [run.seconds for run in ours]
    after, our_after = _after_imports(runs), _after_imports(ours)
    return [
        name,
        [statistics.median(seconds), min(seconds), max(seconds)],
        _ratio(seconds, our_seconds),
        statistics.median(after),
        _ratio(after, our_after),
        max(run.megabytes for run in runs),
    ]


def _after_imports(runs: list[Measurement]) -> list[float]:
    """The seconds that each contender says it took, as the last line of what it prints."""
    return [float(run.output.splitlines()[-1]) for run in runs]


def _ratio(values: Iterable[float], ours: Iterable[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(value / our for value, our in zip(values, ours, strict=True))


HEADER = (
    Column("contender"),
    Column("whole process, s", "{:.1f} ({:.1f}–{:.1f})"),
    Column(f"times {OURS}", "{:.2f}"),
    Column("after imports, s", "{:.1f}"),
    Column(f"times {OURS}, after imports", "{:.2f}"),
    Column("peak, MB", "{:.0f}"),
)

COLUMNS = (
    "*Whole process* is what one waits for (in brackets the fastest and the slowest run); *after imports* leaves out"
    f" the start of Python and its imports. *Times {OURS}* is the median of the ratios within each round. *The floor*"
    " is the same bytes to Arrow to DuckDB, without dlt: no state, no replacement, no ledger. The sources of the"
    " contenders are in `tests/bench/contenders/`."
)

SECTIONS = {
    "repositories": Section(
        "Repositories",
        f"{REPOSITORIES:,} repositories into a new database; rounds: {{rounds}}, the contenders in turn. The other ways"
        f" ask for pages as one types them, by the API's default of 100; ecr-source asks for 1,000.\n\n{COLUMNS}",
        HEADER,
        5,
        Contest("repositories", LIST_REPOSITORIES, ("--repositories", REPOSITORIES)).rows,
    ),
    "images": Section(
        "Images",
        f"{IMAGES[0]:,} repositories of {IMAGES[1]} images each into a new database, with their tags, a call for each"
        " repository; rounds: {rounds}, the contenders in turn, and the columns are those above.",
        HEADER,
        3,
        Contest("images", (OURS, "plain dlt", "the floor"), ("--repositories", IMAGES[0], "--images", IMAGES[1])).rows,
    ),
    "first-findings": Section(
        "Findings for the first time",
        f"{SCANNED_IMAGES * OF_AN_IMAGE:,} findings, {OF_AN_IMAGE} of each image, into a new database, with their"
        " attributes, scans and images, a call for each image; rounds: {rounds}, in turn, and the columns are those"
        " above. The endpoint makes each answer of Python objects, which takes a part of both.",
        HEADER,
        3,
        _findings,
    ),
    "sizes": Section(
        "Images as registries grow",
        f"Repositories of {OF_EACH} images each into a new database; whole process, rounds: {{rounds}}, the contenders"
        " in turn. What they do is not the same: *the floor* and ecr-source ask 8 and up to 32 repositories at a time,"
        " the others one after the other, as their own documentation shows; plain dlt keeps state and merges by a key"
        " which has to be known; the script and Cloud Custodian replace all that there was, and know nothing of"
        " failures in between; ecr-source alone also loads tags and notes what it read. Cloud Custodian resolves more"
        " of an account than images, for which it is made. The AWS CLI is not among them: it lists the images of one"
        " repository a process.",
        (
            Column("contender"),
            Column("answers take, ms"),
            Column("repositories", "{:,}"),
            Column("whole process, s", "{:.1f}"),
            Column(f"times {OURS}", "{:.2f}"),
            Column("peak, MB", "{:.0f}"),
        ),
        1,
        _sizes,
        Picture(
            "performance-sizes.svg",
            "The seconds of each contender over the number of repositories, a panel for each latency.",
            x="repositories",
            y="whole process, s",
            by=["contender"],
            panels="answers take, ms",
            panel_text="answers take {} ms",
        ),
    ),
    "far": Section(
        "Images from afar",
        f"{FAR[0]} repositories of {FAR[1]} images each into a new database, where each answer takes so many"
        " milliseconds; whole process; rounds: {rounds}, the contenders in turn. The other ways ask one repository"
        " after the other. *boto3 + pandas + DuckDB* is the script that one writes first; Cloud Custodian is run with a"
        " policy that filters nothing. Below 1.00 stands who is faster than ecr-source: where answers take no time and"
        " there are few, it pays for dlt, the merge and the ledger, which the others do not have.",
        (Column("contender"), *(column for latency in LATENCIES for column in _far_columns(latency))),
        3,
        _far,
    ),
}
