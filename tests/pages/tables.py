"""Writes docs/tables.md, and a page for each group and each table: `python -m tests.pages.tables`.

All of them follow from the catalog and the example queries; the answers come from a load of the test server's maximal
registry.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import duckdb
from rich.console import Console

from ecr_source import catalog, ecr_source
from ecr_source.catalog.example_queries import example_queries
from ecr_source.catalog.in_words import actions, facts, sources_of
from ecr_source.catalog.schema import arrow_schema, column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.views.definition import views_that_ask
from ecr_source.printing import print_grid
from tests.conftest import make_pipeline
from tests.pages.folder import escaped, write
from tests.server.ecr_server import ACCESS_KEY, ACCOUNT, EcrServer, error, serving

COMMON = ("unmodelled", "extracted_at")
"""Columns that every table has, described once."""

_ALL: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]
_NAMES = {table.name for table in _ALL}

_INDEX = """\
# Tables

Each table has a page with its permissions, its cost, a query with its answer, and its columns.
`python -m tests.pages.tables` writes all of them, from the catalog and a load of the tests' registry;
`ecr-source tables NAME` prints the same descriptions, permissions, costs and queries.

`--table` (in Python `tables=[…]`) chooses a group or a table and can be repeated: `--table findings`,
`--table replication_rules`. Where a group and a table have the same name, it is the group's; `images.images` is the
table. `all` is all groups but manifests. With nothing chosen the groups marked *default* are read; what is chosen
replaces them, and `--table default,findings` adds to them. What a table is asked for, such as the listing of
repositories, is read as well, and its permission is among the *IAM actions*.

{groups}

## The run

What the run itself tells; no calls are made for it. Rows are only ever added, but those of extraction_repositories and
extraction_images, of which a repository or an image has one for each operation (in incremental mode the newest counts).

{of_the_run}

## What the pages say

Types are Arrow's. A *source* is the path of a member in the API's response: `[]` stands for the items of a list, `{{}}`
for the entries of a map, and `policyText@policy` for what is parsed out of the JSON in the text `policyText`. *The
scope* is the account and region that was asked. *The age* is `--findings-max-age`, 7 days by default; *the bounds* are
`--findings-latest`, `--findings-pushed-within` and `--findings-tag`.

The queries are DuckDB's SQL, after `USE aws_ecr; SET TimeZone = 'UTC'`. In history mode add
`WHERE _dlt_valid_to IS NULL` for the rows that hold now; how they were is asked in
[operations.md](operations.md#history).

## Columns of every table

Every table but those of [the run](#the-run) has two columns more than its page lists:

{common}

## What is not called

These operations read, too, and fill no table:

{not_read}
"""


def pages(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The pages by their paths in docs/; `connection` answers the queries."""
    answers = {name: answer(connection, query) for name, query in example_queries().items()}
    return (
        {"tables.md": _index()}
        | {f"groups/{group}.md": _group_page(group) for group in catalog.GROUPS}
        | {f"tables/{table.name}.md": _table_page(table, answers[table.name]) for table in _ALL}
    )


# --- the answers ------------------------------------------------------------------------------------------------------


@contextmanager
def maximal_registry() -> Iterator[duckdb.DuckDBPyConnection]:
    """All tables of the maximal registry in a temporary database."""
    with TemporaryDirectory() as name, patch.dict(os.environ), chdir(name), serving() as server:
        folder = Path(name)
        _only_settings_of_ours(folder)
        fill(server)
        make_pipeline(folder / "pipelines", folder / "ecr.duckdb").run(
            ecr_source(
                regions=["eu-west-1"],
                endpoint_url=server.url,
                tables=["all", "manifests"],
                moves_last_recorded_pull_time=True,
            )
        )
        with duckdb.connect(folder / "ecr.duckdb", read_only=True) as connection:
            connection.execute("USE aws_ecr; SET TimeZone = 'UTC'")
            yield connection


def _only_settings_of_ours(folder: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "SOURCES__", "DESTINATION__", "DLT_")) and name != "AWS_DATA_PATH":
            del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(folder / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "DLT_DATA_DIR": str(folder / "dlt"),
    }


def fill(server: EcrServer) -> None:
    """The maximal registry, and what it has none of: annotations of a manifest, and something that cannot be read."""
    registry = server.registry()
    registry.maximal()
    image = registry.image("team-a/web", {"imageTag": "blue"})
    assert image is not None
    annotations = {"org.opencontainers.image.revision": "6d1f4b2", "org.opencontainers.image.version": "3.2.0"}
    manifest = json.loads(registry.manifest("team-a/web", image)) | {"annotations": annotations}
    registry.manifests["team-a/web", image["imageDigest"]] = json.dumps(manifest)
    operation = "GetLifecyclePolicyPreview"
    message = f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: ecr:{operation}"
    server.fail(error("AccessDeniedException", message), operation=operation, repository="bare")


def answer(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[list[str], list[tuple[object, ...]]]:
    """The names of the columns and the rows."""
    result = connection.execute(query)
    return [column[0] for column in result.description or ()], result.fetchall()


# --- the index and the groups ---------------------------------------------------------------------------------------


def _index() -> str:
    schema, descriptions = arrow_schema(catalog.TABLES[0]), column_descriptions(catalog.TABLES[0])
    return _INDEX.format(
        groups="\n\n".join(map(_group_in_short, catalog.GROUPS)),
        of_the_run=_listed(catalog.RUN_TABLES),
        common="\n".join(f"- `{name}` ({schema.field(name).type}): {descriptions[name]}" for name in COMMON),
        not_read="\n".join(f"- `{operation}`: {reason}" for operation, reason in catalog.NOT_READ.items()),
    )


def _group_in_short(group: str) -> str:
    more = f"[More on the group](groups/{group}.md){_if_default(group)}."
    return f"## Group: {group}\n\n{catalog.GROUP_DESCRIPTIONS[group]} {more}\n\n{_listed(catalog.GROUPS[group])}"


def _listed(tables: Iterable[Table | RunTable]) -> str:
    return "\n".join(f"- [{table.name}](tables/{table.name}.md): {_row_of(table)}" for table in tables)


def _if_default(group: str) -> str:
    return ", *default*" if group in catalog.DEFAULT_GROUPS else ""


def _row_of(table: Table | RunTable) -> str:
    """The first sentence of its description, which says what a row is."""
    return escaped(re.split(r"(?<=[.?!]) ", table.description, maxsplit=1)[0])


def _group_page(group: str) -> str:
    tables = catalog.GROUPS[group]
    allowed = " --moves-last-recorded-pull-time" if group == catalog.MANIFESTS else ""
    rows = [
        (f"[{table.name}](../tables/{table.name}.md)", _row_of(table), _cost(table, "../tables/")) for table in tables
    ]
    parts = [
        f"# Group: {group}",
        catalog.GROUP_DESCRIPTIONS[group],
        f"- read by: `ecr-source run --table {group}{allowed}`{_if_default(group)}\n- IAM actions: {actions(tables)}",
        "\n".join(["| table | rows | cost |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]),
        "[All groups and tables](../tables.md)",
    ]
    return "\n\n".join(parts) + "\n"


# --- a table ----------------------------------------------------------------------------------------------------------


def _table_page(table: Table | RunTable, answered: tuple[Sequence[str], Iterable[Sequence[object]]]) -> str:
    parts = [
        f"# {table.name}",
        escaped(table.description),
        "\n".join(f"- {about}: {text}" for about, text in _facts(table).items()),
        f"```sql\n{example_queries()[table.name]}\n```",
        f"```text\n{_grid(*answered)}```",
        f"## Columns\n\n{_columns(table)}",
        "`unmodelled` and `extracted_at` are [columns of every table](../tables.md#columns-of-every-table)."
        if isinstance(table, Table)
        else "[All groups and tables](../tables.md)",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(table: Table | RunTable) -> dict[str, str]:
    told = facts(table)
    if isinstance(table, Table):
        group = catalog.group_of(table)
        told = {"group": f"[{group}](../groups/{group}.md){_if_default(group)}"} | told | {"cost": _cost(table, "")}
    if asking := views_that_ask(table.name):
        told["views"] = ", ".join(f"[{view}](../views/{view}.md)" for view in asking)
    return told


def _cost(table: Table, folder: str) -> str:
    """What it costs, with links to the tables whose calls it comes with, which are in `folder`."""
    return re.sub(
        r"`(\w+)`",
        lambda found: f"[{found[1]}]({folder}{found[1]}.md)" if found[1] in _NAMES else found[0],
        facts(table)["cost"],
    )


def _columns(table: Table | RunTable) -> str:
    descriptions = column_descriptions(table)
    sourced = isinstance(table, Table)
    lines = ["| column | type | source | description |", "|---|---|---|---|"] if sourced else []
    lines = lines or ["| column | type | description |", "|---|---|---|"]
    for field in arrow_schema(table):
        if sourced and field.name in COMMON:
            continue
        source = [sources_of(table, field.name, "<br>")] if isinstance(table, Table) else []
        cells = [f"`{field.name}`", str(field.type), *source, escaped(descriptions[field.name])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _grid(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = StringIO()
    print_grid(Console(file=text), header, rows)
    return text.getvalue()


if __name__ == "__main__":
    with maximal_registry() as maximal:
        write(pages(maximal))
