"""What botocore makes libcurl sends: the same request, to the same place, as safe and as well counted."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from cProfile import Profile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from traceback import format_exception
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.auth import SIGNED_HEADERS_BLACKLIST, SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.model import ListShape, Shape, StringShape, StructureShape
from moto import mock_aws

from ecr_source import catalog
from ecr_source.aws import libcurl
from ecr_source.aws.api import Api
from ecr_source.aws.libcurl import Libcurl
from ecr_source.catalog.model import botocore_session, operation_model
from ecr_source.catalog.table import Operation
from ecr_source.catalog.tables.image import DESCRIBE_IMAGES
from ecr_source.catalog.tables.image_scans import LIST_FINDINGS
from ecr_source.catalog.tables.policy import GET_LIFECYCLE_POLICY
from ecr_source.catalog.tables.repository import DESCRIBE_REPOSITORIES
from ecr_source.errors import Absent, CallFailed, Denied, Gone
from ecr_source.redaction import masked
from tests.aws.connecting import SCOPE, SECRET, TOKEN, Heard, by_botocore, connected, hearing, is_of_botocore
from tests.server.accounts import ACCOUNT
from tests.server.ecr_server import ACCESS_KEY, CUT, HTML, RESET, THROTTLED, Answer, EcrServer, error
from tests.server.http_endpoint import Request


@pytest.fixture
def heard(server: EcrServer) -> Heard:
    for name in ("team/api", "team/web"):
        server.registry().put(name)
    return hearing(server._http)


@pytest.fixture
def api(server: EcrServer, heard: Heard) -> Iterator[Api]:
    """An API that has listed repositories once."""
    api = connected(server.url)
    api.call(DESCRIBE_REPOSITORIES)
    yield api
    api.connection.close()


def test_a_request_is_sent_once_and_botocore_that_makes_it_sends_none(api: Api, heard: Heard) -> None:
    answers = [api.call(DESCRIBE_REPOSITORIES) for _ in range(3)]
    assert [is_of_botocore(request) for request in heard] == [False] * 4
    assert api.usage_of(DESCRIBE_REPOSITORIES).calls == 4
    assert len({answer.content for answer in answers}) == 1
    assert len(answers[0].member("repositories")) == 2


def test_an_operation_goes_the_way_of_another_of_its_service(api: Api, heard: Heard) -> None:
    with pytest.raises(Absent):
        api.call(GET_LIFECYCLE_POLICY, repositoryName="team/api")
    assert [is_of_botocore(request) for request in heard] == [False, False]
    assert heard[-1].headers[b"x-amz-target"].endswith(b".GetLifecyclePolicy")


def test_what_others_ask_of_the_client_is_sent_by_botocore(api: Api, heard: Heard) -> None:
    by_botocore(api)
    assert [is_of_botocore(request) for request in heard] == [False, True]


@pytest.mark.parametrize("operation", [DESCRIBE_IMAGES, LIST_FINDINGS], ids=str)
def test_the_request_is_the_one_that_botocore_makes(server: EcrServer, heard: Heard, operation: Operation) -> None:
    parameters = {"repositoryName": "team/api"} if operation is DESCRIBE_IMAGES else {"maxResults": 10}
    api = connected(server.url)
    getattr(api.connection.clients[operation.service], xform_name(operation.name))(**parameters)
    api.call(operation, **parameters)
    first, second = heard
    assert (is_of_botocore(first), is_of_botocore(second)) == (True, False)
    told = {b"content-type", b"user-agent", b"x-amz-security-token", b"x-amz-target", b"host"}
    assert (first.method, first.path, first.body) == (second.method, second.path, second.body)
    assert {name: first.headers.get(name) for name in told} == {name: second.headers.get(name) for name in told}


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1", "cn-north-1"])
@pytest.mark.parametrize(
    "setting",
    [
        "AWS_USE_FIPS_ENDPOINT=false",
        "AWS_USE_FIPS_ENDPOINT=true",
        "AWS_USE_DUALSTACK_ENDPOINT=true",
        "AWS_ENDPOINT_URL=http://127.0.0.1:9",
        "AWS_ENDPOINT_URL=http://127.0.0.1:9/behind/a/path",
        "AWS_ENDPOINT_URL=http://127.0.0.1:9/behind/a/path/",
        "AWS_LAMBDA_FUNCTION_NAME=reader _X_AMZN_TRACE_ID=Root=1-abc",
    ],
)
def test_every_operation_goes_where_botocore_would_send_it(
    region: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in setting.split():
        name, _, value = one.partition("=")
        monkeypatch.setenv(name, value)
    operations = {one for one in catalog.operations_of(catalog.TABLES) if libcurl._is_as_all_are(one.service, one.name)}
    others = {*catalog.operations_of(catalog.TABLES)} - operations
    assert {str(one) for one in others} == {"lambda:ListFunctions", "lambda:GetFunction"}  # which are no POST
    for service in sorted({one.service for one in operations}):
        client: Any = botocore_session().create_client(service, region)
        requests = Libcurl()
        requests.withhold(client, service)
        of_botocore = kept_from_the_network(client)
        for operation in sorted((one for one in operations if one.service == service), key=str):
            parameters = needed(operation_model(service, operation.name).input_shape)
            requests.rehearse(client, operation, parameters)
            assert requests.can_send(operation)
            way, ours = requests._ways[service], requests.serialized(operation, parameters)
            assert way is not None
            getattr(client, xform_name(operation.name))(**parameters)
            theirs = of_botocore[-1]
            assert (way.url + libcurl._own_path(ours), ours["body"]) == (theirs["url"], theirs["body"])
            assert {**way.headers, **signed(ours["headers"])} == signed(theirs["headers"])
        assert len(of_botocore) == len([one for one in operations if one.service == service])


def test_what_aws_changes_on_the_way_is_not_signed(
    server: EcrServer, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the trace that Lambda tells of: libcurl has no header that it does not sign."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "reader")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-abc")
    api = connected(server.url)
    api.call(DESCRIBE_REPOSITORIES)
    by_botocore(api)
    ours, of_botocore = (request.headers for request in heard)
    assert of_botocore[b"x-amzn-trace-id"] == b"Root=1-abc"
    assert b"x-amzn-trace-id" not in of_botocore[b"authorization"]
    assert b"x-amzn-trace-id" not in {*ours, *ours[b"authorization"].replace(b"=", b";").split(b";")}


def kept_from_the_network(client: Any) -> list[dict[str, Any]]:
    """The requests that botocore will make, and that nobody sends."""
    made: list[dict[str, Any]] = []

    def keep(params: dict[str, Any], **_: object) -> tuple[AWSResponse, dict[str, Any]]:
        made.append(params)
        return AWSResponse(params["url"], 200, HTTPHeaders(), None), {}

    client.meta.events.register_last("before-call", keep)
    return made


def signed(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that botocore would sign: those that nobody changes on the way."""
    return {name.lower(): value for name, value in headers.items() if name.lower() not in SIGNED_HEADERS_BLACKLIST}


def needed(shape: Shape | None) -> Any:
    """The least parameters that the service model allows."""
    if isinstance(shape, StructureShape):
        return {name: needed(shape.members[name]) for name in shape.required_members}
    if isinstance(shape, ListShape):
        return [needed(shape.member)]
    if shape is not None and shape.type_name == "integer":
        return 1
    return (shape.enum or ["a" * 40])[0] if isinstance(shape, StringShape) else {}


@pytest.mark.parametrize("operation", [DESCRIBE_IMAGES, LIST_FINDINGS], ids=str)
@pytest.mark.parametrize("token", ["", TOKEN])
def test_the_signature_is_the_one_that_botocore_makes(
    server: EcrServer, heard: Heard, operation: Operation, token: str
) -> None:
    parameters = {"repositoryName": "team/ä b"} if operation is DESCRIBE_IMAGES else {"nextToken": "ä +/="}
    credentials = Credentials(ACCESS_KEY, SECRET, token or None)
    api = connected(server.url, credentials)
    for _ in range(2):
        with pytest.raises(CallFailed):  # there is no such repository, and no such page
            api.call(operation, **parameters)
    ours = next(request for request in heard if not is_of_botocore(request))
    assert ours.headers[b"authorization"].decode() == signed_by_botocore(ours, server.url, credentials)


def signed_by_botocore(request: Request, url: str, credentials: Credentials) -> str:
    """The header Authorization that botocore gives to a request made at the same time, of the same headers."""
    told = {name.decode(): value.decode() for name, value in request.headers.items()}
    service = told["authorization"].split("/")[3]
    signed = told["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: told[name] for name in signed if name != "host"}
    again = AWSRequest("POST", url + request.path, headers=headers, data=request.body)
    again.context["timestamp"] = told["x-amz-date"]
    signer = SigV4Auth(credentials, service, SCOPE.region)
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(again)}, SignedHeaders={';'.join(signed)},"
        f" Signature={signer.signature(text, again)}"
    )


def test_credentials_that_are_renewed_sign_what_follows(server: EcrServer, heard: Heard) -> None:
    issued: list[str] = []

    def renewed() -> dict[str, str]:
        issued.append(f"renewed-key-{len(issued)}")
        server.accounts[issued[-1]] = ACCOUNT
        soon = datetime.now(UTC) + timedelta(minutes=1)
        return {"access_key": issued[-1], "secret_key": SECRET, "token": TOKEN, "expiry_time": soon.isoformat()}

    api = connected(server.url, RefreshableCredentials.create_from_metadata(renewed(), renewed, "test"))
    for _ in range(3):
        api.call(DESCRIBE_REPOSITORIES)
        assert issued[-1].encode() in heard[-1].headers[b"authorization"]
    assert masked(f"the key {issued[-1]}") == "the key ***"
    assert len({request.headers[b"authorization"].split(b"/")[0] for request in heard}) == 3
    assert not any(is_of_botocore(request) for request in heard)


@pytest.mark.parametrize("fault", [THROTTLED, error("InternalFailure", status=500), RESET, CUT, HTML], ids=str)
def test_what_gets_no_clean_answer_is_asked_again_through_botocore(
    api: Api, server: EcrServer, heard: Heard, fault: Answer
) -> None:
    server.fail(fault, times=1)
    api.connection.close()  # on a connection that was used before libcurl itself repeats what got no byte
    assert len(api.call(DESCRIBE_REPOSITORIES).member("repositories")) == 2
    assert [is_of_botocore(request) for request in heard] == [False, False, True]
    usage = api.usage_of(DESCRIBE_REPOSITORIES)
    assert (usage.calls, usage.retried, usage.throttled) == (3, 1, fault is THROTTLED)
    assert server.calls["DescribeRepositories"] == 3


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("AccessDeniedException", Denied),
        ("RepositoryNotFoundException", Gone),
        ("InvalidParameterException", CallFailed),
        ("com.amazonaws.ecr#RepositoryNotFoundException", Gone),
    ],
)
def test_an_error_that_another_attempt_does_not_change_is_asked_once(
    api: Api, server: EcrServer, heard: Heard, code: str, failure: type[CallFailed]
) -> None:
    server.fail(error(code, "no"), times=2)
    with pytest.raises(failure) as of_libcurl:
        api.call(DESCRIBE_REPOSITORIES)
    by_botocore_alone = connected(server.url)
    by_botocore_alone.connection.libcurl._ways["ecr"] = None
    with pytest.raises(failure) as of_botocore:
        by_botocore_alone.call(DESCRIBE_REPOSITORIES)
    assert str(of_libcurl.value) == str(of_botocore.value)
    assert [is_of_botocore(request) for request in heard] == [False, False, True]


def test_what_the_service_model_does_not_allow_is_not_sent(api: Api, heard: Heard) -> None:
    with pytest.raises(CallFailed, match="Invalid length for parameter repositoryNames"):
        api.call(DESCRIBE_REPOSITORIES, repositoryNames=[])
    assert len(heard) == api.usage_of(DESCRIBE_REPOSITORIES).calls == 1


def test_what_an_error_repeats_is_masked(api: Api, server: EcrServer) -> None:
    server.fail(error("AccessDeniedException", f"the session_token={TOKEN} and {SECRET}"), times=1)
    with pytest.raises(Denied) as denied:
        api.call(DESCRIBE_REPOSITORIES)
    told = "".join(format_exception(denied.value))
    assert "***" in told
    assert TOKEN not in told
    assert SECRET not in told


def test_a_table_of_what_is_absent_is_asked_once_for_each(api: Api, server: EcrServer) -> None:
    for name in ("team/api", "team/web"):
        with pytest.raises(Absent):
            api.call(GET_LIFECYCLE_POLICY, repositoryName=name)
    assert server.calls["GetLifecyclePolicy"] == 2


def test_an_endpoint_that_does_not_answer_is_left_in_time(monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    monkeypatch.setattr(libcurl, "READ_TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        requests = api.connection.libcurl
        known = requests._ways["ecr"]
        assert known is not None
        requests.close()  # a connection that is open has the other timeout
        started = time.monotonic()
        requests._ways["ecr"] = replace(known, url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert requests.send("ecr", requests.serialized(DESCRIBE_REPOSITORIES, {})) is None
        assert time.monotonic() - started < 5
    assert len(api.call(DESCRIBE_REPOSITORIES).member("repositories")) == 2


def test_where_only_botocore_gets_an_answer_it_is_soon_the_only_one_to_ask(server: EcrServer, heard: Heard) -> None:
    answer = server._http.answer
    server._http.answer = lambda request: answer(request) if is_of_botocore(request) else RESET
    api = connected(server.url)
    for _ in range(10):
        assert len(api.call(DESCRIBE_REPOSITORIES).member("repositories")) == 2
    assert (len(heard), api.usage_of(DESCRIBE_REPOSITORIES).calls) == (10, 13)


def test_many_threads_share_connections_and_each_gets_its_own_answer(server: EcrServer, heard: Heard) -> None:
    api = connected(server.url)
    names = [f"team/r{number}" for number in range(100)]
    for name in names:
        server.registry().put(name)

    def asked(name: str) -> str:
        (repository,) = api.call(DESCRIBE_REPOSITORIES, repositoryNames=[name]).member("repositories")
        return str(repository["repositoryName"])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(asked, names)) == names
    assert not any(is_of_botocore(request) for request in heard)
    assert len(api.connection.libcurl._idle) <= 8
    api.connection.close()
    assert not api.connection.libcurl._idle


def test_nothing_is_sent_past_what_stands_in_the_place_of_the_network() -> None:
    with mock_aws():
        boto3.client("ecr", SCOPE.region).create_repository(repositoryName="team/api")
        api = connected(None)
        answers = [api.call(DESCRIBE_REPOSITORIES) for _ in range(2)]
    assert [len(answer.member("repositories")) for answer in answers] == [1, 1]
    assert not api.connection.libcurl.can_send(DESCRIBE_REPOSITORIES)


def test_a_call_costs_a_tenth_of_the_work_that_botocore_makes_of_it(api: Api) -> None:
    """Counted in functions called, which no other load of the machine changes."""

    def functions_called(ask: Callable[[], object]) -> int:
        profile = Profile()
        profile.runcall(ask)
        return sum(entry.callcount for entry in profile.getstats())

    ecr: Any = api.connection.clients["ecr"]
    ecr.describe_repositories()
    of_botocore = functions_called(ecr.describe_repositories)
    api.call(DESCRIBE_REPOSITORIES)
    assert functions_called(lambda: api.call(DESCRIBE_REPOSITORIES)) < of_botocore / 10
