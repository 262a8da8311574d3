"""docs/tables says what the catalog says, and its queries answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from textwrap import indent
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from ecr_source import catalog
from ecr_source.aws.iam_policies import least_policy
from ecr_source.catalog.example_queries import example_queries
from ecr_source.catalog.model import iam_action
from ecr_source.cli.commands import app
from ecr_source.extract.ledger import Outcome
from tests.conftest import RUN, Row
from tests.nightly import at_night
from tests.pages.folder import DOCS, differences
from tests.pages.tables import answer, fill, maximal_registry, pages
from tests.server.accounts import ACCOUNT
from tests.server.ecr_server import EcrServer

ACTIONS = {iam_action(operation) for operation in catalog.operations_of(catalog.TABLES)}

MOST_COLUMNS = 6
MOST_ROWS = 8


@pytest.fixture(scope="module")
def maximal() -> Iterator[duckdb.DuckDBPyConnection]:
    """The database that the page is written from."""
    with maximal_registry() as connection:
        yield connection


def test_the_pages_of_the_tables_are_what_the_catalog_says(maximal: duckdb.DuckDBPyConnection) -> None:
    changed = differences(pages(maximal))
    assert not changed, "\n".join(["out of date: run python -m tests.pages.tables", *changed[:30]])


def test_every_table_has_an_example_query_that_answers(maximal: duckdb.DuckDBPyConnection) -> None:
    assert set(example_queries()) == {table.name for table in catalog.TABLES} | {*RUN}
    for name, query in example_queries().items():
        header, rows = answer(maximal, query)
        question, sql = query.split("\n", 1)
        assert question.startswith("-- "), name
        assert name in sql, name
        assert len(header) <= MOST_COLUMNS, name
        assert 0 < len(rows) <= MOST_ROWS, name


@pytest.fixture
def loaded(server: EcrServer, load: Callable[..., Outcome]) -> Callable[..., dict[str, list[Row]]]:
    """Loads the registry that the page is written from, as it is now, and asks the queries of what was there before."""
    fill(server)

    def answers(**arguments: Any) -> dict[str, list[Row]]:
        load(**{"tables": ["all", "manifests"], "moves_last_recorded_pull_time": True} | arguments)
        with duckdb.connect("ecr.duckdb", read_only=True) as connection:
            connection.execute("USE aws_ecr; SET TimeZone = 'UTC'")
            return {name: answer(connection, query)[1] for name, query in example_queries().items() if name not in RUN}

    return answers


def test_the_example_queries_answer_the_same_whatever_is_read_or_denied_afterwards(
    server: EcrServer, loaded: Callable[..., dict[str, list[Row]]]
) -> None:
    answers = loaded()
    assert loaded(repositories=["team-a/api"]) == answers
    assert loaded(tables=["repository_tags", "public_images"]) == answers
    server.allowed[ACCOUNT] = set()
    assert loaded() == answers


@pytest.mark.parametrize(
    "allowed",
    [
        pytest.param(
            {"ecr:DescribeRepositories", "ecr-public:DescribeRepositories", "ecr-public:DescribeRegistries"},
            marks=pytest.mark.nightly,
        ),
        at_night(ACTIONS - {"ecr:DescribeImages", "ecr-public:DescribeImages"}),
        ACTIONS - {"ecr:DescribeRepositories", "ecr-public:DescribeRepositories"},
    ],
    ids=["only listings", "no images", "no listings"],
)
def test_the_example_queries_take_nothing_for_granted_that_was_denied_from_the_first(
    server: EcrServer, loaded: Callable[..., dict[str, list[Row]]], allowed: set[str]
) -> None:
    server.allowed[ACCOUNT] = allowed
    denied = loaded()
    server.allowed.clear()
    answers = loaded()
    assert {name: rows for name, rows in denied.items() if any(row not in answers[name] for row in rows)} == {}


@pytest.mark.parametrize("findings_from", catalog.FINDINGS_FROM)
def test_the_page_the_list_and_the_policy_name_the_same_actions_for_every_table_and_group(findings_from: str) -> None:
    option = f"--findings-from {findings_from}"
    pages = {table.name: DOCS.joinpath("tables", f"{table.name}.md").read_text() for table in catalog.TABLES}
    told = {name: _actions(_fact(page, "IAM actions"), option) for name, page in pages.items()}
    listed = {
        table["name"]: table["iam_actions"] + table["iam_actions_by_option"].get(option, [])
        for table in json.loads(CliRunner().invoke(app, ["tables", "--json"]).stdout)
    }
    for group, tables in catalog.GROUPS.items():
        page = DOCS.joinpath("groups", f"{group}.md").read_text()
        assert _actions(_fact(page, "IAM actions"), option) == set().union(*(told[table.name] for table in tables))
        for name, of in [(group, tables), *((f"{group}.{table.name}", [table]) for table in tables)]:
            statements = least_policy(catalog.select_tables([name]), catalog.not_called(findings_from))["Statement"]
            allowed = {action for statement in statements for action in statement["Action"]}
            assert set().union(*(told[table.name] for table in of)) == allowed, name
            assert set().union(*(listed[table.name] for table in of)) == allowed, name


def _fact(page: str, about: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(f"- {about}: "))


def _actions(fact: str, option: str) -> set[str]:
    """The actions in the words of the page, without those that another option adds."""
    parts = [part for part in fact.split("; ") if "--findings" not in part or option in part]
    return set(re.findall(r"`([a-z0-9-]+:\w+)`", "; ".join(parts)))


@pytest.mark.parametrize("name", ["image_scan_findings", "extraction_scopes"])
def test_the_list_prints_texts_of_the_pages(name: str) -> None:
    pages = "".join(DOCS.joinpath(page).read_text() for page in (f"tables/{name}.md", "tables.md"))
    without_markup = re.sub(r"\[(\w+)\]\([^)]+\)", r"\1", pages).replace("`", "").replace("\\", "")
    printed = CliRunner().invoke(app, ["tables", name]).stdout.replace("`", "")
    texts = {text for line in printed.splitlines() for text in re.split(r" {2,}", line) if text}
    assert len(texts) > 30
    assert indent(example_queries()[name], "    ") in printed
    assert [text for text in texts if text not in without_markup] == ["in DuckDB's SQL:"]


def test_every_group_is_explained() -> None:
    assert set(catalog.GROUP_DESCRIPTIONS) == set(catalog.GROUPS)
