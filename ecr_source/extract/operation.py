"""One operation in one scope: what to ask, what came of it, and the files with its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.api import Api
from ecr_source.aws.dispatch import Job, one_ahead
from ecr_source.aws.response import Response
from ecr_source.catalog.table import AskAgain, EachRow, EachValue, OnlyWhere, Operation, Table
from ecr_source.errors import (
    Absent,
    BudgetSpent,
    CallFailed,
    Denied,
    Gone,
    LoopingToken,
    MalformedResponse,
    NotOffered,
    ScopeLost,
    TokenRejected,
)
from ecr_source.extract.failures import Failures, Left, failures_in, status_of
from ecr_source.extract.flatten import listed_keys
from ecr_source.extract.page import ParentRow
from ecr_source.extract.questions import (
    ForRows,
    Listing,
    Named,
    Nothing,
    Parents,
    all_rows,
    calls_for,
    each_row,
    halves,
    question_of,
    rows_from,
    rows_of,
)
from ecr_source.extract.response_rows import Answer, Answers
from ecr_source.extract.spool import Files, TableFile
from ecr_source.statuses import (
    CALL_FAILED,
    COMPLETE,
    DENIED,
    FAILED,
    LEFT_OUT,
    NOT_ASKED,
    NOT_OFFERED,
    PARTIAL,
    POSTPONED,
    READ,
    SKIPPED,
)

_UNREADABLE = (CallFailed, LoopingToken, MalformedResponse, TokenRejected)
_ENDED = (BudgetSpent, ScopeLost)


@dataclass
class Reading:
    """The reading of `operation` in one scope, for the `tables` that it fills.

    `jobs` are the calls to make, in any order and at the same time, none where it `is_offered` no more than lately;
    `finish`, afterwards, leaves the `status`, the `files`, the `failures` with the repositories that they except, and,
    if the budget ended, where the next run `resumes_at`. What is loaded since it `began_at` this time is newer.
    """

    api: Api
    operation: Operation
    tables: Sequence[Table]
    folder: Path
    names: Sequence[str] | None
    observe: Callable[[Table, int], None]
    began_at: datetime
    is_offered: bool = True
    status: str = COMPLETE
    note: str = ""
    named: list[str] | None = None
    files: Files = field(default_factory=dict)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.failures = Failures(self.operation)
        self._answers = Answers(
            self.api, self.operation, self.tables, self.folder, self.began_at, self._malformed, self.observe
        )
        self._lock = threading.Lock()
        self._answered = 0
        self._known = pa.array([], pa.string())
        self._left = Left()
        self._parents: Parents | None = None
        self._stopped = threading.Event()

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
        match self._out_of_place() or question_of(self.operation, self.names, parents):
            case Nothing(status, note):
                self.status, self.note = status, note
            case Listing(images):
                self._answers.within = images
                yield self._read_listing
            case Named(names):
                yield partial(self._read_named, names)
            case EachValue(parameter, values):
                for value in values:
                    yield partial(self._ask, [], {parameter: value})
            case ForRows(each, file):
                yield from self._jobs_for_rows(each, file)

    def finish(self) -> None:
        """Completes the files, or drops them, when all jobs are done."""
        self._answers.flush()
        if self.status == COMPLETE:
            self._inherit()
            above = self._parents.status if self._parents else COMPLETE
            self.status = status_of(above, self.failures, self._left, answered=self._answered > 0)
        if self.status in READ or self.failures.images:
            self.files = self._answers.complete(self.named, sorted(self.failures.repositories))
        else:
            self._answers.discard()
        if self._left.by_budget:
            self.note = f"the budget was spent: {self._left} wait for the next run"
        self.note = self.note or self.api.notes.get(self.operation, "")
        self.finished_at = datetime.now(UTC)

    def emptied(self, parents: Parents) -> Files:
        """The files by which nothing is left of what the operation gave to its tables, without asking."""
        self._parents = parents
        self._inherit()
        return self._answers.complete(self.named, sorted(self.failures.repositories))

    def _inherit(self) -> None:
        """Takes over which repositories the parent table's rows are of, unless nothing could be read."""
        if self._parents is not None and self.failures.status is None:
            self.named = self._parents.named
            self.failures.repositories.update(self._parents.excepted)

    # what to ask

    def _out_of_place(self) -> Nothing | None:
        """Why the operation says nothing of this registry; None if it does."""
        if not self.is_offered:
            return Nothing(NOT_OFFERED)
        if not self.api.can_ask(self.operation):
            return Nothing(SKIPPED, f"{self.operation} tells of the caller's own registry only")
        where = self.operation.only_where
        if where is None or self._tells(where):
            return None
        other = self.operation.instead
        return Nothing(SKIPPED, f"{other} was read instead: {where.operation} does not tell {where.value}")

    def _tells(self, where: OnlyWhere) -> bool:
        try:
            return self.api.tells(where)
        except _UNREADABLE as error:
            self.failures.note(error)
        except BudgetSpent:
            pass  # what is read instead is postponed too
        return False

    def _jobs_for_rows(self, each: EachRow, file: TableFile) -> Iterator[Job]:
        for rows, parameters in calls_for(each, self._rows(file)):
            if self.failures.status == NOT_OFFERED:
                return
            if ended := self.api.ended:
                self._leave(rows, ended, datetime.now(UTC))
            else:
                yield partial(self._ask, rows, parameters)

    def _rows(self, file: TableFile) -> Iterator[ParentRow]:
        """The rows that are asked for; where a budget can end, from where it ended last."""
        columns = self._answers.columns
        if self.operation.again:
            return self._chosen(self.operation.again, file)
        if not self.api.budget.is_limited or "repository_name" not in columns:
            return all_rows(file, columns)
        return rows_from(file, columns, self._starts_at())

    def _starts_at(self) -> str:
        if self._parents is None or not self.tables:
            return ""
        return self._parents.earlier.resumes_at(self.tables[0], self.api.scope)

    def _chosen(self, again: AskAgain, file: TableFile) -> Iterator[ParentRow]:
        assert self._parents is not None
        assert self._answers.record is not None
        images = rows_of(file, self._answers.columns)
        choice = self._answers.record.choose(images, self._parents, again, self.started_at)
        self._known = choice.known
        self._answered += choice.standing.num_rows
        for row in each_row(choice.left_out):
            self._answers.add(Answer.without_response(row, LEFT_OUT, self.started_at))
        yield from each_row(choice.ask)

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

    def _read_named(self, names: Sequence[str]) -> None:
        self.named = []
        try:
            self._spool_pages(self._found(names, self.named))
        except BudgetSpent:
            self.status = POSTPONED
        except _UNREADABLE as error:
            self._fail(error)
        else:
            self.status = PARTIAL if self.named else FAILED

    def _found(self, names: Sequence[str], named: list[str]) -> Iterator[Response]:
        for answer in self.api.named(self.operation, names):
            if isinstance(answer, Gone):
                self.failures.note(answer)
                continue
            page = self._answers.page([Answer({}, [answer], COMPLETE, self.started_at)], str(self.operation))
            keys = listed_keys(page, *self._answers.fillings[0])
            named.extend(keys.column(0).to_pylist())
            yield answer

    def _spool_pages(self, pages: Iterator[Response]) -> None:
        for number, response in enumerate(one_ahead(pages), 1):
            if self._stopped.is_set():
                return
            where = f"page {number} of {self.operation} in {self.api.scope}"
            page = self._answers.page([Answer({}, [response], COMPLETE, self.started_at)], where)
            self._answers.add_page(page)
            self._answered += 1

    def _ask(self, rows: list[ParentRow], parameters: dict[str, Any]) -> None:
        """Asks for one row of the parent table, or for some at a time."""
        asked = rows[0] if rows else {}
        asked_at = datetime.now(UTC)
        try:
            responses = self._listed(asked, parameters, asked_at)
            failed = [*failures_in(self.api, self.operation, responses, asked)]
            for failure in failed:
                self.failures.except_answer(failure)
        except Absent as error:
            outcome = self.operation.absent[error.error_code]
            self._collect(Answer.without_response(asked, outcome, asked_at))
        except (Denied, Gone) as error:
            self._refused(rows, parameters, error, asked_at)
        except _ENDED as ended:
            self._leave(rows, ended, asked_at)
        except _UNREADABLE as error:
            self._except(rows, error, asked_at)
        else:
            self._collect(Answer(asked, responses, COMPLETE, asked_at, rows, {one.image for one in failed}))

    def _refused(
        self, rows: list[ParentRow], parameters: dict[str, Any], error: Denied | Gone, asked_at: datetime
    ) -> None:
        """Looks for the repository that is gone or denied, where several were asked for."""
        parts = halves(rows, parameters)
        for part, narrowed in parts:
            self._ask(part, narrowed)
        if parts:
            return
        if isinstance(error, Denied):
            self._except(rows, error, asked_at)
        elif self._answers.record:
            self._answers.record.forget(rows)

    def _listed(self, asked: ParentRow, parameters: dict[str, Any], asked_at: datetime) -> list[Response]:
        try:
            return self._answers.listed(asked, self.api.pages(self.operation, parameters), asked_at)
        except TokenRejected:
            return self._answers.listed(asked, self.api.pages(self.operation, parameters), asked_at)

    def _collect(self, answer: Answer) -> None:
        with self._lock:
            self._answered += 1
        self._answers.add(answer)

    # what failed

    def _fail(self, error: Exception) -> None:
        self.failures.fail(error)
        if self.operation.instead:
            self.note = f"{self.operation.instead} was read instead: {error}"
        elif isinstance(error, NotOffered):
            self.note = str(error)

    def _malformed(self, answer: Answer, error: MalformedResponse) -> None:
        with self._lock:
            self._answered -= 1
        self._except(answer.rows, error, answer.asked_at)

    def _except(self, rows: Sequence[ParentRow], error: Exception, asked_at: datetime) -> None:
        """Excepts what could not be read: the image, where images are asked again one by one, else the repository."""
        if isinstance(error, NotOffered) or not any("repository_name" in row for row in rows):
            self._fail(error)
        elif not self.operation.again:
            self.failures.except_repositories({row["repository_name"] for row in rows}, error)
        else:
            outcome = DENIED if isinstance(error, Denied) else CALL_FAILED
            for row in rows:
                self.failures.except_image(row["repository_name"], row["image_digest"], error)
                self._answers.add(Answer.without_response(row, outcome, asked_at))

    def _leave(self, rows: Sequence[ParentRow], ended: BudgetSpent | ScopeLost, asked_at: datetime) -> None:
        """Leaves to the next run what cannot be asked any more; what is known of it from earlier runs is kept."""
        if isinstance(ended, ScopeLost):
            self.failures.note(ended)
        names = {row["repository_name"] for row in rows if "repository_name" in row}
        if not names:
            self.status = POSTPONED if isinstance(ended, BudgetSpent) else ended.status
            return
        images = [f"{row['repository_name']}@{row['image_digest']}" for row in rows] if self.operation.again else []
        with self._lock:
            self._left.add(names, images, ended)
        if not self.operation.again:
            self.failures.repositories.update(names)
            return
        is_known = pc.is_in(pa.array(images, pa.string()), self._known).to_pylist()
        for row, known in zip(rows, is_known, strict=True):
            if not known:
                self._answers.add(Answer.without_response(row, NOT_ASKED, asked_at))
