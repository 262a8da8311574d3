"""The view of what images are made from: other images of ours, whose layers they begin with."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Row
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import SIGNATURE, digest_of
from tests.views.conftest import Load
from tests.views.pushed import put, put_index
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

NAMES = ("base", "python", "app", "denied", "mirror")


def layers(names: str) -> dict[str, int]:
    return dict.fromkeys(names, 1)


def fill(server: EcrServer) -> None:
    """Two generations of bases, one of several platforms, and what is made from them, here and in another region."""
    here, there = server.registry("eu-west-1"), server.registry("us-east-1")
    for name in NAMES:
        here.put(name)
    put(here, "base", "base 1", 90, layers("ab"), tags=["1"])
    put(here, "base", "base 1 renamed", 80, layers("ab"), tags=["1-renamed"])
    put(here, "base", "base 2", 30, layers("AB"), tags=["2"])
    put(here, "python", "python", 70, layers("abc"), tags=["3.14"])
    put(here, "mirror", "base 2", 20, layers("AB"), tags=["2"])
    put(here, "mirror", "other", 10, layers("xyz"), tags=["other"])
    put(here, "app", "on the longest", 60, layers("abcd"), tags=["on-the-longest"])
    put(here, "app", "with the same layers", 59, layers("abcd"), tags=["with-the-same-layers"])
    put(here, "app", "on the newest", 29, layers("ABd"), tags=["on-the-newest"])
    put(here, "app", "in another order", 28, layers("bac"), tags=["in-another-order"])
    put(here, "app", "not from the first on", 27, layers("xab"), tags=["not-from-the-first-on"])
    put(
        here,
        "app",
        "signature",
        26,
        layers("abs"),
        artifactMediaType=SIGNATURE,
        subjectManifestDigest=digest_of("python"),
    )
    put(here, "denied", "denied", 25, layers("abe"), tags=["denied"])
    here.put("multi")
    put(here, "multi", "amd64 of 1", 50, layers("m"))
    put(here, "multi", "arm64 of 1", 49, layers("n"))
    put_index(here, "multi", "1", 48, {"amd64 of 1": "amd64", "arm64 of 1": "arm64"})
    put(here, "multi", "arm64 of 2", 40, layers("N"))
    put_index(here, "multi", "2", 39, {"arm64 of 2": "arm64"})
    put(here, "app", "on amd64", 24, layers("mf"), tags=["on-amd64"])
    put(here, "app", "on arm64", 23, layers("nf"), tags=["on-arm64"])
    there.put("web")
    there.put("copy")
    put(there, "web", "far from its base", 22, layers("abg"), tags=["far-from-its-base"])
    put(there, "web", "near its base", 21, layers("ABg"), tags=["near-its-base"])
    put(there, "copy", "base 2", 5, layers("AB"), tags=["copied"])


def test_an_image_stands_on_the_one_of_ours_with_most_of_the_layers_that_it_begins_with(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server)
    server.fail(DENIED, operation="BatchGetImage", repository="denied")
    tables = ["repositories.repositories", "images", "manifests"]
    load(tables=tables, regions=["eu-west-1", "us-east-1"], moves_last_recorded_pull_time=True)

    assert query(
        "SELECT image_tags, base_state, layer_count, base_region, base_repository_name, base_image_tags,"
        " base_layer_count, base_is_newest, newer_base_images, days_behind_newest_base"
        " FROM ecr_base_images WHERE repository_name IN ('app', 'denied', 'web') ORDER BY days_since_push DESC"
    ) == [
        ("on-the-longest", "found", 4, "eu-west-1", "python", "3.14", 3, True, 0, 0),
        ("with-the-same-layers", "found", 4, "eu-west-1", "python", "3.14", 3, True, 0, 0),
        ("on-the-newest", "found", 3, "eu-west-1", "base", "2", 2, True, 0, 0),
        ("in-another-order", "none", 3, None, None, None, None, None, None, None),
        ("not-from-the-first-on", "none", 3, None, None, None, None, None, None, None),
        ("denied", "unknown", None, None, None, None, None, None, None, None),
        ("on-amd64", "found", 2, "eu-west-1", "multi", None, 1, True, 0, 0),
        ("on-arm64", "found", 2, "eu-west-1", "multi", None, 1, False, 1, 9),
        ("far-from-its-base", "found", 3, "eu-west-1", "base", "1-renamed", 2, False, 1, 50),
        ("near-its-base", "found", 3, "us-east-1", "copy", "copied", 2, True, 0, 0),
    ]
    assert query(
        "SELECT repository_name, base_image_digest, newest_base_image_digest"
        " FROM ecr_base_images WHERE repository_name IN ('base', 'python', 'mirror', 'multi') AND base_state <> 'none'"
    ) == [("python", digest_of("base 1 renamed"), digest_of("base 2"))]


def test_what_may_not_be_read_is_unknown_and_not_without_a_base(server: EcrServer, load: Load, query: Query) -> None:
    fill(server)
    server.fail(DENIED, operation="BatchGetImage")
    load(tables=["repositories.repositories", "images", "manifests"], moves_last_recorded_pull_time=True)
    assert query("SELECT DISTINCT base_state FROM ecr_base_images") == [("unknown",)]
