"""What the readers of documents share: types with descriptions, and members of the expected kind, or an error."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import orjson
import pyarrow as pa

Object = dict[str, Any]
_Kind = TypeVar("_Kind", str, int, Object, list[Any])

Field = tuple[pa.DataType, str]


def _scalar(type_: pa.DataType, description: str) -> Field:
    return type_, description


text_field, integer_field, boolean_field = (partial(_scalar, type_) for type_ in (pa.string(), pa.int64(), pa.bool_()))


def list_field(description: str, /, **fields: Field) -> Field:
    """A list of structs; `description` is also that of its items."""
    return pa.list_(pa.field("item", struct_of(**fields), metadata={"description": description})), description


def struct_of(**fields: Field) -> pa.StructType:
    """A struct whose fields have their descriptions as metadata."""
    return pa.struct(pa.field(name, type_, metadata={"description": text}) for name, (type_, text) in fields.items())


PARSE_ERROR = text_field("What is wrong with the document, and where; NULL if it could be read.")


class Malformed(Exception):
    """What is wrong with a document, and where."""


def wrong(value: Any, expected: str, *place: str) -> Malformed:
    """The error that `value` at `place` is not what is `expected`."""
    return Malformed(f"{''.join(place)} is {reprlib.repr(value)}, not {expected}")


INT64 = range(-(2**63), 2**63)
_NAMES: dict[type, str] = {str: "a string", int: "a 64-bit integer", dict: "an object", list: "a list"}


def checked(value: Any, kind: type[_Kind], *place: str) -> _Kind:
    """`value`, if it is of `kind`; else an error at `place`, which is joined only then."""
    if type(value) is not kind or (kind is int and value not in INT64):
        raise wrong(value, _NAMES[kind], *place)
    return value


def member_of(parent: Object, name: str, kind: type[_Kind], within: str = "") -> _Kind | None:
    """The member of this name, of `kind`; None if it is missing, or null.

    Raises:
        Malformed: it is of another kind.
    """
    value = parent.get(name)
    return None if value is None else checked(value, kind, within, name)


def required_member(parent: Object, name: str, kind: type[_Kind], within: str = "") -> _Kind:
    """The member of this name, of `kind`.

    Raises:
        Malformed: it is missing, or of another kind.
    """
    value = member_of(parent, name, kind, within)
    if value is None:
        raise Malformed(f"{within}{name} is missing")
    return value


def members_of(parent: Object, kinds: Mapping[str, type[Any]], within: str) -> Object:
    """The members of these names, each of its kind or None."""
    return {name: member_of(parent, name, kind, within) for name, kind in kinds.items()}


def objects_of(items: list[Any] | None, place: str) -> Iterator[tuple[Object, str]]:
    """Each object of a list, and the prefix of its members' places."""
    for index, item in enumerate(items or []):
        yield checked(item, dict, f"{place}[{index}]"), f"{place}[{index}]."


def sorted_texts(value: Any, *place: str) -> list[str]:
    """The strings of a string or a list of strings, sorted, each once."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and set(map(type, value)) <= {str}:
        return sorted(set(value))
    raise wrong(value, "a string or a list of strings", *place)


def unknown_members(parent: Object, known: set[str]) -> Object:
    """The members of other names."""
    return {name: parent[name] for name in parent.keys() - known}


def json_text(value: Object, within: str) -> str | None:
    """`value` as JSON with sorted keys, NULL if it is empty."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else None
    except orjson.JSONEncodeError as error:
        # orjson reads 1024 levels, and writes 254.
        raise Malformed(f"{within.removesuffix('.')} has a member that nests too deep to be kept ({error})") from error
