"""What users and datasets still name as versions before did."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import dlt
import pytest
from dlt.common.destination import Destination

from ecr_source import ecr_source, postgres, read_outcome
from ecr_source.destinations.destination import destination_of, make_destination
from ecr_source.destinations.postgres import Postgres
from ecr_source.postgres_destination import postgres as postgres_by_its_first_name
from ecr_source.source import ecr_source as source_by_its_first_name
from ecr_source.source import read_outcome as outcome_by_its_first_name
from tests.conftest import Row
from tests.server.ecr_server import DENIED, EcrServer

BEFORE = Path(__file__).with_name("before.tar.xz")
"""What the version with one folder of modules (commit 7434dea) left of two runs in history mode.

The first loaded the repositories api and web; the second read api and job, and was killed before it normalised that.
`{folder}` stands for where it was.
"""

KEPT = "ecr_source.postgres_destination.postgres"
"""The destination in dlt's state of a pipeline, as a version wrote it whose module had this name."""


@pytest.fixture
def left_before(tmp_path: Path) -> None:
    """The DuckDB file and the working folder of the version before, where the command looks for them."""
    with tarfile.open(BEFORE) as archive:
        archive.extractall(tmp_path, filter="data")
    for state in (tmp_path / "dlt").rglob("*state.json"):
        state.write_text(state.read_text().replace("{folder}", str(tmp_path)))


@pytest.mark.usefixtures("left_before")
def test_what_the_version_before_read_is_loaded_and_its_history_goes_on(
    server: EcrServer, ecr: Callable[..., subprocess.CompletedProcess[str]], query: Callable[[str], list[Row]]
) -> None:
    versions = "SELECT repository_name, _dlt_valid_to IS NULL FROM repositories ORDER BY ALL"
    server.fail(DENIED)
    assert ecr("run", "--mode", "history").returncode == 3
    assert query(versions) == [("api", True), ("job", True), ("web", False)]
    server.recover()
    server.registry().put("job")
    done = ecr("run", "--mode", "history")
    assert done.returncode == 0, done.stderr
    assert query("SELECT DISTINCT repository_name FROM repositories WHERE _dlt_valid_to IS NULL") == [("job",)]
    assert query("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(4,)]


def test_the_destination_that_dlt_keeps_in_the_state_of_datasets_is_found() -> None:
    found = Destination.from_reference(KEPT, credentials="postgresql://nobody@localhost/none")
    assert isinstance(found, postgres)


def test_a_run_may_name_the_destination_by_its_path() -> None:
    assert isinstance(make_destination(KEPT, Path("unused.duckdb")), postgres)


def test_a_pipeline_finds_its_destination_by_the_name_in_its_state(tmp_path: Path) -> None:
    pipeline = dlt.pipeline("before", pipelines_dir=str(tmp_path), destination=KEPT)
    assert isinstance(pipeline.destination, postgres)
    assert isinstance(destination_of(pipeline), Postgres)


def test_what_was_imported_by_its_first_name_is_the_same() -> None:
    assert source_by_its_first_name is ecr_source
    assert outcome_by_its_first_name is read_outcome
    assert postgres_by_its_first_name is postgres


def test_the_state_goes_on_to_have_the_name_that_the_version_before_knows() -> None:
    assert postgres("postgresql://nobody@localhost/none").destination_type == KEPT
