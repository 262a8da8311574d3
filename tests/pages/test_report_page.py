"""docs/report.md is of the report that there is."""

from __future__ import annotations

import re

from tests.pages.report import PAGE, page
from tests.report.pictures import DOCS, PICTURES


def test_the_page_has_the_parts_of_the_report() -> None:
    assert PAGE.read_text() == page(), "out of date: run python -m tests.pages.report"


def test_its_pictures_are_those_that_are_made() -> None:
    assert set(re.findall(r"\]\((\S+\.png)\)", PAGE.read_text())) == set(PICTURES)
    assert {path.name for path in DOCS.glob("*.png")} == set(PICTURES)
