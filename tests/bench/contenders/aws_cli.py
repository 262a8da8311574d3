"""AWS CLI + DuckDB: `aws ecr describe-repositories` into a file, the file into a table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb


def repositories(url: str, database: str) -> None:
    listing = Path(database).with_suffix(".json")
    aws = Path(sys.executable).parent / "aws"
    arguments = ["--endpoint-url", url, "--region", "eu-west-1", "--output", "json"]
    with listing.open("wb") as file:
        subprocess.run([aws, "ecr", "describe-repositories", *arguments], stdout=file, check=True)
    with duckdb.connect(database) as target:
        target.execute(
            "CREATE OR REPLACE TABLE repositories AS SELECT unnest(r, recursive := true) FROM"
            " (SELECT unnest(repositories) AS r FROM read_json(?, maximum_object_size = 1000000000))",
            [str(listing)],
        )
