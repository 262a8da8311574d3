"""What came of reading: of a scope, of each table in it, and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ecr_source.aws.api import Usage
from ecr_source.aws.scopes import Scope
from ecr_source.catalog.table import Table
from ecr_source.extract.rows.spool import TableFile
from ecr_source.statuses import AS_ASKED, BOUNDED, COMPLETE, NOT_OFFERED, PARTIAL, POSTPONED, READ, SELECTED, SKIPPED


@dataclass(frozen=True)
class ReadError:
    """Something that could not be read: a row of `extraction_errors`."""

    operation: str
    resource: str
    error_code: str
    message: str
    status: str


@dataclass(frozen=True)
class ImageCounts:
    """How many images were asked, where a call is made for each, and how many were not; `failed` are among the asked.

    The oldest answer that stands now was given at `oldest_answer_at`.
    """

    asked: int
    kept: int
    left_out: int
    failed: int
    oldest_answer_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TableRead:
    """How the reading of one table in one scope ended: a row of `extraction_scopes`.

    `files` are those of the operations that were read; `note` says what a person should know of how it was read. Where
    it was not read, the rows stay that were `kept_from` an earlier reading.
    """

    table: Table
    status: str
    files: list[TableFile]
    usage: Usage
    excepted_repositories: int
    note: str
    started_at: datetime
    finished_at: datetime
    images: ImageCounts | None = None
    kept_from: datetime | None = None
    resumes_at: str = ""
    is_postponed: bool = False

    @classmethod
    def unread(cls, table: Table, status: str, kept_from: datetime | None = None) -> TableRead:
        """A table of which nothing was asked."""
        now = datetime.now(UTC)
        return cls(
            table=table,
            status=status,
            files=[],
            usage=Usage(),
            excepted_repositories=0,
            note="",
            started_at=now,
            finished_at=now,
            kept_from=kept_from,
            is_postponed=status == POSTPONED,
        )

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True)
class ScopeRead:
    """What came of one scope; `records` are the files of extraction_images, and of tables that nothing fills now.

    `matched` are the patterns of names that repositories of it match.
    """

    scope: Scope
    region_from: str
    tables: list[TableRead]
    errors: list[ReadError]
    records: list[TableFile] = field(default_factory=list)
    matched: frozenset[str] = frozenset()

    @property
    def status(self) -> str:
        """The status of the scope, from those of its tables."""
        return overall_status([table.status for table in self.tables])


def table_status(statuses: Sequence[str]) -> str:
    """The status of a table from those of its operations: if the first was not read that says most of its rows, its."""
    first = next((status for status in statuses if status not in (SKIPPED, NOT_OFFERED)), None)
    return first if first is not None and first not in READ else overall_status(statuses)


def overall_status(statuses: Sequence[str]) -> str:
    """The status of several readings: they are read, if one was; as they were asked for, if all were."""
    distinct = set(statuses) - {SKIPPED, NOT_OFFERED} or set(statuses) - {SKIPPED} or {SKIPPED}
    if distinct <= AS_ASKED:
        return max(distinct, key=(COMPLETE, BOUNDED, SELECTED).index)
    if len(distinct) == 1:
        return distinct.pop()
    return PARTIAL if distinct & READ else next(status for status in statuses if status in distinct)
