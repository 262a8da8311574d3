"""Progress of a run: bars on a terminal, plain lines elsewhere. Both are dlt collectors."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from ecr_source.aws.scopes import Scope
from ecr_source.extract.reached import Reached, ScopeReached, in_all
from ecr_source.loading.shared_walk import SCOPES, ReadingCollector
from ecr_source.printing import print_line
from ecr_source.statuses import NOT_OFFERED, READ, SKIPPED

_LOADING = "Load "
"""What dlt's name of the loading step starts with: `Load ecr in 1795445654.9017267`."""
_JOBS = "Jobs"
"""dlt's name of the counter of what there is to load: files, and what is made of them in the destination."""
_TABLES_NAMED = 3
_SECONDS_BETWEEN_LINES = 5.0


class _RunProgress(ReadingCollector):
    """What both count: the scopes, the rows of each table, and the jobs that load them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.RLock()
        self._counted: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._tables: Counter[str] = Counter()

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        """Advances the counter `name`, with a label only that of scopes."""
        with self._lock:
            if name == SCOPES or (label is None and name == _JOBS and self.step.startswith(_LOADING)):
                self._counted[name] += inc
                self._totals[name] += (total or 0) + (inc_total or 0)
                self._count(name)
            if name == SCOPES and total:
                self._tables.clear()
            if name == SCOPES and message:
                self._end_scope(message, str(label))

    def rows_read(self, scope: Scope, table: str, rows: int) -> None:
        """Counts them."""
        if rows:
            with self._lock:
                self._tables[table] += rows

    def _count(self, name: str) -> None:
        """A counter has advanced."""

    def _end_scope(self, scope: str, status: str) -> None:
        """A scope was read, or could not be."""

    def _start(self, step: str) -> None:
        self.step = step
        self._counted.clear()
        self._totals.clear()

    def _what_is_loaded(self) -> str:
        """Such as "loading images, image_tags, repositories and 12 more tables", those first of which most was read."""
        named = sorted(self._tables, key=lambda name: (-self._tables[name], name))[:_TABLES_NAMED]
        more = len(self._tables) - len(named)
        others = f" and {more:,} more {'table' if more == 1 else 'tables'}" if more else ""
        return f"loading {', '.join(named)}{others}".rstrip()


class TerminalProgress(_RunProgress):
    """While reading, a line for all scopes and one for each group of tables of those that are being read, or one for
    each of these where that is more than the screen has; one for the jobs while loading."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._not_read = 0

    def going_on(self, scopes: Sequence[ScopeReached]) -> None:
        """Draws the lines of these scopes."""
        with self._lock:
            lines = dict(self._lines(scopes))
            for name in self._tasks.keys() - lines.keys() - {SCOPES}:
                self._remove(name)
            for name, reached in lines.items():
                self._draw(name, reached)

    def _lines(self, scopes: Sequence[ScopeReached]) -> Iterator[tuple[str, Reached]]:
        room = self._console.height - 2  # for the line of all scopes, and that of the cursor
        if sum(len(one.groups) for one in scopes) > room:
            yield from ((str(one.scope), in_all([*one.groups.values()])) for one in scopes[:room])
            return
        for one in scopes:
            prefix = f"{one.scope} " if self._totals[SCOPES] > 1 else ""
            yield from ((f"{prefix}{group}", reached) for group, reached in one.groups.items())

    def _draw(self, name: str, reached: Reached) -> None:
        if self._progress is None:
            return
        is_read = not reached.has_ended or reached.status in {*READ, SKIPPED, NOT_OFFERED}
        total = reached.known if reached.has_ended or reached.are_all_known else None
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=None, facts="", is_read=True)
        self._progress.update(
            self._tasks[name],
            description=name if is_read else f"{name} {reached.status}",
            completed=reached.made,
            total=total,
            facts=", ".join(_facts(reached)),
            is_read=is_read,
        )

    def _count(self, name: str) -> None:
        if self._progress is None:
            return
        if name not in self._tasks:
            description = name if name == SCOPES else self._what_is_loaded()
            self._tasks[name] = self._progress.add_task(description, total=None, facts="", is_read=True)
        self._progress.update(self._tasks[name], completed=self._counted[name], total=self._totals[name])

    def _end_scope(self, scope: str, status: str) -> None:
        assert self._progress is not None
        self._not_read += status not in READ
        if self._not_read:
            self._progress.update(self._tasks[SCOPES], description=f"{SCOPES}, {self._not_read:,} not read")
        for name in [name for name in self._tasks if name.startswith(f"{scope} ") or name == scope]:
            self._remove(name)

    def _remove(self, name: str) -> None:
        assert self._progress is not None
        self._progress.remove_task(self._tasks.pop(name))

    def _start(self, step: str) -> None:
        super()._start(step)
        self._tasks = {}
        self._not_read = 0
        self._progress = Progress(
            _State(finished_text=Text("✓")),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            _Calls(),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            refresh_per_second=5,
            transient=True,
        )
        self._progress.start()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class _State(SpinnerColumn):
    """A tick for what is complete, a cross for what could not be read."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields["is_read"] else Text("✗")  # type: ignore[return-value]  # typed as more than a Text


class _Calls(MofNCompleteColumn):
    """So many of so many; where it is not known of how many, so many."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total is not None else Text(f"{int(task.completed)}")


class PlainProgress(_RunProgress):
    """A line for each scope that has ended, and one when loading begins; in between one every few seconds."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(console)
        self._clock = clock
        self._rows: Counter[str] = Counter()
        self._told_at = clock()

    def rows_read(self, scope: Scope, table: str, rows: int) -> None:
        """Counts them by scope too."""
        with self._lock:
            super().rows_read(scope, table, rows)
            self._rows[str(scope)] += rows

    def going_on(self, scopes: Sequence[ScopeReached]) -> None:
        """Tells how far they are, if nothing was told for long."""
        with self._lock:
            if scopes and self._is_time():
                reached = in_all([group for one in scopes for group in one.groups.values()])
                what = str(scopes[0].scope) if len(scopes) == 1 else f"{len(scopes):,} scopes"
                self._tell(f"reading {what}: {', '.join([_calls(reached), *_facts(reached)])}")

    def _count(self, name: str) -> None:
        if name == _JOBS and self._is_time():
            self._tell(f"{self._what_is_loaded()}: {self._counted[name]:,} of {self._totals[name]:,} jobs")

    def _end_scope(self, scope: str, status: str) -> None:
        ended, total = self._counted[SCOPES], self._totals[SCOPES]
        self._tell(f"read {ended:,} of {total:,}: {scope} {status}, {self._rows.pop(scope, 0):,} rows")

    def _is_time(self) -> bool:
        return self._clock() >= self._told_at + _SECONDS_BETWEEN_LINES

    def _tell(self, line: str) -> None:
        print_line(self._console, line)
        self._told_at = self._clock()

    def _start(self, step: str) -> None:
        super()._start(step)
        self._rows.clear()
        if step.startswith(_LOADING):
            self._tell(self._what_is_loaded())

    def _stop(self) -> None:
        pass


def make_progress(console: Console) -> ReadingCollector:
    """The progress display that fits `console`."""
    return TerminalProgress(console) if console.is_terminal else PlainProgress(console)


def _calls(reached: Reached) -> str:
    if reached.are_all_known:
        return f"{reached.made:,} of {reached.known:,} calls"
    to_come = f" of at least {reached.known:,}" if reached.known > reached.made else ""
    return f"{reached.made:,}{to_come} calls"


def _facts(reached: Reached) -> Iterator[str]:
    """The rate, what was refused, and when it will end."""
    if reached.has_ended:
        return
    if reached.granted:
        yield f"{reached.granted:,.0f} a second"
    if reached.refused:
        yield f"{reached.refused:,} refused"
    if reached.are_all_known and reached.seconds_left:
        minutes, seconds = divmod(math.ceil(reached.seconds_left), 60)
        yield f"{minutes:,} min left" if minutes else f"{seconds} s left"
