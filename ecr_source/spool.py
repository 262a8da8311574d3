"""Rows wait in Parquet files until the listing that they belong to is complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.scopes import Scope


@dataclass(frozen=True)
class TableFile:
    """The rows of one table in one scope, read to the end, as a Parquet file with the table's Arrow schema.

    `named` is None for all rows of the scope, else the names that were asked for and found.
    """

    table: Table
    scope: Scope
    named: tuple[str, ...] | None
    path: Path
    rows: int

    def batches(self, size: int = 50_000) -> Iterator[pa.RecordBatch]:
        """The rows, at most `size` at a time."""
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(size)


@dataclass
class _Part:
    writer: pq.ParquetWriter
    path: Path
    rows: int = 0
    pages: list[int] = field(default_factory=list)


class ListingSpool:
    """The rows of one listing, a file per table and a row group per page.

    A listing is not a snapshot: an item can be on two pages. The later page wins, for the item and for the rows nested
    in it. That is settled at the end, from the keys alone, so that memory holds the keys and not the rows.
    """

    def __init__(self, folder: Path, scope: Scope, tables: Sequence[Table]) -> None:
        folder = folder / scope.registry_id / scope.region
        folder.mkdir(parents=True, exist_ok=True)
        self._scope = scope
        self._parts = {table: _open(folder / f"{table.name}.parquet", table) for table in tables}
        self._keys: list[pa.Table] = []

    def add(self, keys: pa.Table, rows: dict[Table, pa.Table]) -> None:
        """Adds a page: the keys of its items, and the rows of each table."""
        page = len(self._keys)
        self._keys.append(keys)
        for table, page_rows in rows.items():
            if page_rows.num_rows:
                part = self._parts[table]
                part.writer.write_table(page_rows)
                part.rows += page_rows.num_rows
                part.pages.append(page)

    def complete(self, named: tuple[str, ...] | None = None) -> dict[Table, TableFile]:
        """The files, each item once; `named` as in `TableFile`."""
        for part in self._parts.values():
            part.writer.close()
        last_page = self._last_page_of_repeated_items()
        if last_page:
            for table, part in self._parts.items():
                _keep_last(table, part, last_page)
        return {
            table: TableFile(table, self._scope, named, part.path, part.rows) for table, part in self._parts.items()
        }

    def drop(self) -> None:
        """Deletes the files: the listing did not come to its end."""
        for part in self._parts.values():
            part.writer.close()
            part.path.unlink(missing_ok=True)

    def _last_page_of_repeated_items(self) -> dict[tuple[object, ...], int]:
        if not self._keys:
            return {}
        keys = pa.concat_tables(self._keys)
        if keys.group_by(keys.column_names, use_threads=False).aggregate([]).num_rows == keys.num_rows:
            return {}
        last: dict[tuple[object, ...], int] = {}
        for page, page_keys in enumerate(self._keys):
            last.update((key, page) for key in _tuples(page_keys))
        return last


def _open(path: Path, table: Table) -> _Part:
    return _Part(pq.ParquetWriter(path, arrow_schema(table)), path)


def _keep_last(table: Table, part: _Part, last_page: dict[tuple[object, ...], int]) -> None:
    kept = _open(part.path.with_suffix(".kept"), table)
    with pq.ParquetFile(part.path) as file, kept.writer:
        for row_group, page in enumerate(part.pages):
            rows = file.read_row_group(row_group)
            mask = [last_page[key] == page for key in _tuples(rows.select(list(table.listed_key)))]
            rows = rows.filter(pa.array(mask))
            kept.writer.write_table(rows)
            kept.rows += rows.num_rows
    part.rows = kept.rows
    kept.path.replace(part.path)


def _tuples(keys: pa.Table) -> Iterator[tuple[object, ...]]:
    return zip(*(column.to_pylist() for column in keys.columns), strict=True)
