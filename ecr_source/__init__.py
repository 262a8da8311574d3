"""A dlt source for Amazon ECR: container registries as tables.

import dlt
from ecr_source import ecr_source, load

pipeline = dlt.pipeline("ecr", destination="duckdb", dataset_name="aws_ecr")
load(pipeline, ecr_source(regions=["eu-west-1"]))
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecr_source.destinations.postgres import postgres
    from ecr_source.extract.ledger import Outcome
    from ecr_source.loading.distributed import find_mode, find_scopes, load_scopes, write_ledger
    from ecr_source.loading.load import load
    from ecr_source.loading.source import ecr_source, read_outcome
    from ecr_source.report.file import write_report

__all__ = [
    "Outcome",
    "ecr_source",
    "find_mode",
    "find_scopes",
    "load",
    "load_scopes",
    "postgres",
    "read_outcome",
    "write_ledger",
    "write_report",
]

_HOME = {
    "Outcome": "ecr_source.extract.ledger",
    "ecr_source": "ecr_source.loading.source",
    "find_mode": "ecr_source.loading.distributed",
    "find_scopes": "ecr_source.loading.distributed",
    "load": "ecr_source.loading.load",
    "load_scopes": "ecr_source.loading.distributed",
    "postgres": "ecr_source.destinations.postgres",
    "read_outcome": "ecr_source.loading.source",
    "write_ledger": "ecr_source.loading.distributed",
    "write_report": "ecr_source.report.file",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Importing dlt takes a second; `ecr-source --help` must not wait for it.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
