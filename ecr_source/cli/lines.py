"""Lines for people, in which foreign text can do no harm."""

from __future__ import annotations

from rich.console import Console

from ecr_source.errors import visible


def print_line(console: Console, line: str) -> None:
    """Prints `line` as one line, however long it is."""
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
