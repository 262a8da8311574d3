"""The items of a listing: the whole of it, those of some names, or those whose names match shell patterns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import pyarrow.compute as pc

from ecr_source.aws.api import NAMES_PER_CALL, Api
from ecr_source.aws.dispatch import one_ahead
from ecr_source.aws.response import Response
from ecr_source.catalog.table import Operation
from ecr_source.errors import Absent, BudgetSpent, Gone, TokenRejected
from ecr_source.extract.failures import UNREADABLE, Failures
from ecr_source.extract.images.image_selection import image_names
from ecr_source.extract.name_patterns import is_matched, matching, matching_any, no_match, with_pattern
from ecr_source.extract.operations.questions import Listing, Matching, Named
from ecr_source.extract.rows.flatten import listed_keys
from ecr_source.extract.rows.response_rows import Answer, Answers
from ecr_source.statuses import COMPLETE, POSTPONED, SELECTED


@dataclass
class ListedItems:
    """Reads the listing of `operation`, page by page, into `answers`, until it is `stopped`.

    `failures` are told which items are not there, and `fail` why it could not be read at all. Then so many calls were
    `answered`, with this `status`, which failures may change; only items that are `named` were read, unless that is
    None; `matched` are those of the names or patterns asked for that there are items of.
    """

    api: Api
    operation: Operation
    answers: Answers
    failures: Failures
    started_at: datetime
    fail: Callable[[Exception], None]
    stopped: threading.Event
    status: str = COMPLETE
    named: list[str] | None = None
    matched: set[str] = field(default_factory=set)
    answered: int = 0

    def read(
        self,
        question: Listing | Named | Matching,
        vanished: Callable[[Sequence[str], Sequence[str]], Sequence[str]],
    ) -> None:
        """Reads what is asked; `vanished` tells which items that have rows match patterns and are not listed."""
        match question:
            case Listing(images):
                if images is not None:
                    self.answers.counted = lambda rows: pc.is_in(image_names(rows), images)
                self._read_all()
            case Named(names):
                self._read_named(names)
            case Matching(patterns):
                self._read_matching(patterns, vanished)

    def _read_all(self) -> None:
        try:
            try:
                self._spool_pages(self.api.pages(self.operation), self._has_no_token)
            except TokenRejected:
                self.answers.drop()
                self._spool_pages(self.api.pages(self.operation), self._has_no_token)
        except Absent:
            self.answered += 1
        except BudgetSpent:
            self.status = POSTPONED
        except UNREADABLE as error:
            self.fail(error)

    def _read_named(self, names: Sequence[str]) -> None:
        self.named = []
        try:
            self._spool_pages(self._found(names), lambda _: len(names) <= NAMES_PER_CALL)
        except BudgetSpent:
            self.status = POSTPONED
        except UNREADABLE as error:
            self.fail(error)
        else:
            self.matched = {*self.named}
            self.status = SELECTED

    def _found(self, names: Sequence[str]) -> Iterator[Response]:
        for answer in self.api.named(self.operation, names):
            if isinstance(answer, Gone):
                self.failures.note(with_pattern(answer))
            else:
                yield answer

    def _read_matching(
        self, patterns: Sequence[str], vanished: Callable[[Sequence[str], Sequence[str]], Sequence[str]]
    ) -> None:
        self.named = []
        self.answers.counted = partial(is_matched, patterns)
        self._read_all()
        if self.failures.status is not None or self.status != COMPLETE:
            return
        found = matching(patterns, self.named)
        self.matched = {pattern for pattern, names in found.items() if names}
        for pattern in (one for one, names in found.items() if not names):
            self.failures.note(no_match(self.operation, pattern))
        listed = matching_any(patterns, self.named)
        self.named = [*listed, *vanished(patterns, listed)]
        self.status = SELECTED

    def _spool_pages(self, pages: Iterator[Response], is_last: Callable[[Response], bool]) -> None:
        for number, response in enumerate(one_ahead(pages, is_last), 1):
            if self.stopped.is_set():
                return
            where = f"page {number} of {self.operation} in {self.api.scope}"
            page = self.answers.page([Answer({}, [response], COMPLETE, self.started_at)], where)
            self.answers.add_page(page)
            self.answered += 1
            if self.named is not None:
                self.named += listed_keys(page, *self.answers.fillings[0]).column(0).to_pylist()

    def _has_no_token(self, page: Response) -> bool:
        return not page.text(self.operation.token)
