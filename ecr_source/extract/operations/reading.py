"""One operation in one scope: what to ask, what came of it, and the files with its rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pyarrow.compute as pc

from ecr_source.aws.api import Api
from ecr_source.aws.dispatch import Job
from ecr_source.catalog.table import AskAgain, EachRow, EachValue, Operation, Table
from ecr_source.errors import NotOffered
from ecr_source.extract.failures import Failures, status_of
from ecr_source.extract.images.image_selection import Choice
from ecr_source.extract.images.standing_rows import standing
from ecr_source.extract.operations.asked_rows import AskedRows
from ecr_source.extract.operations.listed_items import ListedItems
from ecr_source.extract.operations.preconditions import unmet_precondition
from ecr_source.extract.operations.questions import (
    ForRows,
    Listing,
    Matching,
    Named,
    Nothing,
    NothingThere,
    Parents,
    Question,
    all_rows,
    calls_for,
    compact_rows_of,
    count_calls,
    each_row,
    question_of,
    rows_from,
    rows_of,
)
from ecr_source.extract.reached import Reached, reached_so_far
from ecr_source.extract.results import ImageCounts
from ecr_source.extract.rows.page import ParentRow
from ecr_source.extract.rows.response_rows import Answer, Answers
from ecr_source.extract.rows.row_groups import give_back_memory
from ecr_source.extract.rows.spool import Files, TableFile
from ecr_source.statuses import BOUNDED, COMPLETE, LEFT_OUT, NOT_OFFERED, POSTPONED, READ


@dataclass
class Reading:
    """The reading of `operation` in one scope, for the `tables` that it fills.

    `jobs` are the calls to make, in any order and at the same time, none where it `is_offered` no more than lately;
    `finish`, afterwards, leaves the `status`, the `files`, the `failures` with the repositories that they except, the
    `outcomes` of repositories of which there is nothing to tell, and, if the budget ended, where the next run
    `resumes_at`. What is loaded since it `began_at` this time is newer.

    `matched` are those of `names`, shell patterns or not, that there are repositories of; `vanished` tells
    which repositories that have rows match patterns and are not among those listed.
    """

    api: Api
    operation: Operation
    tables: Sequence[Table]
    folder: Path
    names: Sequence[str] | None
    observe: Callable[[Table, int], None]
    began_at: datetime
    is_offered: bool = True
    vanished: Callable[[Sequence[str], Sequence[str]], Sequence[str]] = lambda _, __: ()
    status: str = COMPLETE
    note: str = ""
    named: list[str] | None = None
    matched: set[str] = field(default_factory=set)
    files: Files = field(default_factory=dict)
    images: ImageCounts | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.failures = Failures(self.operation)
        self._answers = Answers(
            self.api,
            self.operation,
            self.tables,
            self.folder,
            self.began_at,
            lambda answer, error: self._asked.malformed(answer, error),
            self.observe,
        )
        self._asked = AskedRows(self.api, self.operation, self._answers, self.failures, self._fail)
        self._items: ListedItems | None = None
        self._parents: Parents | None = None
        self._answered = 0
        self._to_begin = self._begun = 0
        self._are_all_begun = self._has_ended = False

    @property
    def reached(self) -> Reached:
        """How far its calls are."""
        usage, rate = self.api.usage_of(self.operation), self.api.rate_of(self.operation)
        if self._has_ended:
            sent = usage.calls - usage.retried
            return Reached(sent, sent, refused=usage.throttled, status=self.status)
        return reached_so_far(
            usage,
            rate,
            to_begin=max(0, self._to_begin - self._begun),
            are_all_begun=self._are_all_begun,
            are_counted=self.operation.each is not None and self._to_begin > 0,
        )

    @property
    def outcomes(self) -> Mapping[str, str]:
        """What repositories answered of which there is nothing to tell."""
        return self._asked.outcomes

    @property
    def resumes_at(self) -> str:
        """The repository with which the next run goes on, where the budget ended; else empty."""
        start = self._starts_at()
        return min(self._asked.left.repositories, key=lambda name: (name < start, name), default="")

    @property
    def is_postponed(self) -> bool:
        """Whether the budget ended before all was asked."""
        return self.status == POSTPONED or self._asked.left.by_budget

    def jobs(self, parents: Parents | None, stopped: threading.Event) -> Iterator[Job]:
        """The calls and listings to make. A job raises nothing that the service, or the network, is to blame for."""
        for job in self._jobs(parents, stopped):
            self._begun += 1
            yield job
        self._to_begin = self._begun
        self._are_all_begun = True

    def _jobs(self, parents: Parents | None, stopped: threading.Event) -> Iterator[Job]:
        match self.question(parents):
            case Nothing(status, note):
                self.status, self.note = status, note
            case NothingThere(note):
                self.note = note
                self._answered += 1
            case Listing() | Named() | Matching() as question:
                self._items = ListedItems(
                    self.api, self.operation, self._answers, self.failures, self.started_at, self._fail, stopped
                )
                yield partial(self._items.read, question, self.vanished)
            case EachValue(parameter, values):
                self._to_begin = len(values)
                for value in values:
                    yield partial(self._asked.ask, [], {parameter: value})
            case ForRows(each, file):
                yield from self._jobs_for_rows(each, file)

    def question(self, parents: Parents | None) -> Question:
        """What there is to ask; where another operation says whether that tells something, it is asked."""
        self._parents = parents
        if not self.is_offered:
            return Nothing(NOT_OFFERED)
        nothing = unmet_precondition(self.api, self.operation, parents, self.failures)
        return nothing or question_of(self.operation, self.names, parents)

    def rows(self, file: TableFile) -> Iterator[ParentRow]:
        """The rows of the question that are asked for; where a budget can end, from where it ended last."""
        if self.operation.again:
            return self._chosen(self.operation.again, file)
        if self.operation.kept_while:
            return self._not_standing(file)
        if not self.api.budget.is_limited or "repository_name" not in self.columns:
            return all_rows(file, self.columns)
        return rows_from(file, self.columns, self._starts_at())

    @property
    def columns(self) -> list[str]:
        """The columns of the parent table that `rows` have."""
        return self._answers.columns

    def discard(self) -> None:
        """Deletes what waits of it."""
        self._answers.discard()

    def finish(self) -> None:
        """Completes the files, or drops them, when all jobs are done."""
        self._answers.flush()
        if self._items:
            self.status, self.named, self.matched = self._items.status, self._items.named, self._items.matched
            self._answered += self._items.answered
        if self._asked.status != COMPLETE:
            self.status = self._asked.status
        if self.status == COMPLETE:
            self._inherit()
            above = self._parents.status if self._parents else COMPLETE
            answered = self._answered + self._asked.answered > 0
            self.status = status_of(above, self.failures, self._asked.left, answered=answered)
        # Where nothing could be asked any more, nothing is known of what was not.
        if self.status in READ or (self.failures.images and self.failures.status is None):
            self.files = self._answers.complete(self.named, sorted(self.failures.repositories))
        else:
            self.discard()
        if self._asked.choice:
            self._count_images(self._asked.choice)
        if self._asked.left.by_budget:
            self.note = f"the budget was spent: {self._asked.left} wait for the next run"
        self.note = self.note or self.api.notes.get(self.operation, "")
        self.finished_at = datetime.now(UTC)
        self._has_ended = True

    def _count_images(self, choice: Choice) -> None:
        asked = choice.ask.num_rows
        answered_at = [choice.oldest, self.started_at if asked else None]
        self.images = ImageCounts(
            asked=asked,
            kept=choice.standing.num_rows,
            left_out=choice.outside,
            failed=len(self.failures.images) + len(self._asked.left.images),
            oldest_answer_at=min(filter(None, answered_at), default=None),
        )
        if choice.outside:
            self.status = BOUNDED if self.status == COMPLETE else self.status
            self.note = f"a bound leaves out {choice.outside:,} of {choice.images:,} images"

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

    def _jobs_for_rows(self, each: EachRow, file: TableFile) -> Iterator[Job]:
        if not self.operation.again:
            self._to_begin = count_calls(each, rows_of(file, self.columns))
        for rows, parameters in calls_for(each, self.rows(file)):
            if self.failures.status == NOT_OFFERED:
                return
            if ended := self.api.ended:
                self._asked.leave(rows, ended, datetime.now(UTC))
            else:
                yield partial(self._asked.ask, rows, parameters)

    def _starts_at(self) -> str:
        if self._parents is None or not self.tables:
            return ""
        return self._parents.earlier.resumes_at(self.tables[0], self.api.scope)

    def _chosen(self, again: AskAgain, file: TableFile) -> Iterator[ParentRow]:
        assert self._parents is not None
        assert self._answers.record is not None
        give_back_memory()
        images = compact_rows_of(file, self.columns)
        if again.above_zero:
            images = images.filter(pc.greater(images[again.above_zero], 0))
        choice = self._answers.record.choose(images, self._parents, again, self.started_at)
        self._asked.choice = choice
        assert isinstance(self.operation.each, EachRow)
        self._to_begin = count_calls(self.operation.each, choice.ask)
        self._answered += choice.standing.num_rows
        for row in each_row(choice.left_out):
            self._answers.add(Answer.without_response(row, LEFT_OUT, self.started_at))
        yield from each_row(choice.ask)

    def _not_standing(self, file: TableFile) -> Iterator[ParentRow]:
        assert self._parents is not None
        listed = rows_of(file, self.columns)
        for table in self.tables:
            oldest = self.started_at - self._parents.bounds.max_age
            found = standing(listed, table, self.operation.kept_while, self._parents.earlier, self.api.scope, oldest)
            self._answers.keep(table, found.kept)
            self._answered += found.kept.num_rows
            self._to_begin = found.ask.num_rows
            self.images = found.counts(self.started_at)
            listed = found.ask
        return each_row(listed)

    def _fail(self, error: Exception) -> None:
        self.failures.fail(error)
        if self.operation.instead:
            self.note = f"{self.operation.instead} was read instead: {error}"
        elif isinstance(error, NotOffered):
            self.note = str(error)
