"""The rows that responses must become, worked out by Python's json module, botocore's shapes and the catalog's columns.

Slow, plain and independent of Arrow; only documents inside of texts are read by the package itself, whose tests have
oracles of their own.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NoReturn, TypeAlias

from botocore.model import OperationModel, Shape
from botocore.utils import parse_timestamp

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.column import (
    Alike,
    ArnField,
    Asked,
    CallOutcome,
    Constant,
    Count,
    ImageReference,
    IsOneOf,
    Joined,
    Listed,
    Lookup,
    Member,
    Namespace,
    OfParent,
    OfScope,
    Ordinal,
    OrZero,
    Source,
)
from ecr_source.catalog.coverage import column_paths, is_secretive, named_paths
from ecr_source.catalog.documents import DOCUMENTS
from ecr_source.catalog.model import enumerated
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Filling, Table
from tests.server.ecr_server import service_model

Item: TypeAlias = dict[str, Any]
Row: TypeAlias = dict[str, Any]

# orjson reads 1,024 levels, Python's module fewer than 1,000, and orjson writes 254 into `unmodelled`.
_DEEPEST_READ = 700
_DEEPEST_KEPT = 250
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = {"integer": (int,), "long": (int,), "float": (int, float), "double": (int, float)}


class Unreadable(Exception):
    """No right rows can be made of a response."""


# --- from bytes to members


def members(body: bytes, service: str, operation: str) -> Item:
    """The members that the catalog names, checked against the model; those that it does not are in `unmodelled`, or
    dropped where they may be secrets.

    Of a member that is given twice the last one counts.

    Raises:
        Unreadable: the body is not one whole JSON object of the model's shape.
    """
    model = service_model("tagging" if service == "resourcegroupstaggingapi" else service).operation_model(operation)
    if is_secretive(service, operation):
        conformity = _Conformity(model, column_paths(service, operation), lambda _: None)
    else:
        conformity = _Conformity(model, named_paths(service, operation), _kept)
    conformed, unnamed = conformity.structure(loaded(body), model.output_shape, "")
    return conformed | {"unmodelled": conformity.kept(unnamed)}


def loaded(body: bytes) -> Item:
    """The JSON object that `body` is, strictly.

    Raises:
        Unreadable: it is none.
    """
    if _brackets(body) > _DEEPEST_READ:
        raise Unreadable("too deep")
    try:
        value = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object)
    except ValueError as error:
        raise Unreadable(f"not JSON: {type(error).__name__}") from error
    _depth(value)
    if not isinstance(value, dict):
        raise Unreadable("no object")
    return value


def _brackets(body: bytes) -> int:
    """How deep its brackets nest, outside of texts."""
    depths = [0]
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', body):
        depths.append(depths[-1] + (token[0] in b"[{") - (token[0] in b"]}"))
    return max(depths)


def _object(members: list[tuple[str, Any]]) -> Item:
    """Of a member that is given twice the last one counts; the others must be JSON as well."""
    _depth([value for _, value in members if isinstance(value, str)])
    return dict(members)


def _refuse(constant: str) -> NoReturn:
    raise Unreadable(constant)


def _finite(text: str) -> float:
    if math.isinf(float(text)):
        raise Unreadable(text)
    return float(text)


def _depth(value: Any) -> int:
    """How deep it nests; texts must be UTF-8."""
    depth, level = 0, [value]
    while level:
        depth += 1
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item, *item.values()]
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and re.search("[\ud800-\udfff]", item):
                raise Unreadable("a lone surrogate")
        level = below
    return depth


def _kept(unnamed: Item) -> Any:
    if _depth(unnamed) > _DEEPEST_KEPT:
        raise Unreadable("too deep to be kept")
    return _as_doubles(unnamed) if unnamed else None


def _as_doubles(value: Any) -> Any:
    """JSON with the numbers that orjson has no integers for as doubles."""
    if isinstance(value, dict):
        return {name: _as_doubles(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_doubles(item) for item in value]
    return float(value) if type(value) is int and not -(2**63) <= value < 2**64 else value


class _Conformity:
    """Checks JSON against the shapes of one operation."""

    def __init__(self, model: OperationModel, named: set[str], kept: Callable[[Item], Any]) -> None:
        self._model = model
        self._named = named
        self.kept = kept

    def structure(self, value: Any, shape: Any, path: str) -> tuple[Item, Item]:
        """The named members, and the others with those that stand unnamed in structures within."""
        if not isinstance(value, dict):
            raise Unreadable(f"{path} is no object")
        shapes = _member_shapes(shape)
        conformed: Item = {}
        unnamed: Item = {}
        for name, member in value.items():
            inner = f"{path}{name}"
            if name not in shapes or not (shape.type_name == "map" or self._is_named(inner)):
                unnamed[name] = member
            elif member is not None and _member_shapes(shapes[name]):
                conformed[name], within = self.structure(member, shapes[name], f"{inner}.")
                unnamed |= {name: within} if within else {}
            else:
                conformed[name] = self.value(member, shapes[name], inner)
        return conformed, unnamed

    def value(self, value: Any, shape: Any, path: str) -> Any:
        """A member, or an item of a list of no structures."""
        if value is None:
            return None
        if shape.type_name == "list":
            return self._list(value, shape.member, path)
        if _member_shapes(shape):
            return self.structure(value, shape, f"{path}.")[0]
        if shape.type_name == "map":
            return self._map(value, shape, path)
        return _scalar(value, shape, path)

    def _is_named(self, path: str) -> bool:
        return any(re.match(rf"{re.escape(path)}(\[\]|\{{\}}|\.|$)", named) for named in self._named)

    def _list(self, items: Any, shape: Shape, path: str) -> list[Any]:
        if not isinstance(items, list) or None in items:
            raise Unreadable(f"{path} is no list, or has an item that is null")
        if shape.type_name != "structure":
            return [self.value(item, shape, f"{path}[]") for item in items]
        conformed = [self.structure(item, shape, f"{path}[].") for item in items]
        return [item | {"unmodelled": self.kept(unnamed)} for item, unnamed in conformed]

    def _map(self, entries: Any, shape: Any, path: str) -> Any:
        if not isinstance(entries, dict):
            raise Unreadable(f"{path} is no object")
        return [{"key": key, "value": self.value(value, shape.value, path)} for key, value in entries.items()]


def _member_shapes(shape: Any) -> dict[str, Shape]:
    """The members of a structure, or of a map whose keys the model lists."""
    if shape.type_name == "structure":
        return dict(shape.members)
    return dict.fromkeys(enumerated(shape), getattr(shape, "value", shape))


def _scalar(value: Any, shape: Shape, path: str) -> Any:
    kind = shape.type_name
    if kind == "timestamp":
        return _time(value, path)
    wanted = _NUMBERS.get(kind, (bool,) if kind == "boolean" else (str,))
    if type(value) not in wanted or (kind in ("integer", "long") and not -(2**63) <= value < 2**63):
        raise Unreadable(f"{path} is no {kind}")
    return float(value) if kind in ("float", "double") else value


OUT_OF_RANGE = "a time that no datetime holds"
"""Stands for it; it is an error where a column needs it."""


def _time(value: Any, path: str) -> datetime | str:
    try:
        if isinstance(value, str):
            datetime.fromisoformat(value)  # botocore also takes dates in words, and times of today
            parsed: datetime = parse_timestamp(value)
            return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Unreadable(f"{path} is no time")
        return _EPOCH + timedelta(seconds=math.floor(value), microseconds=round((value - math.floor(value)) * 1e6))
    except ValueError as error:
        raise Unreadable(f"{path} is no time: {error}") from error
    except (OverflowError, RuntimeError):
        return OUT_OF_RANGE


# --- from members to rows


def rows(table: Table, filling: Filling, answers: Sequence[Answer], scope: Scope) -> list[Row]:
    """The rows of `table` that answers to the calls of one operation become, but for the columns of `positions_of`.

    Raises:
        Unreadable: an answer lacks a list, or a row a part of its key, or a row is of another scope.
    """
    found: dict[Any, Row] = {}
    for answer in answers:
        if answer.outcome == "complete" or filling.whatever_comes:
            for way in _ways(table, filling, answer):
                row = _row(table, filling, way, answer, scope)
                key = _what_tells_apart(table, filling, way, row)
                if table.alike:
                    row[table.alike] += found[key][table.alike] if key in found else 0
                found[key] = row
    return list(found.values())


def _what_tells_apart(table: Table, filling: Filling, way: Way, row: Row) -> Any:
    if any(isinstance(filling.sources[name], Ordinal) for name in table.key):
        return id(way[-1])
    above = id(way[-2]) if positions_of(table) else None
    return above, *(row.get(name) for name in table.key)


@dataclass(frozen=True)
class Answer:
    """The pages that answered one call, with the row of the parent table that it was made for."""

    asked: Row
    pages: Sequence[Item]
    outcome: str = "complete"


@cache
def positions_of(table: Table) -> frozenset[str]:
    """The columns that number rows by their content: how they are sorted is for other tests to say."""
    return frozenset(
        name for filling in table.fillings for name, source in filling.sources.items() if _is_ordinal(source)
    )


def _is_ordinal(source: Source) -> bool:
    return _is_ordinal(source.source) if isinstance(source, OfParent) else isinstance(source, Ordinal)


Way: TypeAlias = list[Any]
"""The response, the item of its list, the item of the list in that, … down to the row."""


def _ways(table: Table, filling: Filling, answer: Answer) -> Iterator[Way]:
    ways: list[Way] = [[page] for page in answer.pages]
    for number, level in enumerate(filling.levels, 1):
        lists = [(way, _at(way[-1], level.removesuffix("[]").removesuffix("{}"))) for way in ways]
        needed = number == 1 and "." not in level and not filling.operation.sparse
        if needed and any(items is None for _, items in lists):
            raise Unreadable(f"no {level}")
        if filling.outer and number == len(filling.levels):
            lists = [(way, items or [None]) for way, items in lists]
        ways = [[*way, item] for way, items in lists for item in items or ()]
        if number == 1:
            ways = _last_of_each(ways, table, filling)
    for way in ways:
        is_there = filling.only_with is None or _at(way[-1], filling.only_with) is not None
        if is_there and all(_at(way[-1], path) == value for path, value in filling.only_having.items()):
            yield way


def _last_of_each(ways: list[Way], table: Table, filling: Filling) -> list[Way]:
    sources = table.listed_key(filling).values()
    if not sources:
        return ways
    keys = [tuple(_of_item(source, way[-1]) for source in sources) for way in ways]
    if any(None in key for key in keys):
        return ways
    return list(dict(zip(keys, ways, strict=True)).values())


def _row(table: Table, filling: Filling, way: Way, answer: Answer, scope: Scope) -> Row:
    row: Row = dict.fromkeys(arrow_schema(table).names)
    for name, source in filling.sources.items():
        row[name] = _of_way(source, way, answer, scope)
        if row[name] is OUT_OF_RANGE:
            raise Unreadable(f"{name} is {OUT_OF_RANGE}")
    row["unmodelled"] = way[-1].get("unmodelled") if isinstance(way[-1], dict) else None
    for name in table.key:
        if row[name] is None and name not in positions_of(table):
            raise Unreadable(f"no {name}")
    return {name: value for name, value in row.items() if name not in positions_of(table) | {"extracted_at"}}


def _of_way(source: Source, way: Way, answer: Answer, scope: Scope) -> Any:
    match source:
        case OfParent(inner):
            return _of_way(inner, way[:-1], answer, scope)
        case OfScope(attribute, told_by):
            told = None if told_by is None else _of_way(told_by, way, answer, scope)
            return _agreed(getattr(scope, attribute), told)
        case Asked(column, told_by, _):
            return _agreed(answer.asked[column], None if told_by is None else _of_way(told_by, way, answer, scope))
        case Constant(value, _):
            return value
        case CallOutcome(path, names):
            said = _at(way[0], path) if names else None
            return names.get(said or "", "complete") if answer.outcome == "complete" else answer.outcome
        case _:
            return _of_item(source, way[-1])


def _agreed(expected: Any, told: Any) -> Any:
    if told is not None and expected is not None and told != expected:
        raise Unreadable(f"{told} is not {expected}")
    return expected


def _of_item(source: Source, item: Any) -> Any:
    match source:
        case Member(path, _):
            return _at(item, path)
        case OrZero(within, path, _):
            return None if _at(item, within) is None else _at(item, path) or 0
        case ArnField() | ImageReference() | Namespace():
            return _part_of_text(source, _at(item, source.path))
        case Alike():
            return 1
        case Count(path):
            return len(_at(item, path) or ())
        case Listed(path, _):
            return ", ".join(sorted(_at(item, path) or ())) or None
        case IsOneOf(path, values):
            value = _at(item, path)
            return None if value is None else value in values
        case Joined(sources, _):
            return "|".join(_text(_of_item(part, item)) for part in sources)
        case Lookup():
            return _looked_up(source, item)
    assert isinstance(source, Ordinal)
    return None


def _part_of_text(source: ArnField | ImageReference | Namespace, text: str | None) -> str | None:
    match source:
        case ArnField():
            return _arn_field(text, source.part)
        case ImageReference():
            return _in_reference(text, source.part)
        case Namespace():
            name, slash, _ = (text or "").rpartition("/")
            return name if slash and name else None


def _at(item: Any, path: str) -> Any:
    for step in filter(None, path.split(".")):
        if item is None:
            return None
        name, _, kind = step.partition("@")
        item = item.get(name.removesuffix("[0]"))
        if name.endswith("[0]"):
            item = item[0] if item else None
        if kind and item is not None:
            item = DOCUMENTS[kind].parse(item)
    return item


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _arn_field(arn: str | None, part: str) -> str | None:
    if arn is None:
        return None
    fields = arn.split(":", 5)
    if len(fields) < 6:
        raise Unreadable(f"{arn} is no ARN")
    if part in ("partition", "region"):
        return fields[1 if part == "partition" else 3] or None
    pattern = {"resource": r"repository/(.*?)(?:/sha[0-9]+:.*)?$", "digest": r".*?/(sha[0-9]+:.*)$"}[part]
    match = re.match(pattern, fields[5])
    return match[1] or None if match else None


def _in_reference(text: str | None, part: str) -> str | None:
    if text is None:
        return None
    first, slash, rest = text.partition("/")
    names_a_registry = slash and ("." in first or ":" in first or first == "localhost")
    found = (_without_registry(rest, first) if names_a_registry else None) or _without_registry(text, "")
    if part in ("registry_id", "region"):
        registry = (found or {}).get("registry", "")
        host = re.match(r"([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.[a-z]", registry)
        return host[1 if part == "registry_id" else 2] if host else None
    return (found or {}).get(part) or None


def _without_registry(text: str, registry: str) -> dict[str, str] | None:
    """The parts of `repository:tag@digest`; None if it is none."""
    named, at, digest = text.partition("@")
    name, colon, tag = named.partition(":")
    is_whole = name and not (at and not digest) and not (colon and not tag) and "@" not in digest
    if not is_whole or ":" in tag or "/" in tag:
        return None
    return {"registry": registry, "repository_name": name, "tag": tag, "digest": digest}


def _looked_up(source: Lookup, item: Any) -> Any:
    entries = [one for one in _at(item, source.path) or () if one.get(source.key) in source.among]
    order = sorted(
        entries,
        key=lambda one: (
            source.among.index(one[source.key]),
            one.get(source.value) is None,
            "" if one.get(source.value) is None else one[source.value],
        ),
    )
    value = order[0].get(source.value) if order else None
    if source.type != "float64" or not isinstance(value, str):
        return value
    return float(value) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) else None
