"""The processes of the benchmark: the endpoint, and the commands that are measured against it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests.server.ecr_server import ACCESS_KEY

ROOT = Path(__file__).parent.parent.parent
ECR_SOURCE = Path(sys.executable).parent / "ecr-source"

LEDGER = """
    SELECT table_name, rows::BIGINT, calls::BIGINT, throttled::BIGINT, epoch(finished_at - started_at)
    FROM aws_ecr.extraction_scopes
    WHERE run_id = (SELECT max(run_id) FROM aws_ecr.extraction_scopes)
"""


@dataclass(frozen=True)
class Measurement:
    """One process: its wall seconds, the peak of its memory, what it printed, and its seconds of processor."""

    seconds: float
    megabytes: float
    output: str
    of_processor: float


@dataclass(frozen=True)
class TableRead:
    """What `extraction_scopes` says of one table in the last run."""

    rows: int
    calls: int
    throttled: int
    seconds: float


@dataclass(frozen=True)
class Run:
    """One `ecr-source run`: its process, and the tables that it read."""

    process: Measurement
    tables: dict[str, TableRead]

    @property
    def calls(self) -> int:
        """All calls of the run, but for the one that asks whose credentials these are."""
        return sum(table.calls for table in self.tables.values())

    @property
    def throttled_share(self) -> float:
        return sum(table.throttled for table in self.tables.values()) / self.calls


def measure(command: list[str], environment: Mapping[str, str], folder: Path) -> Measurement:
    """Runs `command` in `folder`, to its end."""
    launcher = [sys.executable, str(Path(__file__).parent / "measured.py")]
    done = subprocess.run([*launcher, *command], cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    *output, last = done.stdout.splitlines()
    seconds, megabytes, of_processor = map(float, last.split())
    return Measurement(seconds, megabytes, "\n".join(output), of_processor)


def environment(folder: Path) -> dict[str, str]:
    """That of a measured process, which keeps what it keeps below `folder`."""
    return os.environ | {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "DLT_DATA_DIR": str(folder / "dlt"),
        "PYTHONPATH": str(ROOT),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }


def run(url: str, folder: Path, *arguments: str) -> Run:
    """`ecr-source run` with these arguments into a database in `folder`, a second time into the same one."""
    database = folder / "bench.duckdb"
    options = ["--endpoint-url", url, "--region", "eu-west-1", "--database", str(database)]
    measurement = measure([str(ECR_SOURCE), "run", *options, *arguments], environment(folder), folder)
    with duckdb.connect(database, read_only=True) as connection:
        rows = connection.execute(LEDGER).fetchall()
    return Run(measurement, {name: TableRead(*numbers) for name, *numbers in rows})


@contextmanager
def endpoint(*options: object) -> Iterator[str]:
    """The URL of the test server with these options, in a process of its own."""
    command = [sys.executable, "-m", "tests.server.ecr_server", *map(str, options)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
