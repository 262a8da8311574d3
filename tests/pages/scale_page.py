"""Writes docs/scale.md: `python -m tests.pages.scale_page`. What was measured is in scale_measured.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from tests.pages.scale import Organization, Task, calls_of_scope, makespan, run_all, tasks_of
from tests.pages.scale_measured import LATENCY, MEASURED, Measurement, Size

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"

SCOPES_PER_TASK = 50
BATCHES = (1, 10, 50, 200, 1_000)
WORKERS = (1, 2, 4, 8, 16, 32, 64)
RATES = (5, 10, 20, 50, 200)
MAPPED_TASKS = 1_024
"""Airflow's core.max_map_length, unless it is set."""
OUTCOME_KB = 7
"""`Outcome.as_json()` of one scope with the default tables, as JSON."""
START_SECONDS = 1.2
"""Python's start and the imports: docs/performance.md, whole process less after imports."""


@dataclass(frozen=True)
class Costs:
    """What a task costs beside waiting for AWS, from the measurements."""

    calls_a_second: float
    scope_seconds: float
    task_seconds: float
    load_seconds: float
    load_of_scope: float
    load_of_repository: float

    def loading(self, repositories: Sequence[int]) -> float:
        """Seconds to load a batch of scopes."""
        return self.load_seconds + len(repositories) * self.load_of_scope + sum(repositories) * self.load_of_repository


def measurements() -> list[Measurement]:
    """What was measured last."""
    return [Measurement(**found | {"size": Size(**found["size"])}) for found in json.loads(MEASURED.read_text())]


def costs() -> Costs:
    """The costs, each as the slope between two sizes."""
    by_size = {(one.size.scopes, one.size.repositories, one.size.images): one for one in measurements()}
    one, hundred = (by_size[scopes, 0, 0] for scopes in (1, 100))
    small, large = by_size[1, 1_000, 10], by_size[1, 3_000, 10]
    # Of one scope's reading the half is waiting, in which calls of others go out.
    calls_a_second = (large.calls - small.calls) / (large.processor - small.processor)
    of_a_scope = (hundred.reading - one.reading) / (hundred.size.scopes - 1)
    return Costs(
        calls_a_second=round(calls_a_second, 1),
        scope_seconds=round(of_a_scope - calls_of_scope(0) / calls_a_second, 3),
        task_seconds=round(START_SECONDS + one.reading, 2),
        load_seconds=one.loading,
        load_of_scope=round(max(0.0, hundred.loading - one.loading) / (hundred.size.scopes - 1), 5),
        load_of_repository=round((large.loading - one.loading) / 3_000, 6),
    )


def organization() -> Organization:
    """1,000 accounts × 17 regions, read at the pace that was measured."""
    known = costs()
    return Organization(latency=LATENCY, calls_a_second=known.calls_a_second, scope_seconds=known.scope_seconds)


@cache
def page() -> str:
    """The page as it is to be."""
    whole, known = organization(), costs()
    runs = run_all(whole, SCOPES_PER_TASK)
    batches = list(tasks_of(whole, SCOPES_PER_TASK))
    tasks = [(known.task_seconds + run.seconds, known.loading(batch)) for run, batch in zip(runs, batches, strict=True)]
    used = sum(run.granted_of[0] for run in runs) / sum(run.granted_of[1] for run in runs)
    empty = [
        seconds
        for run, batch in zip(runs, batches, strict=True)
        for seconds, repositories in zip(run.scope_seconds, batch, strict=True)
        if not repositories
    ]
    calls = sum(run.calls for run in runs)
    return _PROSE.format(
        measured=_grid(_measured()),
        calls_a_second=round(known.calls_a_second),
        scope_seconds=f"{known.scope_seconds:.2f}",
        rates=_grid(_rates(whole)),
        scopes=f"{whole.scopes:,}",
        in_use=f"{sum(map(bool, whole.repositories)):,}",
        repositories=f"{sum(whole.repositories):,}",
        largest=f"{max(whole.repositories):,}",
        calls=f"{calls:,}",
        granted=f"{whole.granted:g}",
        scopes_per_task=SCOPES_PER_TASK,
        tasks=len(runs),
        refused=f"{sum(run.refused for run in runs) / calls:.1%}",
        used=f"{used:.1%}",
        longest_empty=f"{max(empty):.1f}",
        longest_task=f"{max(reading for reading, _ in tasks):,.0f}",
        reading=f"{sum(reading for reading, _ in tasks) / 60:,.0f}",
        loading=f"{sum(loading for _, loading in tasks) / 60:,.1f}",
        workers=_grid(_workers(tasks)),
        batches=_grid(_batches(whole, known)),
        mapped=f"{MAPPED_TASKS:,}",
        least=-(-whole.scopes // MAPPED_TASKS),
        outcome=OUTCOME_KB,
        told=round(whole.scopes * OUTCOME_KB / 1_000),
    )


def _measured() -> Iterable[Sequence[str]]:
    yield [
        "scopes",
        "repositories of each",
        "images of each",
        "calls",
        "reading, s",
        "of that processor, s",
        "loading, s",
    ]
    for one in measurements():
        size = one.size
        sizes = [f"{number:,}" for number in (size.scopes, size.repositories, size.images, one.calls)]
        yield [*sizes, f"{one.reading:.1f}", f"{one.processor:.1f}", f"{one.loading:.1f}"]


def _rates(whole: Organization) -> Iterable[Sequence[str]]:
    yield [
        "granted, calls a second",
        "scope of 2,000 repositories, s",
        "repositories an hour",
        "scopes that fill a worker",
    ]
    for rate in RATES:
        seconds = Task(replace(whole, granted=rate, burst=rate), [2_000]).run().seconds
        a_repository = (calls_of_scope(2_000) - calls_of_scope(0)) / 2_000
        scopes = max(1.0, whole.calls_a_second / (rate * a_repository))
        yield [f"{rate}", f"{seconds:,.0f}", f"{2_000 / seconds * 3600:,.0f}", f"{scopes:.0f}"]


def _workers(tasks: Sequence[tuple[float, float]]) -> Iterable[Sequence[str]]:
    yield ["workers", "minutes", "of which the workers are busy"]
    busy = sum(reading + loading for reading, loading in tasks)
    for workers in WORKERS:
        seconds = makespan(tasks, workers)
        yield [f"{workers}", f"{seconds / 60:,.0f}", f"{min(1.0, busy / (workers * seconds)):.0%}"]


def _batches(whole: Organization, known: Costs) -> Iterable[Sequence[str]]:
    yield ["scopes_per_task", "tasks", "starts", "reading", "loads"]
    for size in BATCHES:
        batches = list(tasks_of(whole, size))
        loading = sum(known.loading(batch) for batch in batches)
        yield [
            f"{size}",
            f"{len(batches):,}",
            f"{len(batches) * known.task_seconds / 60:,.0f}",
            f"{sum(run.seconds for run in run_all(whole, size)) / 60:,.0f}",
            f"{loading / 60:,.0f}",
        ]


def _grid(rows: Iterable[Sequence[str]]) -> str:
    header, *others = rows
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *others])


_PROSE = """\
# Scale beyond one machine

`python -m tests.pages.scale_measured` measures, `python -m tests.pages.scale_page` writes this page. The first table is
measured; all others are **simulated or reckoned** from it. Nothing here was seen on AWS, whose rates for these
operations are not published: {granted} calls a second, {granted} at once, of each operation in each account and
region are assumed below.

## One task

Default tables, the second run of each size, which replaces what is there, into Postgres; every answer takes 40 ms.
Two cores, with endpoint and Postgres on them.

{measured}

- **Calls** are 13 a scope, a little over 3 for each repository, and one more for each further 1,000 images of one.
- **A process** does about {calls_a_second:,} calls a second, by the time that each takes of the processor, where enough
  of them are under way: of one scope 32 at once are some 640.
- **A scope**, also an empty one, costs {scope_seconds} s besides its calls: two clients, and rows of what each region
  says of itself. In the simulation that time stands before the scope's first call.
- **A load** takes half a second, however little there is to load, and grows slowly with scopes and rows. What follows
  reckons with ten images a repository: 100,000 images more are some 0.7 s more.

## One worker in an hour

One scope alone is as fast as its rate, until the process is the limit; then more scopes at once add nothing.

{rates}

## An organization of 1,000 accounts × 17 regions

{scopes} scopes, of which {in_use} have repositories (log-normal, seeded), {repositories} in all, {largest} in the
largest, none with more than 1,000 images. Every one of the {calls} calls is simulated, in virtual time, with the
project's own rate controller (`ecr_source/aws/rate.py`), against a token bucket of each operation in each scope;
{scopes_per_task} scopes a task, {tasks} tasks.

- Of what is granted to operations of 1,000 calls and more {used} are used; {refused} of all calls are refused.
- **No scope starves**: beside larger ones an empty one takes {longest_empty} s at most, from first call to last.
- All reading takes {reading} minutes of a worker, all loading {loading} minutes, the longest task {longest_task} s.

{workers}

**Where the limit is.** First what AWS grants: no worker can read the largest scope of a task faster than that, while
the others are done already, so that larger tasks take less of a worker. Then the longest task. Then, in Postgres, the
loads: those into one dataset are one at a time (an advisory lock), so that all of them together are the least a run can
take. A worker that waits for its turn to load does nothing else meanwhile.

## How many scopes a task takes

In minutes of a worker; the loads one after the other:

{batches}

- **Airflow** maps at most {mapped} tasks unless `core.max_map_length` says otherwise: {least} scopes a task at least.
- **What the tasks tell the last one** travels through Airflow's database, {outcome} KB for a scope that is complete:
  about {told} MB for a run of this organization, until `airflow db clean` takes them away.
- **Postgres**: a load costs half a second even for one scope. With one scope a task the loads alone take hours; with 50
  they are a small part of what reading takes on a few workers.
- **A task is what is tried again**, whole: of 200 scopes a killed worker costs a minute of reading, of 1,000 three.

{scopes_per_task} scopes a task is a good start for this organization; for a small one, all scopes in a task or two.
"""


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
