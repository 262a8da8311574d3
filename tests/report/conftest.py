"""What was loaded for the report, once for each module, and the command that writes it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import new_warehouse
from tests.forked import run_forked
from tests.report.registry import change, fill, load_into
from tests.server.ecr_server import EcrServer, serving
from tests.warehouse import DuckDbFile, Warehouse

Report = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="package")
def registries() -> Iterator[EcrServer]:
    with serving() as running:
        fill(running)
        yield running


@pytest.fixture(scope="package")
def loaded_file(registries: EcrServer, tmp_path_factory: pytest.TempPathFactory) -> DuckDbFile:
    """A DuckDB file with two loads in history mode, between which something changed."""
    folder = tmp_path_factory.mktemp("report")
    file = DuckDbFile(folder / "ecr.duckdb")
    load_into(file, registries, folder, mode="history")
    change(registries)
    load_into(file, registries, folder)
    return file


@pytest.fixture(scope="package")
def loaded_postgres(
    request: pytest.FixtureRequest, registries: EcrServer, tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """A Postgres database with what there was at last."""
    folder = tmp_path_factory.mktemp("postgres")
    database = new_warehouse(request, "postgres", folder)
    load_into(database, registries, folder)
    return database


def reporting(warehouse: Warehouse) -> Report:
    """`ecr-source report` of what is loaded in there."""

    def report(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_forked(("report", *arguments), {**os.environ, **warehouse.settings}, timeout=120)

    return report


@pytest.fixture
def report(loaded_file: DuckDbFile) -> Report:
    return reporting(loaded_file)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix("ecr-source: ")


def written(done: subprocess.CompletedProcess[str], file: Path) -> str:
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return file.read_text()
