"""An API whose requests libcurl sends, and who hears them."""

from __future__ import annotations

from botocore.credentials import Credentials

from ecr_source.aws.access import Access
from ecr_source.aws.api import Api
from ecr_source.aws.libcurl import Libcurl
from ecr_source.aws.scopes import Connection, Scope
from ecr_source.aws.sessions import AccountSession
from tests.server.accounts import ACCOUNT
from tests.server.ecr_server import ACCESS_KEY, Answer
from tests.server.http_endpoint import HttpServer, Request

SCOPE = Scope(ACCOUNT, "eu-west-1")
SERVICES = ("ecr", "inspector2")
SECRET = "secret+/of:me"
TOKEN = "IQoJb3JpZ2luX2VjE//+=="

Heard = list[Request]


def connected(url: str | None, credentials: Credentials | None = None) -> Api:
    """The API of a scope, whose clients are made as those of a run are."""
    access = Access((SCOPE.region,), endpoint_url=url)
    session = AccountSession(access, credentials or Credentials(ACCESS_KEY, SECRET, TOKEN), SCOPE.region)
    requests = Libcurl(session.ca_bundle)
    return Api(Connection(SCOPE, session.clients(SCOPE.region, SERVICES), libcurl=requests))


def hearing(server: HttpServer) -> Heard:
    """The requests that a server gets from now on."""
    heard: Heard = []
    answer = server.answer

    def noted(request: Request) -> Answer:
        heard.append(request)
        return answer(request)

    server.answer = noted
    return heard


def by_botocore(api: Api) -> None:
    """Lists repositories as anyone does with the client."""
    api.connection.clients["ecr"].describe_repositories()  # type: ignore[attr-defined]  # botocore makes the method


def is_of_botocore(request: Request) -> bool:
    return b"amz-sdk-request" in request.headers
