"""What a run costs, where that does not depend on the machine: calls, refusals, and how memory grows."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_source.extract.ledger import Outcome
from tests.loading.test_memory import peak_of_a_run
from tests.server.ecr_server import EcrServer, serving

Load = Callable[..., Outcome]

IMAGES_OF_A_REPOSITORY = 1_000
REPOSITORIES_OF_A_SCANNING_CALL = 25
REPOSITORIES_OF_A_TAGGING_CALL = 100

# 100 repositories of 1,000 images took 477 to 510 MB and 400 took 572 to 595 in three runs each, 780 and 852 where all
# rows were kept in memory: 1.3 times and 60 MB more lie between. With fewer than 100 DuckDB does not yet take what it
# then stays at. Eight calls under way, because with 32 runs differ more.
MANY, FEW = 400, 100
GROWTH, MARGIN = 1.3, 60
STEADY = ("--table", "images", "--max-in-flight", "8")


@pytest.mark.parametrize(
    ("tables", "operation", "repositories", "images", "calls"),
    [
        ("images", "DescribeImages", 30, 10, 30),
        ("images", "DescribeImages", 3, 2_500, 3 * math.ceil(2_500 / IMAGES_OF_A_REPOSITORY)),
        (
            "repository_scanning_configurations",
            "BatchGetRepositoryScanningConfiguration",
            130,
            1,
            math.ceil(130 / REPOSITORIES_OF_A_SCANNING_CALL),
        ),
        ("repository_tags", "GetResources", 330, 1, math.ceil(330 / REPOSITORIES_OF_A_TAGGING_CALL)),
        ("lifecycle_policies", "GetLifecyclePolicy", 60, 1, 60),
    ],
)
def test_a_run_makes_the_calls_that_the_sizes_imply(
    server: EcrServer, load: Load, tables: str, operation: str, repositories: int, images: int, calls: int
) -> None:
    server.registry().fill_images(repositories, images)
    load(tables=[tables])
    assert server.calls == {"GetCallerIdentity": 1, "DescribeRepositories": 1, operation: calls}


@pytest.mark.nightly
def test_memory_hardly_grows_with_the_images(tmp_path: Path) -> None:
    few, many = (peak_of_reading(repositories, tmp_path) for repositories in (FEW, MANY))
    assert many < GROWTH * few + MARGIN


def peak_of_reading(repositories: int, folder: Path) -> float:
    """Megabytes that reading so many repositories of a thousand images takes."""
    with serving() as server:
        server.registry().fill_images(repositories, IMAGES_OF_A_REPOSITORY)
        return peak_of_a_run(server, folder / f"{repositories}.duckdb", *STEADY)


def test_findings_of_an_unchanged_registry_cost_no_second_call_for_each_image(server: EcrServer, load: Load) -> None:
    server.registry().fill_images(20, 20)
    first, second = (calls_about_findings(server, load) for _ in range(2))
    assert first == 20 * 20
    assert second <= 0.02 * first


def calls_about_findings(server: EcrServer, load: Load) -> int:
    """How many calls, listings aside, one run makes."""
    server.calls.clear()
    load(tables=["findings"])
    return server.calls["DescribeImageScanFindings"]


def test_one_call_in_twenty_at_most_is_refused_for_its_rate(server: EcrServer, load: Load) -> None:
    server.registry().fill_images(300, 1)
    server.throttle = (20, 20)
    outcome = load(tables=["policies"])
    assert not outcome.incomplete
    calls, refused = (sum(getattr(table, name) for table in outcome.tables) for name in ("calls", "throttled"))
    assert refused < 0.05 * calls
