"""What one writes first with dlt: boto3 paginators that yield dicts, merged by their key."""

from __future__ import annotations

from collections.abc import Iterator
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


def _load(resource: DltResource, database: str) -> None:
    pipeline = dlt.pipeline("plain", destination=dlt.destinations.duckdb(database), dataset_name="aws_ecr")
    pipeline.run(resource)
