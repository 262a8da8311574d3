"""An endpoint of ECR and the services around it that serves registries from memory and can be told to misbehave.

It answers ecr, ecr-public, tagging, inspector2, ecs, lambda, sts, sso, organizations, account and ec2 (DescribeRegions)
over HTTP. Requests are checked against botocore's service models, and what the endpoint was asked is counted. Accounts
are told apart by access key, regions and services by the signature's scope, as AWS does.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

import orjson
from botocore.model import ServiceModel

from tests.server.account_operations import AccountOperation, AccountOperations
from tests.server.accounts import ACCESS_KEY, ACCOUNT, Accounts, Caller
from tests.server.answers import (
    BROKEN,
    CUT,
    DENIED,
    HTML,
    RESET,
    THROTTLED,
    TRUNCATED,
    Answer,
    AnswerError,
    ErrorAnswer,
    error,
)
from tests.server.faults import Bucket, Fault, Storm, cut_short
from tests.server.http_endpoint import HttpServer, Request
from tests.server.inspector import Inspector
from tests.server.organization import Organization
from tests.server.pages import Pages, shuffled
from tests.server.permissions import denial, iam_action
from tests.server.protocols import PROTOCOLS, Call, read_call, service_model, spelled, written
from tests.server.public_operations import PublicOperations
from tests.server.registry import Item, PublicRegistry, Registry, basic_finding, enhanced_finding, package
from tests.server.registry_operations import DESCRIBE_REPOSITORIES, Operation, RegistryOperations
from tests.server.request_check import check_request
from tests.server.workload_operations import WorkloadOperations

__all__ = [
    "ACCESS_KEY",
    "ACCOUNT",
    "BROKEN",
    "CUT",
    "DENIED",
    "DESCRIBE_REPOSITORIES",
    "HTML",
    "RESET",
    "THROTTLED",
    "TRUNCATED",
    "Answer",
    "AnswerError",
    "Bucket",
    "EcrServer",
    "Item",
    "PublicRegistry",
    "Registry",
    "basic_finding",
    "check_request",
    "enhanced_finding",
    "error",
    "package",
    "service_model",
    "serving",
]

PUBLIC_REGION = "us-east-1"
CACHED_BYTES = 600_000_000

# How services call a request that breaks the rules of their model.
_INVALID = {
    "account": "ValidationException",
    "ec2": "InvalidParameterValue",
    "inspector2": "ValidationException",
    "lambda": "InvalidParameterValueException",
    "organizations": "InvalidInputException",
    "sso": "InvalidRequestException",
    "sts": "ValidationError",
}


class EcrServer(Accounts, Pages):
    """The endpoint: registries to fill, accounts to open, faults to set, calls to count.

    `calls`, `operations`, faults and rates know an operation by its name: "DescribeImages" of ecr, ecs, inspector2,
    lambda and tagging, "ecr-public:DescribeImages" of other services; but "GetCallerIdentity".

    `delay` is what every answer takes, `delays` what one of a region takes on top, in seconds. `most_at_once` is the
    largest number of requests that were under way at a time, `most_at_once_in` that of an account and region.
    Inspector tells the account `inspector_administrator` of all accounts, and others of themselves.
    """

    def __init__(self) -> None:
        Accounts.__init__(self)
        Pages.__init__(self)
        self.organization = Organization(self)
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, str, Item]] = []
        self.keep_requests = True
        self.faults: list[Fault] = []
        self.buckets: dict[tuple[str, str, str], Bucket] = {}
        self.rates: dict[str, tuple[float, float]] = {}
        self.throttle: tuple[float, float] | None = None
        self.delay = 0.0
        self.delays: dict[str, float] = {}
        self.most_at_once = 0
        self.most_at_once_in: Counter[tuple[str, str]] = Counter()
        self.before_answer: Callable[[str, int], None] = lambda operation, call: None
        self.inspector_administrator = ""
        self.operations: dict[str, Operation] = {
            **RegistryOperations(self).table(),
            **PublicOperations(self).table(),
            **Inspector(self, self._seen_by_inspector).table(),
            **WorkloadOperations(self).table(),
        }
        self.account_operations: dict[str, AccountOperation] = AccountOperations(self, self.organization, self).table()
        self.model: ServiceModel = service_model("ecr")
        self.answers: dict[bytes, Answer] | None = None
        self._cached_bytes = 0
        self._storms: dict[tuple[str | None, str | None], Storm] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()
        self._registries: dict[tuple[str, str], Registry] = {}
        self._publics: dict[str, PublicRegistry] = {}
        self._lock = threading.RLock()
        self._http = HttpServer(self._respond)

    @property
    def url(self) -> str:
        return self._http.url

    def registry(self, region: str = "eu-west-1", account: str = ACCOUNT) -> Registry:
        """The registry of a region; `public` of all regions of an account is the same one."""
        found = self._registries.get((account, region))
        if found is None:
            public = self._publics.setdefault(account, PublicRegistry(account))
            found = self._registries.setdefault((account, region), Registry(account, region, public=public))
        return found

    def _seen_by_inspector(self, registry: Registry) -> list[Registry]:
        """The registries of its region, where the account is the delegated administrator; else its own."""
        if registry.account != self.inspector_administrator:
            return [registry]
        return [one for (_, region), one in self._registries.items() if region == registry.region]

    def fail(
        self,
        answer: Answer,
        *,
        times: float = float("inf"),
        after: int = 0,
        operation: str = DESCRIBE_REPOSITORIES,
        region: str | None = None,
        repository: str | None = None,
        image: str | None = None,
    ) -> None:
        """From now on answers calls of `operation` (about that repository, that image digest) with `answer`."""
        if operation not in self.operations and operation not in self.account_operations:
            raise ValueError(f"{operation} is not served")
        self.faults.append(Fault(answer, times, after, operation, region, repository, image))

    def storm(
        self,
        share: float,
        answers: Sequence[Answer],
        *,
        seed: int = 0,
        operations: Collection[str] | None = None,
        account: str | None = None,
        region: str | None = None,
    ) -> None:
        """From now on answers each call (of `operations`) with one of `answers`, with probability `share`.

        TRUNCATED and CUT stand for the first half of the answer that the call should get. With an account and a region
        the storm is there only; other places may have storms of their own.
        """
        self._storms[account, region] = Storm(share, answers, seed, operations)

    def struck(self, account: str) -> int:
        """How many calls of the account the storms have met."""
        return sum(storm.struck for (of, _), storm in self._storms.items() if of == account)

    def recover(self) -> None:
        """Ends all faults and storms."""
        self.faults.clear()
        self._storms.clear()

    def set_rate(self, operation: str, rate: float, burst: float) -> None:
        """From now on lets `rate` calls of `operation` a second through, `burst` at once, whatever `throttle` says."""
        self.rates[operation] = (rate, burst)
        for (name, _, _), bucket in list(self.buckets.items()):
            if name == operation:
                bucket.change(rate, burst)

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _respond(self, request: Request) -> Answer:
        call = read_call(request)
        if call is None:
            return error("MissingAuthenticationTokenException", "Missing Authentication Token")
        with self._counted((self.account_of(call.access_key) or "", call.region)):
            delay = self.delay + self.delays.get(call.region, 0)
            if delay:
                time.sleep(delay)
            return self.answer(call)

    @contextmanager
    def _counted(self, scope: tuple[str, str]) -> Iterator[None]:
        with self._lock:
            self._under_way[scope] += 1
            self.most_at_once_in[scope] = max(self.most_at_once_in[scope], self._under_way[scope])
            self.most_at_once = max(self.most_at_once, self._under_way.total())
        try:
            yield
        finally:
            with self._lock:
                self._under_way[scope] -= 1

    def answer(self, call: Call) -> Answer:
        """What the call is answered with, in the protocol of its service."""
        with self._lock:
            self.calls[call.name] += 1
            if self.keep_requests:
                self.requests.append((call.name, call.region, call.parameters))
            self.before_answer(call.name, self.calls[call.name])
            user = ""
            try:
                caller = self.authenticated(call)
                user = caller.arn
                answer = self._weathered(call, caller)
            except AnswerError as failure:
                answer = failure.answer
        return spelled(call, answer, user, iam_action(call)) if isinstance(answer, ErrorAnswer) else answer

    def _weathered(self, call: Call, caller: Caller) -> Answer:
        """What the call is answered with where faults and storms leave it alone, or what they answer."""
        for fault in self.faults:
            if fault.takes(call):
                return fault.answer
        storm = self._storms.get((caller.account, call.region)) or self._storms.get((None, None))
        met = storm.strikes(call, caller.account) if storm else None
        if met in (CUT, TRUNCATED):
            return cut_short(self._granted(call, caller), met)
        return met or self._granted(call, caller)

    def _granted(self, call: Call, caller: Caller) -> Answer:
        """What the call is answered with, if permissions and rates let it through."""
        if caller.account in self.allowed:
            denied = denial(call, caller, self.allowed[caller.account])
            if denied:
                return denied
        limits = self.rates.get(call.name, self.throttle)
        if limits and call.service != "sts":
            rate, burst = limits
            bucket = (call.name, call.region, caller.account)
            if not self.buckets.setdefault(bucket, Bucket(rate, burst, burst)).grants():
                return THROTTLED
        return self._kept(call, caller)

    def _kept(self, call: Call, caller: Caller) -> Answer:
        """The answer, made anew unless it is kept."""
        # Answers about one image are many, and quick to make; those about accounts are not always the same.
        if self.answers is None or "imageId" in call.parameters or call.name in self.account_operations:
            return self._made(call, caller)
        request = orjson.dumps([call.service, call.operation, call.region, caller.account, call.parameters])
        answer = self.answers.get(request) or self._made(call, caller)
        if request not in self.answers and self._cached_bytes < CACHED_BYTES:
            self.answers[request] = answer
            self._cached_bytes += len(answer.body)
        return answer

    def _made(self, call: Call, caller: Caller) -> Answer:
        model = self._model(call.service)
        served = call.name in self.operations or call.name in self.account_operations
        if model is None or not served or call.operation not in model.operation_names:
            return error("UnknownOperationException", f"{call.operation} is not served")
        if call.service == "ecr-public" and call.region != PUBLIC_REGION:
            return error("UnsupportedCommandException", f"ecr-public is not served in {call.region}")
        invalid = _INVALID.get(call.service, "InvalidParameterException")
        try:
            check_request(model.operation_model(call.operation).input_shape, call.parameters, invalid=invalid)
            answered = self._operate(call, caller)
        except AnswerError as failure:
            return failure.answer
        if isinstance(answered, bytes):
            return Answer(body=answered)
        return Answer(body=written(call, shuffled(answered, self.shuffle) if self.shuffle else answered))

    def _operate(self, call: Call, caller: Caller) -> Item | bytes:
        if call.name in self.account_operations:
            return self.account_operations[call.name](caller, call.parameters)
        account = call.parameters.get("registryId", caller.account)
        return self.operations[call.name](self.registry(call.region, account), call.parameters)

    def _model(self, service: str) -> ServiceModel | None:
        if service == "ecr":
            return self.model
        return service_model(service) if service in PROTOCOLS else None


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
    from tests.server.server_command import main

    main()
