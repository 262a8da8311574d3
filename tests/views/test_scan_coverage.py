"""The view ecr_scan_coverage: eight different facts of an image's scan, none of which reads as another."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer
from tests.views.conftest import Load, days_ago
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

STATES = "SELECT image_tags, scan_state, critical_count, high_count FROM ecr_scan_coverage ORDER BY image_tags"


def fill(server: EcrServer) -> None:
    registry = server.registry()
    registry.put("api")
    for number, tag in enumerate(("clean", "failed", "found", "never", "pending", "stale", "unsupported")):
        registry.put_image("api", tags=[tag], pushed_at=days_ago(50 - number))
    digests = {image["imageTags"][0]: digest for digest, image in registry.images_of("api").items()}
    critical = registry.basic_finding("CVE-1", "openssl", "3.0.1", "CRITICAL")
    registry.scan("api", digests["clean"], completed_at=days_ago(1))
    registry.scan("api", digests["failed"], status="FAILED")
    registry.scan("api", digests["found"], [critical], completed_at=days_ago(1))
    registry.scan("api", digests["pending"], status="IN_PROGRESS")
    registry.scan("api", digests["stale"], [critical], completed_at=days_ago(31))
    registry.scan("api", digests["unsupported"], status="UNSUPPORTED_IMAGE")


def test_each_state_of_a_scan_is_a_word_of_its_own(server: EcrServer, load: Load, query: Query) -> None:
    fill(server)
    load(tables=["images", "findings"])
    assert query(STATES) == [
        ("clean", "scanned", 0, 0),
        ("failed", "failed", None, None),
        ("found", "scanned", 1, 0),
        ("never", "never_scanned", None, None),
        ("pending", "pending", None, None),
        ("stale", "stale", 1, 0),
        ("unsupported", "unsupported", None, None),
    ]
    assert query(question(4)) == [
        ("failed", 1, "api"),
        ("never_scanned", 1, "api"),
        ("pending", 1, "api"),
        ("stale", 1, "api"),
        ("unsupported", 1, "api"),
    ]


def test_what_was_not_asked_refused_or_left_out_is_neither_scanned_nor_never_scanned(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server)
    load(tables=["images"])
    assert query("SELECT DISTINCT scan_state FROM ecr_scan_coverage") == [("not_asked",)]
    server.fail(DENIED, operation="DescribeImageScanFindings")
    load(tables=["findings"])
    assert query("SELECT DISTINCT scan_state, critical_count FROM ecr_scan_coverage") == [("denied", None)]
    server.recover()
    load(tables=["findings"], findings_latest=1)
    assert query("SELECT scan_state, count(*) FROM ecr_scan_coverage GROUP BY 1 ORDER BY 1") == [
        ("left_out", 6),
        ("unsupported", 1),
    ]
