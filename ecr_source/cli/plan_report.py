"""A plan as people see it: calls and seconds of each group, and an exit code."""

from __future__ import annotations

from rich.console import Console

from ecr_source.cli.exit_codes import COMPLETE, INCOMPLETE, NOTHING_LOADED, UNUSABLE, refuse
from ecr_source.cli.printed_tables import print_grid
from ecr_source.cli.run_report import announce_endpoints
from ecr_source.errors import ConfigurationError, EcrSourceError
from ecr_source.loading.plan import Cost
from ecr_source.loading.run import plan_run
from ecr_source.loading.settings import Settings


def plan_and_report(settings: Settings) -> int:
    """Prints what a run with these settings would cost, and returns the exit code."""
    try:
        announce_endpoints(settings)
        costs = plan_run(settings)
    except ConfigurationError as error:
        return refuse(error, UNUSABLE)
    except EcrSourceError as error:
        return refuse(error, NOTHING_LOADED)
    print_plan(Console(), costs)
    asked = [cost for cost in costs if not cost.unreadable]
    return COMPLETE if len(asked) == len(costs) else INCOMPLETE if asked else NOTHING_LOADED


def print_plan(console: Console, costs: list[Cost]) -> None:
    """A line for each scope and group, and the sum of what is known."""
    rows = [(cost.scope, cost.group, cost.calls, cost.seconds, cost.note) for cost in costs]
    calls = sum(cost.calls or 0 for cost in costs)
    seconds = sum(cost.seconds or 0 for cost in costs)
    print_grid(console, ("scope", "group", "calls", "seconds", "note"), [*rows, ("all", "", calls, seconds, "")])
