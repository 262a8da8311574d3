"""What the sources of the catalog give on items of responses, as Arrow arrays: a value for each item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.catalog.column import (
    Alike,
    ArnField,
    CallOutcome,
    Count,
    ImageReference,
    IsOneOf,
    Joined,
    Listed,
    Lookup,
    Member,
    Namespace,
    Ordinal,
    OrZero,
    Source,
)
from ecr_source.catalog.schema import TIMESTAMP
from ecr_source.errors import MalformedResponse
from ecr_source.extract.rows.page import Level, Page, member_at
from ecr_source.statuses import COMPLETE

_ARN_INDEX = {"partition": 1, "region": 3, "resource": 5, "digest": 5}
_ARN = r"^(?:[^:]*:){5}"
_OF_RESOURCE = {"resource": r"^repository/(?P<part>.*?)(?:/sha[0-9]+:.*)?$", "digest": r"/(?P<part>sha[0-9]+:.*)$"}
_IMAGE_REFERENCE = (
    r"^(?:(?P<registry>[^/]*[.:][^/]*|localhost)/)?(?P<repository_name>[^:@]+)"
    r"(?::(?P<tag>[^:@/]+))?(?:@(?P<digest>[^@]+))?$"
)
_ECR_REGISTRY = r"^(?P<registry_id>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z]"
_BEFORE_THE_LAST_SLASH = r"(?s)^(?P<namespace>.+)/[^/]*$"
# What Python's datetimes, and most databases, hold.
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800
_TYPE_OF_NAME = {"string": pa.string(), "float64": pa.float64()}


def of_items(source: Source, page: Page, level: Level) -> pa.Array:
    """What `source`, which asks for nothing but the items themselves, gives on each item of `level`."""
    match source:
        case Member(path, _):
            return member_at(page, level, path)
        case OrZero(within, path, _):
            there = member_at(page, level, within).is_valid()
            return pc.if_else(there, pc.fill_null(member_at(page, level, path), 0), None)
        case ArnField() | ImageReference() | Namespace():
            return _part_of_text(source, page, level)
        case Ordinal():
            return _ordinals(level)
        case Alike():
            return pa.repeat(pa.scalar(1, pa.int64()), len(level.items))
        case IsOneOf(path, values):
            member = member_at(page, level, path)
            return pc.if_else(member.is_valid(), pc.is_in(member, pa.array(values)), pa.scalar(None, pa.bool_()))
        case Joined(sources, _):
            return _joined([of_items(part, page, level) for part in sources])
        case Count() | Listed() | Lookup():
            return _of_list(source, member_at(page, level, source.path))
    raise AssertionError(source)


def _of_list(source: Count | Listed | Lookup, lists: pa.ListArray) -> pa.Array:
    match source:
        case Count():
            return pc.fill_null(pc.list_value_length(lists), 0)
        case Listed():
            return _listed(lists)
        case Lookup():
            return _looked_up(source, lists)


def _part_of_text(source: ArnField | ImageReference | Namespace, page: Page, level: Level) -> pa.StringArray:
    match source:
        case ArnField(path, part, _):
            return _arn_field(_arns(page, level, path), part)
        case ImageReference(path, part, _):
            return _in_reference(member_at(page, level, path), part)
        case Namespace(path):
            return pc.struct_field(pc.extract_regex(member_at(page, level, path), _BEFORE_THE_LAST_SLASH), "namespace")


def _joined(parts: Sequence[pa.Array]) -> pa.StringArray:
    return pc.binary_join_element_wise(*(pc.fill_null(part.cast(pa.string()), "") for part in parts), "|")


def _listed(lists: pa.ListArray) -> pa.StringArray:
    texts = pa.table({"parent": pc.list_parent_indices(lists), "text": lists.flatten()})
    in_order = texts.sort_by([("parent", "ascending"), ("text", "ascending")])["text"].combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], lengths.type), pc.cumulative_sum(lengths)])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, in_order), ", ")
    return pc.if_else(pc.greater(lengths, 0), joined, None)


def _arns(page: Page, level: Level, path: str) -> pa.StringArray:
    arns = member_at(page, level, path)
    if pc.all(pc.match_substring_regex(arns, _ARN)).as_py() is False:
        raise MalformedResponse(f"{page.where}: a {path} is not an ARN")
    return arns


def _arn_field(arns: pa.StringArray, part: str) -> pa.StringArray:
    fields = pc.split_pattern(arns, ":", max_splits=5)
    field = pc.list_element(fields, _ARN_INDEX[part])
    if part in _OF_RESOURCE:
        field = pc.struct_field(pc.extract_regex(field, _OF_RESOURCE[part]), "part")
    return pc.if_else(pc.equal(field, ""), None, field)


def _in_reference(references: pa.StringArray, part: str) -> pa.StringArray:
    parts = pc.extract_regex(references, _IMAGE_REFERENCE)
    if part in ("registry_id", "region"):
        parts = pc.extract_regex(pc.struct_field(parts, "registry"), _ECR_REGISTRY)
    found = pc.struct_field(parts, part)
    return pc.if_else(pc.equal(found, ""), None, found)


def translated(values: pa.StringArray, names: Mapping[str, str]) -> pa.StringArray:
    """The name of each value; `complete`, where it has none."""
    if not names:
        return pa.repeat(pa.scalar(COMPLETE), len(values))
    translated = pa.array([*names.values()], pa.string()).take(pc.index_in(values, pa.array([*names], pa.string())))
    return pc.fill_null(translated, COMPLETE)


def first_named(lists: pa.ListArray, member: str, outcome: CallOutcome) -> pa.StringArray:
    """Of each list the name of the first item's `member` that has one; `complete`, if none has, or that of no item."""
    values = pc.index_in(pc.struct_field(lists.flatten(), member), pa.array([*outcome.names], pa.string()))
    parents = pc.list_parent_indices(lists).filter(values.is_valid())
    named = pa.array([*outcome.names.values()], pa.string()).take(values.drop_null())
    found = named.take(pc.index_in(pa.arange(0, len(lists)).cast(parents.type), parents))
    is_empty = pc.equal(pc.fill_null(pc.list_value_length(lists), 0), 0)
    return pc.fill_null(found, pc.if_else(is_empty, outcome.none, COMPLETE))


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
    values = (
        found["value"].combine_chunks().take(pc.index_in(pa.arange(0, len(lists)), found["parent"].combine_chunks()))
    )
    type_ = _TYPE_OF_NAME[source.type]
    if pa.types.is_string(values.type) and type_ == pa.float64():
        values = pc.if_else(pc.match_substring_regex(values, r"^[0-9]+(\.[0-9]+)?$"), values, None)
    return values.cast(type_)


def _ordinals(level: Level) -> pa.Int64Array:
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


def typed(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """The values in the type of their column; seconds since 1970 as `timestamp[us, UTC]`.

    Raises:
        ArrowException: a value does not fit.
    """
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
