"""What an error of one call means for all that come after it."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from ecr_source.aws.error_codes import lost_scope
from ecr_source.catalog.tables.image import DESCRIBE_IMAGES

URL = "https://api.ecr.eu-west-1.amazonaws.com"
OF_THE_NETWORK = [
    ReadTimeoutError(endpoint_url=URL),
    ConnectTimeoutError(endpoint_url=URL),
    ConnectionClosedError(endpoint_url=URL),
    EndpointConnectionError(endpoint_url=URL),
    SSLError(endpoint_url=URL, error=ValueError("certificate")),
    ProxyConnectionError(proxy_url="http://proxy"),
]


@pytest.mark.parametrize("error", OF_THE_NETWORK, ids=lambda error: type(error).__name__)
def test_without_an_answer_a_scope_is_lost_when_its_endpoint_is_dead_and_not_before(error: BotoCoreError) -> None:
    place = "123456789012/eu-west-1"
    assert lost_scope(error, DESCRIBE_IMAGES, place, "", is_dead=False) is None
    lost = lost_scope(error, DESCRIBE_IMAGES, place, "", is_dead=True)
    assert str(lost).startswith(f"the endpoint of {place} does not answer any more")
    assert "credentials" not in str(lost)
