"""A run as people see it: progress, what came of each table, the exit code."""

from __future__ import annotations

import shlex
import signal
import traceback
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from ecr_source.cli.exit_codes import (
    COMPLETE,
    INCOMPLETE,
    NOTHING_LOADED,
    POSTPONED,
    STOPPED,
    UNUSABLE,
    refuse,
)
from ecr_source.cli.invocation import command, where
from ecr_source.cli.output.changes_line import changes_line
from ecr_source.cli.progress import make_progress
from ecr_source.errors import ConfigurationError, EcrSourceError
from ecr_source.extract.ledger import Outcome
from ecr_source.extract.printed_outcome import print_outcome
from ecr_source.loading.run import Loaded, foreign_endpoint_lines, run
from ecr_source.loading.settings.declared import Settings
from ecr_source.printing import print_line
from ecr_source.redaction import masked


def run_and_report(settings: Settings) -> int:
    """Runs once, prints how it came out, and returns the exit code."""
    loaded = run_or_refuse(settings)
    if isinstance(loaded, int):
        return loaded
    console = Console()
    print_outcome(console, loaded.outcome)
    if not loaded.outcome.nothing_read:
        _print_place(console, settings, loaded)
        if loaded.changed:
            print_line(console, changes_line(loaded.changed, datetime.now(UTC)))
    return _exit_code(loaded.outcome)


def run_or_refuse(settings: Settings) -> Loaded | int:
    """Runs once and returns how it came out; if it did not, says why and returns the exit code."""
    errors = Console(stderr=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a scheduler stops what it has started
    try:
        announce_endpoints(settings)
        return run(settings, make_progress(errors))
    except ConfigurationError as error:
        return refuse(error, UNUSABLE)
    except EcrSourceError as error:
        return refuse(error, NOTHING_LOADED)
    except KeyboardInterrupt:
        return refuse("stopped; nothing is lost, the next run goes on from here", STOPPED)
    except Exception:  # a defect; Python's own exit code 1 would say that all else is loaded
        for line in masked(traceback.format_exc()).splitlines():
            print_line(errors, line)
        return NOTHING_LOADED


def print_next(settings: Settings) -> None:
    """What may be typed after a run that has loaded something."""
    print_line(Console(), f"next: {shlex.join([command(), 'query', *where(settings), '--list'])}")


def _print_place(console: Console, settings: Settings, loaded: Loaded) -> None:
    place = loaded.place.removeprefix(f"{Path.cwd()}/")
    count = loaded.tables_with_rows
    rows = "" if count is None else f": {count:,} {'table has' if count == 1 else 'tables have'} rows"
    print_line(console, f"loaded into {place}, schema {settings.dataset}{rows}")


def announce_endpoints(settings: Settings) -> None:
    """Prints, before anything else, which endpoints are asked that are not AWS's own."""
    for line in foreign_endpoint_lines(settings):
        print_line(Console(stderr=True), masked(line))


def _exit_code(outcome: Outcome) -> int:
    if outcome.nothing_read:
        return NOTHING_LOADED
    if outcome.incomplete:
        return INCOMPLETE
    return POSTPONED if outcome.postponed else COMPLETE
