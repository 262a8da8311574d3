"""The folder docs/, into which pages are written that something else determines."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def write(pages: Mapping[str, str]) -> None:
    """Writes the pages, by their paths in docs/, and deletes what else is in the folders below it that they are in."""
    for path in _in_their_folders(pages) - pages.keys():
        DOCS.joinpath(path).unlink()
    for path, text in pages.items():
        DOCS.joinpath(path).parent.mkdir(exist_ok=True)
        DOCS.joinpath(path).write_text(text)


def differences(pages: Mapping[str, str]) -> list[str]:
    """What writing them would change, line by line."""
    changed = [f"docs/{path} is no page any more" for path in sorted(_in_their_folders(pages) - pages.keys())]
    for path, text in pages.items():
        there = DOCS / path
        before = there.read_text().splitlines() if there.exists() else []
        changed += unified_diff(before, text.splitlines(), f"docs/{path}", lineterm="", n=0)
    return changed


def _in_their_folders(pages: Mapping[str, str]) -> set[str]:
    folders = {Path(path).parent for path in pages} - {Path()}
    return {str(file.relative_to(DOCS)) for folder in folders for file in (DOCS / folder).glob("*.md")}


def escaped(text: str) -> str:
    """Text in which nothing is taken for Markdown."""
    for character in ("|", "*", "<"):
        text = text.replace(character, f"\\{character}")
    return text
