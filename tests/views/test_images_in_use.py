"""Where images run."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Row
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import Item, Registry
from tests.views.conftest import Load
from tests.warehouse import ON_EACH

pytestmark = ON_EACH

Query = Callable[[str], list[Row]]

WEB, JOB, OLD = (f"sha256:{64 * letter}" for letter in "abc")
PLACES = """
    SELECT image_digest, in_use, cluster_kind, cluster_name, ecs_group, eks_namespace, eks_workloads, running_unit_count
    FROM ecr_images_in_use ORDER BY 1, 4, 5
"""
TASK_DEFINITION = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7"


def fill(registry: Registry) -> None:
    """One image in ECS and in EKS, one of which only the number is told, one that runs nowhere."""
    registry.scanning_configuration["scanType"] = "ENHANCED"
    registry.put("service")
    for digest, count in ((WEB, 5), (JOB, 1), (OLD, 0)):
        registry.put_image("service", digest)
        registry.scan("service", digest)
        registry.in_use_counts["service", digest] = count
    registry.put_image("service", f"sha256:{64 * 'd'}")
    task = {"detailsGroup": "service:web", "taskDefinitionArn": TASK_DEFINITION}
    pods = {
        "namespace": "shop",
        "workloadInfoList": [{"name": "web", "type": "DEPLOYMENT"}, {"name": "nightly", "type": "CRON_JOB"}],
    }
    registry.clusters["service", WEB] = [
        cluster("ecs", "blue", 2, {"awsEcsMetadataDetails": task}),
        cluster("eks", "green", 3, {"awsEksMetadataDetails": pods}),
    ]


def cluster(kind: str, name: str, running: int, metadata: Item) -> Item:
    details = {"runningUnitCount": running, "clusterMetadata": metadata}
    return {"clusterArn": f"arn:aws:{kind}:eu-west-1:123456789012:cluster/{name}", "clusterDetails": [details]}


def test_each_image_has_its_places_and_what_inspector_does_not_cover_is_unknown(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server.registry())
    load(tables=["images", "usage"])
    assert query(PLACES) == [
        (WEB, True, "ecs", "blue", "service:web", None, None, 2),
        (WEB, True, "eks", "green", None, "shop", "CRON_JOB nightly, DEPLOYMENT web", 3),
        (JOB, True, None, None, None, None, None, None),
        (OLD, False, None, None, None, None, None, None),
        (f"sha256:{64 * 'd'}", None, None, None, None, None, None, None),
    ]
    stale = "SELECT in_use, in_use_count FROM ecr_stale_images ORDER BY image_digest"
    assert query(stale) == [(True, 5), (True, 1), (False, 0), (None, None)]


def test_what_must_not_be_asked_is_unknown_and_where_scanning_is_basic_all_is(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server.registry())
    server.fail(DENIED, operation="ListCoverage")
    load(tables=["images", "usage"])
    in_use = "SELECT DISTINCT in_use, as_of FROM ecr_images_in_use"
    assert query(in_use) == [(None, None)]
    server.recover()
    load(tables=["images", "usage"])
    server.registry().scanning_configuration["scanType"] = "BASIC"
    load(tables=["images", "usage"])
    assert query(in_use) == [(None, None)]


def test_the_number_of_today_counts_and_not_that_of_an_older_finding(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server.registry())
    finding = Registry.enhanced_finding("CVE-2026-1", severity="HIGH")
    server.registry().scan("service", OLD, enhanced=[finding], status="ACTIVE")
    load(tables=["images", "findings"])
    found = f"SELECT in_use, in_use_count FROM ecr_stale_images WHERE image_digest = '{OLD}'"
    assert query(found) == [(True, 2)]
    load(tables=["images", "findings", "usage"])
    assert query(found) == [(False, 0)]
