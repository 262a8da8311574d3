"""One call, or one listing, with retries and errors sorted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from ecr_source.aws.budget import Budget
from ecr_source.aws.decode import decode
from ecr_source.aws.endpoints import endpoint_of
from ecr_source.aws.error_codes import (
    INVALID_CODES,
    LASTING_CODES,
    NOT_RENEWED,
    OF_THE_NETWORK,
    TOKEN_CODES,
    code_of,
    failed_call,
    is_throttled,
    lost_scope,
)
from ecr_source.aws.rate import Rate
from ecr_source.aws.response import BODY, Response, response_of, take_body
from ecr_source.aws.scopes import Connection, Scope
from ecr_source.catalog.model import is_paginated, operation_model, takes
from ecr_source.catalog.request_parameters import filled, put
from ecr_source.catalog.table import OnlyWhere, Operation
from ecr_source.errors import (
    BudgetSpent,
    CallFailed,
    Gone,
    LoopingToken,
    MalformedResponse,
    NotWhole,
    ScopeLost,
    TokenRejected,
)

NAMES_PER_CALL = 100
"""How many repositories DescribeRepositories takes by name."""

# So many calls in a row, each repeated seven times, get no answer from an endpoint that is dead, not slow.
_UNANSWERED = 5


@dataclass
class Usage:
    """What the calls of one operation cost: requests sent, those throttled, those that repeated an earlier one."""

    calls: int = 0
    throttled: int = 0
    retried: int = 0


@dataclass
class Api:
    """Calls the operations of one scope at the rate that the service grants, and counts what they cost.

    libcurl sends the requests that botocore makes. What it gets no clean answer to is asked again through botocore,
    with botocore's retries. Response bodies are decoded into Arrow, not by botocore's parser, which is thirty times
    slower, drops members that its model does not know and turns timestamps into local time. Safe to use from several
    threads.
    """

    connection: Connection
    budget: Budget = field(default_factory=Budget)
    usage: dict[str, Usage] = field(default_factory=dict)
    notes: dict[Operation, str] = field(default_factory=dict)
    _lost: ScopeLost | None = None
    _unanswered: int = 0
    _rates: dict[str, Rate] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name, client in self.connection.clients.items():
            self.connection.libcurl.withhold(client, name)
            service = client.meta.service_model.service_id.hyphenize()
            hooks: dict[str, Callable[..., None]] = {
                f"request-created.{service}": self._before_request,
                f"before-parse.{service}": take_body,
                f"response-received.{service}": self._after_response,
            }
            for event, hook in hooks.items():
                # In the place of those of an Api that was made before: both would count the same call.
                client.meta.events.unregister(event, unique_id=f"ecr-source-{event}")
                client.meta.events.register_first(event, hook, unique_id=f"ecr-source-{event}")

    @property
    def scope(self) -> Scope:
        return self.connection.scope

    @property
    def ended(self) -> BudgetSpent | ScopeLost | None:
        """Why nothing can be asked any more; None while it can."""
        if self._lost is not None:
            return self._lost
        return BudgetSpent("the budget of the run is spent") if self.budget.is_spent else None

    def usage_of(self, operation: Operation) -> Usage:
        """What the calls of `operation` have cost so far."""
        with self._lock:
            return self.usage.setdefault(operation.name, Usage())

    def rate_of(self, operation: Operation) -> Rate:
        """The rate at which `operation` is called."""
        return self._rate(operation.name)

    def can_ask(self, operation: Operation) -> bool:
        """Whether `operation` can tell of the registry of this scope, which need not be the caller's own."""
        return self.connection.is_own_registry or takes(operation, "registryId")

    def call(self, operation: Operation, **parameters: object) -> Response:
        """The response to one call.

        Raises:
            CallFailed: and its subclasses Absent, Denied, Disabled, Gone, after all retries; ScopeLost, for all calls
                that come after it too.
            BudgetSpent: no more calls are allowed.
            MalformedResponse: the response does not have the shape of the service model.
        """
        if self._lost is not None:
            raise self._lost
        client: BaseClient = self.connection.clients[operation.service]
        try:
            if answered := self._by_libcurl(operation, parameters):
                return answered
            answer = getattr(client, xform_name(operation.name))(**parameters)
        except (ClientError, BotoCoreError, *NOT_RENEWED) as error:
            endpoint = endpoint_of(client)
            failed = failed_call(error, operation, parameters, str(self.scope), endpoint)
            raise self._loss(error, operation, endpoint) or failed from error
        if BODY not in answer:  # the status was 200, so that botocore, having retried, raises nothing
            raise CallFailed(
                f"cannot call {operation} in {self.scope}: {answer['Error']['Message']}",
                operation=str(operation),
                error_code=NotWhole.__name__,
            )
        response: Response = answer[BODY]
        return response

    def pages(self, operation: Operation, asked: Mapping[str, object] | None = None) -> Iterator[Response]:
        """The pages of the listing of `operation`, until one has no token; a single one, if it does not page.

        `asked` are request parameters; those with dots are members of structures: `imageId.imageDigest`.

        Raises:
            CallFailed: and its subclasses.
            MalformedResponse: a response does not have the shape of the service model.
            LoopingToken: a token came a second time.
            TokenRejected: the service does not accept a token that it gave out.
        """
        parameters = self._parameters(operation, asked or {})
        paginated = is_paginated(operation)
        if paginated and operation.page_size is not None:
            parameters[operation.limit] = operation.page_size
        seen: Counter[str] = Counter()
        number = 1
        while True:
            response = self._page(operation, number, parameters)
            yield response
            token = response.text(operation.token) if paginated else None
            if not token:
                return
            seen[token] += 1
            if seen[token] > 1:
                raise LoopingToken(
                    f"cannot list {operation} in {self.scope}: page {number} has the {operation.token} of an earlier"
                    " page; run again, and report it to the operator of the endpoint if it persists"
                )
            parameters[operation.sent_token] = token
            number += 1

    def named(self, operation: Operation, names: Sequence[str]) -> Iterator[Response | Gone]:
        """The items of these names, `NAMES_PER_CALL` at most in a response; a `Gone` for each that does not exist.

        The service answers for all names of a call or for none: a call that names one it does not know is halved until
        that name stands alone.

        Raises:
            CallFailed: and its subclasses, but not Gone.
        """
        assert operation.names is not None
        size = NAMES_PER_CALL
        batches = [list(names[start : start + size]) for start in range(0, len(names), size)]
        number = 0
        while batches:
            batch = batches.pop(0)
            try:
                response = self._page(operation, number + 1, self._parameters(operation, {operation.names: batch}))
            except Gone as error:
                if len(batch) == 1:
                    error.resource = batch[0]
                    yield error
                else:
                    half = len(batch) // 2
                    batches[:0] = [batch[:half], batch[half:]]
                continue
            number += 1
            yield response

    def tells(self, where: OnlyWhere) -> bool:
        """Whether the operation of `where` answers with its value at its path.

        Raises:
            CallFailed: and its subclasses.
        """
        member, *inner = where.path.split(".")
        value = next(self.pages(where.operation)).member(member)
        for name in inner:
            value = value.get(name) if isinstance(value, dict) else None
        return bool(value == where.value)

    def decode(self, operation: Operation, responses: Sequence[Response]) -> pa.Table:
        """The responses as one table, a row each, in their order.

        Raises:
            MalformedResponse: a response does not have the shape of the service model.
        """
        model = operation_model(operation.service, operation.name)
        tables: list[pa.Table] = []
        bodies: list[bytes] = []
        for response in responses:
            if isinstance(response.content, bytes):
                bodies.append(response.content)
                continue
            if bodies:
                tables.append(decode(bodies, model))
                bodies = []
            tables.append(response.content)
        return pa.concat_tables([*tables, decode(bodies, model)] if bodies else tables)

    def _parameters(self, operation: Operation, asked: Mapping[str, object]) -> dict[str, Any]:
        parameters: dict[str, Any] = filled(operation.parameters, self.scope.registry_id)
        if operation.preferred and operation not in self.notes:
            parameters |= operation.preferred.parameters
        if takes(operation, "registryId"):
            parameters["registryId"] = self.scope.registry_id
        for name, value in asked.items():
            put(parameters, name, value)
        return parameters

    def _page(self, operation: Operation, number: int, parameters: dict[str, Any]) -> Response:
        try:
            return self.call(operation, **parameters)
        except MalformedResponse as error:
            raise MalformedResponse(f"page {number} of {operation} in {self.scope}: {error}") from error
        except CallFailed as error:
            if operation.sent_token in parameters and error.error_code in TOKEN_CODES:
                raise TokenRejected(
                    f"cannot list {operation} in {self.scope}: the service rejected the {operation.token} of page"
                    f" {number} twice, the second time in a listing started anew; run again later"
                ) from error
            preferred = operation.preferred if error.error_code in INVALID_CODES else None
            if preferred is None or not preferred.parameters.items() <= parameters.items():
                raise
            for name in preferred.parameters:
                del parameters[name]
            response = self.call(operation, **parameters)
            self.notes[operation] = preferred.without
            return response

    def _loss(self, error: Exception, operation: Operation, endpoint: str) -> ScopeLost | None:
        """The loss of the whole scope, if `error` means that; from then on no call is made."""
        is_dead = isinstance(error, OF_THE_NETWORK) and self._count_unanswered() >= _UNANSWERED
        lost = lost_scope(error, operation, str(self.scope), endpoint, is_dead=is_dead)
        with self._lock:
            self._lost = self._lost or lost
            return lost and self._lost

    def _count_unanswered(self) -> int:
        with self._lock:
            self._unanswered += 1
            return self._unanswered

    def _rate(self, operation_name: str) -> Rate:
        if operation_name not in self._rates:
            with self._lock:
                self._rates.setdefault(operation_name, Rate())
        return self._rates[operation_name]

    def _by_libcurl(self, operation: Operation, parameters: Mapping[str, object]) -> Response | None:
        """The response to a request that libcurl sends; None where it has to be botocore's, or got no clean answer.

        Raises:
            ClientError: an error that another attempt does not change.
            BotoCoreError: the service model does not allow the parameters, or there is no such endpoint.
        """
        requests = self.connection.libcurl
        requests.rehearse(self.connection.clients[operation.service], operation, parameters)
        if not requests.can_send(operation):
            return None
        request = requests.serialized(operation, parameters)
        sent_at = self._sending(operation.name)
        answer = requests.send(operation.service, request)
        try:
            if answer is not None:
                response = response_of(*answer, operation_model(operation.service, operation.name))
                self._answered(operation.name, sent_at)
                return response
        except NotWhole:
            self._answered(operation.name, sent_at)
        except ClientError as error:
            self._answered(operation.name, sent_at, refused=is_throttled(error.response))
            if code_of(error) in operation.absent or code_of(error) in LASTING_CODES:
                raise
        with self._lock:
            self.usage[operation.name].retried += 1
        return None

    def _before_request(self, operation_name: str, request: Any, **_: object) -> None:
        is_repeated = request.context.get("retries", {}).get("attempt", 1) > 1
        request.context["ecr_source_sent"] = self._sending(operation_name, is_repeated=is_repeated)

    def _after_response(self, parsed_response: Any, context: Any, event_name: str, **_: object) -> None:
        if parsed_response is not None:
            name, refused = event_name.rpartition(".")[2], is_throttled(parsed_response)
            self._answered(name, context["ecr_source_sent"], refused=refused)

    def _sending(self, operation_name: str, *, is_repeated: bool = False) -> float:
        """Waits until a request may be sent, and counts it; returns when that is."""
        self.budget.take()
        sent_at = self._rate(operation_name).take()
        with self._lock:
            usage = self.usage.setdefault(operation_name, Usage())
            usage.calls += 1
            usage.retried += is_repeated
        return sent_at

    def _answered(self, operation_name: str, sent_at: float, *, refused: bool = False) -> None:
        self._unanswered = 0
        rate = self._rate(operation_name)
        if not refused:
            rate.granted()
            return
        rate.refused(sent_at)
        with self._lock:
            self.usage[operation_name].throttled += 1
