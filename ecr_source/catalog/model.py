"""Types and descriptions of response members, from botocore's service model."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator
from functools import cache

from botocore.configprovider import ConstantProvider
from botocore.exceptions import ProfileNotFound
from botocore.loaders import Loader, create_loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.session import Session

from ecr_source.catalog.table import Operation


def botocore_session(profile: str | None = None) -> Session:
    """A new session that shares what it reads of botocore's data files, 0.1 s of JSON, with all others.

    Its clients verify certificates, whatever the environment says.
    """
    return _prepared(Session(profile=profile))


def _prepared(session: Session) -> Session:
    # An empty AWS_CA_BUNDLE, ca_bundle or REQUESTS_CA_BUNDLE would turn verification off.
    bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True
    session.set_config_variable("ca_bundle", bundle)
    session.register_component("data_loader", _data_loader(session.get_config_variable("data_path")))
    return session


@cache
def shared_session() -> Session:
    """The one to ask what botocore knows; a new one takes 12 ms."""
    try:
        return botocore_session()
    except ProfileNotFound:  # of AWS_PROFILE, which matters to nobody but who calls AWS, and is refused there
        session = Session()
        session.get_component("config_store").set_config_provider("profile", ConstantProvider(None))
        return _prepared(session)


@cache
def _data_loader(data_path: str | None) -> Loader:
    return create_loader(data_path)


@cache
def operation_model(service: str, name: str) -> OperationModel:
    """What botocore knows of an operation, read once: a client reads its own."""
    return _service_model(service).operation_model(name)


@cache
def _service_model(service: str) -> ServiceModel:
    return shared_session().get_service_model(service)


_IAM_PREFIX = {"resourcegroupstaggingapi": "tag"}
# What the operation's documentation asks for instead of an action of its own name.
_IAM_NAME = {"ListImageReferrers": "BatchGetImage"}


def iam_action(operation: Operation) -> str:
    """The IAM action that allows `operation`: `ecr:DescribeRepositories`."""
    prefix = _IAM_PREFIX.get(operation.service, operation.service)
    return f"{prefix}:{_IAM_NAME.get(operation.name, operation.name)}"


def member_shape(operation: Operation, path: str) -> Shape:
    """The shape of a response member by its path from the response: `repositories[].encryptionConfiguration.kmsKey`.

    Raises:
        KeyError: the installed service model has no such member.
    """
    shape: Shape | None = operation_model(operation.service, operation.name).output_shape
    for step in filter(None, path.split(".")):
        name = step.partition("[")[0].partition("{")[0]
        shape = _members(shape).get(name)
        if shape is None:
            raise KeyError(f"{operation} has no response member {path} in the installed botocore")
        if step.endswith("]"):
            shape = getattr(shape, "member", None)
    assert shape is not None
    return shape


def _members(shape: Shape | None) -> dict[str, Shape]:
    """The members of a structure; of a map, one per name that its keys can have, or its entries' key and value."""
    if shape is None or shape.type_name != "map":
        return getattr(shape, "members", {})
    key: Shape = getattr(shape, "key")  # noqa: B009 (the stubs do not know it)
    value: Shape = getattr(shape, "value")  # noqa: B009 (nor this)
    names = enumerated(shape)
    return dict.fromkeys(names, value) if names else {"key": key, "value": value}


def enumerated(shape: Shape) -> list[str]:
    """The names that the keys of a map can have, where the model lists them: such a map is read as a structure."""
    return list(getattr(getattr(shape, "key", None), "enum", []))


def description(shape: Shape) -> str:
    """The first sentence of the model's documentation of `shape`, as plain text."""
    text = html.unescape(re.sub(r"<[^>]+>", "", shape.documentation))
    text = " ".join(text.split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)[0]


def scalar_paths(operation: Operation) -> Iterator[str]:
    """Paths of all scalar members of the response, lists marked by `[]`."""
    output = operation_model(operation.service, operation.name).output_shape
    return _scalar_paths(output, "") if output is not None else iter(())


def _scalar_paths(shape: Shape, path: str) -> Iterator[str]:
    if shape.type_name == "structure" or shape.type_name == "map":
        inside = f"{path}{{}}" if shape.type_name == "map" and not enumerated(shape) else path
        for name, member in _members(shape).items():
            yield from _scalar_paths(member, f"{inside}.{name}" if inside else name)
    elif shape.type_name == "list":
        yield from _scalar_paths(getattr(shape, "member"), f"{path}[]")  # noqa: B009 (untyped attribute)
    else:
        yield path


def takes(operation: Operation, parameter: str) -> bool:
    """Whether `operation` has this request parameter."""
    shape = operation_model(operation.service, operation.name).input_shape
    return shape is not None and parameter in getattr(shape, "members", {})


def is_paginated(operation: Operation) -> bool:
    """Whether the response of `operation` can carry a token for the next page."""
    output = operation_model(operation.service, operation.name).output_shape
    return output is not None and operation.token in getattr(output, "members", {})
