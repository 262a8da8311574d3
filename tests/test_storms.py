"""Storms: a share of all calls fails. A run ends right or says exactly what is missing; it deletes nothing wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from ecr_source.catalog.table import Table
from ecr_source.scopes import Scope
from tests.ecr_server import BROKEN, CUT, RESET, THROTTLED, TRUNCATED, EcrServer, Registry, basic_finding, serving
from tests.registry import CREATED_AT, PUSHED_AT, SCANNED_AT, digest_of
from tests.registry_changes import lifecycle_policy, policy
from tests.scope_contents import (
    Contents,
    Database,
    Loaded,
    Rows,
    environment,
    impatient,
    keys,
    names_of,
    operations_for,
    repository_of,
)

SHARES = {"111111111111": 0.01, "222222222222": 0.1, "333333333333": 0.5}
KINDS = {"eu-west-1": BROKEN, "us-east-1": RESET, "us-west-2": TRUNCATED, "ap-south-1": THROTTLED}
"""Each account has a share, each region a kind of its own: each scope its own storm."""

MIX = [*KINDS.values(), CUT]
TABLES = [
    "repositories.repositories",
    "repository_tags",
    "repository_scanning_configurations",
    "images.images",
    "image_tags",
    "policies.policies",
    "policy_statements",
    "lifecycle_policies",
    "lifecycle_policy_rules",
    "image_scans",
    "image_scan_findings",
]
REPOSITORIES = 12
LATER = 1_000_000.0
Storm: TypeAlias = Callable[[EcrServer], None]

NOT_ANSWERED = {"call_failed", "not_asked"}


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/reader"


def furnish(registry: Registry, name: str, phase: int) -> None:
    """A repository with policies, tags and two scanned images, with the values of the phase."""
    registry.put(name, CREATED_AT + LATER * phase, imageTagMutability=("MUTABLE", "IMMUTABLE")[phase])
    registry.tags[name] = {"team": name, "stage": f"phase {phase}"}
    registry.policies[name] = json.dumps(policy(phase))
    registry.lifecycle_policies[name] = json.dumps(lifecycle_policy(phase))
    for kind in ("app", f"web of phase {phase}"):
        push(registry, name, kind, phase)


def push(registry: Registry, name: str, kind: str, phase: int) -> None:
    """Pushes an image, or finds other things in it."""
    digest = digest_of(f"{kind} of {name}")
    scanned_at = SCANNED_AT + LATER * phase
    summary = {"imageScanCompletedAt": scanned_at, "findingSeverityCounts": {"HIGH": 1 + phase}}
    registry.put_image(
        name, digest, [kind.replace(" ", "-")], PUSHED_AT + LATER * phase, imageScanFindingsSummary=summary
    )
    findings = [basic_finding(f"CVE-2025-{number}", "openssl", f"3.{phase}") for number in range(1 + phase)]
    registry.scan(name, digest, findings, completed_at=scanned_at)


def fill(server: EcrServer, scopes: Sequence[Scope]) -> None:
    """Registries as they are before the storm."""
    for scope in scopes:
        registry = server.registry(scope.region, scope.registry_id)
        for number in range(REPOSITORIES):
            furnish(registry, f"team/{number:02}", 0)


def change(server: EcrServer, scopes: Sequence[Scope]) -> None:
    """What happens to the registries before the storm: repositories and images come, change and go."""
    for scope in scopes:
        registry = server.registry(scope.region, scope.registry_id)
        del registry.repositories["team/00"]
        del registry.repositories["team/01"]
        furnish(registry, "team/01", 1)
        furnish(registry, "team/new", 1)
        registry.put("team/02", CREATED_AT, imageTagMutability="IMMUTABLE")
        del registry.policies["team/02"], registry.lifecycle_policies["team/03"]
        registry.policies["team/04"] = json.dumps(policy(1))
        registry.tags["team/05"] = {"stage": "moved"}
        registry.delete_image("team/06", digest_of("app of team/06"))
        push(registry, "team/07", "pushed", 1)
        push(registry, "team/08", "app", 1)


@dataclass(frozen=True)
class Story:
    """A calm load, a load in the storm after the registries have changed, and a load after the storm.

    `undisturbed` is what a load into a new database would have given in the storm's place.
    """

    tables: list[Table]
    earlier: Contents
    undisturbed: Contents
    stormy: Loaded
    recovered: Loaded
    versions: Contents
    """All versions of all rows, where the mode keeps them, with their `_dlt_valid_from` and `_dlt_valid_to`."""


def weather(folder: Path, mode: str, accounts: Sequence[str], regions: Sequence[str], storm: Storm) -> Story:
    with serving() as server, environment(folder), impatient():
        for account in accounts:
            server.add_role(role(account))
        scopes = [Scope(account, region) for account in accounts for region in regions]
        arguments = {
            "endpoint_url": server.url,
            "regions": list(regions),
            "role_arns": [role(account) for account in accounts],
            "tables": TABLES,
            "mode": mode,
            "findings_max_age": 0,
        }
        database = Database(folder, arguments)
        fill(server, scopes)
        earlier = database.load().contents
        change(server, scopes)
        undisturbed = database.undisturbed()
        storm(server)
        stormy = database.load()
        server.recover()
        recovered = database.load()
        versions = database.contents("_dlt_valid_from", "_dlt_valid_to") if mode == "history" else {}
        return Story(database.tables, earlier, undisturbed, stormy, recovered, versions)


def storm_of_each_scope(server: EcrServer) -> None:
    for account, share in SHARES.items():
        for region, answer in KINDS.items():
            server.storm(share, [answer], account=account, region=region)


def storm_of_everything(server: EcrServer) -> None:
    server.storm(0.1, MIX)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return weather(tmp_path_factory.mktemp("storm"), "snapshot", list(SHARES), list(KINDS), storm_of_each_scope)


each_share = pytest.mark.parametrize("share", SHARES.values())
each_kind = pytest.mark.parametrize("region", KINDS, ids=["answered by 500", "reset", "truncated", "throttled"])


def scope_of(share: float, region: str) -> Scope:
    return Scope(next(account for account, its in SHARES.items() if its == share), region)


@each_share
@each_kind
def test_a_storm_deletes_nothing_and_what_it_hides_is_named(story: Story, share: float, region: str) -> None:
    check_rows(story, scope_of(share, region))


@each_share
@each_kind
def test_the_run_after_the_storm_makes_all_as_it_is(story: Story, share: float, region: str) -> None:
    scope = scope_of(share, region)
    for table in story.tables:
        place = (table.name, scope)
        assert story.recovered.statuses[place] == "complete"
        assert story.recovered.contents.get(place, []) == story.undisturbed.get(place, []), table.name


def check_rows(story: Story, scope: Scope) -> None:
    """Each repository is as it is now or, where an error names it, as it was; each table is as its status says."""
    for table in story.tables:
        place = (table.name, scope)
        status = story.stormy.statuses[place]
        rows, before, after = (
            contents.get(place, []) for contents in (story.stormy.contents, story.earlier, story.undisturbed)
        )
        errors = story.stormy.errors.get(scope, ())
        named = names_of(error for error in errors if error["operation"] in operations_for(table))
        assert len(set(keys(table, rows))) == len(rows), f"{place} has rows twice"
        assert named or status == "complete", f"{place} is {status}, and no error says why"
        if status == "complete":
            assert rows == after, f"{place} is complete, and not as it is undisturbed"
        elif status != "partial" and not table.operation.again:
            assert rows == before, f"{place} is {status}, and not as it was"
        check_parts(table, named, rows, before, after)


def check_parts(table: Table, named: set[str], rows: Rows, before: Rows, after: Rows) -> None:
    """The rows of what was read are those of now, the rows of what an error names those of before."""
    now, was, is_now = (by_part(table, some) for some in (rows, before, after))
    for part in now.keys() | was.keys() | is_now.keys():
        if now.get(part) == is_now.get(part):
            continue
        assert named & {part[0], ""}, f"{table.name} of {part} differs, and no error names it"
        unanswered = [row.get("fetch_outcome") in NOT_ANSWERED for row in now.get(part, ())]
        assert now.get(part) == was.get(part) or unanswered == [True], f"{table.name} of {part} is not as it was"


def by_part(table: Table, rows: Rows) -> dict[tuple[str, str], Rows]:
    """The rows of each repository; where each image is asked, of each image."""
    found: dict[tuple[str, str], Rows] = {}
    for row in rows:
        digest = row["image_digest"] if table.operation.again else ""
        found.setdefault((repository_of(row), digest), []).append(row)
    return found
