"""The body of a response: taken from botocore's parser, decoded, or kept as bytes where that is cheaper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
from botocore.exceptions import ClientError
from botocore.model import OperationModel
from botocore.parsers import create_parser

from ecr_source.aws.decode import decode, on_arrow_threads, parse
from ecr_source.errors import NotWhole
from ecr_source.redaction import masked_body

BODY = "body"
"""Under this name botocore hands over the `Response` that `take_body` made."""

# Smaller ones are decoded many at a time: Arrow's reader takes as long for one small body as for fifty.
_DECODED_ALONE = 16_000

# What is no error of AWS, such as the page of a proxy, is told from its beginning.
_LONGEST_ERROR = 1_000


@dataclass(frozen=True)
class Response:
    """One response: the decoded row, if it is large, else the body, which is one whole JSON object.

    `texts` are the top-level members of a body that are text, such as the token of the next page.
    """

    content: pa.Table | bytes
    texts: Mapping[str, str] = field(default_factory=dict)

    def member(self, name: str) -> Any:
        """The top-level member of this name as a Python object; None if there is none."""
        if isinstance(self.content, bytes):
            return parse(self.content).get(name)
        return self.content[name][0].as_py() if name in self.content.column_names else None

    def text(self, name: str) -> str | None:
        """The top-level member of this name, where it is text."""
        return self.texts.get(name) if isinstance(self.content, bytes) else self.member(name)

    @property
    def nbytes(self) -> int:
        """How much memory the response takes, about."""
        return len(self.content) if isinstance(self.content, bytes) else int(self.content.nbytes)


def take_body(
    operation_model: OperationModel,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: object,
) -> None:
    """Takes the body out of the hands of botocore's parser; a body that is not whole becomes an error to retry.

    botocore retries the codes that it knows: `RequestTimeout` stands for a body that did not arrive whole.
    """
    body: bytes = response_dict["body"]
    if response_dict["status_code"] >= 300:
        response_dict["body"] = _texts_of_error(body)
        return
    try:
        customized_response_dict[BODY] = _response(body, operation_model)
        response_dict["body"] = b"{}"
    except NotWhole as error:
        response_dict["status_code"] = 500
        response_dict["body"] = orjson.dumps({"__type": "RequestTimeout", "message": str(error)})


def response_of(status: int, body: bytes, operation_model: OperationModel) -> Response:
    """The response that an answer is, which did not come through botocore.

    Raises:
        ClientError: the service answers with an error, which is masked, and whose code is as `take_body` leaves it.
        NotWhole: the body is not one whole JSON object.
    """
    if status < 300:
        return _response(body, operation_model)
    answer = {"status_code": status, "headers": {}, "body": _texts_of_error(masked_body(body))}
    parser: Any = create_parser(operation_model.service_model.resolved_protocol)
    raise ClientError(parser.parse(answer, operation_model.output_shape), operation_model.name)


def _texts_of_error(body: bytes) -> bytes:
    """An error as botocore's parser can read it, which raises anything on others: an object of texts.

    ECR's `ThrottleException` is on none of botocore's lists, `ThrottlingException` is.
    """
    try:
        members = parse(body)
    except NotWhole:
        members = {"message": body[:_LONGEST_ERROR].decode(errors="replace")}
    texts = orjson.dumps({name: value for name, value in members.items() if isinstance(value, str)})
    return texts.replace(b"ThrottleException", b"ThrottlingException")


def _response(body: bytes, operation_model: OperationModel) -> Response:
    if len(body) > _DECODED_ALONE:
        return Response(on_arrow_threads(decode, [body], operation_model))
    members = parse(body)
    return Response(body, {name: value for name, value in members.items() if isinstance(value, str)})
