"""boto3 + pandas + DuckDB: pages into one data frame, the data frame into a table."""

from __future__ import annotations

from typing import Any

import boto3
import duckdb
import pandas as pd


def repositories(url: str, database: str) -> None:
    client = boto3.client("ecr", region_name="eu-west-1", endpoint_url=url)
    listed: list[Any] = []
    for page in client.get_paginator("describe_repositories").paginate():
        listed.extend(page["repositories"])
    frame = pd.json_normalize(listed)
    with duckdb.connect(database) as target:
        target.register("frame", frame)
        target.execute("CREATE OR REPLACE TABLE repositories AS SELECT * FROM frame")
