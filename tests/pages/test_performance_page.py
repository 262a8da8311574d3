"""docs/performance.md says what was measured, and README's number is one of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.bench import comparison, page
from tests.bench.__main__ import SECTIONS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    return page.known(DOCS)


@pytest.fixture(scope="module")
def times(measured: dict[str, Any]) -> dict[str, float]:
    """How many times as long as ecr-source each other way takes at the highest latency."""
    return {name: numbers[-1] for name, *numbers in measured[comparison.SECTIONS["far"].title]["rows"]}


def test_the_page_and_its_pictures_are_made_of_the_numbers(measured: dict[str, Any]) -> None:
    for name, text in page.files(measured, SECTIONS.values()).items():
        assert (DOCS / name).read_text() == text, f"docs/{name}: run python -m tests.bench --page"


def test_a_picture_has_a_point_for_each_number_and_says_what_it_is(measured: dict[str, Any]) -> None:
    section = next(section for section in SECTIONS.values() if section.title == "Findings as they grow")
    assert section.picture is not None
    drawn = section.drawn(measured[section.title])
    assert drawn.count('aria-roledescription="point"') == len(measured[section.title]["rows"])
    for line in ("first run", "nothing changed", "1 % of the images changed", "DuckDB", "Postgres"):
        assert line in drawn


def test_numbers_of_other_columns_are_not_shown(measured: dict[str, Any]) -> None:
    section = comparison.SECTIONS["far"]
    with pytest.raises(ValueError, match="measure it anew"):
        section.body({**measured[section.title], "columns": ["contender"]}, "")


def test_readmes_number_is_the_measured_one(times: dict[str, float]) -> None:
    (said,) = re.findall(r"(\d+) times as fast as the script", (ROOT / "README.md").read_text())
    assert int(said) == int(times["boto3 + pandas + DuckDB"])


def test_no_other_way_is_faster(times: dict[str, float]) -> None:
    assert set(times) == set(comparison.LIST_IMAGES)
    assert min(times.values()) == times[comparison.OURS] == 1
