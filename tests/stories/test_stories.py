"""Each user story goes as it is told."""

from __future__ import annotations

import pytest

from tests.server.ecr_server import EcrServer
from tests.stories.story import stories, surroundings, told

AT_NIGHT = {
    "All repositories of a team",
    "A plan says what this very run would do now",
    "The demo's repositories are not among one's own",
    "The policies could not be read in the very first run",
    "What changed?",
    "Which repositories have no lifecycle policy, after any runs",
}
"""The stories of many runs, each of which takes half a minute."""


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(story, id=title, marks=pytest.mark.nightly if title in AT_NIGHT else ())
        for title, story in stories()
    ],
)
def test_the_story_goes_as_it_is_told(story: str, server: EcrServer) -> None:
    assert told(story, server, surroundings(server)) == story


def test_the_stories_that_are_told_at_night_are_there() -> None:
    assert {title for title, _ in stories()} >= AT_NIGHT
