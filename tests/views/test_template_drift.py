"""The view ecr_template_drift: what a repository has otherwise than the template of its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer, Registry
from tests.server.registry import CREATED_AT
from tests.views.conftest import Load
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

DRIFT = "SELECT repository_name, template_prefix, setting, wanted, actual, status FROM ecr_template_drift ORDER BY 1, 3"
TABLES = ["repositories", "policies", "registry"]


def lifecycle(number: int, **more: Any) -> str:
    selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": number} | more
    return json.dumps({"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]})


def policy(*actions: str, sid: str = "a") -> str:
    return json.dumps({"Statement": [{"Sid": sid, "Effect": "Allow", "Principal": "*", "Action": list(actions)}]})


def template(prefix: str, **members: Any) -> dict[str, Any]:
    given = {"prefix": prefix, "appliedFor": ["REPLICATION", "CREATE_ON_PUSH"], "imageTagMutability": "MUTABLE"}
    return given | {"createdAt": CREATED_AT, "updatedAt": CREATED_AT + 60} | members


def fill(registry: Registry) -> None:
    filters = [{"filterType": "WILDCARD", "filter": name} for name in ("v*", "release-*")]
    excluding = {"imageTagMutability": "MUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": filters}
    tags = [{"Key": "stage", "Value": "prod"}, {"Key": "team", "Value": "a"}]
    registry.repository_creation_templates = [
        template("ROOT", imageTagMutability="IMMUTABLE", encryptionConfiguration={"encryptionType": "AES256"}),
        template("team"),
        template(
            "team/a_b",
            lifecyclePolicy=lifecycle(5),
            repositoryPolicy=policy("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
            resourceTags=tags,
            **excluding,
        ),
    ]
    # As the template has it: the order of members, of actions and the name of a statement are no difference.
    registry.put("team/a_b/same", CREATED_AT + 90, **excluding)
    registry.lifecycle_policies["team/a_b/same"] = lifecycle(5)
    registry.policies["team/a_b/same"] = policy("ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", sid="b")
    registry.tags["team/a_b/same"] = {"team": "a", "stage": "prod", "more": "1"}
    registry.put("team/a_b/other", CREATED_AT, imageTagMutability="IMMUTABLE")
    registry.lifecycle_policies["team/a_b/other"] = lifecycle(6)
    registry.tags["team/a_b/other"] = {"team": "b"}
    registry.put("team/axb/other", CREATED_AT)
    registry.put("teamwork", CREATED_AT)


def test_each_setting_is_held_against_the_template_with_the_longest_prefix(
    server: EcrServer, load: Load, query: Query
) -> None:
    fill(server.registry())
    server.registry("us-east-1").put("team/a_b/other")
    load(tables=TABLES, regions=["eu-west-1", "us-east-1"])
    policy_in_short = "Allow *: ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
    assert query(DRIFT) == [
        (
            *("team/a_b/other", "team/a_b", "lifecycle_policy"),
            *("1 untagged imageCountMoreThan 5: expire", "1 untagged imageCountMoreThan 6: expire", "fail"),
        ),
        ("team/a_b/other", "team/a_b", "repository_policy", policy_in_short, None, "fail"),
        ("team/a_b/other", "team/a_b", "tag stage", "prod", None, "fail"),
        ("team/a_b/other", "team/a_b", "tag team", "a", "b", "fail"),
        ("team/a_b/other", "team/a_b", "tag_mutability", "MUTABLE but release-*, v*", "IMMUTABLE", "fail"),
        ("teamwork", "ROOT", "tag_mutability", "IMMUTABLE", "MUTABLE", "fail"),
    ]
    assert query(question(30)) == [
        ("team/a_b/other", "team/a_b", "tag_mutability", "MUTABLE but release-*, v*", "IMMUTABLE"),
        ("teamwork", "ROOT", "tag_mutability", "IMMUTABLE", "MUTABLE"),
    ]
    assert query("SELECT DISTINCT region, applied_for, is_older_than_template FROM ecr_template_drift") == [
        ("eu-west-1", "CREATE_ON_PUSH, REPLICATION", True)
    ]


def test_what_could_not_be_compared_is_unknown_and_not_the_same(server: EcrServer, load: Load, query: Query) -> None:
    fill(server.registry())

    def deny(*operations: str) -> None:
        for operation in operations:
            server.fail(DENIED, operation=operation)

    told = ("GetLifecyclePolicy", "GetRepositoryPolicy", "GetResources", "ListTagsForResource")
    deny("DescribeRepositoryCreationTemplates", *told)
    load(tables=TABLES)
    assert query(DRIFT) == [(None, None, None, None, None, "unknown")]
    server.recover()
    deny(*told)
    load(tables=TABLES)
    of_same = "SELECT setting, status, as_of FROM ecr_template_drift WHERE repository_name = 'team/a_b/same' ORDER BY 1"
    assert query(of_same) == [
        ("lifecycle_policy", "unknown", None),
        ("repository_policy", "unknown", None),
        ("tag stage", "unknown", None),
        ("tag team", "unknown", None),
    ]
    server.recover()
    load(tables=TABLES)
    drift = query(DRIFT)
    assert query(of_same) == []
    assert len(drift) == 6
    deny("DescribeRepositoryCreationTemplates", *told)
    load(tables=TABLES)
    assert query(DRIFT) == drift
