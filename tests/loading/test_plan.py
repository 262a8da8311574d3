"""A plan says what a run with the same options would cost now, and costs a listing."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from ecr_source import catalog
from tests.conftest import Row
from tests.nightly import at_night
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import basic_finding, enhanced_finding
from tests.warehouse import POSTGRES_AT_NIGHT

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]

BOTH = ("--region", "eu-west-1", "--region", "us-east-1")
PER_IMAGE = ("--table", "repositories", "--table", "images", "--table", "findings", "--table", "image_status")
DEFAULT = {"SOURCES__ECR__TABLES": None}


class Planned(NamedTuple):
    """A line of a plan."""

    scope: str
    group: str
    calls: int
    note: str


@pytest.fixture
def maximal(server: EcrServer) -> EcrServer:
    server.registry().maximal()
    return server


@pytest.fixture
def two_regions(server: EcrServer) -> EcrServer:
    """Six repositories of four scanned images each in two regions, and one with three images of which one was."""
    for region in ("eu-west-1", "us-east-1"):
        registry = server.registry(region)
        registry.fill_images(6, 4)
        registry.put("base")
        for number in range(3):
            registry.put_image("base", f"sha256:{number}", [f"v{number}"])
        registry.scan("base", "sha256:0", [basic_finding("CVE-1", "openssl", "1.1")])
    return server


WHAT_RUNS = {operation.name for table in catalog.LISTINGS for operation in table.operations}
"""The operations that tell what to ask ECS and Lambda for; nothing is loaded of it."""


def planned(done: subprocess.CompletedProcess[str]) -> list[Planned]:
    """The lines of a plan, the one of the sum last."""
    assert done.returncode == 0, done.stderr
    lines = [re.split(r"\s{2,}", line) for line in done.stdout.splitlines()[1:]]
    cells = [[*line, ""] if line[0] != "all" else ["all", "", *line[1:], ""] for line in lines if len(line) > 1]
    return [Planned(scope, group, int(calls.replace(",", "")), note) for scope, group, calls, _, note, *_ in cells]


def calls_planned(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The calls of each group, in all scopes."""
    sums: dict[str, int] = {}
    for line in planned(done)[:-1]:
        sums[line.group] = sums.get(line.group, 0) + line.calls
    return sums


def calls_made(server: EcrServer) -> int:
    """The calls since the last time, but for those that ask who the caller is."""
    made = server.calls.total() - server.calls["GetCallerIdentity"]
    server.calls.clear()
    return made


def test_a_plan_lists_repositories_and_what_runs_and_does_nothing_else(ecr: Ecr, maximal: EcrServer) -> None:
    groups = {line.group: line.note for line in planned(ecr("plan", "--table", "all"))[:-1]}
    repositories = {"DescribeRepositories": 1, "ecr-public:DescribeRepositories": 1}
    what_runs = {name: maximal.calls[name] for name in WHAT_RUNS}
    assert maximal.calls == {"GetCallerIdentity": 1, **repositories, **what_runs}
    assert {group for group, note in groups.items() if note.startswith("at least")} == {
        *("images", "registry", "findings", "image_status", "usage", "previews", "public")
    }


def test_a_plan_is_of_the_tables_of_the_run_and_says_how_to_see_others(ecr: Ecr, maximal: EcrServer) -> None:
    plans = [ecr(*command, env=DEFAULT) for command in (["plan"], ["run", "--dry-run"])]
    assert planned(plans[0]) == planned(plans[1])
    assert set(calls_planned(plans[0])) == set(catalog.DEFAULT_GROUPS)
    count = len(maximal.registry().repositories)
    assert f"up to {count} calls for images, which were never loaded" in plans[0].stdout
    assert all("ecr-source plan --table all" in done.stdout for done in plans)
    assert "--table all" not in ecr("plan", "--table", "images").stdout


@pytest.mark.parametrize("group", ["repositories", "images", "policies", "registry", "previews", "public"])
def test_a_run_makes_the_calls_that_were_planned(ecr: Ecr, maximal: EcrServer, group: str) -> None:
    calls = calls_planned(ecr("plan", "--table", group))
    maximal.calls.clear()
    assert ecr("run", "--table", group).returncode == 0
    # The results of backfills are listed for each, and how many there are is not known from the repositories.
    del maximal.calls["DescribeReplicationBackfillResults"]
    assert calls == {group: calls_made(maximal)}


NARROW = ("--repository", "team-[0-2]/*", "--repository", "base", "--findings-max-age", "0")


@POSTGRES_AT_NIGHT
@pytest.mark.parametrize(
    ("before", "options"),
    [
        (("--table", "images"), PER_IMAGE),
        at_night(("--table", "default,image_status"), ("--table", "default,image_status")),
        at_night(("--table", "images"), (*PER_IMAGE, "--findings-latest", "2", "--findings-tag", "v*")),
        at_night(("--table", "findings"), ("--table", "findings")),
        (PER_IMAGE, (*PER_IMAGE, *NARROW)),
        pytest.param(
            ("--table", "all", "--mode", "history"),
            ("--table", "all", "--mode", "history", "--findings-max-age", "0"),
            marks=pytest.mark.nightly,
        ),
    ],
    ids=" ".join,
)
def test_a_run_makes_about_the_calls_that_were_planned_by_what_is_loaded(
    ecr: Ecr, two_regions: EcrServer, query: Query, before: tuple[str, ...], options: tuple[str, ...]
) -> None:
    assert ecr("run", *before, *BOTH).returncode == 0
    two_regions.calls.clear()
    plan = planned(ecr("plan", *options, *BOTH))
    listings = {"DescribeRepositories", "ecr-public:DescribeRepositories"}
    # The last one says whether Inspector can tell what runs an image.
    others = {"GetCallerIdentity", "GetRegistryScanningConfiguration", *WHAT_RUNS}
    assert two_regions.calls.keys() <= {*listings, *others}
    two_regions.calls.clear()
    assert ecr("run", *options, *BOTH).returncode == 0
    made = calls_made(two_regions)
    assert plan[-1].calls == pytest.approx(made, rel=0.05)
    last = "(SELECT max(run_id) FROM extraction_scopes)"
    assert query(f"SELECT sum(calls) FROM extraction_scopes WHERE run_id = {last}") == [(made,)]


def test_an_image_that_was_asked_several_times_is_planned_once(ecr: Ecr, server: EcrServer) -> None:
    server.registry().put("base")
    server.registry().scan("base", server.registry().put_image("base")["imageDigest"], [])
    options = ("--table", "findings", "--mode", "incremental", "--findings-max-age", "0")
    for _ in range(3):
        assert ecr("run", *options).returncode == 0
    plan = planned(ecr("plan", *options))
    server.calls.clear()
    assert ecr("run", *options).returncode == 0
    assert plan[-1].calls == calls_made(server)


def test_pages_of_images_are_planned_once_there_were_images(ecr: Ecr, server: EcrServer) -> None:
    server.registry().fill_images(2, 2001)
    (first, _) = planned(ecr("plan", "--table", "images"))
    assert (first.calls, first.note.partition(";")[0]) == (3, "at least")
    assert ecr("run", "--table", "images").returncode == 0
    (second, everything) = planned(ecr("plan", "--table", "images"))
    assert (second.calls, second.note, everything.calls) == (7, "", 7)
    server.calls.clear()
    assert ecr("run", "--table", "images").returncode == 0
    assert calls_made(server) == 7


def test_what_inspector_tells_is_planned(ecr: Ecr, server: EcrServer) -> None:
    registry = server.registry()
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": []}
    registry.put("api")
    for _ in range(3):
        digest = registry.put_image("api")["imageDigest"]
        registry.scan("api", digest, enhanced=[enhanced_finding(f"CVE-{one}") for one in range(50)], status="ACTIVE")
    command = ("--table", "images", "--table", "findings", "--findings-from", "inspector2")
    assert ecr("run", *command).returncode == 0
    plan = calls_planned(ecr("plan", *command))
    server.calls.clear()
    assert ecr("run", *command).returncode == 0
    assert server.calls["ListFindings"] == 2
    assert sum(plan.values()) == calls_made(server)


def test_what_stands_in_for_a_denied_operation_is_planned_once_it_was_denied(ecr: Ecr, server: EcrServer) -> None:
    server.registry().fill(7)
    server.fail(DENIED, operation="GetResources")
    for _ in range(2):
        plan = calls_planned(ecr("plan", "--table", "repositories"))
        server.calls.clear()
        assert ecr("run", "--table", "repositories").returncode == 0
    assert plan == {"repositories": calls_made(server)} == {"repositories": 10}


def test_a_budget_ends_the_planned_run(ecr: Ecr, maximal: EcrServer) -> None:
    assert "--max-calls ends the run after 2 of them" in ecr("plan", "--table", "images", "--max-calls", "2").stdout


def test_a_region_that_cannot_be_listed_is_named(ecr: Ecr, maximal: EcrServer) -> None:
    maximal.fail(DENIED)
    done = ecr("plan", "--table", "images")
    assert done.returncode == 3
    assert "123456789012/eu-west-1" in done.stdout
    assert "access denied" in done.stdout


def test_a_repository_that_no_region_has_is_named(ecr: Ecr, two_regions: EcrServer) -> None:
    two_regions.registry("us-east-1").put("team-x/api")
    done = ecr("plan", *BOTH, "--repository", "team-x/*", "--repository", "team-y/*")
    assert done.returncode == 1
    assert done.stdout.count("no repository that could be listed matches") == 1
    assert "team-y/*" in done.stdout


def test_a_plan_loads_nothing(ecr: Ecr, maximal: EcrServer, database: Path) -> None:
    assert ecr("plan", "--table", "all").returncode == 0
    with duckdb.connect(database, read_only=True) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []
