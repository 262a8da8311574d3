"""The views as their files define them: the question at the top, then what the columns mean, then the SELECT.

A file is written in DuckDB's SQL. It names tables without their dataset, and other views like tables; a table with all
its versions is `versions_of_images`, which only history mode has. A file whose name does not begin with `ecr_` is a
part that several views share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import takewhile

NEEDS = "needs"
VERSIONS_OF = "versions_of_"

RELATION = re.compile(r"\b(FROM|JOIN)\s+([a-z_]+)\b(?![(.])(\s+AS\b)?")
"""A name behind FROM or JOIN, as a SELECT has it: the keyword, the name, and whether another one follows for it."""

_MARK = re.compile(r" \[[0-9a-f]{8}\]$")


@dataclass(frozen=True)
class View:
    """One `.sql` file.

    Attributes:
        description: the question that it answers, and what a row is, on one line.
        columns: what those of its columns mean that no table has by the same name.
        needs: the tables without which it has no meaning. All others that it names may be missing.
        body: the SELECT.
        named: what stands behind its FROMs and JOINs: tables, views, and what the SELECT itself defines.
    """

    name: str
    description: str
    columns: dict[str, str]
    needs: tuple[str, ...]
    body: str
    named: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "named", tuple(sorted({name for _, name, _ in RELATION.findall(self.body)})))

    @property
    def is_part(self) -> bool:
        """Whether it is there for other views only, and not made."""
        return not self.name.startswith("ecr_")


@cache
def views() -> dict[str, View]:
    """All views by name."""
    found = (file for file in files(__package__).iterdir() if file.name.endswith(".sql"))
    parsed = (_parsed(file.name.removesuffix(".sql"), file.read_text()) for file in found)
    return {view.name: view for view in sorted(parsed, key=lambda view: view.name)}


def views_that_ask(table: str) -> list[str]:
    """The names of the views that read a table, themselves or through what they name."""
    return [view.name for view in views().values() if not view.is_part and table in _read_by(view.name)]


@cache
def _read_by(view: str) -> frozenset[str]:
    named = frozenset(name.removeprefix(VERSIONS_OF) for name in views()[view].named)
    return named.union(*map(_read_by, named & views().keys()))


def _parsed(name: str, text: str) -> View:
    lines = text.splitlines()
    header = [line.removeprefix("--") for line in takewhile(lambda line: line.startswith("--"), lines)]
    about = [line.strip() for line in takewhile(str.strip, header)]
    entries = _entries(header[len(about) :])
    needs = entries.pop(NEEDS, "")
    body = "\n".join(lines[len(header) :]).strip()
    return View(name, " ".join(about), entries, tuple(needs.split(", ")) if needs else (), body)


def _entries(lines: list[str]) -> dict[str, str]:
    """`name: text`, where a line that is indented more goes on with the text."""
    entries: dict[str, str] = {}
    name = ""
    for line in filter(str.strip, lines):
        if line.startswith("  "):
            entries[name] += f" {line.strip()}"
        else:
            name, _, text = line.strip().partition(": ")
            entries[name] = text
    return entries


def without_mark(comment: str) -> str:
    """The comment on a view without what tells the next run that it is as it should be."""
    return _MARK.sub("", comment)
