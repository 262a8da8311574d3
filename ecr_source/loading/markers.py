"""What the rows of a file stand for, as rows beside them that say what they replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.replacement import KEPT, READ
from ecr_source.extract.rows.spool import TableFile

_NOTHING: Mapping[pa.DataType, object] = {pa.string(): "", pa.int64(): 0, pa.float64(): 0.0, pa.bool_(): False}
"""What stands in a column that cannot be NULL and says nothing."""


def markers_of(table: Table | RunTable, files: Sequence[TableFile], schema: pa.Schema) -> pa.Table:
    """The markers of files of `table`, with `schema`, in which they can be staged beside its rows.

    They are those of `ecr_source.destinations.replacement`.
    """
    rows = sorted({row for file in files for row in _markers(file)})
    if not rows:
        return schema.empty_table()
    names = [*table.replaced_by[-1], table.marked_in, "extracted_at"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return pa.table([_column(field, columns, len(rows)) for field in schema], schema=schema)


def _column(field: pa.Field, columns: Mapping[str, Sequence[Any]], count: int) -> pa.Array:
    if field.name in columns:
        return pa.array(columns[field.name], field.type)
    if field.nullable:
        return pa.nulls(count, field.type)
    epoch: Any = datetime.fromtimestamp(0, UTC)
    return pa.repeat(pa.scalar(_NOTHING.get(field.type, epoch), field.type), count)


def _markers(file: TableFile) -> Iterator[tuple[Any, ...]]:
    """The values of each marker, with what it is, and when the reading began."""
    levels = file.table.replaced_by
    equal = {"registry_id": file.scope.registry_id, "region": file.scope.region, **file.constants}
    scope = tuple(equal[name] for name in levels[0])

    def marker(kind: str, *finer: str) -> tuple[Any, ...]:
        empty = len(levels[-1]) - len(scope) - len(finer)
        return (*scope, *finer, *[""] * empty, kind, file.began_at)

    if file.images is not None:
        yield from (marker(READ, *image) for image in _names(file.images))
        return
    if file.named is None:
        yield marker(READ)
    for name in file.named or ():
        yield marker(READ, name)
    for name in file.excepted:
        yield marker(KEPT, name)
    if file.kept_images is not None:
        yield from (marker(KEPT, *image) for image in _names(file.kept_images))


def _names(images: pa.Table) -> Iterator[tuple[str, str]]:
    return zip(images["repository_name"].to_pylist(), images["image_digest"].to_pylist(), strict=True)
