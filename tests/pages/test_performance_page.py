"""What README says of speed is what was measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.bench import comparison

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def times() -> dict[str, float]:
    """How many times as long as ecr-source each other way takes at the highest latency."""
    page = (ROOT / "docs/performance.md").read_text()
    section = page.partition("## Images from afar\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return {name: float(cells[-1]) for name, *cells in rows if name in comparison.LIST_IMAGES}


def test_readmes_number_is_the_measured_one(times: dict[str, float]) -> None:
    (said,) = re.findall(r"(\d+) times as fast as the script", (ROOT / "README.md").read_text())
    assert int(said) == int(times["boto3 + pandas + DuckDB"])


def test_no_other_way_is_faster(times: dict[str, float]) -> None:
    assert set(times) == set(comparison.LIST_IMAGES)
    assert min(times.values()) == times[comparison.OURS] == 1
