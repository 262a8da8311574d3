"""A plan as people see it: calls and seconds of each group, and an exit code."""

from __future__ import annotations

from rich.console import Console

from ecr_source.cli.exit_codes import COMPLETE, INCOMPLETE, NOTHING_LOADED, UNUSABLE, refuse
from ecr_source.cli.output.run_report import announce_endpoints
from ecr_source.errors import ConfigurationError, EcrSourceError
from ecr_source.loading.plan import Plan
from ecr_source.loading.run import plan_run
from ecr_source.loading.settings.declared import Settings
from ecr_source.printing import print_grid, print_line


def plan_and_report(settings: Settings) -> int:
    """Prints what a run with these settings would cost, and returns the exit code."""
    try:
        announce_endpoints(settings)
        plan = plan_run(settings)
    except ConfigurationError as error:
        return refuse(error, UNUSABLE)
    except EcrSourceError as error:
        return refuse(error, NOTHING_LOADED)
    console = Console()
    print_plan(console, plan)
    calls = sum(cost.calls or 0 for cost in plan.costs)
    if settings.max_calls is not None and calls > settings.max_calls:
        print_line(console, f"--max-calls ends the run after {settings.max_calls:,} of them")
    if not settings.tables:
        print_line(console, '"ecr-source plan --table all" plans all groups but manifests, --table GROUP another one')
    asked = [cost for cost in plan.costs if not cost.unreadable]
    if not asked:
        return NOTHING_LOADED
    return COMPLETE if len(asked) == len(plan.costs) and not plan.messages else INCOMPLETE


def print_plan(console: Console, plan: Plan) -> None:
    """A line for each scope and group, the sum of what is known, and the repositories that no scope has."""
    costs = plan.costs
    rows = [(cost.scope, cost.group, cost.calls, cost.seconds, cost.note) for cost in costs]
    calls = sum(cost.calls or 0 for cost in costs)
    seconds = sum(cost.seconds or 0 for cost in costs)
    note = "at least" if any(cost.is_least or cost.unreadable for cost in costs) else ""
    print_grid(console, ("scope", "group", "calls", "seconds", "note"), [*rows, ("all", "", calls, seconds, note)])
    for message in plan.messages:
        print_line(console, message)
