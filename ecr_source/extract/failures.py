"""What an operation could not read, or leaves to the next run, and what is excepted for it: repositories, or images."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from ecr_source.aws.api import Api
from ecr_source.aws.response import Response
from ecr_source.catalog.table import Operation
from ecr_source.errors import BudgetSpent, CallFailed, LoopingToken, MalformedResponse, ScopeLost, TokenRejected
from ecr_source.extract.results import ReadError
from ecr_source.extract.rows.page import ParentRow
from ecr_source.statuses import FAILED, PARTIAL, POSTPONED

UNREADABLE = (CallFailed, LoopingToken, MalformedResponse, TokenRejected)
"""What says that something could not be read, and nothing of what else can."""

_NOT_FOUND = {"REPOSITORY_NOT_FOUND", "RepositoryNotFoundException", "ImageNotFound"}


@dataclass(frozen=True)
class AnswerFailure:
    """What a response says that it could not answer for: the repository is the error's `resource`."""

    digest: str | None
    error: CallFailed

    @property
    def image(self) -> str:
        """The image's name in one text."""
        return f"{self.error.resource}@{self.digest}"


def failures_in(
    api: Api, operation: Operation, responses: Sequence[Response], asked: ParentRow
) -> Iterator[AnswerFailure]:
    """What responses say that they could not answer for, but what does not exist."""
    listed = operation.failures
    if listed is None or not any(response.member(listed) for response in responses):
        return
    for failure in api.decode(operation, responses)[listed].combine_chunks().flatten().to_pylist():
        code, reason = failure["failureCode"] or "no failureCode", failure["failureReason"] or ""
        if code not in _NOT_FOUND:
            name = failure.get("repositoryName") or asked["repository_name"]
            message = f"cannot call {operation} of {name} in {api.scope}: {code}: {reason}"
            error = CallFailed(message, operation=str(operation), error_code=code, resource=name)
            yield AnswerFailure((failure.get("imageId") or {}).get("imageDigest"), error)


@dataclass
class Failures:
    """The failures of one operation in one scope. Safe to use from several threads.

    `repositories` keep the rows of earlier runs in all tables of the operation, `images` (`team/api@sha256:…`) theirs;
    `status` is that of a failure that leaves nothing to load.
    """

    operation: Operation
    errors: list[ReadError] = field(default_factory=list)
    repositories: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    status: str | None = None
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, error: Exception) -> None:
        """The whole operation failed."""
        with self._lock:
            self.status = error.status if isinstance(error, CallFailed) else FAILED
        self.note(error)

    def except_repositories(self, names: Collection[str], error: Exception) -> None:
        """These repositories could not be read."""
        with self._lock:
            self.repositories.update(names)
        for name in sorted(names):
            self._note(error, name)

    def except_image(self, repository: str, digest: str, error: Exception) -> None:
        """This image could not be read."""
        with self._lock:
            self.images.add(f"{repository}@{digest}")
        self._note(error, _resource(error) or repository)

    def except_answer(self, failure: AnswerFailure) -> None:
        """A response says that it could not answer for this image or, without a digest, for this repository."""
        if failure.digest:
            self.except_image(failure.error.resource, failure.digest, failure.error)
        else:
            self.except_repositories({failure.error.resource}, failure.error)

    def note(self, error: Exception) -> None:
        """Notes an error, once for each repository and code."""
        self._note(error, _resource(error))

    def _note(self, error: Exception, resource: str) -> None:
        code, status = type(error).__name__, FAILED
        if isinstance(error, CallFailed):
            code, status = error.error_code, error.status
        repository = resource.partition("@")[0]
        with self._lock:
            if (repository, code) not in self._seen:
                self._seen.add((repository, code))
                self.errors.append(ReadError(str(self.operation), resource, code, str(error), status))


def _resource(error: Exception) -> str:
    return error.resource if isinstance(error, CallFailed) else ""


@dataclass
class Left:
    """What was left to the next run: repositories, or images of them, and whether the budget is the reason."""

    repositories: set[str] = field(default_factory=set)
    images: list[str] = field(default_factory=list)
    by_budget: bool = False

    def add(self, repositories: set[str], images: Sequence[str], ended: BudgetSpent | ScopeLost) -> None:
        """Adds these repositories, and images of them."""
        self.repositories |= repositories
        self.images += images
        self.by_budget |= isinstance(ended, BudgetSpent)

    def __str__(self) -> str:
        return f"{len(self.images):,} images" if self.images else f"{len(self.repositories):,} repositories"


def status_of(above: str, failures: Failures, left: Left, *, answered: bool) -> str:
    """The status of an operation that was asked, in which `above` is that of the rows it was asked for."""
    if failures.status is not None:
        return failures.status
    if not (failures.repositories or failures.images or left.images):
        return above
    if answered or not (failures.errors or left.by_budget):
        return PARTIAL
    return failures.errors[0].status if failures.errors else POSTPONED
