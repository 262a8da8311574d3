"""The views ecr_repository_access, ecr_registry_access and ecr_policy_access: who may do what, and who is kept out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import ACCOUNT, DENIED, EcrServer, Registry
from tests.views.conftest import Load
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

OTHER = "210987654321"
PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

REACH = """
SELECT repository_name, effect, principal, reach, may_pull, may_push, may_administer, is_conditional,
    is_denied_elsewhere
FROM ecr_repository_access ORDER BY repository_name, statement_index, principal
"""
ACCESS = "SELECT region, repository_name, access, reach, as_of IS NULL FROM ecr_repository_access ORDER BY 1, 2"
REGISTRY = """
SELECT region, kind, access, as_of IS NULL FROM ecr_registry_access
GROUP BY region, kind, access, as_of IS NULL ORDER BY 1, 2, 3
"""


def allow(principal: Any, *actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": list(actions) or PULL} | more


def put(registry: Registry, name: str, *statements: dict[str, Any]) -> None:
    registry.put(name)
    registry.policies[name] = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def in_organization(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: value}}}


def test_how_far_each_statement_reaches_and_what_it_is_about(server: EcrServer, load: Load, query: Query) -> None:
    registry = server.registry()
    put(registry, "all", allow("*", "ecr:*"))
    put(registry, "but", {"Effect": "Allow", "NotPrincipal": {"AWS": [OTHER, f"{ACCOUNT}"]}, "Action": "ecr:Put*"})
    put(registry, "federated", allow({"Federated": "accounts.google.com"}, "ECR:GETDOWNLOAD*"))
    put(registry, "gone", allow({"AWS": "AROAEXAMPLEID"}, "ecr:Get*", "ecr:Describe????es"))
    put(registry, "not", {"Effect": "Allow", "Principal": {"AWS": OTHER}, "NotAction": [*PULL, "ecr:Put*"]})
    put(registry, "own", allow({"AWS": f"arn:aws:iam::{ACCOUNT}:role/build"}, *PULL, "ecr:PutImage"))
    put(registry, "service", allow({"Service": "lambda.amazonaws.com"}, "*"))
    load(tables=["repositories", "policies"])
    assert query(REACH) == [
        ("all", "Allow", "*", "public", True, True, True, False, False),
        ("but", "Allow", f"{ACCOUNT}, {OTHER}", "public", False, True, True, False, False),
        ("federated", "Allow", "accounts.google.com", "federated", True, False, False, False, False),
        ("gone", "Allow", "AROAEXAMPLEID", "unidentified", True, False, False, False, False),
        ("not", "Allow", OTHER, "other_account", False, True, True, False, False),
        ("own", "Allow", f"arn:aws:iam::{ACCOUNT}:role/build", "own_account", True, True, False, False, False),
        ("service", "Allow", "lambda.amazonaws.com", "service", True, True, True, False, False),
    ]
    assert query("SELECT repository_name, actions FROM ecr_repository_access WHERE may_push ORDER BY 1") == [
        ("all", "ecr:*"),
        ("but", "ecr:Put*"),
        ("not", "all but ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:Put*"),
        ("own", "ecr:BatchGetImage, ecr:GetDownloadUrlForLayer, ecr:PutImage"),
        ("service", "*"),
    ]
    assert query(question(6)) == [
        ("all", "public", "*", True, True, True, False),
        ("but", "public", f"{ACCOUNT}, {OTHER}", False, True, True, False),
        ("federated", "federated", "accounts.google.com", True, False, False, False),
        ("gone", "unidentified", "AROAEXAMPLEID", True, False, False, False),
        ("not", "other_account", OTHER, False, True, True, False),
    ]
    assert query("SELECT repository_name FROM ecr_repository_access WHERE negated") == [("but",)]


def test_only_a_condition_that_keeps_others_out_makes_everybody_an_organization(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    conditions = {
        "absent": in_organization("StringEqualsIfExists", "aws:PrincipalOrgID", "o-a1"),
        "all_values": in_organization("ForAllValues:StringLike", "aws:PrincipalOrgPaths", "o-a1/*"),
        "another_key": in_organization("StringEquals", "aws:SourceVpc", "vpc-1"),
        "any": in_organization("StringLike", "aws:PrincipalOrgID", ["o-a1", "o-*"]),
        "id": in_organization("StringEquals", "AWS:principalorgid", ["o-a1", "o-b2"]),
        "not": in_organization("StringNotEquals", "aws:PrincipalOrgID", "o-a1"),
        "paths": in_organization("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", "o-a1/r-1/*"),
    }
    for name, condition in conditions.items():
        put(registry, name, allow({"AWS": "*"}, **condition))
    load(tables=["repositories", "policies"])
    assert query("SELECT repository_name, reach, is_conditional FROM ecr_repository_access ORDER BY 1") == [
        ("absent", "public", True),
        ("all_values", "public", True),
        ("another_key", "public", True),
        ("any", "public", True),
        ("id", "organization", True),
        ("not", "public", True),
        ("paths", "organization", True),
    ]
    assert query("SELECT condition FROM ecr_repository_access WHERE repository_name = 'not'") == [
        ('{"StringNotEquals":{"aws:PrincipalOrgID":"o-a1"}}',)
    ]


def test_a_deny_is_a_row_and_shows_at_each_allow_that_it_takes_from(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    role, another = (f"arn:aws:iam::{OTHER}:role/{name}" for name in ("reader", "writer"))
    put(registry, "account", allow({"AWS": role}), allow({"AWS": OTHER}, Effect="Deny"))
    put(registry, "another", allow({"AWS": role}), allow({"AWS": another}, Effect="Deny"))
    put(registry, "another_call", allow({"AWS": role}), allow("*", "ecr:PutImage", Effect="Deny"))
    denied = {"Effect": "Deny", "NotPrincipal": {"AWS": f"arn:aws:iam::{OTHER}:root"}, "Action": "*"}
    put(registry, "but", allow({"AWS": OTHER}), allow({"AWS": ACCOUNT}), denied)
    put(registry, "everybody", allow("*"), allow({"AWS": another}, Effect="Deny"))
    load(tables=["repositories", "policies"])
    assert query(
        "SELECT repository_name, effect, principal, is_denied_elsewhere FROM ecr_repository_access"
        " ORDER BY repository_name, statement_index"
    ) == [
        ("account", "Allow", role, True),
        ("account", "Deny", OTHER, None),
        ("another", "Allow", role, False),
        ("another", "Deny", another, None),
        ("another_call", "Allow", role, False),
        ("another_call", "Deny", "*", None),
        ("but", "Allow", OTHER, False),
        ("but", "Allow", ACCOUNT, True),
        ("but", "Deny", f"arn:aws:iam::{OTHER}:root", None),
        ("everybody", "Allow", "*", True),
        ("everybody", "Deny", another, None),
    ]


def test_a_policy_that_nobody_could_read_is_neither_none_nor_harmless(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    put(registry, "api", allow("*"))
    registry.put("bare")
    registry.put("odd")
    registry.policies["odd"] = '{"Statement": ['
    registry.registry_policy = json.dumps({"Statement": [allow({"AWS": OTHER}, "ecr:ReplicateImage", Resource="*")]})
    put(server.registry("us-east-1"), "bare", allow({"AWS": OTHER}))
    tables, regions = ["repositories", "policies", "registry"], ["eu-west-1", "us-east-1"]
    operations = ("GetRepositoryPolicy", "GetRegistryPolicy", "DescribeRegistry", "DescribePullThroughCacheRules")

    def deny() -> None:
        for operation in operations:
            server.fail(DENIED, operation=operation)

    deny()
    load(tables=tables, regions=regions)
    assert query("SELECT DISTINCT access, effect, reach, as_of FROM ecr_repository_access") == [
        ("unknown", None, None, None)
    ]
    assert query("SELECT DISTINCT access, effect, destination_region, as_of FROM ecr_registry_access") == [
        ("unknown", None, None, None)
    ]
    server.recover()
    load(tables=tables, regions=regions)
    known = [
        ("eu-west-1", "api", "stated", "public", False),
        ("eu-west-1", "bare", "no_policy", None, False),
        ("eu-west-1", "odd", "unreadable", None, False),
        ("us-east-1", "bare", "stated", "other_account", False),
    ]
    of_registries = [
        ("eu-west-1", "policy", "stated", False),
        ("eu-west-1", "pull_through", "none", False),
        ("eu-west-1", "replication", "none", False),
        ("us-east-1", "policy", "none", False),
        ("us-east-1", "pull_through", "none", False),
        ("us-east-1", "replication", "none", False),
    ]
    assert query(ACCESS) == known
    assert query(REGISTRY) == of_registries
    as_of = query("SELECT DISTINCT as_of FROM ecr_repository_access ORDER BY 1")
    deny()
    load(tables=tables, regions=regions)
    assert query(ACCESS) == known
    assert query(REGISTRY) == of_registries
    assert query("SELECT DISTINCT as_of FROM ecr_repository_access ORDER BY 1") == as_of


def test_a_policy_of_the_registry_is_known_where_one_of_a_repository_is_not(
    server: EcrServer, load: Load, query: Query
) -> None:
    server.registry().put("api")
    server.registry().put("denied")
    server.fail(DENIED, operation="GetRepositoryPolicy", repository="denied")
    load(tables=["repositories", "policies"])
    assert query("SELECT kind, access FROM ecr_registry_access ORDER BY 1") == [
        ("policy", "none"),
        ("pull_through", "unknown"),
        ("replication", "unknown"),
    ]
    assert query("SELECT repository_name, access FROM ecr_repository_access ORDER BY 1") == [
        ("api", "no_policy"),
        ("denied", "unknown"),
    ]


def test_who_may_replicate_into_a_registry_or_pull_through_it_and_from_where(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    hub = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/hub/*"
    registry.registry_policy = json.dumps(
        {
            "Statement": [
                allow({"AWS": OTHER}, "ecr:ReplicateImage", "ecr:CreateRepository", Resource="*"),
                allow("*", "ecr:BatchImportUpstreamImage", Resource=hub),
            ]
        }
    )
    destinations = [{"region": "eu-central-1", "registryId": ACCOUNT}, {"region": "eu-west-1", "registryId": OTHER}]
    filters = [{"filter": name, "filterType": "PREFIX_MATCH"} for name in ("b/", "a/")]
    registry.replication_configuration = {
        "rules": [
            {"destinations": destinations, "repositoryFilters": filters, "deleteReplication": {"enabled": True}},
            {"destinations": [{"region": "us-east-1", "registryId": ACCOUNT}]},
        ]
    }
    registry.pull_through_cache_rules = [
        {"ecrRepositoryPrefix": "hub", "upstreamRegistryUrl": "registry-1.docker.io", "credentialArn": "arn:a:secret"},
        {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io"},
    ]
    load(tables=["policies", "registry"])
    assert query(question(7)) == [
        ("policy", "stated", "*", "public", False, True, None),
        ("policy", "stated", OTHER, "other_account", True, False, None),
        ("pull_through", "stated", None, None, None, None, "quay.io"),
        ("pull_through", "stated", None, None, None, None, "registry-1.docker.io"),
        ("replication", "stated", None, "other_account", None, None, None),
        ("replication", "stated", None, "own_account", None, None, None),
        ("replication", "stated", None, "own_account", None, None, None),
    ]
    assert query(
        "SELECT principal, reach, may_replicate, may_create_repository, may_import_upstream, may_pull, policy_scope,"
        " resources FROM ecr_registry_access WHERE kind = 'policy' ORDER BY statement_index"
    ) == [
        (OTHER, "other_account", True, True, False, False, "V2", "*"),
        ("*", "public", False, False, True, False, "V2", hub),
    ]
    assert query(
        "SELECT destination_registry_id, destination_region, reach, repository_filters, delete_replication_enabled"
        " FROM ecr_registry_access WHERE kind = 'replication' ORDER BY destination_region"
    ) == [
        (ACCOUNT, "eu-central-1", "own_account", "a/, b/", True),
        (OTHER, "eu-west-1", "other_account", "a/, b/", True),
        (ACCOUNT, "us-east-1", "own_account", None, None),
    ]
    assert query(
        "SELECT ecr_repository_prefix, upstream_registry_url, credential_arn, custom_role_arn"
        " FROM ecr_registry_access WHERE kind = 'pull_through' ORDER BY 1"
    ) == [("hub", "registry-1.docker.io", "arn:a:secret", None), ("quay", "quay.io", None, None)]


def test_a_policy_that_was_deleted_allows_nothing_any_more(server: EcrServer, load: Load, query: Query) -> None:
    put(server.registry(), "api", allow("*"))
    load(tables=["repositories", "policies"], mode="incremental")
    assert query("SELECT access, reach FROM ecr_repository_access") == [("stated", "public")]
    del server.registry().policies["api"]
    load(tables=["repositories", "policies"], mode="incremental")
    assert query("SELECT access, reach FROM ecr_repository_access") == [("no_policy", None)]
