"""What came of a scope with other texts in it: in its rows, its errors, its notes, and whatever else says something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import pyarrow as pa

from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import RunTable, Table
from ecr_source.extract.rows.spool import TableFile

_Read = TypeVar("_Read")


class Rewriter(Protocol):
    """Other texts in the place of some."""

    def text(self, text: str) -> str:
        """What stands in the place of `text`; mostly the same."""

    def column(self, texts: pa.Array) -> pa.Array:
        """What stands in the place of each; `texts` itself, where nothing in it changes."""


def rewrite(read: _Read, rewriter: Rewriter) -> _Read:
    """`read`, a result of a walk or a part of one, with every text of every field rewritten, and the files it names.

    No field is named here, so that none can be forgotten; what the catalog says is no result.
    """
    return cast("_Read", _rewritten(read, rewriter))


def _rewritten(value: object, rewriter: Rewriter) -> object:
    match value:
        case Table() | RunTable():
            return value
        case pa.Table():
            return pa.Table.from_batches(
                (rewritten_batch(batch, rewriter) for batch in value.to_batches()), value.schema
            )
        case str():
            return rewriter.text(value)
        case list() | tuple() | set() | frozenset():
            return type(value)(_rewritten(one, rewriter) for one in value)
        case Mapping():
            return {name: _rewritten(one, rewriter) for name, one in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    told = {field.name: _rewritten(getattr(value, field.name), rewriter) for field in fields(value)}
    return replace(value, **told) if not isinstance(value, TableFile) else _rewritten_file(value, told, rewriter)


def _rewritten_file(file: TableFile, told: Mapping[str, Any], rewriter: Rewriter) -> TableFile:
    # Names that were rewritten have another order.
    named, excepted = (names and tuple(sorted(names)) for names in (told["named"], told["excepted"]))
    return TableFile(**{**told, "path": _rewritten_rows(file, rewriter), "named": named, "excepted": excepted})


def _rewritten_rows(file: TableFile, rewriter: Rewriter) -> Path:
    """The file of the rewritten rows, which takes the place of the one there was."""
    if not any(rewriter.column(column) is not column for batch in file.batches() for column in _texts(batch)):
        return file.path
    return file.replaced(arrow_schema(file.table), partial(rewritten_batch, rewriter=rewriter))


def rewritten_batch(rows: pa.RecordBatch, rewriter: Rewriter) -> pa.RecordBatch:
    """The rows with every column of type string rewritten."""
    columns = [rewriter.column(column) if pa.types.is_string(column.type) else column for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, schema=rows.schema)


def _texts(batch: pa.RecordBatch) -> list[pa.Array]:
    return [column for column in batch.columns if pa.types.is_string(column.type)]
