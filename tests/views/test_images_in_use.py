"""Where images run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Row
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import Item, Registry, digest_of
from tests.views.conftest import Load
from tests.views.pushed import put_index
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

WEB, JOB, OLD = (f"sha256:{64 * letter}" for letter in "abc")
PLACES = """
    SELECT image_digest, in_use, cluster_kind, cluster_name, ecs_group, eks_namespace, eks_workloads, running_unit_count
    FROM ecr_images_in_use ORDER BY 1, 4, 5
"""
NAMED = """
    SELECT image_digest, in_use, told_by, evidence, is_by_tag, cluster_name, ecs_group,
        lambda_function_name, lambda_function_version, running_unit_count
    FROM ecr_images_in_use ORDER BY image_digest, told_by, evidence, lambda_function_version
"""
IN_USE = "SELECT image_digest, in_use FROM ecr_images_in_use ORDER BY 1"
OTHER = "111111111111"
OTHER_ROLE = f"arn:aws:iam::{OTHER}:role/reader"
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


def not_seen_by_inspector(registry: Registry, *digests: str) -> None:
    """Images of the repository `service`, each covered, with no task or pod."""
    registry.scanning_configuration["scanType"] = "ENHANCED"
    registry.put("service")
    for digest in digests:
        registry.put_image("service", digest)
        registry.scan("service", digest)
        registry.in_use_counts["service", digest] = 0


def test_what_ecs_and_lambda_run_or_would_run_is_in_use_though_inspector_does_not_see_it(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    not_seen_by_inspector(registry, WEB, JOB, OLD)
    registry.put_image("service", WEB, ["stable"])
    workloads = registry.workloads
    for _ in range(2):
        workloads.run_task("blue", "job:1", [("job", workloads.image("service", f"@{JOB}"), JOB)])
    workloads.define("web:7", {"web": workloads.image("service", ":stable")})
    workloads.serve("blue", "web", ["web:7"], running=0)
    workloads.add_function("resize", "3", workloads.image("service", ":stable"), WEB)
    load(tables=["images", "usage"])
    assert query(NAMED) == [
        (WEB, True, "ecs", "refers", True, "blue", "service:web", None, None, None),
        (WEB, True, "lambda", "refers", False, None, None, "resize", "3", None),
        (JOB, True, "ecs", "runs", False, "blue", "family:job", None, None, 2),
        (OLD, False, None, None, None, None, None, None, None, None),
    ]
    stale = "SELECT image_digest, in_use FROM ecr_stale_images ORDER BY 1"
    assert query(stale) == [(WEB, True), (JOB, True), (OLD, False)]


def test_an_image_that_another_account_runs_is_in_use(server: EcrServer, load: Load, query: Query) -> None:
    not_seen_by_inspector(server.registry(), WEB)
    server.add_role(OTHER_ROLE)
    server.registry(account=OTHER).workloads.run_task(
        "red", "web:1", [("web", server.registry().workloads.image("service", f"@{WEB}"), WEB)]
    )
    load(tables=["images", "usage"])
    assert query(IN_USE) == [(WEB, False)]
    load(tables=["usage"], role_arns=[OTHER_ROLE])
    cluster_arn = f"arn:aws:ecs:eu-west-1:{OTHER}:cluster/red"
    assert query("SELECT in_use, cluster_arn FROM ecr_images_in_use") == [(True, cluster_arn)]


@pytest.mark.parametrize("operation", ["ListClusters", "ListTasks", "DescribeServices", "GetFunction", "ListFunctions"])
def test_nothing_is_not_in_use_where_ecs_or_lambda_could_not_be_read(
    server: EcrServer, load: Load, query: Query, operation: str
) -> None:
    not_seen_by_inspector(server.registry(), WEB)
    server.registry().workloads.add_function("resize", "3", "elsewhere.example/name:tag", OLD)
    server.registry().workloads.serve("blue", "web", [])
    server.fail(DENIED, operation=operation)
    load(tables=["images", "usage"])
    assert query(IN_USE) == [(WEB, None)]
    server.recover()
    load(tables=["images", "usage"])
    assert query(IN_USE) == [(WEB, False)]


def test_nothing_is_not_in_use_where_ecs_and_lambda_were_never_asked(
    server: EcrServer, load: Load, query: Query
) -> None:
    not_seen_by_inspector(server.registry(), WEB)
    load(tables=["images", "image_usage"])
    assert query(IN_USE) == [(WEB, None)]


def test_of_an_index_that_runs_each_image_may_be_the_one_until_they_are_known(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    in_it, beside = digest_of("in it"), digest_of("beside")
    not_seen_by_inspector(registry, in_it, beside)
    put_index(registry, "service", "stable", 1, {"in it": "amd64"})
    workloads = registry.workloads
    workloads.run_task("blue", "web:7", [("web", workloads.image("service", ":stable"), digest_of("stable"))])
    load(tables=["images", "usage"])
    assert dict(query(IN_USE)) == {in_it: None, beside: None}
    load(tables=["images", "usage", "image_manifest_children"], moves_last_recorded_pull_time=True)
    assert dict(query(IN_USE)) == {in_it: True, beside: False}
