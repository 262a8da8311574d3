"""Measures what docs/scale.md is reckoned with, and writes it beside this file: `python -m tests.pages.scale_measured`.

Runs of the command's own code, on this machine, against the test server: calls, seconds of reading, seconds of loading.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import dlt
from dlt.common.runtime.collector import NULL_COLLECTOR

from ecr_source.loading import load as loading_module
from ecr_source.loading.run import run
from ecr_source.loading.settings.configuration import resolve_settings
from tests.postgres import postgres_server
from tests.server.ecr_server import ACCESS_KEY

MEASURED = Path(__file__).with_suffix(".json")
LATENCY = 0.04
ROLE = "arn:aws:iam::{account}:role/reader"


@dataclass(frozen=True)
class Size:
    """What is read: so many accounts and regions, each with repositories of so many images."""

    accounts: int
    regions: int
    repositories: int
    images: int

    @property
    def scopes(self) -> int:
        return self.accounts * self.regions


@dataclass(frozen=True)
class Measurement:
    """One run into Postgres, the second one, which replaces what is there.

    `processor` is the processor's time while reading, which other work on the machine does not change.
    """

    size: Size
    calls: int
    reading: float
    processor: float
    loading: float


SIZES = (
    Size(1, 1, 0, 0),
    Size(1, 1, 100, 10),
    Size(1, 1, 1_000, 10),
    Size(1, 1, 3_000, 10),
    Size(1, 1, 100, 1_000),
    Size(10, 10, 0, 0),
    Size(10, 10, 10, 10),
)


def measured() -> Iterator[Measurement]:
    """Each size, measured."""
    with postgres_server() as postgres:
        for size in SIZES:
            yield _measure(size, postgres.new_database())


def _measure(size: Size, url: str) -> Measurement:
    loading = processor_of_loading = 0.0

    def load(pipeline: dlt.Pipeline, parameters: Mapping[str, float] | None) -> None:
        nonlocal loading, processor_of_loading
        started, processor = time.monotonic(), time.process_time()
        loads(pipeline, parameters)
        loading += time.monotonic() - started
        processor_of_loading += time.process_time() - processor

    loads = loading_module.load_alone
    with TemporaryDirectory() as folder, _serving(size) as endpoint, patch.object(loading_module, "load_alone", load):
        variables = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "DESTINATION__POSTGRES__CREDENTIALS": url,
            "DLT_DATA_DIR": folder,
        }
        with patch.dict(os.environ, variables):
            given = {"endpoint_url": endpoint, "regions": ["all"], "organization": True, "role_arns": [ROLE]}
            settings = resolve_settings(given | {"destination": "postgres"})
            for _ in range(2):
                loading = processor_of_loading = 0.0
                started, processor_before = time.monotonic(), time.process_time()
                outcome = run(settings, NULL_COLLECTOR).outcome
                seconds = time.monotonic() - started
                processor = time.process_time() - processor_before - processor_of_loading
    calls = sum(table.calls for table in outcome.tables)
    assert not outcome.incomplete
    return Measurement(size, calls, round(seconds - loading, 2), round(processor, 2), round(loading, 2))


@contextmanager
def _serving(size: Size) -> Iterator[str]:
    sizes = {"accounts": size.accounts, "region-count": size.regions, "repositories": size.repositories}
    options = [f"--{name}={value}" for name, value in (sizes | {"images": size.images, "latency": LATENCY}).items()]
    command = [sys.executable, "-m", "tests.server.ecr_server", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


if __name__ == "__main__":
    found = []
    for measurement in measured():
        print(measurement, flush=True)
        found.append(asdict(measurement))
    MEASURED.write_text(json.dumps(found, indent=1) + "\n")
    print(f"wrote {MEASURED}")
