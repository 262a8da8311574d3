"""Tables on a terminal or in a pipe, and the catalog as text and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import NoneType
from typing import Any

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ecr_source import catalog
from ecr_source.catalog.model import iam_action
from ecr_source.catalog.schema import arrow_schema, column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.cli.lines import print_line
from ecr_source.errors import visible
from ecr_source.extract.ledger import Outcome, TableOutcome
from ecr_source.statuses import COMPLETE, SKIPPED

_WIDE = 1_000
_SCOPES_SHOWN = 20
_SUMMED = ("rows", "calls", "throttled")


def print_grid(console: Console, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Aligned columns, numbers to the right; in a pipe, lines as long as they are."""
    cells = [list(row) for row in rows]
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(header):
        number = all(isinstance(row[index], (int, float, NoneType)) for row in cells) and any(
            row[index] is not None for row in cells
        )
        grid.add_column(name, justify="right" if number else "left")
    for row in cells:
        grid.add_row(*(Text(_text(value)) for value in row))
    if console.is_terminal:
        console.print(grid)
        return
    wide = Console(width=_WIDE)
    with wide.capture() as capture:
        wide.print(grid)
    console.file.writelines(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else visible(str(value))


def print_outcome(console: Console, outcome: Outcome) -> None:
    """What came of each scope and group of tables, and below it a sentence for each thing that could not be read.

    Of many scopes, the groups of all together, and those that are not complete.
    """
    groups = outcome.groups()
    if len({group.scope for group in groups}) > _SCOPES_SHOWN:
        _print_summary(console, groups)
        groups = [group for group in groups if group.status not in (COMPLETE, SKIPPED)]
    if groups:
        print_grid(
            console,
            ("scope", "tables", "status", "rows", "calls", "throttled", "seconds"),
            [(g.scope, g.table, g.status, g.rows, g.calls, g.throttled, g.seconds) for g in groups],
        )
    for message in dict.fromkeys(table.message for table in outcome.incomplete):
        print_line(console, message)
    for sentence in dict.fromkeys(outcome.not_offered):
        print_line(console, sentence)
    if waiting := {table.scope for table in outcome.postponed}:
        scopes = next(iter(waiting)) if len(waiting) == 1 else f"{len(waiting):,} scopes"
        print_line(console, f"the budget was spent: the next run begins with what it did not reach in {scopes}")


def _print_summary(console: Console, groups: Sequence[TableOutcome]) -> None:
    by_status: dict[tuple[str, str], list[TableOutcome]] = {}
    for group in groups:
        by_status.setdefault((group.table, group.status), []).append(group)
    print_grid(
        console,
        ("tables", "status", "scopes", "rows", "calls", "throttled"),
        [
            (table, status, len(some), *(sum(getattr(one, name) for one in some) for name in _SUMMED))
            for (table, status), some in by_status.items()
        ],
    )
    console.print()


def catalog_as_json() -> list[dict[str, Any]]:
    """All tables as plain values: name, group, description, operations, IAM actions, key, columns."""
    tables: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]
    return [_described(table) for table in tables]


def print_catalog(console: Console) -> None:
    """All tables with their keys, columns, types, descriptions and IAM actions."""
    for table in catalog_as_json():
        console.print(table["name"], style="bold", markup=False, highlight=False)
        actions = ", ".join(table["iam_actions"]) or "none"
        for line in (table["description"], f"key: {', '.join(table['key'])}", f"IAM actions: {actions}"):
            print_line(console, f"  {line}")
        rows = [(f"    {c['name']}", c["type"], c["description"]) for c in table["columns"]]
        print_grid(console, ("    column", "type", "description"), rows)
        console.print()


def _described(table: Table | RunTable) -> dict[str, Any]:
    descriptions = column_descriptions(table)
    operations = catalog.operations_of([table]) if isinstance(table, Table) else []
    return {
        "name": table.name,
        "description": table.description,
        "group": catalog.group_of(table) if isinstance(table, Table) else None,
        "operations": [str(operation) for operation in operations],
        "iam_actions": sorted({iam_action(operation) for operation in operations}),
        "key": list(table.key),
        "columns": [
            {
                "name": field.name,
                "type": str(field.type),
                "nullable": field.nullable,
                "description": descriptions[field.name],
            }
            for field in arrow_schema(table)
        ],
    }
