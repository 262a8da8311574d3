"""Progress of a run: bars on a terminal, plain lines elsewhere. Both are dlt collectors."""

from __future__ import annotations

import threading
from collections import Counter

from dlt.common.runtime.collector_base import Collector
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from ecr_source.cli.lines import print_line
from ecr_source.loading.shared_walk import READING, SCOPES
from ecr_source.statuses import READ

_LOADING = "Load "
"""What dlt's name of the loading step starts with: `Load ecr in 1795445654.9017267`."""


class TerminalProgress(Collector):
    """While reading, a line for all scopes and one per group of tables of those that are being read; one for the jobs
    while loading."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._not_read = 0

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        """Advances the counter `name`; dlt's own counters count only while loading."""
        if self._progress is None or not _is_shown(name, self.step):
            return
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total)
            self._progress.update(self._tasks[name], advance=inc, total=total)
            if name == SCOPES and message:
                self._end_scope(message, str(label))

    def _end_scope(self, scope: str, status: str) -> None:
        assert self._progress is not None
        self._not_read += status not in READ
        if self._not_read:
            self._progress.update(self._tasks[SCOPES], description=f"{SCOPES}, {self._not_read:,} not read")
        for name in [name for name in self._tasks if name.startswith(f"{READING}{scope} ")]:
            self._progress.remove_task(self._tasks.pop(name))

    def _start(self, step: str) -> None:
        self.step = step
        self._tasks = {}
        self._not_read = 0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._progress.start()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class PlainProgress(Collector):
    """A line for each scope that has ended, and one when loading begins."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._rows: Counter[str] = Counter()
        self._ended = 0
        self._total = 0

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        """Counts what the walk reads, and tells of each scope that has ended."""
        with self._lock:
            if name.startswith(READING):
                self._rows[name.removeprefix(READING).partition(" ")[0]] += inc
            elif name == SCOPES:
                self._total = total or self._total
                self._ended += inc
                if message:
                    rows = f"{self._rows.pop(message, 0):,} rows"
                    print_line(self._console, f"read {self._ended:,} of {self._total:,}: {message} {label}, {rows}")

    def _start(self, step: str) -> None:
        self.step = step
        self._ended = 0
        self._rows.clear()
        if step.startswith(_LOADING):
            print_line(self._console, "loading")

    def _stop(self) -> None:
        pass


def make_progress(console: Console) -> Collector:
    """The progress display that fits `console`."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)


def _is_shown(name: str, step: str) -> bool:
    return name == SCOPES or name.startswith(READING) or (step.startswith(_LOADING) and name == "Jobs")
