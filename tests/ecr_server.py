"""An ECR and STS endpoint over HTTP that serves a registry from memory and can be told to misbehave.

Requests are checked against botocore's service model, and what the endpoint was asked is counted. Accounts are told
apart by access key, regions by the signature's scope, as AWS does.
"""

from __future__ import annotations

import argparse
import base64
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs

import botocore.session
import orjson

ACCOUNT = "123456789012"
ACCESS_KEY = "AKIATESTTESTTESTTEST"
DESCRIBE_REPOSITORIES = "DescribeRepositories"

_MODEL = botocore.session.get_session().get_service_model("ecr")
_TARGET_PREFIX = _MODEL.metadata["targetPrefix"]
_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")

Item = dict[str, Any]
Delivery = Literal["whole", "reset", "cut"]


@dataclass(frozen=True)
class Answer:
    """What goes over the wire: `cut` promises more bytes than it sends, `reset` drops the connection instead."""

    status: int = 200
    body: bytes = b"{}"
    delivery: Delivery = "whole"


class AnswerError(Exception):
    """An AWS error answer."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.answer = error(code, message, status)


def error(code: str, message: str = "", status: int = 400) -> Answer:
    """AWS's error answer of the JSON protocol."""
    return Answer(status, orjson.dumps({"__type": code, "message": message or f"{code} of the test server"}))


THROTTLED = error("ThrottlingException", "Rate exceeded")
DENIED = error(
    "AccessDeniedException",
    f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: ecr:DescribeRepositories",
)
BROKEN = error("ServerException", "internal", 500)
RESET = Answer(delivery="reset")
CUT = Answer(body=b'{"repositories": [{"repos', delivery="cut")
TRUNCATED = Answer(body=b'{"repositories": [{"repos')
HTML = Answer(body=b"<html><body>Welcome to the captive portal</body></html>")


@dataclass
class Fault:
    """Answers matching calls with `answer`, `times` times, after letting `after` of them through."""

    answer: Answer
    times: float
    after: int
    operation: str
    region: str | None

    def takes(self, operation: str, region: str) -> bool:
        if operation != self.operation or self.region not in (None, region) or self.times <= 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Bucket:
    """A token bucket: `rate` calls a second, `burst` at once."""

    rate: float
    burst: float
    tokens: float = 0
    filled_at: float = field(default_factory=time.monotonic)

    def grants(self) -> bool:
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass
class Registry:
    """The repositories of one account and region, as they go over the wire."""

    account: str
    region: str
    repositories: dict[str, Item] = field(default_factory=dict)

    def put(self, name: str, created_at: float = 1_700_000_000.25, **members: Any) -> Item:
        """Creates or replaces a repository; `members` as in the API, None leaves one out."""
        item = {
            "registryId": self.account,
            "repositoryName": name,
            "repositoryArn": f"arn:aws:ecr:{self.region}:{self.account}:repository/{name}",
            "repositoryUri": f"{self.account}.dkr.ecr.{self.region}.amazonaws.com/{name}",
            "createdAt": created_at,
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": False},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        } | members
        self.repositories[name] = {member: value for member, value in item.items() if value is not None}
        return self.repositories[name]

    def fill(self, count: int) -> None:
        """Puts `count` repositories with mixed settings."""
        for number in range(count):
            exclusion = {"filterType": "WILDCARD", "filter": f"dev-{number % 7}*"}
            self.put(
                f"team-{number % 97}/service-{number:07}",
                1_600_000_000 + number * 0.001,
                imageTagMutability=("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION")[number % 3],
                imageTagMutabilityExclusionFilters=[exclusion] if number % 3 == 2 else None,
                encryptionConfiguration={"encryptionType": "KMS", "kmsKey": f"arn:aws:kms:key/{number % 11}"},
            )


class EcrServer:
    """The endpoint: registries to fill, faults to set, calls to count."""

    def __init__(self) -> None:
        self.accounts = {ACCESS_KEY: ACCOUNT}
        self.expired_keys: set[str] = set()
        self.disabled_regions: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, str, Item]] = []
        self.faults: list[Fault] = []
        self.buckets: dict[tuple[str, str], Bucket] = {}
        self.throttle: tuple[float, float] | None = None
        self.delay = 0.0
        self.page_size: int | None = None
        self.empty_pages = False
        self.repeat_last_item = False
        self.loop_token = False
        self.shuffle: random.Random | None = None
        self.before_answer: Callable[[str, int], None] = lambda operation, call: None
        self.operations: dict[str, Callable[[Registry, Item], Item]] = {
            DESCRIBE_REPOSITORIES: self._describe_repositories
        }
        self.model = _MODEL
        self.answers: dict[bytes, Answer] | None = None
        self._registries: dict[tuple[str, str], Registry] = {}
        self._lock = threading.Lock()
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.ecr = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def registry(self, region: str = "eu-west-1", account: str = ACCOUNT) -> Registry:
        return self._registries.setdefault((account, region), Registry(account, region))

    def fail(
        self,
        answer: Answer,
        *,
        times: float = float("inf"),
        after: int = 0,
        operation: str = DESCRIBE_REPOSITORIES,
        region: str | None = None,
    ) -> None:
        """From now on answers calls of `operation` with `answer`."""
        self.faults.append(Fault(answer, times, after, operation, region))

    def recover(self) -> None:
        """Ends all faults."""
        self.faults.clear()

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, service: str, operation: str, region: str, access_key: str, parameters: Item) -> Answer:
        with self._lock:
            self.calls[operation] += 1
            self.requests.append((operation, region, parameters))
            self.before_answer(operation, self.calls[operation])
            refused = self._refusal(service, operation, region, access_key)
            if refused:
                return refused
            if service == "sts":
                return _caller_identity(self.accounts[access_key])
            request = orjson.dumps([operation, region, access_key, parameters])
            if self.answers is not None and request in self.answers:
                return self.answers[request]
            answer = self._answer(operation, region, access_key, parameters)
            if self.answers is not None:
                self.answers[request] = answer
            return answer

    def _refusal(self, service: str, operation: str, region: str, access_key: str) -> Answer | None:
        unknown = access_key not in self.accounts or region in self.disabled_regions
        if service == "sts" and unknown:
            return _sts_error("InvalidClientTokenId", "The security token included in the request is invalid.")
        if service == "sts" and access_key in self.expired_keys:
            return _sts_error("ExpiredToken", "The security token included in the request is expired")
        if unknown:
            return error("UnrecognizedClientException", "The security token included in the request is invalid.")
        if access_key in self.expired_keys:
            return error("ExpiredTokenException", "The security token included in the request is expired")
        for fault in self.faults:
            if fault.takes(operation, region):
                return fault.answer
        if self.throttle and service == "ecr":
            rate, burst = self.throttle
            if not self.buckets.setdefault((operation, region), Bucket(rate, burst, burst)).grants():
                return THROTTLED
        return None

    def _answer(self, operation: str, region: str, access_key: str, parameters: Item) -> Answer:
        if operation not in self.operations:
            return error("UnknownOperationException", f"{operation} is not served")
        account = parameters.get("registryId", self.accounts[access_key])
        try:
            check_request(self.model.operation_model(operation).input_shape, parameters)
            return Answer(body=orjson.dumps(self.operations[operation](self.registry(region, account), parameters)))
        except AnswerError as failure:
            return failure.answer

    def _describe_repositories(self, registry: Registry, parameters: Item) -> Item:
        names = parameters.get("repositoryNames")
        if names is None:
            return self.page("repositories", list(registry.repositories.values()), parameters)
        if "maxResults" in parameters or "nextToken" in parameters:
            raise AnswerError("InvalidParameterException", "repositoryNames excludes maxResults and nextToken")
        for name in names:
            if name not in registry.repositories:
                raise AnswerError(
                    "RepositoryNotFoundException",
                    f"The repository with name '{name}' does not exist in the registry with id '{registry.account}'",
                )
        return {"repositories": [registry.repositories[name] for name in names]}

    def page(self, member: str, items: list[Item], parameters: Item) -> Item:
        """One page of `items`: the token holds where the next one starts."""
        start = _read_token(parameters["nextToken"]) if "nextToken" in parameters else 0
        if self.empty_pages and start >= 0:
            return {member: [], "nextToken": _token(-start - 1)}
        start = -start - 1 if start < 0 else start
        size = self.page_size or parameters.get("maxResults", 100)
        page = items[start : start + size]
        if self.repeat_last_item and start:
            page = [*items[start - 1 : start], *page]
        if self.shuffle:
            page = [_shuffled(item, self.shuffle) for item in self.shuffle.sample(page, len(page))]
        if self.loop_token:
            return {member: page, "nextToken": _token(0)}
        return {member: page} | ({"nextToken": _token(start + size)} if start + size < len(items) else {})


def check_request(shape: Any, value: Any, path: str = "") -> None:
    """Answers what the model does not allow as AWS does: InvalidParameterException with the reason."""
    if shape.type_name == "structure":
        for member, inner in value.items():
            if member not in shape.members:
                raise AnswerError("InvalidParameterException", f"Unknown parameter {path}{member}")
            check_request(shape.members[member], inner, f"{path}{member}.")
        return
    size = value if shape.type_name in ("integer", "long") else len(value)
    for bound, broken in (
        ("min", size < shape.metadata.get("min", size)),
        ("max", size > shape.metadata.get("max", size)),
    ):
        if broken:
            raise AnswerError(
                "InvalidParameterException",
                f"Invalid parameter at '{path.rstrip('.')}' failed to satisfy constraint: {bound}",
            )
    if shape.type_name == "list":
        for inner in value:
            check_request(shape.member, inner, path)


def _shuffled(item: Item, order: random.Random) -> Item:
    return {
        member: order.sample(value, len(value)) if isinstance(value, list) else value for member, value in item.items()
    }


def _token(start: int) -> str:
    return base64.b64encode(f"start={start}".encode()).decode()


def _read_token(token: str) -> int:
    return int(base64.b64decode(token).decode().removeprefix("start="))


def _caller_identity(account: str) -> Answer:
    return Answer(
        body=(
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            f"<Arn>arn:aws:iam::{account}:user/reader</Arn><UserId>AIDA</UserId><Account>{account}</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>"
        ).encode()
    )


def _sts_error(code: str, message: str) -> Answer:
    detail = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(403, f"<ErrorResponse>{detail}</ErrorResponse>".encode())


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    ecr: EcrServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        scope = _SCOPE.search(self.headers.get("Authorization", ""))
        if scope is None:
            return self._send(error("MissingAuthenticationTokenException", "Missing Authentication Token"))
        target = self.headers.get("X-Amz-Target", "")
        if target:
            operation, parameters = target.removeprefix(f"{_TARGET_PREFIX}."), orjson.loads(body)
        else:
            operation, parameters = parse_qs(body.decode())["Action"][0], {}
        ecr = self.server.ecr
        if ecr.delay:
            time.sleep(ecr.delay)
        return self._send(ecr.answer(scope["service"], operation, scope["region"], scope["key"], parameters))

    def _send(self, answer: Answer) -> None:
        if answer.delivery == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer.body) + 100 * (answer.delivery == "cut")))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.delivery == "cut":
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@contextmanager
def serving() -> Iterator[EcrServer]:
    """A started server."""
    server = EcrServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, required=True)
    with serving() as standalone:
        standalone.registry().fill(parser.parse_args().repositories)
        standalone.answers = {}  # nothing changes here, so that an answer can be kept
        print(standalone.url, flush=True)
        threading.Event().wait()
