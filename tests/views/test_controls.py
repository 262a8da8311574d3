"""The views ecr_repository_settings and ecr_controls: what is in force, what passes, and what nobody knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import ACCOUNT, DENIED, EcrServer, Registry
from tests.views.conftest import Load
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

REGIONS = ["eu-west-1", "us-east-1"]
READ = {"regions": REGIONS, "tables": ["repositories", "policies", "images", "registry", "public"]}
KEY = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1"
KEY_OF_ANOTHER = "arn:aws:kms:eu-west-1:210987654321:key/2"
OPERATIONS = (
    *("BatchGetRepositoryScanningConfiguration", "DescribeImages", "DescribeRegistry", "GetLifecyclePolicy"),
    *("GetRepositoryPolicy", "GetResources", "ListTagsForResource", "ecr-public:ListTagsForResource"),
)


def rule(priority: int, selection: dict[str, Any], action: str = "expire") -> dict[str, Any]:
    counted = {"countType": "imageCountMoreThan", "countNumber": 10}
    return {"rulePriority": priority, "selection": counted | selection, "action": {"type": action}}


def put_lifecycle(registry: Registry, name: str, *rules: dict[str, Any]) -> None:
    registry.lifecycle_policies[name] = json.dumps({"rules": list(rules)})


@pytest.fixture
def filled(server: EcrServer) -> EcrServer:
    registry = server.registry()
    filters = [{"filterType": "WILDCARD", "filter": name} for name in ("latest", "dev-*")]
    kms = {"encryptionType": "KMS", "kmsKey": KEY}
    registry.put(
        "team/api",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=filters,
        encryptionConfiguration=kms,
    )
    registry.put_image("team/api", tags=["1.0"])
    registry.put_image("team/api", tags=["0.9"], imageStatus="ARCHIVED")
    registry.tags["team/api"] = {"team": "a", "cost": "7", "aws:stack": "x"}
    registry.policies["team/api"] = json.dumps({"Statement": []})
    registry.scanning_configurations["team/api"] = {"scanFrequency": "CONTINUOUS_SCAN"}
    put_lifecycle(
        registry,
        "team/api",
        rule(1, {"tagStatus": "untagged"}, "transition"),
        rule(2, {"tagStatus": "tagged", "tagPrefixList": ["dev-"]}),
    )
    # The rules of the registry beat what the repository says.
    registry.put(
        "web",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": KEY_OF_ANOTHER},
    )
    registry.scanning_configurations["web"] = {"scanFrequency": "MANUAL"}
    registry.tags["web"] = {"aws:stack": "x"}
    put_lifecycle(registry, "web", rule(1, {"tagStatus": "any"}))
    registry.replication_configuration = {"rules": [{"destinations": [{"region": "us-east-1", "registryId": ACCOUNT}]}]}
    other = server.registry("us-east-1")
    other.put("web")
    other.put("bare")
    other.lifecycle_policies["web"] = '{"rules": ['
    registry.public.put("cli")
    registry.public.put("sdk")
    registry.public.tags["cli"] = {"team": "tools"}
    return server


def test_settings_are_those_in_force(filled: EcrServer, load: Load, query: Query) -> None:
    load(**READ)
    assert query(
        "SELECT region, repository_name, namespace, tag_mutability, scan_frequency, scan_on_push, encryption_type,"
        " kms_key FROM ecr_repository_settings ORDER BY 1, 2"
    ) == [
        ("eu-west-1", "team/api", "team", "IMMUTABLE but dev-*, latest", "CONTINUOUS_SCAN", False, "KMS", KEY),
        ("eu-west-1", "web", None, "IMMUTABLE", "MANUAL", True, "KMS", KEY_OF_ANOTHER),
        ("us-east-1", "bare", None, "MUTABLE", "MANUAL", False, "AES256", None),
        ("us-east-1", "web", None, "MUTABLE", "MANUAL", False, "AES256", None),
    ]
    assert query(question(9)) == [
        ("eu-west-1", "team/api", "IMMUTABLE but dev-*, latest"),
        ("us-east-1", "bare", "MUTABLE"),
        ("us-east-1", "web", "MUTABLE"),
    ]
    assert query(question(10)) == [
        ("eu-west-1", "web", "BASIC", "MANUAL"),
        ("us-east-1", "bare", "BASIC", "MANUAL"),
        ("us-east-1", "web", "BASIC", "MANUAL"),
    ]
    assert query(question(13)) == [
        ("eu-west-1", "web", "aws:stack=x"),
        ("us-east-1", "bare", ""),
        ("us-east-1", "web", ""),
    ]
    assert query(
        "SELECT lifecycle_policy, lifecycle_rule_count, has_untagged_rule, has_tagged_cap, partial_tagged_caps,"
        " repository_policy, tags, tag_count, image_count FROM ecr_repository_settings ORDER BY region, repository_name"
    ) == [
        ("yes", 2, False, False, 1, "yes", "aws:stack=x, cost=7, team=a", 2, 2),
        ("yes", 1, True, True, 0, "no", "aws:stack=x", 0, 0),
        ("no", 0, False, False, 0, "no", "", 0, 0),
        ("yes", None, None, None, None, "no", "", 0, 0),
    ]


def controls(query: Query, columns: str) -> dict[str, list[Row]]:
    """The rows of each repository and registry."""
    rows = query(
        "SELECT coalesce(region, 'public') || ' ' || coalesce(repository_name, 'registry'), control,"
        f" {columns} FROM ecr_controls ORDER BY 1, 2"
    )
    return {name: [row[1:] for row in rows if row[0] == name] for name in dict.fromkeys(row[0] for row in rows)}


def test_each_control_says_what_it_is_judged_by(filled: EcrServer, load: Load, query: Query) -> None:
    load(**READ)
    assert controls(query, "status, evidence") == {
        "eu-west-1 registry": [("replicated", "pass", f"to {ACCOUNT}/us-east-1")],
        "eu-west-1 team/api": [
            ("ECR.1", "pass", "CONTINUOUS_SCAN"),
            ("ECR.2", "fail", "IMMUTABLE but dev-*, latest"),
            ("ECR.3", "pass", "lifecycle rules: 2"),
            ("ECR.5", "unknown", f"KMS with {KEY}; whose key that is, only kms:DescribeKey tells"),
            ("kms_encrypted", "pass", f"KMS with {KEY}"),
            ("tagged", "pass", "aws:stack=x, cost=7, team=a"),
            ("tagged_images_expire", "fail", "only images with some tags expire"),
            ("untagged_images_expire", "fail", "lifecycle rules: 2"),
        ],
        "eu-west-1 web": [
            ("ECR.1", "fail", "MANUAL"),
            ("ECR.2", "pass", "IMMUTABLE"),
            ("ECR.3", "pass", "lifecycle rules: 1"),
            ("ECR.5", "pass", f"KMS with {KEY_OF_ANOTHER}"),
            ("kms_encrypted", "pass", f"KMS with {KEY_OF_ANOTHER}"),
            ("tagged", "fail", "none but aws:stack=x"),
            ("tagged_images_expire", "pass", "lifecycle rules: 1"),
            ("untagged_images_expire", "pass", "lifecycle rules: 1"),
        ],
        "public cli": [("ECR.4", "pass", "team")],
        "public sdk": [("ECR.4", "fail", "no tags")],
        "us-east-1 bare": [
            ("ECR.1", "fail", "MANUAL"),
            ("ECR.2", "fail", "MUTABLE"),
            ("ECR.3", "fail", "no lifecycle policy"),
            ("ECR.5", "fail", "AES256"),
            ("kms_encrypted", "fail", "AES256"),
            ("tagged", "fail", "no tags"),
            ("tagged_images_expire", "fail", "no lifecycle policy"),
            ("untagged_images_expire", "fail", "no lifecycle policy"),
        ],
        "us-east-1 registry": [("replicated", "fail", "no replication rules")],
        "us-east-1 web": [
            ("ECR.1", "fail", "MANUAL"),
            ("ECR.2", "fail", "MUTABLE"),
            ("ECR.3", "pass", "a lifecycle policy"),
            ("ECR.5", "fail", "AES256"),
            ("kms_encrypted", "fail", "AES256"),
            ("tagged", "fail", "no tags"),
            ("tagged_images_expire", "unknown", "the rules of the lifecycle policy are not known"),
            ("untagged_images_expire", "unknown", "the rules of the lifecycle policy are not known"),
        ],
    }
    assert query(question(11)) == [
        ("eu-west-1", "team/api", "unknown", f"KMS with {KEY}; whose key that is, only kms:DescribeKey tells"),
        ("us-east-1", "bare", "fail", "AES256"),
        ("us-east-1", "web", "fail", "AES256"),
    ]
    assert query(question(12)) == [
        ("eu-west-1", "team/api", "tagged_images_expire", "only images with some tags expire"),
        ("eu-west-1", "team/api", "untagged_images_expire", "lifecycle rules: 2"),
        ("us-east-1", "bare", "ECR.3", "no lifecycle policy"),
        ("us-east-1", "bare", "tagged_images_expire", "no lifecycle policy"),
        ("us-east-1", "bare", "untagged_images_expire", "no lifecycle policy"),
    ]
    assert query(question(14)) == [
        (ACCOUNT, "eu-west-1", "pass", f"to {ACCOUNT}/us-east-1"),
        (ACCOUNT, "us-east-1", "fail", "no replication rules"),
    ]


def test_what_could_not_be_read_neither_passes_nor_fails_and_keeps_what_was_known(
    filled: EcrServer, load: Load, query: Query
) -> None:
    def deny() -> None:
        for operation in OPERATIONS:
            filled.fail(DENIED, operation=operation)

    deny()
    load(**READ)
    assert query("SELECT control, status, as_of FROM ecr_controls WHERE status <> 'unknown' ORDER BY 1, 2") == query(
        "SELECT control, status, as_of FROM ecr_controls WHERE control IN ('ECR.2', 'kms_encrypted')"
        " OR (control = 'ECR.5' AND status <> 'unknown') ORDER BY 1, 2"
    )
    assert query("SELECT DISTINCT as_of FROM ecr_controls WHERE control IN ('ECR.1', 'ECR.3', 'ECR.4', 'tagged')") == [
        (None,)
    ]
    unknown = (
        "lifecycle_policy, has_untagged_rule, has_tagged_cap, repository_policy, tags, image_count, scan_frequency"
    )
    assert query(f"SELECT DISTINCT {unknown} FROM ecr_repository_settings") == [
        ("unknown", None, None, "unknown", None, None, None)
    ]
    filled.recover()
    load(**READ)
    known = controls(query, "status, evidence, as_of IS NULL")
    as_of = query("SELECT DISTINCT as_of FROM ecr_controls WHERE control = 'ECR.3' ORDER BY 1")
    assert sum(row[1] == "unknown" for rows in known.values() for row in rows) == 3
    deny()
    load(**READ)
    assert controls(query, "status, evidence, as_of IS NULL") == known
    assert query("SELECT DISTINCT as_of FROM ecr_controls WHERE control = 'ECR.3' ORDER BY 1") == as_of


def test_a_part_of_what_a_call_tells_is_not_taken_for_all_of_it(filled: EcrServer, load: Load, query: Query) -> None:
    load(tables=["repositories.repositories", "lifecycle_policies", "image_tags"])
    assert query(
        "SELECT repository_name, lifecycle_policy, lifecycle_rule_count, has_untagged_rule, image_count"
        " FROM ecr_repository_settings ORDER BY 1"
    ) == [("team/api", "yes", 2, None, None), ("web", "yes", 1, None, None)]
    assert query("SELECT DISTINCT status FROM ecr_controls WHERE control = 'untagged_images_expire'") == [("unknown",)]
