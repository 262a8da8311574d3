"""Each user story goes as it is told."""

from __future__ import annotations

import pytest

from tests.server.ecr_server import EcrServer
from tests.stories.story import stories, surroundings, told


@pytest.mark.parametrize("story", [pytest.param(story, id=title) for title, story in stories()])
def test_the_story_goes_as_it_is_told(story: str, server: EcrServer) -> None:
    assert told(story, server, surroundings(server)) == story
