"""Types and descriptions of response members, from botocore's service model."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import cache

from botocore.loaders import Loader, create_loader
from botocore.model import OperationModel, Shape
from botocore.session import Session

from ecr_source.catalog.table import Operation


def botocore_session(profile: str | None = None) -> Session:
    """A new session that shares what it reads of botocore's data files, 0.1 s of JSON, with all others."""
    session = Session(profile=profile)
    session.register_component("data_loader", _data_loader(session.get_config_variable("data_path")))
    return session


@cache
def _data_loader(data_path: str | None) -> Loader:
    return create_loader(data_path)


@cache
def _operation_model(operation: Operation) -> OperationModel:
    return botocore_session().get_service_model(operation.service).operation_model(operation.name)


def iam_action(operation: Operation) -> str:
    """The IAM action that allows `operation`: `ecr:DescribeRepositories`."""
    return f"{_operation_model(operation).service_model.signing_name}:{operation.name}"


def member_shape(operation: Operation, path: str) -> Shape:
    """The shape of a response member by its path from the response: `repositories[].encryptionConfiguration.kmsKey`.

    Raises:
        KeyError: the installed service model has no such member.
    """
    shape: Shape | None = _operation_model(operation).output_shape
    for step in path.split("."):
        members = getattr(shape, "members", {})
        if step.removesuffix("[]") not in members:
            raise KeyError(f"{operation} has no response member {path} in the installed botocore")
        shape = members[step.removesuffix("[]")]
        if step.endswith("[]"):
            shape = getattr(shape, "member", None)
    assert shape is not None
    return shape


def description(shape: Shape) -> str:
    """The first sentence of the model's documentation of `shape`, as plain text."""
    text = html.unescape(re.sub(r"<[^>]+>", "", shape.documentation))
    text = " ".join(text.split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)[0]


def scalar_paths(operation: Operation) -> Iterator[str]:
    """Paths of all scalar members of the response, lists marked by `[]`."""
    output = _operation_model(operation).output_shape
    return _scalar_paths(output, "") if output is not None else iter(())


def _scalar_paths(shape: Shape, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        for name, member in getattr(shape, "members", {}).items():
            yield from _scalar_paths(member, f"{path}.{name}" if path else name)
    elif shape.type_name == "list":
        yield from _scalar_paths(getattr(shape, "member"), f"{path}[]")  # noqa: B009 (untyped attribute)
    else:
        yield path


def is_paginated(operation: Operation) -> bool:
    """Whether the response of `operation` can carry a `nextToken`."""
    output = _operation_model(operation).output_shape
    return output is not None and "nextToken" in getattr(output, "members", {})
