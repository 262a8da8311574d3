"""docs/performance.md: a section for each table, which can be written anew alone."""

from __future__ import annotations

import os
import platform
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

Row: TypeAlias = Sequence[str]

INTRODUCTION = """\
# Performance

`make bench` writes this page, and `python -m tests.bench --only images` one section of it. Everything is measured
against the test server, over HTTP on the same machine, into DuckDB files unless a section says otherwise. The numbers
are medians, each section tells of how many runs; *peak* is the memory of the largest process, and of all runs the
highest.

Measured on: {machine}; {versions}.
"""

_SECTION = re.compile(r"^## (.*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A table of the page: what it is, its header, how many rounds are measured, and what measures them."""

    title: str
    text: str
    header: Row
    rounds: int
    rows: Callable[[int], list[Row]]

    def measured(self, rounds: int) -> str:
        """The body of the section, with what `rounds` rounds gave."""
        lines = [self.header, ["---"] * len(self.header), *self.rows(rounds)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"\n{_filled(self.text.format(rounds=rounds))}\n\n{table}\n"


def introduction() -> str:
    """The head of a page that is measured on this machine with these versions."""
    return INTRODUCTION.format(
        machine=f"{_processor()}, {os.cpu_count()} cores; {platform.system()}, Python {platform.python_version()}",
        versions=", ".join(f"{name} {version(name)}" for name in ("dlt", "boto3", "pyarrow", "duckdb")),
    )


def is_measured_elsewhere(page: Path) -> bool:
    """Whether the page has sections that another machine, or other versions, gave."""
    return page.exists() and not page.read_text().startswith(introduction())


def write(page: Path, titles: Sequence[str], bodies: Mapping[str, str], *, keep: bool) -> None:
    """Writes the sections in the order of `titles`; `keep` those of the page that are not in `bodies`."""
    known = {**(_sections(page) if keep and page.exists() else {}), **bodies}
    written = [f"## {title}\n{known[title]}" for title in titles if title in known]
    page.write_text("\n".join([introduction(), *written]))


def _sections(page: Path) -> dict[str, str]:
    _, *parts = _SECTION.split(page.read_text())
    return {title: body.rstrip("\n") + "\n" for title, body in zip(parts[::2], parts[1::2], strict=True)}


def _filled(text: str) -> str:
    """The text in lines of the page's width."""
    paragraphs = (textwrap.fill(one, 120, break_on_hyphens=False) for one in text.split("\n\n"))
    return "\n\n".join(paragraphs)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
