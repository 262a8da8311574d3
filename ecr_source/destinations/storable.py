"""Texts as a destination can hold them that has no NUL in a text, such as Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_source.extract.spool import TableFile
from ecr_source.extract.walk import ScopeRead, TableRead

NUL = "\x00"
INSTEAD = "\u2400"
"""The picture of a NUL, `␀`, stands in its place. AWS lets nobody name anything with either."""


def storable_names(names: pa.Array) -> pa.Array:
    """The names, of type string, as the destination holds them."""
    return pc.replace_substring(names, NUL, INSTEAD)


def storable_read(read: ScopeRead) -> ScopeRead:
    """What came of a scope, with `INSTEAD` for each NUL in its files and in what is told of it."""
    errors = [
        replace(error, resource=_storable(error.resource), message=_storable(error.message)) for error in read.errors
    ]
    return replace(read, tables=[_table_read(table) for table in read.tables], errors=errors)


def _table_read(read: TableRead) -> TableRead:
    files = [_file(file) for file in read.files]
    return replace(read, files=files, note=_storable(read.note), resumes_at=_storable(read.resumes_at))


def _file(file: TableFile) -> TableFile:
    named = None if file.named is None else _all_storable(file.named)
    file = replace(file, named=named, excepted=_all_storable(file.excepted))
    if any(_has_nul(column) for batch in file.batches() for column in batch.columns):
        _rewrite(file)
    return file


def _rewrite(file: TableFile) -> None:
    written = file.path.with_suffix(".storable")
    with pq.ParquetFile(file.path) as before, pq.ParquetWriter(written, before.schema_arrow) as after:
        for batch in before.iter_batches():
            columns = [storable_names(column) if _has_nul(column) else column for column in batch.columns]
            after.write_batch(pa.RecordBatch.from_arrays(columns, schema=before.schema_arrow))
    written.replace(file.path)


def _has_nul(column: pa.Array) -> bool:
    return pa.types.is_string(column.type) and bool(pc.any(pc.match_substring(column, NUL)).as_py())


def _all_storable(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(_storable, names))


def _storable(text: str) -> str:
    return text.replace(NUL, INSTEAD)
