"""What runs an image, as Inspector tells it: which images are asked, and what the tables hold then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.server.ecr_server import ACCOUNT, DENIED, EcrServer
from tests.server.registry import Item, Registry
from tests.warehouse import ON_EACH

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]

USAGE = "SELECT repository_name, image_digest, in_use_count FROM image_usage ORDER BY 1, 2"
CLUSTERS = "SELECT repository_name, image_digest, cluster_arn FROM image_clusters ORDER BY 1, 2, 3"
LEDGER = """
    SELECT table_name, status, note FROM extraction_scopes
    WHERE run_id = (SELECT max(run_id) FROM extraction_scopes) AND table_name LIKE 'image%' ORDER BY table_name
"""
API, WEB, OLD = "sha256:" + 64 * "a", "sha256:" + 64 * "b", "sha256:" + 64 * "c"


def cluster(name: str) -> Item:
    task = {"detailsGroup": f"service:{name}", "taskDefinitionArn": f"arn:aws:ecs:eu-west-1:1:task-definition/{name}:1"}
    details = {"runningUnitCount": 1, "clusterMetadata": {"awsEcsMetadataDetails": task}}
    return {"clusterArn": name, "clusterDetails": [details]}


@pytest.fixture
def in_use(server: EcrServer) -> EcrServer:
    """Three images: one runs in two clusters, one in one, and one in none."""
    registry = server.registry()
    registry.scanning_configuration["scanType"] = "ENHANCED"
    for name, digest, clusters in (("api", API, ["blue", "green"]), ("web", WEB, ["blue"]), ("web", OLD, [])):
        registry.put(name)
        registry.put_image(name, digest)
        registry.scan(name, digest)
        run_in(server, name, digest, clusters)
    return server


def run_in(server: EcrServer, repository: str, digest: str, clusters: list[str]) -> None:
    registry = server.registry()
    registry.in_use_counts[repository, digest] = len(clusters)
    registry.clusters[repository, digest] = [cluster(name) for name in clusters]


def asked(server: EcrServer) -> int:
    """How many images were asked for their clusters since the last time."""
    return server.calls.pop("GetClustersForImage", 0)


@ON_EACH
def test_only_images_in_use_are_asked_and_only_when_their_number_changed(
    in_use: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["usage"])
    assert query(USAGE) == [("api", API, 2), ("web", WEB, 1), ("web", OLD, 0)]
    assert query(CLUSTERS) == [("api", API, "blue"), ("api", API, "green"), ("web", WEB, "blue")]
    assert asked(in_use) == 2
    load(tables=["usage"])
    assert asked(in_use) == 0
    run_in(in_use, "api", API, ["green"])
    run_in(in_use, "web", OLD, ["old"])
    load(tables=["usage"])
    assert asked(in_use) == 2
    assert query(CLUSTERS) == [("api", API, "green"), ("web", WEB, "blue"), ("web", OLD, "old")]


@ON_EACH
def test_an_image_that_runs_nowhere_any_more_has_no_clusters(in_use: EcrServer, load: Load, query: Query) -> None:
    load(tables=["usage"])
    run_in(in_use, "api", API, [])
    in_use.registry().delete_image("web", WEB)
    load(tables=["usage"])
    assert query(USAGE) == [("api", API, 0), ("web", OLD, 0)]
    assert query(CLUSTERS) == []


def test_clusters_are_asked_for_again_when_the_answer_is_old(in_use: EcrServer, load: Load, query: Query) -> None:
    load(tables=["usage"])
    in_use.registry().clusters["api", API] = [cluster("green"), cluster("red")]
    load(tables=["usage"], findings_max_age=0)
    assert query(CLUSTERS) == [("api", API, "green"), ("api", API, "red"), ("web", WEB, "blue")]


def test_a_run_of_one_repository_leaves_what_is_known_of_others(in_use: EcrServer, load: Load, query: Query) -> None:
    load(tables=["usage"])
    run_in(in_use, "api", API, [])
    run_in(in_use, "web", WEB, [])
    load(tables=["usage"], repositories=["api"])
    assert query(USAGE) == [("api", API, 0), ("web", WEB, 1), ("web", OLD, 0)]
    assert query(CLUSTERS) == [("web", WEB, "blue")]


def test_where_scanning_is_basic_nothing_is_asked_and_nothing_old_is_believed(
    in_use: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["usage"])
    in_use.calls.clear()
    in_use.registry().scanning_configuration["scanType"] = "BASIC"
    load(tables=["usage"]).raise_on_incomplete()
    assert "ListCoverage" not in in_use.calls
    assert (query(USAGE), query(CLUSTERS)) == ([], [])
    note = "ecr:GetRegistryScanningConfiguration does not tell ENHANCED"
    assert query(LEDGER)[-1] == ("image_usage", "complete", note)


@pytest.mark.parametrize("operation", ["ListCoverage", "GetRegistryScanningConfiguration"])
def test_what_is_denied_is_not_taken_for_not_in_use(
    in_use: EcrServer, load: Load, query: Query, operation: str
) -> None:
    load(tables=["usage"])
    before = query(USAGE), query(CLUSTERS)
    run_in(in_use, "api", API, [])
    in_use.fail(DENIED, operation=operation)
    assert load(tables=["usage"]).incomplete
    assert (query(USAGE), query(CLUSTERS)) == before
    assert [status for _, status, _ in query(LEDGER)] == ["denied", "denied", "denied"]


def test_usage_and_findings_of_inspector_are_both_read_and_their_calls_counted_once(
    in_use: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["usage", "findings"], findings_from="inspector2")
    assert query("SELECT count(*) FROM image_usage") == query("SELECT count(*) FROM image_scans") == [(3,)]
    of_no_table = in_use.calls["GetCallerIdentity"] + in_use.calls["GetRegistryScanningConfiguration"]
    made = sum(in_use.calls.values()) - of_no_table
    assert query("SELECT sum(calls) FROM extraction_scopes") == [(made,)]


def test_a_history_has_a_new_version_when_a_cluster_comes_and_none_when_more_tasks_run_there(
    in_use: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["usage"], mode="history")
    for running, clusters in ((7, ["blue", "green"]), (7, ["blue", "green", "red"])):
        run_in(in_use, "api", API, clusters)
        for one in in_use.registry().clusters["api", API]:
            one["clusterDetails"][0]["runningUnitCount"] = running
        load(tables=["usage"], mode="history", findings_max_age=0)
    versions = (
        "SELECT cluster_arn, count(*) FROM image_clusters WHERE repository_name = 'api' GROUP BY ALL ORDER BY ALL"
    )
    assert query(versions) == [("blue", 1), ("green", 1), ("red", 1)]


MEMBER = "111111111111"


@pytest.fixture
def administered(in_use: EcrServer) -> EcrServer:
    """A member account with an image of the same name, of which only the account of the credentials may be told."""
    in_use.add_role(f"arn:aws:iam::{MEMBER}:role/reader")
    in_use.inspector_administrator = ACCOUNT
    in_use.allowed[MEMBER] = {f"ecr:{name}" for name in in_use.model.operation_names}
    registry = in_use.registry(account=MEMBER)
    registry.scanning_configuration["scanType"] = "ENHANCED"
    registry.put("api")
    registry.put_image("api", API)
    registry.scan("api", API, enhanced=[Registry.enhanced_finding("CVE-2026-1", severity="HIGH")], status="ACTIVE")
    registry.in_use_counts["api", API] = 7
    registry.clusters["api", API] = [cluster("red")]
    return in_use


BOTH = {"accounts": [ACCOUNT, MEMBER], "role_arns": ["arn:aws:iam::{account}:role/reader"]}
OF_INSPECTOR = ["image_usage", "image_clusters", "image_scan_findings"]
USAGE_BY_ACCOUNT = "SELECT registry_id, repository_name, in_use_count FROM image_usage ORDER BY 1, 2, 3"


def test_the_administrator_of_inspector_tells_of_the_images_of_member_accounts_in_rows_of_theirs(
    administered: EcrServer, load: Load, query: Query
) -> None:
    settings = BOTH | {"tables": OF_INSPECTOR, "findings_from": "inspector2"}
    load(**settings, inspector_account=ACCOUNT).raise_on_incomplete()
    usage = [(MEMBER, "api", 7), (ACCOUNT, "api", 2), (ACCOUNT, "web", 0), (ACCOUNT, "web", 1)]
    assert query(USAGE_BY_ACCOUNT) == usage
    assert query(f"SELECT cluster_arn FROM image_clusters WHERE registry_id = '{MEMBER}'") == [("red",)]
    assert query("SELECT DISTINCT registry_id FROM image_scan_findings") == [(MEMBER,)]
    load(tables=OF_INSPECTOR, findings_from="inspector2").raise_on_incomplete()
    assert query(USAGE_BY_ACCOUNT) == usage


def test_without_it_each_account_is_asked_about_itself(administered: EcrServer, load: Load, query: Query) -> None:
    assert load(**BOTH, tables=["image_usage"]).incomplete
    assert query("SELECT DISTINCT registry_id FROM image_usage") == [(ACCOUNT,)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "the credentials are of 123456789012: give --role-arn with a role of 222222222222"),
        ({"role_arns": ["arn:aws:iam::222222222222:role/reader"]}, "cannot be asked in 222222222222: cannot assume"),
    ],
)
def test_an_account_of_inspector_that_cannot_be_asked_ends_the_run_in_a_sentence(
    administered: EcrServer, load: Load, settings: dict[str, list[str]], said: str
) -> None:
    with pytest.raises(Exception, match=said):
        load(tables=["image_usage"], inspector_account="222222222222", **settings)
    assert "ListCoverage" not in administered.calls
