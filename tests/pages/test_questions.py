"""docs/questions.md and docs/views say what the views answer, in DuckDB and in Postgres."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecr_source.destinations.reading import DatasetReader
from ecr_source.destinations.views.definition import views
from tests.conftest import isolate, new_warehouse
from tests.pages.asked_questions import OF_OTHER_VIEWS
from tests.pages.asked_registry import asked_registry
from tests.pages.folder import differences
from tests.pages.questions import ALL_ASKED, answered, pages, questions_page
from tests.warehouse import DESTINATIONS

VIEWS = Path(__file__).parents[1] / "views"


@pytest.fixture(scope="module", params=DESTINATIONS)
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatasetReader]:
    """The dataset that the pages are written from, in each database."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        with asked_registry(new_warehouse(request, request.param, folder / "asked.duckdb")) as reader:
            yield reader


def test_all_that_people_ask_takes_one_view_and_three_lines() -> None:
    assert len(ALL_ASKED) == 32
    for one in ALL_ASKED:
        assert len(one.sql.splitlines()) <= 3, one.question
        assert one.view in views(), one.question
        assert "JOIN" not in one.sql, one.question
        assert all(len(line) <= 120 for line in one.sql.splitlines()), one.question


def test_every_view_is_asked_something() -> None:
    assert {one.view for one in (*ALL_ASKED, *OF_OTHER_VIEWS)} == {
        one.name for one in views().values() if not one.is_part
    }


def test_each_question_is_answered_by_rows_that_somebody_wrote_in_the_tests_of_the_views() -> None:
    tests = "".join(path.read_text() for path in VIEWS.glob("test_*.py"))
    asked_there = {int(number) for number in re.findall(r"\bquestion\((\d+)\)", tests)}
    assert asked_there == {*range(1, len(ALL_ASKED) + 1)}


def test_each_database_gives_the_answers_of_the_page(asked: DatasetReader) -> None:
    changed = differences({"questions.md": questions_page(asked)})
    assert not changed, "\n".join(["out of date: run python -m tests.pages.questions", *changed[:30]])


def test_every_question_has_an_answer(asked: DatasetReader) -> None:
    for one in (*ALL_ASKED, *OF_OTHER_VIEWS):
        assert len(answered(asked, one.sql).splitlines()) > 1, one.question


@pytest.mark.parametrize("asked", ["duckdb"], indirect=True)
def test_the_pages_of_the_views_are_what_they_say(asked: DatasetReader) -> None:
    changed = differences(pages(asked))
    assert not changed, "\n".join(["out of date: run python -m tests.pages.questions", *changed[:30]])
