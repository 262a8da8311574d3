"""The views of what may be left over: images, repositories, untagged images, and what a pull through cache fetched."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import OCI_INDEX, OCI_MANIFEST, SIGNATURE, Registry, digest_of
from tests.views.conftest import Load, days_ago
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

REGIONS = ["eu-west-1", "us-east-1"]
TABLES = ["repositories.repositories", "images", "findings", "pull_through_cache_rules", "pull_time_update_exclusions"]
VIEWS = ("ecr_stale_images", "ecr_idle_repositories", "ecr_untagged_images", "ecr_pull_through_repositories")
HUB = {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io", "registryId": "123456789012"}
LIBRARY = HUB | {"ecrRepositoryPrefix": "hub/base", "upstreamRepositoryPrefix": "library"}


def fill(server: EcrServer) -> None:
    """Two registries with the same names; what is in the second must show in no row of the first."""
    registry = server.registry("eu-west-1")
    registry.pull_through_cache_rules = [HUB, LIBRARY]
    for name in ("api", "denied", "hub/base/nginx", "hub/grafana/loki", "hubble"):
        registry.put(name, created_at=days_ago(90))
    registry.put("empty", created_at=days_ago(7))
    fill_api(registry)
    registry.put_image("denied", tags=["1"], pushed_at=days_ago(60))
    registry.put_image("hub/base/nginx", pushed_at=days_ago(15), imageSizeInBytes=700)
    registry.put_image("hubble", pushed_at=days_ago(15))
    other = server.registry("us-east-1")
    other.pull_time_update_exclusions = ["arn:aws:iam::123456789012:role/scanner"]
    for name in ("api", "hub/base/nginx"):
        other.put(name, created_at=days_ago(90))
        other.put_image(name, digest_of("unpulled"), ["elsewhere"], days_ago(3), lastRecordedPullTime=days_ago(2))


def fill_api(registry: Registry) -> None:
    """Five images without a tag: a child of an index, two signatures of which one has lost its image, two others."""
    registry.put_image("api", digest_of("used"), ["1.0", "live"], days_ago(50), lastRecordedPullTime=days_ago(40))
    unpulled = {"imageStatus": "ARCHIVED", "imageSizeInBytes": 1_000}
    registry.put_image("api", digest_of("unpulled"), ["1.1"], days_ago(30), **unpulled)
    registry.put_image(
        "api", digest_of("index"), ["2"], days_ago(20), imageManifestMediaType=OCI_INDEX, artifactMediaType=None
    )
    for name in ("child", "left over"):
        registry.put_image("api", digest_of(name), pushed_at=days_ago(20))
    for subject in ("used", "deleted"):
        registry.put_image(
            "api",
            digest_of(f"signature of {subject}"),
            pushed_at=days_ago(10),
            artifactMediaType=SIGNATURE,
            subjectManifestDigest=digest_of(subject),
        )
    child = {"mediaType": OCI_MANIFEST, "digest": digest_of("child"), "size": 500}
    manifest = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [child]}
    registry.manifests["api", digest_of("index")] = json.dumps(manifest)
    finding = registry.enhanced_finding("CVE-1")
    registry.scan("api", digest_of("used"), enhanced=[finding], status="ACTIVE", completed_at=days_ago(1))


def named(query: Query, select: str) -> list[Row]:
    """The rows of a statement with the names that `fill` gave to the images, in place of their digests."""
    names = ("used", "unpulled", "index", "child", "left over", "signature of used", "signature of deleted")
    known = {digest_of(name): name for name in names}
    return sorted([(known.get(row[0], row[0]), *row[1:]) for row in query(select)], key=repr)


def test_what_may_be_left_over_is_told_with_days_and_uses_and_what_is_not_known_is_not_guessed(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server)
    server.fail(DENIED, operation="DescribeImages", repository="denied")
    server.fail(DENIED, operation="DescribePullThroughCacheRules", region="us-east-1")
    server.fail(DENIED, operation="ListPullTimeUpdateExclusions", region="eu-west-1", times=1)
    load(regions=REGIONS, tables=TABLES)

    not_read = "pulls by some principals may not count: pull_time_update_exclusions was not read"
    of_images = (
        "SELECT image_digest, image_tags, image_status, days_since_push, never_pulled, days_since_pull,"
        " in_use, pull_time_caveat FROM ecr_stale_images WHERE repository_name = 'api' AND region"
    )
    assert named(query, f"{of_images} = 'eu-west-1'") == [
        ("child", None, "ACTIVE", 20, True, None, None, not_read),
        ("left over", None, "ACTIVE", 20, True, None, None, not_read),
        ("unpulled", "1.1", "ARCHIVED", 30, True, None, None, not_read),
        ("used", "1.0, live", "ACTIVE", 50, False, 40, True, not_read),
    ]
    excluded = "pulls by principals of pull_time_update_exclusions do not count"
    assert named(query, f"{of_images} = 'us-east-1'") == [
        ("unpulled", "elsewhere", "ACTIVE", 3, False, 2, None, excluded)
    ]

    assert query(
        "SELECT repository_name, images, archived_images, is_empty, days_since_push, days_since_creation,"
        " days_since_pull FROM ecr_idle_repositories WHERE region = 'eu-west-1' ORDER BY repository_name"
    ) == [
        ("api", 7, 1, False, 10, 90, 40),
        ("denied", None, None, None, None, 90, None),
        ("empty", 0, 0, True, None, 7, None),
        ("hub/base/nginx", 1, 0, False, 15, 90, None),
        ("hub/grafana/loki", 0, 0, True, None, 90, None),
        ("hubble", 1, 0, False, 15, 90, None),
    ]

    of_caches = (
        "SELECT repository_name, is_pull_through, ecr_repository_prefix, upstream_repository, images,"
        " image_bytes_upper_bound, days_since_push, days_since_pull, as_of IS NOT NULL"
        " FROM ecr_pull_through_repositories WHERE region = '{}' ORDER BY repository_name"
    )
    nginx, loki = "registry-1.docker.io/library/nginx", "registry-1.docker.io/grafana/loki"
    assert query(of_caches.format("eu-west-1")) == [
        ("hub/base/nginx", True, "hub/base", nginx, 1, 700, 15, None, True),
        ("hub/grafana/loki", True, "hub", loki, 0, 0, None, None, True),
    ]
    assert [row[:4] for row in query(of_caches.format("us-east-1"))] == [
        ("api", None, None, None),
        ("hub/base/nginx", None, None, None),
    ]

    of_untagged = (
        "SELECT image_digest, kind, is_child_of_index, index_tags, is_subject_there, is_left_over, days_since_push"
        " FROM ecr_untagged_images WHERE repository_name = 'api' AND region = 'eu-west-1'"
    )
    assert named(query, of_untagged) == [
        ("child", "image", None, None, None, None, 20),
        ("left over", "image", None, None, None, None, 20),
        ("signature of deleted", "attachment", None, None, False, None, 10),
        ("signature of used", "attachment", None, None, True, False, 10),
    ]
    assert query("SELECT DISTINCT is_left_over FROM ecr_untagged_images WHERE repository_name = 'hubble'") == [(True,)]

    assert query(question(21)) == [
        ("api", "1.1", True, None),
        ("api", None, True, None),
        ("api", None, True, None),
        ("hub/base/nginx", None, True, None),
        ("hubble", None, True, None),
    ]
    assert query(question(22)) == [("eu-west-1", "empty", 0, True), ("eu-west-1", "hub/grafana/loki", 0, True)]
    assert query(question(24)) == [
        ("hub/base/nginx", "registry-1.docker.io", nginx, 1),
        ("hub/grafana/loki", "registry-1.docker.io", loki, 0),
    ]

    server.recover()
    load(tables=["manifests", "pull_time_update_exclusions"], moves_last_recorded_pull_time=True)
    assert named(query, of_untagged) == [
        ("child", "image", True, "2", None, False, 20),
        ("left over", "image", False, None, None, True, 20),
        ("signature of deleted", "attachment", False, None, False, True, 10),
        ("signature of used", "attachment", False, None, True, False, 10),
    ]
    assert query(question(23)) == [
        ("api", "attachment", False, False, None),
        ("api", "attachment", False, True, None),
        ("api", "image", False, True, None),
        ("api", "image", True, False, None),
        ("hub/base/nginx", "image", False, True, None),
        ("hubble", "image", False, True, None),
    ]
    read = "its manifest was read, for the group manifests, which counts as a pull"
    assert query(
        "SELECT DISTINCT pull_time_caveat FROM ecr_stale_images WHERE repository_name = 'api' AND region = 'eu-west-1'"
    ) == [(read,)]

    before = [query(f"SELECT * FROM {view} ORDER BY region, repository_name, 4") for view in VIEWS]
    for operation in ("DescribeImages", "DescribeImageScanFindings", "DescribePullThroughCacheRules"):
        server.fail(DENIED, operation=operation)
    load(tables=TABLES[1:])
    assert [query(f"SELECT * FROM {view} ORDER BY region, repository_name, 4") for view in VIEWS] == before
