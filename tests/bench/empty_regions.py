"""What a run costs where there is nothing: empty regions, read a second time, beside plain dlt with as many tables."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.page import Column, Row, Section
from tests.bench.process import ECR_SOURCE, Measurement, endpoint, environment, measure
from tests.server.regions import ALWAYS_ENABLED

REGIONS = (1, len(ALWAYS_ENABLED))


def _second(command: Sequence[str], folder: Path) -> Measurement:
    """The second of two runs, after which nothing has changed."""
    folder.mkdir()
    measure([*command], environment(folder), folder)
    return measure([*command], environment(folder), folder)


def _of_ecr_source(url: str, regions: Sequence[str], folder: Path) -> Measurement:
    options = [f"--region={region}" for region in regions]
    return _second([str(ECR_SOURCE), "run", "--endpoint-url", url, "--database", "bench.duckdb", *options], folder)


def _of_plain_dlt(folder: Path) -> Measurement:
    timed = [sys.executable, "-m", "tests.bench.timed", "plain_dlt", "four_small_tables", "", "bench.duckdb"]
    return _second(timed, folder)


def _rows(rounds: int) -> list[Row]:
    runs: dict[str, list[Measurement]] = {}
    with endpoint("--repositories", 0) as url, tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for count in REGIONS:
                read = _of_ecr_source(url, ALWAYS_ENABLED[:count], Path(folder, f"{number} of {count}"))
                runs.setdefault(f"ecr-source, {count} region{'s' * (count > 1)}", []).append(read)
            runs.setdefault("plain dlt, four tables", []).append(_of_plain_dlt(Path(folder, f"{number} of dlt")))
    floor = runs["plain dlt, four tables"]
    return [[name, *_numbers(measured, floor)] for name, measured in runs.items()]


def _numbers(measured: Sequence[Measurement], floor: Sequence[Measurement]) -> Row:
    times = [one.seconds / least.seconds for one, least in zip(measured, floor, strict=True)]
    return [
        statistics.median(one.seconds for one in measured),
        statistics.median(one.of_processor for one in measured),
        statistics.median(times),
        max(one.megabytes for one in measured),
    ]


SECTIONS = {
    "empty": Section(
        "Empty regions",
        "The default tables of regions in which there is nothing, read a second time, whole process; {rounds} rounds."
        " Beside it dlt alone, which writes a row into as many tables, asks nobody, and compares nothing with what is"
        " there. Aimed at: 1.4 times plain dlt for one region, 1.5 times that for 17.",
        (
            Column("contender"),
            Column("seconds", "{:.2f}"),
            Column("of processor", "{:.2f}"),
            Column("times plain dlt", "{:.2f}"),
            Column("peak, MB", "{:.0f}"),
        ),
        5,
        _rows,
    ),
}
