"""Requests are checked against botocore's service models, as AWS checks them against its own."""

from __future__ import annotations

from typing import Any

from tests.server.answers import AnswerError

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
}


def check_request(shape: Any, value: Any, path: str = "", invalid: str = "InvalidParameterException") -> None:
    """Answers what the model does not allow as AWS does: InvalidParameterException with the reason."""
    kind = shape.type_name
    if not _is_a(kind, value):
        raise AnswerError("SerializationException", f"'{path.rstrip('.')}' is no {kind}")
    if kind == "structure":
        for member in shape.required_members:
            if member not in value:
                raise AnswerError(invalid, f"Missing parameter {path}{member}")
        for member, inner in value.items():
            if member not in shape.members:
                raise AnswerError(invalid, f"Unknown parameter {path}{member}")
            check_request(shape.members[member], inner, f"{path}{member}.", invalid)
        return
    broken = _broken_constraint(shape, value)
    if broken:
        raise AnswerError(invalid, f"Invalid parameter at '{path.rstrip('.')}' failed to satisfy constraint: {broken}")
    if kind == "list":
        for inner in value:
            check_request(shape.member, inner, path, invalid)


def _is_a(kind: str, value: Any) -> bool:
    return kind not in _PYTHON_TYPES or isinstance(value, _PYTHON_TYPES[kind])


def _broken_constraint(shape: Any, value: Any) -> str | None:
    """The name of the first constraint of the model that `value` does not satisfy."""
    if shape.type_name in ("boolean", "timestamp"):
        return None
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        return "enum"
    size = len(value) if isinstance(value, str | list | dict) else value
    if size < shape.metadata.get("min", size):
        return "min"
    return "max" if size > shape.metadata.get("max", size) else None
