"""Calls off the wire and answers onto it, in the protocols of the services: JSON, REST-JSON, query and EC2's query.

What the query protocols call their members, and how these are nested, is taken from botocore's service models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

import botocore.session
import orjson
from botocore.model import OperationModel, ServiceModel

from tests.server.answers import Answer, ErrorAnswer
from tests.server.http_endpoint import Request
from tests.server.registry import Item

Protocol = Literal["json", "rest-json", "query", "ec2"]

# By signing name; boto3 chooses the first of a service's protocols that it can speak.
PROTOCOLS: dict[str, Protocol] = {
    "account": "rest-json",
    "ec2": "ec2",
    "ecr": "json",
    "ecr-public": "json",
    "ecs": "json",
    "inspector2": "rest-json",
    "lambda": "rest-json",
    "organizations": "json",
    "sso": "rest-json",
    "sts": "query",
    "tagging": "json",
}
_BOTOCORE_NAMES = {"tagging": "resourcegroupstaggingapi"}  # where the signing name is another one
_SCOPE = re.compile(rb"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
# Services whose calls are known by the operation alone: no two of their operations share a name.
_PLAINLY_NAMED = ("ecr", "ecs", "inspector2", "lambda", "tagging")
_PLAIN_NAMES = ("GetCallerIdentity",)

# Errors that a service calls by another code, or sends with another status, than the services of ECR do.
_OWN_ERRORS: dict[tuple[str, str], tuple[str, int]] = {
    ("account", "AccessDeniedException"): ("AccessDeniedException", 403),
    ("account", "ExpiredTokenException"): ("ExpiredTokenException", 403),
    ("account", "ServerException"): ("InternalServerException", 500),
    ("account", "ThrottlingException"): ("TooManyRequestsException", 429),
    ("account", "UnrecognizedClientException"): ("UnrecognizedClientException", 403),
    ("ec2", "AccessDeniedException"): ("UnauthorizedOperation", 403),
    ("ec2", "ExpiredTokenException"): ("RequestExpired", 400),
    ("ec2", "ServerException"): ("InternalError", 500),
    ("ec2", "ThrottlingException"): ("RequestLimitExceeded", 503),
    ("ec2", "UnrecognizedClientException"): ("AuthFailure", 401),
    ("organizations", "ServerException"): ("ServiceException", 500),
    ("organizations", "ThrottlingException"): ("TooManyRequestsException", 400),
    ("sts", "AccessDeniedException"): ("AccessDenied", 403),
    ("sts", "ExpiredTokenException"): ("ExpiredToken", 403),
    ("sts", "ServerException"): ("InternalFailure", 500),
    ("sts", "ThrottlingException"): ("Throttling", 400),
    ("sts", "UnrecognizedClientException"): ("InvalidClientTokenId", 403),
}


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of the service with that signing name."""
    return botocore.session.get_session().get_service_model(_BOTOCORE_NAMES.get(service, service))


@dataclass(frozen=True)
class Call:
    """What is asked for and by whom: service and region are those of the signature.

    A call that carries another proof of who asks is not signed: it has neither a region nor an access key.
    """

    service: str
    operation: str
    region: str
    access_key: str
    session_token: str | None
    parameters: Item

    @property
    def name(self) -> str:
        """How the server knows the operation: "DescribeImages", "ecr-public:DescribeImages"."""
        if self.service in _PLAINLY_NAMED or self.operation in _PLAIN_NAMES:
            return self.operation
        return f"{self.service}:{self.operation}"


def read_call(request: Request) -> Call | None:
    """The call that a request makes; None when nothing in it says who asks."""
    scope = _SCOPE.search(request.headers.get(b"authorization", b""))
    if scope is None:
        return _unsigned_call(request)
    access_key, region, service = (part.decode() for part in scope.groups())
    token = request.headers.get(b"x-amz-security-token")
    operation, parameters = _asked(request, service)
    return Call(service, operation, region, access_key, token.decode() if token else None, parameters)


def _unsigned_call(request: Request) -> Call | None:
    path, _, query = request.path.partition("?")
    bearer = request.headers.get(b"x-amz-sso_bearer_token")
    if bearer is not None:
        asked = dict(parse_qsl(query))
        parameters = {"roleName": asked["role_name"], "accountId": asked["account_id"], "accessToken": bearer.decode()}
        return Call("sso", _operation_at("sso", request.method, path), "", "", None, parameters)
    fields = dict(parse_qsl(request.body.decode()))
    if fields.get("Action") == "AssumeRoleWithWebIdentity":
        return Call("sts", fields["Action"], "", "", None, _query_parameters("sts", fields))
    return None


def _asked(request: Request, service: str) -> tuple[str, Item]:
    """The operation that is asked for and its parameters."""
    if PROTOCOLS.get(service) in ("query", "ec2"):
        fields = dict(parse_qsl(request.body.decode()))
        return fields["Action"], _query_parameters(service, fields)
    target = request.headers.get(b"x-amz-target")
    parameters: Item = orjson.loads(request.body or b"{}")
    if target:
        return target.decode().rpartition(".")[2], parameters
    path, _, query = request.path.partition("?")
    operation = _operation_at(service, request.method, path)
    return operation, parameters | _parameters_in_url(service, operation, path, query)


@cache
def _operation_at(service: str, method: str, path: str) -> str:
    """The operation of a REST service that `path` means, or the path itself."""
    model = service_model(service)
    operations = (model.operation_model(name) for name in model.operation_names)
    same_method = (operation for operation in operations if operation.http["method"] == method)
    return next((one.name for one in same_method if _template(one).fullmatch(path)), path)


def _template(operation: OperationModel) -> re.Pattern[str]:
    """The pattern of the paths of an operation, whose groups are the parameters in them."""
    parts = re.split(r"\{(\w+)\}", operation.http["requestUri"].rstrip("/"))
    names = [f"(?P<{part}>[^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts)]
    return re.compile("".join(names) + "/?")


def _parameters_in_url(service: str, operation: str, path: str, query: str) -> Item:
    model = service_model(service)
    if operation not in model.operation_names or not (shape := model.operation_model(operation).input_shape):
        return {}
    found = _template(model.operation_model(operation)).fullmatch(path)
    in_path = found.groupdict() if found else {}
    fields = dict(parse_qsl(query))
    texts: dict[str, dict[str, str]] = {"uri": in_path, "querystring": fields}
    parameters: Item = {}
    for member, inner in shape.members.items():
        place = texts.get(inner.serialization.get("location", ""), {})
        name = inner.serialization.get("name", member)
        if name in place:
            text = unquote(place[name])
            parameters[member] = int(text) if inner.type_name in ("integer", "long") else text
    return parameters


def _query_parameters(service: str, fields: dict[str, str]) -> Item:
    model = service_model(service)
    if fields["Action"] not in model.operation_names:
        return {}
    shape = model.operation_model(fields["Action"]).input_shape
    parameters: Item = _query_value(shape, fields, "", _query_name(service))
    return parameters


def _query_name(service: str) -> Callable[[str, Any], str]:
    """How a member is named in requests of the service."""
    if PROTOCOLS[service] == "query":
        return lambda member, shape: shape.serialization.get("name", member)
    # EC2 has names of its own, or capitalises those of its answers.
    return lambda member, shape: shape.serialization.get(
        "queryName", (name := shape.serialization.get("name", member))[:1].upper() + name[1:]
    )


def _query_value(shape: Any, fields: dict[str, str], path: str, name_of: Callable[[str, Any], str]) -> Any:
    """What the flat `fields` hold at `path`; what is not of its type stays text."""
    if shape.type_name == "structure":
        paths = {member: f"{path}.{name_of(member, inner)}".lstrip(".") for member, inner in shape.members.items()}
        return {
            member: _query_value(shape.members[member], fields, inner, name_of)
            for member, inner in paths.items()
            if any(name == inner or name.startswith(f"{inner}.") for name in fields)
        }
    if shape.type_name == "list":
        # `Filter.1` of EC2, `PolicyArns.member.1` of the others
        entry = re.compile(rf"{re.escape(path)}(?:\.member)?\.\d+(?=\.|$)")
        entries = dict.fromkeys(found.group() for name in fields if (found := entry.match(name)))
        return [_query_value(shape.member, fields, inner, name_of) for inner in entries]
    text = fields.get(path, "")
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return int(text) if shape.type_name in ("integer", "long") and text.lstrip("-").isdigit() else text


def written(call: Call, answer: Item) -> bytes:
    """The body that gives `answer` in the protocol of the service."""
    if PROTOCOLS[call.service] not in ("query", "ec2"):
        return orjson.dumps(answer)
    model = service_model(call.service)
    members = _xml_members(model.operation_model(call.operation).output_shape, answer)
    if PROTOCOLS[call.service] == "query":
        members = f"<{call.operation}Result>{members}</{call.operation}Result>"
    namespace = model.metadata.get("xmlNamespace", f"http://ec2.amazonaws.com/doc/{model.api_version}/")
    return f'<{call.operation}Response xmlns="{namespace}">{members}</{call.operation}Response>'.encode()


def _xml_members(shape: Any, value: Item) -> str:
    return "".join(
        _xml(shape.members[member].serialization.get("name", member), shape.members[member], inner)
        for member, inner in value.items()
    )


def _xml(name: str, shape: Any, value: Any) -> str:
    if shape.type_name == "structure":
        text = _xml_members(shape, value)
    elif shape.type_name == "list":
        entry = shape.member.serialization.get("name", "member")
        text = "".join(_xml(entry, shape.member, inner) for inner in value)
    elif shape.type_name == "timestamp":
        text = datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    else:
        text = escape(str(value).lower() if isinstance(value, bool) else str(value))
    return f"<{name}>{text}</{name}>"


def spelled(call: Call, answer: ErrorAnswer, user: str, action: str) -> Answer:
    """The error in the words and the protocol of the service that was called."""
    code, status = _OWN_ERRORS.get((call.service, answer.code), (answer.code, answer.status))
    message = answer.message.replace("{user}", user).replace("{action}", action)
    if code == "UnauthorizedOperation":
        message = f"You are not authorized to perform this operation. {message}"
    protocol = PROTOCOLS.get(call.service, "json")
    if protocol == "query":
        detail = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        return Answer(status, f"<ErrorResponse>{detail}</ErrorResponse>".encode())
    if protocol == "ec2":
        detail = f"<Errors><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error></Errors>"
        return Answer(status, f"<Response>{detail}<RequestID>1</RequestID></Response>".encode())
    return Answer(status, orjson.dumps({"__type": code, "message": message}))
