"""How a run came out, as people see it."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from ecr_source.printing import print_grid, print_line
from ecr_source.statuses import AS_ASKED, SKIPPED

if TYPE_CHECKING:
    from ecr_source.extract.ledger import Outcome, TableOutcome

_SCOPES_SHOWN = 20
_SUMMED = ("rows", "calls", "throttled")


def print_outcome(console: Console, outcome: Outcome) -> None:
    """What came of each scope and group of tables, and below it a sentence for each thing that could not be read.

    Of many scopes, the groups of all together, and those that are not complete.
    """
    groups = outcome.groups()
    if len({group.scope for group in groups}) > _SCOPES_SHOWN:
        _print_summary(console, groups)
        groups = [group for group in groups if group.status not in {*AS_ASKED, SKIPPED}]
    if groups:
        header = ("scope", "group", "status", "rows read", "calls", "throttled", "seconds", "images")
        rows = [
            (g.scope, g.table, g.status, _rows_read(g), g.calls, g.throttled, g.seconds, _images(g)) for g in groups
        ]
        columns = len(header) if any(group.images for group in groups) else len(header) - 1
        print_grid(console, header[:columns], [row[:columns] for row in rows])
    for sentence in outcome.sentences():
        print_line(console, sentence)
    for sentence in dict.fromkeys(outcome.not_offered):
        print_line(console, sentence)
    if waiting := {table.scope for table in outcome.postponed}:
        scopes = next(iter(waiting)) if len(waiting) == 1 else f"{len(waiting):,} scopes"
        print_line(console, f"the budget was spent: the next run begins with what it did not reach in {scopes}")


def outcome_text(outcome: Outcome) -> str:
    """The same as a text."""
    text = StringIO()
    print_outcome(Console(file=text), outcome)
    return text.getvalue()


def _rows_read(group: TableOutcome) -> int | str:
    return "kept" if group.kept_from and not group.rows else group.rows


def _images(group: TableOutcome) -> str:
    """How many images were asked, and what became of the others."""
    counts = {name: count for name, count in group.images.items() if count or name == "asked"}
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())


def _print_summary(console: Console, groups: Sequence[TableOutcome]) -> None:
    by_status: dict[tuple[str, str], list[TableOutcome]] = {}
    for group in groups:
        by_status.setdefault((group.table, group.status), []).append(group)
    print_grid(
        console,
        ("group", "status", "scopes", "rows read", "calls", "throttled"),
        [
            (table, status, len(some), *(sum(getattr(one, name) for one in some) for name in _SUMMED))
            for (table, status), some in by_status.items()
        ],
    )
    console.print()
