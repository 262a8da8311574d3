"""The scheduled run: registries into a database, with a non-zero exit when something could not be read.

    python pipelines/ecr_pipeline.py

Regions, profile and mode come from `.dlt/config.toml` or the environment (`SOURCES__ECR__REGIONS`); the destination is
said below.
"""

from __future__ import annotations

import dlt

from ecr_source import ecr_source, load


def load_ecr() -> None:
    """Loads all tables of the configured regions.

    Raises:
        IncompleteRun: something could not be read; the rest is loaded.
    """
    pipeline = dlt.pipeline("ecr", destination="duckdb", dataset_name="aws_ecr")
    load(pipeline, ecr_source()).raise_on_incomplete()


if __name__ == "__main__":
    load_ecr()
