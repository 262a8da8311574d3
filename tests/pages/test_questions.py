"""docs/questions.md and docs/views say what the views answer, in DuckDB and in Postgres."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ecr_source.destinations.reading import DatasetReader
from ecr_source.destinations.views.definition import views
from ecr_source.destinations.views.view_questions import questions_of_other_views
from tests.conftest import Row, isolate, new_warehouse
from tests.nightly import first_by_day
from tests.pages.asked_demo import asked_demo
from tests.pages.asked_questions import ALL_ASKED
from tests.pages.asked_registry import asked_registry
from tests.pages.demo_answers import ANSWERS
from tests.pages.folder import differences
from tests.pages.questions import answered, pages, questions_page
from tests.warehouse import DESTINATIONS, Warehouse

VIEWS = Path(__file__).parents[1] / "views"


@pytest.fixture(scope="module", params=DESTINATIONS)
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetReader]:
    """The dataset of the demo, in each database."""
    yield from _opened(asked_demo, request, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module", params=first_by_day(*DESTINATIONS))
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetReader]:
    """The dataset of the tests' maximal registry, in each database."""
    yield from _opened(asked_registry, request, tmp_path_factory.mktemp("registry"))


def _opened(
    asked: Callable[[Warehouse], AbstractContextManager[DatasetReader]], request: pytest.FixtureRequest, folder: Path
) -> Iterator[DatasetReader]:
    warehouse = new_warehouse(request, request.param, folder / "asked.duckdb")
    with ExitStack() as opened:
        with pytest.MonkeyPatch.context() as patch:
            isolate(patch, folder)
            reader = opened.enter_context(asked(warehouse))
        yield reader


def test_all_that_people_ask_takes_one_view_and_three_lines() -> None:
    assert len(ALL_ASKED) == 32
    for one in ALL_ASKED:
        assert len(one.sql.splitlines()) <= 3, one.question
        assert one.view in views(), one.question
        assert "JOIN" not in one.sql, one.question
        assert all(len(line) <= 120 for line in one.sql.splitlines()), one.question


def test_every_view_is_asked_something() -> None:
    assert {one.view for one in (*ALL_ASKED, *questions_of_other_views())} == {
        one.name for one in views().values() if not one.is_part
    }


def test_each_question_is_answered_by_rows_that_somebody_wrote_in_the_tests_of_the_views() -> None:
    tests = "".join(path.read_text() for path in VIEWS.glob("test_*.py"))
    asked_there = {int(number) for number in re.findall(r"\bquestion\((\d+)\)", tests)}
    assert asked_there == {*range(1, len(ALL_ASKED) + 1)}


def test_the_demo_answers_each_question_by_rows_that_somebody_wrote(demo: DatasetReader) -> None:
    assert {*ANSWERS} == {*range(1, len(ALL_ASKED) + 1)}
    for number, one in enumerate(ALL_ASKED, 1):
        assert sorted(_rows(demo, one.sql), key=repr) == sorted(ANSWERS[number], key=repr), one.question


def test_every_view_has_rows_in_the_demo_but_that_of_previews(demo: DatasetReader) -> None:
    made = {one.name for one in demo.relations() if one.is_view}
    assert made == {one.name for one in views().values() if not one.is_part} - {"ecr_lifecycle_preview_differences"}
    assert [name for name in sorted(made) if not _rows(demo, f"SELECT * FROM {name}")] == []


def _rows(reader: DatasetReader, sql: str) -> list[Row]:
    rows = reader.rows(sql)
    return [tuple(map(_legible, row.values())) for batch in rows.batches for row in batch.to_pylist()]


def _legible(value: Any) -> Any:
    """A value as somebody writes it: cents, and a digest only as that."""
    if isinstance(value, (float, Decimal)):
        return round(float(value), 2)
    return "sha256" if str(value).startswith("sha256:") else value


def test_each_database_gives_the_answers_of_the_page(demo: DatasetReader) -> None:
    changed = differences({"questions.md": questions_page(demo)})
    assert not changed, "\n".join(["out of date: run python -m tests.pages.questions", *changed[:30]])


def test_all_that_the_pages_ask_has_an_answer_in_the_maximal_registry(registry: DatasetReader) -> None:
    for one in (*ALL_ASKED, *questions_of_other_views()):
        sql = one.sql.replace("days_since_push < 30", "days_since_push < 100000")  # its images are of 2023
        assert len(answered(registry, sql).splitlines()) > 1, one.question


@pytest.mark.parametrize(("demo", "registry"), [("duckdb", "duckdb")], indirect=True)
def test_the_pages_of_the_views_are_what_they_say(demo: DatasetReader, registry: DatasetReader) -> None:
    changed = differences(pages(demo, registry))
    assert not changed, "\n".join(["out of date: run python -m tests.pages.questions", *changed[:30]])
