"""What makes a version of a row in history mode: a hash of all its columns but the volatile ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, cast

import orjson
import pyarrow as pa

from ecr_source.catalog.table import Table

ROW_VERSION = pa.field("row_version", pa.string(), nullable=False)
"""The column that dlt's scd2 compares."""


def row_versions(table: Table, rows: pa.RecordBatch) -> pa.Array:
    """The `ROW_VERSION` of each of the rows, which have the columns of `table`."""
    names = [name for name in table.columns if name not in table.volatile]
    first = [*(name for name in names if name not in table.added), "unmodelled"]
    added = [name for name in names if name in table.added]
    return pa.array(_hashes(rows.select(first), rows.select(added)), ROW_VERSION.type)


def _hashes(rows: pa.RecordBatch, added: pa.RecordBatch) -> Iterator[str]:
    """A hash of each row: of its values and, by name, of those of columns that were added later."""
    later = added.to_pylist() if added.num_columns else [{}] * rows.num_rows
    for values, row in zip(zip(*map(_hashable, rows.columns), strict=True), later, strict=True):
        said = {name: value for name, value in row.items() if value is not None}
        hashed = orjson.dumps((*values, said) if said else values)
        yield hashlib.blake2b(hashed, digest_size=16).hexdigest()


def _hashable(column: pa.Array) -> list[Any]:
    return cast("list[Any]", (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist())
