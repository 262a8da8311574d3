"""Findings: which images are asked, when they are asked again, and what the tables hold then."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from ecr_source import ecr_source
from ecr_source.catalog.column import Member, OfParent
from ecr_source.catalog.tables.findings import IMAGE_SCAN_FINDINGS
from ecr_source.errors import ConfigurationError
from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.newer_catalog import column_more
from tests.nightly import first_by_day
from tests.server.ecr_server import BROKEN, DENIED, Answer, EcrServer, error
from tests.server.registry import basic_finding, enhanced_finding, package

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]
Ecr = Callable[..., subprocess.CompletedProcess[str]]

NOW = datetime.now(UTC)
SCANS = "SELECT repository_name, image_digest, fetch_outcome FROM image_scans ORDER BY ALL"
IMAGES = "SELECT repository_name, image_digest FROM image_scans ORDER BY ALL"
FINDINGS = "SELECT image_digest, vulnerability_id FROM image_scan_findings ORDER BY ALL"
OUTCOMES = "SELECT fetch_outcome, count(*) FROM image_scans GROUP BY ALL ORDER BY ALL"


def days_ago(days: float) -> float:
    return (NOW - timedelta(days=days)).timestamp()


@pytest.fixture
def scanned(server: EcrServer) -> EcrServer:
    """Two repositories of three scanned images each, pushed a day, ten days and a hundred days ago."""
    registry = server.registry()
    for name in ("api", "web"):
        registry.put(name)
        for number, days in enumerate((1, 10, 100)):
            image = registry.put_image(name, f"sha256:{name}{number}", [f"v{number}", f"{name}-{days}"], days_ago(days))
            registry.scan(name, image["imageDigest"], [basic_finding(f"CVE-{number}", "openssl", "1.1")])
    return server


def asked(server: EcrServer) -> int:
    """How many images were asked since the last time."""
    calls = server.calls["DescribeImageScanFindings"]
    server.calls["DescribeImageScanFindings"] = 0
    return calls


# bounds


@pytest.mark.parametrize(
    ("bounds", "inside"),
    [
        ({"findings_latest": 1}, {"sha256:api0", "sha256:web0"}),
        ({"findings_latest": 2}, {"sha256:api0", "sha256:api1", "sha256:web0", "sha256:web1"}),
        ({"findings_latest": 0}, set()),
        ({"findings_pushed_within": 5}, {"sha256:api0", "sha256:web0"}),
        ({"findings_tag": "v1"}, {"sha256:api1", "sha256:web1"}),
        ({"findings_tag": "web-1*"}, {"sha256:web0", "sha256:web1", "sha256:web2"}),
        ({"findings_tag": "web-*", "findings_latest": 1}, {"sha256:web0"}),
    ],
)
def test_what_a_bound_leaves_out_is_not_asked_and_not_mistaken_for_clean(
    scanned: EcrServer, load: Load, query: Query, bounds: dict[str, Any], inside: set[str]
) -> None:
    load(tables=["findings"], **bounds)
    assert asked(scanned) == len(inside)
    assert {digest: outcome for _, digest, outcome in query(SCANS)} == {
        digest: "complete" if digest in inside else "left_out"
        for images in scanned.registry().images.values()
        for digest in images
    }
    assert {digest for digest, _ in query(FINDINGS)} == inside


@pytest.mark.parametrize(
    "pushed",
    [
        {"tags": [f"sha256-{64 * 'a'}.sig"]},
        {"tags": [f"sha256-{64 * 'a'}.sbom", "sbom"]},
        {"artifactMediaType": "application/vnd.cncf.helm.config.v1+json"},
        {"subjectManifestDigest": f"sha256:{64 * 'a'}"},
        {"imageManifestMediaType": "application/vnd.oci.image.index.v1+json"},
    ],
)
def test_what_cannot_be_run_takes_no_place_among_the_newest_images(
    scanned: EcrServer, load: Load, query: Query, pushed: dict[str, Any]
) -> None:
    image: dict[str, Any] = {"tags": ["other"], "pushed_at": days_ago(0)} | pushed
    scanned.registry().put_image("api", "sha256:attached", **image)
    load(tables=["findings"], findings_latest=1)
    assert {digest for digest, _ in query(FINDINGS)} == {"sha256:api0", "sha256:web0"}
    assert asked(scanned) == 2


def test_a_wider_bound_asks_what_was_left_out_and_a_narrower_one_drops_what_is_too_old(
    scanned: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["findings"], findings_latest=1)
    load(tables=["findings"], findings_latest=2)
    assert asked(scanned) == 4
    load(tables=["findings"], findings_latest=1)
    assert asked(scanned) == 0
    assert query(OUTCOMES) == [("complete", 4), ("left_out", 2)]
    load(tables=["findings"], findings_latest=1, findings_max_age=0)
    assert asked(scanned) == 2
    assert query(FINDINGS) == [("sha256:api0", "CVE-0"), ("sha256:web0", "CVE-0")]
    assert query(OUTCOMES) == [("complete", 2), ("left_out", 4)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"findings_latest": -1},
        {"findings_max_age": -1},
        {"findings_from": "trivy"},
        {"findings_from": "inspector2", "findings_latest": 1},
        {"max_in_flight": 0},
    ],
)
def test_bounds_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ecr_source(regions=["eu-west-1"], **arguments)


# asking again


def test_an_unchanged_registry_is_not_asked_again(scanned: EcrServer, load: Load, query: Query) -> None:
    load(tables=["findings"])
    before = query("SELECT * FROM image_scan_findings ORDER BY ALL")
    assert asked(scanned) == 6
    load(tables=["findings"])
    assert asked(scanned) == 0
    assert query("SELECT * FROM image_scan_findings ORDER BY ALL") == before


def test_only_what_is_new_or_rescanned_is_asked(scanned: EcrServer, load: Load, query: Query) -> None:
    registry = scanned.registry()
    load(tables=["findings"])
    asked(scanned)
    registry.put_image("api", "sha256:new", pushed_at=days_ago(0))
    registry.scan("api", "sha256:new", [basic_finding("CVE-NEW", "zlib", "1")])
    registry.images["web"]["sha256:web1"]["imageScanFindingsSummary"] = {"imageScanCompletedAt": days_ago(0)}
    registry.scan("web", "sha256:web1")
    registry.delete_image("api", "sha256:api2")
    load(tables=["findings"])
    assert asked(scanned) == 2
    assert query(FINDINGS) == [
        ("sha256:api0", "CVE-0"),
        ("sha256:api1", "CVE-1"),
        ("sha256:new", "CVE-NEW"),
        ("sha256:web0", "CVE-0"),
        ("sha256:web2", "CVE-2"),
    ]
    assert query(OUTCOMES) == [("complete", 6)]


def test_what_is_older_than_the_age_is_asked_again(scanned: EcrServer, load: Load, query: Query) -> None:
    load(tables=["findings"])
    asked(scanned)
    scanned.registry().scan("api", "sha256:api0")
    load(tables=["findings"], findings_max_age=0)
    assert asked(scanned) == 6
    assert ("sha256:api0", "CVE-0") not in query(FINDINGS)


@pytest.mark.parametrize("mode", first_by_day("snapshot", "history", "incremental"))
def test_what_grew_old_is_asked_again_once_though_its_answer_is_the_same(
    scanned: EcrServer, load: Load, query: Query, database: Path, mode: str
) -> None:
    load(tables=["findings"], mode=mode)
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE aws_ecr.extraction_images SET extracted_at = extracted_at - INTERVAL 8 DAY")
    asked(scanned)
    load(tables=["findings"], mode=mode)
    assert asked(scanned) == 6
    load(tables=["findings"], mode=mode)
    assert asked(scanned) == 0


@pytest.mark.parametrize("mode", first_by_day("snapshot", "history", "incremental"))
def test_only_a_final_answer_stands(scanned: EcrServer, load: Load, query: Query, mode: str) -> None:
    registry = scanned.registry()
    for digest, status in (("sha256:pending", "PENDING"), ("sha256:started", "IN_PROGRESS"), ("sha256:none", "")):
        registry.put_image("api", digest, [], days_ago(0))
        if status:
            registry.scan("api", digest, status=status)
    load(tables=["findings"], mode=mode)
    asked(scanned)
    load(tables=["findings"], mode=mode)
    assert asked(scanned) == 3
    for digest in ("sha256:pending", "sha256:started", "sha256:none"):
        registry.scan("api", digest, [basic_finding("CVE-CRITICAL", "openssl", "1.1")])
    load(tables=["findings"], mode=mode)
    assert query("SELECT count(*) FROM image_scan_findings WHERE vulnerability_id = 'CVE-CRITICAL'") == [(3,)]
    asked(scanned)
    load(tables=["findings"], mode=mode)
    assert asked(scanned) == 0


def test_replication_that_has_not_ended_is_asked_again_and_so_is_a_young_image_without_any(
    scanned: EcrServer, load: Load, query: Query
) -> None:
    registry = scanned.registry()
    registry.put_image("api", "sha256:new", [], days_ago(0))
    under_way = {"region": "eu-central-1", "registryId": "123456789012", "status": "IN_PROGRESS"}
    registry.replication_statuses["api", "sha256:api2"] = [under_way]
    load(tables=["image_replications", "image_replication_statuses"])
    scanned.calls.clear()
    load(tables=["image_replications", "image_replication_statuses"])
    assert scanned.calls["DescribeImageReplicationStatus"] == 2
    for digest in ("sha256:api2", "sha256:new"):
        registry.replication_statuses["api", digest] = [under_way | {"status": "COMPLETE"}]
    load(tables=["image_replications", "image_replication_statuses"])
    scanned.calls.clear()
    load(tables=["image_replications", "image_replication_statuses"])
    assert scanned.calls["DescribeImageReplicationStatus"] == 0
    assert query("SELECT DISTINCT status FROM image_replication_statuses") == [("COMPLETE",)]


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_the_same_image_in_a_repository_that_was_made_anew_is_a_new_one(
    scanned: EcrServer, load: Load, query: Query, mode: str
) -> None:
    registry = scanned.registry()
    load(tables=["findings"], mode=mode)
    del registry.repositories["api"]
    registry.put("api")
    registry.put_image("api", "sha256:api0", ["v0"], days_ago(0))
    registry.scan("api", "sha256:api0", [basic_finding("CVE-NEW", "openssl", "1.1")])
    load(tables=["findings"], mode=mode)
    current = "AND _dlt_valid_to IS NULL" if mode == "history" else ""
    found = query(f"SELECT vulnerability_id FROM image_scan_findings WHERE repository_name = 'api' {current}")
    assert found == [("CVE-NEW",)]


def test_findings_of_a_repository_that_is_not_there_are_noted_once(server: EcrServer, load: Load, query: Query) -> None:
    for _ in range(3):
        load(tables=["findings"], repositories=["gone"])
    assert query("SELECT operation, repository_name, count(*) FROM extraction_images GROUP BY ALL") == [
        ("ecr:DescribeImageScanFindings", "*", 1)
    ]


@pytest.fixture
def lacking(scanned: EcrServer, load: Load, query: Query) -> list[Row]:
    """The images of image_scans in a dataset whose record lacks some: Inspector told of them, and a repository was read
    alone."""
    registry = scanned.registry()
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": []}
    for name, digest in list(registry.scans):
        registry.scan(name, digest, enhanced=[enhanced_finding("CVE-9", [package("zlib", "1")])])
    registry.put_image("api", "sha256:never", ["v9"], days_ago(0.1))
    load(tables=["image_scan_findings"], findings_from="inspector2")
    load(tables=["image_scans"], findings_latest=1)
    load(tables=["image_scans"], repositories=["api"])
    found = query(IMAGES)
    assert found == [*(("api", f"sha256:api{number}") for number in range(3)), ("api", "sha256:never")] + [
        ("web", f"sha256:web{number}") for number in range(3)
    ]
    return found


@pytest.mark.parametrize("how", [{"findings_latest": 1}, {"max_calls": 4}])
def test_where_the_record_lacks_some_images_what_is_not_asked_keeps_its_rows(
    lacking: list[Row], load: Load, query: Query, how: dict[str, Any]
) -> None:
    load(tables=["image_scans"], **how)
    assert query(IMAGES) == lacking


def test_where_the_record_lacks_some_images_an_operation_that_is_not_offered_half_way_takes_nothing_away(
    lacking: list[Row], scanned: EcrServer, load: Load, query: Query
) -> None:
    """The first images that are asked are those that were never asked, in their order."""
    operation = "DescribeImageScanFindings"
    scanned.fail(BROKEN, operation=operation, image="sha256:web1")
    scanned.fail(error("UnknownOperationException"), operation=operation, image="sha256:web2")
    load(tables=["image_scans"], max_in_flight=1)
    assert query(IMAGES) == lacking


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_a_deleted_repository_leaves_no_findings(scanned: EcrServer, load: Load, query: Query, mode: str) -> None:
    load(tables=["findings"], mode=mode)
    del scanned.registry().repositories["web"]
    load(tables=["findings"], mode=mode)
    current = "_dlt_valid_to IS NULL" if mode == "history" else "true"
    assert query(f"SELECT DISTINCT repository_name FROM image_scan_findings WHERE {current}") == [("api",)]


def test_incremental_mode_appends_what_was_asked(scanned: EcrServer, load: Load, query: Query) -> None:
    load(tables=["findings"], mode="incremental")
    load(tables=["findings"], mode="incremental")
    assert asked(scanned) == 6
    assert query("SELECT count(*) FROM image_scan_findings") == [(6,)]


@pytest.mark.parametrize(("answer", "outcome"), [(DENIED, "denied"), (BROKEN, "call_failed")])
def test_an_image_that_cannot_be_asked_keeps_its_findings(
    scanned: EcrServer, load: Load, query: Query, answer: Any, outcome: str
) -> None:
    load(tables=["findings"])
    before = query(FINDINGS)
    scanned.fail(answer, operation="DescribeImageScanFindings", image="sha256:api0")
    scanned.registry().scan("web", "sha256:web0", [basic_finding("CVE-LATE", "zlib", "1")])
    load(tables=["findings"], findings_max_age=0)
    assert query(FINDINGS) == sorted({*before, ("sha256:web0", "CVE-LATE")} - {("sha256:web0", "CVE-0")})
    assert query(OUTCOMES) == sorted([(outcome, 1), ("complete", 5)])
    assert query("SELECT operation, resource FROM extraction_errors") == [
        ("ecr:DescribeImageScanFindings", "api@sha256:api0")
    ]
    scanned.recover()
    asked(scanned)
    load(tables=["findings"])
    assert asked(scanned) == 1
    assert query(OUTCOMES) == [("complete", 6)]


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_a_dataset_without_a_column_that_there_is_now_loads_at_once_whatever_cannot_be_read(
    scanned: EcrServer, load: Load, query: Query, mode: str
) -> None:
    load(tables=["findings"], mode=mode)
    before = query(FINDINGS)
    scanned.fail(DENIED, operation="DescribeImageScanFindings", image="sha256:api0")
    with column_more(IMAGE_SCAN_FINDINGS, "exploit_seen_at", OfParent(Member("firstObservedAt"))):
        load(tables=["findings"], mode=mode, findings_max_age=0, max_calls=8)
    # In history too: a column more that says nothing is no change.
    assert query(FINDINGS) == before
    assert query("SELECT count(*), count(exploit_seen_at) FROM image_scan_findings") == [(len(before), 0)]


def test_answers_that_are_too_many_to_hold_are_asked_of_each_scope_and_stand_all_the_same(
    scanned: EcrServer, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tables=["findings"])
    assert asked(scanned) == 6
    monkeypatch.setattr("ecr_source.loading.loaded.earlier_runs._FEW_ANSWERS", 5)
    load(tables=["findings"])
    assert asked(scanned) == 0


def test_what_came_of_a_scan_is_told(server: EcrServer, load: Load, query: Query) -> None:
    registry = server.registry()
    registry.put("api")
    for status in ("COMPLETE", "FAILED", "UNSUPPORTED_IMAGE", "IN_PROGRESS", "IMAGE_ARCHIVED", "ACTIVE"):
        registry.scan("api", registry.put_image("api")["imageDigest"], status=status)
    registry.put_image("api")
    load(tables=["findings"])
    assert query("SELECT fetch_outcome, scan_status FROM image_scans ORDER BY ALL") == [
        ("archived", "IMAGE_ARCHIVED"),
        ("complete", "ACTIVE"),
        ("complete", "COMPLETE"),
        ("failed", "FAILED"),
        ("never_scanned", None),
        ("pending", "IN_PROGRESS"),
        ("unsupported", "UNSUPPORTED_IMAGE"),
    ]


# Inspector


@pytest.fixture
def enhanced(server: EcrServer) -> EcrServer:
    """A registry that scans ENHANCED, with findings of packages and one without."""
    registry = server.registry()
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": []}
    for name in ("api", "web"):
        registry.put(name)
        for number in range(3):
            digest = registry.put_image(name, tags=[f"v{number}"])["imageDigest"]
            packages = [package("openssl", f"1.{number}"), package("zlib", "2")]
            findings = [enhanced_finding(f"CVE-{number}", packages), enhanced_finding("CVE-BARE")]
            registry.scan(name, digest, enhanced=findings, status="ACTIVE")
    return server


FINDINGS_TABLES = (
    "image_scan_findings",
    "image_scan_finding_cvss",
    "image_scan_finding_score_adjustments",
    "image_scan_finding_reference_urls",
    "image_scan_finding_related_vulnerabilities",
)


def contents(query: Query) -> dict[str, list[Row]]:
    return {name: query(f"SELECT * EXCLUDE (extracted_at) FROM {name} ORDER BY ALL") for name in FINDINGS_TABLES}


def test_inspector_gives_the_same_rows_in_fewer_calls(enhanced: EcrServer, load: Load, query: Query) -> None:
    load(tables=["findings"])
    by_ecr = contents(query)
    assert all(by_ecr.values())
    enhanced.calls.clear()
    load(tables=["findings"], findings_from="inspector2")
    assert contents(query) == by_ecr
    assert query(OUTCOMES) == [("complete", 6)]
    assert (enhanced.calls["ListFindings"], enhanced.calls["DescribeImageScanFindings"]) == (1, 0)


@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
@pytest.mark.parametrize("order", [("ecr", "inspector2", "ecr"), ("inspector2", "ecr", "inspector2")])
def test_whoever_tells_the_findings_an_image_has_one_row_and_what_is_gone_has_none(
    enhanced: EcrServer, load: Load, query: Query, order: tuple[str, ...], mode: str
) -> None:
    registry = enhanced.registry()
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    for number, findings_from in enumerate(order):
        registry.put(f"more{number}")
        image = registry.put_image(f"more{number}", f"sha256:more{number}", ["v1"], days_ago(1))
        registry.scan(
            f"more{number}", image["imageDigest"], enhanced=[enhanced_finding("CVE-9", [package("zlib", "2")])]
        )
        load(tables=["findings"], findings_from=findings_from, mode=mode)
        there = [(name, digest) for name, images in registry.images.items() for digest in images]
        assert query(f"SELECT repository_name, image_digest FROM image_scans {current} ORDER BY ALL") == sorted(there)
        found = query(f"SELECT image_digest, finding_id, package_id FROM image_scan_findings {current}")
        assert len(found) == len(set(found))
        assert {digest for digest, _, _ in found} <= {digest for _, digest in there}
        assert f"sha256:more{number}" in {digest for digest, _, _ in found}
        del registry.repositories[f"more{number}"]


def test_what_only_basic_scanning_tells_is_gone_when_inspector_tells_all(
    scanned: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["findings"])
    assert query("SELECT count(*) > 0 FROM image_scan_finding_attributes") == [(True,)]
    scanned.registry().scanning_configuration = {"scanType": "ENHANCED", "rules": []}
    load(tables=["findings"], findings_from="inspector2")
    assert query("SELECT count(*) FROM image_scan_finding_attributes") == [(0,)]
    assert query("SELECT count(*) FROM extraction_images") == [(0,)]


def test_what_inspector_told_is_gone_though_another_table_of_findings_was_read_in_between(
    enhanced: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["image_scan_findings"], findings_from="inspector2")
    assert ("web",) in query("SELECT DISTINCT repository_name FROM image_scan_findings")
    enhanced.registry().scanning_configuration = {"scanType": "BASIC", "rules": []}
    del enhanced.registry().repositories["web"]
    load(tables=["image_scans"])
    load(tables=["image_scan_findings"])
    assert ("web",) not in query("SELECT DISTINCT repository_name FROM image_scan_findings")


def test_a_table_that_never_got_an_answer_gets_it(scanned: EcrServer, load: Load, query: Query) -> None:
    load(tables=["findings"])
    image = scanned.registry().put_image("api", "sha256:api9", ["v9"], days_ago(0))
    scanned.registry().scan("api", image["imageDigest"], [basic_finding("CVE-9", "openssl", "1.1")])
    load(tables=["image_scans"])
    assert query("SELECT count(*) FROM image_scan_findings WHERE vulnerability_id = 'CVE-9'") == [(0,)]
    load(tables=["findings"])
    assert query("SELECT count(*) FROM image_scan_findings WHERE vulnerability_id = 'CVE-9'") == [(1,)]
    asked(scanned)
    load(tables=["findings"])
    assert asked(scanned) == 0


@pytest.mark.parametrize("last", [["findings"], ["image_scans"]])
def test_an_image_that_is_gone_is_gone_from_each_table_when_that_is_read(
    scanned: EcrServer, load: Load, query: Query, last: list[str]
) -> None:
    load(tables=["findings"])
    scanned.registry().delete_image("api", "sha256:api0")
    load(tables=["image_scans"])
    assert ("sha256:api0",) in query("SELECT image_digest FROM image_scan_findings")
    load(tables=last)
    gone = [] if last == ["findings"] else [("gone", "image_scans")]
    assert query("SELECT outcome, for_tables FROM extraction_images WHERE image_digest = 'sha256:api0'") == gone
    assert query("SELECT count(*) FROM image_scans WHERE image_digest = 'sha256:api0'") == [(0,)]
    assert (("sha256:api0",) in query("SELECT image_digest FROM image_scan_findings")) == bool(gone)


def test_findings_of_deleted_images_are_not_loaded(enhanced: EcrServer, load: Load, query: Query) -> None:
    load(tables=["findings"], findings_from="inspector2")
    del enhanced.registry().repositories["web"]
    load(tables=["findings"], findings_from="inspector2")
    assert query("SELECT DISTINCT repository_name FROM image_scan_findings") == [("api",)]


@pytest.mark.parametrize("reason", ["basic scanning", "denied"])
def test_where_inspector_cannot_tell_each_image_is_asked(
    enhanced: EcrServer, load: Load, query: Query, reason: str
) -> None:
    load(tables=["findings"])
    by_ecr = contents(query)
    enhanced.calls.clear()
    if reason == "denied":
        enhanced.fail(DENIED, operation="ListFindings")
    else:
        enhanced.registry().scanning_configuration = {"scanType": "BASIC", "rules": []}
    outcome = load(tables=["findings"], findings_from="inspector2", findings_max_age=0)
    assert contents(query) == by_ecr
    assert enhanced.calls["DescribeImageScanFindings"] == 6
    assert not outcome.incomplete
    (note,) = query(
        "SELECT DISTINCT note FROM extraction_scopes WHERE table_name = 'image_scan_findings' AND note <> ''"
    )
    assert "ecr:DescribeImageScanFindings was read instead" in note[0]


# manifests


def test_manifests_are_read_only_when_their_side_effect_is_allowed(ecr: Ecr, scanned: EcrServer) -> None:
    done = ecr("run", "--table", "manifests")
    assert done.returncode == 2
    assert "--moves-last-recorded-pull-time" in done.stderr
    assert scanned.calls["BatchGetImage"] == 0
    assert ecr("run", "--table", "manifests", "--moves-last-recorded-pull-time").returncode == 0
    assert scanned.calls["BatchGetImage"] == 2


def test_all_does_not_mean_manifests(ecr: Ecr, scanned: EcrServer) -> None:
    assert ecr("run", "--table", "all").returncode == 0
    assert scanned.calls["BatchGetImage"] == scanned.calls["ListImageReferrers"] == 0


def test_a_manifest_is_fetched_once(scanned: EcrServer, load: Load, query: Query) -> None:
    for _ in range(3):
        load(tables=["manifests"], moves_last_recorded_pull_time=True, findings_max_age=0)
    assert scanned.calls["BatchGetImage"] == 2
    assert query("SELECT count(*) FROM image_manifests") == [(6,)]


def test_a_listing_that_is_too_long_for_memory_is_spooled(
    server: EcrServer, load: Load, query: Query, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_source.extract.rows.response_rows.BYTES_OF_A_LISTING", 2_000)
    server.page_size = 3
    server.repeat_last_item = True
    server.registry().put("api")
    for number in range(40):
        server.registry().put_image("api", tags=[f"v{number}"])
    load(tables=["images"])
    assert query("SELECT count(*), count(DISTINCT image_digest) FROM images") == [(40, 40)]
    assert query("SELECT count(*), count(DISTINCT image_tag) FROM image_tags") == [(40, 40)]


@pytest.mark.parametrize("mode", ["snapshot", "history", "incremental"])
def test_an_image_with_more_findings_than_memory_is_for_has_one_scan(
    server: EcrServer, load: Load, query: Query, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr("ecr_source.extract.rows.response_rows.BYTES_OF_A_LISTING", 2_000)
    server.page_size = 3
    server.repeat_last_item = True
    server.registry().put("api")
    digest = server.registry().put_image("api")["imageDigest"]
    server.registry().scan("api", digest, [basic_finding(f"CVE-{n}", "openssl", "1.1") for n in range(40)])
    for _ in range(3):
        load(tables=["findings"], mode=mode)
        assert query("SELECT count(*) FROM image_scans") == [(1,)]
        assert query("SELECT count(*), count(DISTINCT finding_id) FROM image_scan_findings") == [(40, 40)]
        assert query("SELECT outcome FROM extraction_images") == [("complete",)]


# answers of which no rows can be made

WRONG = Answer(body=b'{"imageId": "text"}')


def test_an_image_whose_answer_is_malformed_is_recorded_as_such_and_keeps_its_findings(
    scanned: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["findings"])
    before = query(FINDINGS)
    scanned.fail(WRONG, operation="DescribeImageScanFindings", image="sha256:api0")
    load(tables=["findings"], findings_max_age=0)
    assert query("SELECT image_digest FROM image_scans WHERE fetch_outcome = 'call_failed'") == [("sha256:api0",)]
    assert query(FINDINGS) == before


def test_a_malformed_answer_about_several_repositories_excepts_them_all(
    server: EcrServer, load: Load, query: Query
) -> None:
    server.registry().fill(30)  # which are asked for in two calls
    load(tables=["repository_scanning_configurations"])
    answer = Answer(body=b'{"scanningConfigurations": "text"}')
    server.fail(answer, operation="BatchGetRepositoryScanningConfiguration", times=1)
    load(tables=["repository_scanning_configurations"])
    assert query("SELECT count(*) FROM repository_scanning_configurations") == [(30,)]


@pytest.mark.parametrize("failures", [b'"text"', b"[5]", b'[{"failureCode": 5}]', b"[{}]", b"{}"])
def test_failures_of_any_shape_are_an_error(scanned: EcrServer, load: Load, query: Query, failures: bytes) -> None:
    answer = Answer(body=b'{"scanningConfigurations": [], "failures": %s}' % failures)
    scanned.fail(answer, operation="BatchGetRepositoryScanningConfiguration")
    load(tables=["repository_scanning_configurations"])
    assert {status for (status,) in query("SELECT status FROM extraction_errors")} == {"failed"}


@pytest.mark.parametrize("configuration", [b'"text"', b"5", b"[]", b"null"])
def test_a_scanning_configuration_of_any_shape_leaves_inspector_out(
    scanned: EcrServer, load: Load, query: Query, configuration: bytes
) -> None:
    answer = Answer(body=b'{"scanningConfiguration": %s}' % configuration)
    scanned.fail(answer, operation="GetRegistryScanningConfiguration")
    load(tables=["findings"], findings_from="inspector2")
    assert query(OUTCOMES) == [("complete", 6)]
