"""The parameters of a request, as the catalog spells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def filled(value: Any, registry_id: str) -> Any:
    """Parameters that are the same in each request of an operation; `{registry_id}` stands for that of the scope."""
    if isinstance(value, Mapping):
        return {name: filled(inner, registry_id) for name, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, registry_id) for inner in value]
    return value.replace("{registry_id}", registry_id) if isinstance(value, str) else value


def put(parameters: dict[str, Any], path: str, value: object) -> None:
    """Sets a parameter; `imageId.imageDigest` is a member of a structure, `imageIds[].imageDigest` one of each
    structure of a list."""
    name, _, inner = path.partition(".")
    if name.endswith("[]") and inner:
        assert isinstance(value, list)
        parameters[name.removesuffix("[]")] = [{inner: one} for one in value]
    elif inner:
        put(parameters.setdefault(name, {}), inner, value)
    else:
        parameters[name.removesuffix("[]")] = value
