"""The server, a pipeline, the command line and the database, as fixtures."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import hypothesis
import orjson
import pytest

import tests.remembered  # noqa: F401  # for what it does
from ecr_source import catalog, ecr_source, read_outcome
from ecr_source.extract.ledger import Outcome
from tests.forked import run_forked
from tests.postgres import Postgres, postgres_server, postgres_version
from tests.server.ecr_server import ACCESS_KEY, EcrServer, serving
from tests.warehouse import DATASET, DESTINATIONS, ON_EACH, DuckDbFile, PostgresDatabase, Row, Warehouse

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

__all__ = ["Row"]

# The time that an example takes says nothing about it; in CI a failure must be the change's, not the dice's.
hypothesis.settings.register_profile("ecr", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("ecr")

gc.set_threshold(50_000)  # as the command does: each load here is a tenth cheaper for it

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As a shell leaves it to what it starts in the background; what tests start would not be stopped by Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ECR_SOURCE = str(Path(sys.executable).parent / "ecr-source")

SHARING = {
    *("test_failures.py", "test_lake.py", "test_masked_accounts.py", "test_permissions.py", "test_postgres_outages.py"),
    *("test_page.py", "test_promises.py", "test_query.py", "test_questions.py", "test_report.py"),
    *("test_simulate_lifecycle.py", "test_storms.py", "test_tables.py"),
}
"""Files whose tests share what is costly to make: one process runs all of a file. Other tests go to whoever is free."""

LONG = {"test_any_order.py", "test_any_order_loaded.py", "test_kills.py", "test_tasks_at_once.py"}
"""Files whose tests take minutes each. They come first, then those of `SHARING`, which take minutes as a whole: so no
process works at one alone when all else is done."""

LISTING = ("repositories", "repository_tag_mutability_exclusion_filters")
RUN = [table.name for table in catalog.RUN_TABLES]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """No AWS or dlt setting of the machine reaches what follows, and it writes into `folder` only."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SOURCES__", "DESTINATION__", "DLT_")) and name != "AWS_DATA_PATH":
            patch.delenv(name)
    patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    patch.setenv("AWS_CONFIG_FILE", str(folder / "no-aws-config"))
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "no-aws-credentials"))
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
    patch.chdir(folder)


@pytest.fixture
def server() -> Iterator[EcrServer]:
    """An ECR endpoint with an empty registry."""
    with serving() as running:
        yield running


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "ecr.duckdb"


def pytest_report_header() -> str:
    return f"servers of the tests: {postgres_version()}"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nightly: takes too long for every run; `make test-nightly`")
    config.addinivalue_line("markers", f"{ON_EACH.name}: load into each destination, not into DuckDB only")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (item.path.name not in LONG, item.path.name not in SHARING))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    # Not by marks of xdist_group, which pytest-xdist 3.8 loses with pytest 9.2.
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if Path(file).name in SHARING else nodeid

    return Scheduling(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker(ON_EACH.name)
    if "warehouse" in metafunc.fixturenames and marker:
        nightly = marker.kwargs.get("nightly", ())
        each = [pytest.param(one, marks=pytest.mark.nightly if one in nightly else ()) for one in DESTINATIONS]
        metafunc.parametrize("warehouse", each, indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A Postgres server, one for each process that runs tests."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def warehouse(request: pytest.FixtureRequest, database: Path) -> Warehouse:
    """What is loaded into: the DuckDB file `database`, and where `ON_EACH` says so a Postgres database, too."""
    return new_warehouse(request, getattr(request, "param", "duckdb"), database)


def new_warehouse(request: pytest.FixtureRequest, destination: str, database: Path) -> Warehouse:
    """An empty one; `database` is the file, where it is DuckDB."""
    if destination == "duckdb":
        return DuckDbFile(database)
    server: Postgres = request.getfixturevalue("postgres")
    return PostgresDatabase(server, server.new_database())


@pytest.fixture
def query(warehouse: Warehouse) -> Callable[[str], list[Row]]:
    """Rows of the database: `query("SELECT … FROM repositories")`."""
    return warehouse.query


@pytest.fixture
def pipeline(tmp_path: Path, warehouse: Warehouse) -> dlt.Pipeline:
    return make_pipeline(tmp_path / "pipelines", warehouse)


def make_pipeline(folder: Path, warehouse: Warehouse | Path, name: str = "ecr") -> dlt.Pipeline:
    """A pipeline with its working folder below `folder`; a path is a DuckDB file's."""
    into = opened(warehouse)
    return dlt.pipeline(name, pipelines_dir=str(folder), destination=into.destination, dataset_name=DATASET)


def opened(warehouse: Warehouse | Path) -> Warehouse:
    return DuckDbFile(warehouse) if isinstance(warehouse, Path) else warehouse


@pytest.fixture
def load(server: EcrServer, warehouse: Warehouse, pipeline: dlt.Pipeline) -> Callable[..., Outcome]:
    """Loads the server's registries through the Python API: `load(mode="history", tables=["images"])`.

    Without `tables` it loads what the listing of repositories fills.
    """

    def loaded(**arguments: Any) -> Outcome:
        source = ecr_source(**{"regions": ["eu-west-1"], "endpoint_url": server.url} | arguments)
        with warehouse.loading():
            pipeline.run(source if "tables" in arguments else source.with_resources(*LISTING, *RUN))
        return read_outcome(pipeline)

    return loaded


@pytest.fixture
def ecr(server: EcrServer, warehouse: Warehouse) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command line as a process: `ecr("run", "--region", "eu-west-1")` against the server and the database."""

    def command(*arguments: str, env: dict[str, str | None] | None = None) -> subprocess.CompletedProcess[str]:
        return run_forked(arguments, environment(server, warehouse, env), timeout=120)

    return command


def environment(
    server: EcrServer, warehouse: Warehouse | Path, changes: dict[str, str | None] | None = None
) -> dict[str, str]:
    """The environment in which `ecr-source run` loads from `server` into `warehouse`; None unsets a variable.

    A path is a DuckDB file's.

    What is loaded, unless `--table` says otherwise, is what the listing of repositories fills.
    """
    settings = {
        **opened(warehouse).settings,
        "SOURCES__ECR__ENDPOINT_URL": server.url,
        "SOURCES__ECR__TABLES": orjson.dumps([f"repositories.{name}" for name in LISTING]).decode(),
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    merged: dict[str, str | None] = {**os.environ, **settings, **(changes or {})}
    return {name: value for name, value in merged.items() if value is not None}
