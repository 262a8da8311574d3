"""Requests that botocore has made once are signed and sent by libcurl from then on, with other parameters.

A call through botocore takes 1.5 to 2 ms of processor time, most of it in its HTTP session and its events; libcurl,
whose signature is the same, takes 0.2 ms. What differs from request to request, or from user to user, is botocore's
still: it serializes parameters, renews credentials, and chooses the endpoint, the proxy and the certificates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.handlers import BUILTIN_HANDLERS
from botocore.httpsession import get_cert_path
from botocore.serialize import create_serializer
from botocore.signers import RequestSigner
from botocore.utils import get_environ_proxies

from ecr_source.aws.sessions import CONNECT_TIMEOUT, READ_TIMEOUT
from ecr_source.catalog.model import operation_model
from ecr_source.catalog.table import Operation
from ecr_source.redaction import redact_always

if TYPE_CHECKING:
    from pycurl import Curl

_SIGNATURE = "v4"
_PROTOCOLS = {"json", "rest-json"}
# Where so many in a row get no answer, something between here and there lets only botocore through.
_UNANSWERED = 3

# The user agent is not signed, because proxies change it; the others count the attempts of one call.
_NOT_SIGNED = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request"}


@dataclass(frozen=True)
class _Request:
    """What is the same in all requests of one operation."""

    url: str
    headers: Mapping[str, str]
    user_agent: str
    signer: RequestSigner
    signing_name: str
    region: str
    proxy: str

    def credentials(self) -> ReadOnlyCredentials:
        """Those of now, renewed where they have to be; no message tells them."""
        signing = self.signer.get_auth_instance(self.signing_name, self.region, _SIGNATURE)
        credentials: ReadOnlyCredentials = signing.credentials
        for secret in credentials[:3]:
            redact_always(secret)
        return credentials


class RepeatedRequests:
    """The requests of one scope that libcurl sends; connections are kept open until `close`.

    `ca_bundle` is the file of the certificates that are trusted. Safe to use from several threads.
    """

    def __init__(self, ca_bundle: str | None = None) -> None:
        self._ca_bundle = ca_bundle or str(get_cert_path(True))
        self._requests: dict[tuple[str, str], _Request] = {}
        self._idle: deque[Curl] = deque()
        self._unanswered = 0

    def remember(
        self,
        service: str,
        request: AWSRequest,
        signing_name: str,
        region_name: str,
        signature_version: str,
        request_signer: RequestSigner,
        operation_name: str,
        **_: object,
    ) -> None:
        """Remembers a request to `service` that botocore is about to sign: a handler of its event `before-sign`."""
        if (service, operation_name) in self._requests or signature_version != _SIGNATURE or _is_answered_here(request):
            return
        url = str(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        self._requests[service, operation_name] = _Request(
            url=url,
            headers={name: value for name, value in headers.items() if name not in _NOT_SIGNED},
            user_agent=headers["user-agent"],
            signer=request_signer,
            signing_name=signing_name,
            region=request.context.get("signing", {}).get("region", region_name),
            proxy=get_environ_proxies(url).get(urlsplit(url).scheme, ""),
        )

    def can_send(self, operation: Operation) -> bool:
        """Whether a request of `operation` was remembered, another one differs in its body only, and gets an answer."""
        name = (operation.service, operation.name)
        return name in self._requests and _is_all_in_the_body(*name) and self._unanswered < _UNANSWERED

    def serialized(self, operation: Operation, parameters: Mapping[str, object]) -> bytes:
        """The body of a request with these parameters.

        Raises:
            ParamValidationError: the service model does not allow them.
        """
        model = operation_model(operation.service, operation.name)
        body: bytes = _serializer(model.service_model.resolved_protocol).serialize_to_request(parameters, model)["body"]
        return body

    def send(self, operation: Operation, body: bytes) -> tuple[int, bytes] | None:
        """The status and the body of the answer; None where there was no whole answer.

        Raises:
            the errors of botocore, where credentials have ended and cannot be renewed.
        """
        import pycurl

        request = self._requests[operation.service, operation.name]
        credentials = request.credentials()
        headers = [f"{name}: {value}" for name, value in request.headers.items()]
        if credentials.token:
            headers.append(f"x-amz-security-token: {credentials.token}")
        curl = self._connection()
        curl.setopt(pycurl.URL, request.url)
        curl.setopt(pycurl.PROXY, request.proxy)
        curl.setopt(pycurl.AWS_SIGV4, f"aws:amz:{request.region}:{request.signing_name}")
        curl.setopt(pycurl.USERNAME, credentials.access_key)
        curl.setopt(pycurl.PASSWORD, credentials.secret_key)
        curl.setopt(pycurl.HTTPHEADER, headers)
        curl.setopt(pycurl.USERAGENT, request.user_agent)
        curl.setopt(pycurl.POSTFIELDS, body)
        try:
            answer = curl.perform_rb()
        except pycurl.error:
            curl.close()
            self._unanswered += 1
            return None
        self._unanswered = 0
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        self._idle.append(curl)
        return status, answer

    def close(self) -> None:
        """Closes the connections on which nothing is under way."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> Curl:
        try:
            return self._idle.pop()
        except IndexError:
            return _opened(self._ca_bundle)


def _opened(ca_bundle: str) -> Curl:
    import pycurl

    curl = pycurl.Curl()
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.CAINFO, ca_bundle)
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.CONNECTTIMEOUT, CONNECT_TIMEOUT)
    curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
    curl.setopt(pycurl.LOW_SPEED_TIME, READ_TIMEOUT)
    curl.setopt(pycurl.NOSIGNAL, 1)  # threads other than the first get no signal
    return curl


@cache
def _is_all_in_the_body(service: str, operation_name: str) -> bool:
    """Whether nothing of the parameters of an operation stands in the URL or the headers."""
    model = operation_model(service, operation_name)
    members = model.input_shape.members.values() if model.input_shape else ()
    return (
        model.http["method"] == "POST"
        and model.service_model.resolved_protocol in _PROTOCOLS
        and not any("location" in member.serialization for member in members)
    )


@cache
def _serializer(protocol: str) -> Any:
    return create_serializer(protocol)


def _is_answered_here(request: AWSRequest) -> bool:
    """Whether something stands in the place of the network, as moto's decorator does."""
    senders = [handler for event, handler, *_ in BUILTIN_HANDLERS if event == "before-send"]
    return any(handler(event_name="before-send", request=request.prepare()) is not None for handler in senders)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
