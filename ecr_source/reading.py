"""One operation in one scope: what to ask, what came of it, and the files with its rows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.again import CALL_FAILED, DENIED, IMAGE, LEFT_OUT, Bounds, Earlier, choose, image_names
from ecr_source.api import Api, Response
from ecr_source.arrow import Page, flatten, listed_keys
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import COMPLETE, Asked, EachRow, EachValue, Filling, OfParent, OnlyWhere, Operation, Table
from ecr_source.dispatch import Job
from ecr_source.errors import Absent, CallFailed, Denied, Gone, LoopingToken, MalformedResponse, TokenRejected
from ecr_source.spool import Spool, TableFile

# Rows are made of many small responses at once: Arrow takes as long for one as for fifty.
_ANSWERS_AT_A_TIME = 500
_BYTES_AT_A_TIME = 1_000_000

# Pages of a listing that are held in memory, so that its rows are added when it is complete. Longer ones are spooled.
_BYTES_OF_A_LISTING = 4_000_000

# It takes several times the memory of the page, and one processor each.
_FLATTENING = threading.BoundedSemaphore(os.cpu_count() or 1)

_NOT_FOUND = {"REPOSITORY_NOT_FOUND", "RepositoryNotFoundException", "ImageNotFound"}

ParentRow: TypeAlias = dict[str, Any]
Unreadable = (CallFailed, LoopingToken, MalformedResponse, TokenRejected)


@dataclass(frozen=True)
class ReadError:
    """Something that could not be read: a row of `extraction_errors`."""

    operation: str
    resource: str
    error_code: str
    message: str
    status: str


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


@dataclass(frozen=True)
class Answer:
    """What came of asking for one row of the parent table, or for some at a time: all pages, or only an outcome."""

    asked: ParentRow
    responses: Sequence[Response]
    outcome: str
    asked_at: datetime

    @property
    def nbytes(self) -> int:
        """How much memory it takes, about."""
        return sum(response.nbytes for response in self.responses)


@dataclass
class Reading:
    """The reading of `operation` in one scope, for the `tables` that it fills.

    `jobs` are the calls to make, in any order and at the same time; `finish`, afterwards, leaves the `status`, the
    `files`, the repositories that are `excepted`, and the `errors`.
    """

    api: Api
    operation: Operation
    tables: Sequence[Table]
    folder: Path
    names: Sequence[str] | None
    observe: Callable[[Table, int], None]
    status: str = COMPLETE
    note: str = ""
    errors: list[ReadError] = field(default_factory=list)
    excepted: set[str] = field(default_factory=set)
    named: list[str] | None = None
    files: dict[Table, TableFile] = field(default_factory=dict)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self._fillings = [
            (table, filling)
            for table in self.tables
            for filling in table.fillings
            if filling.operation is self.operation
        ]
        self._spool = self._new_spool()
        self._lock = threading.Lock()
        self._answers: list[Answer] = []
        self._nbytes = 0
        self._answered = 0
        self._failed_images: set[str] = set()
        self._error_keys: set[tuple[str, str]] = set()
        self._kept: pa.Array | None = None
        self._within: pa.Array | None = None
        self._parents: Parents | None = None
        self._stopped = threading.Event()

    @property
    def where(self) -> str:
        """The operation and the scope, for a person."""
        return f"{self.operation} in {self.api.scope}"

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
            self._within = image_names(_table(parents.file, IMAGE))
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
        self._flush(everything=True)
        if self._parents is not None and self.status == COMPLETE:
            self._inherit(self._parents)
        if self.status == COMPLETE:
            self.status = self._status()
        if self.status in (COMPLETE, "partial") or self._failed_images:
            self._keep_earlier_rows()
            self.files = self._spool.complete(self.named, sorted(self.excepted))
        else:
            self._spool.drop()
        self.note = self.note or self.api.notes.get(self.operation, "")
        self.finished_at = datetime.now(UTC)

    # what to ask

    def _holds(self, where: OnlyWhere) -> bool:
        member, *inner = where.path.split(".")
        try:
            for response in self.api.pages(where.operation):
                value = response.member(member)
                for name in inner:
                    value = (value or {}).get(name)
                return bool(value == where.value)
        except Unreadable as error:
            self._note_error(error)
        return False

    def _jobs_for_rows(self, parents: Parents, file: TableFile) -> Iterator[Job]:
        assert isinstance(self.operation.each, EachRow)
        rows = self._chosen(parents, file) if self.operation.again else _rows(file, self._columns)
        scalars = {name: column for name, column in self.operation.each.asked.items() if "[]" not in name}
        lists = {name: column for name, column in self.operation.each.asked.items() if "[]" in name}
        for _, alike in groupby(rows, key=lambda row: [row[column] for column in scalars.values()]):
            while batch := list(islice(alike, self.operation.each.at_a_time)):
                parameters: dict[str, Any] = {name: batch[0][column] for name, column in scalars.items()}
                parameters |= {name: [row[column] for row in batch] for name, column in lists.items()}
                yield _Ask(self, batch, parameters)

    @property
    def _columns(self) -> list[str]:
        """The columns of the parent table that are asked for, or put into rows."""
        assert isinstance(self.operation.each, EachRow)
        needed = [*self.operation.each.asked.values()]
        needed += [column for _, filling in self._fillings for column in _asked_columns(filling)]
        needed += ["repository_name"] if "repository_name" in self.operation.each.table.columns else []
        return list(dict.fromkeys(needed))

    def _chosen(self, parents: Parents, file: TableFile) -> Iterator[ParentRow]:
        again = self.operation.again
        assert again is not None
        record = next((table for table in self.tables if table.name == again.record), None)
        images = _table(file, [*self._columns, "image_pushed_at"])
        tagged = parents.tags.batches() if parents.tags and parents.bounds.tag else ()
        earlier = parents.earlier.asked(record, self.tables, self.api.scope) if record else None
        choice = choose(images, tagged, earlier, again, parents.bounds, self.started_at)
        self._kept = choice.keep
        self._answered += len(choice.keep)
        for row in choice.left_out.to_pylist():
            self._collect(Answer(row, [Response(b"{}")], LEFT_OUT, self.started_at))
        for batch in choice.ask.to_batches(10_000):
            yield from batch.to_pylist()

    # asking

    def _read_listing(self) -> None:
        try:
            try:
                self._spool_pages(self.api.pages(self.operation))
            except TokenRejected:
                self._spool.drop()
                self._spool = self._new_spool()
                self._spool_pages(self.api.pages(self.operation))
        except Absent:
            self._answered += 1
        except Unreadable as error:
            self._fail(error)

    def _read_named(self) -> None:
        assert self.names is not None
        self.named = []
        try:
            self._spool_pages(self._found(self.names))
        except Unreadable as error:
            self._fail(error)
        else:
            self.status = "partial" if self.named else "failed"

    def _found(self, names: Sequence[str]) -> Iterator[Response]:
        for answer in self.api.named(self.operation, names):
            if isinstance(answer, Gone):
                self._note_error(answer)
                continue
            assert self.named is not None
            keys = listed_keys(self._page([Answer({}, [answer], COMPLETE, self.started_at)]), *self._fillings[0])
            self.named.extend(keys.column(0).to_pylist())
            yield answer

    def _spool_pages(self, pages: Iterator[Response]) -> None:
        for number, response in enumerate(_one_ahead(pages), 1):
            if self._stopped.is_set():
                return
            page = self._page([Answer({}, [response], COMPLETE, self.started_at)], f"page {number} of {self.where}")
            self._spool_page(self._spool, page)
            self._answered += 1

    def ask(self, rows: Sequence[ParentRow], parameters: dict[str, Any]) -> None:
        """Asks for one row of the parent table, or for some at a time."""
        asked = rows[0] if rows else {}
        asked_at = datetime.now(UTC)
        try:
            try:
                responses = self._listed(asked, parameters, asked_at)
            except TokenRejected:
                responses = self._listed(asked, parameters, asked_at)
        except Absent as error:
            self._collect(Answer(asked, [Response(b"{}")], self.operation.absent[error.error_code], asked_at))
        except Gone as error:
            self._retry_halves(rows, parameters, error)
        except Unreadable as error:
            self._except(rows, error, asked_at)
        else:
            if self.operation.failures:
                self._except_failures(responses, asked)
            self._collect(Answer(asked, responses, COMPLETE, asked_at))

    def _listed(self, asked: ParentRow, parameters: dict[str, Any], asked_at: datetime) -> list[Response]:
        """The pages of a listing; of one that is too long for memory the last ones, the others' rows being spooled."""
        held: list[Response] = []
        overflow: Spool | None = None
        try:
            for response in self.api.pages(self.operation, parameters):
                held.append(response)
                if sum(page.nbytes for page in held) > _BYTES_OF_A_LISTING:
                    overflow = overflow or self._new_spool(f"{threading.get_ident()}")
                    self._spool_page(overflow, self._page([Answer(asked, held, COMPLETE, asked_at)]))
                    held = []
            if overflow is None:
                return held
            if held:
                self._spool_page(overflow, self._page([Answer(asked, held, COMPLETE, asked_at)]))
        except BaseException:
            if overflow is not None:
                overflow.drop()
            raise
        for table, file in overflow.complete().items():
            for batch in file.batches():
                self._spool.add({table: pa.Table.from_batches([batch])})
            file.path.unlink()
        return []

    def _retry_halves(self, rows: Sequence[ParentRow], parameters: dict[str, Any], error: Gone) -> None:
        """Leaves out what has vanished: where one call asks for several, each half is asked for itself."""
        if len(rows) < 2:
            return
        half = len(rows) // 2
        for part in (slice(half), slice(half, None)):
            narrowed = {
                name: value[part] if name.endswith("[]") or "[]" in name else value
                for name, value in parameters.items()
            }
            self.ask(rows[part], narrowed)

    # what came

    def _collect(self, answer: Answer) -> None:
        with self._lock:
            if answer.responses:
                self._answers.append(answer)
            self._nbytes += answer.nbytes
            self._answered += answer.outcome not in (DENIED, CALL_FAILED)
        self._flush(everything=False)

    def _flush(self, *, everything: bool) -> None:
        with self._lock:
            enough = len(self._answers) >= _ANSWERS_AT_A_TIME or self._nbytes >= _BYTES_AT_A_TIME
            if not self._answers or not (enough or everything):
                return
            answers, self._answers, self._nbytes = self._answers, [], 0
        try:
            self._add(self._page(answers), self._spool)
        except MalformedResponse:
            for answer in answers:
                self._add_alone(answer)

    def _add_alone(self, answer: Answer) -> None:
        try:
            self._add(self._page([answer]), self._spool)
        except MalformedResponse as error:
            with self._lock:
                self._answered -= 1
            self._except([answer.asked] if answer.asked else [], error, answer.asked_at)

    def _page(self, answers: Sequence[Answer], where: str | None = None) -> Page:
        each = [(answer, response) for answer in answers for response in answer.responses]
        where = where or self.where
        try:
            responses = self.api.decode(self.operation, [response for _, response in each])
        except MalformedResponse as error:
            raise MalformedResponse(f"{where}: {error}") from error
        return Page(
            responses=responses,
            asked=pa.Table.from_pylist([answer.asked for answer, _ in each], schema=self._asked_schema()),
            outcomes=pa.array([answer.outcome for answer, _ in each], pa.string()),
            asked_at=pa.array([answer.asked_at for answer, _ in each], TIMESTAMP),
            where=where,
        )

    def _asked_schema(self) -> pa.Schema:
        if not isinstance(self.operation.each, EachRow):
            return pa.schema([("nothing", pa.null())])
        parent = arrow_schema(self.operation.each.table)
        return pa.schema([parent.field(name).with_nullable(True) for name in self._columns])

    def _spool_page(self, spool: Spool, page: Page) -> None:
        """Spools a page of a listing whose items can be on another page as well."""
        table, filling = self._fillings[0]
        keys = listed_keys(page, table, filling) if filling.levels else None
        self._add(page, spool, keys if keys is not None and keys.num_columns else None)

    def _add(self, page: Page, spool: Spool, keys: pa.Table | None = None) -> None:
        rows: dict[Table, pa.Table] = {}
        with _FLATTENING:
            for table, filling in self._fillings:
                flat = flatten(page, table, filling, self.api.scope)
                if self._within is not None:
                    flat = flat.filter(pc.is_in(image_names(flat), self._within))
                rows[table] = pa.concat_tables([rows[table], flat]) if table in rows else flat
            spool.add(rows, keys)
        for table, flat in rows.items():
            self.observe(table, flat.num_rows)

    # what failed

    def _skip(self, reason: str) -> None:
        self.status, self.note = "skipped", reason

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self.status = error.status if isinstance(error, CallFailed) else "failed"
        self._note_error(error)
        if self.operation.instead:
            self.note = f"{self.operation.instead} was read instead: {error}"

    def _except(self, rows: Sequence[ParentRow], error: Exception, asked_at: datetime) -> None:
        """Excepts what could not be read: the image, where images are asked again one by one, else the repository."""
        names = {row["repository_name"] for row in rows if "repository_name" in row}
        if not names:
            self._fail(error)
        elif self.operation.again:
            outcome = DENIED if isinstance(error, Denied) else CALL_FAILED
            for row in rows:
                self._fail_image(row, outcome, asked_at)
        else:
            with self._lock:
                self.excepted |= names
        for name in sorted(names):
            self._note_error(error, name)

    def _fail_image(self, row: ParentRow, outcome: str, asked_at: datetime) -> None:
        with self._lock:
            self._failed_images.add(f"{row['repository_name']}@{row['image_digest']}")
        self._collect(Answer(row, [Response(b"{}")], outcome, asked_at))

    def _except_failures(self, responses: Sequence[Response], asked: ParentRow) -> None:
        assert self.operation.failures is not None
        for failure in [one for response in responses for one in response.member(self.operation.failures) or ()]:
            if failure["failureCode"] in _NOT_FOUND:
                continue
            name = failure.get("repositoryName") or asked["repository_name"]
            digest = (failure.get("imageId") or {}).get("imageDigest")
            error = CallFailed(
                f"cannot call {self.operation} of {name} in {self.api.scope}: {failure['failureCode']}:"
                f" {failure.get('failureReason', '')}",
                operation=str(self.operation),
                error_code=failure["failureCode"],
                resource=name,
            )
            with self._lock:
                self._failed_images |= {f"{name}@{digest}"} if digest else set()
                self.excepted |= set() if digest else {name}
            self._note_error(error, name)

    def _note_error(self, error: Exception, repository: str = "") -> None:
        """Notes an error, once for each repository and code."""
        resource, code, status = repository, type(error).__name__, "failed"
        if isinstance(error, CallFailed):
            resource, code, status = error.resource or repository, error.error_code, error.status
        with self._lock:
            if (repository or resource, code) not in self._error_keys:
                self._error_keys.add((repository or resource, code))
                self.errors.append(ReadError(str(self.operation), resource, code, str(error), status))

    # how it ended

    def _inherit(self, parents: Parents) -> None:
        self.excepted |= parents.reading.excepted
        self.named = parents.reading.named
        if parents.reading.status == "partial":
            self.status = "partial"

    def _status(self) -> str:
        if not (self.excepted or self._failed_images):
            return COMPLETE
        return "partial" if self._answered or not self.errors else self.errors[0].status

    def _keep_earlier_rows(self) -> None:
        if self.operation.again is None or self._parents is None:
            return
        answered = self._kept if self._kept is not None else pa.array([], pa.string())
        failed = pa.concat_arrays([answered, pa.array(sorted(self._failed_images), pa.string())])
        for table, filling in dict(self._fillings).items():
            kept = answered if table.name == self.operation.again.record else failed
            for batch in self._parents.earlier.rows(table, self.api.scope) if len(kept) else ():
                names = image_names(batch.rename_columns(_with_image_digest(batch, filling)))
                self._spool.add({table: pa.Table.from_batches([batch]).filter(pc.is_in(names, kept))})

    def _new_spool(self, name: str = "") -> Spool:
        return Spool(self.folder / name, self.api.scope, self.operation, self.tables)


@dataclass(frozen=True)
class _Ask:
    """A job: one call, or one listing, for rows of the parent table."""

    reading: Reading
    rows: Sequence[ParentRow]
    parameters: dict[str, Any]

    def __call__(self) -> None:
        self.reading.ask(self.rows, self.parameters)


def _asked_columns(filling: Filling) -> Iterator[str]:
    for source in filling.sources.values():
        while isinstance(source, OfParent):
            source = source.source
        if isinstance(source, Asked):
            yield source.column


def _with_image_digest(batch: pa.RecordBatch, filling: Filling) -> list[str]:
    """The column names of `batch`, that of the image that was asked for being `image_digest`."""
    asked = [name for name, source in filling.sources.items() if source == Asked("image_digest")]
    column = asked[0] if asked else "image_digest"
    return ["image_digest" if name == column else name for name in batch.schema.names]


def _rows(file: TableFile, columns: Sequence[str]) -> Iterator[ParentRow]:
    for batch in file.batches(10_000, columns):
        yield from batch.to_pylist()


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
