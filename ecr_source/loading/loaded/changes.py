"""What a load changes: what it has read, beside what is there before it is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from dlt.destinations.exceptions import DatabaseException, DestinationConnectionError

from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.catalog.tables.findings import IMAGE_SCAN_FINDINGS
from ecr_source.catalog.tables.image import IMAGE_KEY, IMAGES
from ecr_source.catalog.tables.policy import LIFECYCLE_POLICIES, POLICIES
from ecr_source.catalog.tables.repository import (
    REPOSITORIES,
    REPOSITORY_SCANNING_CONFIGURATIONS,
    REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS,
    REPOSITORY_TAGS,
)
from ecr_source.extract.operations.questions import rows_of
from ecr_source.extract.results import ScopeRead
from ecr_source.extract.rows.spool import TableFile
from ecr_source.loading.loaded.dataset import Dataset
from ecr_source.loading.loaded.rows_before import RowsBefore
from ecr_source.loading.modes import IncrementalAppend, Mode

_SCOPE = ("registry_id", "region")
_REPOSITORY = (*_SCOPE, "repository_name")
# One that was deleted and created again is another one.
_CREATED = (*_REPOSITORY, "created_at")
_CRITICAL = "CRITICAL"

_SETTINGS = (
    REPOSITORIES,
    REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS,
    REPOSITORY_TAGS,
    REPOSITORY_SCANNING_CONFIGURATIONS,
    POLICIES,
    LIFECYCLE_POLICIES,
)
"""The tables whose rows say how a repository is set up."""

MOST_ROWS = 200_000
"""A table of which more were read is not compared: at 300,000 images that takes a second and 100 MB."""

_BETWEEN = "\x1f"
_NOTHING = "\x00"


@dataclass(frozen=True)
class Counted:
    """How many there are that were not there before, and how many are gone; None where that is not read."""

    added: int
    removed: int | None


@dataclass(frozen=True)
class Changes:
    """What a load changes, of what was read completely by it and by the runs before.

    Those runs read it from `oldest` to `newest`. `settings` are repositories whose settings are other ones; None where
    they are not read again, or are too many to be compared, as `images` are, too, where they were not asked for.
    """

    oldest: datetime
    newest: datetime
    repositories: Counted
    images: Counted | None
    critical_findings: int
    settings: int | None

    def as_json(self) -> dict[str, Any]:
        """The same as values that JSON has."""
        return asdict(self) | {"oldest": self.oldest.isoformat(), "newest": self.newest.isoformat()}

    @classmethod
    def from_json(cls, changes: Mapping[str, Any]) -> Changes:
        """What `as_json` wrote."""
        return cls(
            datetime.fromisoformat(changes["oldest"]),
            datetime.fromisoformat(changes["newest"]),
            Counted(**changes["repositories"]),
            changes["images"] and Counted(**changes["images"]),
            changes["critical_findings"],
            changes["settings"],
        )


def changes_of(dataset: Dataset, mode: Mode, reads: Sequence[ScopeRead]) -> Changes | None:
    """What loading `reads` changes; None where nothing of it was there before, or that is not known."""
    read: dict[Table, list[TableFile]] = {}
    for table in (table for one in reads for table in one.tables):
        read.setdefault(table.table, []).extend(file for file in table.files if file.repository_column)
    files = {table: some for table, some in read.items() if sum(file.rows for file in some) <= MOST_ROWS}
    if not files.get(REPOSITORIES):
        return None
    tells_settings = not isinstance(mode, IncrementalAppend) and {*read} & {*_SETTINGS} <= {*files}
    try:
        return _Comparison(dataset, files, mode, tells_settings=tells_settings).changes()
    except (DatabaseException, DestinationConnectionError):  # a line less, and no reason to lose what was read
        return None


class _Comparison:
    """The rows of files beside those that they stand for, also those of settings if it `tells_settings`."""

    def __init__(
        self, dataset: Dataset, files: Mapping[Table, Sequence[TableFile]], mode: Mode, *, tells_settings: bool
    ) -> None:
        self._files = files
        self._only_adds = isinstance(mode, IncrementalAppend)
        self._tells_settings = tells_settings
        self._before = RowsBefore(dataset, {_scope(file) for file in files[REPOSITORIES]})
        self._listed_at = self._before.listed_at()

    def changes(self) -> Changes | None:
        """What is different; None if nothing of it was read before."""
        times = [*self._times()] or [at for scope, at in self._listed_at.items() if scope in self._before.scopes]
        if not times:
            return None
        return Changes(
            min(times),
            max(times),
            self._counted(*self._repositories),
            self._counted(*self._images) if self._files.get(IMAGES) else None,
            self._new_critical_findings(),
            len(self._changed_settings()) if self._tells_settings else None,
        )

    def _counted(self, now: pa.Table, before: pa.Table) -> Counted:
        stayed = pc.sum(pc.is_in(_texts(now), _texts(before)), min_count=0).as_py()
        return Counted(now.num_rows - stayed, None if self._only_adds else before.num_rows - stayed)

    def _times(self) -> Iterator[datetime]:
        """When that was read which was there."""
        whole = [_scope(file) for file in self._files[REPOSITORIES] if file.named is None]
        yield from (self._listed_at[scope] for scope in whole if scope in self._listed_at)
        if self._is_empty:
            return
        for table in (table for table in (IMAGES, *_SETTINGS) if self._files.get(table)):
            told = self._stood_for(table, self._told(table), "repository_name")
            if told.num_rows:
                yield from pc.min_max(told["extracted_at"]).as_py().values()

    @cached_property
    def _told_at(self) -> pa.Table:
        return self._before.told_at()

    def _told(self, table: Table) -> pa.Table:
        """The repositories of which that has told before which fills the table, and when."""
        operations = [str(filling.operation) for filling in table.fillings if filling.repository_column]
        return self._told_at.filter(_are_among(self._told_at["operation"], operations))

    # repositories

    @cached_property
    def _repositories(self) -> tuple[pa.Table, pa.Table]:
        """Those that were read and those that were there: what was never listed may be old and new to us."""
        now, before = self._now(REPOSITORIES, _CREATED), self._there(REPOSITORIES, _CREATED)
        listed = _are_among(_texts(now, _SCOPE), map(_BETWEEN.join, self._listed_at))
        is_there = pc.is_in(_texts(now, _REPOSITORY), _texts(before, _REPOSITORY))
        return now.filter(pc.or_(listed, is_there)), before

    @property
    def _is_empty(self) -> bool:
        return not any(rows.num_rows for rows in self._repositories)

    @cached_property
    def _new_repositories(self) -> pa.Array:
        return _texts(_without(*self._repositories), _REPOSITORY)

    # images

    @cached_property
    def _images(self) -> tuple[pa.Table, pa.Table]:
        """Those that were read and those that were there, of repositories of which images could be read before."""
        if self._is_empty:
            return (empty := _empty(IMAGES, IMAGE_KEY)), empty
        listed = (self._now(REPOSITORIES, _REPOSITORY), self._repositories[1])
        repositories = pc.unique(pa.concat_arrays([_texts(rows, _REPOSITORY) for rows in listed]))
        known = pa.concat_arrays([_texts(self._told(IMAGES), _REPOSITORY), self._new_repositories])
        unknown = repositories.filter(pc.invert(pc.is_in(repositories, known)))
        now, before = self._now(IMAGES, IMAGE_KEY), self._there(IMAGES, IMAGE_KEY)
        if not len(unknown):
            return now, before
        return tuple(rows.filter(pc.invert(pc.is_in(_texts(rows, _REPOSITORY), unknown))) for rows in (now, before))

    # findings

    def _new_critical_findings(self) -> int:
        """Those of images that are new, and of images of which there was an answer before."""
        key = (*IMAGE_KEY, "finding_id")
        found = self._now(IMAGE_SCAN_FINDINGS, (*key, "severity"))
        found = _distinct(found.filter(pc.equal(found["severity"], _CRITICAL)).select(key))
        if not found.num_rows:
            return 0
        new = _without(found, self._before.of(IMAGE_SCAN_FINDINGS, key, severity=_CRITICAL))
        images = _texts(new, IMAGE_KEY)
        known = pc.is_in(
            images, _texts(_without(*self._images)) if self._files.get(IMAGES) else pa.array([], pa.string())
        )
        for operation in IMAGE_SCAN_FINDINGS.operations:
            if not pc.all(known, min_count=0).as_py():
                known = pc.or_(known, pc.is_in(images, _texts(self._before.answered_images(str(operation)))))
        return int(pc.sum(known, min_count=0).as_py())

    # settings

    def _changed_settings(self) -> set[str]:
        """The repositories that stayed and of which a setting is not the same."""
        now, before = self._repositories
        stayed = _texts(now.filter(pc.is_in(_texts(now), _texts(before))), _REPOSITORY)
        return {name for table in _SETTINGS if self._files.get(table) for name in self._changed_rows(table, stayed)}

    def _changed_rows(self, table: Table, repositories: pa.Array) -> Iterator[str]:
        if not len(repositories):
            return
        owner = _column_of_repository(table)
        columns = list(dict.fromkeys([*_SCOPE, owner, *(name for name in table.columns if name not in table.volatile)]))
        comparable = repositories
        if REPOSITORIES.operation not in table.operations:
            comparable = comparable.filter(pc.is_in(comparable, _texts(self._told(table), _REPOSITORY)))
        now, before = (
            rows.filter(pc.is_in(_texts(rows, (*_SCOPE, owner)), comparable))
            for rows in (self._now(table, columns), self._there(table, columns))
        )
        for rows in (_without(now, before), _without(before, now)):
            yield from _texts(rows, (*_SCOPE, owner)).to_pylist()

    # rows

    def _now(self, table: Table, columns: Sequence[str]) -> pa.Table:
        """What was read."""
        files = [file for file in self._files.get(table, ()) if file.rows]
        return pa.concat_tables([_empty(table, columns), *(rows_of(file, columns) for file in files)])

    def _there(self, table: Table, columns: Sequence[str]) -> pa.Table:
        """What is there that this stands for."""
        constants = {name: value for file in self._files[table] for name, value in file.constants.items()}
        rows = self._before.of(table, columns, **constants)
        return self._stood_for(table, rows, _column_of_repository(table))

    def _stood_for(self, table: Table, rows: pa.Table, repository: str) -> pa.Table:
        """The rows for which files of the table stand."""
        files = self._files[table]
        whole = {_scope(file) for file in files if file.named is None}
        named = [_BETWEEN.join((*_scope(file), name)) for file in files for name in file.named or ()]
        excepted = [_BETWEEN.join((*_scope(file), name)) for file in files for name in file.excepted]
        if self._before.are_only_of(whole) and not excepted:
            return rows
        names = _texts(rows, (*_SCOPE, repository))
        read = pc.or_(_are_among(_texts(rows, _SCOPE), map(_BETWEEN.join, whole)), _are_among(names, named))
        return rows.filter(pc.and_not(read, _are_among(names, excepted)))


def _scope(file: TableFile) -> tuple[str, str]:
    return file.scope.registry_id, file.scope.region


def _column_of_repository(table: Table) -> str:
    return next(filling.repository_column for filling in table.fillings if filling.repository_column)


def _empty(table: Table, columns: Sequence[str]) -> pa.Table:
    return pa.schema([arrow_schema(table).field(name) for name in columns]).empty_table()


def _texts(rows: pa.Table, columns: Sequence[str] = ()) -> pa.Array:
    """A text for each row, the same where these columns are, or all."""
    values = [pc.fill_null(rows[name].cast(pa.string()), _NOTHING) for name in columns or rows.column_names]
    texts = pc.binary_join_element_wise(*values, _BETWEEN)
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def _are_among(texts: pa.Array, values: Iterable[str]) -> pa.Array:
    return pc.is_in(texts, pa.array(values, pa.string()))


def _without(rows: pa.Table, others: pa.Table) -> pa.Table:
    """The rows that are not among the others."""
    return rows.filter(pc.invert(pc.is_in(_texts(rows), _texts(others))))


def _distinct(rows: pa.Table) -> pa.Table:
    return rows.group_by(rows.column_names, use_threads=False).aggregate([])
