"""The questions of docs/questions.md by their numbers there."""

from __future__ import annotations

from ecr_source.destinations.views.view_questions import questions

ALL_ASKED = [asked for of_a_topic in questions().values() for asked in of_a_topic]


def question(number: int) -> str:
    """The query of a question by its number on the page."""
    return ALL_ASKED[number - 1].sql
