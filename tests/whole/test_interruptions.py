"""Runs that are stopped or killed: the next one is right."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from ecr_source import ecr_source
from tests.conftest import ECR_SOURCE, Row, environment, make_pipeline
from tests.nightly import at_night
from tests.server.ecr_server import DENIED, EcrServer
from tests.warehouse import POSTGRES_AT_NIGHT, Warehouse

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]

NOTHING_LOADED, STOPPED = 3, 130
COUNT = "SELECT count(*), count(DISTINCT repository_name) FROM repositories"


@contextmanager
def running(
    server: EcrServer, warehouse: Warehouse | Path, command: Sequence[str] = (ECR_SOURCE, "run")
) -> Iterator[subprocess.Popen[str]]:
    """The command as a process, which does not outlive the test."""
    with subprocess.Popen(
        command,
        env=environment(server, warehouse),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class HeldPage:
    """A page of the listing that the server does not answer before it is released."""

    asked: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


def hold_page(server: EcrServer, number: int) -> HeldPage:
    """Holds the `number`th call of the listing from now on."""
    page = HeldPage()
    held = server.calls["DescribeRepositories"] + number

    def hold(operation: str, call: int) -> None:
        if operation == "DescribeRepositories" and call == held:
            page.asked.set()
            page.released.wait(60)

    server.before_answer = hold
    return page


def wait_for_line(process: subprocess.Popen[str], expected: str) -> None:
    assert process.stderr is not None
    assert any(line == f"{expected}\n" for line in process.stderr)


def leftovers(tmp_path: Path) -> list[Path]:
    return [path for path in tmp_path.rglob("ecr_spool/**/*") if path.is_file()]


@pytest.fixture
def many(server: EcrServer) -> EcrServer:
    """20,000 repositories."""
    server.registry().fill(20_000)
    return server


@pytest.mark.parametrize("stop", [signal.SIGINT, at_night(signal.SIGTERM)])
def test_ctrl_c_while_reading_loses_nothing(
    many: EcrServer, ecr: Ecr, query: Query, database: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    assert ecr("run").returncode == 0
    many.registry().put("new")
    many.page_size = 100
    page = hold_page(many, 50)
    with running(many, database) as process:
        assert page.asked.wait(60)
        process.send_signal(stop)
        page.released.set()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == STOPPED, errors
    assert errors.splitlines()[-1] == "ecr-source: stopped; nothing is lost, the next run goes on from here"
    assert "Traceback" not in errors
    assert query(COUNT) == [(20_000, 20_000)]
    many.page_size = None
    assert ecr("run").returncode == 0
    assert query(COUNT) == [(20_001, 20_001)]
    assert leftovers(tmp_path) == []


HELD_AFTER_THE_FIRST_JOB = """
import sys
from dlt.common.runtime.signals import exit_event
from dlt.load.load import Load
from ecr_source.cli.commands import main

complete_jobs = Load.complete_jobs

def hold(load, *arguments):
    completed = complete_jobs(load, *arguments)
    if completed[1]:
        Load.complete_jobs = complete_jobs
        print("held", file=sys.stderr, flush=True)
        exit_event.wait()
    return completed

Load.complete_jobs = hold
main()
"""


@POSTGRES_AT_NIGHT
@pytest.mark.parametrize("stop", [at_night(signal.SIGINT), signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_while_it_loads_is_finished_by_the_next(
    many: EcrServer, ecr: Ecr, query: Query, warehouse: Warehouse, stop: signal.Signals
) -> None:
    command = [sys.executable, "-c", HELD_AFTER_THE_FIRST_JOB, "run"]
    with running(many, warehouse, command) as process:
        wait_for_line(process, "held")
        process.send_signal(stop)
        process.communicate(timeout=60)
    assert process.returncode == (-stop if stop == signal.SIGKILL else STOPPED)
    del many.registry().repositories["team-0/service-0000000"]
    assert ecr("run").returncode == 0
    assert query(COUNT) == [(19_999, 19_999)]
    assert query("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(2,)]


@pytest.mark.parametrize("mode", ["snapshot", "history", "incremental"])
def test_a_run_leaves_no_rows_behind_in_its_working_folder(
    many: EcrServer, ecr: Ecr, tmp_path: Path, mode: str
) -> None:
    assert ecr("run", "--mode", mode).returncode == 0
    assert [path for path in (tmp_path / "dlt").rglob("*") if path.stat().st_size > 300_000] == []
    assert leftovers(tmp_path) == []


def test_a_run_that_is_killed_while_it_reads_leaves_nothing_behind(
    server: EcrServer, ecr: Ecr, query: Query, database: Path, tmp_path: Path
) -> None:
    server.registry().fill(40_000)
    server.page_size = 1_000
    page = hold_page(server, 35)  # by then a row group is full
    with running(server, database) as process:
        assert page.asked.wait(60)
        process.kill()
        page.released.set()
        process.communicate(timeout=60)
    assert leftovers(tmp_path) != []
    assert ecr("run").returncode == 0
    assert query(COUNT) == [(40_000, 40_000)]
    assert leftovers(tmp_path) == []


def test_a_run_that_is_killed_after_it_loaded_has_its_copies_of_rows_deleted_by_the_next(
    server: EcrServer, ecr: Ecr, tmp_path: Path
) -> None:
    server.registry().put("api")
    # As if it were killed just before: dlt loads, and deletes then.
    assert ecr("run", env={"LOAD__DELETE_COMPLETED_JOBS": "false"}).returncode == 0
    assert list((tmp_path / "dlt").rglob("*.parquet")) != []
    assert ecr("run").returncode == 0
    assert list((tmp_path / "dlt").rglob("*.parquet")) == []


KILLED_WHILE_DLT_DELETES_WHAT_IT_NORMALISED = """
import os, signal, sys
from pathlib import Path
from dlt.common.storages import PackageStorage
from ecr_source.cli.commands import main

deleted_first = sys.argv.pop(1)

def delete_one_and_die(storage, load_id, not_exists_ok=False):
    if not_exists_ok:  # a package that was begun and never completed
        return
    package = Path(storage.storage.make_full_path(load_id))
    next(package.rglob(deleted_first)).unlink()
    os.kill(os.getpid(), signal.SIGKILL)

PackageStorage.delete_package = delete_one_and_die
main()
"""


@pytest.mark.parametrize("deleted_first", ["schema.json", "repositories.*.parquet"])
def test_a_run_that_is_killed_while_dlt_deletes_what_it_normalised_is_finished_by_the_next(
    server: EcrServer, ecr: Ecr, query: Query, database: Path, deleted_first: str
) -> None:
    server.registry().fill(100)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_DLT_DELETES_WHAT_IT_NORMALISED, deleted_first, "run"],
        env=environment(server, database),
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    server.fail(DENIED)
    assert ecr("run").returncode == NOTHING_LOADED
    assert query(COUNT) == [(100, 100)]


KILLED_BEFORE_DLT_SAVES_ITS_STATE = """
import os, signal
from dlt.extract.extract import Extract
from ecr_source.cli.commands import main

commit = Extract.commit_packages

def commit_and_die(extract):
    commit(extract)
    os.kill(os.getpid(), signal.SIGKILL)

Extract.commit_packages = commit_and_die
main()
"""


def test_a_first_run_that_is_killed_as_soon_as_it_has_read_all_does_not_stand_in_the_way_of_the_next(
    server: EcrServer, ecr: Ecr, query: Query, database: Path
) -> None:
    server.registry().fill(100)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_DLT_SAVES_ITS_STATE, "run"],
        env=environment(server, database),
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    assert ecr("run").returncode == 0
    assert query(COUNT) == [(100, 100)]


KILLED_BEFORE_DLT_NOTES_IT = """
import gzip, os, signal, sys
import pyarrow.parquet as pq
from dlt.common.storages import PackageStorage
from ecr_source.cli.commands import main

table = sys.argv.pop(1)
note = PackageStorage.save_pending_transition

def rows(path):
    if path.endswith(".parquet"):
        return pq.read_metadata(path).num_rows
    return len(gzip.open(path).readlines()) - 1

def note_or_die(storage, load_id, file_name, *state):
    path = storage.storage.make_full_path(f"{load_id}/started_jobs/{file_name}")
    if file_name.startswith(table + ".") and rows(path):
        os.kill(os.getpid(), signal.SIGKILL)
    note(storage, load_id, file_name, *state)

PackageStorage.save_pending_transition = note_or_die
main()
"""


@POSTGRES_AT_NIGHT
@pytest.mark.parametrize(
    ("mode", "table"),
    [
        ("incremental", "repositories"),
        at_night("history", "repositories"),
        at_night("snapshot", "extraction_scopes"),
        ("incremental", "_dlt_pipeline_state"),
    ],
)
def test_what_was_committed_when_a_run_was_killed_is_not_loaded_twice(
    server: EcrServer, ecr: Ecr, query: Query, warehouse: Warehouse, mode: str, table: str
) -> None:
    server.registry().fill(100)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_DLT_NOTES_IT, table, "run", "--mode", mode],
        env=environment(server, warehouse),
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    assert query(f"SELECT count(*) > 0 FROM {'aws_ecr_staging.' if mode == 'history' else ''}{table}") == [(True,)]
    server.fail(DENIED)
    done = ecr("run", "--mode", mode)
    assert done.returncode == NOTHING_LOADED
    assert "[ERROR]" not in done.stderr
    assert query(COUNT) == [(100, 100)]
    assert query("SELECT count(*), count(DISTINCT (run_id, table_name)) FROM extraction_scopes") == [(4, 4)]


@POSTGRES_AT_NIGHT
def test_what_an_earlier_run_extracted_is_loaded_before_the_registry_is_read_anew(
    server: EcrServer, ecr: Ecr, query: Query, warehouse: Warehouse, tmp_path: Path
) -> None:
    server.registry().put("old")
    earlier = make_pipeline(tmp_path / "dlt/pipelines", warehouse)
    earlier.extract(ecr_source(regions=["eu-west-1"], endpoint_url=server.url))
    del server.registry().repositories["old"]
    server.registry().put("new")
    assert ecr("run").returncode == 0
    assert query("SELECT repository_name FROM repositories") == [("new",)]
    assert query("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(2,)]


def test_what_waits_for_another_database_is_not_loaded_into_this_one(
    server: EcrServer, ecr: Ecr, database: Path, tmp_path: Path
) -> None:
    server.registry().put("api")
    assert ecr("run").returncode == 0
    make_pipeline(tmp_path / "dlt/pipelines", database).extract(
        ecr_source(regions=["eu-west-1"], endpoint_url=server.url)
    )
    done = ecr("run", "--database", str(tmp_path / "other.duckdb"))
    assert done.returncode == 2
    assert "wait to be loaded there: run for it first" in done.stderr
    assert ecr("run").returncode == 0
    assert ecr("run", "--database", str(tmp_path / "other.duckdb")).returncode == 0


@pytest.mark.parametrize("knows", [True, False], ids=["it says where", "it does not say where"])
def test_what_a_script_read_for_its_own_database_is_not_loaded_into_another(
    server: EcrServer, ecr: Ecr, database: Path, tmp_path: Path, knows: bool
) -> None:
    server.registry().put("api")
    script = make_pipeline(tmp_path / "dlt/pipelines", tmp_path / "script.duckdb")
    script.extract(ecr_source(regions=["eu-west-1"], endpoint_url=server.url))
    if not knows:
        with script.managed_state() as state:
            del state["_local"]["ecr_place"]  # type: ignore[misc]
    done = ecr("run", "--mask-accounts", env={"ECR_SOURCE_MASK_KEY": "0123456789abcdef"})
    assert done.returncode == 2
    assert (f"{tmp_path / 'script.duckdb'}" in done.stderr) == knows
    give_up = re.search(r'"dlt (.* abort-packages)"', done.stderr)
    assert give_up
    subprocess.run(
        [Path(sys.executable).parent / "dlt", *give_up[1].split()],
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert not script.has_pending_data
    with duckdb.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchall() == [(0,)]
