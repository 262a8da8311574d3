"""The views of what is stored: by repository with its price, more than once, and growing."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import SIGNATURE, digest_of
from tests.views.conftest import Load, days_ago
from tests.views.pushed import GB, put, put_index
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]


def fill(server: EcrServer) -> None:
    """A repository of ten images, of which two share a layer; some are in another one and in another region, too."""
    registry = server.registry("eu-west-1")
    for name in ("app", "denied", "empty", "web"):
        registry.put(name)
    put(registry, "app", "old", 40, {"x": 390}, tags=["old"], imageStatus="ARCHIVED")
    put(registry, "app", "v1", 30, {"base": 600, "a": 390}, tags=["v1"])
    put(registry, "app", "v2", 20, {"base": 600, "b": 890}, tags=["v2"])
    put(registry, "app", "amd", 15, {"c": 890})
    put(registry, "app", "arm", 14, {"d": 790})
    put_index(registry, "app", "multi", 13, {"amd": "amd64", "arm": "arm64"})
    put(registry, "app", "amd 2", 10, {"e": 980})
    put_index(registry, "app", "multi2", 9, {"amd 2": "amd64"})
    attached = {"artifactMediaType": SIGNATURE, "subjectManifestDigest": digest_of("v1")}
    put(registry, "app", "signature", 5, {"f": 90}, **attached)
    registry.put_image("denied", tags=["1"])
    registry.put_image("web", digest_of("v1"), ["1"], days_ago(3), imageSizeInBytes=1000 * GB, imageStatus="ARCHIVED")
    put_index(registry, "web", "multi", 2, {"amd": "amd64"})
    server.registry("us-east-1").put("app")
    server.registry("us-east-1").put_image("app", digest_of("v1"), ["v1"], days_ago(1), imageSizeInBytes=1000 * GB)


def test_storage_growth_and_copies_count_no_index_beside_its_images_and_say_what_is_an_upper_bound(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server)
    server.fail(DENIED, operation="DescribeImages", repository="denied")
    server.fail(DENIED, operation="BatchGetImage", repository="web")
    regions = ["eu-west-1", "us-east-1"]
    load(
        regions=regions, tables=["repositories.repositories", "images", "manifests"], moves_last_recorded_pull_time=True
    )

    assert query(
        "SELECT repository_name, images, manifest_lists, tagged_images, untagged_images, archived_images,"
        " days_since_push, as_of IS NOT NULL FROM ecr_storage WHERE region = 'eu-west-1' ORDER BY repository_name"
    ) == [
        ("app", 9, 2, 4, 4, 1, 5, True),
        ("denied", None, None, None, None, None, None, False),
        ("empty", 0, 0, 0, 0, 0, None, True),
        ("web", 2, 1, 1, 0, 1, 2, True),
    ]
    in_gb = f"tagged_bytes_upper_bound / {GB}, untagged_bytes_upper_bound / {GB}, archived_bytes_upper_bound / {GB}"
    assert query(
        f"SELECT repository_name, {in_gb}, bytes_upper_bound / {GB}, exact_bytes / {GB},"
        " round(usd_per_month_upper_bound), round(usd_per_month), round(share_of_quota * 100000)"
        " FROM ecr_storage WHERE region = 'eu-west-1' ORDER BY repository_name"
    ) == [
        ("app", 2500, 2790, 400, 5690, 5090, 569, 509, 9),
        ("denied", None, None, None, None, None, None, None, None),
        ("empty", 0, 0, 0, 0, 0, 0, 0, 0),
        ("web", 0, 0, 1000, 1000, None, 100, None, 2),
    ]

    assert query(
        f"SELECT is_manifest_list, places, accounts, regions, repository_names, archived_places, where_it_is,"
        f" image_size_in_bytes / {GB}, bytes_upper_bound / {GB}, bytes_beyond_first_upper_bound / {GB}"
        " FROM ecr_duplicate_images ORDER BY places"
    ) == [
        (True, 2, 1, 1, 2, 0, "123456789012/eu-west-1/app, 123456789012/eu-west-1/web", 0, 0, 0),
        (
            *(False, 3, 1, 2, 2, 1),
            "123456789012/eu-west-1/app, 123456789012/eu-west-1/web, 123456789012/us-east-1/app",
            *(1000, 3000, 2000),
        ),
    ]

    assert query(
        f"SELECT image_tags, platform, image_status, image_size_in_bytes / {GB} AS size, previous_image_tags,"
        f" grew_by_bytes / {GB}, grew_by_percent FROM ecr_image_growth"
        " WHERE region = 'eu-west-1' AND repository_name = 'app' ORDER BY image_pushed_at"
    ) == [
        ("old", None, "ARCHIVED", 400, None, None, None),
        ("v1", None, "ACTIVE", 1000, "old", 600, 150.0),
        ("v2", None, "ACTIVE", 1500, "v1", 500, 50.0),
        (None, "linux/amd64", "ACTIVE", 900, None, None, None),
        (None, "linux/arm64", "ACTIVE", 800, None, None, None),
        (None, "linux/amd64", "ACTIVE", 990, None, 90, 10.0),
    ]

    no_manifest_read = None
    assert [(*row[:-1], row[-1] and round(row[-1])) for row in query(question(16)) if row[0] == "eu-west-1"] == [
        ("eu-west-1", "app", 9, 1, 5690 * GB, 5090 * GB, 569),
        ("eu-west-1", "denied", None, None, None, None, None),
        ("eu-west-1", "empty", 0, 0, 0, 0, 0),
        ("eu-west-1", "web", 2, 1, 1000 * GB, no_manifest_read, 100),
    ]
    # The three images of 1,000 GB are equal in what the question orders by, but that one is in another repository.
    assert sorted(query(question(17)), key=repr) == [
        ("app", "v1", 1000 * GB, 600 * GB, 150.0),
        ("app", "v1", 1000 * GB, None, None),
        ("app", "v2", 1500 * GB, 500 * GB, 50.0),
        ("web", "1", 1000 * GB, None, None),
    ]
    assert [(*row[:-1], round(row[-1] * 100_000)) for row in query(question(19))] == [
        ("eu-west-1", "app", 9, 9),
        ("eu-west-1", "web", 2, 2),
        ("us-east-1", "app", 1, 1),
    ]
    assert sorted(query(question(20)), key=lambda row: row[1]) == [
        (digest_of("multi"), 2, 1, 2, 0),
        (digest_of("v1"), 3, 2, 2, 2000 * GB),
    ]

    server.recover()
    before = query("SELECT * FROM ecr_storage ORDER BY region, repository_name")
    server.fail(DENIED, operation="DescribeImages")
    load(regions=regions, tables=["repositories.repositories", "images"])
    assert query("SELECT * FROM ecr_storage ORDER BY region, repository_name") == before
