"""Rows and columns of what a panel shows: its own, or where it has a matrix, those that meet in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ecr_source.report.panel import LABEL, Answer, Column, Matrix, Row


@dataclass(frozen=True)
class Grid:
    """What is shown of an answer; `note` says which columns are not."""

    columns: Mapping[str, Column]
    rows: Sequence[Row]
    note: str = ""


def grid(answer: Answer) -> Grid:
    """The rows of an answer as its panel shows them."""
    if answer.panel.matrix is None:
        said = {name: column for name, column in answer.panel.columns.items() if _says_something(name, column, answer)}
        return Grid(said, answer.rows)
    return _turned(answer.panel.matrix, answer.panel.columns, answer.rows)


def _says_something(name: str, column: Column, answer: Answer) -> bool:
    return bool(column.null) or any(row[name] is not None for row in answer.rows)


def _turned(matrix: Matrix, columns: Mapping[str, Column], rows: Sequence[Row]) -> Grid:
    counted = Counter(str(row[matrix.columns]) for row in rows)
    names = sorted(name for name, _ in counted.most_common(matrix.most))
    turned: dict[tuple[object, ...], dict[str, object]] = {}
    for row in rows:
        key = tuple(row[name] for name in matrix.rows)
        cells = turned.setdefault(key, {name: row[name] for name in matrix.rows} | dict.fromkeys(names))
        if str(row[matrix.columns]) in names:
            cells[str(row[matrix.columns])] = row[matrix.cell]
    left_out = len(counted) - len(names)
    note = f"{left_out:,} more that fewer rows name have no column: the query has them." if left_out else ""
    shown = {name: columns[name] for name in matrix.rows} | {name: Column(name, LABEL, "–") for name in names}
    return Grid(shown, list(turned.values()), note)
