"""What one writes first with dlt: a boto3 paginator that yields dicts, merged by their key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import dlt


def main(url: str, database: str) -> None:
    @dlt.resource(write_disposition="merge", primary_key=["registryId", "repositoryArn"])
    def repositories() -> Iterator[list[dict[str, Any]]]:
        client = boto3.client("ecr", region_name="eu-west-1", endpoint_url=url)
        for page in client.get_paginator("describe_repositories").paginate():
            yield page["repositories"]

    pipeline = dlt.pipeline("plain", destination=dlt.destinations.duckdb(database), dataset_name="aws_ecr")
    pipeline.run(repositories())
