"""Writes docs/tables.md: `python -m tests.pages.tables`. All of it follows from the catalog and the example queries.

The answers to the queries come from a load of the test server's maximal registry.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import duckdb
from rich.console import Console

from ecr_source import catalog, ecr_source
from ecr_source.catalog.column import (
    ArnField,
    Asked,
    CallOutcome,
    Constant,
    Count,
    IsOneOf,
    Joined,
    Lookup,
    Member,
    Namespace,
    OfParent,
    OfScope,
    OrZero,
    Source,
)
from ecr_source.catalog.model import iam_action, is_paginated
from ecr_source.catalog.schema import arrow_schema, column_descriptions
from ecr_source.catalog.table import EachRow, EachValue, Filling, Operation, RunTable, Table
from ecr_source.cli.printed_tables import print_grid
from tests.conftest import make_pipeline
from tests.pages.example_queries import QUERIES
from tests.server.ecr_server import ACCESS_KEY, ACCOUNT, EcrServer, error, serving

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"

COMMON = ("unmodelled", "extracted_at")
"""Columns that every table has, described once."""

GROUP_WORDS = {
    "repositories": "Repositories, their resource tags, and how they are scanned.",
    "images": "Images and their tags.",
    "policies": "Policies, statement by statement, and lifecycle policies, rule by rule.",
    "registry": "The settings of a registry, and the rules that hold for all its repositories.",
    "findings": "The scans of images and what they found: basic and enhanced scanning in the same tables.",
    "image_status": "What becomes of an image after its push: replication and signing.",
    "previews": "What a lifecycle policy would do, where somebody has asked ECR for it; nothing here asks for more.",
    "manifests": (
        "Manifests, layers, and what refers to an image. Reading them counts as a pull of every image and moves"
        " `last_recorded_pull_time`, which lifecycle rules may act on: `--moves-last-recorded-pull-time` allows it."
    ),
    "public": "The account's public registry, asked in us-east-1.",
}

INTRODUCTION = """\
# Tables

`python -m tests.pages.tables` writes this page: tables, columns, types, descriptions and costs from the catalog,
answers from a load of the tests' registry.

`--table` (in Python `tables=[…]`) chooses a group or a table and can be repeated: `--table findings`,
`--table replication_rules`. Where a group and a table have the same name, it is the group's; `images.images` is the
table. `all` is all groups but manifests. With nothing chosen the groups marked *default* are read. What a table is
asked for, such as the listing of repositories, is read as well, and its permission is among the *IAM actions*.

Types are Arrow's. A *source* is the path of a member in the API's response: `[]` stands for the items of a list, `{{}}`
for the entries of a map, and `policyText@policy` for what is parsed out of the JSON in the text `policyText`. *The
scope* is the account and region that was asked. *The age* is `--findings-max-age`, 7 days by default; *the bounds* are
`--findings-latest`, `--findings-pushed-within` and `--findings-tag`.

Every table but those of [the run](#the-run) ends with two columns more, which are not repeated below:

{common}

The queries are DuckDB's SQL, after `USE aws_ecr; SET TimeZone = 'UTC'`. In history mode add
`WHERE _dlt_valid_to IS NULL` for the rows that hold now.

{groups}
- [the run](#the-run) (always): {run_tables}

Read operations that are *not* called:

{not_read}
"""


def page(connection: duckdb.DuckDBPyConnection) -> str:
    """The whole page; `connection` answers its queries."""
    answers = {name: answer(connection, query) for name, query in QUERIES.items()}
    parts = [introduction()]
    for group, tables in catalog.GROUPS.items():
        parts.append(f"## Group: {group}\n\n{GROUP_WORDS[group]}\n")
        parts += [section(table, answers[table.name]) for table in tables]
    parts.append(
        "## The run\n\nWhat the run itself tells; no calls are made for it. Rows are only ever added, but those of"
        " extraction_images, of which an image has one for each operation (in incremental mode the newest counts).\n"
    )
    parts += [section(table, answers[table.name]) for table in catalog.RUN_TABLES]
    return "\n".join(parts)


# --- the answers ------------------------------------------------------------------------------------------------------


@contextmanager
def maximal_registry() -> Iterator[duckdb.DuckDBPyConnection]:
    """All tables of the maximal registry in a temporary database."""
    with TemporaryDirectory() as name, patch.dict(os.environ), chdir(name), serving() as server:
        folder = Path(name)
        _only_settings_of_ours(folder)
        _fill(server)
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


def _fill(server: EcrServer) -> None:
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


def _grid(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = StringIO()
    print_grid(Console(file=text), header, rows)
    return text.getvalue()


# --- the parts --------------------------------------------------------------------------------------------------------


def introduction() -> str:
    schema, descriptions = arrow_schema(catalog.TABLES[0]), column_descriptions(catalog.TABLES[0])
    groups = (
        f"- [{group}](#group-{group}){' (default)' if group in catalog.DEFAULT_GROUPS else ''}: {_links(tables)}"
        for group, tables in catalog.GROUPS.items()
    )
    return INTRODUCTION.format(
        common="\n".join(f"- `{name}` ({schema.field(name).type}): {descriptions[name]}" for name in COMMON),
        groups="\n".join(groups),
        run_tables=_links(catalog.RUN_TABLES),
        not_read="\n".join(f"- `{operation}`: {reason}" for operation, reason in catalog.NOT_READ.items()),
    )


def _links(tables: Iterable[Table | RunTable]) -> str:
    return ", ".join(_link(table) for table in tables)


def _link(table: Table | RunTable) -> str:
    return f"[{table.name}](#{table.name})"


def section(table: Table | RunTable, answered: tuple[Sequence[str], Iterable[Sequence[object]]]) -> str:
    """All that there is to say of a table."""
    facts = [f"key: {_codes(table.key)}"] + (_facts(table) if isinstance(table, Table) else [])
    parts = [
        f"### {table.name}",
        _escaped(table.description),
        "\n".join(f"- {fact}" for fact in facts),
        _columns(table),
        f"```sql\n{QUERIES[table.name]}\n```",
        f"```text\n{_grid(*answered)}```",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(table: Table) -> list[str]:
    operations = table.operations
    numbers = [f"({number}) " if len(operations) > 1 else "" for number in range(1, len(operations) + 1)]
    named = (f"{number}`{each}`{_option(each)}" for number, each in zip(numbers, operations, strict=True))
    facts = [
        f"operations: {', '.join(named)}",
        f"IAM actions: {_actions(table)}",
        f"cost: {_by_number([cost(table, operation) for operation in operations], '; ')}",
    ]
    if table.left_out:
        facts.append(f"left out: {_left_out(table.left_out)}")
    return facts


def _actions(table: Table) -> str:
    """The IAM actions that are needed, and those that an option adds."""
    options: dict[str, set[str]] = {}
    for operation in catalog.called_for(table):
        options.setdefault(_option(operation), set()).add(iam_action(operation))
    return "; ".join(f"{_codes(sorted(actions))}{option}" for option, actions in sorted(options.items()))


def _option(operation: Operation) -> str:
    """The option without which the operation is not called, where there is one."""
    makers = [maker for maker, without in catalog.FINDINGS_FROM.items() if operation not in without]
    return "" if len(makers) == len(catalog.FINDINGS_FROM) else f" with `--findings-from {makers[0]}`"


def _left_out(left_out: Mapping[str, str]) -> str:
    members: dict[str, list[str]] = {}
    for member, reason in left_out.items():
        members.setdefault(reason, []).append(member)
    return "; ".join(f"{_codes(names)} ({reason})" for reason, names in members.items())


def _columns(table: Table | RunTable) -> str:
    descriptions = column_descriptions(table)
    sourced = isinstance(table, Table)
    lines = ["| column | type | source | description |", "|---|---|---|---|"] if sourced else []
    lines = lines or ["| column | type | description |", "|---|---|---|"]
    for field in arrow_schema(table):
        if sourced and field.name in COMMON:
            continue
        source = [source_of(table, field.name)] if isinstance(table, Table) else []
        cells = [f"`{field.name}`", str(field.type), *source, _escaped(descriptions[field.name])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _escaped(text: str) -> str:
    for character in ("|", "*", "<"):
        text = text.replace(character, f"\\{character}")
    return text


def _by_number(texts: Sequence[str | None], between: str) -> str:
    """`(1, 2) this; (3) that`, each text once with the numbers of those that it is the text of."""
    numbers: dict[str, list[str]] = {}
    for number, text in enumerate(texts, 1):
        if text is not None:
            numbers.setdefault(text, []).append(str(number))
    if len(texts) == len(numbers.get(texts[0] or "", ())):
        return texts[0] or ""
    return between.join(f"({', '.join(which)}) {text}" for text, which in numbers.items())


# --- what it costs ----------------------------------------------------------------------------------------------------


def cost(table: Table, operation: Operation) -> str:
    """How many calls of `operation` the table costs, in words."""
    owner = _owner(operation)
    if owner is not table:
        return f"comes with the calls of {_link(owner)}"
    return _calls(operation) + _further_pages(operation) + _again(operation) + _conditions(table, operation)


def _owner(operation: Operation) -> Table:
    """The table that the calls are made for: the first that is filled by this operation before any other."""
    filled = [table for table in catalog.TABLES if operation in table.operations]
    return next((table for table in filled if table.operation is operation), filled[0])


def _calls(operation: Operation) -> str:
    match operation.each:
        case EachRow(parent, _, 1):
            bounded = " within the bounds" if operation.again and operation.again.bounded else ""
            return f"one call {_article(parent)}{bounded}"
        case EachRow(parent, asked, at_a_time):
            same = any("[]" not in parameter for parameter in asked)
            return f"one call for {at_a_time} {_words(parent.name)}{' of a repository' if same else ''}"
        case EachValue(parameter, values):
            return f"{len(values)} calls, one for each {parameter}: {_codes(values)}"
    paged = operation.page_size and is_paginated(operation)
    return f"one call for each {operation.page_size:,} {_paged(operation)}" if paged else "one call"


def _further_pages(operation: Operation) -> str:
    if not (isinstance(operation.each, EachRow) and operation.page_size and is_paginated(operation)):
        return ""
    return f", one more for each further {operation.page_size:,} {_paged(operation)}"


def _conditions(table: Table, operation: Operation) -> str:
    conditions = [
        f",{_option(other)} only where ({number}) cannot be read"
        for number, other in enumerate(table.operations, 1)
        if other.instead is operation
    ]
    if where := operation.only_where:
        conditions.append(f", where `{where.operation}` tells {where.value}")
    return "".join(conditions)


def _again(operation: Operation) -> str:
    again = operation.again
    if again is None:
        return ""
    changed = [f"with another `{again.changed}`"] if again.changed else []
    old = ["pushed again", "without a final answer", "older than the age"] if again.expires else []
    reasons = ["new", *changed, *old]
    return f", again only when {' or '.join(filter(None, (', '.join(reasons[:-1]), reasons[-1])))}"


def _paged(operation: Operation) -> str:
    """What the pages hold: the rows of the table that has one for each item, or the list in the API's words."""
    owner = _owner(operation)
    listings = [
        (len(filling.levels), filling.levels[0].count("."), table is not owner, table.name, filling.levels[0])
        for table in catalog.TABLES
        for filling in table.fillings
        if filling.operation is operation and filling.levels
    ]
    depth, _, _, name, level = min(listings)
    if depth == 1:
        return _words(name)
    member = level.removesuffix("[]").removesuffix("List").rpartition(".")[2]
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in member).strip()
    return spaced if spaced.endswith("s") else f"{spaced}s"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _article(parent: Table) -> str:
    noun = _words(parent.name)
    noun = f"{noun.removesuffix('ies')}y" if noun.endswith("ies") else noun.removesuffix("s")
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


# --- where a column comes from ----------------------------------------------------------------------------------------


def source_of(table: Table, column: str) -> str:
    """The source of a column in words; of a table with several operations, that of each by its number."""
    texts: dict[Operation, dict[str, None]] = {operation: {} for operation in table.operations}
    for filling in table.fillings:
        if column in filling.sources:
            texts[filling.operation][_described(filling, filling.sources[column])] = None
    return _by_number([", or ".join(found) or None for found in texts.values()], "<br>")


def _described(filling: Filling, source: Source, levels: int = 0) -> str:
    rows = filling.rows_above(levels)
    match source:
        case Member(path):
            return f"`{_path(rows, path)}`"
        case OfParent(inner):
            return _described(filling, inner, levels + 1)
        case OfScope(_, told_by) | Asked(_, told_by):
            origin = f"asked for: {_asked(filling, source)}" if isinstance(source, Asked) else "the scope"
            return f"{origin}; checked by {_described(filling, told_by, levels)}" if told_by else origin
        case Joined(sources, _):
            of_a_row = dataclasses.replace(filling, rows="")
            return f"`{rows}`: {', '.join(_described(of_a_row, each) for each in sources)}, joined by `\\|`"
        case ArnField(path, field):
            return f"the {field} in `{_path(rows, path)}`"
        case Namespace(path):
            return f"the start of `{_path(rows, path)}`"
        case _:
            return _computed(source, rows)


def _asked(filling: Filling, source: Asked) -> str:
    assert filling.operation.parent is not None
    return f"`{filling.operation.parent.name}.{source.column}`"


def _computed(source: Source, rows: str) -> str:
    match source:
        case Constant(value, _):
            return f"always `{value}`" if value else "always empty"
        case CallOutcome(path, names):
            return f"what came of the call; `{path}`" if names else "what came of the call"
        case OrZero(within, path, _):
            return f"`{_path(rows, path)}`, 0 where there is only `{_path(rows, within)}`"
        case Count(path):
            return f"the number of `{_path(rows, path)}[]`"
        case IsOneOf(path, _):
            return f"from `{_path(rows, path)}`"
        case Lookup(path, key, among, value, _, _):
            keys = " or ".join(f"`{name}`" for name in among)
            return f"`{_path(rows, path)}[].{value}` whose `{key}` is {keys}"
    return f"the position in `{rows}`, sorted by content"


def _path(rows: str, path: str) -> str:
    return ".".join(filter(None, (rows, path)))


if __name__ == "__main__":
    with maximal_registry() as maximal:
        PAGE.write_text(page(maximal))
    print(f"wrote {PAGE}")
