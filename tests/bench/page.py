"""docs/performance.md and its pictures, of the numbers in docs/performance.json: a section for each table."""

from __future__ import annotations

import json
import os
import platform
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

from tests.bench.pictures import Picture

Cell: TypeAlias = str | float | Sequence[float] | None
"""Of a number that has a spread: the median, the least and the most of all rounds."""
Row: TypeAlias = Sequence[Cell]

NUMBERS, PAGE = "performance.json", "performance.md"

INTRODUCTION = """\
# Performance

`make bench` writes this page, and `python -m tests.bench --only images` one section of it; the numbers as they were
measured are in [performance.json](performance.json). Everything is measured against the test server, over HTTP on the
same machine, into DuckDB files unless a section says otherwise. The numbers are medians, each section tells of how many
runs; *peak* is the memory of the largest process, and of all runs the highest. Seconds of one section compare with each
other, and not with those of a section that was measured elsewhere.

Measured on: {on}.
"""


@dataclass(frozen=True)
class Column:
    """A column of a table: its title, and how its numbers are written; one of them for each number of a spread."""

    title: str
    written: str = "{}"

    def text(self, cell: Cell) -> str:
        """The cell as the page has it."""
        if cell is None:
            return ""
        return self.written.format(*cell) if isinstance(cell, list | tuple) else self.written.format(cell)


@dataclass(frozen=True)
class Section:
    """A table of the page: what it is, its columns, how many rounds are measured, what measures them, its picture."""

    title: str
    text: str
    columns: Sequence[Column]
    rounds: int
    rows: Callable[[int], list[Row]]
    picture: Picture | None = None

    def measured(self, rounds: int) -> dict[str, Any]:
        """What `rounds` rounds gave, as performance.json has it."""
        rows = [[_rounded(cell) for cell in row] for row in self.rows(rounds)]
        return {"on": _here(), "rounds": rounds, "columns": self._titles, "rows": rows}

    def body(self, measured: Mapping[str, Any], mostly_on: str) -> str:
        """The section of the page, which says where it was measured if that is another place than `mostly_on`.

        Raises:
            ValueError: the numbers are those of other columns: they have to be measured anew.
        """
        if measured["columns"] != self._titles:
            raise ValueError(f"{self.title} was measured with the columns {measured['columns']}: measure it anew")
        lines = [self._titles, ["---"] * len(self.columns), *map(self._cells, measured["rows"])]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        picture = f"![{self.picture.meaning}]({self.picture.file})" if self.picture else ""
        elsewhere = f"Measured on: {measured['on']}." if measured["on"] != mostly_on else ""
        parts = [f"## {self.title}", self.text.format(rounds=measured["rounds"]), elsewhere, picture, table]
        return "\n\n".join(part if part in (picture, table) else _filled(part) for part in parts if part) + "\n"

    def drawn(self, measured: Mapping[str, Any]) -> str:
        """The picture, as SVG."""
        assert self.picture is not None
        return self.picture.drawn([dict(zip(measured["columns"], row, strict=True)) for row in measured["rows"]])

    @property
    def _titles(self) -> list[str]:
        return [column.title for column in self.columns]

    def _cells(self, row: Row) -> list[str]:
        return [column.text(cell) for column, cell in zip(self.columns, row, strict=True)]


def _here() -> str:
    """The machine and the versions with which this process measures."""
    machine = f"{_processor()}, {os.cpu_count()} cores; {platform.system()}, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {version(name)}" for name in ("dlt", "boto3", "pyarrow", "duckdb"))
    return f"{machine}; {versions}"


def known(folder: Path) -> dict[str, Any]:
    """What was measured before, by the titles of the sections."""
    file = folder / NUMBERS
    return dict(json.loads(file.read_text())) if file.exists() else {}


def note(folder: Path, measured: Mapping[str, Any]) -> None:
    """Writes what was measured into the folder."""
    (folder / NUMBERS).write_text(json.dumps(measured, indent=1, ensure_ascii=False) + "\n")


def files(measured: Mapping[str, Any], sections: Iterable[Section]) -> dict[str, str]:
    """The page and the pictures by their names, of what was measured, in the order of `sections`."""
    mostly_on = Counter(numbers["on"] for numbers in measured.values()).most_common(1)[0][0]
    there = [section for section in sections if section.title in measured]
    bodies = [section.body(measured[section.title], mostly_on) for section in there]
    pictures = {one.picture.file: one.drawn(measured[one.title]) for one in there if one.picture}
    return {PAGE: "\n".join([_filled(INTRODUCTION.format(on=mostly_on)) + "\n", *bodies]), **pictures}


def _rounded(cell: Cell) -> Cell:
    """The cell with four digits of each number that was measured, which is more than a second run repeats."""
    if isinstance(cell, list | tuple):
        return [float(f"{number:.4g}") for number in cell]
    return float(f"{cell:.4g}") if isinstance(cell, float) else cell


def _filled(text: str) -> str:
    """The text in lines of the page's width."""
    paragraphs = (textwrap.fill(one, 120, break_on_hyphens=False) for one in text.split("\n\n"))
    return "\n\n".join(paragraphs)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
