"""One decoded response becomes Arrow tables, by the catalog's schemas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
from botocore.utils import parse_timestamp

from ecr_source.api import Page, Response
from ecr_source.catalog.coverage import Members, named_members
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import ArnField, Member, Namespace, OfParent, OfScope, Ordinal, Source, Table
from ecr_source.errors import ForeignRow, MalformedResponse, MissingKey
from ecr_source.scopes import Scope

_ABSENT: Response = {}
_NOT_OF_THE_TYPE = (AttributeError, IndexError, OverflowError, TypeError, ValueError, pa.ArrowException)
_ARN_INDEX = {"partition": 1, "region": 3}


@dataclass(frozen=True)
class _Rows:
    """The rows of a page, each with the item whose list it is in and its position there."""

    items: list[Response]
    parents: list[Response]
    ordinals: list[int]


def flatten(page: Page, table: Table, scope: Scope, extracted_at: datetime) -> pa.Table:
    """The rows of `page` that belong to `table`, with its Arrow schema.

    An item that the page lists twice counts once, the last time. The members of a nested list are sorted by key.
    Members that the catalog does not name go to `unmodelled`.

    Raises:
        MissingKey: a row lacks a member of the table's key.
        ForeignRow: a row names another registry or region than `scope`.
        MalformedResponse: a member has another type than the service model says.
    """
    where = f"page {page.number} of {table.operation} in {scope}"
    try:
        listed = _last_of_each(_list(page.response, table.steps[0]), table)
        rows = _nested(listed, table) if len(table.steps) > 1 else _Rows(listed, listed, [])
    except (AttributeError, TypeError) as error:
        raise MalformedResponse(f"{where}: {table.rows} is not a list of objects ({error})") from error
    schema = arrow_schema(table)
    columns = []
    for name, source in table.sources.items():
        try:
            columns.append(_array(_values(source, rows, scope, where), schema.field(name).type))
        except _NOT_OF_THE_TYPE as error:
            raise MalformedResponse(f"{where}: {name} cannot be read as {schema.field(name).type} ({error})") from error
    columns += [_unmodelled(rows, table), pa.array([extracted_at] * len(rows.items), TIMESTAMP)]
    flat = pa.Table.from_arrays(columns, schema=schema)
    _check_key(flat, table, where)
    return flat


def listed_keys(page: Page, table: Table) -> pa.Table:
    """The columns `table.listed_key` of all items of `page`, one row each, duplicates within the page left out."""
    listed = _last_of_each(_list(page.response, table.steps[0]), table)
    schema = pa.schema([arrow_schema(table).field(name) for name in table.listed_key])
    return pa.table([_listed_values(source, listed) for source in table.listed_key.values()], schema=schema)


def _list(item: Response, member: str) -> list[Response]:
    found = item.get(member)
    if found is None:
        return []
    if not isinstance(found, list) or not all(type(row) is dict for row in found):
        raise TypeError(f"{member} holds {type(found).__name__}")
    return found


def _last_of_each(listed: list[Response], table: Table) -> list[Response]:
    keys = list(zip(*(_listed_values(source, listed) for source in table.listed_key.values()), strict=True))
    last = dict(zip(keys, listed, strict=False))
    return listed if len(last) == len(listed) or any(None in key for key in last) else list(last.values())


def _listed_values(source: Source, listed: list[Response]) -> list[Any]:
    assert isinstance(source, Member)
    return _member(listed, source.path)


def _nested(listed: list[Response], table: Table) -> _Rows:
    members = [
        source.path for name, source in table.sources.items() if name in table.key and isinstance(source, Member)
    ]
    rows = _Rows([], [], [])
    for parent in listed:
        siblings = _list(parent, table.steps[1])
        if not siblings:
            continue
        keys = [tuple(map(str, (_member([item], path)[0] for path in members))) for item in siblings]
        unique = dict(zip(keys, siblings, strict=True))
        for ordinal, key in enumerate(sorted(unique)):
            rows.items.append(unique[key])
            rows.parents.append(parent)
            rows.ordinals.append(ordinal)
    return rows


def _array(values: list[Any], type_: pa.DataType) -> pa.Array:
    if type_ == TIMESTAMP:
        return pa.array(list(map(_microseconds, values)), pa.int64()).cast(TIMESTAMP)
    return pa.array(values, type_)


def _values(source: Source, rows: _Rows, scope: Scope, where: str) -> list[Any]:
    match source:
        case Member(path):
            return _member(rows.items, path)
        case ArnField(path, field):
            index = _ARN_INDEX[field]
            return [arn.split(":", 5)[index] or None if arn else None for arn in _member(rows.items, path)]
        case Namespace(path):
            return [name.rpartition("/")[0] or None if name else None for name in _member(rows.items, path)]
        case Ordinal():
            return rows.ordinals
        case OfScope(attribute, told_by):
            expected = getattr(scope, attribute)
            told = set(_values(told_by, rows, scope, where)) if told_by is not None else set()
            if foreign := told - {None, expected}:
                raise ForeignRow(
                    f"{where}: a row is of {attribute} {foreign.pop()}, not of the scope that was asked;"
                    " check the endpoint URL and the region"
                )
            return [expected] * len(rows.items)
        case OfParent(inner):
            return _values(inner, _Rows(rows.parents, [], []), scope, where)


def _member(items: Sequence[Response], path: str) -> list[Any]:
    *structures, leaf = path.split(".")
    for structure in structures:
        items = [_ABSENT if (member := item.get(structure)) is None else member for item in items]
    return [item.get(leaf) for item in items]


def _microseconds(value: float | int | str | None) -> int | None:
    """Microseconds since 1970 UTC, from what the JSON protocol allows: seconds as a number, or ISO 8601 text."""
    if value is None:
        return None
    if isinstance(value, bool):
        raise TypeError("a boolean is not a timestamp")
    if isinstance(value, (int, float)):
        # Apart, because a double has no room for the microseconds of today's seconds times a million.
        fraction, seconds = math.modf(value)
        return int(seconds) * 1_000_000 + round(fraction * 1_000_000)
    parsed = parse_timestamp(value)
    utc = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    whole = int(utc.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + utc.microsecond


def _unmodelled(rows: _Rows, table: Table) -> pa.Array:
    named = named_members(table)
    structures = {name: members for name, members in named.items() if members}
    return pa.array([_unnamed_json(item, named, structures) for item in rows.items], pa.string())


def _unnamed_json(item: Response, named: Members, structures: Members) -> str | None:
    if item.keys() <= named.keys() and all(
        (member := item.get(name)) is None or member.keys() <= members.keys() for name, members in structures.items()
    ):
        return None
    return orjson.dumps(_unnamed(item, named), option=orjson.OPT_SORT_KEYS).decode() if _unnamed(item, named) else None


def _unnamed(item: Response, named: Members) -> Response:
    unnamed: Response = {name: value for name, value in item.items() if name not in named}
    for name, members in named.items():
        member = item.get(name)
        if members and isinstance(member, dict) and (inner := _unnamed(member, members)):
            unnamed[name] = inner
    return unnamed


def _check_key(flat: pa.Table, table: Table, where: str) -> None:
    for name in table.key:
        if flat[name].null_count:
            row = flat[name].is_null().index(True).as_py() + 1
            raise MissingKey(f"{where}: row {row} of {table.rows} has no {name}, which is part of the key")
