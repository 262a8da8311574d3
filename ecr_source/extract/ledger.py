"""What a run read and what it could not: rows of the run tables, and the outcome in one look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from ecr_source.aws.scopes import ASSUME_ROLE
from ecr_source.catalog import EXTRACTION_ERRORS, EXTRACTION_SCOPES, TABLES, group_of, operations_of
from ecr_source.catalog.schema import arrow_schema
from ecr_source.errors import IncompleteRun, as_sentence
from ecr_source.extract.results import ReadError, ScopeRead, TableRead, overall_status
from ecr_source.statuses import NOT_OFFERED, POSTPONED, READ, SKIPPED

NOT_LOADED = "load"
"""Stands for an operation where a scope has no outcome at all."""

_OF_WHOLE_SCOPES = {ASSUME_ROLE, NOT_LOADED}

_CUT = {"error_code", "message"}

_NAMED = 3
"""How many repositories a sentence names of those that fail as another one does; `extraction_errors` has all."""


def scope_rows(run_id: str, mode: str, outcome: Outcome) -> pa.Table:
    """The rows of `extraction_scopes`, with its Arrow schema."""
    rows = [
        {
            "run_id": run_id,
            "mode": mode,
            **row,
            "started_at": datetime.fromisoformat(row["started_at"]),
            "finished_at": datetime.fromisoformat(row["finished_at"]),
        }
        for row in outcome.scopes
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(EXTRACTION_SCOPES))


def error_rows(run_id: str, mode: str, outcome: Outcome) -> pa.Table:
    """The rows of `extraction_errors`, with its Arrow schema."""
    rows = [{"run_id": run_id, **row} for row in outcome.errors]
    return pa.Table.from_pylist(rows, schema=arrow_schema(EXTRACTION_ERRORS))


@dataclass(frozen=True)
class TableOutcome:
    """How one table of one scope came out; `message` is empty unless something could not be read."""

    scope: str
    table: str
    status: str
    rows: int
    calls: int
    throttled: int
    seconds: float
    message: str
    is_postponed: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a run came out.

    `scopes` and `errors` are its rows of `extraction_scopes` and `extraction_errors`, as values that JSON has, without
    what is the same in all of them (`run_id`, `mode`). A row of `scopes` also has what a person is told of the table:
    `message` and `is_postponed`.
    """

    scopes: tuple[dict[str, Any], ...]
    errors: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, reads: Sequence[ScopeRead]) -> Outcome:
        """The outcome of these reads."""
        return cls(
            tuple(_scope_row(read, table) for read in reads for table in read.tables),
            tuple(
                _of_scope(read) | {"ordinal": ordinal, **_error_row(error)}
                for read in reads
                for ordinal, error in enumerate(read.errors)
            ),
        )

    @classmethod
    def of_all(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """The outcome of several runs, as if they had been one."""
        parts = list(outcomes)
        return cls(
            tuple(row for part in parts for row in part.scopes), tuple(row for part in parts for row in part.errors)
        )

    @classmethod
    def from_json(cls, outcome: Mapping[str, Mapping[str, list[Any]]]) -> Outcome:
        """The outcome that `as_json` wrote."""
        return cls(_rows(outcome["scopes"]), _rows(outcome["errors"]))

    def as_json(self) -> dict[str, dict[str, list[Any]]]:
        """The outcome as values that JSON has: for dlt's trace, or to hand it on to another task.

        A scope has dozens of rows: column by column they take a third of the space.
        """
        return {"scopes": _columns(self.scopes), "errors": _columns(self.errors)}

    @cached_property
    def tables(self) -> tuple[TableOutcome, ...]:
        """How each table of each scope came out."""
        return tuple(_table_outcome(row) for row in self.scopes)

    def groups(self) -> list[TableOutcome]:
        """The outcome of each group of tables in each scope; `table` is the group's name."""
        grouped: dict[tuple[str, str], list[TableOutcome]] = {}
        for table in self.tables:
            grouped.setdefault((table.scope, group_of_name(table.table)), []).append(table)
        return [
            TableOutcome(
                scope,
                group,
                overall_status([table.status for table in tables]),
                sum(table.rows for table in tables),
                sum(table.calls for table in tables),
                sum(table.throttled for table in tables),
                max(table.seconds for table in tables),
                "; ".join(dict.fromkeys(table.message for table in tables if table.message)),
                any(table.is_postponed for table in tables),
            )
            for (scope, group), tables in grouped.items()
        ]

    @property
    def incomplete(self) -> list[TableOutcome]:
        """The tables of which something could not be read."""
        return [table for table in self.tables if table.message]

    @property
    def not_offered(self) -> list[str]:
        """A sentence for each operation of which this run was told that a scope does not have it."""
        return [row["note"] for row in self.scopes if row["status"] == NOT_OFFERED and row["note"]]

    @property
    def nothing_read(self) -> bool:
        """Whether no table of any scope could be read."""
        asked = [table for table in self.tables if table.status not in (SKIPPED, POSTPONED, NOT_OFFERED)]
        return bool(asked) and not any(table.status in READ for table in asked)

    @property
    def postponed(self) -> list[TableOutcome]:
        """The tables that the budget did not reach, or not to their end."""
        return [table for table in self.tables if table.is_postponed]

    def raise_on_incomplete(self) -> None:
        """Like dlt's `raise_on_failed_jobs`, for what could not be read.

        What a budget postponed is no failure: see `postponed`.

        Raises:
            IncompleteRun: names every scope with the reason; all that could be read is loaded.
        """
        if self.incomplete:
            reasons = dict.fromkeys(table.message for table in self.incomplete)
            raise IncompleteRun("; ".join(reasons))


def group_of_name(table_name: str) -> str:
    """The group of the table of this name; the name itself where it is in none."""
    return next((group_of(table) for table in TABLES if table.name == table_name), "") or table_name


def _of_scope(read: ScopeRead) -> dict[str, Any]:
    return {"registry_id": read.scope.registry_id, "region": read.scope.region}


def _scope_row(read: ScopeRead, table: TableRead) -> dict[str, Any]:
    operations = {str(operation) for operation in operations_of([table.table])}
    errors = [error for error in read.errors if error.operation in operations | _OF_WHOLE_SCOPES]
    failed = [error for error in errors if error.status != NOT_OFFERED]
    return _of_scope(read) | {
        "table_name": table.table.name,
        "region_from": read.region_from,
        "status": table.status,
        "rows": table.rows,
        "calls": table.usage.calls,
        "throttled": table.usage.throttled,
        "retried": table.usage.retried,
        "excepted_repositories": table.excepted_repositories,
        "resumes_at": table.resumes_at or None,
        "note": as_sentence(table.note) or None,
        "started_at": table.started_at.isoformat(),
        "finished_at": table.finished_at.isoformat(),
        "message": "; ".join(_sentences(failed)),
        "is_postponed": table.is_postponed,
    }


def _error_row(error: ReadError) -> dict[str, Any]:
    # Cut here: where accounts are masked their pseudonyms are in it already.
    return {name: as_sentence(text) if name in _CUT else text for name, text in asdict(error).items()}


def _table_outcome(row: Mapping[str, Any]) -> TableOutcome:
    took = datetime.fromisoformat(row["finished_at"]) - datetime.fromisoformat(row["started_at"])
    return TableOutcome(
        scope=f"{row['registry_id']}/{row['region']}",
        table=row["table_name"],
        status=row["status"],
        rows=row["rows"],
        calls=row["calls"],
        throttled=row["throttled"],
        seconds=took.total_seconds(),
        message=row["message"],
        is_postponed=row["is_postponed"],
    )


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _rows(columns: Mapping[str, list[Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _sentences(errors: Iterable[ReadError]) -> Iterator[str]:
    """A sentence for each kind of error: where all repositories are denied, there are as many errors."""
    kinds: dict[tuple[str, str], list[ReadError]] = {}
    for error in sorted(errors, key=lambda error: (error.resource, error.error_code)):
        kinds.setdefault((error.operation, error.error_code), []).append(error)
    for first, *others in kinds.values():
        named = ", ".join(error.resource for error in others[:_NAMED])
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        message = as_sentence(first.message)
        yield f"{message}; the same of {named}{more}" if others else message
