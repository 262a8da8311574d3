"""The views of images and what scans found in them: inventory, newest images, vulnerabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import ACCOUNT, DENIED, EcrServer
from tests.server.registry import Registry
from tests.views.conftest import Load, days_ago
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

INDEX = {"imageManifestMediaType": "application/vnd.oci.image.index.v1+json", "artifactMediaType": None}
CHART = {"artifactMediaType": "application/vnd.cncf.helm.config.v1+json"}
PATCHED = {"name": "openssl", "version": "3.0.13", "fixedInVersion": "3.0.19"}
UNPATCHED = {"name": "zlib", "version": "1.2", "fixedInVersion": "NotAvailable"}
LATEST = "SELECT region, repository_name, image_state, image_tags, scan_state, critical_count FROM ecr_latest_images"
KINDS = "SELECT image_tags, kind, is_newest, image_status, scan_state, in_use FROM ecr_image_inventory"


def fill(registry: Registry) -> None:
    """A service of two images beside what is no image; a worker; charts; an empty repository."""
    for name in ("charts", "empty", "service", "worker"):
        registry.put(name)
    old = registry.put_image("service", tags=["1.0"], pushed_at=days_ago(90), imageStatus="ARCHIVED")["imageDigest"]
    new = registry.put_image("service", tags=["1.1", "stable"], pushed_at=days_ago(40))["imageDigest"]
    registry.put_image("service", tags=["multi"], pushed_at=days_ago(39), **INDEX)
    registry.put_image("service", tags=[f"sha256-{new[7:]}.sig"], pushed_at=days_ago(38))
    registry.put_image("service", pushed_at=days_ago(37), subjectManifestDigest=new)
    registry.put_image("charts", tags=["chart"], pushed_at=days_ago(3), **CHART)
    registry.scan("service", old, status="IMAGE_ARCHIVED")
    registry.scan("service", new, enhanced=[_finding("CVE-2026-1", "CRITICAL", [PATCHED, UNPATCHED])], status="ACTIVE")
    untagged = registry.put_image("worker", pushed_at=days_ago(1))["imageDigest"]
    registry.scan("worker", untagged, [registry.basic_finding("CVE-2026-2", "curl", "8.1", "HIGH")])


def _finding(vulnerability: str, severity: str, packages: list[dict[str, str]]) -> dict[str, Any]:
    return Registry.enhanced_finding(vulnerability, packages, severity=severity, firstObservedAt=days_ago(12))


def test_every_image_is_there_once_and_what_cannot_be_run_is_told_apart(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server.registry())
    load(tables=["images", "findings"])
    signature = query("SELECT 'sha256-' || substr(image_digest, 8) || '.sig' FROM image_tags WHERE image_tag = '1.1'")
    assert query(f"{KINDS} WHERE repository_name <> 'worker' ORDER BY image_pushed_at") == [
        ("1.0", "image", False, "ARCHIVED", "archived", None),
        ("1.1, stable", "image", True, "ACTIVE", "scanned", True),
        ("multi", "index", False, "ACTIVE", "never_scanned", None),
        (signature[0][0], "attachment", False, "ACTIVE", "never_scanned", None),
        (None, "attachment", False, "ACTIVE", "never_scanned", None),
        ("chart", "artifact", False, "ACTIVE", "never_scanned", None),
    ]
    assert query(question(15).replace("%/api", "service")) == [
        ("service", "attachment", signature[0][0], "ACTIVE", "never_scanned", None),
        ("service", "attachment", None, "ACTIVE", "never_scanned", None),
        ("service", "image", "1.0", "ARCHIVED", "archived", None),
        ("service", "image", "1.1, stable", "ACTIVE", "scanned", True),
        ("service", "index", "multi", "ACTIVE", "never_scanned", None),
    ]
    assert query("SELECT DISTINCT signing_state, replication_state FROM ecr_image_inventory") == [
        ("not_asked", "not_asked")
    ]


def test_the_newest_image_of_each_repository_has_its_counts_or_the_reason_why_not(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server.registry())
    server.registry("us-east-1").put("service")
    server.registry("us-east-1").put_image("service", tags=["us"], pushed_at=days_ago(1))
    both = {"regions": ["eu-west-1", "us-east-1"]}
    load(**both)
    newest = [
        ("eu-west-1", "charts", "none", None, None, None),
        ("eu-west-1", "empty", "none", None, None, None),
        ("eu-west-1", "service", "there", "1.1, stable", "scanned", 1),
        ("eu-west-1", "worker", "there", None, "stale", 0),
        ("us-east-1", "service", "there", "us", "never_scanned", None),
    ]
    assert query(f"{LATEST} ORDER BY 1, 2") == newest
    assert query(question(3)) == [(*row, high) for row, high in zip(newest, (None, None, 0, 1, None), strict=True)]
    server.registry("us-east-1").put("later")
    server.fail(DENIED, operation="DescribeImages")
    load(**both)
    assert query(f"{LATEST} ORDER BY 1, 2") == [
        *newest[:4],
        ("us-east-1", "later", "unknown", None, None, None),
        newest[4],
    ]


def test_a_vulnerability_says_in_each_package_whether_an_update_mends_it_and_where_it_runs(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server.registry())
    load()
    assert query(
        "SELECT repository_name, image_tags, vulnerability_id, severity, package_name, fixed_in_version, is_fixable,"
        " in_use, days_open, days_since_push, is_newest FROM ecr_image_vulnerabilities ORDER BY 1, 3, 5"
    ) == [
        ("service", "1.1, stable", "CVE-2026-1", "CRITICAL", "openssl", "3.0.19", True, True, 12, 40, True),
        ("service", "1.1, stable", "CVE-2026-1", "CRITICAL", "zlib", None, False, True, 12, 40, True),
        ("worker", None, "CVE-2026-2", "HIGH", "curl", None, None, None, None, 1, True),
    ]
    assert query(question(1)) == []  # pushed 40 days ago
    assert query(question(1).replace("< 30", "< 41")) == [("service", "1.1, stable", "CVE-2026-1", "openssl", "3.0.19")]
    assert query(question(2).replace("CVE-2025-1001", "CVE-2026-1")) == [
        (ACCOUNT, "eu-west-1", "service", "1.1, stable", "1.2", True),
        (ACCOUNT, "eu-west-1", "service", "1.1, stable", "3.0.13", True),
    ]
    assert query(question(25)) == [("service", "1.1, stable", "CRITICAL", 2)]
