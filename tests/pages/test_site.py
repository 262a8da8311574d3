"""zensical.toml has every page of docs/."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from tests.pages.folder import DOCS
from tests.pages.site import FILE, configuration


def test_the_site_is_as_the_catalog_has_it() -> None:
    assert FILE.read_text() == configuration(), "out of date: run python -m tests.pages.site"


def test_every_page_has_one_place_in_the_site() -> None:
    placed = sorted(pages(tomllib.loads(FILE.read_text())["project"]["nav"]))
    assert placed == sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def pages(item: Any) -> Iterator[str]:
    if isinstance(item, str):
        yield item
        return
    for inner in item.values() if isinstance(item, dict) else item:
        yield from pages(inner)
