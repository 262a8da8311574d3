"""An organization of 17,000 scopes is read at the rate that is granted, and docs/scale.md says what came of it."""

from __future__ import annotations

from dataclasses import replace
from difflib import unified_diff

import dlt
import pytest

from ecr_source import ecr_source, read_outcome
from tests.pages.scale import Organization, Task, calls_of_scope, makespan, run_all, tasks_of
from tests.pages.scale_page import PAGE, page
from tests.server.ecr_server import EcrServer

SMALL = Organization(accounts=20)
"""340 scopes, distributed as those of the whole organization."""


@pytest.mark.parametrize("granted", [5, 20, 50])
def test_nine_tenths_of_what_is_granted_are_used(granted: float) -> None:
    run = Task(replace(SMALL, granted=granted, burst=granted), [2_000, *[0] * 20]).run()
    used, grantable = run.granted_of
    assert used >= 0.9 * grantable > 0
    assert run.refused <= 0.05 * run.calls


def test_no_scope_starves_beside_a_large_one() -> None:
    run = Task(SMALL, [10_000, *[0] * 49]).run()
    largest, *empty = run.scope_seconds
    assert largest > 400
    assert max(empty) < 5


def test_every_call_is_made_and_granted() -> None:
    for run, batch in zip(run_all(SMALL, 50), tasks_of(SMALL, 50), strict=True):
        assert run.calls - run.refused == sum(map(calls_of_scope, batch))


def test_the_simulated_run_makes_the_calls_of_a_true_one(server: EcrServer, pipeline: dlt.Pipeline) -> None:
    server.registry().fill_images(130, 10)
    pipeline.run(ecr_source(regions=["eu-west-1"], endpoint_url=server.url))
    assert sum(table.calls for table in read_outcome(pipeline).tables) == calls_of_scope(130)


def test_loads_are_one_at_a_time_and_workers_are_not() -> None:
    assert makespan([(10, 1)] * 4, 4) == 10 + 4 * 1
    assert makespan([(10, 0)] * 4, 2) == 2 * 10
    assert makespan([(1, 5)] * 10, 10) == 1 + 10 * 5


@pytest.mark.nightly
def test_the_page_says_what_was_simulated() -> None:
    changed = list(unified_diff(PAGE.read_text().splitlines(), page().splitlines(), lineterm="", n=0))
    assert not changed, "\n".join(["docs/scale.md is out of date: run python -m tests.pages.scale_page", *changed])
