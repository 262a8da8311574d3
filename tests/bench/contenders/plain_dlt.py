"""What one writes first with dlt: boto3 paginators that yield dicts, merged by their key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import dlt
from dlt.extract.resource import DltResource


def repositories(url: str, database: str) -> None:
    """The listing of repositories."""

    @dlt.resource(name="repositories", write_disposition="merge", primary_key=["registryId", "repositoryArn"])
    def listing() -> Iterator[list[dict[str, Any]]]:
        client = boto3.client("ecr", region_name="eu-west-1", endpoint_url=url)
        for page in client.get_paginator("describe_repositories").paginate():
            yield page["repositories"]

    _load(listing(), database)


def images(url: str, database: str) -> None:
    """The listing of the images of each repository."""

    @dlt.resource(name="images", write_disposition="merge", primary_key=["registryId", "repositoryName", "imageDigest"])
    def listing() -> Iterator[list[dict[str, Any]]]:
        client = boto3.client("ecr", region_name="eu-west-1", endpoint_url=url)
        of_repository = client.get_paginator("describe_images")
        for page in client.get_paginator("describe_repositories").paginate():
            for repository in page["repositories"]:
                for listed in of_repository.paginate(repositoryName=repository["repositoryName"]):
                    yield listed["imageDetails"]

    _load(listing(), database)


MERGED = ("registry_replications", "registry_scanning_configurations", "registry_account_settings")
APPENDED = "extraction_scopes"
"""What a second run of ecr-source over an empty region writes."""


def four_small_tables(_: str, database: str) -> None:
    """A row in each of as many tables as `ecr-source run` writes over an empty region, made and not read."""
    row = {"registryId": "123456789012", "region": "eu-west-1", "extractedAt": datetime.now(UTC)}
    merged = [
        dlt.resource([row], name=name, write_disposition="merge", primary_key=["registryId", "region"])
        for name in MERGED
    ]
    _load([*merged, dlt.resource([row], name=APPENDED, write_disposition="append")], database)


def _load(resource: DltResource | list[DltResource], database: str) -> None:
    pipeline = dlt.pipeline("plain", destination=dlt.destinations.duckdb(database), dataset_name="aws_ecr")
    pipeline.run(resource)
