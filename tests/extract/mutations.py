"""Responses as they should not be: one body of bytes becomes another, by dice that a seed decides."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

Tree: TypeAlias = Any
"""JSON in which an object is an `Object`, a text that is rendered as it stands a `Raw`."""

# Bodies of this size are decoded in another way than smaller ones.
LARGE = 20_000


class Object(list[tuple[str, Tree]]):
    """A JSON object as its members in order: names can repeat."""


@dataclass(frozen=True)
class Raw:
    """Bytes that stand in the body as they are."""

    text: bytes


@dataclass(frozen=True)
class Mutation:
    """A mutated body, and in words what was done to it."""

    body: bytes
    changes: tuple[str, ...]


def _nested(opening: bytes, depth: int, closing: bytes) -> Raw:
    return Raw(opening * depth + closing * depth)


VALUES: dict[str, Tree] = {
    "null": None,
    "true": True,
    "zero": 0,
    "minus zero": Raw(b"-0"),
    "a negative number": -7,
    "a float": 1.5,
    "an exponent": Raw(b"1E+2"),
    "1e400": Raw(b"1e400"),
    "a small float": Raw(b"1e-400"),
    "NaN": Raw(b"NaN"),
    "-Infinity": Raw(b"-Infinity"),
    "the largest 64-bit integer": 2**63 - 1,
    "2**63": 2**63,
    "-2**63-1": -(2**63) - 1,
    "2**64+1": 2**64 + 1,
    "a leading zero": Raw(b"007"),
    "a number as text": "42",
    "empty text": "",
    "text": "a text",
    "a quote, SQL and markup": "'\"; DROP TABLE images; --<b>%s{}",
    "a NUL": Raw(rb'"a\u0000b"'),
    "a bare NUL": Raw(b'"a\x00b"'),
    "a bare line break": Raw(b'"a\nb"'),
    "control characters": "\x1b[31m\r\n\tred\x7f\u2028",
    "a lone surrogate": Raw(rb'"a\ud800b"'),
    "surrogates in the wrong order": Raw(rb'"\udc00\ud800"'),
    "a surrogate pair": Raw(rb'"\ud83d\ude00"'),
    "non-minimal escapes": Raw(rb'"\u0061\/\u0041"'),
    "a wrong escape": Raw(rb'"\x41"'),
    "bytes that are no UTF-8": Raw(b'"a\xff\xc0\xafb"'),
    "a surrogate in UTF-8": Raw(b'"\xed\xa0\x80"'),
    "a megabyte of text": "x" * 1_000_000,
    "an empty list": [],
    "a list of null": [None],
    "a list of text": ["a", "b"],
    "an empty object": Object(),
    "an object with an empty name": Object([("", 1)]),
    "a list of objects": [Object(), Object([("name", "x")])],
    "200 lists": _nested(b"[", 200, b"]"),
    "300 objects": Raw(b'{"a":' * 300 + b"1" + b"}" * 300),
    "100,000 lists": _nested(b"[", 100_000, b"]"),
    "100,000 objects": Raw(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "a date as text": "2026-11-23T12:00:00.5Z",
    "a date with an offset": "2026-11-23T12:00:00+05:30",
    "a date in words": "Mon, 23 Nov 2026 12:00:00 GMT",
    "a time without a date": "12:30",
    "a name of a day": "Tuesday",
    "a long number as text": "9" * 40,
    "infinity as text": "1e400",
    "not a number as text": "nan",
    "a year 0001 as text": "0001-01-01T00:00:00+14:00",
    "a time before 1970": -1_000_000_000.25,
    "a time before the year 1": -1e11,
    "a time in the year 10000": 253_402_300_800,
    "a time in the year 100000": 3_093_527_980_800,
    "a time in milliseconds": 1_700_000_000_123,
    "a time to the nanosecond": Raw(b"1700000000.123456789"),
    "a time that rounds up": Raw(b"1700000000.9999999"),
}


def mutate(body: bytes, dice: random.Random) -> Mutation:
    """One to three changes to the JSON in `body`, or to its bytes; sometimes it is made large first."""
    tree = json.loads(body, object_pairs_hook=Object)
    changes = [_change_somewhere(tree, dice) for _ in range(dice.choice((0, 1, 1, 1, 1, 2, 3)))]
    mutated = render(tree)
    if dice.random() < 0.4:
        mutated = mutated[:1] + b" " * LARGE + mutated[1:]
        changes.append("made large")
    if not changes or dice.random() < 0.15:
        name = dice.choice(list(_OF_BYTES))
        mutated = _OF_BYTES[name](mutated, dice)
        changes.append(name)
    return Mutation(mutated, tuple(changes))


def render(tree: Tree) -> bytes:
    """The bytes of `tree`."""
    if isinstance(tree, Raw):
        return tree.text
    if isinstance(tree, Object):
        return b"{%s}" % b",".join(b"%s:%s" % (render(name), render(value)) for name, value in tree)
    if isinstance(tree, list):
        return b"[%s]" % b",".join(map(render, tree))
    return json.dumps(tree, ensure_ascii=False).encode()


# --- changes to the JSON


def _places(tree: Tree, path: str = "") -> Iterator[tuple[str, list[Any], int]]:
    """Every member and item: its path, the object or list that it is in, and its position there."""
    if isinstance(tree, Object):
        for position, (name, value) in enumerate(tree):
            yield f"{path}.{name}", tree, position
            yield from _places(value, f"{path}.{name}")
    elif isinstance(tree, list):
        for position, value in enumerate(tree):
            yield f"{path}[{position}]", tree, position
            yield from _places(value, f"{path}[{position}]")


def _change_somewhere(tree: Tree, dice: random.Random) -> str:
    places = list(_places(tree))
    if not places:
        tree.append(("x", 1))
        return "added .x"
    path, parent, position = dice.choice(places)
    name = dice.choice(["replaced"] * 6 + list(_OF_PLACES))
    return f"{_OF_PLACES[name](parent, position, dice)} {path.lstrip('.')}"


def _value(parent: list[Any], position: int) -> Tree:
    return parent[position][1] if isinstance(parent, Object) else parent[position]


def _put(parent: list[Any], position: int, value: Tree) -> None:
    parent[position] = (parent[position][0], value) if isinstance(parent, Object) else value


def _replaced(parent: list[Any], position: int, dice: random.Random) -> str:
    name = dice.choice(list(VALUES))
    _put(parent, position, VALUES[name])
    return f"{name} for"


def _removed(parent: list[Any], position: int, dice: random.Random) -> str:
    del parent[position]
    return "removed"


def _doubled(parent: list[Any], position: int, dice: random.Random) -> str:
    """The same item or member once more; a member with another value, before or after the right one."""
    if not isinstance(parent, Object):
        parent.insert(dice.randrange(len(parent) + 1), parent[position])
        return "doubled"
    name = dice.choice(list(VALUES))
    parent.insert(position + dice.randrange(2), (parent[position][0], VALUES[name]))
    return f"doubled, with {name},"


def _renamed(parent: list[Any], position: int, dice: random.Random) -> str:
    if not isinstance(parent, Object):
        return _removed(parent, position, dice)
    name = dice.choice(["", "unmodelled", parent[position][0].upper(), "\x00", "a.b", "é" * 300])
    parent[position] = (name, parent[position][1])
    return f"named {name[:12]!r}:"


def _unnamed(parent: list[Any], position: int, dice: random.Random) -> str:
    """A member that no model has."""
    if not isinstance(parent, Object):
        return _doubled(parent, position, dice)
    name = dice.choice(list(VALUES))
    parent.insert(position, (dice.choice(["ofTomorrow", "", "unmodelled"]), VALUES[name]))
    return f"{name} in an unknown member beside"


def _swapped(parent: list[Any], position: int, dice: random.Random) -> str:
    other = dice.randrange(len(parent))
    values = _value(parent, position), _value(parent, other)
    _put(parent, position, values[1])
    _put(parent, other, values[0])
    return f"swapped with position {other}:"


def _wrapped(parent: list[Any], position: int, dice: random.Random) -> str:
    value = _value(parent, position)
    _put(parent, position, dice.choice([[value], Object([("value", value)])]))
    return "wrapped"


def _changed_inside(parent: list[Any], position: int, dice: random.Random) -> str:
    """A change to the document that a text holds."""
    value = _value(parent, position)
    if not isinstance(value, str) or not value.startswith("{"):
        return _replaced(parent, position, dice)
    try:
        document = json.loads(value, object_pairs_hook=Object)
    except ValueError:
        return _replaced(parent, position, dice)
    change = _change_somewhere(document, dice)
    _put(parent, position, render(document).decode(errors="replace"))
    return f"({change}) inside of"


_OF_PLACES: dict[str, Callable[[list[Any], int, random.Random], str]] = {
    "replaced": _replaced,
    "removed": _removed,
    "doubled": _doubled,
    "renamed": _renamed,
    "unnamed": _unnamed,
    "swapped": _swapped,
    "wrapped": _wrapped,
    "inside": _changed_inside,
}


# --- changes to the bytes


def _without_some(body: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(body))
    return body[:start] + body[start + dice.randrange(1, 9) :]


def _with_some(body: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(body) + 1)
    return body[:start] + dice.choice([b"\x00", b"\xff", b'"', b"{", b"]", b",", b"\\", b"/*x*/"]) + body[start:]


def _with_another(body: bytes, dice: random.Random) -> bytes:
    position = dice.randrange(len(body))
    return body[:position] + bytes([dice.randrange(256)]) + body[position + 1 :]


_WHOLE = (
    b"",
    b"null",
    b"[]",
    b"5",
    b'"text"',
    b"{}",
    b"true",
    b"{" * 100_000,
    b"[" * 100_000,
    b"<html></html>",
    b"\x00",
)
_AFTER = (b"x", b" null", b"{}", b"\n{}", b"}", b"\x00", b" 5", b"]", b"\n[]")

_OF_BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated": lambda body, dice: body[: dice.randrange(len(body))],
    "some bytes removed": _without_some,
    "a byte inserted": _with_some,
    "a byte changed": _with_another,
    "something after the end": lambda body, dice: body + dice.choice(_AFTER),
    "a byte order mark": lambda body, dice: b"\xef\xbb\xbf" + body,
    "UTF-16": lambda body, dice: body.decode(errors="replace").encode("utf-16"),
    "another body": lambda body, dice: dice.choice(_WHOLE),
    "another body, large": lambda body, dice: b" " * LARGE + dice.choice(_WHOLE),
    "twice": lambda body, dice: body + dice.choice([b"", b"\n"]) + body,
}
