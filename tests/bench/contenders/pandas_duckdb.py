"""boto3 + pandas + DuckDB: pages into one data frame, the data frame into a table."""

from __future__ import annotations

from typing import Any

import boto3
import duckdb
import pandas as pd


def repositories(url: str, database: str) -> None:
    client = boto3.client("ecr", region_name="eu-west-1", endpoint_url=url)
    _load(_repositories(client), database, "repositories")


def images(url: str, database: str) -> None:
    client = boto3.client("ecr", region_name="eu-west-1", endpoint_url=url)
    listed: list[Any] = []
    for repository in _repositories(client):
        for page in client.get_paginator("describe_images").paginate(repositoryName=repository["repositoryName"]):
            listed.extend(page["imageDetails"])
    _load(listed, database, "images")


def _repositories(client: Any) -> list[Any]:
    return [one for page in client.get_paginator("describe_repositories").paginate() for one in page["repositories"]]


def _load(listed: list[Any], database: str, table: str) -> None:
    frame = pd.json_normalize(listed)
    with duckdb.connect(database) as target:
        target.register("frame", frame)
        target.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM frame")
