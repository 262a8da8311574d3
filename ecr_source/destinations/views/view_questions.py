"""The questions that the views are made for, as docs/questions.md and the page of each view have them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_OF_OTHER_VIEWS = "Other views"


@dataclass(frozen=True)
class ViewQuestion:
    """One question.

    Attributes:
        sql: the query that answers, in DuckDB and in Postgres.
        needs: what has to be read beside the default tables.
        cannot_know: what the answer does not say.
    """

    question: str
    sql: str
    needs: str = ""
    cannot_know: str = ""

    @property
    def view(self) -> str:
        """The view that it asks."""
        return self.sql.partition("FROM ")[2].split()[0]

    @property
    def commented(self) -> str:
        """The query below the question, and what it does not know, as comments."""
        unknown = f"\n-- What it does not know: {self.cannot_know}" if self.cannot_know else ""
        return f"-- {self.question}{unknown}\n{self.sql}"


@cache
def questions() -> dict[str, list[ViewQuestion]]:
    """What people ask, by topic."""
    return {topic: asked for topic, asked in _all().items() if topic != _OF_OTHER_VIEWS}


def questions_of_other_views() -> list[ViewQuestion]:
    """What is asked of the views that no question of people needs."""
    return _all()[_OF_OTHER_VIEWS]


def questions_of(view: str) -> list[ViewQuestion]:
    """What is asked of one view."""
    return [one for asked in _all().values() for one in asked if one.view == view]


@cache
def _all() -> dict[str, list[ViewQuestion]]:
    topics = tomllib.loads(files(__package__).joinpath("questions.toml").read_text())
    return {topic: [ViewQuestion(**one) for one in asked] for topic, asked in topics.items()}
