"""The calls for rows of the parent table, and what comes of each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ecr_source.aws.api import Api
from ecr_source.aws.response import Response
from ecr_source.catalog.table import Operation
from ecr_source.errors import Absent, BudgetSpent, Denied, Gone, MalformedResponse, NotOffered, ScopeLost, TokenRejected
from ecr_source.extract.failures import UNREADABLE, Failures, Left, failures_in
from ecr_source.extract.images.image_selection import Choice
from ecr_source.extract.operations.questions import halves
from ecr_source.extract.rows.page import ParentRow
from ecr_source.extract.rows.response_rows import Answer, Answers
from ecr_source.statuses import CALL_FAILED, COMPLETE, DENIED, NOT_ASKED, POSTPONED

_ENDED = (BudgetSpent, ScopeLost)


@dataclass
class AskedRows:
    """Calls `operation` for one row of the parent table, or for some at a time. Safe to use from several threads.

    What comes of it are `answers`; the `failures`, and `fail` where nothing could be read at all; the `outcomes` of
    repositories of which there is nothing to tell; and what is `left` to the next run, of images with what is known of
    them by the `choice`. So many calls were `answered`; the `status` is that of a call which is for no repository.
    """

    api: Api
    operation: Operation
    answers: Answers
    failures: Failures
    fail: Callable[[Exception], None]
    choice: Choice | None = None
    status: str = COMPLETE
    left: Left = field(default_factory=Left)
    outcomes: dict[str, str] = field(default_factory=dict)
    answered: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, rows: list[ParentRow], parameters: dict[str, Any]) -> None:
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
            self.outcomes[asked.get("repository_name", "")] = outcome
        except (Denied, Gone) as error:
            self._refused(rows, parameters, error, asked_at)
        except _ENDED as ended:
            self.leave(rows, ended, asked_at)
        except UNREADABLE as error:
            self._except(rows, error, asked_at)
        else:
            self._collect(Answer(asked, responses, COMPLETE, asked_at, rows, {one.image for one in failed}))

    def malformed(self, answer: Answer, error: MalformedResponse) -> None:
        """No rows can be made of an answer."""
        with self._lock:
            self.answered -= 1
        self._except(answer.rows, error, answer.asked_at)

    def leave(self, rows: Sequence[ParentRow], ended: BudgetSpent | ScopeLost, asked_at: datetime) -> None:
        """Leaves to the next run what cannot be asked any more; what is known of it from earlier runs is kept."""
        if isinstance(ended, ScopeLost):
            self.failures.note(ended)
        names = {row["repository_name"] for row in rows if "repository_name" in row}
        if not names:
            self.status = POSTPONED if isinstance(ended, BudgetSpent) else ended.status
            return
        images = [f"{row['repository_name']}@{row['image_digest']}" for row in rows] if self.operation.again else []
        with self._lock:
            self.left.add(names, images, ended)
        if self.choice is None:
            self.failures.repositories.update(names)
            return
        assert self.answers.record is not None
        for row, image in zip(rows, images, strict=True):
            if image in self.choice.known_names:
                self.answers.record.keep([row])
            else:
                self.answers.add(Answer.without_response(row, NOT_ASKED, asked_at))

    def _refused(
        self, rows: list[ParentRow], parameters: dict[str, Any], error: Denied | Gone, asked_at: datetime
    ) -> None:
        """Looks for the repository that is gone or denied, where several were asked for."""
        parts = halves(rows, parameters)
        for part, narrowed in parts:
            self.ask(part, narrowed)
        if parts:
            return
        if isinstance(error, Denied):
            self._except(rows, error, asked_at)
        elif self.answers.record:
            self.answers.record.forget(rows)

    def _listed(self, asked: ParentRow, parameters: dict[str, Any], asked_at: datetime) -> list[Response]:
        try:
            return self.answers.listed(asked, self.api.pages(self.operation, parameters), asked_at)
        except TokenRejected:
            return self.answers.listed(asked, self.api.pages(self.operation, parameters), asked_at)

    def _collect(self, answer: Answer) -> None:
        with self._lock:
            self.answered += 1
        self.answers.add(answer)

    def _except(self, rows: Sequence[ParentRow], error: Exception, asked_at: datetime) -> None:
        """Excepts what could not be read: the image, where images are asked again one by one, else the repository."""
        if isinstance(error, NotOffered) or not any("repository_name" in row for row in rows):
            self.fail(error)
        elif not self.operation.again:
            self.failures.except_repositories({row["repository_name"] for row in rows}, error)
        else:
            outcome = DENIED if isinstance(error, Denied) else CALL_FAILED
            for row in rows:
                self.failures.except_image(row["repository_name"], row["image_digest"], error)
                self.answers.add(Answer.without_response(row, outcome, asked_at))
