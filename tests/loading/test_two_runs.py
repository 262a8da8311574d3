"""Two runs at once: into one DuckDB file the second says so; into Postgres both read, and load one by one."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Row, environment
from tests.forked import ForkedCommand
from tests.postgres import Postgres
from tests.server.ecr_server import EcrServer
from tests.whole.test_interruptions import hold_page, running

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]

UNUSABLE = 2
POSTPONED = 4
REGIONS = ("eu-west-1", "eu-west-2", "us-east-1", "us-west-2")
ROUNDS = 3


# DuckDB


def test_the_second_run_into_one_duckdb_file_says_so_and_the_first_ends_right(
    server: EcrServer, ecr: Ecr, query: Query, database: Path
) -> None:
    server.registry().put("api")
    page = hold_page(server, 1)
    with running(server, database) as first:
        assert page.asked.wait(60)
        second = ecr("run")
        page.released.set()
        _, errors = first.communicate(timeout=60)
    assert second.returncode == UNUSABLE
    assert second.stderr.splitlines()[-1] == (
        f"ecr-source: another run loads into duckdb {database} aws_ecr: wait for its end, and run again"
    )
    assert first.returncode == 0, errors
    assert query("SELECT repository_name FROM repositories") == [("api",)]
    assert ecr("run").returncode == 0


def test_a_run_into_another_file_goes_on_meanwhile_and_leaves_no_folder_behind(
    server: EcrServer, ecr: Ecr, database: Path, tmp_path: Path
) -> None:
    server.registry().put("api")
    # The server answers one call at a time: the first run waits in its own, the other one has a server of its own.
    page = hold_page(server, 1)
    other = EcrServer()
    other.registry().put("api")
    other.start()
    try:
        with running(server, database) as first:
            assert page.asked.wait(60)
            options = ("--endpoint-url", other.url, "--database", str(tmp_path / "other.duckdb"))
            assert ecr("run", *options).returncode == 0
            beside = [path for path in (tmp_path / "dlt/pipelines/ecr-source").iterdir() if path.is_dir()]
            assert len(beside) == 1
            page.released.set()
            first.communicate(timeout=60)
        assert first.returncode == 0
        assert ecr("run", *options).returncode == 0
        assert not beside[0].exists()
    finally:
        other.stop()


# Postgres


def start(server: EcrServer, url: str, *arguments: str) -> ForkedCommand:
    settings: dict[str, str | None] = {"DESTINATION__POSTGRES__CREDENTIALS": url}
    regions = [f"--region={region}" for region in REGIONS]
    command = ["run", "--destination", "postgres", *regions, *arguments]
    return ForkedCommand(command, environment(server, Path("unused.duckdb"), settings))


def ended(*runs: ForkedCommand) -> list[int]:
    codes = []
    for run in runs:
        with run:
            code, errors = run.end()
        codes.append(code)
        print(errors)
    return codes


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_two_runs_into_postgres_both_succeed_and_no_row_is_there_twice(
    server: EcrServer, postgres: Postgres, mode: str
) -> None:
    url = postgres.new_database()
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    for region in REGIONS:
        server.registry(region).fill(200)
    for number in range(ROUNDS):
        for region in REGIONS:
            server.registry(region).put(f"new-{number}")
            server.registry(region).repositories.pop(f"new-{number - 1}", None)
        both = [start(server, url, "--mode", mode) for _ in range(2)]
        assert ended(*both) == [0, 0]
        counts = f"SELECT count(*), count(DISTINCT (region, repository_name)) FROM repositories {current}"
        assert postgres.rows(url, counts) == [(201 * len(REGIONS), 201 * len(REGIONS))]
        new = f"SELECT DISTINCT repository_name FROM repositories {current or 'WHERE true'}"
        assert postgres.rows(url, f"{new} AND repository_name LIKE 'new%'") == [(f"new-{number}",)]
    assert postgres.rows(url, "SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(2 * ROUNDS,)]


def test_runs_of_different_regions_into_postgres_disturb_each_other_in_nothing(
    server: EcrServer, postgres: Postgres
) -> None:
    url = postgres.new_database()
    for region in REGIONS:
        server.registry(region).fill(200)
    for _ in range(ROUNDS):
        halves = [
            start(server, url, *[f"--exclude-region={region}" for region in half])
            for half in (REGIONS[:2], REGIONS[2:])
        ]
        assert ended(*halves) == [0, 0]
    counts = "SELECT region, count(*), count(DISTINCT repository_name) FROM repositories GROUP BY 1 ORDER BY 1"
    assert postgres.rows(url, counts) == [(region, 200, 200) for region in sorted(REGIONS)]


def test_incremental_mode_takes_one_run_at_a_time_on_postgres_too(server: EcrServer, postgres: Postgres) -> None:
    url = postgres.new_database()
    server.registry("eu-west-1").put("api")
    page = hold_page(server, 1)
    first = start(server, url, "--mode", "incremental")
    assert page.asked.wait(60)
    second = start(server, url, "--mode", "incremental")
    assert ended(second) == [UNUSABLE]
    page.released.set()
    assert ended(first) == [0]
    assert postgres.rows(url, "SELECT repository_name FROM repositories") == [("api",)]
    page = hold_page(server, 1)
    first = start(server, url)
    assert page.asked.wait(60)
    assert ended(start(server, url)) == [UNUSABLE]
    page.released.set()
    assert ended(first) == [0]
    assert postgres.rows(url, "SELECT repository_name FROM repositories") == [("api",)]


def test_freshness_and_budgets_work_on_postgres(server: EcrServer, postgres: Postgres) -> None:
    url = postgres.new_database()
    for region in REGIONS:
        server.registry(region).put("api")
    for reached in range(1, len(REGIONS) + 1):
        one_call = ["--table", "repositories.repositories", "--max-calls", "1", "--max-in-flight", "1"]
        assert ended(start(server, url, *one_call)) == [POSTPONED]
        fresh = postgres.rows(
            url, "SELECT count(*) FROM ecr_freshness WHERE read_as_of IS NOT NULL AND table_name = 'repositories'"
        )
        assert fresh == [(reached,)]
