"""One call, or one listing, with retries and errors sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError
from botocore.model import OperationModel

from ecr_source.catalog.model import is_paginated
from ecr_source.catalog.table import Operation
from ecr_source.decode import decode
from ecr_source.errors import (
    CallFailed,
    Denied,
    Disabled,
    Gone,
    LoopingToken,
    MalformedResponse,
    NotWhole,
    TokenRejected,
)
from ecr_source.scopes import Connection, Scope

_BODY = "decodedBody"

_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
_GONE = {"RepositoryNotFoundException", "ImageNotFoundException"}
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
# Connecting has shown that the credentials are good, so a region that does not know them is not enabled.
_DISABLED = {"UnrecognizedClientException", "InvalidClientTokenId"}


@dataclass(frozen=True)
class Page:
    """One response of a listing, as `decode` returns it; `number` counts from 1."""

    number: int
    response: pa.Table


@dataclass
class Usage:
    """What the calls of one operation cost: requests sent, those throttled, those that repeated an earlier one."""

    calls: int = 0
    throttled: int = 0
    retried: int = 0


@dataclass
class Api:
    """Calls the operations of one scope, and counts what they cost.

    Response bodies are decoded into Arrow, not by botocore's parser, which is thirty times slower, drops members that
    its model does not know and turns timestamps into local time. Signing, retries and errors stay botocore's.
    """

    connection: Connection
    usage: dict[str, Usage] = field(default_factory=dict)

    def __post_init__(self) -> None:
        events = self.client.meta.events
        service = self.client.meta.service_model.service_id.hyphenize()
        events.register(f"request-created.{service}", self._count_request)
        events.register(f"before-parse.{service}", _decode, unique_id="ecr-source-decode")
        events.register(f"response-received.{service}", self._count_throttled)

    @property
    def client(self) -> BaseClient:
        return self.connection.client

    @property
    def scope(self) -> Scope:
        return self.connection.scope

    def usage_of(self, operation: Operation) -> Usage:
        """What the calls of `operation` have cost so far."""
        return self.usage.setdefault(operation.name, Usage())

    def call(self, operation: Operation, **parameters: object) -> pa.Table:
        """The decoded response of one call.

        Raises:
            CallFailed: and its subclasses Denied, Disabled, Gone, after all retries.
        """
        try:
            answer = getattr(self.client, xform_name(operation.name))(**parameters)
        except (ClientError, BotoCoreError) as error:
            raise self._sorted(error, operation) from error
        if _BODY not in answer:  # the status was 200, so that botocore, having retried, raises nothing
            raise CallFailed(
                f"cannot call {operation} in {self.scope}: {answer['Error']['Message']}",
                operation=str(operation),
                error_code=NotWhole.__name__,
            )
        return answer[_BODY]

    def pages(self, operation: Operation) -> Iterator[Page]:
        """The pages of the listing of `operation`, until one has no `nextToken`.

        Raises:
            CallFailed: and its subclasses.
            LoopingToken: a token came a second time.
            TokenRejected: the service does not accept a token that it gave out.
        """
        parameters = self._registry()
        if is_paginated(operation) and operation.page_size is not None:
            parameters["maxResults"] = operation.page_size
        seen: Counter[str] = Counter()
        number = 1
        while True:
            response = self._page(operation, number, parameters)
            yield Page(number, response)
            token = response["nextToken"][0].as_py() if "nextToken" in response.column_names else None
            if not token:
                return
            seen[token] += 1
            if seen[token] > 1:
                raise LoopingToken(
                    f"cannot list {operation} in {self.scope}: page {number} has the nextToken of an earlier page;"
                    " run again, and report it to the operator of the endpoint if it persists"
                )
            parameters["nextToken"] = token
            number += 1

    def named(self, operation: Operation, names: Sequence[str]) -> Iterator[Page | Gone]:
        """The items of these names, in pages of `names_per_call` at most; a `Gone` for each name that does not exist.

        The service answers for all names of a call or for none: a call that names one it does not know is halved until
        that name stands alone.

        Raises:
            CallFailed: and its subclasses, but not Gone.
        """
        assert operation.names is not None
        size = operation.names_per_call
        batches = [list(names[start : start + size]) for start in range(0, len(names), size)]
        number = 0
        while batches:
            batch = batches.pop(0)
            try:
                response = self._page(operation, number + 1, {**self._registry(), operation.names: batch})
            except Gone as error:
                if len(batch) == 1:
                    error.resource = batch[0]
                    yield error
                else:
                    half = len(batch) // 2
                    batches[:0] = [batch[:half], batch[half:]]
                continue
            number += 1
            yield Page(number, response)

    def _registry(self) -> dict[str, object]:
        return {"registryId": self.scope.registry_id}

    def _page(self, operation: Operation, number: int, parameters: dict[str, object]) -> pa.Table:
        try:
            return self.call(operation, **parameters)
        except MalformedResponse as error:
            raise MalformedResponse(f"page {number} of {operation} in {self.scope}: {error}") from error
        except CallFailed as error:
            if "nextToken" in parameters and error.error_code == "InvalidParameterException":
                raise TokenRejected(
                    f"cannot list {operation} in {self.scope}: the service rejected the nextToken of page {number}"
                    " twice, the second time in a listing started anew; run again later"
                ) from error
            raise

    def _sorted(self, error: ClientError | BotoCoreError, operation: Operation) -> CallFailed:
        where = f"cannot call {operation} in {self.scope}"
        if not isinstance(error, ClientError):
            return CallFailed(f"{where}: {error}", operation=str(operation), error_code=type(error).__name__)
        code = error.response["Error"].get("Code", "")
        message = error.response["Error"].get("Message", "")
        if code in _DENIED:
            return Denied(
                f"{where}: access denied; allow {operation} in the caller's IAM policy ({message})",
                operation=str(operation),
                error_code=code,
            )
        if code in _DISABLED:
            return Disabled(
                f"{where}: the region is not enabled for the account, or does not accept its session token ({code})",
                operation=str(operation),
                error_code=code,
            )
        if code in _GONE:
            return Gone(f"{where}: {message}", operation=str(operation), error_code=code)
        return CallFailed(f"{where}: {code}: {message}", operation=str(operation), error_code=code)

    def _count_request(self, operation_name: str, request: Any, **_: object) -> None:
        usage = self.usage.setdefault(operation_name, Usage())
        usage.calls += 1
        if request.context.get("retries", {}).get("attempt", 1) > 1:
            usage.retried += 1

    def _count_throttled(self, parsed_response: Any, context: Any, event_name: str, **_: object) -> None:
        if parsed_response is None:
            return
        throttled = parsed_response.get("Error", {}).get("Code") in _THROTTLED
        if throttled or parsed_response["ResponseMetadata"]["HTTPStatusCode"] == 429:
            self.usage.setdefault(event_name.rpartition(".")[2], Usage()).throttled += 1


def _decode(
    operation_model: OperationModel,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: object,
) -> None:
    """Takes the body out of the hands of botocore's parser; a body that is not whole becomes an error to retry.

    botocore retries the codes that it knows: `RequestTimeout` stands for a body that did not arrive whole, and
    `ThrottlingException` for ECR's `ThrottleException`, which is on none of its lists.
    """
    body: bytes = response_dict["body"]
    if response_dict["status_code"] >= 300:
        response_dict["body"] = body.replace(b"ThrottleException", b"ThrottlingException")
        return
    try:
        customized_response_dict[_BODY] = decode(body, operation_model)
        response_dict["body"] = b"{}"
    except NotWhole as error:
        response_dict["status_code"] = 500
        response_dict["body"] = orjson.dumps({"__type": "RequestTimeout", "message": str(error)})
