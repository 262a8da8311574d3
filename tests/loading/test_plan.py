"""A plan says what a run will cost, and costs a listing."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.server.ecr_server import DENIED, EcrServer

Ecr = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def maximal(server: EcrServer) -> EcrServer:
    server.registry().maximal()
    return server


def planned(done: subprocess.CompletedProcess[str]) -> dict[str, int | None]:
    """The calls of each group, None where they are not known."""
    assert done.returncode == 0, done.stderr
    lines = [re.split(r"\s{2,}", line) for line in done.stdout.splitlines()[1:-1]]
    return {line[1]: int(line[2]) if line[2].isdigit() else None for line in lines}


def test_a_plan_lists_repositories_and_does_nothing_else(ecr: Ecr, maximal: EcrServer) -> None:
    groups = planned(ecr("plan", env={"SOURCES__ECR__TABLES": None}))
    assert maximal.calls == {"GetCallerIdentity": 1, "DescribeRepositories": 1, "ecr-public:DescribeRepositories": 1}
    assert {group for group, calls in groups.items() if calls is None} == {"findings", "image_status", "manifests"}


@pytest.mark.parametrize("group", ["repositories", "images", "policies", "registry", "previews", "public"])
def test_a_run_makes_the_calls_that_were_planned(ecr: Ecr, maximal: EcrServer, group: str) -> None:
    calls = planned(ecr("run", "--dry-run", "--table", group))
    maximal.calls.clear()
    assert ecr("run", "--table", group).returncode == 0
    # The results of backfills are listed for each, and how many there are is not known from the repositories.
    del maximal.calls["GetCallerIdentity"], maximal.calls["DescribeReplicationBackfillResults"]
    assert calls == {group: maximal.calls.total()}


def test_pages_of_what_is_listed_for_all_repositories_are_planned(ecr: Ecr, server: EcrServer) -> None:
    server.registry().fill_images(130, 1)
    calls = planned(ecr("plan", "--table", "repositories"))
    server.calls.clear()
    assert ecr("run", "--table", "repositories").returncode == 0
    del server.calls["GetCallerIdentity"]
    assert server.calls["GetResources"] == 2
    assert calls == {"repositories": server.calls.total()}


def test_once_images_were_loaded_the_calls_for_each_image_are_known(ecr: Ecr, maximal: EcrServer) -> None:
    assert ecr("run", "--table", "images").returncode == 0
    calls = planned(ecr("run", "--dry-run", "--table", "images", "--table", "findings"))
    maximal.calls.clear()
    assert ecr("run", "--table", "images", "--table", "findings").returncode == 0
    assert calls["findings"] == maximal.calls["DescribeImageScanFindings"]


def test_a_region_that_cannot_be_listed_is_named(ecr: Ecr, maximal: EcrServer) -> None:
    maximal.fail(DENIED)
    done = ecr("plan", "--table", "images")
    assert done.returncode == 3
    assert "123456789012/eu-west-1" in done.stdout
    assert "access denied" in done.stdout


def test_a_plan_loads_nothing(ecr: Ecr, maximal: EcrServer, database: Path) -> None:
    assert ecr("plan", "--table", "all").returncode == 0
    with duckdb.connect(database, read_only=True) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == []
