"""The site of docs/: every link leads somewhere, everything is found, and nobody else is asked for any of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecr_source import catalog
from ecr_source.destinations.views.definition import views

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"


@pytest.mark.parametrize(
    ("link", "refused"),
    [("nowhere.md", "page does not exist"), ("query.md#nowhere", "anchor does not exist")],
    ids=["page", "heading"],
)
def test_a_dead_link_makes_no_site(tmp_path: Path, link: str, refused: str) -> None:
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    with tmp_path.joinpath("docs", "lake.md").open("a") as page:
        page.write(f"\n[A dead link]({link})\n")
    command = [str(ROOT / ".venv-docs/bin/zensical"), "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert refused in done.stdout + done.stderr


def test_the_search_finds_every_table_and_view() -> None:
    found = SITE.joinpath("search.json").read_text()
    names = [table.name for table in catalog.TABLES]
    names += [table.name for table in catalog.RUN_TABLES]
    names += [view.name for view in views().values() if not view.is_part]
    assert [name for name in names if f'"title":"{name}"' not in found.replace('": "', '":"')] == []


def test_it_is_dark_where_the_reader_s_screen_is() -> None:
    page = SITE.joinpath("index.html").read_text()
    assert re.findall(r'media="(\(prefers-color-scheme: \w+\))" data-md-color-scheme="(\w+)"', page) == [
        ("(prefers-color-scheme: light)", "default"),
        ("(prefers-color-scheme: dark)", "slate"),
    ]


def fetched(text: str) -> Iterator[str]:
    """What a browser asks for to show a page or a style sheet; not where its links lead."""
    for tag in re.findall(r"<(?:script|link|img|iframe|source|object)\b[^>]*>", text):
        yield from re.findall(r'(?:src|href|data)="?([^"\s>]+)', tag)
    yield from re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", text)


def test_a_page_asks_nobody_but_the_site_itself() -> None:
    shown = [path for suffix in ("html", "css") for path in SITE.rglob(f"*.{suffix}")]
    asked = {target for path in shown for target in fetched(path.read_text())}
    assert len(shown) > 100
    assert any(target.endswith(".css") for target in asked)
    assert {target for target in asked if re.match(r"(\w+:)?//", target)} == set()


def test_what_would_ask_others_is_found() -> None:
    fonts = '<link rel="stylesheet" href="https://fonts.example/css"><style>@import "//cdn.example/x.css"</style>'
    assert list(fetched(fonts)) == ["https://fonts.example/css", "//cdn.example/x.css"]
