"""Which views a dataset has, and what is said of those that it has not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from ecr_source.destinations.views import creation
from tests.conftest import Row
from tests.server.ecr_server import EcrServer
from tests.views.conftest import Load, days_ago
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]
Ecr = Callable[..., subprocess.CompletedProcess[str]]


def test_a_view_that_lacks_a_table_names_the_run_that_makes_it(server: EcrServer, ecr: Ecr) -> None:
    server.registry().put("api")
    server.registry().put_image("api", tags=["1"])
    assert ecr("run", "--table", "repositories").returncode == 0
    asked = ecr("query", "ecr_latest_images")
    assert asked.returncode == 2
    assert "has no view ecr_latest_images yet" in asked.stderr
    assert "ecr-source run" in asked.stderr
    assert "--table images" in asked.stderr
    listed = ecr("query", "--list", "--format", "csv").stdout
    assert '"ecr_latest_images","no view yet","ecr-source run --table images makes it"' in listed
    assert '"ecr_tag_moves","no view yet","ecr-source run --mode history makes it"' in listed
    assert '"ecr_repository_settings","view","How is each repository set up' in listed
    assert ecr("run", "--table", "images").returncode == 0
    assert "there" in ecr("query", "ecr_latest_images").stdout
    # What counts as a pull is not read without being allowed.
    listed = ecr("query", "--list", "--format", "csv").stdout
    makes_it = "run --table image_layers --moves-last-recorded-pull-time"
    assert f'"ecr_base_images","no view yet","ecr-source {makes_it} makes it"' in listed
    assert ecr(*makes_it.split()).returncode == 0
    assert ecr("query", "ecr_base_images").returncode == 0


def test_in_incremental_mode_a_view_sees_the_newest_row_of_each_key(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    registry.put("api")
    registry.put_image("api", "sha256:a", ["1"], pushed_at=days_ago(9))
    registry.scan("api", "sha256:a", status="IN_PROGRESS")
    arguments = {"mode": "incremental", "tables": ["images", "findings"]}
    load(**arguments)
    registry.scan("api", "sha256:a", completed_at=days_ago(1))
    registry.put_image("api", "sha256:b", ["2"], pushed_at=days_ago(8))
    load(**arguments)
    assert query("SELECT count(*) FROM image_scans WHERE image_digest = 'sha256:a'") == [(2,)]
    assert query("SELECT image_tags, scan_state FROM ecr_scan_coverage ORDER BY 1") == [
        ("1", "scanned"),
        ("2", "never_scanned"),
    ]


def test_a_view_knows_more_when_a_table_is_there_that_was_not(server: EcrServer, load: Load, query: Query) -> None:
    server.registry().put("api")
    load(tables=["repositories"])
    settings = "SELECT lifecycle_policy, repository_policy FROM ecr_repository_settings"
    assert query(settings) == [("unknown", "unknown")]
    load(tables=["policies"])
    assert query(settings) == [("no", "no")]


def test_a_run_makes_no_view_that_is_as_it_should_be(
    server: EcrServer, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    server.registry().put("api")
    load(tables=["repositories"])
    monkeypatch.setattr(creation, "_replace", lambda warehouse, client, view, *_: made.append(view.name))
    load(tables=["repositories"])
    assert made == []
    load(tables=["images"])
    assert {"ecr_latest_images", "ecr_storage"} <= {*made}
    assert not {"ecr_freshness", "ecr_parameters"} & {*made}
