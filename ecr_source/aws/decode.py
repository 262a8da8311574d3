"""The bytes of responses become Arrow rows: the members that the catalog names, typed by botocore's model."""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, ParamSpec, TypeVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from botocore.model import OperationModel, Shape

from ecr_source.catalog.coverage import column_paths, is_secretive, named_paths
from ecr_source.catalog.model import enumerated, operation_model
from ecr_source.catalog.schema import TYPE_OF_SHAPE
from ecr_source.errors import MalformedResponse, NotWhole
from ecr_source.redaction import masked_members

UNMODELLED = "unmodelled"
"""The field, in each row of a list, of members that the catalog does not name: JSON text. Where they may be
secrets there is no such field, and they are dropped."""

_QUOTED_UNMODELLED = b'"%s"' % UNMODELLED.encode()

_P = ParamSpec("_P")
_T = TypeVar("_T")

_ARROW_THREADS = ThreadPoolExecutor(os.cpu_count() or 1, "arrow")

# Bytes of a body: where there is nothing, a region answers as any other, and to read it takes 0.2 ms.
_SHORT = 300

# Bytes of bodies: Arrow's JSON reader takes 0.6 to 1.8 ms to begin, in which Python has read so many.
_FEW = 2_000

# Seconds since 1970, as in the JSON protocol; the mark tells them from other numbers.
_SCALARS = TYPE_OF_SHAPE | {"timestamp": pa.float64()}
_TIMESTAMP = {"shape": "timestamp"}

_PYTHON_TYPES: dict[pa.DataType, set[type]] = {
    pa.string(): {str},
    pa.bool_(): {bool},
    pa.int64(): {int},
    pa.float64(): {int, float},
}


def on_arrow_threads(function: Callable[_P, _T], *arguments: _P.args, **named: _P.kwargs) -> _T:
    """The result of `function`, run on one of as many threads as there are processors.

    Every thread that works with Arrow keeps some memory for itself: 32 of them 200 MB, two of them none that matters.
    """
    return _ARROW_THREADS.submit(function, *arguments, **named).result()


def decode(bodies: Sequence[bytes], operation: OperationModel) -> pa.Table:
    """The responses as a table, a row each, a column per member: structures are structs, lists are lists, and
    maps lists of `key` and `value`, or structs where the model names all keys.

    Arrow's JSON reader does it in C++. What it does not take (a member that the catalog does not name, a timestamp in
    ISO 8601, a map) goes through Python objects: five times slower, and with the same result. So does what is short.

    Raises:
        NotWhole: a body is not one whole JSON object.
        MalformedResponse: a member has another type than the model says.
    """
    service, name = operation.service_model.service_name, operation.name
    may_stay = UNMODELLED in _response_schema(service, name).names  # as it has no secrets
    if may_stay and len(bodies) == 1 and len(bodies[0]) <= _SHORT:
        return _decoded_once(bodies[0], service, name)
    return _decoded(bodies, service, name)


@lru_cache(maxsize=128)
def _decoded_once(body: bytes, service: str, operation: str) -> pa.Table:
    return _decoded([body], service, operation)


def _decoded(bodies: Sequence[bytes], service: str, operation: str) -> pa.Table:
    schema = _response_schema(service, operation)
    # What it would ignore it would not check either.
    is_for_arrow = UNMODELLED in schema.names and sum(map(len, bodies)) > _FEW
    responses = _read_by_arrow(bodies, schema) if is_for_arrow else None
    if responses is not None and len(responses) == len(bodies) and _is_strict(responses):
        return pa.Table.from_struct_array(responses).cast(schema)
    return pa.concat_tables([_decode_tolerantly(body, schema) for body in bodies])


def _read_by_arrow(bodies: Sequence[bytes], schema: pa.Schema) -> pa.StructArray | None:
    """The responses as Arrow's JSON reader reads them; None for what it does not take."""
    # As members of objects, because a line that is `null` or a number ends the process.
    text = b"\n".join(b'{"response":%s}' % body for body in bodies)
    if not _is_utf8(text) or _QUOTED_UNMODELLED in text:
        return None
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(text),
            read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pyarrow.json.ParseOptions(
                explicit_schema=pa.schema([("response", pa.struct(schema))]), unexpected_field_behavior="error"
            ),
        )
    except pa.ArrowException:  # a map is not implemented
        return None
    responses = table["response"]
    return responses.combine_chunks() if not responses.null_count else None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_strict(values: pa.Array) -> bool:
    """Whether it has no NaN, no infinity and no item that is null, all of which Arrow's JSON reader takes."""
    if pa.types.is_struct(values.type):
        return all(map(_is_strict, values.flatten()))
    if pa.types.is_list(values.type):
        items = values.flatten()
        return not items.null_count and _is_strict(items)
    if pa.types.is_floating(values.type):
        return pc.all(pc.is_finite(values)).as_py() is not False
    return True


def parse(body: bytes) -> dict[str, Any]:
    """The response as Python objects.

    Raises:
        NotWhole: `body` is not one whole JSON object.
    """
    try:
        response = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise NotWhole(f"the body of {len(body)} bytes is not a whole JSON document: {error}") from error
    if not isinstance(response, dict):
        raise NotWhole("the body is JSON, but not an object")
    return response


@cache
def _response_schema(service: str, operation: str) -> pa.Schema:
    shape = operation_model(service, operation).output_shape
    if is_secretive(service, operation):
        return pa.schema(_fields(shape, "", column_paths(service, operation), ()))
    unmodelled = (pa.field(UNMODELLED, pa.string()),)
    return pa.schema([*_fields(shape, "", named_paths(service, operation), unmodelled), *unmodelled])


def _fields(structure: Shape | None, path: str, named: set[str], of_items: Sequence[pa.Field]) -> list[pa.Field]:
    """The fields of those members that are `named`; in lists the items have `of_items` too."""
    fields = []
    for name, shape in getattr(structure, "members", {}).items():
        member = f"{path}{name}"
        if any(re.match(rf"{re.escape(member)}(\[\]|\{{\}}|\.|$)", other) for other in named):
            mark = _TIMESTAMP if shape.type_name == "timestamp" else None
            fields.append(pa.field(name, _type(shape, member, named, of_items), metadata=mark))
    return fields


def _type(shape: Shape, path: str, named: set[str], of_items: Sequence[pa.Field]) -> pa.DataType:
    if shape.type_name == "structure":
        return pa.struct(_fields(shape, f"{path}.", named, of_items))
    if shape.type_name == "list":
        member = getattr(shape, "member")  # noqa: B009 (the stubs do not know it)
        item = _type(member, f"{path}[]", named, of_items)
        return pa.list_(pa.struct([*item, *of_items]) if pa.types.is_struct(item) else item)
    if shape.type_name == "map":
        names = enumerated(shape)
        value = _type(getattr(shape, "value"), f"{path}{{}}", named, of_items)  # noqa: B009 (nor this)
        return pa.struct(dict.fromkeys(names, value)) if names else _entries(value)
    return _SCALARS[shape.type_name]


def _decode_tolerantly(body: bytes, schema: pa.Schema) -> pa.Table:
    response, unnamed = _conform_structure(parse(body), pa.struct(schema), "")
    if unnamed and UNMODELLED in schema.names:
        response[UNMODELLED] = _text(unnamed)
    columns = []
    for field in schema:
        try:
            columns.append(pa.array([response.get(field.name)], field.type))
        except (OverflowError, pa.ArrowException) as error:
            raise MalformedResponse(f"{field.name} holds a value that Arrow cannot hold ({error})") from error
    return pa.Table.from_arrays(columns, schema=schema)


def _conform(value: Any, type_: pa.DataType, path: str) -> tuple[Any, dict[str, Any]]:
    """`value` as Arrow takes it for `type_`, and the members of it that the type does not name."""
    if value is None:
        return None, {}
    if _is_entries(type_):
        return _conform_map(value, type_.value_type.field("value").type, path), {}
    if pa.types.is_list(type_):
        return _conform_list(value, type_.value_type, path), {}
    if pa.types.is_struct(type_):
        return _conform_structure(value, type_, path)
    if type(value) not in _PYTHON_TYPES[type_]:
        raise MalformedResponse(f"{path} is {reprlib.repr(value)}, not a {type_}")
    # Arrow makes doubles only of those integers that a double holds exactly.
    return float(value) if pa.types.is_floating(type_) else value, {}


def _conform_list(items: Any, type_: pa.DataType, path: str) -> list[Any]:
    if not isinstance(items, list):
        raise MalformedResponse(f"{path} is {reprlib.repr(items)}, not a list")
    conformed = []
    for index, item in enumerate(items):
        if item is None:
            raise MalformedResponse(f"{path}[{index}] is null")
        value, unnamed = _conform(item, type_, f"{path}[{index}]")
        if unnamed and type_.get_field_index(UNMODELLED) >= 0:
            value[UNMODELLED] = _text(unnamed)
        conformed.append(value)
    return conformed


def _entries(value: pa.DataType) -> pa.ListType:
    """The type that a map is held as; Arrow's JSON reader, and some functions, know no maps."""
    return pa.list_(pa.struct([("key", pa.string()), ("value", value)]))


def _is_entries(type_: pa.DataType) -> bool:
    # The items of a list of structures have a third field, for what is not modelled.
    item = type_.value_type if pa.types.is_list(type_) else None
    return item is not None and pa.types.is_struct(item) and [field.name for field in item] == ["key", "value"]


def _conform_map(entries: Any, type_: pa.DataType, path: str) -> list[dict[str, Any]]:
    if not isinstance(entries, dict):
        raise MalformedResponse(f"{path} is {reprlib.repr(entries)}, not an object")
    return [{"key": name, "value": _conform(value, type_, f"{path}.{name}")[0]} for name, value in entries.items()]


def _text(unnamed: dict[str, Any]) -> str:
    try:
        return orjson.dumps(masked_members(unnamed), option=orjson.OPT_SORT_KEYS).decode()
    except (orjson.JSONEncodeError, RecursionError) as error:
        # orjson reads 1024 levels, and writes 254.
        names = ", ".join(map(reprlib.repr, unnamed))
        raise MalformedResponse(
            f"a member that the catalog does not name nests too deep to be kept: {names}"
        ) from error


def _conform_structure(value: Any, type_: pa.StructType, path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    if not isinstance(value, dict):
        raise MalformedResponse(f"{path} is {reprlib.repr(value)}, not an object")
    named = {field.name for field in type_} - {UNMODELLED}
    conformed: dict[str, Any] = {}
    unnamed = {name: member for name, member in value.items() if name not in named}
    for name in named & value.keys():
        place, field, member = f"{path}.{name}".removeprefix("."), type_.field(name), value[name]
        if field.metadata and isinstance(member, str):
            member = _seconds(member, place)
        conformed[name], inner = _conform(member, field.type, place)
        if inner:
            unnamed[name] = inner
    return conformed, unnamed


def _seconds(text: str, path: str) -> float:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedResponse(f"{path} is {reprlib.repr(text)}, not a timestamp") from error
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
