"""The rows of decoded responses as flat Arrow tables, by the catalog's schemas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.decode import UNMODELLED
from ecr_source.aws.scopes import Scope
from ecr_source.catalog.column import Asked, CallOutcome, Constant, OfParent, OfScope, Source
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Filling, Table
from ecr_source.errors import ForeignRow, MalformedResponse, MissingKey
from ecr_source.extract.rows.column_values import first_named, of_items, translated, typed
from ecr_source.extract.rows.page import Level, Page, member_at
from ecr_source.statuses import COMPLETE


@dataclass(frozen=True)
class _Rows:
    """The way from the responses to the rows; `positions[n]` says where each row comes from in level n."""

    page: Page
    scope: Scope
    levels: list[Level]
    positions: list[pa.Int64Array]


def flatten(page: Page, table: Table, filling: Filling, scope: Scope) -> pa.Table:
    """The rows of `page` that belong to `table` by `filling`, with the table's Arrow schema, sorted by its key.

    An item that is listed twice counts once, the last time, and so do the rows nested in it, unless items are counted
    that are one row.

    Raises:
        MissingKey: a row lacks a member of the table's key.
        ForeignRow: a row names another registry, region or repository than was asked.
        MalformedResponse: a member does not hold what its column needs.
    """
    schema = arrow_schema(table)
    rows = _rows(page if filling.whatever_comes else page.answered(), table, filling, scope)
    if not len(rows.positions[-1]):
        return schema.empty_table()
    last = len(rows.levels) - 1
    columns: dict[str, pa.Array] = {}
    for name, source in filling.sources.items():
        try:
            columns[name] = typed(_values(source, rows, last), schema.field(name).type)
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
    return _sorted_by_key(each_once(flat, table), table.key)


def listed_keys(page: Page, table: Table, filling: Filling) -> pa.Table:
    """The key columns that tell the items of the listing apart, of all items of `page`, an item listed twice once."""
    first = _items(page, filling, 1, page.items)
    keys = _listed_key(page, table, filling, first)
    return last_of_each(keys.select([name for name in keys.column_names if name in table.key]), None)


def call_outcomes(page: Page, source: CallOutcome) -> pa.StringArray:
    """What came of each call of `page`."""
    responses = Level(page.items, pa.arange(0, 0), "")
    listed, is_list, member = source.path.partition("[].")
    said = member_at(page, responses, listed)
    said = first_named(said, member, source) if is_list else translated(said, source.names)
    return pc.if_else(pc.equal(page.outcomes, COMPLETE), said, page.outcomes)


def _rows(page: Page, table: Table, filling: Filling, scope: Scope) -> _Rows:
    levels = [Level(page.items, pa.arange(0, len(page.items)), "")]
    for number in range(1, len(filling.levels) + 1):
        level = _items(page, filling, number, levels[-1].items)
        if number == 1 and number < len(filling.levels):
            level = _without_repeated(level, _listed_key(page, table, filling, level))
        levels.append(level)
        if not len(level.items):
            return _Rows(page, scope, levels, [pa.arange(0, 0)])
    if filling.only_with:
        levels[-1] = _keep(levels[-1], member_at(page, levels[-1], filling.only_with).is_valid())
    for path, value in filling.only_having.items():
        levels[-1] = _keep(levels[-1], pc.equal(member_at(page, levels[-1], path), value))
    positions = [pa.arange(0, len(levels[-1].items))]
    for level in reversed(levels[1:]):
        positions.insert(0, level.parents.take(positions[0]))
    return _Rows(page, scope, levels, positions)


def _items(page: Page, filling: Filling, number: int, above: pa.Array) -> Level:
    """The items of the lists of level `number`, in `above`, the items of the level before it."""
    path = filling.levels[number - 1].removesuffix("[]").removesuffix("{}")
    lists = member_at(page, Level(above, pa.arange(0, 0), ".".join(filling.levels[: number - 1])), path)
    # Read as an empty list, a missing one would delete every row; a registry that is empty answers [].
    if number == 1 and lists.null_count and "." not in path and not filling.operation.sparse:
        raise MalformedResponse(f"{page.where} has no {path}")
    items, parents = lists.flatten(), pc.list_parent_indices(lists).cast(pa.int64())
    if filling.outer and number == len(filling.levels):
        empty = pc.equal(pc.fill_null(pc.list_value_length(lists), 0), 0)
        alone = pc.indices_nonzero(empty).cast(pa.int64())
        items = pa.concat_arrays([items, pa.nulls(len(alone), items.type)])
        parents = pa.concat_arrays([parents, alone])
    return Level(items, parents, ".".join(filling.levels[:number]))


def _keep(level: Level, mask: pa.BooleanArray) -> Level:
    return Level(level.items.filter(mask), level.parents.filter(mask), level.path)


def _listed_key(page: Page, table: Table, filling: Filling, level: Level) -> pa.Table:
    """What tells the items of the first list apart: what was asked, and those of their members that are in the key."""
    asked = {
        f"asked {name}": page.asked[name].take(level.parents)
        for name in filling.asked_columns
        if name in page.asked.column_names
    }
    own = {name: of_items(source, page, level) for name, source in table.listed_key(filling).items()}
    return pa.table(asked | own) if own else pa.table({})


def _without_repeated(level: Level, keys: pa.Table) -> Level:
    last = _last_positions(keys)
    return level if last is None else Level(level.items.take(last), level.parents.take(last), level.path)


def _last_positions(keys: pa.Table) -> pa.Int64Array | None:
    """Where each key stands for the last time, in order; None if no key stands twice."""
    if keys.num_rows < 2 or not keys.num_columns or any(column.null_count for column in keys.columns):
        return None
    names = [str(number) for number in range(keys.num_columns)]
    indexed = keys.rename_columns(names).append_column("position", pa.arange(0, keys.num_rows))
    last = indexed.group_by(names, use_threads=False).aggregate([("position", "max")])
    if last.num_rows == keys.num_rows:
        return None
    positions = last["position_max"].combine_chunks()
    return positions.take(pc.sort_indices(positions))


def last_of_each(rows: pa.Table, key: Sequence[str] | None) -> pa.Table:
    """The rows, of those that agree in `key`, or wholly, the last one."""
    last = _last_positions(rows.select(list(key)) if key else rows)
    return rows if last is None else rows.take(last)


def each_once(rows: pa.Table, table: Table) -> pa.Table:
    """The rows of `table`, those of one key as one: the last of them, with what they count together."""
    last = last_of_each(rows, table.key)
    if table.alike is None or last.num_rows == rows.num_rows:
        return last
    counted = rows.group_by(list(table.key), use_threads=False).aggregate([(table.alike, "sum")])
    last, counted = _sorted_by_key(last, table.key), _sorted_by_key(counted, table.key)
    position = last.schema.get_field_index(table.alike)
    return last.set_column(position, last.schema.field(position), counted[f"{table.alike}_sum"])


def _sorted_by_key(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    return rows.take(pc.sort_indices(rows, sort_keys=[(name, "ascending") for name in key]))


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
        case CallOutcome():
            return call_outcomes(rows.page, source).take(rows.positions[0])
        case _:
            values = of_items(source, rows.page, rows.levels[number])
            is_lowest = number == len(rows.levels) - 1  # its positions are the rows' own
            return values if is_lowest else values.take(rows.positions[number])


def _unmodelled(level: Level) -> pa.StringArray:
    type_ = level.items.type
    if pa.types.is_struct(type_) and type_.get_field_index(UNMODELLED) >= 0:
        return pc.struct_field(level.items, UNMODELLED)
    return pa.nulls(len(level.items), pa.string())


def _check_key(flat: pa.Table, table: Table, filling: Filling, where: str) -> None:
    for name in table.key:
        if flat[name].null_count:
            row = flat[name].is_null().index(True).as_py() + 1
            raise MissingKey(f"{where}: row {row} of {filling.rows} has no {name}, which is part of the key")
