"""Two runs at once: into one DuckDB file the second is refused, into Postgres both load."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ecr_source.catalog import TABLES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.destination import loading_lock
from tests.conftest import LISTING, Row, environment
from tests.ecr_server import EcrServer
from tests.forked import ForkedCommand
from tests.postgres import Postgres, postgres_server

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]

COMPLETE, UNUSABLE, NOTHING_LOADED, POSTPONED = 0, 2, 3, 4
REGION, OTHER_REGION = "eu-west-1", "us-east-1"
NAMES = "SELECT region, repository_name FROM repositories ORDER BY 1, 2"


class Held:
    """The first listing that the server is asked for from now on waits until it is released; all others go on."""

    def __init__(self, server: EcrServer) -> None:
        self._asked, self._released = threading.Event(), threading.Event()
        self._first = threading.Lock()
        server.before_call = self._hold

    def wait(self) -> None:
        assert self._asked.wait(60)

    def release(self) -> None:
        self._released.set()

    def _hold(self, operation: str) -> None:
        if operation == "DescribeRepositories" and self._first.acquire(blocking=False):
            self._asked.set()
            self._released.wait(60)


def read_together(server: EcrServer) -> None:
    """The first two listings are answered when both were asked for."""
    both = threading.Barrier(2)
    first_two = threading.Semaphore(2)

    def wait(operation: str) -> None:
        if operation == "DescribeRepositories" and first_two.acquire(blocking=False):
            with suppress(threading.BrokenBarrierError):
                both.wait(60)

    server.before_call = wait


# DuckDB


def test_a_second_run_into_a_duckdb_file_says_that_another_loads_into_it_and_the_first_ends_right(
    server: EcrServer, ecr: Ecr, query: Query, database: Path
) -> None:
    server.registry().fill(10)
    held = Held(server)
    with ForkedCommand(["run"], environment(server, database)) as first:
        held.wait()
        second = ecr("run")
        held.release()
        code, errors = first.end()
    assert second.returncode == UNUSABLE
    assert f"ecr-source: another run loads into duckdb {database} aws_ecr: wait for its end" in second.stderr
    assert code == COMPLETE, errors
    assert query("SELECT count(*) FROM repositories") == [(10,)]


def test_a_second_run_into_another_duckdb_file_succeeds_and_leaves_no_folder_behind(
    server: EcrServer, ecr: Ecr, query: Query, database: Path, tmp_path: Path
) -> None:
    server.registry().fill(10)
    other = tmp_path / "other.duckdb"
    held = Held(server)
    with ForkedCommand(["run"], environment(server, database)) as first:
        held.wait()
        assert ecr("run", "--database", str(other)).returncode == COMPLETE
        held.release()
        code, errors = first.end()
    assert code == COMPLETE, errors
    assert numbered_folders(tmp_path) != []
    assert ecr("run", "--database", str(other)).returncode == COMPLETE
    assert numbered_folders(tmp_path) == []
    for file in (database, other):
        with duckdb.connect(file, read_only=True) as connection:
            assert connection.sql("SELECT count(*) FROM aws_ecr.repositories").fetchall() == [(10,)]


def numbered_folders(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "dlt/pipelines/ecr-source").glob("*-*/") if path.is_dir()]


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_runs_of_two_users_into_a_duckdb_file_damage_nothing(
    server: EcrServer, query: Query, database: Path, tmp_path: Path, mode: str
) -> None:
    server.registry().fill(10)
    held = Held(server)
    arguments = ["run", "--mode", mode]
    with ForkedCommand(arguments, environment(server, database)) as first:
        held.wait()
        with ForkedCommand(arguments, environment(server, database, {"DLT_DATA_DIR": str(tmp_path / "b")})) as second:
            assert second.end()[0] == COMPLETE
        server.registry().put("new")
        held.release()
        code, errors = first.end()
    assert code in (COMPLETE, NOTHING_LOADED), errors
    with ForkedCommand(arguments, environment(server, database)) as third:
        assert third.end()[0] == COMPLETE
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    counts = f"SELECT count(*), count(DISTINCT repository_name) FROM repositories {current}"
    assert query(counts) == [(11, 11)]


# Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as running:
        yield running


class Warehouse:
    """A Postgres database, and runs into it."""

    def __init__(self, server: EcrServer, postgres: Postgres, folder: Path) -> None:
        self._server = server
        self._postgres = postgres
        self._folder = folder
        self.url = postgres.new_database()

    def start(self, *arguments: str, user: str = "dlt") -> ForkedCommand:
        settings: dict[str, str | None] = {
            "DESTINATION__POSTGRES__CREDENTIALS": self.url,
            "DLT_DATA_DIR": str(self._folder / user),
        }
        run = ["run", "--destination", "postgres", *arguments]
        return ForkedCommand(run, environment(self._server, self._folder / "unused.duckdb", settings))

    def run(self, *arguments: str, user: str = "dlt") -> tuple[int, str]:
        with self.start(*arguments, user=user) as command:
            return command.end()

    def run_two(self, first: list[str], second: list[str]) -> None:
        """Two runs that read at the same time, and want to load at the same time."""
        read_together(self._server)
        with self.start(*first) as one, self.start(*second) as two:
            for command in (one, two):
                code, errors = command.end()
                assert code == COMPLETE, errors

    def rows(self, sql: str) -> list[Row]:
        return self._postgres.rows(self.url, sql)

    def contents(self, mode: str) -> dict[str, list[Row]]:
        """The current rows of what the listing fills, without the time at which they were read."""
        current = "_dlt_valid_to IS NULL" if mode == "history" else "true"
        tables = [table for table in TABLES if table.name in LISTING]
        columns = {
            table.name: ", ".join(f'"{name}"' for name in arrow_schema(table).names if name != "extracted_at")
            for table in tables
        }
        return {
            name: sorted(self.rows(f"SELECT {listed} FROM {name} WHERE {current}"), key=repr)
            for name, listed in columns.items()
        }


@pytest.fixture
def warehouse(server: EcrServer, postgres: Postgres, tmp_path: Path) -> Warehouse:
    return Warehouse(server, postgres, tmp_path)


@pytest.mark.parametrize("mode", ["snapshot", "history"])
@pytest.mark.parametrize("regions", [(REGION, REGION), (REGION, OTHER_REGION)], ids=["same-scope", "two-scopes"])
def test_two_runs_at_once_into_postgres_both_succeed_and_the_tables_are_right(
    server: EcrServer, postgres: Postgres, warehouse: Warehouse, tmp_path: Path, mode: str, regions: tuple[str, str]
) -> None:
    for region in set(regions):
        server.registry(region).fill(600)
    for number in range(3):
        for region in set(regions):
            server.registry(region).put(f"new-{number}")
            del server.registry(region).repositories[sorted(server.registry(region).repositories)[-1]]
            server.registry(region).put(f"team-0/service-{number:07}", 1_700_000_000 + number)
        warehouse.run_two(*(["--mode", mode, "--region", region] for region in regions))
    undisturbed = Warehouse(server, postgres, tmp_path / "undisturbed")
    both = [f"--region={region}" for region in sorted(set(regions))]
    assert undisturbed.run("--mode", mode, *both, user="another")[0] == COMPLETE
    assert warehouse.contents(mode) == undisturbed.contents(mode)
    assert len(warehouse.rows("SELECT DISTINCT run_id FROM extraction_scopes")) == 6
    if mode == "history":
        assert warehouse.rows(OVERLAPPING) == []


OVERLAPPING = """
    SELECT * FROM (
        SELECT region, repository_name, _dlt_valid_from AS began, coalesce(_dlt_valid_to, 'infinity') AS ended,
               lead(_dlt_valid_from) OVER (PARTITION BY region, repository_name ORDER BY _dlt_valid_from) AS next_began
        FROM repositories
    ) AS versions
    WHERE ended > next_began OR ended <= began
"""
"""Versions that end after the next begins, or before they begin."""


def test_a_second_incremental_run_into_postgres_is_refused(server: EcrServer, warehouse: Warehouse) -> None:
    server.registry().fill(10)
    held = Held(server)
    with warehouse.start("--mode", "incremental") as first:
        held.wait()
        code, errors = warehouse.run("--mode", "incremental")
        held.release()
        assert first.end()[0] == COMPLETE
    assert code == UNUSABLE
    assert "ecr-source: another run loads into postgres aws_ecr: wait for its end" in errors
    assert warehouse.rows("SELECT count(*) FROM repositories") == [(10,)]


def test_what_a_killed_second_run_left_is_loaded_by_the_next_and_its_folder_deleted(
    server: EcrServer, warehouse: Warehouse, tmp_path: Path
) -> None:
    server.registry().fill(10)
    held = Held(server)
    with warehouse.start() as first:
        held.wait()
        with loading_lock_held(warehouse), warehouse.start() as second:
            assert any(line.startswith("read 1 of 1") for line in second.errors)
            wait_for(lambda: bool(warehouse.rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")))
            second.kill()
            second.end()
        held.release()
        assert first.end()[0] == COMPLETE
    assert len(numbered_folders(tmp_path)) == 1
    assert warehouse.run()[0] == COMPLETE
    assert numbered_folders(tmp_path) == []
    assert warehouse.rows("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(3,)]
    assert warehouse.rows("SELECT count(*) FROM repositories") == [(10,)]
