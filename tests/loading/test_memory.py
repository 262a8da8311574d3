"""What a second load costs: about as much memory as the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.process import measure
from tests.conftest import ECR_SOURCE, Row, environment
from tests.server.ecr_server import EcrServer

REPOSITORIES = 300_000


@pytest.mark.nightly
def test_reloading_a_large_registry_takes_about_the_memory_of_loading_it(
    server: EcrServer, database: Path, query: Callable[[str], list[Row]]
) -> None:
    server.registry().fill(REPOSITORIES)
    server.answers = {}
    first, second = (peak_of_a_run(server, database) for _ in range(2))
    assert query("SELECT count(*) FROM repositories") == [(REPOSITORIES,)]
    assert second < 1.5 * first  # the second also deletes; a merge by keys joined with OR takes many times as much


def peak_of_a_run(server: EcrServer, database: Path, *arguments: str) -> float:
    """Megabytes of the largest resident set of one `ecr-source run`."""
    return measure([ECR_SOURCE, "run", *arguments], environment(server, database), database.parent).megabytes
