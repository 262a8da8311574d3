"""Postgres goes down, or has no space left, while a run loads: nothing is lost, and nothing is there twice."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError

from ecr_source.loading.loaded.dataset import Dataset
from tests.conftest import Row, environment, make_pipeline
from tests.disks import mounted, remount
from tests.forked import run_forked
from tests.postgres import Postgres, postgres_server, table_locked
from tests.server.ecr_server import DENIED, EcrServer
from tests.warehouse import PostgresDatabase

Done = subprocess.CompletedProcess[str]
Ecr = Callable[..., Done]
Query = Callable[[str], list[Row]]

COMPLETE, NOTHING_LOADED = 0, 3
LATER = 1_800_000_000.0
NAMES = "SELECT repository_name FROM repositories ORDER BY 1"
RUNS = "SELECT count(DISTINCT run_id), count(*) - count(DISTINCT (run_id, table_name)) FROM extraction_scopes"
ONE_TRY: dict[str, str | None] = {"LOAD__RAISE_ON_MAX_RETRIES": "1"}
"""dlt makes five, and waits a second before each."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server of these tests' own; the standby that it waits for, where `synchronous_commit` is on, does not exist."""
    with postgres_server("synchronous_standby_names=nobody", "synchronous_commit=local") as running:
        yield running


@pytest.fixture
def warehouse(postgres: Postgres) -> PostgresDatabase:
    return PostgresDatabase(postgres, postgres.new_database())


def assert_told(done: Done, *reasons: str) -> None:
    """What was told is one of `reasons`."""
    assert done.returncode == NOTHING_LOADED, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("ecr-source: ")]
    assert sentence.startswith("ecr-source: cannot load what was read: ")
    assert any(reason in sentence for reason in reasons), sentence
    assert "; the next run goes on from here" in sentence


def assert_the_next_run_loads_what_was_read(server: EcrServer, ecr: Ecr, query: Query, mode: str) -> None:
    """By itself it can read nothing."""
    server.fail(DENIED)
    assert ecr("run", "--mode", mode).returncode == NOTHING_LOADED
    assert query(NAMES) == [("api",), ("web",)]
    assert query(RUNS) == [(3, 0)]


nightly = pytest.mark.nightly


@pytest.mark.parametrize(
    ("mode", "table"),
    [
        ("snapshot", "repositories"),
        pytest.param("incremental", "repositories", marks=nightly),
        pytest.param("history", "aws_ecr_staging.repositories", marks=nightly),
        pytest.param("snapshot", "extraction_scopes", marks=nightly),
    ],
)
def test_a_server_that_goes_down_while_it_loads_is_told_and_the_next_run_goes_on(
    server: EcrServer, ecr: Ecr, query: Query, postgres: Postgres, warehouse: PostgresDatabase, mode: str, table: str
) -> None:
    server.registry().put("api")
    assert ecr("run", "--mode", mode).returncode == COMPLETE
    server.registry().put("web", LATER)
    with ThreadPoolExecutor(1) as pool, table_locked(warehouse.url, table) as waiting:
        run = pool.submit(ecr, "run", "--mode", mode, env=ONE_TRY)
        while not waiting():
            assert not run.done(), run.result()
        with postgres.down():
            done = run.result()
    # Of what is loaded at the same time the one may lose its connection, and the other get none.
    assert_told(done, "server closed the connection unexpectedly", "Connection refused")
    assert_the_next_run_loads_what_was_read(server, ecr, query, mode)


def test_a_server_that_goes_down_while_rows_are_fetched_is_told_as_such(
    postgres: Postgres, warehouse: PostgresDatabase, tmp_path: Path
) -> None:
    dataset = Dataset(make_pipeline(tmp_path, warehouse))
    numbers = pa.schema([("n", pa.int64())])
    lost = pytest.raises((DatabaseException, DestinationConnectionError))
    with dataset.opened(), dataset.tables() as client, postgres.down(), lost:
        dataset.fetch(client, "SELECT generate_series(1, 9) AS n", numbers)


# A connection that ends while the server commits: what it committed, and told nobody, is not loaded a second time.

_WAIT_FOR_STANDBY = """
CREATE OR REPLACE FUNCTION public.wait_for_standby() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config('synchronous_commit', '{setting}', true); RETURN NULL; END $$
"""
_AFTER_INSERT = """
CREATE TRIGGER wait_for_standby AFTER INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION public.wait_for_standby()
"""
_WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'SyncRep'"


@contextmanager
def committing(ecr: Ecr, query: Query, table: str, *options: str) -> Iterator[tuple[Future[Done], int]]:
    """A run whose rows are in the table for good, but whose COMMIT has no answer; and the process that owes it.

    Postgres does it so where it waits for a standby.
    """
    query(_WAIT_FOR_STANDBY.format(setting="on"))
    query(_AFTER_INSERT.format(table=table))
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(ecr, "run", *options)
        while not (waiting := query(_WAITING)):
            assert not run.done(), run.result()
        query(_WAIT_FOR_STANDBY.format(setting="local"))
        yield run, waiting[0][0]


@pytest.mark.parametrize(
    ("mode", "table"),
    [
        ("incremental", "repositories"),
        pytest.param("snapshot", "aws_ecr_staging.repositories", marks=nightly),
        pytest.param("history", "aws_ecr_staging.repositories", marks=nightly),
        pytest.param("snapshot", "extraction_scopes", marks=nightly),
        pytest.param("incremental", "_dlt_pipeline_state", marks=nightly),
    ],
)
def test_what_a_server_committed_when_it_went_down_is_not_loaded_twice(
    server: EcrServer, ecr: Ecr, query: Query, postgres: Postgres, mode: str, table: str
) -> None:
    server.registry().put("api")
    assert ecr("run", "--mode", mode).returncode == COMPLETE
    server.registry().put("web", LATER)
    with committing(ecr, query, table, "--mode", mode) as (run, _), postgres.down():
        done = run.result()
    assert_told(done, "connection to server")
    assert_the_next_run_loads_what_was_read(server, ecr, query, mode)


@pytest.mark.parametrize(
    ("mode", "table"),
    [
        ("snapshot", "aws_ecr_staging.repositories"),
        ("incremental", "_dlt_pipeline_state"),
        pytest.param("incremental", "repositories", marks=nightly),
        pytest.param("history", "aws_ecr_staging.repositories", marks=nightly),
        pytest.param("snapshot", "extraction_scopes", marks=nightly),
    ],
)
def test_a_connection_that_is_lost_while_the_server_commits_doubles_no_row(
    server: EcrServer, ecr: Ecr, query: Query, mode: str, table: str
) -> None:
    server.registry().put("api")
    assert ecr("run", "--mode", mode).returncode == COMPLETE
    server.registry().put("web", LATER)
    with committing(ecr, query, table, "--mode", mode) as (run, process):
        query(f"SELECT pg_terminate_backend({process})")
        assert run.result().returncode == COMPLETE, run.result().stderr
    assert query(NAMES) == [("api",), ("web",)]
    assert query(RUNS) == [(2, 0)]


def test_a_connection_that_is_lost_while_the_server_commits_that_nothing_is_left_fails_no_run(
    server: EcrServer, ecr: Ecr, query: Query
) -> None:
    server.registry().put("api")
    assert ecr("run").returncode == COMPLETE
    server.registry().repositories.clear()
    with committing(ecr, query, "aws_ecr_staging.repositories") as (run, process):
        query(f"SELECT pg_terminate_backend({process})")
        assert run.result().returncode == COMPLETE, run.result().stderr
    assert query(NAMES) == []


# A full disk


@pytest.fixture
def disk(postgres: Postgres) -> Iterator[Path]:
    """A disk for the files of a database, so that what is full is not the one that the server writes its log to.

    That it does not survive: whoever loads sees a server that goes down.
    """
    with mounted(postgres.folder / "disk", "size=16m") as small:
        yield small


def test_a_full_disk_is_told_and_the_next_run_goes_on_when_there_is_space(
    server: EcrServer, postgres: Postgres, disk: Path
) -> None:
    with postgres.database_in(disk) as url:
        warehouse = PostgresDatabase(postgres, url)

        def run() -> Done:
            return run_forked(["run"], environment(server, warehouse, ONE_TRY), timeout=120)

        assert run().returncode == COMPLETE
        server.registry().fill(30_000)
        assert_told(run(), "No space left on device")
        remount(disk, "size=256m")
        server.fail(DENIED)
        assert run().returncode == NOTHING_LOADED
        assert warehouse.query("SELECT count(*) FROM repositories") == [(30_000,)]
        assert warehouse.query(RUNS) == [(3, 0)]
