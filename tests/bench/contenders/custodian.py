"""Cloud Custodian + DuckDB: what a policy without filters finds into a file, the file into a table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import duckdb

POLICY = """
policies:
  - name: images
    resource: aws.ecr-image
"""


def images(url: str, database: str) -> None:
    folder = Path(database).parent
    policy = folder / "policy.yml"
    policy.write_text(POLICY)
    custodian = Path(sys.executable).parent / "custodian"
    arguments = ["run", "--region", "eu-west-1", "--output-dir", str(folder), "--cache-period", "0", str(policy)]
    subprocess.run([custodian, *arguments], env=os.environ | {"AWS_ENDPOINT_URL": url}, check=True, capture_output=True)
    with duckdb.connect(database) as target:
        target.execute(
            "CREATE OR REPLACE TABLE images AS SELECT * FROM read_json(?, maximum_object_size = 1000000000)",
            [str(folder / "images/resources.json")],
        )
