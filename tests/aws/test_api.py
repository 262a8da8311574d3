"""One call: what it costs is counted once."""

from __future__ import annotations

from ecr_source.aws.access import Access
from ecr_source.aws.api import Api
from ecr_source.aws.scopes import Target, discover_scopes
from ecr_source.catalog.tables.repository import DESCRIBE_REPOSITORIES
from tests.server.ecr_server import EcrServer


def test_a_second_api_on_the_same_clients_counts_instead_of_the_first(server: EcrServer) -> None:
    (target,) = discover_scopes(Access(("eu-west-1",), endpoint_url=server.url))
    assert isinstance(target, Target)
    connection = target.connect()
    first, second = Api(connection), Api(connection)
    second.call(DESCRIBE_REPOSITORIES)
    assert second.usage_of(DESCRIBE_REPOSITORIES).calls == server.calls["DescribeRepositories"] == 1
    assert first.usage_of(DESCRIBE_REPOSITORIES).calls == 0
