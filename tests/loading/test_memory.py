"""What a load takes of memory: a second one about as much as the first, and none that Arrow keeps for itself."""

from __future__ import annotations

import subprocess
import sys
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


POOLS_OF_A_RUN = """
import atexit
from ecr_source.cli import main

@atexit.register
def say():
    import pyarrow
    pools = {name: getattr(pyarrow, f"{name}_memory_pool")() for name in pyarrow.supported_memory_backends()}
    print(*(name for name, pool in pools.items() if pool.max_memory()))

main()
"""


def test_a_run_takes_the_memory_of_all_its_rows_from_the_system(server: EcrServer, database: Path) -> None:
    server.registry().maximal()
    command = [sys.executable, "-c", POOLS_OF_A_RUN, "run", "--table", "images", "--table", "findings"]
    settings = environment(server, database, {"ARROW_DEFAULT_MEMORY_POOL": None})
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "system"


def peak_of_a_run(server: EcrServer, database: Path, *arguments: str) -> float:
    """Megabytes of the largest resident set of one `ecr-source run`."""
    return measure([ECR_SOURCE, "run", *arguments], environment(server, database), database.parent).megabytes
