"""What a run read and what it could not: rows of the run tables, and the outcome in one look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa

from ecr_source.aws.scopes import ASSUME_ROLE
from ecr_source.catalog import EXTRACTION_ERRORS, EXTRACTION_SCOPES, TABLES, group_of, operations_of
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.errors import Denied, IncompleteRun, as_sentence
from ecr_source.extract.results import ReadError, ScopeRead, TableRead, overall_status
from ecr_source.statuses import NOT_OFFERED, POSTPONED, READ, SKIPPED

NOT_LOADED = "load"
"""Stands for an operation where a scope has no outcome at all."""

_OF_WHOLE_SCOPES = {ASSUME_ROLE, NOT_LOADED}

_TIMES = ("oldest_answer_at", "started_at", "finished_at", "valid_from")

_IMAGES = ("asked", "kept", "left_out", "failed")

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
            **{name: row[name] and datetime.fromisoformat(row[name]) for name in _TIMES},
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
    """How one table of one scope came out; `message` is empty unless something could not be read.

    Where nothing was read, the rows stay that were `kept_from` an earlier reading. Where a call is made for each image,
    `images` says how many were asked, kept, left_out and failed.
    """

    scope: str
    table: str
    status: str
    rows: int
    calls: int
    throttled: int
    seconds: float
    message: str
    is_postponed: bool = False
    kept_from: datetime | None = None
    images: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run came out.

    `scopes` and `errors` are its rows of `extraction_scopes` and `extraction_errors`, as values that JSON has, without
    what is the same in all of them (`run_id`, `mode`). A row of `scopes` also has what a person is told of the table:
    `message`, `is_postponed` and `kept_from`.
    """

    scopes: tuple[dict[str, Any], ...]
    errors: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, reads: Sequence[ScopeRead], valid_from: datetime | None = None) -> Outcome:
        """The outcome of these reads; in history mode what changed is `valid_from` then on."""
        return cls(
            tuple(_scope_row(read, table, valid_from) for read in reads for table in read.tables),
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
                max((table.kept_from for table in tables if table.kept_from), default=None),
                _sum_of_images(tables),
            )
            for (scope, group), tables in grouped.items()
        ]

    @property
    def incomplete(self) -> list[TableOutcome]:
        """The tables of which something could not be read."""
        return [table for table in self.tables if table.message]

    def sentences(self) -> list[str]:
        """What could not be read: a sentence for each kind of error, whatever scopes it is of.

        Where several operations have met it, how often, and the first of it in full.
        """
        return sentences_of(row for row in self.errors if row["status"] != NOT_OFFERED)

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

    def __str__(self) -> str:
        """What `ecr-source run` prints of it."""
        from ecr_source.extract.printed_outcome import outcome_text  # which tells of this class

        return outcome_text(self)

    def raise_on_incomplete(self) -> None:
        """Like dlt's `raise_on_failed_jobs`, for what could not be read.

        What a budget postponed is no failure: see `postponed`.

        Raises:
            IncompleteRun: names every scope with the reason; all that could be read is loaded.
        """
        if self.incomplete:
            reasons = dict.fromkeys(table.message for table in self.incomplete)
            raise IncompleteRun("; ".join(reasons))


def sentences_of(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """A sentence for each kind of these errors, which are as rows of `extraction_errors`."""
    codes: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(errors, key=_in_order):
        codes.setdefault(row["error_code"], []).append(row)
    return [sentence for rows in codes.values() for sentence in _of_one_code(rows)]


def group_of_name(table_name: str) -> str:
    """The group of the table of this name; the name itself where it is in none."""
    table = _tables().get(table_name)
    return (table and group_of(table)) or table_name


def _tables() -> dict[str, Table]:
    return {table.name: table for table in TABLES}


def _of_scope(read: ScopeRead) -> dict[str, Any]:
    return {"registry_id": read.scope.registry_id, "region": read.scope.region}


def _scope_row(read: ScopeRead, table: TableRead, valid_from: datetime | None) -> dict[str, Any]:
    operations = {str(operation) for operation in operations_of([table.table])}
    errors = [error for error in read.errors if error.operation in operations | _OF_WHOLE_SCOPES]
    failed = [_of_scope(read) | asdict(error) for error in errors if error.status != NOT_OFFERED]
    images = table.images and asdict(table.images)
    answered_at = table.images and table.images.oldest_answer_at
    return _of_scope(read) | {
        "table_name": table.table.name,
        "region_from": read.region_from,
        "status": table.status,
        "rows": table.rows,
        "calls": table.usage.calls,
        "throttled": table.usage.throttled,
        "retried": table.usage.retried,
        "excepted_repositories": table.excepted_repositories,
        **{f"images_{name}": images and images[name] for name in _IMAGES},
        "oldest_answer_at": answered_at and answered_at.isoformat(),
        "resumes_at": table.resumes_at or None,
        "note": as_sentence(table.note) or None,
        "started_at": table.started_at.isoformat(),
        "finished_at": table.finished_at.isoformat(),
        "valid_from": valid_from.isoformat() if valid_from else None,
        "message": "; ".join(_sentences(sorted(failed, key=_in_order))),
        "is_postponed": table.is_postponed,
        "kept_from": table.kept_from and table.kept_from.isoformat(),
    }


def _error_row(error: ReadError) -> dict[str, Any]:
    # Cut here: where accounts are masked their pseudonyms are in it already.
    return {name: as_sentence(text) if name in _CUT else text for name, text in asdict(error).items()}


def _table_outcome(row: Mapping[str, Any]) -> TableOutcome:
    took = datetime.fromisoformat(row["finished_at"]) - datetime.fromisoformat(row["started_at"])
    return TableOutcome(
        scope=_scope_of(row),
        table=row["table_name"],
        status=row["status"],
        rows=row["rows"],
        calls=row["calls"],
        throttled=row["throttled"],
        seconds=took.total_seconds(),
        message=row["message"],
        is_postponed=row["is_postponed"],
        kept_from=row["kept_from"] and datetime.fromisoformat(row["kept_from"]),
        images={name: row[f"images_{name}"] for name in _IMAGES if row[f"images_{name}"] is not None},
    )


def _sum_of_images(tables: Iterable[TableOutcome]) -> dict[str, int]:
    """What `images` says of all tables; those that one operation fills say the same."""
    by_name = _tables()
    of_operations = {str(by_name[one.table].operation): one.images for one in tables if one.images}
    return {name: sum(images[name] for images in of_operations.values()) for name in _IMAGES} if of_operations else {}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def _rows(columns: Mapping[str, list[Any]]) -> tuple[dict[str, Any], ...]:
    return tuple(dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _sentences(errors: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each kind of error: where all repositories are denied, there are as many errors."""
    for first, *others in _kinds(errors).values():
        named = ", ".join(_place(error, beside=first) for error in others[:_NAMED])
        more = f" and {len(others) - _NAMED:,} more" if len(others) > _NAMED else ""
        message = as_sentence(first["message"])
        yield f"{message}; the same of {named}{more}" if others else message


def _of_one_code(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    first, *others = _kinds(errors).values()
    if not others:
        return [*_sentences(first)]
    what = "access denied" if first[0]["status"] == Denied.status else first[0]["error_code"]
    scopes = list(dict.fromkeys(map(_scope_of, errors)))
    where = scopes[0] if len(scopes) == 1 else f"{len(scopes):,} scopes"
    return [f"{what} in {where}: {', '.join(map(_counted, (first, *others)))}", *_sentences(first)]


def _kinds(errors: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """The errors of each operation that have one code."""
    kinds: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for error in errors:
        kinds.setdefault((error["operation"], error["error_code"]), []).append(error)
    return kinds


def _in_order(error: Mapping[str, Any]) -> tuple[str, ...]:
    return error["operation"], error["error_code"], _scope_of(error), error["resource"]


def _place(error: Mapping[str, Any], beside: Mapping[str, Any]) -> str:
    """What was asked for, and in which scope, unless that is the one of the error `beside`."""
    scope = "" if _scope_of(error) == _scope_of(beside) else _scope_of(error)
    return " in ".join(filter(None, (error["resource"], scope)))


def _scope_of(row: Mapping[str, Any]) -> str:
    return f"{row['registry_id']}/{row['region']}"


def _counted(errors: Sequence[Mapping[str, Any]]) -> str:
    """The operation, and of how many repositories it could not be asked."""
    repositories = {(_scope_of(error), error["resource"]) for error in errors if error["resource"]}
    count = f"{len(repositories):,} {'repository' if len(repositories) == 1 else 'repositories'}"
    return f"{errors[0]['operation']} ({count})" if repositories else str(errors[0]["operation"])
