"""The catalog on a terminal or in a pipe, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import orjson
from rich.console import Console
from rich.text import Text

from ecr_source import catalog
from ecr_source.catalog.example_queries import example_queries
from ecr_source.catalog.in_words import facts, sources_of
from ecr_source.catalog.schema import arrow_schema, column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.views.definition import views_that_ask
from ecr_source.printing import print_grid, print_line

AnyTable: TypeAlias = Table | RunTable

_WIDTH = max(len(table.name) for table in catalog.TABLES)
_ONE_ROW_PER = "One row per "
"""What every description begins with."""

_RUN = "the run (always): What a run tells of itself."


def tables_called(names: Sequence[str]) -> list[AnyTable]:
    """The tables of these names, of groups or of tables, those that the run fills included; all, if none is named.

    Raises:
        ConfigurationError: a name is not in the catalog.
    """
    of_run = {table.name: table for table in catalog.RUN_TABLES}
    if not names:
        return [*catalog.TABLES, *catalog.RUN_TABLES]
    others = [name for name in names if name not in of_run]
    return [*(catalog.select_tables(others) if others else ()), *(of_run[name] for name in names if name in of_run)]


def print_names() -> None:
    """The groups, and below each its tables, in a line each: a terminal cuts off what it has no room for."""
    console = Console()
    _print_cut(console, Text(f"  {'table':{_WIDTH}}  one row per", style="bold"))
    for group, tables in catalog.GROUPS.items():
        default = " (default)" if group in catalog.DEFAULT_GROUPS else ""
        _print_group(console, f"{group}{default}: {catalog.GROUP_DESCRIPTIONS[group]}", tables)
    _print_group(console, _RUN, catalog.RUN_TABLES)
    console.print()
    print_line(console, "ecr-source tables NAME lists the columns of a group or a table; run --table NAME loads it.")


def _print_group(console: Console, heading: str, tables: Sequence[AnyTable]) -> None:
    _print_cut(console, Text(heading, style="bold"))
    for table in tables:
        _print_cut(console, Text(f"  {table.name:{_WIDTH}}  {table.description.removeprefix(_ONE_ROW_PER)}"))


def _print_cut(console: Console, line: Text) -> None:
    if console.is_terminal:
        console.print(line, no_wrap=True, overflow="ellipsis")
    else:
        print_line(console, line.plain)


def print_tables(tables: Sequence[AnyTable]) -> None:
    """The tables with all that docs/tables says of them, but the sources of their columns and the answers."""
    console = Console()
    for table in tables:
        console.print(table.name, style="bold", markup=False, highlight=False)
        for line in (table.description, *_facts(table), "in DuckDB's SQL:"):
            print_line(console, f"  {line}")
        for line in example_queries()[table.name].splitlines():
            print_line(console, f"    {line}")
        columns = _described(table)["columns"]
        rows = [(f"    {column['name']}", column["type"], column["description"]) for column in columns]
        print_grid(console, ("    column", "type", "description"), rows)
        console.print()


def _facts(table: AnyTable) -> list[str]:
    asking = views_that_ask(table.name)
    told = facts(table) | ({"views": ", ".join(asking)} if asking else {})
    return [f"{about}: {_plain(text)}" for about, text in told.items()]


def _plain(text: str) -> str:
    return text.replace("`", "")


def print_tables_as_json(tables: Sequence[AnyTable]) -> None:
    """The tables as JSON: name, group, description, operations, IAM actions, key, query, columns with their sources."""
    print(orjson.dumps([_described(table) for table in tables], option=orjson.OPT_INDENT_2).decode())  # noqa: T201 (asked for)


def _described(table: AnyTable) -> dict[str, Any]:
    descriptions = column_descriptions(table)
    operations = catalog.operations_of([table]) if isinstance(table, Table) else []
    actions = catalog.actions_by_option([table]) if isinstance(table, Table) else {"": []}
    return {
        "name": table.name,
        "description": table.description,
        "group": catalog.group_of(table) if isinstance(table, Table) else None,
        "operations": [str(operation) for operation in operations],
        "iam_actions": actions.pop(""),
        "iam_actions_by_option": actions,
        "key": list(table.key),
        "example_query": example_queries()[table.name],
        "columns": [
            {
                "name": field.name,
                "type": str(field.type),
                "nullable": field.nullable,
                "description": descriptions[field.name],
                "source": _plain(sources_of(table, field.name)) if isinstance(table, Table) else "",
            }
            for field in arrow_schema(table)
        ],
    }
