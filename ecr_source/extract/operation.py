"""One operation in one scope: what to ask, what came of it, and the files with its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.api import Api
from ecr_source.aws.dispatch import Job
from ecr_source.aws.response import Response
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import EachRow, EachValue, Filling, OnlyWhere, Operation, Table
from ecr_source.errors import (
    Absent,
    BudgetSpent,
    CallFailed,
    Denied,
    Gone,
    LoopingToken,
    MalformedResponse,
    ScopeLost,
    TokenRejected,
    as_sentence,
)
from ecr_source.extract.failures import Failures, Left, ReadError
from ecr_source.extract.flatten import listed_keys
from ecr_source.extract.image_selection import IMAGE, Bounds, Earlier, choose, image_names
from ecr_source.extract.response_rows import Answer, Answers, ParentRow
from ecr_source.extract.spool import TableFile
from ecr_source.statuses import (
    CALL_FAILED,
    COMPLETE,
    DENIED,
    FAILED,
    LEFT_OUT,
    NOT_ASKED,
    PARTIAL,
    POSTPONED,
    READ,
    SKIPPED,
)

_NOT_FOUND = {"REPOSITORY_NOT_FOUND", "RepositoryNotFoundException", "ImageNotFound"}

_UNREADABLE = (CallFailed, LoopingToken, MalformedResponse, TokenRejected)
_ENDED = (BudgetSpent, ScopeLost)


@dataclass(frozen=True)
class Parents:
    """The rows that an operation is called for: those of `file`, as `reading` read them.

    `tags` are the rows of image_tags, where images are chosen; `bounds` and `earlier` say which images are asked again.
    """

    reading: Reading
    file: TableFile | None
    tags: TableFile | None
    bounds: Bounds
    earlier: Earlier


@dataclass
class Reading:
    """The reading of `operation` in one scope, for the `tables` that it fills.

    `jobs` are the calls to make, in any order and at the same time; `finish`, afterwards, leaves the `status`, the
    `files`, the repositories that are `excepted`, the `errors`, and, if the budget ended, where the next run
    `resumes_at`.
    """

    api: Api
    operation: Operation
    tables: Sequence[Table]
    folder: Path
    names: Sequence[str] | None
    observe: Callable[[Table, int], None]
    status: str = COMPLETE
    note: str = ""
    named: list[str] | None = None
    files: dict[Table, TableFile] = field(default_factory=dict)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self._failures = Failures(self.operation)
        self._answers = Answers(self.api, self.operation, self.tables, self.folder, self._malformed, self.observe)
        self._lock = threading.Lock()
        self._answered = 0
        self._kept = pa.array([], pa.string())
        self._asked_before = pa.array([], pa.string())
        self._left = Left()
        self._parents: Parents | None = None
        self._stopped = threading.Event()

    @property
    def errors(self) -> list[ReadError]:
        """What could not be read, with the reason."""
        return self._failures.errors

    @property
    def excepted(self) -> set[str]:
        """The repositories that keep the rows of earlier runs."""
        return self._failures.repositories

    @property
    def resumes_at(self) -> str:
        """The repository with which the next run goes on, where the budget ended; else empty."""
        start = self._starts_at()
        return min(self._left.repositories, key=lambda name: (name < start, name), default="")

    @property
    def is_postponed(self) -> bool:
        """Whether the budget ended before all was asked."""
        return self.status == POSTPONED or self._left.by_budget

    def jobs(self, parents: Parents | None, stopped: threading.Event) -> Iterator[Job]:
        """The calls and listings to make. A job raises nothing that the service, or the network, is to blame for."""
        self._parents, self._stopped = parents, stopped
        if not self.api.can_ask(self.operation):
            self._skip(f"{self.operation} tells of the caller's own registry only")
        elif self.names is not None and self.operation.names is None and parents is None:
            self._skip("only single repositories were asked for")
        elif (where := self.operation.only_where) and not self._holds(where):
            self._skip(f"{self.operation.instead} was read instead: {where.operation} does not tell {where.value}")
        elif parents is not None and parents.file is None:
            self.status = parents.reading.status
        elif parents is not None and parents.file is not None and self.operation.within:
            self._answers.within = image_names(_table(parents.file, IMAGE))
            yield self._read_listing
        elif parents is not None and parents.file is not None:
            yield from self._jobs_for_rows(parents, parents.file)
        elif self.names is not None:
            yield self._read_named
        elif isinstance(self.operation.each, EachValue):
            parameter = self.operation.each.parameter
            for value in self.operation.each.values:
                yield _Ask(self, [], {parameter: value})
        else:
            yield self._read_listing

    def finish(self) -> None:
        """Completes the files, or drops them, when all jobs are done."""
        self._answers.flush()
        if self.status == COMPLETE:
            self.status = self._failures.status or self._status()
        if self.status in READ or self._failures.images:
            self._keep_earlier_rows()
            self.files = self._answers.spool.complete(self.named, sorted(self.excepted))
        else:
            self._answers.spool.drop()
        if self._left.by_budget:
            self.note = f"the budget was spent: {self._left} wait for the next run"
        self.note = self.note or self.api.notes.get(self.operation, "")
        self.finished_at = datetime.now(UTC)

    def _status(self) -> str:
        inherited = COMPLETE
        if self._parents is not None:
            above = self._parents.reading
            self.named, inherited = above.named, above.status
            self.excepted.update(above.excepted)
        if not (self.excepted or self._failures.images or self._left.images) or inherited != COMPLETE:
            return inherited
        if self._answered or not (self.errors or self._left.by_budget):
            return PARTIAL
        return self.errors[0].status if self.errors else POSTPONED

    # what to ask

    def _holds(self, where: OnlyWhere) -> bool:
        member, *inner = where.path.split(".")
        try:
            for response in self.api.pages(where.operation):
                value = response.member(member)
                for name in inner:
                    value = value.get(name) if isinstance(value, dict) else None
                return bool(value == where.value)
        except _UNREADABLE as error:
            self._failures.note(error)
        except BudgetSpent:
            self.status = POSTPONED
        return False

    def _jobs_for_rows(self, parents: Parents, file: TableFile) -> Iterator[Job]:
        assert isinstance(self.operation.each, EachRow)
        rows = self._chosen(parents, file) if self.operation.again else self._rows(file)
        scalars = {name: column for name, column in self.operation.each.asked.items() if "[]" not in name}
        lists = {name: column for name, column in self.operation.each.asked.items() if "[]" in name}
        for _, alike in groupby(rows, key=lambda row: [row[column] for column in scalars.values()]):
            while batch := list(islice(alike, self.operation.each.at_a_time)):
                parameters: dict[str, Any] = {name: batch[0][column] for name, column in scalars.items()}
                parameters |= {name: [row[column] for row in batch] for name, column in lists.items()}
                if ended := self.api.ended:
                    self._leave(batch, ended, datetime.now(UTC))
                else:
                    yield _Ask(self, batch, parameters)

    def _rows(self, file: TableFile) -> Iterator[ParentRow]:
        """The rows of the parent table; where a budget can end, in the order of the names, from where it ended last."""
        columns = self._answers.columns
        if not self.api.budget.is_limited or "repository_name" not in columns:
            for batch in file.batches(10_000, columns):
                yield from batch.to_pylist()
            return
        rows = _table(file, columns).sort_by("repository_name")
        later = pc.greater_equal(rows["repository_name"], self._starts_at())
        for part in (rows.filter(later), rows.filter(pc.invert(later))):
            for batch in part.to_batches(10_000):
                yield from batch.to_pylist()

    def _starts_at(self) -> str:
        if self._parents is None or not self.tables:
            return ""
        return self._parents.earlier.resumes_at(self.tables[0], self.api.scope)

    def _chosen(self, parents: Parents, file: TableFile) -> Iterator[ParentRow]:
        again = self.operation.again
        assert again is not None
        record = next((table for table in self.tables if table.name == again.record), None)
        images = _table(file, [*self._answers.columns, "image_pushed_at"])
        tagged = parents.tags.batches() if parents.tags and parents.bounds.tag else ()
        earlier = parents.earlier.asked(record, self.tables, self.api.scope) if record else None
        names = parents.earlier.names
        choice = choose(images, tagged, earlier, again, parents.bounds, self.started_at, names)
        self._kept = choice.keep
        self._asked_before = choice.asked_before
        self._answered += len(choice.keep)
        for batch in choice.left_out.to_batches(10_000):
            for row in batch.to_pylist():
                self._answers.add(Answer.without_response(row, LEFT_OUT, self.started_at))
        for batch in choice.ask.to_batches(10_000):
            yield from batch.to_pylist()

    # asking

    def _read_listing(self) -> None:
        try:
            try:
                self._spool_pages(self.api.pages(self.operation))
            except TokenRejected:
                self._answers.drop()
                self._spool_pages(self.api.pages(self.operation))
        except Absent:
            self._answered += 1
        except BudgetSpent:
            self.status = POSTPONED
        except _UNREADABLE as error:
            self._fail(error)

    def _read_named(self) -> None:
        assert self.names is not None
        self.named = []
        try:
            self._spool_pages(self._found(self.names))
        except BudgetSpent:
            self.status = POSTPONED
        except _UNREADABLE as error:
            self._fail(error)
        else:
            self.status = PARTIAL if self.named else FAILED

    def _found(self, names: Sequence[str]) -> Iterator[Response]:
        for answer in self.api.named(self.operation, names):
            if isinstance(answer, Gone):
                self._failures.note(answer)
                continue
            assert self.named is not None
            page = self._answers.page([Answer({}, [answer], COMPLETE, self.started_at)], str(self.operation))
            keys = listed_keys(page, *self._answers.fillings[0])
            self.named.extend(keys.column(0).to_pylist())
            yield answer

    def _spool_pages(self, pages: Iterator[Response]) -> None:
        for number, response in enumerate(_one_ahead(pages), 1):
            if self._stopped.is_set():
                return
            where = f"page {number} of {self.operation} in {self.api.scope}"
            page = self._answers.page([Answer({}, [response], COMPLETE, self.started_at)], where)
            self._answers.add_page(page)
            self._answered += 1

    def ask(self, rows: Sequence[ParentRow], parameters: dict[str, Any]) -> None:
        """Asks for one row of the parent table, or for some at a time."""
        asked = rows[0] if rows else {}
        asked_at = datetime.now(UTC)
        try:
            responses = self._listed(asked, parameters, asked_at)
            self._except_failures(responses, asked)
        except Absent as error:
            outcome = self.operation.absent[error.error_code]
            self._collect(Answer.without_response(asked, outcome, asked_at))
        except (Denied, Gone) as error:
            if not self._asked_by_halves(rows, parameters) and isinstance(error, Denied):
                self._except(rows, error, asked_at)
        except _ENDED as ended:
            self._leave(rows, ended, asked_at)
        except _UNREADABLE as error:
            self._except(rows, error, asked_at)
        else:
            self._collect(Answer(asked, responses, COMPLETE, asked_at, rows))

    def _listed(self, asked: ParentRow, parameters: dict[str, Any], asked_at: datetime) -> list[Response]:
        try:
            return self._answers.listed(asked, self.api.pages(self.operation, parameters), asked_at)
        except TokenRejected:
            return self._answers.listed(asked, self.api.pages(self.operation, parameters), asked_at)

    def _collect(self, answer: Answer) -> None:
        with self._lock:
            self._answered += 1
        self._answers.add(answer)

    def _asked_by_halves(self, rows: Sequence[ParentRow], parameters: dict[str, Any]) -> bool:
        """Asks for each half of the rows of several repositories, of which one is gone or denied; False for one."""
        if len({row.get("repository_name") for row in rows}) < 2:
            return False
        half = len(rows) // 2
        for part in (slice(half), slice(half, None)):
            narrowed = {name: value[part] if "[]" in name else value for name, value in parameters.items()}
            self.ask(rows[part], narrowed)
        return True

    # what failed

    def _skip(self, reason: str) -> None:
        self.status, self.note = SKIPPED, reason

    def _fail(self, error: Exception) -> None:
        self._failures.fail(error)
        if self.operation.instead:
            self.note = as_sentence(f"{self.operation.instead} was read instead: {error}")

    def _malformed(self, answer: Answer, error: MalformedResponse) -> None:
        with self._lock:
            self._answered -= 1
        self._except(answer.rows, error, answer.asked_at)

    def _except(self, rows: Sequence[ParentRow], error: Exception, asked_at: datetime) -> None:
        """Excepts what could not be read: the image, where images are asked again one by one, else the repository."""
        if not any("repository_name" in row for row in rows):
            self._fail(error)
        elif not self.operation.again:
            self._failures.except_repositories({row["repository_name"] for row in rows}, error)
        else:
            outcome = DENIED if isinstance(error, Denied) else CALL_FAILED
            for row in rows:
                self._failures.except_image(row["repository_name"], row["image_digest"], error)
                self._answers.add(Answer.without_response(row, outcome, asked_at))

    def _leave(self, rows: Sequence[ParentRow], ended: BudgetSpent | ScopeLost, asked_at: datetime) -> None:
        """Leaves to the next run what cannot be asked any more; what is known of it from earlier runs is kept."""
        if isinstance(ended, ScopeLost):
            self._failures.note(ended)
        names = {row["repository_name"] for row in rows if "repository_name" in row}
        if not names:
            self.status = POSTPONED if isinstance(ended, BudgetSpent) else ended.status
            return
        images = [f"{row['repository_name']}@{row['image_digest']}" for row in rows] if self.operation.again else []
        with self._lock:
            self._left.add(names, images, ended)
        if not self.operation.again:
            self._failures.repositories.update(names)
            return
        before = pc.is_in(pa.array(images, pa.string()), self._asked_before).to_pylist()
        for row, known in zip(rows, before, strict=True):
            if not known:
                self._answers.add(Answer.without_response(row, NOT_ASKED, asked_at))

    def _except_failures(self, responses: Sequence[Response], asked: ParentRow) -> None:
        """Excepts what a response says that it could not answer for."""
        listed = self.operation.failures
        if listed is None or not any(response.member(listed) for response in responses):
            return
        failures = self.api.decode(self.operation, responses)[listed].combine_chunks().flatten()
        for failure in failures.to_pylist():
            code, reason = failure["failureCode"] or "no failureCode", failure["failureReason"] or ""
            if code in _NOT_FOUND:
                continue
            name = failure.get("repositoryName") or asked["repository_name"]
            message = f"cannot call {self.operation} of {name} in {self.api.scope}: {code}: {reason}"
            error = CallFailed(message, operation=str(self.operation), error_code=code, resource=name)
            if digest := (failure.get("imageId") or {}).get("imageDigest"):
                self._failures.except_image(name, digest, error)
            else:
                self._failures.except_repositories({name}, error)

    # what stays

    def _keep_earlier_rows(self) -> None:
        if self.operation.again is None or self._parents is None:
            return
        earlier = self._parents.earlier
        unasked = pa.concat_arrays([self._kept, pa.array(self._left.images, pa.string())])
        failed = pa.concat_arrays([unasked, pa.array(sorted(self._failures.images), pa.string())])
        for table, filling in dict(self._answers.fillings).items():
            kept = earlier.names(unasked if filling.whatever_comes else failed)
            for batch in earlier.rows(table, self.api.scope) if len(kept) else ():
                names = image_names(batch.rename_columns(_with_image_digest(batch, filling)))
                self._answers.spool.add({table: pa.Table.from_batches([batch]).filter(pc.is_in(names, kept))})


@dataclass(frozen=True)
class _Ask:
    """A job: one call, or one listing, for rows of the parent table."""

    reading: Reading
    rows: Sequence[ParentRow]
    parameters: dict[str, Any]

    def __call__(self) -> None:
        self.reading.ask(self.rows, self.parameters)


def _with_image_digest(batch: pa.RecordBatch, filling: Filling) -> list[str]:
    """The column names of `batch`, that of the image that was asked for being `image_digest`."""
    column = filling.column_of("image_digest")
    return ["image_digest" if name == column else name for name in batch.schema.names]


def _table(file: TableFile, columns: Sequence[str]) -> pa.Table:
    names = list(dict.fromkeys(columns))
    schema = pa.schema([arrow_schema(file.table).field(name) for name in names])
    return pa.Table.from_batches(file.batches(columns=names), schema).combine_chunks()


def _one_ahead(pages: Iterator[Response]) -> Iterator[Response]:
    """The pages, each read while the one before it is worked on."""
    with ThreadPoolExecutor(1, "page") as pool:
        following = pool.submit(next, pages, None)
        while (page := following.result()) is not None:
            following = pool.submit(next, pages, None)
            yield page
