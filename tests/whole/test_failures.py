"""Failures stay where they are: what fails in one scope leaves its rows alone, and all others are as a fresh load.

A story is one database that is loaded five times while registries change. From the second load to the fourth each
account has a failure of its own; at the fifth all is well again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.table import Table
from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import DENIED, RESET, EcrServer, Registry, basic_finding, serving
from tests.server.registry import CREATED_AT, PUSHED_AT, SCANNED_AT, digest_of
from tests.whole.scope_contents import (
    ATTEMPTS,
    Contents,
    Database,
    Loaded,
    check_rows,
    environment,
    impatient,
    keys,
    overlaps,
)

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]

MODES = first_by_day("snapshot", "history", "incremental")
REGION = "eu-west-1"
LATER = 1_000_000.0
REPOSITORIES = 6

REGION_DENIED = Scope("111111111111", "us-west-2")
ABSENT = Scope("111111111111", "us-west-1")
UNTOUCHED = Scope("111111111111", REGION)
ROLE_REFUSED = Scope("222222222222", REGION)
KEYS_EXPIRED = Scope("333333333333", REGION)
ROLE_WITHDRAWN = Scope("444444444444", "eu-west-2")
ENDPOINT_DEAD = Scope("555555555555", "us-east-2")
REPOSITORY_VANISHED = Scope("555555555555", "eu-central-1")

FAILED = [REGION_DENIED, ROLE_REFUSED, KEYS_EXPIRED, ROLE_WITHDRAWN, ENDPOINT_DEAD]
SCOPES = [*FAILED, REPOSITORY_VANISHED, ABSENT, UNTOUCHED]

VANISHING = "team/0"
OPERATIONS = ("DescribeRepositories", "DescribeImages", "GetLifecyclePolicy", "DescribeImageScanFindings")
TABLES = ["repositories.repositories", "images.images", "lifecycle_policies", "image_scans", "image_scan_findings"]

ERRORS = {
    REGION_DENIED: ("AccessDeniedException", "denied"),
    ROLE_REFUSED: ("AccessDenied", "denied"),
    KEYS_EXPIRED: ("ExpiredTokenException", "failed"),
    ROLE_WITHDRAWN: ("AccessDenied", "failed"),
    ENDPOINT_DEAD: ("ConnectionClosedError", "failed"),
}


def role(account: str) -> str:
    return f"arn:aws:iam::{account}:role/reader"


def furnish(registry: Registry, name: str, phase: int) -> None:
    """A repository with a lifecycle policy and a scanned image, with the values of the phase."""
    now = LATER * phase
    registry.put(name, CREATED_AT + now)
    registry.lifecycle_policies[name] = f'{{"rules": [], "phase": {phase}}}'
    push(registry, name, phase)


def push(registry: Registry, name: str, phase: int) -> None:
    digest, now = digest_of(f"image {phase} of {name}"), LATER * phase
    registry.put_image(
        name, digest, pushed_at=PUSHED_AT + now, imageScanFindingsSummary={"imageScanCompletedAt": SCANNED_AT + now}
    )
    registry.scan(name, digest, [basic_finding("CVE-2025-1", "zlib", f"1.{phase}")], completed_at=SCANNED_AT + now)


def change(server: EcrServer, phase: int) -> None:
    """Before each load, in each scope, repositories and images come, change and go."""
    for scope in SCOPES:
        registry = server.registry(scope.region, scope.registry_id)
        if phase == 0:
            for number in range(REPOSITORIES):
                furnish(registry, f"team/{number}", 0)
            continue
        furnish(registry, f"new/{phase}", phase)
        push(registry, "team/1", phase)
        registry.lifecycle_policies["team/2"] = f'{{"rules": [], "phase": {phase}}}'
        registry.repositories.pop(f"team/{phase + 2}", None)


def recover(server: EcrServer) -> None:
    """All accounts and regions can be read."""
    server.recover()
    server.before_answer = lambda operation, call: None
    for account in {scope.registry_id for scope in SCOPES}:
        server.add_role(role(account))
        server.enabled_regions[account] = [scope.region for scope in SCOPES if scope.registry_id == account]


def fail(server: EcrServer) -> None:
    """Each account has its failure; those that set in half-way let the listing and some calls through."""
    server.remove_role(role(ROLE_REFUSED.registry_id))
    server.add_role(role(KEYS_EXPIRED.registry_id), calls=5)
    server.add_role(role(ROLE_WITHDRAWN.registry_id), seconds=60)
    server.enabled_regions[ABSENT.registry_id].remove(ABSENT.region)
    for operation in OPERATIONS:
        server.fail(DENIED, operation=operation, region=REGION_DENIED.region)
    for operation in ("DescribeImages", "GetLifecyclePolicy"):
        server.fail(RESET, operation=operation, region=ENDPOINT_DEAD.region, after=2)
    server.fail(RESET, operation="DescribeImageScanFindings", region=ENDPOINT_DEAD.region)
    server.before_answer = lambda operation, call: fail_half_way(server, operation)


def fail_half_way(server: EcrServer, operation: str) -> None:
    """Withdraws the role, deletes the repository, when their region is asked for what follows on the listing."""
    _, region, parameters = server.requests[-1]
    if region == ROLE_WITHDRAWN.region and operation == "DescribeImages" and parameters["repositoryName"] == "team/2":
        server.remove_role(role(ROLE_WITHDRAWN.registry_id))
    if region == REPOSITORY_VANISHED.region and parameters.get("repositoryName") == VANISHING:
        registry = server.registry(region, REPOSITORY_VANISHED.registry_id)
        registry.repositories.pop(VANISHING, None)


@dataclass(frozen=True)
class Phase:
    """A load, what the registries would have given, and all versions of the rows, where the mode keeps them."""

    loaded: Loaded
    undisturbed: Contents
    versions: Contents


@dataclass(frozen=True)
class Story:
    tables: list[Table]
    phases: list[Phase]

    @property
    def failing(self) -> list[tuple[Phase, Phase]]:
        """The loads in which all fails, each with the one before it."""
        return list(pairwise(self.phases[:-1]))


def play(folder: Path, mode: str, undisturbed: dict[int, Contents]) -> Story:
    """The story of a mode; what is `undisturbed` in each phase is the same for all modes."""
    with serving() as server, environment(folder), impatient():
        recover(server)
        arguments = {
            "endpoint_url": server.url,
            "regions": ["all"],
            "role_arns": sorted({role(scope.registry_id) for scope in SCOPES}),
            "tables": TABLES,
            "mode": mode,
        }
        database = Database(folder, arguments)
        phases: list[Phase] = []
        for number in range(5):
            recover(server)
            change(server, number)
            if number not in undisturbed:
                undisturbed[number] = database.undisturbed()
            if 0 < number < 4:
                fail(server)
            loaded = database.load()
            versions = database.contents("_dlt_valid_from", "_dlt_valid_to") if mode == "history" else {}
            phases.append(Phase(loaded, undisturbed[number], versions))
        return Story(database.tables, phases)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Story]:
    """The story of a mode, played when it is first asked for."""
    undisturbed: dict[int, Contents] = {}
    return cache(lambda mode: play(tmp_path_factory.mktemp(mode), mode, undisturbed))


@pytest.fixture(params=MODES)
def story(request: pytest.FixtureRequest, stories: Callable[[str], Story]) -> Story:
    """Of each mode."""
    return stories(request.param)


@pytest.fixture(params=MODES[:2])
def mirror(request: pytest.FixtureRequest, stories: Callable[[str], Story]) -> Story:
    """Of each mode in which deletions are seen."""
    return stories(request.param)


def test_what_nobody_asked_or_could_ask_stays_exactly_as_it_was(story: Story) -> None:
    for before, after in story.failing:
        for place in ((table.name, scope) for table in story.tables for scope in (REGION_DENIED, ROLE_REFUSED, ABSENT)):
            assert before.loaded.contents[place]
            assert after.loaded.contents[place] == before.loaded.contents[place]
            assert after.versions.get(place) == before.versions.get(place)


@pytest.mark.parametrize("scope", [KEYS_EXPIRED, ROLE_WITHDRAWN, ENDPOINT_DEAD], ids=["keys", "role", "endpoint"])
def test_of_what_fails_half_way_each_repository_is_as_it_is_or_as_it_was(mirror: Story, scope: Scope) -> None:
    for before, after in mirror.failing:
        check_rows(mirror.tables, scope, after.loaded, before.loaded.contents, after.undisturbed)
        assert {after.loaded.statuses[table.name, scope] for table in mirror.tables} > {"complete"}


def test_the_other_region_of_an_account_is_as_a_fresh_load(mirror: Story) -> None:
    for _, after in mirror.failing:
        for place in ((table.name, UNTOUCHED) for table in mirror.tables):
            assert after.loaded.statuses[place] == "complete"
            assert after.loaded.contents[place] == after.undisturbed[place]


def test_a_repository_that_vanishes_half_way_leaves_nothing_but_its_place_in_the_listing(mirror: Story) -> None:
    _, after = mirror.failing[0]
    for table in mirror.tables:
        place = (table.name, REPOSITORY_VANISHED)
        assert after.loaded.statuses[place] == "complete"
        is_listing = table.name == "repositories"
        fresh = [row for row in after.undisturbed[place] if is_listing or row["repository_name"] != VANISHING]
        assert after.loaded.contents[place] == fresh


@pytest.mark.parametrize("scope", ERRORS, ids=str)
def test_the_ledger_names_what_failed(story: Story, scope: Scope) -> None:
    place = Scope(scope.registry_id, "all") if scope == ROLE_REFUSED else scope
    for _, after in story.failing:
        assert ERRORS[scope] in {(error["error_code"], error["status"]) for error in after.loaded.errors[place]}
        assert {status for (_, where), status in after.loaded.statuses.items() if where == place} - {"complete"}


def test_no_error_is_told_of_a_scope_in_which_nothing_failed(story: Story) -> None:
    for _, after in story.failing:
        failed = {Scope(scope.registry_id, "all") if scope == ROLE_REFUSED else scope for scope in FAILED}
        assert after.loaded.errors.keys() == failed


def test_the_run_after_the_recovery_makes_all_as_a_fresh_load(mirror: Story) -> None:
    recovered = mirror.phases[-1]
    assert set(recovered.loaded.statuses.values()) == {"complete"}
    assert recovered.loaded.contents == recovered.undisturbed


@pytest.mark.nightly
def test_history_has_one_open_version_for_each_key_and_none_that_overlap(stories: Callable[[str], Story]) -> None:
    story = stories("history")
    for table in story.tables:
        for scope in SCOPES:
            assert overlaps(table, story.phases[-1].versions[table.name, scope]) == []


@pytest.mark.nightly
def test_incremental_appends_each_row_once_and_skips_none(stories: Callable[[str], Story]) -> None:
    story = stories("incremental")
    for table in (table for table in story.tables if table.cursor or table.name == "image_scan_findings"):
        for scope in SCOPES:
            found = keys(table, story.phases[-1].loaded.contents[table.name, scope])
            first, last = (phase.undisturbed[table.name, scope] for phase in (story.phases[0], story.phases[-1]))
            assert Counter(found) == Counter({*keys(table, first), *keys(table, last)}), (table.name, scope)


def test_incremental_appends_once_what_it_missed_where_the_next_run_misses_others(
    server: EcrServer, load: Load, query: Query
) -> None:
    for name in ("api", "web"):
        furnish(server.registry(), name, 0)
    images = {"tables": ["images.images"], "mode": "incremental"}
    load(**images)
    push(server.registry(), "web", 1)
    for denied in ("web", "api"):
        server.fail(DENIED, operation="DescribeImages", repository=denied)
        load(**images)
        server.recover()
    load(**images)
    assert query("SELECT repository_name, count(*) FROM images GROUP BY ALL ORDER BY ALL") == [("api", 1), ("web", 2)]


def test_an_endpoint_that_dies_is_given_up_and_not_asked_for_each_repository(
    server: EcrServer, load: Load, query: Query
) -> None:
    server.registry().fill(60)
    for operation in ("DescribeImages", "GetLifecyclePolicy"):
        server.fail(RESET, operation=operation, after=2)
    with impatient():
        load(tables=["repositories.repositories", "images.images", "lifecycle_policies"], max_in_flight=4)
    # One of the good answers may come late, and the count of those without one then begins anew.
    counted_before, unanswered_until_given_up, still_under_way = 3, 5, 3
    calls = server.calls["DescribeImages"] + server.calls["GetLifecyclePolicy"]
    attempts = 1 + ATTEMPTS  # libcurl's, and botocore's
    assert calls <= 4 + (counted_before + unanswered_until_given_up + still_under_way) * attempts
    assert query("SELECT count(*) FROM extraction_errors WHERE message LIKE '%does not answer any more%'") == [(2,)]
    assert query("SELECT table_name, status FROM extraction_scopes ORDER BY ALL") == [
        ("images", "partial"),
        ("lifecycle_policies", "partial"),
        ("repositories", "complete"),
    ]
