"""The DAG in a real Airflow: every scope is a task, a task can be lost, and the last one says what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest

from ecr_source import catalog
from ecr_source.catalog.schema import arrow_schema
from tests.airflow.installation import (
    PROJECT,
    REGIONS,
    WAREHOUSE_CONNECTION,
    Airflow,
    airflow_installation,
)
from tests.conftest import Row, environment
from tests.forked import ForkedCommand
from tests.pages.readme import blocks, section, typed
from tests.postgres import Postgres, postgres_server
from tests.server.ecr_server import ACCOUNT, DENIED, EcrServer, serving

TABLES = ["repositories", "images"]
DAY = 86_400
FIRST_DAY = int(datetime(2026, 11, 4, tzinfo=UTC).timestamp())
ENDED_WITHIN = 900


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[EcrServer]:
    """Two regions, and in each a repository for each of nine days."""
    with serving() as running:
        for region in REGIONS:
            for day in range(9):
                running.registry(region).put(f"day-{day}", FIRST_DAY + day * DAY)
                running.registry(region).put_image(f"day-{day}", f"sha256:{day}", ["v1"], FIRST_DAY + day * DAY)
        yield running


@pytest.fixture(scope="module")
def airflow(postgres: Postgres, server: EcrServer) -> Iterator[Airflow]:
    with airflow_installation(postgres, server) as installed:
        yield installed


@pytest.fixture(scope="module")
def scheduled(airflow: Airflow) -> Iterator[Airflow]:
    """With the services running and the DAG switched on."""
    with airflow.services():
        airflow.unpause()
        yield airflow


@pytest.fixture(autouse=True)
def _recovered(server: EcrServer) -> Iterator[None]:
    yield
    server.recover()


def conf(dataset: str, **more: Any) -> dict[str, Any]:
    """The parameters of a run that loads into a dataset by the warehouse's connection."""
    settings = {"tables": TABLES, "regions": REGIONS} | more.pop("settings", {})
    return {"destination_conn_id": WAREHOUSE_CONNECTION, "dataset": dataset, "settings": settings} | more


def contents(postgres: Postgres, url: str, dataset: str) -> dict[str, list[Row]]:
    """The rows of the tables, without the time at which they were read."""
    rows = {}
    for table in catalog.select_tables(TABLES):
        columns = ", ".join(f'"{name}"' for name in arrow_schema(table).names if name != "extracted_at")
        rows[table.name] = sorted(postgres.rows(url, f"SELECT {columns} FROM {dataset}.{table.name}"), key=repr)
    return rows


def ended(airflow: Airflow, run_id: str) -> str:
    """Waits for the end of a run of the DAG; its state."""
    deadline = time.monotonic() + ENDED_WITHIN
    while (state := airflow.request(f"dags/ecr/dagRuns/{run_id}")["state"]) not in ("success", "failed"):
        assert time.monotonic() < deadline, airflow.log()
        time.sleep(0.5)
    return str(state)


@pytest.mark.nightly
def test_one_command_starts_it_for_a_person_to_look_at_and_leaves_nothing_behind() -> None:
    command = ["make", "--no-print-directory", "airflow"]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout
        told = {}
        try:
            for line in process.stdout:
                name, _, value = line.partition(":")
                told[name] = value.split()
                if line.startswith("Switch the DAG on"):
                    break
            address, user, password = told["Airflow"][0], told["Airflow"][2], told["Airflow"][4]
            login = {"username": user.rstrip(","), "password": password.rstrip(")")}
            body = json.dumps(login).encode()
            token = urllib.request.Request(
                f"{address.removesuffix('/dags/ecr')}/auth/token", body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(token, timeout=30) as answer:
                assert answer.status == 201
            with urllib.request.urlopen(address, timeout=30) as page:
                assert b"<title>Airflow" in page.read()
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(address, timeout=30)


def test_the_dag_is_there_to_be_looked_at(scheduled: Airflow) -> None:
    assert scheduled.request("importErrors")["total_entries"] == 0
    tasks = scheduled.request("dags/ecr/tasks")["tasks"]
    assert [(task["task_id"], task["is_mapped"]) for task in tasks] == [
        ("find", False),
        ("load", True),
        ("write_ledger", False),
    ]


def test_a_scope_that_could_not_be_read_is_named_by_the_last_task_and_loaded_by_its_own_alone_once_it_can(
    scheduled: Airflow, server: EcrServer, postgres: Postgres, tmp_path: Path
) -> None:
    server.fail(DENIED, region="us-east-1")
    report = tmp_path / "report.html"
    # Into the warehouse of Airflow's variable for dlt, from the regions of its environment.
    options = {"destination_conn_id": None, "settings": {"tables": TABLES}, "dataset": "denied", "report": str(report)}
    scheduled.trigger("denied", options)
    assert ended(scheduled, "denied") == "failed"
    assert f"<title>Amazon ECR: {ACCOUNT}, 2 regions — incomplete: 1 of 2 registries</title>" in report.read_text()
    sentence = f"cannot call ecr:DescribeRepositories in {ACCOUNT}/us-east-1: access denied"
    assert sentence in scheduled.log_of("denied", "write_ledger")
    loaded = dict(postgres.rows(scheduled.warehouse, LOADED_AT.format("denied")))
    assert loaded.keys() == {"eu-west-1"}
    ledger = "SELECT region, status FROM denied.extraction_scopes WHERE table_name = 'repositories' ORDER BY 1"
    assert postgres.rows(scheduled.warehouse, ledger) == [("eu-west-1", "complete"), ("us-east-1", "denied")]
    server.recover()
    loads = scheduled.request("dags/ecr/dagRuns/denied/taskInstances?task_id=load")["task_instances"]
    (denied,) = (task["map_index"] for task in loads if "us-east-1" in task["rendered_map_index"])
    tasks = {"task_ids": [["load", denied], "write_ledger"], "dag_run_id": "denied"}
    scheduled.request("dags/ecr/clearTaskInstances", tasks | {"dry_run": False, "only_failed": False})
    assert ended(scheduled, "denied") == "success"
    both = dict(postgres.rows(scheduled.warehouse, LOADED_AT.format("denied")))
    assert both.keys() == set(REGIONS)
    assert both.items() > loaded.items()
    assert postgres.rows(scheduled.warehouse, "SELECT error_code FROM denied.extraction_errors") == []
    repositories = "SELECT region, count(*) FROM denied.repositories GROUP BY 1 ORDER BY 1"
    assert postgres.rows(scheduled.warehouse, repositories) == [(region, 9) for region in REGIONS]
    ledger = "SELECT DISTINCT run_id, region, status FROM denied.extraction_scopes ORDER BY 2"
    assert postgres.rows(scheduled.warehouse, ledger) == [("denied", region, "complete") for region in REGIONS]
    fresh = "SELECT count(*) FROM denied.ecr_freshness WHERE table_name = 'repositories' AND complete_as_of IS NOT NULL"
    assert postgres.rows(scheduled.warehouse, fresh) == [(2,)]


def test_a_connection_that_does_not_exist_is_not_taken_for_the_credentials_of_the_machine(scheduled: Airflow) -> None:
    scheduled.trigger("mistyped", conf("mistyped", aws_conn_id="mistyped"))
    wait_until(scheduled, lambda: state_of(scheduled, "mistyped", "find") == "up_for_retry")
    assert "`mistyped` isn't defined" in scheduled.log_of("mistyped", "find")
    scheduled.request("dags/ecr/dagRuns/mistyped", {"state": "failed"}, method="PATCH")


def test_the_commands_of_the_readme_run_as_pasted(scheduled: Airflow, postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / "airflow/dags").mkdir(parents=True)
    (commands,) = blocks("console", section("In Airflow"))
    # The connection is the one that the commands add.
    environment = {name: value for name, value in scheduled.environment.items() if name != "AIRFLOW_CONN_ECR_WAREHOUSE"}
    done = subprocess.run(
        ["bash", "-ec", "\n".join(typed(commands))],
        cwd=PROJECT,
        env=environment | {"HOME": str(tmp_path), "WAREHOUSE_URL": scheduled.warehouse},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "airflow/dags/ecr_airflow.py").read_text() == (PROJECT / "pipelines/ecr_airflow.py").read_text()
    (run,) = scheduled.request("dags/ecr/dagRuns?order_by=-run_after&limit=1")["dag_runs"]
    assert ended(scheduled, run["dag_run_id"]) == "success"
    told = f"SELECT DISTINCT region, status FROM extraction_scopes WHERE run_id = '{run['dag_run_id']}'"
    assert postgres.rows(scheduled.warehouse, told) == [("eu-west-1", "complete")]
    rows = "SELECT count(*) FROM repositories WHERE region = 'eu-west-1'"
    assert postgres.rows(scheduled.warehouse, rows) == [(9,)]


def test_a_task_of_many_scopes_is_named_after_the_first(scheduled: Airflow, postgres: Postgres) -> None:
    regions = sorted(boto3.Session().get_available_regions("ecr"))[:15]
    assert trigger(scheduled, "batch", scopes_per_task=15, settings={"regions": regions}) == "success"
    (load,) = scheduled.request("dags/ecr/dagRuns/batch/taskInstances?task_id=load")["task_instances"]
    assert load["rendered_map_index"] == f"{ACCOUNT}/{regions[0]} and 14 more"
    read = "SELECT count(DISTINCT region) FROM batch.extraction_scopes WHERE status = 'complete'"
    assert postgres.rows(scheduled.warehouse, read) == [(15,)]


def test_a_run_in_incremental_mode_without_an_interval_is_refused_at_once(scheduled: Airflow) -> None:
    assert trigger(scheduled, "without_interval", mode="incremental") == "failed"
    find = scheduled.request("dags/ecr/dagRuns/without_interval/taskInstances/find")
    assert (find["state"], find["try_number"]) == ("failed", 1)


LOADED_AT = "SELECT DISTINCT region, extracted_at FROM {}.repositories"


def state_of(airflow: Airflow, run_id: str, task_id: str) -> str | None:
    """The state of a task."""
    state: str | None = airflow.request(f"dags/ecr/dagRuns/{run_id}/taskInstances/{task_id}")["state"]
    return state


def trigger(airflow: Airflow, run_id: str, **options: Any) -> str:
    """A run into the dataset of its name, to its end; its state."""
    airflow.trigger(run_id, conf(run_id, **options))
    return ended(airflow, run_id)


@pytest.mark.nightly
def test_a_worker_that_is_killed_while_it_loads_costs_nothing_but_a_retry(
    scheduled: Airflow, postgres: Postgres, server: EcrServer, tmp_path: Path
) -> None:
    regions = ["eu-central-1", "eu-north-1", "eu-west-1", "us-east-1"]
    for region in regions:
        server.registry(region).put("in every region")
    settings = {"regions": regions}
    assert trigger(scheduled, "killed", settings=settings) == "success"
    for region in regions:
        server.registry(region).put("new in every region")
    with table_locked(scheduled.warehouse, "killed.repositories") as waiting:
        scheduled.trigger("again", conf("killed", settings=settings))
        wait_until(scheduled, lambda: bool(waiting()))
        scheduled.kill_worker(waiting())
    assert ended(scheduled, "again") == "success"
    tries = scheduled.request("dags/ecr/dagRuns/again/taskInstances")["task_instances"]
    assert {task["try_number"] for task in tries if task["task_id"] == "load"} == {1, 2}
    assert contents(postgres, scheduled.warehouse, "killed") == undisturbed(postgres, server, regions, tmp_path)
    ledger = (
        "SELECT count(*), count(DISTINCT (table_name, region)) FROM killed.extraction_scopes"
        " WHERE status = 'complete' AND run_id = 'again'"
    )
    tables = len(catalog.select_tables(TABLES)) * len(regions)
    assert postgres.rows(scheduled.warehouse, ledger) == [(tables, tables)]


@contextmanager
def table_locked(url: str, table: str) -> Iterator[Callable[[], str]]:
    """As long as nobody can read or write the table; tells the name of the connection that waits to write it."""
    locking, looking = psycopg2.connect(url), psycopg2.connect(url)
    looking.autocommit = True
    try:
        locking.cursor().execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")

        def waiting() -> str:
            cursor = looking.cursor()
            cursor.execute(
                "SELECT max(application_name) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted"
                f" AND relation = '{table}'::regclass AND mode = 'RowExclusiveLock'"
            )
            return str(cursor.fetchone()[0] or "")

        yield waiting
    finally:
        locking.close()
        looking.close()


def wait_until(airflow: Airflow, is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + ENDED_WITHIN
    while not is_true():
        assert time.monotonic() < deadline, airflow.log()
        time.sleep(0.2)


def undisturbed(postgres: Postgres, server: EcrServer, regions: list[str], folder: Path) -> dict[str, list[Row]]:
    """What an ordinary run loads from these regions."""
    url = postgres.new_database()
    settings: dict[str, str | None] = {"DESTINATION__POSTGRES__CREDENTIALS": url, "DLT_DATA_DIR": str(folder / "dlt")}
    options = [f"--region={region}" for region in regions] + [f"--table={table}" for table in TABLES]
    command = ["run", "--destination", "postgres", *options]
    with ForkedCommand(command, environment(server, folder / "unused.duckdb", settings)) as run:
        code, errors = run.end()
    assert code == 0, errors
    return contents(postgres, url, "aws_ecr")


@pytest.mark.nightly
def test_a_backfill_of_two_days_loads_each_day_once_also_where_days_are_filled_again(
    scheduled: Airflow, postgres: Postgres, server: EcrServer
) -> None:
    there = len(server.registry("eu-west-1").repositories)
    days = [f"2026-11-{day:02}" for day in (5, 6)]
    tables = ["repositories.repositories", "repository_scanning_configurations"]
    options = conf("filled", mode="incremental", settings={"regions": ["eu-west-1"], "tables": tables})
    for behaviour, last_day in (("none", days[-1]), ("completed", days[0])):
        scheduled.backfill((days[0], last_day), options, behaviour)
        wait_until(scheduled, lambda: is_filled(scheduled))
        runs = scheduled.request("dags/ecr/dagRuns?run_type=backfill&limit=100")["dag_runs"]
        assert [run["state"] for run in runs] == ["success"] * len(days)
        names = postgres.rows(scheduled.warehouse, "SELECT repository_name FROM filled.repositories ORDER BY 1")
        assert names == [(f"day-{day}",) for day in (1, 2)]
        # What has no time is there once, as it is now.
        counts = "SELECT count(*), count(DISTINCT repository_name) FROM filled.repository_scanning_configurations"
        assert postgres.rows(scheduled.warehouse, counts) == [(there, there)]
    assert postgres.rows(scheduled.warehouse, "SELECT count(DISTINCT run_id) FROM filled.extraction_scopes") == [
        (len(days),)
    ]
    assert trigger(scheduled, "filled") == "failed"  # it has no interval, and the dataset's own mode needs one


def is_filled(airflow: Airflow) -> bool:
    """Whether all backfills have ended."""
    backfills = airflow.request("backfills?dag_id=ecr")["backfills"]
    return all(backfill["completed_at"] for backfill in backfills)
