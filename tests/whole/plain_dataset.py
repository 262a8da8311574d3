"""A dataset in memory, and a walk over a registry in this process: what a run leaves, without dlt, in milliseconds."""

from __future__ import annotations

import shutil
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from boto3 import Session
from botocore.exceptions import ClientError

from ecr_source import catalog
from ecr_source.aws import api, response
from ecr_source.aws.budget import Budget
from ecr_source.aws.decode import parse
from ecr_source.aws.dispatch import Job
from ecr_source.aws.error_codes import failed_call
from ecr_source.aws.rate import Rate
from ecr_source.aws.scopes import Connection, Scope, Target
from ecr_source.catalog.model import operation_model
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.extract.images.image_selection import NEVER, Bounds, Earlier
from ecr_source.extract.images.portions import compact
from ecr_source.extract.results import ScopeRead
from ecr_source.extract.rows.spool import TableFile
from ecr_source.extract.walk import Walk
from ecr_source.loading.markers import markers_of
from ecr_source.statuses import COMPLETE, POSTPONED, READ, SKIPPED
from tests.server.accounts import ACCESS_KEY, ACCOUNT
from tests.server.ecr_server import EcrServer
from tests.server.protocols import Call

Row = dict[str, Any]

REGION = "eu-west-1"
SERVICES = ("ecr", "inspector2", "resourcegroupstaggingapi")
OF_IMAGES = {table.name for table in catalog.TABLES if table.is_asked_again}


class DirectApi(api.Api):
    """Calls that are answered in this process."""

    server: EcrServer

    def __post_init__(self) -> None:
        """Nothing: no client is asked."""

    def call(self, operation: Operation, **parameters: object) -> response.Response:
        self.budget.take()
        region = self.scope.region
        answer = self.server.answer(Call(operation.service, operation.name, region, ACCESS_KEY, None, parameters))
        if answer.status >= 300:
            error = parse(answer.body)
            code = str(error["__type"]).rpartition("#")[2]
            told: Any = {"Error": {"Code": code, "Message": error.get("message", "")}}
            raise failed_call(ClientError(told, operation.name), operation, parameters, str(self.scope), endpoint="")
        return response._response(answer.body, operation_model(operation.service, operation.name))


class AtOnce:
    """In the place of threads: what is handed over is done by who hands it over, so an order is always the same."""

    def __init__(self, *_: object) -> None:
        """How many threads there would be does not matter."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is under way."""

    def submit(self, work: Callable[..., Any], *arguments: object) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done

    def do(self, jobs: Mapping[Rate, Iterator[Job]], stopped: threading.Event) -> None:
        """As `Calls`: the operations take turns."""
        waiting = deque(jobs.values())
        while waiting and not stopped.is_set():
            if job := next(waiting[0], None):
                job()
                waiting.rotate(-1)
            else:
                waiting.popleft()


@cache
def _clients() -> dict[str, Any]:
    session = Session(ACCESS_KEY, "secret", region_name=REGION)
    return {service: session.client(service) for service in SERVICES}  # type: ignore[call-overload]


class _Here(Target):
    def connect(self) -> Connection:
        return Connection(self.scope, _clients())


def merged(rows: Sequence[Row], files: Sequence[TableFile], table: Table | RunTable) -> list[Row]:
    """What dlt's delete-insert leaves of `rows`: the rows of the files replace what their markers name."""
    schema = arrow_schema(table)
    named: dict[str, set[tuple[Any, ...]]] = {"read": set(), "kept": set()}
    for marker in markers_of(table, files, schema).to_pylist():
        named[marker[table.marked_in]].add(tuple(marker[name] for name in table.replaced_by[-1]))

    def stays(row: Row) -> bool:
        full = tuple(row[name] for name in table.replaced_by[-1])
        names = {(*full[: len(level)], *[""] * (len(full) - len(level))) for level in table.replaced_by}
        return names.isdisjoint(named["read"]) or not names.isdisjoint(named["kept"])

    stay = [row for row in rows if stays(row)]
    return stay + [row for file in files for row in pa.Table.from_batches(file.batches(), schema).to_pylist()]


@dataclass
class PlainDataset(Earlier):
    """The tables, and what the ledger says of each."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    ledger: list[tuple[str, str, datetime, str]] = field(default_factory=list)

    def load(self, read: ScopeRead) -> None:
        """Loads what a walk has read."""
        self.load_tables(read)
        self.ledger += [(one.table.name, one.status, one.started_at, one.resumes_at) for one in read.tables]

    def load_tables(self, read: ScopeRead, first: int | None = None) -> None:
        """Loads what was read of the first tables, or of all, without a word in the ledger."""
        files = [*read.records, *(file for table in read.tables for file in table.files)]
        for table in [*dict.fromkeys(file.table for file in files)][:first]:
            mine = [file for file in files if file.table is table]
            if self._has_later(table, min(file.began_at for file in mine)):
                continue
            self.rows[table.name] = merged(self.rows.get(table.name, []), mine, table)

    def _has_later(self, table: Table | RunTable, began_at: datetime) -> bool:
        """Whether a complete reading that began later is there: of the table, or of any that is asked of images."""
        told_of = OF_IMAGES if isinstance(table, RunTable) or table.name in OF_IMAGES else {table.name}
        return any(name in told_of and status == COMPLETE and at > began_at for name, status, at, _ in self.ledger)

    def answers(self, operation: Operation, scope: Scope) -> pa.Table:
        rows = [row for row in self.rows.get("extraction_images", []) if row["operation"] == str(operation)]
        answers = pa.Table.from_pylist(rows, arrow_schema(catalog.EXTRACTION_IMAGES))
        return answers.cast(compact(answers.schema))

    def resumes_at(self, table: Table, scope: Scope) -> str:
        return next(
            (end for name, status, _, end in reversed(self.ledger) if name == table.name and status in READ), ""
        )

    def last_read(self, table: Table, scope: Scope) -> datetime:
        times = (at for name, status, at, _ in self.ledger if name == table.name and status in READ)
        return max(times, default=NEVER)

    def last_tried(self, table: Table, scope: Scope) -> datetime:
        times = (at for name, status, at, _ in self.ledger if name == table.name and status not in (POSTPONED, SKIPPED))
        return max(times, default=NEVER)


def read_once(
    folder: Path,
    tables: Sequence[Table],
    earlier: Earlier,
    *,
    names: Sequence[str] = (),
    bounds: Bounds | None = None,
    without: Collection[Operation] = (),
    max_calls: int | None = None,
    max_in_flight: int = 2,
) -> ScopeRead:
    """One walk over the registry of `DirectApi.server`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    target = _Here(Scope(ACCOUNT, REGION), None, SERVICES)  # type: ignore[arg-type]  # nobody asks for the account
    walk = Walk(
        tables,
        folder,
        names=names,
        bounds=bounds or Bounds(),
        earlier=earlier,
        without=without,
        max_in_flight=max_in_flight,
        budget=Budget(max_calls),
    )
    (read,) = walk.read([target])
    return read


def shown(rows: Iterable[Row], columns: Sequence[str]) -> Counter[str]:
    """The rows by what they say in these columns, each as often as it is there."""
    return Counter(", ".join(_plain(row[name]) for name in columns) for row in rows)


def _plain(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def now() -> float:
    return datetime.now(UTC).timestamp()
