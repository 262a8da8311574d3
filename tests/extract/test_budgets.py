"""A budget of calls or seconds: a run ends with what is complete, and the next one goes on with what is oldest."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from ecr_source.aws.budget import Budget
from ecr_source.errors import BudgetSpent
from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import DENIED, THROTTLED, EcrServer
from tests.warehouse import ON_EACH

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]
Load = Callable[..., Outcome]

REGIONS = ["eu-west-1", "eu-west-2", "us-east-1"]
LAST_RUN = "run_id = (SELECT max(run_id) FROM extraction_scopes)"
POLICY = '{"rules": []}'


def statuses(query: Query, table: str = "repositories") -> dict[str, str]:
    """The status of the table in each region, in the last run."""
    rows = query(f"SELECT region, status FROM extraction_scopes WHERE table_name = '{table}' AND {LAST_RUN}")
    return dict(rows)


def api_calls(server: EcrServer) -> int:
    """All calls but those that ask who the credentials belong to."""
    return sum(count for name, count in server.calls.items() if name != "GetCallerIdentity")


@pytest.fixture
def three(server: EcrServer) -> EcrServer:
    """Three regions of 30 repositories, listed in three calls each."""
    server.page_size = 10
    for region in REGIONS:
        server.registry(region).fill(30)
    return server


@ON_EACH
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history", "incremental"))
def test_what_a_budget_does_not_reach_keeps_its_rows_and_comes_first_next_time(
    three: EcrServer, load: Load, query: Query, mode: str
) -> None:
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    load(regions=REGIONS, mode=mode)
    for region in REGIONS:
        three.registry(region).put("new", created_at=2_000_000_000)
    seen: set[str] = set()
    for _ in REGIONS:
        outcome = load(regions=REGIONS, mode=mode, max_calls=4, max_in_flight=1)
        complete = {region for region, status in statuses(query).items() if status == "complete"}
        assert len(complete) == 1
        assert len({table.scope for table in outcome.postponed}) == 2
        assert not outcome.incomplete
        seen |= complete
        new = query(f"SELECT region FROM repositories {current or 'WHERE true'} AND repository_name = 'new'")
        assert sorted(new) == sorted((region,) for region in seen)
        assert query(f"SELECT count(*) FROM repositories {current}") == [(90 + len(seen),)]
    assert seen == set(REGIONS)


def test_no_more_calls_are_made_than_the_budget_has(three: EcrServer, load: Load) -> None:
    three.fail(THROTTLED, times=2)
    load(regions=REGIONS, max_calls=7)
    assert api_calls(three) == 7


@ON_EACH
def test_the_next_run_goes_on_with_the_repositories_that_were_not_reached(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    registry.fill(30)
    registry.lifecycle_policies |= dict.fromkeys(registry.repositories, POLICY)
    for reached in (12, 24, 30):
        load(tables=["lifecycle_policies"], max_calls=13, max_in_flight=1)
        assert query("SELECT count(*), count(DISTINCT repository_name) FROM lifecycle_policies") == [(reached, reached)]
    names = sorted(registry.repositories)
    assert query(
        f"SELECT status, excepted_repositories, resumes_at, note FROM extraction_scopes"
        f" WHERE table_name = 'lifecycle_policies' AND {LAST_RUN}"
    ) == [("partial", 18, names[6], "the budget was spent: 18 repositories wait for the next run")]


@ON_EACH
def test_findings_of_images_never_asked_come_before_those_asked_long_ago(
    server: EcrServer, load: Load, query: Query
) -> None:
    server.registry().fill_images(1, 10)
    asked = "SELECT count(*) FROM image_scans WHERE fetch_outcome = 'complete'"
    for reached in (4, 8, 10):
        load(tables=["image_scans"], max_calls=6, max_in_flight=1, findings_max_age=0)
        assert query(asked) == [(reached,)]
        assert query("SELECT count(*) FROM image_scans") == [(10,)]
    assert query("SELECT count(*) FROM image_scans WHERE fetch_outcome = 'not_asked'") == [(0,)]


def test_every_table_has_its_turn_however_small_the_budget_is(server: EcrServer, load: Load, query: Query) -> None:
    registry = server.registry()
    registry.fill_images(12, 2)
    for _ in range(5):
        load(tables=["images", "image_scans"], max_calls=9, max_in_flight=1)
        assert api_calls(server) <= 9
        server.calls.clear()
    # Each run lists the repositories, then half of what is left the images of some, and then asks for findings.
    assert query("SELECT count(*) FROM image_scans WHERE fetch_outcome <> 'not_asked'") >= [(5 * 4 - 1,)]
    assert query("SELECT count(DISTINCT repository_name) FROM images") == [(12,)]


def test_what_is_always_denied_does_not_come_first_for_ever(server: EcrServer, load: Load, query: Query) -> None:
    for region in REGIONS:
        server.registry(region).fill(3)
    server.fail(DENIED, region=REGIONS[0])
    for _ in REGIONS:
        load(regions=REGIONS, max_calls=3, max_in_flight=1)
    assert query("SELECT DISTINCT region FROM repositories ORDER BY ALL") == [(one,) for one in REGIONS[1:]]


def test_seconds_end_a_run_as_calls_do(three: EcrServer, ecr: Ecr, query: Query) -> None:
    done = ecr("run", "--max-seconds", "0", *[f"--region={region}" for region in REGIONS])
    assert done.returncode == 4, done.stderr
    assert "the budget was spent: the next run begins with what it did not reach in 3 scopes" in done.stdout
    assert set(statuses(query).values()) == {"postponed"}
    assert ecr("run", *[f"--region={region}" for region in REGIONS]).returncode == 0
    assert set(statuses(query).values()) == {"complete"}


def test_a_clock_ends_the_budget_of_seconds() -> None:
    now = 100.0
    budget = Budget(max_seconds=5, clock=lambda: now)
    budget.take()
    now = 104.9
    budget.take()
    now = 105.0
    with pytest.raises(BudgetSpent):
        budget.take()


def test_a_negative_budget_is_refused(ecr: Ecr) -> None:
    done = ecr("run", env={"SOURCES__ECR__MAX_CALLS": "-1"})
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "ecr-source: a budget of -1 calls is negative: give a number from 0 on"
