"""Rows wait in Parquet files until the listing that they belong to is complete."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.extract.rows.flatten import each_once
from ecr_source.extract.rows.row_groups import RowGroups

_PAGE = "number of the page"

# So many are Python objects at once where an item is on two pages.
_ROWS_AT_A_TIME = 5_000


@dataclass(frozen=True)
class TableFile:
    """The rows that one operation gave to a table in one scope, as a Parquet file with the table's Arrow schema.

    Where there are no rows there is no file at `path`: most tables of most scopes have none, and to write and to read
    so many empty files took half the time of an empty region.

    Their reading `began_at` this time. They stand for all rows of the scope but for those of the repositories
    `excepted`, whose reading failed; if `named` is given, only for those of the repositories named. Where other
    operations fill the table with rows of their own, `constants` are the columns that tell these rows apart from those.

    If `images` are given (columns repository_name and image_digest), they stand for the rows of these only; otherwise
    the rows of `kept_images` stay.
    """

    table: Table | RunTable
    scope: Scope
    path: Path
    rows: int
    began_at: datetime
    constants: Mapping[str, str] = field(default_factory=dict)
    repository_column: str | None = None
    named: tuple[str, ...] | None = None
    excepted: tuple[str, ...] = ()
    images: pa.Table | None = None
    kept_images: pa.Table | None = None

    def batches(self, size: int = 10_000, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows, at most `size` at a time."""
        if not self.rows:
            return
        # Most files are small: without threads of Arrow's, and a cache of what a disk reads at once, in half the time.
        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            yield from file.iter_batches(size, columns=list(columns) if columns else None, use_threads=self.rows > size)

    def replaced(self, schema: pa.Schema, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> Path:
        """The file, of this schema, of the rows as `change` makes them; it takes the place of this one."""
        changed = RowGroups(self.path.with_suffix(".changed.parquet"), schema)
        for batch in self.batches():
            changed.write(pa.Table.from_batches([change(batch)]))
        changed.close()
        self.delete()
        return changed.path

    def delete(self) -> None:
        """Deletes the file, if there is one."""
        self.path.unlink(missing_ok=True)


Files: TypeAlias = dict[Table | RunTable, TableFile]
"""The file of each table."""


class _Part:
    """The file of one table, and from which page each of its rows is."""

    def __init__(self, table: Table, path: Path) -> None:
        self.table = table
        self.path = path
        self.file = RowGroups(path, arrow_schema(table))
        self.pages: list[tuple[int, int]] = []
        """For each page in turn its number, and how many rows it gave."""

    def write(self, rows: pa.Table, page: int) -> None:
        self.file.write(rows)
        self.pages.append((page, rows.num_rows))


class Spool:
    """The rows that one operation gives in one scope, a file per table. Safe to use from several threads.

    A listing is not a snapshot: an item can be on two pages. The later page wins, for the item and for the rows nested
    in it. That is settled at the end, from the keys alone, so that memory holds the keys and not the rows.
    """

    def __init__(
        self, folder: Path, scope: Scope, operation: Operation, tables: Sequence[Table], began_at: datetime
    ) -> None:
        folder = folder / scope.registry_id / scope.region / operation.service
        folder.mkdir(parents=True, exist_ok=True)
        self._scope = scope
        self._operation = operation
        self._began_at = began_at
        self._parts = {table: _Part(table, folder / f"{operation.name}.{table.name}.parquet") for table in tables}
        self._keys: list[pa.Table] = []
        self._lock = threading.Lock()

    def add(self, rows: Mapping[Table, pa.Table], keys: pa.Table | None = None) -> None:
        """Adds a page: the rows of each table and, if an item can be on another page as well, the keys of its items."""
        with self._lock:
            page = len(self._keys)
            if keys is not None:
                self._keys.append(keys)
            for table, page_rows in rows.items():
                if page_rows.num_rows:
                    self._parts[table].write(page_rows, page)

    def complete(self, named: Sequence[str] | None = None, excepted: Sequence[str] = ()) -> Files:
        """The files, each item once; `named` and `excepted` as in `TableFile`."""
        for part in self._parts.values():
            part.file.close()
        begun = [part for part in self._parts.values() if part.file.rows]
        for part in begun:
            if part.table.alike:
                _add_up(part)
        if last_page := self._last_page_of_repeated_items():
            for part in begun:
                _keep_last(part, self._listed_key(part.table), last_page)
        return {table: self._file(table, part, named, excepted) for table, part in self._parts.items()}

    def take(self, other: Spool) -> None:
        """Adds all rows of `other`, which is complete, those of one key once, and deletes its files."""
        for table, part in other._parts.items():
            part.file.close()
            if part.file.rows:
                self.add({table: each_once(pq.ParquetFile(part.path).read(), table)})
                part.path.unlink()

    def drop(self) -> None:
        """Deletes the files: the listing did not come to its end."""
        for part in self._parts.values():
            part.file.drop()

    def _file(self, table: Table, part: _Part, named: Sequence[str] | None, excepted: Sequence[str]) -> TableFile:
        fillings = [filling for filling in table.fillings if filling.operation == self._operation]
        told_apart = {
            name: fillings[0].constants[name] for name in table.replaced_by[0] if name in fillings[0].constants
        }
        column = fillings[0].repository_column
        return TableFile(
            table,
            self._scope,
            part.path,
            part.file.rows,
            self._began_at,
            told_apart,
            column,
            tuple(sorted(named)) if named is not None and column else None,
            tuple(sorted(excepted)) if column else (),
        )

    def _listed_key(self, table: Table) -> list[str]:
        filling = next(filling for filling in table.fillings if filling.operation is self._operation)
        return list(table.listed_key(filling))

    def _last_page_of_repeated_items(self) -> dict[tuple[object, ...], int]:
        if not self._keys:
            return {}
        pages = pa.chunked_array([pa.repeat(pa.scalar(page), keys.num_rows) for page, keys in enumerate(self._keys)])
        keys = pa.concat_tables(self._keys)
        seen = keys.append_column(_PAGE, pages).group_by(keys.column_names, use_threads=False)
        found = seen.aggregate([(_PAGE, "max"), (_PAGE, "count")])
        # Most listings repeat nothing, and those that do repeat little: only that becomes Python objects.
        repeated = found.filter(pc.greater(found[f"{_PAGE}_count"], 1))
        last_pages = repeated[f"{_PAGE}_max"].to_pylist()
        return dict(zip(_tuples(repeated.select(keys.column_names)), last_pages, strict=True))


def _add_up(part: _Part) -> None:
    """Makes those rows one that agree in the key: they came with several answers."""
    rows = pq.read_table(part.path, schema=arrow_schema(part.table))
    once = each_once(rows, part.table)
    if once.num_rows < rows.num_rows:
        pq.write_table(once, part.path)
        part.file.rows = once.num_rows


def _keep_last(part: _Part, names: Sequence[str], last_page: dict[tuple[object, ...], int]) -> None:
    kept = RowGroups(part.path.with_suffix(".kept"), arrow_schema(part.table))
    pages = (page for page, rows in part.pages for _ in range(rows))
    with pq.ParquetFile(part.path) as file:
        for batch in file.iter_batches(_ROWS_AT_A_TIME):
            keys = [*_tuples(batch.select(names))]
            mask = [last_page.get(key, page) == page for key, page in zip(keys, islice(pages, len(keys)), strict=True)]
            kept.write(pa.table(batch).filter(pa.array(mask)))
    kept.close()
    part.file.rows = kept.rows
    kept.path.replace(part.path)


def _tuples(keys: pa.Table | pa.RecordBatch) -> Iterator[tuple[object, ...]]:
    return zip(*(column.to_pylist() for column in keys.columns), strict=True)
