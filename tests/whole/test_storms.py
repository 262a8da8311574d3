"""Storms: a share of all calls fails. A run ends right or says exactly what is missing; it deletes nothing wrongly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.table import Table
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import (
    BROKEN,
    CUT,
    RESET,
    THROTTLED,
    TRUNCATED,
    EcrServer,
    Registry,
    basic_finding,
    serving,
)
from tests.server.registry import CREATED_AT, PUSHED_AT, SCANNED_AT, digest_of
from tests.whole.registry_changes import lifecycle_policy, policy
from tests.whole.scope_contents import (
    Contents,
    Database,
    Loaded,
    Rows,
    check_rows,
    environment,
    impatient,
    keys,
    overlaps,
)

SHARES = {"111111111111": 0.01, "222222222222": 0.1, "333333333333": 0.5}
KINDS = {"eu-west-1": BROKEN, "us-east-1": RESET, "us-west-2": TRUNCATED, "ap-south-1": THROTTLED}
"""Each account has a share, each region a kind of its own: each scope its own storm."""

MIXED = ("444444444444", "eu-west-1", "us-east-1")
"""The account and the regions that a storm of all kinds takes."""

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
    scopes: list[Scope]
    earlier: Contents
    undisturbed: Contents
    stormy: Loaded
    recovered: Loaded
    versions: Contents
    """All versions of all rows, where the mode keeps them, with their `_dlt_valid_from` and `_dlt_valid_to`."""
    struck: dict[str, int]
    """How many calls of each account the storm met."""


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
        struck = {account: server.struck(account) for account in accounts}
        server.recover()
        recovered = database.load()
        versions = database.contents("_dlt_valid_from", "_dlt_valid_to") if mode == "history" else {}
        return Story(database.tables, scopes, earlier, undisturbed, stormy, recovered, versions, struck)


def storm_of_each_scope(server: EcrServer) -> None:
    for account, share in SHARES.items():
        for region, answer in KINDS.items():
            server.storm(share, [answer], account=account, region=region)


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
    scope = scope_of(share, region)
    assert story.struck[scope.registry_id]
    check_rows(story.tables, scope, story.stormy, story.earlier, story.undisturbed)


@each_share
@each_kind
def test_the_run_after_the_storm_makes_all_as_it_is(story: Story, share: float, region: str) -> None:
    scope = scope_of(share, region)
    for table in story.tables:
        place = (table.name, scope)
        assert story.recovered.statuses[place] == "complete"
        assert story.recovered.contents.get(place, []) == story.undisturbed.get(place, []), table.name


def storm_of_everything(server: EcrServer) -> None:
    # The dice of this seed hide the images of a repository, and findings of others.
    server.storm(0.3, MIX, seed=1)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Story]:
    """The story of a mode in a storm of all kinds, roles and identities included, told when it is first asked for."""
    return cache(lambda mode: weather(tmp_path_factory.mktemp(mode), mode, MIXED[:1], MIXED[1:], storm_of_everything))


@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
def test_a_storm_of_all_kinds_deletes_nothing(stories: Callable[[str], Story], mode: str) -> None:
    story = stories(mode)
    assert {"images", "image_scans"} <= partial(story)
    for scope in story.scopes:
        check_rows(story.tables, scope, story.stormy, story.earlier, story.undisturbed)
    assert story.recovered.contents == story.undisturbed


@pytest.mark.nightly
def test_history_is_whole_after_a_storm(stories: Callable[[str], Story]) -> None:
    story = stories("history")
    for table in story.tables:
        for scope in story.scopes:
            assert overlaps(table, story.versions[table.name, scope]) == []


@pytest.mark.nightly
def test_incremental_has_each_row_once_after_a_storm(stories: Callable[[str], Story]) -> None:
    story = stories("incremental")
    assert {"images", "image_scans"} <= partial(story)
    for table in story.tables:
        for place in ((table.name, scope) for scope in story.scopes):
            before, after, found = story.earlier[place], story.undisturbed[place], story.recovered.contents[place]
            if table.cursor is None:
                assert [row for row in after if row not in found] == [], place
            else:
                assert Counter(moments(table, found)) == Counter({*moments(table, before), *moments(table, after)})


def partial(story: Story) -> set[str]:
    return {table for (table, _), status in story.stormy.statuses.items() if status == "partial"}


def moments(table: Table, rows: Rows) -> list[Row]:
    """The key of each row, and its time."""
    return [(*key, row[table.cursor or ""]) for key, row in zip(keys(table, rows), rows, strict=True)]
