"""The rows of decoded responses as flat Arrow tables, by the catalog's schemas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.decode import UNMODELLED
from ecr_source.aws.scopes import Scope
from ecr_source.catalog.column import (
    ArnField,
    Asked,
    CallOutcome,
    Constant,
    Count,
    IsOneOf,
    Joined,
    Lookup,
    Member,
    Namespace,
    OfParent,
    OfScope,
    Ordinal,
    OrZero,
    Source,
)
from ecr_source.catalog.documents import parse_documents
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import Filling, Table
from ecr_source.errors import ForeignRow, MalformedResponse, MissingKey
from ecr_source.statuses import COMPLETE

_ARN_INDEX = {"partition": 1, "region": 3, "resource": 5, "digest": 5}
_ARN = r"^(?:[^:]*:){5}"
_OF_RESOURCE = {"resource": r"^repository/(?P<part>.*?)(?:/sha[0-9]+:.*)?$", "digest": r"/(?P<part>sha[0-9]+:.*)$"}
_BEFORE_THE_LAST_SLASH = r"(?s)^(?P<namespace>.+)/[^/]*$"
# What Python's datetimes, and most databases, hold.
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
_TYPE_OF_NAME = {"string": pa.string(), "float64": pa.float64()}


@dataclass(frozen=True)
class Page:
    """Responses of one operation, a row each: what was asked, what came of it, and when it was asked.

    `asked` has columns of the operation's parent table; `asked_at` is `timestamp[us, UTC]`. Where the outcome is not
    `complete`, the response has no members. `where` names the page for a person.
    """

    responses: pa.Table
    asked: pa.Table
    outcomes: pa.StringArray
    asked_at: pa.TimestampArray
    where: str
    documents: dict[tuple[str, int], pa.StructArray] = field(default_factory=dict)

    def answered(self) -> Page:
        """The page without the calls that were not answered."""
        complete = pc.equal(self.outcomes, COMPLETE)
        if pc.all(complete).as_py() is not False:
            return self
        responses, asked = self.responses.filter(complete), self.asked.filter(complete)
        times = self.asked_at.filter(complete)
        return Page(responses, asked, self.outcomes.filter(complete), times, self.where)


@dataclass(frozen=True)
class _Level:
    """The items of one level of lists; the first level is the responses. `parents` are positions one level above."""

    items: pa.Array
    parents: pa.Int64Array
    path: str


@dataclass(frozen=True)
class _Rows:
    """The way from the responses to the rows; `positions[n]` says where each row comes from in level n."""

    page: Page
    scope: Scope
    levels: list[_Level]
    positions: list[pa.Int64Array]


def flatten(page: Page, table: Table, filling: Filling, scope: Scope) -> pa.Table:
    """The rows of `page` that belong to `table` by `filling`, with the table's Arrow schema, sorted by its key.

    An item that is listed twice counts once, the last time, and so do the rows nested in it.

    Raises:
        MissingKey: a row lacks a member of the table's key.
        ForeignRow: a row names another registry, region or repository than was asked.
        MalformedResponse: a member does not hold what its column needs.
    """
    schema = arrow_schema(table)
    rows = _rows(page if filling.whatever_comes else page.answered(), table, filling, scope)
    last = len(rows.levels) - 1
    columns: dict[str, pa.Array] = {}
    for name, source in filling.sources.items():
        try:
            columns[name] = _typed(_values(source, rows, last), schema.field(name).type)
        except pa.ArrowException as error:
            raise MalformedResponse(
                f"{page.where}: {name} cannot be read as {schema.field(name).type} ({error})"
            ) from error
    columns[UNMODELLED] = _unmodelled(rows.levels[last])
    columns["extracted_at"] = rows.page.asked_at.take(rows.positions[0])
    count = len(rows.positions[last])
    flat = pa.table(
        [columns.get(field.name, pa.nulls(count, field.type)) for field in schema],
        schema=schema,
    )
    _check_key(flat, table, filling, page.where)
    return _sorted_by_key(_last_of_each(flat, table.key), table.key)


def listed_keys(page: Page, table: Table, filling: Filling) -> pa.Table:
    """The key columns that tell the items of the listing apart, of all items of `page`, an item listed twice once."""
    first = _items(page, filling, 1, _struct_array(page.responses))
    keys = _listed_key(page, table, filling, first)
    return _last_of_each(keys.select([name for name in keys.column_names if name in table.key]), None)


def _rows(page: Page, table: Table, filling: Filling, scope: Scope) -> _Rows:
    responses = _struct_array(page.responses)
    levels = [_Level(responses, _range(len(responses)), "")]
    for number in range(1, len(filling.levels) + 1):
        level = _items(page, filling, number, levels[-1].items)
        if number == 1 and number < len(filling.levels):
            level = _without_repeated(level, _listed_key(page, table, filling, level))
        levels.append(level)
    if filling.only_with:
        levels[-1] = _keep(levels[-1], _member(page, levels[-1], filling.only_with).is_valid())
    positions = [_range(len(levels[-1].items))]
    for level in reversed(levels[1:]):
        positions.insert(0, level.parents.take(positions[0]))
    return _Rows(page, scope, levels, positions)


def _struct_array(table: pa.Table) -> pa.StructArray:
    array = table.to_struct_array()
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _items(page: Page, filling: Filling, number: int, above: pa.Array) -> _Level:
    """The items of the lists of level `number`, in `above`, the items of the level before it."""
    path = filling.levels[number - 1].removesuffix("[]").removesuffix("{}")
    lists = _member(page, _Level(above, _range(0), ".".join(filling.levels[: number - 1])), path)
    # Read as an empty list, a missing one would delete every row; a registry that is empty answers [].
    if number == 1 and lists.null_count and "." not in path and not filling.operation.sparse:
        raise MalformedResponse(f"{page.where} has no {path}")
    items, parents = lists.flatten(), pc.list_parent_indices(lists).cast(pa.int64())
    if filling.outer and number == len(filling.levels):
        empty = pc.equal(pc.fill_null(pc.list_value_length(lists), 0), 0)
        alone = pc.indices_nonzero(empty).cast(pa.int64())
        items = pa.concat_arrays([items, pa.nulls(len(alone), items.type)])
        parents = pa.concat_arrays([parents, alone])
    return _Level(items, parents, ".".join(filling.levels[:number]))


def _keep(level: _Level, mask: pa.BooleanArray) -> _Level:
    return _Level(level.items.filter(mask), level.parents.filter(mask), level.path)


def _listed_key(page: Page, table: Table, filling: Filling, level: _Level) -> pa.Table:
    """What tells the items of the first list apart: what was asked, and those of their members that are in the key."""
    asked = {
        f"asked {name}": page.asked[name].take(level.parents)
        for name in filling.asked_columns
        if name in page.asked.column_names
    }
    own = {name: _of_items(source, page, level) for name, source in table.listed_key(filling).items()}
    return pa.table(asked | own) if own else pa.table({})


def _without_repeated(level: _Level, keys: pa.Table) -> _Level:
    last = _last_positions(keys)
    return level if last is None else _Level(level.items.take(last), level.parents.take(last), level.path)


def _last_positions(keys: pa.Table) -> pa.Int64Array | None:
    """Where each key stands for the last time, in order; None if no key stands twice."""
    if not keys.num_columns or any(column.null_count for column in keys.columns):
        return None
    names = [str(number) for number in range(keys.num_columns)]
    indexed = keys.rename_columns(names).append_column("position", _range(keys.num_rows))
    last = indexed.group_by(names, use_threads=False).aggregate([("position", "max")])
    if last.num_rows == keys.num_rows:
        return None
    positions = last["position_max"].combine_chunks()
    return positions.take(pc.sort_indices(positions))


def _last_of_each(rows: pa.Table, key: Sequence[str] | None) -> pa.Table:
    last = _last_positions(rows.select(list(key)) if key else rows)
    return rows if last is None else rows.take(last)


def _sorted_by_key(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    return rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in key]))


def _range(count: int) -> pa.Int64Array:
    return pa.array(range(count), pa.int64())


def _values(source: Source, rows: _Rows, number: int) -> pa.Array:
    """What `source` gives on the items of level `number`, a value for each row."""
    match source:
        case OfParent(inner):
            return _values(inner, rows, number - 1)
        case OfScope(attribute, told_by):
            expected = getattr(rows.scope, attribute)
            told = _values(told_by, rows, number).unique().to_pylist() if told_by is not None else []
            if foreign := set(told) - {None, expected}:
                raise ForeignRow(
                    f"{rows.page.where}: a row is of {attribute} {foreign.pop()}, not of the scope that was asked;"
                    " check the endpoint URL and the region"
                )
            return pa.repeat(pa.scalar(expected), len(rows.positions[number]))
        case Asked(column, told_by, _):
            asked = rows.page.asked[column].combine_chunks().take(rows.positions[0])
            if told_by is not None and pc.any(pc.not_equal(_values(told_by, rows, number), asked)).as_py():
                raise ForeignRow(f"{rows.page.where}: a row is of another {column} than was asked")
            return asked
        case Constant(value, _):
            return pa.repeat(pa.scalar(value), len(rows.positions[number]))
        case CallOutcome(path, names):
            said = _translated(_member(rows.page, rows.levels[0], path), names)
            outcomes = pc.if_else(pc.equal(rows.page.outcomes, COMPLETE), said, rows.page.outcomes)
            return outcomes.take(rows.positions[0])
        case _:
            values = _of_items(source, rows.page, rows.levels[number])
            is_lowest = number == len(rows.levels) - 1  # its positions are the rows' own
            return values if is_lowest else values.take(rows.positions[number])


def _of_items(source: Source, page: Page, level: _Level) -> pa.Array:
    match source:
        case Member(path, _):
            return _member(page, level, path)
        case OrZero(within, path, _):
            there = _member(page, level, within).is_valid()
            return pc.if_else(there, pc.fill_null(_member(page, level, path), 0), None)
        case ArnField(path, part, _):
            return _arn_field(_arns(page, level, path), part)
        case Namespace(path):
            return pc.struct_field(pc.extract_regex(_member(page, level, path), _BEFORE_THE_LAST_SLASH), "namespace")
        case Ordinal():
            return _ordinals(level)
        case Count(path):
            return pc.fill_null(pc.list_value_length(_member(page, level, path)), 0)
        case IsOneOf(path, values):
            member = _member(page, level, path)
            return pc.if_else(member.is_valid(), pc.is_in(member, pa.array(values)), pa.scalar(None, pa.bool_()))
        case Joined(sources, _):
            return _joined([_of_items(part, page, level) for part in sources])
        case Lookup():
            return _looked_up(source, _member(page, level, source.path))
    raise AssertionError(source)


def _member(page: Page, level: _Level, path: str) -> pa.Array:
    """The member at `path` of each item; NULL where it, or a structure on the way, is missing."""
    items = level.items
    steps: list[str] = []
    for step in filter(None, path.split(".")):
        name, _, kind = step.partition("@")
        steps.append(name.removesuffix("[0]"))
        if name.endswith("[0]"):
            items, steps = _first_items(pc.struct_field(items, steps)), []
        if kind:
            place = (f"{level.path}.{path.partition('@')[0]}", len(items))
            if place not in page.documents:
                page.documents[place] = parse_documents(kind, pc.struct_field(items, steps))
            items, steps = page.documents[place], []
    return pc.struct_field(items, steps) if steps else items


def _joined(parts: Sequence[pa.Array]) -> pa.StringArray:
    return pc.binary_join_element_wise(*(pc.fill_null(part.cast(pa.string()), "") for part in parts), "|")


def _first_items(lists: pa.ListArray) -> pa.Array:
    parents = pc.list_parent_indices(lists)
    return lists.flatten().take(pc.index_in(pa.array(range(len(lists)), parents.type), parents))


def _arns(page: Page, level: _Level, path: str) -> pa.StringArray:
    arns = _member(page, level, path)
    if pc.all(pc.match_substring_regex(arns, _ARN)).as_py() is False:
        raise MalformedResponse(f"{page.where}: a {path} is not an ARN")
    return arns


def _arn_field(arns: pa.StringArray, part: str) -> pa.StringArray:
    fields = pc.split_pattern(arns, ":", max_splits=5)
    field = pc.list_element(fields, _ARN_INDEX[part])
    if part in _OF_RESOURCE:
        field = pc.struct_field(pc.extract_regex(field, _OF_RESOURCE[part]), "part")
    return pc.if_else(pc.equal(field, ""), None, field)


def _translated(values: pa.StringArray, names: Mapping[str, str]) -> pa.StringArray:
    if not names:
        return pa.repeat(pa.scalar(COMPLETE), len(values))
    translated = pa.array([*names.values()], pa.string()).take(pc.index_in(values, pa.array([*names], pa.string())))
    return pc.fill_null(translated, COMPLETE)


def _looked_up(source: Lookup, lists: pa.ListArray) -> pa.Array:
    items = lists.flatten()
    ranks = pc.index_in(pc.struct_field(items, source.key), pa.array(source.among))
    found = pa.table(
        {
            "parent": pc.list_parent_indices(lists).cast(pa.int64()),
            "rank": ranks,
            "value": pc.struct_field(items, source.value),
        }
    ).filter(ranks.is_valid())
    found = found.sort_by([("parent", "ascending"), ("rank", "ascending"), ("value", "ascending")])
    values = found["value"].combine_chunks().take(pc.index_in(_range(len(lists)), found["parent"].combine_chunks()))
    type_ = _TYPE_OF_NAME[source.type]
    if pa.types.is_string(values.type) and type_ == pa.float64():
        values = pc.if_else(pc.match_substring_regex(values, r"^[0-9]+(\.[0-9]+)?$"), values, None)
    return values.cast(type_)


def _ordinals(level: _Level) -> pa.Int64Array:
    siblings: dict[int, list[tuple[bytes, int]]] = {}
    for position, (parent, item) in enumerate(zip(level.parents.to_pylist(), level.items.to_pylist(), strict=True)):
        siblings.setdefault(parent, []).append((_canonical(item), position))
    ordinals = [0] * len(level.items)
    for family in siblings.values():
        for ordinal, (_, position) in enumerate(sorted(family)):
            ordinals[position] = ordinal
    return pa.array(ordinals, pa.int64())


def _canonical(value: object) -> bytes:
    """The same bytes for the same content, in whatever order its lists and members came."""
    return orjson.dumps(_in_order(value), option=orjson.OPT_SORT_KEYS)


def _in_order(value: object) -> object:
    if isinstance(value, dict):
        return {name: _in_order(member) for name, member in value.items()}
    return sorted(map(_in_order, value), key=_canonical) if isinstance(value, list) else value


def _unmodelled(level: _Level) -> pa.StringArray:
    type_ = level.items.type
    if pa.types.is_struct(type_) and type_.get_field_index(UNMODELLED) >= 0:
        return pc.struct_field(level.items, UNMODELLED)
    return pa.nulls(len(level.items), pa.string())


def _typed(values: pa.Array, type_: pa.DataType) -> pa.Array:
    if values.type == type_:
        return values
    return _timestamps(values) if type_ == TIMESTAMP else values.cast(type_)


def _timestamps(seconds: pa.DoubleArray) -> pa.TimestampArray:
    # Apart, because a double has no room for the microseconds of today's seconds times a million.
    if pc.any(pc.invert(pc.and_(pc.greater_equal(seconds, _YEAR_1), pc.less(seconds, _YEAR_10000)))).as_py():
        raise pa.ArrowInvalid("it is not in the years 1 to 9999")
    whole = pc.floor(seconds)
    micros = pc.round(pc.multiply(pc.subtract(seconds, whole), 1e6), round_mode="half_to_even")
    total = pc.add_checked(pc.multiply_checked(whole.cast(pa.int64()), 1_000_000), micros.cast(pa.int64()))
    return total.cast(TIMESTAMP)


def _check_key(flat: pa.Table, table: Table, filling: Filling, where: str) -> None:
    for name in table.key:
        if flat[name].null_count:
            row = flat[name].is_null().index(True).as_py() + 1
            raise MissingKey(f"{where}: row {row} of {filling.rows} has no {name}, which is part of the key")
