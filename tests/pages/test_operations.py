"""What docs/operations.md shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from difflib import unified_diff
from pathlib import Path

import pytest

from ecr_source.cli import exit_codes as run
from ecr_source.errors import CallFailed, Denied, Disabled
from ecr_source.statuses import BOUNDED, COMPLETE, NOT_OFFERED, PARTIAL, POSTPONED, SELECTED, SKIPPED
from tests.conftest import environment
from tests.pages.operations import EVENTS, PAGE, page, settled, shell
from tests.postgres import Postgres
from tests.server.ecr_server import EcrServer
from tests.warehouse import PostgresDatabase

TEXT = PAGE.read_text()


def rows_of(header: str) -> list[str]:
    """The first cells of the table on the page that has this one in its header."""
    table = TEXT[TEXT.index(f"| {header} |") :].partition("\n\n")[0]
    return [row.split("|")[1].strip() for row in table.splitlines()[2:]]


@pytest.mark.nightly
def test_commands_and_queries_answer_what_the_page_shows() -> None:
    with shell() as opened:
        now = page(TEXT, opened)
    changed = list(unified_diff(settled(TEXT).splitlines(), settled(now).splitlines(), lineterm="", n=0))
    assert not changed, "\n".join(["docs/operations.md is out of date: run python -m tests.pages.operations", *changed])


def test_every_console_block_has_a_command_and_every_query_an_answer() -> None:
    typed = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    assert all(block.startswith("$ ") for block in typed)
    assert TEXT.count("```sql\n") == len(re.findall(r"```sql\n[^`]+```\n\n```text\n[^`]+```", TEXT)) > 0
    assert set(re.findall(r"<!-- now: (.*) -->", TEXT)) == set(EVENTS)


def test_every_status_and_every_exit_code_is_explained() -> None:
    read = [COMPLETE, BOUNDED, SELECTED, PARTIAL]
    statuses = [*read, POSTPONED, NOT_OFFERED, Denied.status, Disabled.status, CallFailed.status, SKIPPED]
    assert rows_of("status in `extraction_scopes`") == [f"`{status}`" for status in statuses]
    codes = [run.COMPLETE, run.INCOMPLETE, run.UNUSABLE, run.NOTHING_LOADED, run.POSTPONED, run.STOPPED]
    assert rows_of("exit code") == [str(code) for code in codes]


def test_the_python_of_the_page_loads_each_scope_in_a_task_and_writes_one_ledger(
    server: EcrServer, database: Path, postgres: Postgres
) -> None:
    warehouse = PostgresDatabase(postgres, postgres.new_database())
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    settings = {**warehouse.settings, "SOURCES__ECR__ENDPOINT_URL": server.url}
    env = environment(server, database, dict(settings))
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = "SELECT DISTINCT run_id, region, status FROM extraction_scopes ORDER BY 2"
    assert warehouse.query(told) == [("2026-11-25", region, "complete") for region in ("eu-west-1", "us-east-1")]


def test_what_is_scheduled_is_the_command_of_the_page() -> None:
    before = r"^(?:(?:\S+ ){5} cd \S+ && |ExecStart=)\S+/"
    scheduled = re.findall(rf"{before}(ecr-source run\b[^>\n]*)", TEXT, re.MULTILINE)
    assert [command.strip() for command in scheduled] == ["ecr-source run"] * 2
    assert "$ ecr-source run\n" in TEXT
    (code,) = re.findall(r"^SuccessExitStatus=(.*)$", TEXT, re.MULTILINE)
    assert int(code) == run.POSTPONED
