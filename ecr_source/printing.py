"""Lines and grids for people, on a terminal or in a pipe, in which foreign text can do no harm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ecr_source.errors import visible


def print_line(console: Console, line: str) -> None:
    """Prints `line` as one line, however long it is."""
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)


def print_grid(console: Console, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns, numbers to the right; in a pipe, lines as long as they are."""
    cells = [list(row) for row in rows]
    are_numbers = [any(isinstance(row[index], (int, float)) for row in cells) for index in range(len(header))]
    texts = [[cell_text(value) for value in row] for row in cells]
    names = list(map(visible, header))
    if not console.is_terminal:
        console.file.writelines(_aligned([names, *texts], are_numbers))
        return
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for name, is_right in zip(names, are_numbers, strict=True):
        grid.add_column(Text(name), justify="right" if is_right else "left", overflow="fold")
    for row in texts:
        grid.add_row(*map(Text, row))
    console.print(grid)


def _aligned(lines: Sequence[Sequence[str]], are_right: Sequence[bool]) -> Iterator[str]:
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (
            f"{' ' * (width - cell_len(text)) if right else ''}{text}{'' if right else ' ' * (width - cell_len(text))}"
            for text, width, right in zip(line, widths, are_right, strict=True)
        )
        yield f"{'  '.join(padded).rstrip()}\n"


def cell_text(value: object) -> str:
    """A value as a cell shows it."""
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))
