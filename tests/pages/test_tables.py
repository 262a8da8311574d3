"""docs/tables.md says what the catalog says, and its queries answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff

import duckdb
import pytest

from ecr_source import catalog
from tests.pages.example_queries import QUERIES
from tests.pages.tables import GROUP_WORDS, PAGE, answer, maximal_registry, page

MOST_COLUMNS = 6
MOST_ROWS = 8


@pytest.fixture(scope="module")
def maximal() -> Iterator[duckdb.DuckDBPyConnection]:
    """The database that the page is written from."""
    with maximal_registry() as connection:
        yield connection


def test_the_page_of_the_tables_is_what_the_catalog_says(maximal: duckdb.DuckDBPyConnection) -> None:
    changed = list(unified_diff(PAGE.read_text().splitlines(), page(maximal).splitlines(), lineterm="", n=0))
    assert not changed, "\n".join(["docs/tables.md is out of date: run python -m tests.pages.tables", *changed[:30]])


def test_every_table_has_an_example_query_that_answers(maximal: duckdb.DuckDBPyConnection) -> None:
    assert set(QUERIES) == {table.name for table in catalog.TABLES} | {table.name for table in catalog.RUN_TABLES}
    for name, query in QUERIES.items():
        header, rows = answer(maximal, query)
        question, sql = query.split("\n", 1)
        assert question.startswith("-- "), name
        assert name in sql, name
        assert len(header) <= MOST_COLUMNS, name
        assert 0 < len(rows) <= MOST_ROWS, name


def test_links_of_the_page_lead_to_its_headings() -> None:
    text = PAGE.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower() for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) - anchors == set()


def test_every_group_is_explained() -> None:
    assert set(GROUP_WORDS) == set(catalog.GROUPS)
