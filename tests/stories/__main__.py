"""`python -m tests.stories` tells all stories anew, as they go now; read what has changed before you keep it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.conftest import isolate
from tests.server.ecr_server import serving
from tests.stories.story import PAGES, surroundings, told


def main() -> None:
    """Writes the pages."""
    for page in PAGES:
        opening, *stories = page.read_text().split("\n## ")
        page.write_text("\n## ".join([opening, *map(_told, stories)]))


def _told(story: str) -> str:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch, serving() as server:
        isolate(patch, Path(folder))
        return told(story, server, surroundings(server))


if __name__ == "__main__":
    main()
