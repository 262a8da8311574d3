"""What a run read and what it could not: rows of the run tables, and the outcome in one look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from ecr_source.catalog import EXTRACTION_ERRORS, EXTRACTION_SCOPES, TABLES, group_of, operations_of
from ecr_source.catalog.run import POSTPONED, READ, SKIPPED
from ecr_source.catalog.schema import arrow_schema
from ecr_source.errors import IncompleteRun
from ecr_source.failures import ReadError
from ecr_source.scopes import ASSUME_ROLE
from ecr_source.walk import ScopeRead, TableRead, overall_status

_NAMED = 3
"""How many repositories a sentence names of those that fail as another one does; `extraction_errors` has all."""


def scope_rows(run_id: str, mode: str, reads: Sequence[ScopeRead]) -> pa.Table:
    """The rows of `extraction_scopes`, with its Arrow schema."""
    rows = [
        {
            "run_id": run_id,
            "table_name": table.table.name,
            "registry_id": read.scope.registry_id,
            "region": read.scope.region,
            "region_from": read.region_from,
            "mode": mode,
            "status": table.status,
            "rows": table.rows,
            "calls": table.usage.calls,
            "throttled": table.usage.throttled,
            "retried": table.usage.retried,
            "excepted_repositories": table.excepted_repositories,
            "resumes_at": table.resumes_at or None,
            "note": table.note or None,
            "started_at": table.started_at,
            "finished_at": table.finished_at,
        }
        for read in reads
        for table in read.tables
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(EXTRACTION_SCOPES))


def error_rows(run_id: str, mode: str, reads: Sequence[ScopeRead]) -> pa.Table:
    """The rows of `extraction_errors`, with its Arrow schema."""
    rows = [
        {
            "run_id": run_id,
            "registry_id": read.scope.registry_id,
            "region": read.scope.region,
            "ordinal": ordinal,
            **asdict(error),
        }
        for read in reads
        for ordinal, error in enumerate(read.errors)
    ]
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
    """How a run came out."""

    tables: tuple[TableOutcome, ...]

    @classmethod
    def of(cls, reads: Sequence[ScopeRead]) -> Outcome:
        """The outcome of these reads."""
        return cls(tuple(_table_outcome(read, table) for read in reads for table in read.tables))

    @classmethod
    def from_metric(cls, metric: Sequence[dict[str, Any]]) -> Outcome:
        """The outcome that `as_metric` wrote."""
        return cls(tuple(TableOutcome(**table) for table in metric))

    def as_metric(self) -> list[dict[str, Any]]:
        """The outcome as plain values, for dlt's trace."""
        return [asdict(table) for table in self.tables]

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
    def nothing_read(self) -> bool:
        """Whether no table of any scope could be read."""
        asked = [table for table in self.tables if table.status not in (SKIPPED, POSTPONED)]
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


def _table_outcome(read: ScopeRead, table: TableRead) -> TableOutcome:
    operations = {str(operation) for operation in operations_of([table.table])}
    return TableOutcome(
        scope=str(read.scope),
        table=table.table.name,
        status=table.status,
        rows=table.rows,
        calls=table.usage.calls,
        throttled=table.usage.throttled,
        seconds=(table.finished_at - table.started_at).total_seconds(),
        message="; ".join(_sentences(error for error in read.errors if error.operation in operations | {ASSUME_ROLE})),
        is_postponed=table.is_postponed,
    )


def _sentences(errors: Iterable[ReadError]) -> Iterator[str]:
    """A sentence for each kind of error: where all repositories are denied, there are as many errors."""
    kinds: dict[tuple[str, str], list[ReadError]] = {}
    for error in sorted(errors, key=lambda error: (error.resource, error.error_code)):
        kinds.setdefault((error.operation, error.error_code), []).append(error)
    for first, *others in kinds.values():
        named = ", ".join(error.resource for error in others[:_NAMED])
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        yield f"{first.message}; the same of {named}{more}" if others else first.message
