"""Images, and what hangs off repositories: single repositories, other registries, where rows wait."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_source.extract.ledger import Outcome
from tests.conftest import ECR_SOURCE, Row, environment
from tests.nightly import at_night
from tests.server.ecr_server import BROKEN, DENIED, EcrServer

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]
Ecr = Callable[..., subprocess.CompletedProcess[str]]

IMAGES = "SELECT repository_name, image_digest FROM images ORDER BY ALL"


@pytest.fixture
def pushed(server: EcrServer) -> EcrServer:
    """Two repositories with an image each, one of them archived."""
    registry = server.registry()
    registry.put("api")
    registry.put_image("api", "sha256:a", ["v1", "latest"])
    registry.put("web")
    registry.put_image("web", "sha256:w", imageStatus="ARCHIVED")
    return server


def test_an_image_with_many_tags_is_one_image(pushed: EcrServer, load: Load, query: Query) -> None:
    load(tables=["images"])
    assert query("SELECT image_digest, image_tags, tag_count, image_status FROM images ORDER BY ALL") == [
        ("sha256:a", "latest, v1", 2, "ACTIVE"),
        ("sha256:w", None, 0, "ARCHIVED"),
    ]
    assert query("SELECT image_digest, image_tag FROM image_tags ORDER BY ALL") == [
        ("sha256:a", "latest"),
        ("sha256:a", "v1"),
    ]


def test_an_endpoint_that_rejects_the_status_filter_is_read_without_it_and_the_ledger_says_so(
    pushed: EcrServer, load: Load, query: Query
) -> None:
    pushed.reject_image_status_filter = True
    assert not load(tables=["images"]).incomplete
    assert query(IMAGES) == [("api", "sha256:a")]
    assert query("SELECT DISTINCT status, note FROM extraction_scopes WHERE table_name = 'images'") == [
        ("complete", "the endpoint rejects filter.imageStatus: archived images are not in the listing")
    ]


def test_a_single_repository_replaces_its_own_images_only(pushed: EcrServer, load: Load, query: Query) -> None:
    load(tables=["images", "policies"])
    registry = pushed.registry()
    registry.put_image("api", "sha256:b")
    registry.delete_image("api", "sha256:a")
    registry.put_image("web", "sha256:unseen")
    load(tables=["images", "policies"], repositories=["api"])
    assert query(IMAGES) == [("api", "sha256:b"), ("web", "sha256:w")]


def test_the_registrys_own_tables_are_left_alone_when_single_repositories_are_asked_for(
    pushed: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["registry"])
    before = query("SELECT * FROM registry_account_settings")
    outcome = load(tables=["registry", "repositories"], repositories=["api"])
    assert {table.status for table in outcome.tables if table.table.startswith("registry")} == {"skipped"}
    assert not outcome.incomplete
    assert query("SELECT * FROM registry_account_settings") == before


def test_of_another_registry_is_read_what_can_be_asked_of_it(pushed: EcrServer, load: Load, query: Query) -> None:
    theirs = pushed.registry(account="210987654321")
    theirs.put("theirs")
    theirs.put_image("theirs", "sha256:t")
    outcome = load(tables=["repositories", "images", "registry"], registry_id="210987654321")
    assert query("SELECT registry_id, image_digest FROM images") == [("210987654321", "sha256:t")]
    statuses = {table.table: table.status for table in outcome.tables}
    assert (statuses["registry_scanning_configurations"], statuses["pull_through_cache_rules"]) == (
        "skipped",
        "complete",
    )
    assert pushed.calls["GetRegistryScanningConfiguration"] == 0


def test_a_repository_that_cannot_be_read_keeps_its_images(pushed: EcrServer, load: Load, query: Query) -> None:
    load(tables=["images"])
    pushed.registry().put_image("api", "sha256:unseen")
    pushed.registry().put_image("web", "sha256:new")
    pushed.fail(DENIED, operation="DescribeImages", repository="api")
    outcome = load(tables=["images"])
    assert query(IMAGES) == [("api", "sha256:a"), ("web", "sha256:new"), ("web", "sha256:w")]
    assert [(table.status, "access denied" in table.message) for table in outcome.tables] == [("partial", True)] * 2
    assert query(
        "SELECT status, excepted_repositories FROM extraction_scopes WHERE table_name = 'images'"
        " ORDER BY started_at DESC LIMIT 1"
    ) == [("partial", 1)]
    assert query("SELECT operation, resource, status FROM extraction_errors") == [
        ("ecr:DescribeImages", "api", "denied")
    ]


def test_a_repository_that_vanishes_while_it_is_read_is_no_error(pushed: EcrServer, load: Load, query: Query) -> None:
    load(tables=["images"])

    def delete(operation: str, call: int) -> None:
        if operation == "DescribeImages":
            pushed.registry().repositories.pop("web", None)

    pushed.before_answer = delete
    assert not load(tables=["images"]).incomplete
    assert query(IMAGES) == [("api", "sha256:a")]


def test_public_registries_are_asked_for_in_the_partition_that_has_them(ecr: Ecr, server: EcrServer) -> None:
    done = ecr("run", "--table", "public", "--region", "cn-north-1")
    assert done.returncode == 2
    assert "public registries exist in the partition aws only" in done.stderr
    assert not any(operation.startswith("ecr-public") for operation in server.calls)


# where rows wait


def left(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "reason",
    [
        "success",
        at_night("a failing listing"),
        at_night("no credentials"),
    ],
)
def test_nothing_is_left_in_the_spool_folder(ecr: Ecr, pushed: EcrServer, tmp_path: Path, reason: str) -> None:
    if reason == "a failing listing":
        pushed.fail(BROKEN, times=7)
    if reason == "no credentials":
        pushed.accounts.clear()
    ecr("run", "--table", "all", "--spool-folder", str(tmp_path / "spool"))
    assert left(tmp_path / "spool") == []


def test_what_a_killed_run_left_is_gone_after_the_next(
    ecr: Ecr, pushed: EcrServer, tmp_path: Path, database: Path, query: Query
) -> None:
    reached = threading.Event()
    go_on = threading.Event()

    def hold(operation: str, call: int) -> None:
        if operation == "DescribeImages" and not reached.is_set():
            reached.set()
            go_on.wait(30)

    pushed.before_answer = hold
    command = [ECR_SOURCE, "run", "--table", "images", "--spool-folder", str(tmp_path / "spool")]
    with subprocess.Popen(command, env=environment(pushed, database), stderr=subprocess.DEVNULL) as process:
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
        process.wait()
    go_on.set()
    assert left(tmp_path / "spool")
    assert ecr("run", "--table", "images", "--spool-folder", str(tmp_path / "spool")).returncode == 0
    assert left(tmp_path / "spool") == []
    assert query(IMAGES) == [("api", "sha256:a"), ("web", "sha256:w")]
