"""What a report consists of, as data: parts, their panels, and the columns and charts that these show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
"""A row of an answer, by the names of its columns."""

TEXT, NUMBER, BYTES, DOLLARS, SHARE = "text", "number", "bytes", "dollars", "share"
TIME, LABEL, DIGEST = "time", "label", "digest"
"""How a value is shown: bytes in GB, a share in percent, a time in UTC, a label as a word that stands out where it is
bad, a digest by its beginning."""

UNKNOWN = "unknown"

ACCOUNT, REGION, NAMESPACE = "account", "region", "namespace"
"""What a report can be narrowed to."""


@dataclass(frozen=True)
class Column:
    """A column as people see it; `null` is what stands where there is no value."""

    label: str
    kind: str = TEXT
    null: str = ""


@dataclass(frozen=True)
class Bars:
    """Bars beside each other, each in segments: `segments` are number columns, with the colour of each.

    A colour is the name of a variable of the style sheet, which has one for light and one for dark.
    """

    category: str
    segments: Mapping[str, str]
    unit: str
    most: int = 15


@dataclass(frozen=True)
class Matrix:
    """A table of `rows` by `columns`, with the texts of `cell` where they meet; the columns come by their number."""

    rows: Sequence[str]
    columns: str
    cell: str
    most: int = 12


@dataclass(frozen=True)
class Panel:
    """A question of the report.

    `query` is SQL that all databases of the views have; `{name}` in it is a view, narrowed to what was asked for.
    `finding` says in a sentence what the rows say, and what it says where there are none. `note` is what the panel
    cannot know. It is left out of a report that is narrowed by anything but `narrowed_by`: it would name others.
    """

    name: str
    question: str
    query: str
    columns: Mapping[str, Column]
    finding: Callable[[Sequence[Row]], str]
    note: str = ""
    chart: Bars | None = None
    matrix: Matrix | None = None
    most: int = 50
    narrowed_by: Collection[str] = (ACCOUNT, REGION, NAMESPACE)


@dataclass(frozen=True)
class Part:
    """A chapter of the report."""

    name: str
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Answer:
    """What a panel was answered: its first rows, of `total`; or why there are none to have.

    `finding` is of all rows, not only of those that are shown.
    """

    panel: Panel
    query: str
    finding: str
    rows: Sequence[Row] = ()
    total: int = 0
    missing: str = ""

    @property
    def left_out(self) -> int:
        """How many rows there are that are not shown."""
        return self.total - len(self.rows)


def total(rows: Sequence[Row], column: str) -> Any:
    """The sum of a column, of the rows that have a value."""
    return sum(row[column] for row in rows if row[column] is not None)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Such as "1 image" or "2,000 images"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
