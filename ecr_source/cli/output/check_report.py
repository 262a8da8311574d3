"""A check as people see it: who asks, what may be read, and the statements that are missing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import orjson
from rich.console import Console

from ecr_source import catalog
from ecr_source.catalog.table import Operation, Table
from ecr_source.cli.exit_codes import COMPLETE, INCOMPLETE, NOTHING_LOADED, UNUSABLE, refuse
from ecr_source.cli.output.run_report import announce_endpoints
from ecr_source.errors import ConfigurationError, Denied, EcrSourceError
from ecr_source.extract.check import ScopeCheck
from ecr_source.extract.ledger import sentences_of
from ecr_source.loading.run import check_run
from ecr_source.loading.settings.declared import Settings
from ecr_source.printing import print_grid, print_line
from ecr_source.statuses import ALLOWED, NOT_CHECKED


def check_and_report(settings: Settings) -> int:
    """Prints what a run with these settings may read, and returns the exit code."""
    try:
        announce_endpoints(settings)
        checks = check_run(settings)
    except ConfigurationError as error:
        return refuse(error, UNUSABLE)
    except EcrSourceError as error:
        return refuse(error, NOTHING_LOADED)
    tables = catalog.select_tables(settings.tables or ())
    without = catalog.not_called(settings.findings_from)
    rows = [row for check in checks for row in _rows(check, tables, without)]
    print_check(Console(), checks, rows)
    statuses = {status for _, _, _, status, _ in rows}
    if statuses <= {ALLOWED, NOT_CHECKED}:
        return INCOMPLETE if any(check.unmatched for check in checks) else COMPLETE
    return INCOMPLETE if statuses & {ALLOWED, NOT_CHECKED} else NOTHING_LOADED


def print_check(console: Console, checks: Sequence[ScopeCheck], rows: Sequence[tuple[str, str, str, str, str]]) -> None:
    """Who asks in each account; a line for each scope and group; what is missing, as statements to add."""
    callers = {check.scope.registry_id: check.caller for check in reversed(checks) if check.caller}
    print_grid(console, ("account", "asked as"), sorted(callers.items()))
    console.print()
    print_grid(console, ("scope", "region from", "group", "status", "tables"), rows)
    messages = [check.message for check in checks if check.message]
    messages += [text for check in checks for text in check.unmatched.values()]
    for message in dict.fromkeys([*messages, *sentences_of(_errors(checks))]):
        print_line(console, message)
    for accounts, statement in _missing(checks).items():
        console.print()
        for line in (f"missing in {accounts}:", *statement.splitlines()):
            print_line(console, line)


def _rows(
    check: ScopeCheck, tables: Sequence[Table], without: Collection[Operation]
) -> Iterator[tuple[str, str, str, str, str]]:
    """A row for each group, and of a group whose tables differ one for each status, with the tables that it is of."""
    scope = str(check.scope)
    if not check.operations:
        yield scope, check.region_from, "all", "unreachable", ""
        return
    for group in dict.fromkeys(catalog.group_of(table) for table in tables):
        statuses: dict[str, list[str]] = {}
        for table in tables:
            checks = check.of(table, without)
            if catalog.group_of(table) == group and checks:
                statuses.setdefault(_status([one.status for one in checks]), []).append(table.name)
        whole = [table.name for table in catalog.GROUPS[group]]
        most = max(statuses.values(), key=len, default=whole)
        for status, names in statuses.items():
            told = "" if names == whole else "the others" if names is most and len(statuses) > 1 else ", ".join(names)
            yield scope, check.region_from, group, status, told


def _status(statuses: Sequence[str]) -> str:
    refused = [status for status in statuses if status not in (ALLOWED, NOT_CHECKED)]
    return refused[0] if refused else NOT_CHECKED if NOT_CHECKED in statuses else ALLOWED


def _errors(checks: Sequence[ScopeCheck]) -> Iterator[dict[str, str]]:
    """What failed, as rows of `extraction_errors`; of what is denied the missing statement tells."""
    for check in checks:
        scope = {"registry_id": check.scope.registry_id, "region": check.scope.region}
        for one in check.operations:
            if one.message and one.status != Denied.status:
                told = {"status": one.status, "error_code": one.error_code, "message": one.message}
                yield scope | {"operation": str(one.operation), "resource": ""} | told


def _missing(checks: Sequence[ScopeCheck]) -> dict[str, str]:
    """The statement that is missing, by the accounts in which it is."""
    actions: dict[str, set[str]] = {}
    for check in checks:
        denied = {one.action for one in check.operations if one.status == Denied.status}
        if denied:
            actions.setdefault(check.scope.registry_id, set()).update(denied)
    accounts: dict[str, list[str]] = {}
    for account, denied in actions.items():
        statement = {"Effect": "Allow", "Action": sorted(denied), "Resource": "*"}
        accounts.setdefault(orjson.dumps(statement, option=orjson.OPT_INDENT_2).decode(), []).append(account)
    return {", ".join(its): statement for statement, its in accounts.items()}
