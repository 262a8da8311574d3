"""Progress of a run: bars on a terminal, plain lines elsewhere. Both are dlt collectors."""

from __future__ import annotations

from collections import Counter

from dlt.common.runtime.collector_base import Collector
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

READING = "reading "
"""What the names of the counters start with that the walk updates, one for each scope and group of tables."""

_LOADING = "Load "
"""What dlt's name of the loading step starts with: `Load ecr in 1795445654.9017267`."""


class TerminalProgress(Collector):
    """A line per scope and group of tables while reading, and one for the jobs while loading."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

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
        if self._progress is None or not (
            name.startswith(READING) or (self.step.startswith(_LOADING) and name == "Jobs")
        ):
            return
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], advance=inc)

    def _start(self, step: str) -> None:
        self.step = step
        self._tasks = {}
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
    """A line per scope and group of tables when reading has ended, and one when loading begins."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._counts: Counter[str] = Counter()

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        """Counts what the walk reads."""
        if name.startswith(READING):
            self._counts[name] += inc

    def _start(self, step: str) -> None:
        self.step = step
        self._counts.clear()
        if step.startswith(_LOADING):
            self._print("loading")

    def _stop(self) -> None:
        for name, count in sorted(self._counts.items()):
            self._print(f"{name.replace(READING, 'read ')}: {count:,} rows")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def make_progress(console: Console) -> Collector:
    """The progress display that fits `console`."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)
