"""The DAG in a real Airflow: every scope is a task, a task can be lost, and the last one says what is missing."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ecr_source import catalog
from ecr_source.catalog.schema import arrow_schema
from tests.airflow.installation import (
    PROJECT,
    REGIONS,
    WAREHOUSE_CONNECTION,
    WORKERS,
    Airflow,
    airflow_installation,
)
from tests.conftest import Row, environment
from tests.ecr_server import ACCOUNT, DENIED, EcrServer, serving
from tests.forked import ForkedCommand
from tests.postgres import Postgres, loading_lock_held, postgres_server
from tests.readme import blocks, section, typed

TABLES = ["repositories", "images"]
DAY = 86_400
FIRST_DAY = int(datetime(2026, 11, 4, tzinfo=UTC).timestamp())
ENDED_WITHIN = 180


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[EcrServer]:
    """Two regions, and a repository for each of nine days."""
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
        assert airflow.run("dags", "unpause", "ecr").returncode == 0
        yield airflow


@pytest.fixture(autouse=True)
def _recovered(server: EcrServer) -> Iterator[None]:
    yield
    server.recover()


def conf(dataset: str, **more: Any) -> str:
    settings = {"tables": TABLES, "regions": REGIONS} | more.pop("settings", {})
    return json.dumps({"destination_conn_id": WAREHOUSE_CONNECTION, "dataset": dataset, "settings": settings} | more)


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
        time.sleep(1)
    return str(state)


# dag.test()


def test_the_dag_loads_every_scope_and_writes_one_ledger(airflow: Airflow, postgres: Postgres) -> None:
    done = airflow.run("dags", "test", "ecr", "2026-11-20", "--conf", conf("tested"))
    assert done.returncode == 0, done.stdout + done.stderr
    repositories = "SELECT region, count(*) FROM tested.repositories GROUP BY 1 ORDER BY 1"
    assert postgres.rows(airflow.warehouse, repositories) == [(region, 9) for region in REGIONS]
    ledger = "SELECT DISTINCT region, status FROM tested.extraction_scopes ORDER BY 1"
    assert postgres.rows(airflow.warehouse, ledger) == [(region, "complete") for region in REGIONS]
    runs = "SELECT count(DISTINCT run_id), min(run_id) LIKE 'manual%' FROM tested.extraction_scopes"
    assert postgres.rows(airflow.warehouse, runs) == [(1, True)]
    fresh = "SELECT count(*) FROM tested.ecr_freshness WHERE table_name = 'repositories' AND complete_as_of IS NOT NULL"
    assert postgres.rows(airflow.warehouse, fresh) == [(2,)]


def test_the_last_task_fails_and_names_what_is_incomplete(
    airflow: Airflow, server: EcrServer, postgres: Postgres
) -> None:
    server.fail(DENIED, region="us-east-1")
    done = airflow.run("dags", "test", "ecr", "2026-11-20", "--conf", conf("denied"))
    assert done.returncode != 0
    sentence = f"cannot call ecr:DescribeRepositories in {ACCOUNT}/us-east-1: access denied"
    assert sentence in done.stdout + done.stderr
    assert postgres.rows(airflow.warehouse, "SELECT DISTINCT region FROM denied.repositories") == [("eu-west-1",)]
    ledger = "SELECT region, status FROM denied.extraction_scopes WHERE table_name = 'repositories' ORDER BY 1"
    assert postgres.rows(airflow.warehouse, ledger) == [("eu-west-1", "complete"), ("us-east-1", "denied")]


def test_the_warehouse_may_stand_in_airflows_variable_for_dlt(airflow: Airflow, postgres: Postgres) -> None:
    settings: dict[str, str | None] = {
        "AIRFLOW_VAR_DLT_SECRETS_TOML": f'[destination.postgres]\ncredentials = "{airflow.warehouse}"',
        "DESTINATION__POSTGRES__CREDENTIALS": None,
    }
    options = conf("by_variable", destination_conn_id=None)
    done = airflow.run("dags", "test", "ecr", "2026-11-21", "--conf", options, settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert postgres.rows(airflow.warehouse, "SELECT count(*) FROM by_variable.repositories") == [(9 * len(REGIONS),)]


# Scheduler, Celery, two workers


def test_the_dag_is_there_to_be_looked_at(scheduled: Airflow) -> None:
    assert scheduled.request("importErrors")["total_entries"] == 0
    tasks = scheduled.request("dags/ecr/tasks")["tasks"]
    assert [(task["task_id"], task["is_mapped"]) for task in tasks] == [
        ("find", False),
        ("load", True),
        ("write_ledger", False),
    ]


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


def test_a_worker_that_is_killed_while_it_loads_costs_nothing_but_a_retry(
    scheduled: Airflow, postgres: Postgres, server: EcrServer, tmp_path: Path
) -> None:
    regions = ["eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "us-east-1", "us-east-2"]
    for region in regions:
        server.registry(region).put("in every region")
    options = conf("killed", settings={"regions": regions})
    with loading_lock_held(scheduled.warehouse, "killed") as waiting:
        assert scheduled.run("dags", "trigger", "ecr", "--run-id", "killed", "--conf", options).returncode == 0
        wait_until(scheduled, lambda: waiting() == len(regions))
        scheduled.kill_worker(WORKERS[0])
    assert ended(scheduled, "killed") == "success"
    tries = scheduled.request("dags/ecr/dagRuns/killed/taskInstances")["task_instances"]
    assert {task["try_number"] for task in tries if task["task_id"] == "load"} == {1, 2}
    assert contents(postgres, scheduled.warehouse, "killed") == undisturbed(postgres, server, regions, tmp_path)
    ledger = (
        "SELECT count(*), count(DISTINCT (table_name, region)) FROM killed.extraction_scopes WHERE status = 'complete'"
    )
    tables = len(catalog.select_tables(TABLES)) * len(regions)
    assert postgres.rows(scheduled.warehouse, ledger) == [(tables, tables)]


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


def test_a_backfill_of_seven_days_loads_each_day_once_also_when_it_is_done_again(
    scheduled: Airflow, postgres: Postgres
) -> None:
    days = [f"2026-11-{day:02}" for day in range(5, 12)]
    options = conf(
        "filled", mode="incremental", settings={"regions": ["eu-west-1"], "tables": ["repositories.repositories"]}
    )
    for behaviour in ("none", "completed"):
        done = scheduled.run(
            *("backfill", "create", "--dag-id", "ecr", "--from-date", days[0], "--to-date", days[-1]),
            *("--dag-run-conf", options, "--max-active-runs", "4", "--reprocess-behavior", behaviour),
        )
        assert done.returncode == 0, done.stderr
        wait_until(scheduled, lambda: is_filled(scheduled))
        runs = scheduled.request("dags/ecr/dagRuns?run_type=backfill&limit=100")["dag_runs"]
        assert [run["state"] for run in runs] == ["success"] * len(days)
        names = postgres.rows(scheduled.warehouse, "SELECT repository_name FROM filled.repositories ORDER BY 1")
        assert names == [(f"day-{day}",) for day in range(1, 8)]
    assert postgres.rows(scheduled.warehouse, "SELECT count(DISTINCT run_id) FROM filled.extraction_scopes") == [(7,)]


def is_filled(airflow: Airflow) -> bool:
    """Whether all backfills have ended."""
    backfills = airflow.request("backfills?dag_id=ecr")["backfills"]
    return all(backfill["completed_at"] for backfill in backfills)
