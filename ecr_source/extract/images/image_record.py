"""What came of each image that one operation is called for: what earlier runs noted of it, and what this one does."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.scopes import Scope
from ecr_source.catalog import EXTRACTION_IMAGES, TABLES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import AskAgain, Operation, RunTable, Table
from ecr_source.extract.images.image_selection import (
    IMAGE,
    NEVER,
    TAGGED,
    TELL_WHAT_IS_SCANNED,
    Choice,
    Criteria,
    choose,
)
from ecr_source.extract.images.portions import compact
from ecr_source.extract.operations.questions import Parents, compact_rows_of
from ecr_source.extract.rows.row_groups import RowGroups
from ecr_source.extract.rows.spool import Files, TableFile
from ecr_source.statuses import GONE, UNANSWERED, UNKNOWN

_SCHEMA = arrow_schema(EXTRACTION_IMAGES)
_SCHEMA_OF_NAMES = pa.schema([_SCHEMA.field(name) for name in IMAGE])
_NOTED = pa.schema([*_SCHEMA_OF_NAMES, _SCHEMA.field("outcome")])
_LISTED = (*IMAGE, "image_pushed_at", "scan_completed_at", "in_use_count")

_NO_TAGS = compact(pa.schema([(name, pa.string()) for name in TAGGED])).empty_table()

_OTHERS = "*"
"""In the place of repository and digest: the tables may have rows of images that the record does not have."""


def columns_noted(operation: Operation) -> list[str]:
    """The parent's columns that are noted of an image for which the operation is called, or say whether it is."""
    assert operation.parent is not None
    bounded = TELL_WHAT_IS_SCANNED if operation.again and operation.again.bounded else ()
    of_again = (operation.again.changed, operation.again.above_zero) if operation.again else ()
    columns = dict.fromkeys((*IMAGE, "image_pushed_at", *of_again, *bounded))
    return [name for name in columns if name in operation.parent.columns]


class ImageRecord:
    """The rows of extraction_images of `operation` in one scope. Safe to use from several threads.

    `for_tables` get its answers now, by a reading that `began_at` this time.
    """

    def __init__(
        self, folder: Path, scope: Scope, operation: Operation, for_tables: Sequence[Table], began_at: datetime
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._is_all_there_is = False
        self._was_loaded = True
        self._others: set[str] = set()
        self._standing = self._still_out = _SCHEMA_OF_NAMES.empty_table()
        self._kept: list[tuple[str, str]] = []
        self._forgotten: list[tuple[str, str]] = []
        self._path = folder / f"{scope.registry_id} {scope.region} {operation} images.parquet"
        self._scope = scope
        self._operation = operation
        self._began_at = began_at
        self._for_tables = frozenset(table.name for table in for_tables)
        self._file = RowGroups(self._path, _SCHEMA)
        self._lock = threading.Lock()

    def add(self, images: Iterable[tuple[Mapping[str, Any], str, datetime]]) -> None:
        """Notes images, rows of the parent table, each with what came of it, and when it was asked."""
        same = {
            "registry_id": self._scope.registry_id,
            "region": self._scope.region,
            "operation": str(self._operation),
            "for_tables": " ".join(sorted(self._for_tables)),
        }
        rows = [
            {**same, **{name: image.get(name) for name in _LISTED}, "outcome": outcome, "extracted_at": asked_at}
            for image, outcome, asked_at in images
        ]
        self._write(pa.Table.from_pylist(rows, _SCHEMA))

    def choose(self, images: pa.Table, parents: Parents, again: AskAgain, now: datetime) -> Choice:
        """Which of `images`, whose texts are `compact`, are asked; notes those that are not listed any more."""
        answers = parents.earlier.answers(self._operation, self._scope)
        is_image = pc.not_equal(answers["repository_name"], _OTHERS)
        self._is_all_there_is = answers.num_rows > 0 and pc.all(is_image).as_py()
        tags = parents.tags if again.bounded and parents.bounds.look_at_tags else None
        choice = choose(
            images,
            compact_rows_of(tags, TAGGED) if tags else _NO_TAGS,
            answers if self._is_all_there_is else answers.filter(is_image),
            Criteria(self._for_tables, again, parents.bounds, now),
            parents.earlier.names,
        )
        filled = [table for table in TABLES if self._operation in table.operations]
        loaded = {table.name for table in filled if parents.earlier.last_read(table, self._scope) != NEVER}
        self._was_loaded = bool(loaded)
        self._others = loaded - self._for_tables
        self._standing, self._still_out = choice.standing, choice.still_out
        self._gone(_of_repositories_read(choice.gone, parents), self._others, now)
        return choice

    def keep(self, images: Sequence[Mapping[str, Any]]) -> None:
        """Notes that what is known of these stays as it is, in all tables."""
        if not self._is_all_there_is:  # else what is not named stays
            self._kept += map(_name, images)

    def forget(self, images: Sequence[Mapping[str, Any]]) -> None:
        """Notes that these are gone from all tables."""
        self._forgotten += map(_name, images)

    def _gone(self, answers: pa.Table, others: Collection[str], now: datetime) -> None:
        """Notes that the images of these earlier answers are not listed any more.

        Those whose rows are still in `others`, tables that are not read now, are kept in mind for the run that reads
        these.
        """
        before = pc.if_else(pc.equal(answers["outcome"], GONE), answers["for_tables"], "").to_pylist()
        tables = [self._for_tables.union(text.split()) for text in before]
        is_done = pa.array([names >= {*others} for names in tables], pa.bool_())
        self.forget(answers.filter(is_done).select(IMAGE).to_pylist())
        changed = {
            "outcome": pa.repeat(pa.scalar(GONE), len(tables)),
            "for_tables": pa.array([" ".join(sorted(names)) for names in tables], pa.string()),
            "extracted_at": pa.repeat(pa.scalar(now, _SCHEMA.field("extracted_at").type), len(tables)),
        }
        noted = [changed.get(name, answers[name]) for name in _SCHEMA.names]
        self._write(pa.table(noted, _SCHEMA).filter(pc.invert(is_done)))

    def complete(self, files: Files, named: Sequence[str] | None, excepted: Sequence[str]) -> Files:
        """The files that are not without effect, and one of the record, each with the images that it stands for.

        Where the tables may have rows that the record does not know, as those that Inspector told, they stand for all
        images of the scope but for those whose answer stands, those that could not be asked or the budget did not
        reach, and those that a bound left out before.
        """
        repositories = tuple(sorted(named)) if named is not None else None
        is_all_read = repositories is None and not excepted and not self._others
        if self._was_loaded and not self._is_all_there_is and not is_all_read:
            self.add([(dict.fromkeys(IMAGE, _OTHERS), UNKNOWN, datetime.now(UTC))])
        self._file.close()
        constants = {"operation": str(self._operation)}
        record = TableFile(
            EXTRACTION_IMAGES, self._scope, self._path, self._file.rows, self._began_at, constants, "repository_name"
        )
        named_in_record = None if repositories is None else (*repositories, _OTHERS)
        record = replace(record, named=named_in_record, excepted=tuple(excepted))
        noted = pa.Table.from_batches(record.batches(columns=_NOTED.names), _NOTED)
        is_unanswered = pc.is_in(noted["outcome"], pa.array([*UNANSWERED]))
        answered, unanswered = (noted.filter(mask).select(IMAGE) for mask in (pc.invert(is_unanswered), is_unanswered))
        all_files: Files = {**files, EXTRACTION_IMAGES: record}
        of_calls = dict(self._of_calls(all_files))
        if not self._is_all_there_is:
            kept = pa.concat_tables([self._standing, self._still_out, _names(self._kept)])
            kept_or_failed = pa.concat_tables([kept, unanswered])
            read = {table: replace(file, kept_images=kept_or_failed) for table, file in all_files.items()}
            return read | {table: replace(file, kept_images=kept) for table, file in of_calls.items()}
        gone = pa.concat_tables([answered, _names(self._forgotten)])
        read = {table: replace(file, images=gone) for table, file in all_files.items()}
        all_noted = pa.concat_tables([gone, unanswered])
        return _with_effect(read | {table: replace(file, images=all_noted) for table, file in of_calls.items()})

    def drop(self) -> None:
        """Deletes what was noted."""
        self._file.drop()

    def _of_calls(self, files: Files) -> Iterator[tuple[Table | RunTable, TableFile]]:
        """The files of tables in which a call that was not answered is a row too."""
        for table, file in files.items():
            fillings = table.fillings if isinstance(table, Table) else ()
            is_of_calls = any(one.whatever_comes for one in fillings if one.operation is self._operation)
            if table is EXTRACTION_IMAGES or is_of_calls:
                yield table, file

    def _write(self, rows: pa.Table) -> None:
        with self._lock:
            self._file.write(rows)


def _name(image: Mapping[str, Any]) -> tuple[str, str]:
    return image["repository_name"], image["image_digest"]


def _names(images: Sequence[tuple[str, str]]) -> pa.Table:
    repositories, digests = zip(*images, strict=True) if images else ((), ())
    return pa.table([pa.array(repositories, pa.string()), pa.array(digests, pa.string())], _SCHEMA_OF_NAMES)


def _of_repositories_read(answers: pa.Table, parents: Parents) -> pa.Table:
    """Those for images of repositories whose images were listed."""

    def is_of(repositories: Collection[str]) -> pa.ChunkedArray:
        names = parents.earlier.names(pa.array([*repositories], pa.string()))
        return pc.is_in(answers["repository_name"], names)

    listed = is_of(parents.named) if parents.named is not None else pa.repeat(True, answers.num_rows)
    return answers.filter(pc.and_(listed, pc.invert(is_of(parents.excepted))))


def _with_effect(files: Files) -> Files:
    """The files that replace something; the others are deleted."""
    without = {table: file for table, file in files.items() if file.images is not None and not file.images.num_rows}
    for file in without.values():
        file.delete()
    return {table: file for table, file in files.items() if table not in without}
