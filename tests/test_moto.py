"""moto's registry as a second opinion."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import dlt
import pytest

from ecr_source import ecr_source, read_outcome
from tests.conftest import Row

REGION = "eu-west-1"


@pytest.fixture
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_what_boto3_created_is_what_the_tables_hold(
    moto_url: str, pipeline: dlt.Pipeline, query: Callable[[str], list[Row]]
) -> None:
    client = boto3.client("ecr", region_name=REGION, endpoint_url=moto_url)
    client.create_repository(repositoryName="team/api", imageScanningConfiguration={"scanOnPush": True})
    client.create_repository(
        repositoryName="team/web",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    pipeline.run(ecr_source(regions=[REGION], endpoint_url=moto_url))
    assert not read_outcome(pipeline).incomplete
    listed = sorted(client.describe_repositories()["repositories"], key=lambda item: item["repositoryName"])
    assert query(
        "SELECT repository_arn, repository_uri, created_at, image_tag_mutability, scan_on_push, encryption_type"
        " FROM repositories ORDER BY repository_name"
    ) == [
        (
            item["repositoryArn"],
            item["repositoryUri"],
            item["createdAt"],
            item["imageTagMutability"],
            item["imageScanningConfiguration"]["scanOnPush"],
            item["encryptionConfiguration"]["encryptionType"],
        )
        for item in listed
    ]
    assert query("SELECT repository_name, filter FROM repository_tag_mutability_exclusion_filters") == [
        ("team/web", "dev-*")
    ]
