"""The scheduled run: loads registries, prints what came of it, and exits non-zero when something could not be read.

    python pipelines/ecr_pipeline.py

Regions, profile and mode come from `.dlt/config.toml` or the environment (`SOURCES__ECR__REGIONS`); the destination is
said below.
"""

from __future__ import annotations

import dlt
from rich.console import Console

from ecr_source import ecr_source, load
from ecr_source.extract.printed_outcome import print_outcome


def load_ecr() -> None:
    """Loads all tables of the configured regions, and prints what came of them as `ecr-source run` does.

    Raises:
        IncompleteRun: something could not be read; the rest is loaded.
    """
    pipeline = dlt.pipeline("ecr", destination="duckdb", dataset_name="aws_ecr")
    outcome = load(pipeline, ecr_source())
    print_outcome(Console(), outcome)
    outcome.raise_on_incomplete()


if __name__ == "__main__":
    load_ecr()
