"""A dataset that was loaded in snapshot mode goes on in history mode, with all that it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from ecr_source import catalog, ecr_source
from ecr_source.catalog.table import Table
from ecr_source.errors import ConfigurationError
from ecr_source.loading import conversion
from ecr_source.loading.load import load, load_alone
from ecr_source.loading.row_versions import row_versions
from tests.conftest import Row, make_pipeline
from tests.server.ecr_server import DENIED, EcrServer
from tests.warehouse import POSTGRES_AT_NIGHT, Warehouse

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

REGIONS = ["eu-west-1", "us-east-1"]
SCANNING = "SELECT * FROM repository_scanning_configurations ORDER BY region, repository_name"
WHOLE = "count(*) - count(row_version), count(*) - count(_dlt_valid_from), count(_dlt_valid_to)"


class Machine:
    """A place from which runs load, with a working folder of its own."""

    def __init__(self, server: EcrServer, pipeline: dlt.Pipeline, tables: list[str]) -> None:
        self.pipeline = pipeline
        self.settings: dict[str, Any] = {"endpoint_url": server.url, "tables": tables, "regions": REGIONS}

    def run(self, mode: str) -> None:
        load(self.pipeline, ecr_source(**self.settings, mode=mode))

    def read(self, mode: str) -> None:
        """The first half of a run."""
        self.pipeline.extract(ecr_source(**self.settings, mode=mode))
        self.pipeline.normalize()


@pytest.fixture
def machine(server: EcrServer, pipeline: dlt.Pipeline) -> Machine:
    for region in REGIONS:
        for name in ("api", "job", "web"):
            server.registry(region).put(name)
    return Machine(server, pipeline, ["repositories"])


def test_rows_of_every_table_that_did_not_change_stay_open_since_they_were_read(
    server: EcrServer,
    warehouse: Warehouse,
    pipeline: dlt.Pipeline,
    query: Query,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversion, "_ROWS_AT_A_TIME", 10)
    server.registry().maximal()
    machine = Machine(server, pipeline, ["repositories", "images", "policies", "findings"])
    machine.run("snapshot")
    tables = {table.name for table in catalog.TABLES} & warehouse.tables()
    counts = {table: query(f"SELECT count(*) FROM {table}") for table in tables}
    read_at = query("SELECT extracted_at FROM repositories ORDER BY repository_arn")
    machine.run("history")
    (rows,) = {sum(count for ((count,),) in counts.values())}
    assert all(count for ((count,),) in counts.values())
    assert [one.getMessage() for one in caplog.records if one.name == conversion.__name__] == [
        f'the dataset "aws_ecr" was converted from snapshot to history mode: its rows, {rows:,} in {len(tables)}'
        " tables, are open versions since they were read"
    ]
    assert {table: query(f"SELECT count(*) FROM {table}") for table in tables} == counts
    assert {one for table in tables for one in query(f"SELECT {WHOLE} FROM {table}")} == {(0, 0, 0)}
    assert query("SELECT _dlt_valid_from FROM repositories ORDER BY repository_arn") == read_at


def test_an_answer_that_stands_while_the_dataset_is_converted_can_change_afterwards(
    server: EcrServer, pipeline: dlt.Pipeline, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    registry = server.registry()
    registry.put("api")
    registry.put_image("api", tags=["1"])
    machine = Machine(server, pipeline, ["images", "image_layers"])
    machine.settings["moves_last_recorded_pull_time"] = True
    machine.run("snapshot")
    registry.put("other")
    machine.run("history")  # no image is asked
    registry.put_image("api", tags=["2"])
    machine.run("history")
    assert query("SELECT count(*), count(_dlt_valid_to) FROM image_layers") == [(2, 0)]
    assert not [record for record in caplog.records if record.name == "dlt"]


def test_what_changed_is_closed_and_what_cannot_be_read_now_stays_open(
    server: EcrServer, machine: Machine, query: Query
) -> None:
    machine.run("snapshot")
    registry = server.registry()
    registry.put("api", imageTagMutability="IMMUTABLE")
    del registry.repositories["job"]
    registry.put("new")
    server.fail(DENIED, region="us-east-1")
    machine.run("history")
    (boundary,) = query("SELECT DISTINCT valid_from FROM extraction_scopes WHERE valid_from IS NOT NULL")
    assert query(
        "SELECT region, repository_name, image_tag_mutability, _dlt_valid_from = extracted_at, _dlt_valid_to"
        " FROM repositories ORDER BY 1, 2, _dlt_valid_from"
    ) == [
        ("eu-west-1", "api", "MUTABLE", True, *boundary),
        ("eu-west-1", "api", "IMMUTABLE", False, None),
        ("eu-west-1", "job", "MUTABLE", True, *boundary),
        ("eu-west-1", "new", "MUTABLE", False, None),
        ("eu-west-1", "web", "MUTABLE", True, None),
        *[("us-east-1", name, "MUTABLE", True, None) for name in ("api", "job", "web")],
    ]
    opened = "SELECT DISTINCT _dlt_valid_from FROM repositories WHERE _dlt_valid_from <> extracted_at"
    assert query(opened) == [boundary]
    assert query("SELECT DISTINCT mode, valid_from IS NULL FROM extraction_scopes ORDER BY 1") == [
        ("history", False),
        ("snapshot", True),
    ]
    assert query("SELECT last_status, mode FROM ecr_freshness WHERE table_name = 'repositories' ORDER BY region") == [
        ("complete", "history"),
        ("denied", "history"),
    ]


def test_a_table_that_had_no_rows_when_it_was_converted_takes_its_first_ones_later(
    server: EcrServer, machine: Machine, query: Query
) -> None:
    machine.run("snapshot")
    machine.run("history")
    server.registry().tags["api"] = {"team": "search"}
    machine.run("history")
    assert query("SELECT repository_name, tag_key, tag_value, _dlt_valid_to FROM repository_tags") == [
        ("api", "team", "search", None)
    ]


def test_a_conversion_that_was_interrupted_goes_on_and_snapshots_are_refused_meanwhile(
    server: EcrServer, machine: Machine, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.run("snapshot")
    before = query(SCANNING)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(conversion, "row_versions", interrupted_at("repository_scanning_configurations"))
        with pytest.raises(PipelineStepFailed):
            machine.run("history")
    assert query(f"SELECT {WHOLE} FROM repositories") == [(0, 0, 0)]
    assert query(SCANNING) == before
    with pytest.raises(PipelineStepFailed, match=r"was loaded in history mode .* go on with history mode"):
        machine.run("snapshot")
    assert query(SCANNING) == before
    del server.registry().repositories["web"]
    machine.run("history")
    assert query("SELECT count(*), count(_dlt_valid_to) FROM repositories") == [(6, 1)]
    assert query(f"SELECT count(*), {WHOLE} FROM repository_scanning_configurations") == [(6, 0, 0, 1)]


def interrupted_at(name: str) -> Callable[[Table, pa.RecordBatch], pa.Array]:
    def interrupted(table: Table, rows: pa.RecordBatch) -> pa.Array:
        if table.name == name:
            raise KeyboardInterrupt
        return row_versions(table, rows)

    return interrupted


def test_a_snapshot_that_waits_while_another_machine_converts_the_dataset_is_given_up(
    server: EcrServer, machine: Machine, query: Query, tmp_path: Path, warehouse: Warehouse
) -> None:
    machine.run("snapshot")
    server.registry().repositories.clear()
    machine.read("snapshot")
    server.registry().put("web")
    Machine(server, make_pipeline(tmp_path / "another", warehouse, "another"), ["repositories"]).run("history")
    versions = query("SELECT * FROM repositories ORDER BY region, repository_name, _dlt_valid_from")
    with pytest.raises(ConfigurationError, match="was given up: go on with history mode"):
        load_alone(machine.pipeline)
    with pytest.raises(PipelineStepFailed, match="was loaded in history mode"):
        machine.run("snapshot")
    machine.run("history")
    assert query("SELECT * FROM repositories ORDER BY region, repository_name, _dlt_valid_from") == versions
