"""Two runs of which the one that read first loads last: what is newer stays, in both load modes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt
import pytest

from ecr_source import ecr_source
from ecr_source.loading.load import load, load_alone
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import EcrServer
from tests.server.registry import basic_finding
from tests.warehouse import DATASET, ON_EACH, Warehouse

pytestmark = [
    ON_EACH,
    pytest.mark.parametrize("mode", first_by_day("snapshot", "history")),
]

Query = Callable[[str], list[Row]]

TABLES = ["repositories", "images", "image_scans", "image_scan_findings"]
REGIONS = ["eu-west-1", "us-east-1"]


class Machine:
    """A place from which runs load, with a working folder of its own."""

    def __init__(self, name: str, server: EcrServer, warehouse: Warehouse, folder: Path, mode: str) -> None:
        self.pipeline = dlt.pipeline(
            name, pipelines_dir=str(folder / name), destination=warehouse.destination, dataset_name=DATASET
        )
        self.settings: dict[str, Any] = {"mode": mode, "endpoint_url": server.url, "tables": TABLES, "regions": REGIONS}

    def run(self, **settings: Any) -> None:
        load(self.pipeline, ecr_source(**self.settings | settings))

    def read(self, **settings: Any) -> None:
        """The first half of a run."""
        self.pipeline.sync_destination()
        self.pipeline.extract(ecr_source(**self.settings | settings))
        self.pipeline.normalize()

    def load(self) -> None:
        """The second half."""
        load_alone(self.pipeline)


@pytest.fixture
def machines(server: EcrServer, warehouse: Warehouse, tmp_path: Path, mode: str) -> list[Machine]:
    for region in REGIONS:
        for name in ("api", "web"):
            server.registry(region).put(name)
            server.registry(region).put_image(name, "sha256:a", ["latest"])
            server.registry(region).scan(name, "sha256:a", [basic_finding("CVE-1", "zlib", "1")])
    return [Machine(name, server, warehouse, tmp_path, mode) for name in ("early", "late")]


def test_an_older_reading_that_is_loaded_later_replaces_nothing(
    server: EcrServer, query: Query, machines: list[Machine], mode: str
) -> None:
    early, late = machines
    early.run()
    early.read()
    change(server)
    late.run()
    before, was_fresh = everything(query, mode), freshness(query)
    assert {row[:2] for row in before["repositories"]} == {("eu-west-1", "new"), ("us-east-1", "new")}
    early.load()
    assert everything(query, mode) == before
    assert freshness(query) == was_fresh


def test_what_the_later_run_did_not_read_is_loaded(
    server: EcrServer, query: Query, machines: list[Machine], mode: str
) -> None:
    early, late = machines
    early.run()
    change(server)
    early.read()
    late.run(regions=["eu-west-1"], tables=["repositories", "images"])
    early.load()
    found = everything(query, mode)
    assert {row[:2] for row in found["repositories"]} == {("eu-west-1", "new"), ("us-east-1", "new")}
    assert {row[:3] for row in found["image_scan_findings"]} == {
        ("eu-west-1", "new", "sha256:b"),
        ("us-east-1", "new", "sha256:b"),
    }
    late.run()
    assert names_in(everything(query, mode)) == names_in(found)


def test_images_of_which_both_asked_have_the_later_answers_and_are_not_asked_again(
    server: EcrServer, query: Query, machines: list[Machine], mode: str
) -> None:
    early, late = machines
    early.read()
    for region in REGIONS:
        server.registry(region).scan("api", "sha256:a", [basic_finding("CVE-2", "zlib", "1")])
    late.run()
    early.load()
    server.requests.clear()
    late.run()
    assert not [one for one, _, _ in server.requests if one == "DescribeImageScanFindings"]
    names = {row[3].partition("|")[0] for row in everything(query, mode)["image_scan_findings"] if row[1] == "api"}
    assert names == {"CVE-2"}


def test_images_that_are_gone_do_not_come_back_by_a_table_that_only_the_earlier_run_read(
    server: EcrServer, query: Query, machines: list[Machine], mode: str
) -> None:
    early, late = machines
    early.read()
    change(server)
    late.run(tables=["image_scan_findings"])
    early.load()
    assert query("SELECT DISTINCT complete_as_of FROM ecr_freshness WHERE table_name = 'image_scans'") == [(None,)]
    late.run()
    tables = everything(query, mode)
    assert {row[1] for rows in tables.values() for row in rows} == {"new"}
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    assert query(f"SELECT DISTINCT repository_name FROM image_scans {current}") == [("new",)]


def change(server: EcrServer) -> None:
    for region in REGIONS:
        registry = server.registry(region)
        for name in ("api", "web"):
            registry.delete_image(name, "sha256:a")
            del registry.repositories[name]
        registry.put("new")
        registry.put_image("new", "sha256:b", ["latest"])
        registry.scan("new", "sha256:b", [basic_finding("CVE-9", "zlib", "1")])


def everything(query: Query, mode: str) -> dict[str, list[Row]]:
    """What some tables have now, with the time of its reading; in history also since when."""
    since = ", _dlt_valid_from" if mode == "history" else ""
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    columns = {
        "repositories": "region, repository_name",
        "images": "region, repository_name, image_digest",
        "image_scan_findings": "region, repository_name, image_digest, finding_id",
    }
    return {
        table: query(f"SELECT {names}, extracted_at{since} FROM {table} {current} ORDER BY {names}")
        for table, names in columns.items()
    }


def names_in(tables: dict[str, list[Row]]) -> dict[str, list[Row]]:
    return {table: [row[:2] for row in rows] for table, rows in tables.items()}


def freshness(query: Query) -> list[Row]:
    return query("SELECT * FROM ecr_freshness ORDER BY registry_id, region, table_name")
