"""The rows of one decoded response as flat Arrow tables, by the catalog's schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.api import Page
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import ArnField, Member, Namespace, OfParent, OfScope, Ordinal, Source, Table
from ecr_source.decode import UNMODELLED
from ecr_source.errors import ForeignRow, MalformedResponse, MissingKey
from ecr_source.scopes import Scope

_ARN_INDEX = {"partition": 1, "region": 3}
_BEFORE_THE_LAST_SLASH = r"(?s)^(?P<namespace>.+)/[^/]*$"


@dataclass(frozen=True)
class _Rows:
    """The rows of a page, as structs, each with the item whose list it is in and its position there."""

    items: pa.StructArray
    parents: pa.StructArray
    ordinals: pa.Int64Array


def flatten(page: Page, table: Table, scope: Scope, extracted_at: datetime) -> pa.Table:
    """The rows of `page` that belong to `table`, with its Arrow schema.

    An item that the page lists twice counts once, the last time. The members of a nested list are sorted by key.

    Raises:
        MissingKey: a row lacks a member of the table's key.
        ForeignRow: a row names another registry or region than `scope`.
        MalformedResponse: a member does not hold what its column needs.
    """
    where = f"page {page.number} of {table.operation} in {scope}"
    schema = arrow_schema(table)
    listed = _last_of_each(_listed(page, table), table)
    rows = _nested(listed, table) if len(table.steps) > 1 else _Rows(listed, listed, pa.array([], pa.int64()))
    columns = []
    for name, source in table.sources.items():
        try:
            columns.append(_typed(_values(source, rows, scope, where), schema.field(name).type))
        except pa.ArrowException as error:
            raise MalformedResponse(f"{where}: {name} cannot be read as {schema.field(name).type} ({error})") from error
    columns += [
        rows.items.field(UNMODELLED),
        pa.repeat(pa.scalar(extracted_at, TIMESTAMP), len(rows.items)),
    ]
    flat = pa.Table.from_arrays(columns, schema=schema)
    _check_key(flat, table, where)
    return flat


def listed_keys(page: Page, table: Table) -> pa.Table:
    """The columns `table.listed_key` of all items of `page`, an item that is listed twice once."""
    return _keys(_last_of_each(_listed(page, table), table), table)


def _listed(page: Page, table: Table) -> pa.StructArray:
    lists = page.response.column(table.steps[0]).combine_chunks()
    if lists.null_count:
        # To read it as an empty registry would delete every row of the scope; an empty registry answers [].
        raise MalformedResponse(f"page {page.number} of {table.operation} has no {table.steps[0]}")
    return lists.flatten()


def _keys(listed: pa.StructArray, table: Table) -> pa.Table:
    sources = table.listed_key
    return pa.table(
        {name: _member(listed, source.path) for name, source in sources.items() if isinstance(source, Member)}
    )


def _last_of_each(listed: pa.StructArray, table: Table) -> pa.StructArray:
    keys = _keys(listed, table)
    indexed = keys.append_column("index", pa.array(range(len(listed)), pa.int64()))
    last = indexed.group_by(keys.column_names, use_threads=False).aggregate([("index", "max")])
    if last.num_rows == len(listed) or any(column.null_count for column in keys.columns):
        return listed
    return listed.take(last["index_max"].combine_chunks().sort())


def _nested(listed: pa.StructArray, table: Table) -> _Rows:
    """The members of each item's list, sorted by key, each key once."""
    lists = listed.field(table.steps[1])
    items = lists.flatten()
    key = {
        name: _member(items, source.path)
        for name, source in table.sources.items()
        if name in table.key and isinstance(source, Member)
    }
    rows = pa.table({"parent": pc.list_parent_indices(lists), "index": pa.array(range(len(items)), pa.int64()), **key})
    unique = rows.group_by(["parent", *key], use_threads=False).aggregate([("index", "max")])
    ordered = unique.sort_by([(name, "ascending") for name in ("parent", *key)])
    parents = ordered["parent"].combine_chunks()
    return _Rows(
        items.take(ordered["index_max"].combine_chunks()), listed.take(parents), _positions_within(parents.to_pylist())
    )


def _positions_within(groups: Sequence[int]) -> pa.Int64Array:
    positions: list[int] = []
    for index, group in enumerate(groups):
        positions.append(positions[-1] + 1 if index and groups[index - 1] == group else 0)
    return pa.array(positions, pa.int64())


def _values(source: Source, rows: _Rows, scope: Scope, where: str) -> pa.Array:
    match source:
        case Member(path):
            return _member(rows.items, path)
        case ArnField(path, field):
            parts = pc.split_pattern(_member(rows.items, path), ":", max_splits=5)
            part = pc.list_element(parts, _ARN_INDEX[field])
            return pc.if_else(pc.equal(part, ""), None, part)
        case Namespace(path):
            return pc.struct_field(pc.extract_regex(_member(rows.items, path), _BEFORE_THE_LAST_SLASH), "namespace")
        case Ordinal():
            return rows.ordinals
        case OfScope(attribute, told_by):
            expected = getattr(scope, attribute)
            told = _values(told_by, rows, scope, where).unique().to_pylist() if told_by is not None else []
            if foreign := set(told) - {None, expected}:
                raise ForeignRow(
                    f"{where}: a row is of {attribute} {foreign.pop()}, not of the scope that was asked;"
                    " check the endpoint URL and the region"
                )
            return pa.repeat(pa.scalar(expected), len(rows.items))
        case OfParent(inner):
            return _values(inner, _Rows(rows.parents, rows.parents, rows.ordinals), scope, where)


def _member(items: pa.StructArray, path: str) -> pa.Array:
    return pc.struct_field(items, path.split("."))


def _typed(values: pa.Array, type_: pa.DataType) -> pa.Array:
    return _timestamps(values) if type_ == TIMESTAMP else values.cast(type_)


def _timestamps(seconds: pa.DoubleArray) -> pa.TimestampArray:
    # Apart, because a double has no room for the microseconds of today's seconds times a million.
    whole = pc.floor(seconds)
    micros = pc.round(pc.multiply(pc.subtract(seconds, whole), 1e6), round_mode="half_to_even")
    total = pc.add_checked(pc.multiply_checked(whole.cast(pa.int64()), 1_000_000), micros.cast(pa.int64()))
    return total.cast(TIMESTAMP)


def _check_key(flat: pa.Table, table: Table, where: str) -> None:
    for name in table.key:
        if flat[name].null_count:
            row = flat[name].is_null().index(True).as_py() + 1
            raise MissingKey(f"{where}: row {row} of {table.rows} has no {name}, which is part of the key")
