"""What has changed, as the last line but one of a run tells it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import dlt
import pytest

from ecr_source.loading.loaded import changes as changes_module
from ecr_source.loading.loaded.changes import Counted
from ecr_source.loading.source import read_changes
from tests.nightly import first_by_day
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import CREATED_AT, PUSHED_AT, SCANNED_AT, Registry, digest_of
from tests.warehouse import ON_EACH, POSTGRES_AT_NIGHT

Ecr = Callable[..., subprocess.CompletedProcess[str]]

TABLES = ("--table", "repositories,images,policies,findings")
SCANNED = digest_of("scanned")


@pytest.fixture
def registry(server: EcrServer) -> Registry:
    """Three repositories, with five images in all, one of them with a critical finding."""
    registry = server.registry()
    for name in ("api", "job", "web"):
        registry.put(name)
        registry.put_image(name, digest_of(f"first of {name}"), pushed_at=PUSHED_AT)
    registry.put_image("web", digest_of("second of web"), pushed_at=PUSHED_AT + 1)
    registry.put_image("api", SCANNED, ["latest"], pushed_at=PUSHED_AT + 1)
    registry.scan("api", SCANNED, [registry.basic_finding("CVE-1", "openssl", "1", "CRITICAL")])
    return registry


def change(registry: Registry) -> None:
    """Two repositories more and one less, three images more and two less, two critical findings, two settings."""
    registry.put("more", CREATED_AT + 10)
    registry.put("most", CREATED_AT + 10)
    registry.put_image("more", digest_of("of more"), pushed_at=PUSHED_AT + 10)
    registry.put_image("web", digest_of("third of web"), pushed_at=PUSHED_AT + 10)
    registry.put_image("web", digest_of("fourth of web"), pushed_at=PUSHED_AT + 11)
    registry.delete_image("web", digest_of("first of web"))
    del registry.repositories["job"]
    found = [
        registry.basic_finding("CVE-1", "openssl", "1", "CRITICAL"),
        registry.basic_finding("CVE-2", "openssl", "1", "CRITICAL"),
        registry.basic_finding("CVE-3", "openssl", "1", "HIGH"),
    ]
    registry.scan("api", SCANNED, found, completed_at=SCANNED_AT + 10)
    registry.images["api"][SCANNED]["imageScanFindingsSummary"] = {"imageScanCompletedAt": SCANNED_AT + 10}
    registry.scan("web", digest_of("fourth of web"), found[:1], completed_at=SCANNED_AT + 10)
    registry.repositories["web"]["imageScanningConfiguration"] = {"scanOnPush": True}
    registry.repositories["api"]["imageTagMutability"] = "IMMUTABLE"
    registry.lifecycle_policies["api"] = '{"rules": []}'


def changed(ecr: Ecr, *options: str) -> str | None:
    """What a run says that changed; None if it says nothing of it."""
    done = ecr("run", *TABLES, *options)
    assert done.returncode in (0, 1), done.stderr
    lines = [line for line in done.stdout.splitlines() if re.match(r"changed since|no change since", line)]
    return re.sub(r"\d+ (s|min)( to \d+ (s|min))? ago", "SECONDS ago", lines[0]) if lines else None


@ON_EACH
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
def test_a_run_ends_with_what_changed_since_the_last_one(ecr: Ecr, registry: Registry, mode: str) -> None:
    assert changed(ecr, "--mode", mode) is None
    change(registry)
    assert changed(ecr) == (
        "changed since SECONDS ago: repositories +2 −1, images +3 −2, 2 new critical findings,"
        " settings of 2 repositories"
    )
    assert changed(ecr) == "no change since SECONDS ago in repositories, images and settings"


@POSTGRES_AT_NIGHT
def test_in_incremental_mode_it_ends_with_what_is_new(ecr: Ecr, registry: Registry) -> None:
    assert changed(ecr, "--mode", "incremental") is None
    change(registry)
    assert changed(ecr) == "changed since SECONDS ago: repositories +2, images +3, 2 new critical findings"
    assert changed(ecr) == "no change since SECONDS ago in repositories and images"


def test_what_could_not_be_read_now_or_before_has_not_changed(ecr: Ecr, server: EcrServer, registry: Registry) -> None:
    server.registry("us-east-1").put("theirs")
    server.fail(DENIED, operation="DescribeImages", repository="api")
    server.fail(DENIED, operation="GetLifecyclePolicy", repository="web")
    both = ("--region", "eu-west-1", "--region", "us-east-1")
    assert changed(ecr, *both) is None
    server.recover()
    server.fail(DENIED, region="us-east-1")
    server.fail(DENIED, operation="DescribeImages", repository="job")
    server.registry("us-east-1").put("unseen")
    registry.lifecycle_policies["web"] = '{"rules": []}'
    registry.put_image("job", digest_of("denied"))
    registry.put_image("web", digest_of("seen"))
    assert changed(ecr, *both) == "changed since SECONDS ago: images +1"
    server.recover()
    assert changed(ecr, *both) == "changed since SECONDS ago: repositories +1, images +1"


def test_of_chosen_repositories_it_tells_what_changed_in_these(ecr: Ecr, registry: Registry) -> None:
    assert changed(ecr) is None
    change(registry)
    assert changed(ecr, "--repository", "web", "--repository", "more*") == (
        "changed since SECONDS ago: repositories +1, images +3 −1, 1 new critical finding, settings of 1 repository"
    )
    assert changed(ecr) == (
        "changed since SECONDS ago: repositories +1 −1, images −1, 1 new critical finding, settings of 1 repository"
    )


def test_a_repository_that_was_made_anew_is_another_one(ecr: Ecr, registry: Registry) -> None:
    assert changed(ecr) is None
    registry.put("job", CREATED_AT + 10)
    assert changed(ecr) == "changed since SECONDS ago: repositories +1 −1"


def test_findings_of_an_image_that_was_left_out_before_are_not_new(ecr: Ecr, registry: Registry) -> None:
    registry.scan("api", digest_of("first of api"), [registry.basic_finding("CVE-4", "curl", "1", "CRITICAL")])
    assert changed(ecr) is None
    assert changed(ecr, "--findings-latest", "5") == "no change since SECONDS ago in repositories, images and settings"


def test_an_empty_registry_stays_one(ecr: Ecr, server: EcrServer) -> None:
    server.registry()
    assert changed(ecr) is None
    assert changed(ecr) == "no change since SECONDS ago in repositories, images and settings"
    server.registry().put("first")
    server.registry().put_image("first")
    assert changed(ecr) == "changed since SECONDS ago: repositories +1, images +1"


def test_a_table_of_too_many_rows_is_left_out_of_it(
    load: Callable[..., object], pipeline: dlt.Pipeline, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    change(registry)
    monkeypatch.setattr(changes_module, "MOST_ROWS", 4)
    load()
    changes = read_changes(pipeline)
    assert changes
    assert (changes.repositories, changes.images) == (Counted(2, 1), None)
