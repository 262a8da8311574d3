"""The views of history mode: what changed, moved and went, and findings by week."""

from __future__ import annotations

import json
from collections.abc import Callable

from ecr_source.destinations.views.composition import column_meanings
from ecr_source.destinations.views.definition import views
from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import LIFECYCLE_POLICIES, POLICIES, REGISTRY_POLICY, Registry, digest_of
from tests.views.conftest import Load, days_ago
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

TABLES = ["repositories", "images", "policies", "registry", "findings"]

VIEWS = {
    "ecr_changes": "SELECT * FROM ecr_changes ORDER BY changed_at, table_name, repository_name, change, column_name",
    "ecr_tag_moves": "SELECT * FROM ecr_tag_moves ORDER BY repository_name, image_tag, came_at",
    "ecr_deleted_images": "SELECT * FROM ecr_deleted_images ORDER BY repository_name, image_digest",
}

GROWTH = (
    "SELECT repositories, images, bytes_upper_bound, as_of IS NOT NULL FROM ecr_registry_growth"
    " ORDER BY week DESC LIMIT 1"
)


def fill(registry: Registry) -> None:
    """What is there when history begins; of `late` nothing but its name can be read before the second run."""
    for name in ("api", "doomed", "late"):
        registry.put(name)
        registry.lifecycle_policies[name] = json.dumps(LIFECYCLE_POLICIES["team-a/web"])  # untagged, after 14 days
        registry.policies[name] = json.dumps(POLICIES["team-a/web"])
    registry.tags["api"] = {"team": "a"}
    registry.registry_policy = json.dumps(REGISTRY_POLICY)
    registry.put_image("api", digest_of("kept"), ["1.0", "latest"], days_ago(20), imageSizeInBytes=100)
    pulled = {"lastRecordedPullTime": days_ago(2), "imageSizeInBytes": 5}
    registry.put_image("api", digest_of("young"), ["2.0"], days_ago(5), **pulled)
    registry.put_image("api", digest_of("old"), pushed_at=days_ago(50), imageSizeInBytes=50)
    registry.put_image("doomed", digest_of("doomed"), ["1"], days_ago(20), imageSizeInBytes=20)
    registry.put_image("late", digest_of("late"), ["1"], days_ago(20), imageSizeInBytes=7)
    for name, found in (("kept", ("CVE-1", "CVE-2")), ("young", ("CVE-1",))):
        findings = [registry.basic_finding(cve, "openssl", "3", "HIGH") for cve in found]
        registry.scan("api", digest_of(name), findings, completed_at=days_ago(3))


def change(registry: Registry) -> None:
    """What happens between the first run and the second."""
    registry.repositories["api"]["imageTagMutability"] = "IMMUTABLE"
    registry.tags["api"] = {"team": "b"}
    registry.account_settings["BLOB_MOUNTING"] = "ENABLED"
    registry.put("fresh")
    del registry.repositories["doomed"]
    registry.put_image("api", digest_of("new"), ["latest", "3.0"], days_ago(0), imageSizeInBytes=30)
    registry.delete_image("api", digest_of("young"))
    registry.delete_image("api", digest_of("old"))
    registry.scan("api", digest_of("kept"), [registry.basic_finding("CVE-1", "openssl", "3", "HIGH")])


def named(rows: list[Row]) -> list[Row]:
    """Rows with the names that `fill` and `change` gave to images, in place of their digests."""
    known = {digest_of(name): name for name in ("kept", "young", "old", "new", "doomed", "late")}
    return [tuple(known.get(value, value) for value in row) for row in rows]


def test_what_changed_moved_and_went_is_told_once_and_what_was_read_late_is_not_taken_for_new(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry("eu-west-1")
    fill(registry)
    for operation in ("DescribeImages", "GetLifecyclePolicy", "GetRepositoryPolicy", "DescribeImageScanFindings"):
        server.fail(DENIED, operation=operation, repository="late")
    for operation in ("GetRegistryPolicy", "GetSigningConfiguration"):
        server.fail(DENIED, operation=operation)
    load(mode="history", tables=TABLES)
    assert query(VIEWS["ecr_changes"]) == []
    assert query(VIEWS["ecr_deleted_images"]) == []

    assert query(GROWTH) == [(3, 4, 175, True)]

    server.recover()
    change(registry)
    load(mode="history", tables=TABLES, findings_max_age=0)
    arn = "arn:aws:ecr:eu-west-1:123456789012:repository/"
    policy, lifecycle = json.dumps(POLICIES["team-a/web"]), json.dumps(LIFECYCLE_POLICIES["team-a/web"])
    assert query(
        "SELECT table_name, coalesce(repository_name, ''), item, change, column_name, before, after FROM ecr_changes"
        " WHERE table_name <> 'repository_scanning_configurations' ORDER BY table_name, 2"
    ) == [
        ("lifecycle_policies", "doomed", None, "removed", None, lifecycle, None),
        ("policies", "doomed", None, "removed", None, policy, None),
        ("registry_account_settings", "", "BLOB_MOUNTING", "changed", "setting_value", "DISABLED", "ENABLED"),
        ("repositories", "api", None, "changed", "image_tag_mutability", "MUTABLE", "IMMUTABLE"),
        ("repositories", "doomed", None, "removed", None, f"{arn}doomed", None),
        ("repositories", "fresh", None, "added", None, None, f"{arn}fresh"),
        ("repository_tags", "api", "team", "changed", "tag_value", "a", "b"),
    ]
    assert [row for row in query(question(26)) if row[0] != "repository_scanning_configurations"] == [
        ("lifecycle_policies", "doomed", "removed", None, lifecycle, None),
        ("policies", "doomed", "removed", None, policy, None),
        ("registry_account_settings", None, "changed", "setting_value", "DISABLED", "ENABLED"),
        ("repositories", "api", "changed", "image_tag_mutability", "MUTABLE", "IMMUTABLE"),
        ("repositories", "doomed", "removed", None, f"{arn}doomed", None),
        ("repositories", "fresh", "added", None, None, f"{arn}fresh"),
        ("repository_tags", "api", "changed", "tag_value", "a", "b"),
    ]
    assert query("SELECT count(*) FROM ecr_changes WHERE changed_after IS NULL OR changed_after >= changed_at") == [
        (0,)
    ]

    moves = (
        "SELECT repository_name, image_tag, image_digest, previous_image_digest, next_image_digest,"
        " current_image_digest, is_first_known, came_after < came_at, left_at IS NOT NULL"
        " FROM ecr_tag_moves ORDER BY repository_name, image_tag, came_at"
    )
    assert named(query(moves)) == [
        ("api", "1.0", "kept", None, None, "kept", True, None, False),
        ("api", "2.0", "young", None, None, None, True, None, True),
        ("api", "3.0", "new", None, None, "new", False, True, False),
        ("api", "latest", "kept", None, "new", "new", True, None, True),
        ("api", "latest", "new", "kept", None, "new", False, True, False),
        ("doomed", "1", "doomed", None, None, None, True, None, True),
        ("late", "1", "late", None, None, "late", True, None, False),
    ]
    assert query(question(27)) == [("eu-west-1", "api", "latest", True)]

    gone = (
        "SELECT repository_name, image_digest, image_tags, days_since_push, days_since_pull, explanation,"
        " rule_priority, deleted_after < deleted_at FROM ecr_deleted_images ORDER BY repository_name, days_since_push"
    )
    assert named(query(gone)) == [
        ("api", "young", "2.0", 5, 2, "no_rule_fits", None, True),
        ("api", "old", None, 50, None, "possibly_lifecycle", 1, True),
        ("doomed", "doomed", "1", 20, None, "repository_deleted", None, True),
    ]
    assert sorted(named(query(question(28))), key=repr) == [
        ("api", "old", None, 50, "possibly_lifecycle"),
        ("api", "young", "2.0", 5, "no_rule_fits"),
        ("doomed", "doomed", "1", 20, "repository_deleted"),
    ]

    findings = (
        "SELECT severity, sum(opened), sum(opened_with_image), sum(closed), sum(closed_with_image)"
        " FROM ecr_findings_opened_and_closed GROUP BY severity"
    )
    still_open = "SELECT open_at_end FROM ecr_findings_opened_and_closed ORDER BY week DESC LIMIT 1"
    assert query(findings) == [("HIGH", 3, 3, 2, 1)]
    assert query(still_open) == [(1,)]
    by_week = query(question(29))  # two where a week ends between the two runs
    assert {severity for severity, *_ in by_week} == {"HIGH"}
    assert [sum(row[column] for row in by_week) for column in (1, 2)] == [3, 2]

    assert query(GROWTH) == [(3, 3, 137, True)]

    before = {view: query(statement) for view, statement in VIEWS.items()}
    for operation in ("DescribeImages", "GetLifecyclePolicy", "GetRepositoryPolicy", "DescribeImageScanFindings"):
        server.fail(DENIED, operation=operation)
    load(mode="history", tables=TABLES, findings_max_age=0)
    assert {view: query(statement) for view, statement in VIEWS.items()} == before
    assert query(GROWTH) == [(3, 3, 137, True)]
    assert query(findings) == [("HIGH", 3, 3, 2, 1)]
    assert query(still_open) == [(1,)]


def test_columns_that_are_those_of_versions_have_their_meanings() -> None:
    assert column_meanings(views()["ecr_tag_moves"])["image_tag"] == "The tag."
