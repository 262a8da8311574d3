"""Requests as botocore makes them, signed and sent by libcurl.

A call through botocore takes 1.5 to 2 ms of processor time, most of it in its HTTP session and its events; libcurl,
whose signature is the same, takes 0.2 ms. What differs from request to request, or from user to user, is botocore's
still: it serializes parameters, renews credentials, and chooses the endpoint, the proxy and the certificates. These it
chooses while it rehearses the first call: it makes the request, and no request is sent.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore import xform_name
from botocore.auth import SIGNED_HEADERS_BLACKLIST
from botocore.awsrequest import AWSRequest, AWSResponse, create_request_object
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
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


@dataclass(frozen=True)
class _Way:
    """What is the same in all requests to one service."""

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


class Libcurl:
    """The requests of one scope that libcurl sends; connections are kept open until `close`.

    `ca_bundle` is the file of the certificates that are trusted. Safe to use from several threads.
    """

    def __init__(self, ca_bundle: str | None = None) -> None:
        self._ca_bundle = ca_bundle or str(get_cert_path(True))
        self._ways: dict[str, _Way | None] = {}  # None: botocore has to send what goes to this service
        self._rehearsing = threading.local()
        self._idle: deque[Curl] = deque()
        self._unanswered = 0

    def withhold(self, client: BaseClient, service: str) -> None:
        """From now on keeps what the client is to rehearse from being sent; others go their way."""
        event, name = "before-call", "ecr-source-before-call"
        # In the place of that of an Api made before, and behind all of botocore's, which add to the request.
        client.meta.events.unregister(event, unique_id=name)
        handler: Callable[..., Any] = partial(self._withheld, service)
        client.meta.events.register_last(event, handler, unique_id=name)

    def rehearse(self, client: BaseClient, operation: Operation, parameters: Mapping[str, object]) -> None:
        """Lets the client make a call with these parameters, which is not sent, where the service's way is not known.

        Raises:
            BotoCoreError: the service model does not allow the parameters, or there is no such endpoint.
        """
        if operation.service in self._ways or not _is_as_all_are(operation.service, operation.name):
            return
        self._rehearsing.is_under_way = True
        try:
            getattr(client, xform_name(operation.name))(**parameters)
        finally:
            self._rehearsing.is_under_way = False

    def can_send(self, operation: Operation) -> bool:
        """Whether requests of `operation` are made as all of the service are, whose way is known, and get an answer."""
        is_as_all_are = _is_as_all_are(operation.service, operation.name)
        return is_as_all_are and self._ways.get(operation.service) is not None and self._unanswered < _UNANSWERED

    def _withheld(
        self,
        service: str,
        params: dict[str, Any],
        request_signer: RequestSigner,
        context: Mapping[str, Any],
        **_: object,
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        """An answer in the place of the service's, to a call that is rehearsed, of which the way is remembered."""
        if not getattr(self._rehearsing, "is_under_way", False):
            return None
        version = context.get("auth_type") or request_signer.signature_version
        is_sent_here = version == _SIGNATURE and not _is_answered_here(create_request_object(params))
        self._ways[service] = _way(params, request_signer, context.get("signing", {})) if is_sent_here else None
        return AWSResponse(params["url"], 200, HTTPHeaders(), None), {}

    def serialized(self, operation: Operation, parameters: Mapping[str, object]) -> Mapping[str, Any]:
        """A request with these parameters as botocore serializes it: its `url_path`, `headers` and `body`.

        Raises:
            ParamValidationError: the service model does not allow them.
        """
        model = operation_model(operation.service, operation.name)
        request: dict[str, Any] = _serializer(model.service_model.resolved_protocol).serialize_to_request(
            parameters, model
        )
        return request

    def send(self, service: str, serialized: Mapping[str, Any]) -> tuple[int, bytes] | None:
        """The status and the body of the answer to a `serialized` request; None where there was no whole answer.

        Raises:
            the errors of botocore, where credentials have ended and cannot be renewed.
        """
        import pycurl

        way = self._ways[service]
        assert way is not None, "can_send is asked first"
        credentials = way.credentials()
        headers = [f"{name}: {value}" for name, value in {**way.headers, **_lower(serialized["headers"])}.items()]
        if credentials.token:
            headers.append(f"x-amz-security-token: {credentials.token}")
        curl = self._connection()
        curl.setopt(pycurl.URL, way.url + _own_path(serialized))
        curl.setopt(pycurl.PROXY, way.proxy)
        curl.setopt(pycurl.AWS_SIGV4, f"aws:amz:{way.region}:{way.signing_name}")
        curl.setopt(pycurl.USERNAME, credentials.access_key)
        curl.setopt(pycurl.PASSWORD, credentials.secret_key)
        curl.setopt(pycurl.HTTPHEADER, headers)
        curl.setopt(pycurl.USERAGENT, way.user_agent)
        curl.setopt(pycurl.POSTFIELDS, serialized["body"])
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


def _way(request: Mapping[str, Any], signer: RequestSigner, signing: Mapping[str, str]) -> _Way:
    """How a `request` that botocore made goes."""
    url = str(request["url"]).removesuffix(_own_path(request))
    headers = _lower(request["headers"])
    return _Way(
        url=url,
        # libcurl signs all that it is given; what others change on the way must not be signed.
        headers={name: value for name, value in headers.items() if name not in SIGNED_HEADERS_BLACKLIST},
        user_agent=headers["user-agent"],
        signer=signer,
        signing_name=signing.get("signing_name", signer.signing_name),
        region=signing.get("region", signer.region_name),
        proxy=get_environ_proxies(url).get(urlsplit(url).scheme, ""),
    )


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _own_path(request: Mapping[str, Any]) -> str:
    """What the operation of a request adds to the URL of the service."""
    return str(request["url_path"]).removesuffix("/")


@cache
def _is_as_all_are(service: str, operation_name: str) -> bool:
    """Whether requests of an operation go where all of the service go, and have all parameters in the body."""
    model = operation_model(service, operation_name)
    members = model.input_shape.members.values() if model.input_shape else ()
    return (
        model.http["method"] == "POST"
        and model.service_model.resolved_protocol in _PROTOCOLS
        and not any("location" in member.serialization for member in members)
        and not (model.endpoint or model.static_context_parameters or model.context_parameters)
        and not (model.operation_context_parameters or model.auth or model.auth_type)
    )


@cache
def _serializer(protocol: str) -> Any:
    return create_serializer(protocol)


def _is_answered_here(request: AWSRequest) -> bool:
    """Whether something stands in the place of the network, as moto's decorator does."""
    senders = [handler for event, handler, *_ in BUILTIN_HANDLERS if event == "before-send"]
    return any(handler(event_name="before-send", request=request.prepare()) is not None for handler in senders)
