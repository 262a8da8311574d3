"""Sixteen scopes into one Postgres, eight at once, while tasks are killed: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from ecr_source import Outcome, find_scopes, load_scopes, write_ledger
from ecr_source.aws.scopes import ScopeSetting
from tests.conftest import Row, make_pipeline
from tests.forked import CONTEXT, exit_code, start
from tests.nightly import at_night
from tests.postgres import Postgres
from tests.server.ecr_server import EcrServer
from tests.warehouse import PostgresDatabase

REGIONS = [
    *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1"),
    *("us-east-1", "us-east-2", "us-west-2"),
]
TABLES = ["repositories.repositories"]
AT_ONCE = 8
VICTIMS = 4
SEED = 20_261_124
KILLED = -9
TURN_SECONDS = 0.5
"""About how long a load has its turn."""

HAS_ITS_TURN = """
SELECT count(*) = 1 FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND application_name = '{}'
"""


@dataclass(frozen=True)
class Task:
    """The load of a scope as a worker does it: in a process of its own, with a working folder of its own."""

    scope: ScopeSetting
    settings: dict[str, Any]
    warehouse: PostgresDatabase
    folder: Path

    @property
    def name(self) -> str:
        """The name of its pipeline, and of its connections."""
        return "ecr_" + self.scope["region"].replace("-", "_")

    def run(self) -> Outcome:
        return self._end(self._start("first"))

    def run_killed_and_again(self, seconds: float) -> tuple[int, Outcome]:
        """Kills it so long after its turn began; how that one ended, and what came of the next."""
        process = self._start("killed")
        while exit_code(process, 0) is None and self.warehouse.query(HAS_ITS_TURN.format(self.name)) == [(False,)]:
            time.sleep(0.02)
        time.sleep(seconds)
        process.kill()
        code = exit_code(process)
        assert code is not None
        return code, self._end(self._start("again"))

    @property
    def _outcome(self) -> Path:
        return self.folder / "outcome.json"

    def _start(self, attempt: str) -> BaseProcess:
        arguments = (self, self.folder / attempt, dict(os.environ))
        process = CONTEXT.Process(target=_load, args=arguments)
        start(process)
        return process

    def _end(self, process: BaseProcess) -> Outcome:
        assert exit_code(process) == 0, self.name
        return Outcome.from_json(json.loads(self._outcome.read_text()))

    def load(self, folder: Path) -> None:
        outcome = load_scopes(make_pipeline(folder, self.warehouse, self.name), [self.scope], **self.settings)
        self._outcome.write_text(json.dumps(outcome.as_json()))


def _load(task: Task, folder: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment, PGAPPNAME=task.name)
    task.load(folder)


def push_everywhere(server: EcrServer, number: int) -> list[Row]:
    """In each region one repository is new, one is changed, one is gone; what a snapshot is then."""
    rows: list[Row] = []
    for region in REGIONS:
        registry = server.registry(region)
        registry.repositories.pop(f"new-{number - 1}", None)
        registry.put(f"new-{number}")
        registry.put("old", imageTagMutability="MUTABLE" if number % 2 else "IMMUTABLE")
        rows += [(region, name, fields["imageTagMutability"]) for name, fields in registry.repositories.items()]
    return sorted(rows)


@pytest.mark.parametrize("rounds", [2, at_night(5)])
def test_rounds_of_16_scopes_8_at_once_with_4_kills_in_each_lose_nothing_and_load_nothing_twice(
    server: EcrServer, postgres: Postgres, tmp_path: Path, rounds: int
) -> None:
    warehouse = PostgresDatabase(postgres, postgres.new_database())
    settings: dict[str, Any] = {"regions": REGIONS, "endpoint_url": server.url, "tables": TABLES}
    scopes = find_scopes(**settings)
    assert len(scopes) == 16
    dice = random.Random(SEED)
    killed = 0
    with ThreadPoolExecutor(AT_ONCE) as workers:
        for number in range(rounds):
            expected = push_everywhere(server, number)
            tasks = [Task(scope, settings, warehouse, tmp_path / str(number) / scope["region"]) for scope in scopes]
            victims = [tasks.pop(dice.randrange(AT_ONCE - taken)) for taken in range(VICTIMS)]
            # Half of them as their turn begins, which none can miss.
            delays = [0 if position % 2 else dice.random() * TURN_SECONDS for position in range(VICTIMS)]
            killing = [
                workers.submit(victim.run_killed_and_again, delay)
                for victim, delay in zip(victims, delays, strict=True)
            ]
            outcomes = list(workers.map(Task.run, tasks))
            for (code, outcome), delay in zip((one.result() for one in killing), delays, strict=True):
                assert code == KILLED or (code == 0 and delay)
                killed += code == KILLED
                outcomes.append(outcome)
            found = "SELECT region, repository_name, image_tag_mutability FROM repositories ORDER BY 1, 2"
            assert warehouse.query(found) == expected, number
            ledger = make_pipeline(tmp_path, warehouse, "ledger")
            write_ledger(ledger, f"round {number}", outcomes, **settings)
    assert killed > rounds * VICTIMS / 2
    told = "SELECT region, count(DISTINCT run_id), count(*) FROM extraction_scopes WHERE status = 'complete' GROUP BY 1"
    assert sorted(warehouse.query(told)) == [(region, rounds, rounds) for region in REGIONS]
