"""The answers of one operation become rows: many small ones at once, long listings page by page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from pathlib import Path

import pyarrow as pa

from ecr_source.aws.api import Api
from ecr_source.aws.decode import on_arrow_threads
from ecr_source.aws.response import Response
from ecr_source.catalog.column import Asked, OfParent
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import EachRow, Filling, Operation, Table
from ecr_source.errors import MalformedResponse
from ecr_source.extract.images.image_record import ImageRecord, columns_noted
from ecr_source.extract.rows.flatten import call_outcomes, flatten, listed_keys
from ecr_source.extract.rows.page import Page, ParentRow
from ecr_source.extract.rows.spool import Files, Spool
from ecr_source.statuses import CALL_FAILED, COMPLETE

# Rows are made of many small responses at once: Arrow takes as long for one as for fifty.
_ANSWERS_AT_A_TIME = 500
_BYTES_AT_A_TIME = 1_000_000

# Pages of a listing that are held in memory, so that its rows are added when it is complete. Longer ones are spooled.
BYTES_OF_A_LISTING = 4_000_000


@dataclass(frozen=True)
class Answer:
    """What came of asking for one row of the parent table, or for some at a time: all pages, or only an outcome.

    `asked` is the first of `rows`, which a failure excepts all. Of the images in `failed` (`team/api@sha256:…`) the
    response says that it could not answer for them.
    """

    asked: ParentRow
    responses: Sequence[Response]
    outcome: str
    asked_at: datetime
    rows: Sequence[ParentRow] = ()
    failed: Collection[str] = ()

    @classmethod
    def without_response(cls, asked: ParentRow, outcome: str, asked_at: datetime) -> Answer:
        """That there was no answer, or none to ask for."""
        return cls(asked, [Response(b"{}")], outcome, asked_at)

    @property
    def nbytes(self) -> int:
        """How much memory it takes, about."""
        return sum(response.nbytes for response in self.responses)

    def images(self, outcome: str) -> Iterator[tuple[ParentRow, str, datetime]]:
        """Each image that was asked about, with what came of it, which is `outcome` unless it failed, and when."""
        for row in self.rows or [self.asked]:
            failed = f"{row['repository_name']}@{row['image_digest']}" in self.failed
            yield row, CALL_FAILED if failed else outcome, self.asked_at


@dataclass
class Answers:
    """The rows of the answers of `operation` in one scope, in a spool. Safe to use from several threads.

    Its reading `began_at` this time. `malformed` is told of an answer of which no rows can be made, and why; `observe`
    of the rows of each table. If `counted` is given, only rows count for which it is true.
    """

    api: Api
    operation: Operation
    tables: Sequence[Table]
    folder: Path
    began_at: datetime
    malformed: Callable[[Answer, MalformedResponse], None]
    observe: Callable[[Table, int], None]
    counted: Callable[[pa.Table], pa.Array] | None = None
    _waiting: list[Answer] = field(default_factory=list)
    _nbytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.fillings = [
            (table, filling)
            for table in self.tables
            for filling in table.fillings
            if filling.operation is self.operation
        ]
        self.spool = self._new_spool()
        self.record = (
            ImageRecord(self.folder, self.api.scope, self.operation, self.tables, self.began_at)
            if self.operation.again
            else None
        )

    @property
    def columns(self) -> list[str]:
        """The columns of the parent table that are asked for, or put into rows."""
        assert isinstance(self.operation.each, EachRow)
        needed = [*self.operation.each.asked.values()]
        needed += [column for _, filling in self.fillings for column in _asked_columns(filling)]
        needed += ["repository_name"] if "repository_name" in self.operation.each.table.columns else []
        needed += columns_noted(self.operation) if self.operation.again else self.operation.kept_while
        return list(dict.fromkeys(needed))

    def add(self, answer: Answer) -> None:
        """Adds what is complete; rows are made of it when there is enough."""
        with self._lock:
            if answer.responses:
                self._waiting.append(answer)
            self._nbytes += answer.nbytes
            if len(self._waiting) < _ANSWERS_AT_A_TIME and self._nbytes < _BYTES_AT_A_TIME:
                return
            answers = self._taken()
        self._add_all(answers)

    def keep(self, table: Table, rows: pa.Table) -> None:
        """Adds rows of earlier runs, which stand."""
        self.spool.add({table: rows})

    def flush(self) -> None:
        """Makes rows of what waits; `malformed` may add what is to wait."""
        while True:
            with self._lock:
                answers = self._taken()
            if not answers:
                return
            self._add_all(answers)

    def page(self, answers: Sequence[Answer], where: str) -> Page:
        """The answers as a page; `where` names it for a person.

        Raises:
            MalformedResponse: a response does not have the shape of the service model.
        """
        each = [(answer, response) for answer in answers for response in answer.responses]
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

    def add_page(self, page: Page) -> None:
        """Adds a page of a listing whose items can be on another page as well.

        Raises:
            MalformedResponse: as `flatten`.
        """
        table, filling = self.fillings[0]
        keys = listed_keys(page, table, filling) if filling.levels else None
        self._add(page, self.spool, self.fillings, keys if keys is not None and keys.num_columns else None)

    def drop(self) -> None:
        """Forgets all rows: the listing begins anew."""
        self.spool.drop()
        self.spool = self._new_spool()

    def complete(self, named: Sequence[str] | None, excepted: Sequence[str]) -> Files:
        """The files of all tables, and of the record; `named` and `excepted` as in `TableFile`."""
        files = self.spool.complete(named, excepted)
        return self.record.complete(files, named, excepted) if self.record else files

    def discard(self) -> None:
        """Deletes all rows: the operation could not be read."""
        self.spool.drop()
        if self.record:
            self.record.drop()

    def listed(self, asked: ParentRow, pages: Iterable[Response], asked_at: datetime) -> list[Response]:
        """The pages of a listing; of one that is too long for memory the last ones, the others' rows being added.

        Raises:
            MalformedResponse: as `page` and `flatten`; and what `pages` raises: nothing is added then.
        """
        held: list[Response] = []
        overflow: Spool | None = None
        in_lists = [(table, filling) for table, filling in self.fillings if filling.levels]
        try:
            for response in pages:
                held.append(response)
                if len(held) > 1 and sum(page.nbytes for page in held) > BYTES_OF_A_LISTING:
                    overflow = overflow or self._new_spool(f"{threading.get_ident()}")
                    page = self.page([Answer(asked, held[:-1], COMPLETE, asked_at)], self._where)
                    self._add(page, overflow, in_lists)
                    held = held[-1:]
            if overflow is None:
                return held
            # The row of the answer itself comes with its last page.
            last = Answer(asked, held, COMPLETE, asked_at)
            page = self.page([last], self._where)
            self._add(page, overflow, self.fillings)
        except BaseException:
            if overflow is not None:
                overflow.drop()
            raise
        self.spool.take(overflow)
        self._note(page, [last])
        return []

    @property
    def _where(self) -> str:
        return f"{self.operation} in {self.api.scope}"

    def _taken(self) -> list[Answer]:
        answers, self._waiting, self._nbytes = self._waiting, [], 0
        return answers

    def _add_all(self, answers: Sequence[Answer]) -> None:
        try:
            page = self.page(answers, self._where)
            self._add(page, self.spool, self.fillings)
        except MalformedResponse as error:
            if len(answers) == 1:
                self.malformed(answers[0], error)
                return
            for answer in answers:
                self._add_all([answer])
            return
        self._note(page, answers)

    def _note(self, page: Page, answers: Sequence[Answer]) -> None:
        """Notes what came of each image of these answers, all of whose responses are in `page`."""
        if self.record is None or self.operation.again is None:
            return
        outcomes = call_outcomes(page, self.operation.again.outcome)
        # Of several pages the last.
        ends = accumulate(len(answer.responses) for answer in answers)
        outcome_of_each = [outcomes[end - 1].as_py() for end in ends]
        self.record.add(
            image for answer, outcome in zip(answers, outcome_of_each, strict=True) for image in answer.images(outcome)
        )

    def _add(
        self, page: Page, spool: Spool, fillings: Sequence[tuple[Table, Filling]], keys: pa.Table | None = None
    ) -> None:
        on_arrow_threads(self._spool_rows, page, spool, fillings, keys)

    def _spool_rows(
        self, page: Page, spool: Spool, fillings: Sequence[tuple[Table, Filling]], keys: pa.Table | None
    ) -> None:
        rows: dict[Table, pa.Table] = {}
        for table, filling in fillings:
            flat = flatten(page, table, filling, self.api.scope)
            if self.counted is not None:
                flat = flat.filter(self.counted(flat))
            rows[table] = pa.concat_tables([rows[table], flat]) if table in rows else flat
        spool.add(rows, keys)
        for table, flat in rows.items():
            self.observe(table, flat.num_rows)

    def _asked_schema(self) -> pa.Schema:
        if not isinstance(self.operation.each, EachRow):
            return pa.schema([("nothing", pa.null())])
        parent = arrow_schema(self.operation.each.table)
        return pa.schema([parent.field(name).with_nullable(True) for name in self.columns])

    def _new_spool(self, name: str = "") -> Spool:
        return Spool(self.folder / name, self.api.scope, self.operation, self.tables, self.began_at)


def _asked_columns(filling: Filling) -> Iterator[str]:
    for source in filling.sources.values():
        while isinstance(source, OfParent):
            source = source.source
        if isinstance(source, Asked):
            yield source.column
