"""The tests' maximal registry with copies elsewhere, then changed, of which the pages of views ask what is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from ecr_source import ecr_source
from ecr_source.destinations.reading import DatasetReader
from ecr_source.loading.load import load
from ecr_source.loading.loaded.opened import open_loaded
from ecr_source.loading.settings.configuration import resolve_settings
from tests.conftest import make_pipeline
from tests.server.ecr_server import ACCESS_KEY, EcrServer, serving
from tests.warehouse import DuckDbFile, Warehouse

REGIONS = ["eu-west-1", "us-east-1"]


@contextmanager
def asked_registry(warehouse: Warehouse | None = None) -> Iterator[DatasetReader]:
    """The dataset after two loads of all tables in history mode, between which the registry changed.

    Without a warehouse it is a DuckDB file.
    """
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": "secret"}
    with TemporaryDirectory() as folder, ExitStack() as opened:
        into = warehouse or DuckDbFile(Path(folder) / "asked.duckdb")
        settings = {"DLT_DATA_DIR": folder, **keys, **into.settings}
        with chdir(folder), serving() as server, patch.dict(os.environ, settings):
            fill(server)
            _load(server, Path(folder), into)
            change(server)
            _load(server, Path(folder), into)
            reader = opened.enter_context(open_loaded(resolve_settings({})))
        yield reader


def _load(server: EcrServer, folder: Path, warehouse: Warehouse) -> None:
    with warehouse.loading():
        load(
            make_pipeline(folder, warehouse),
            ecr_source(
                regions=REGIONS,
                tables=["all", "manifests"],
                mode="history",
                endpoint_url=server.url,
                moves_last_recorded_pull_time=True,
                findings_max_age=0,
            ),
        )


def fill(server: EcrServer) -> None:
    """What the first load reads."""
    european, american = map(server.registry, REGIONS)
    european.maximal()
    european.put("docker-hub/nginx")
    european.put_image("docker-hub/nginx", tags=["1.27"])
    unused = european.put_image("docker-hub/nginx")["imageDigest"]
    european.scan("docker-hub/nginx", unused)
    european.in_use_counts["docker-hub/nginx", unused] = 0
    european.put_image("team-a/web", "sha256:going", ["0.9"], imageSizeInBytes=123_000_000)
    american.put("team-a/api", imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
    for digest, image in list(european.images_of("team-a/api").items())[:1]:
        american.put_image("team-a/api", digest, image.get("imageTags", ()), imageSizeInBytes=image["imageSizeInBytes"])


def change(server: EcrServer) -> None:
    """What the second load finds changed."""
    european = server.registry("eu-west-1")
    european.delete_image("team-a/web", "sha256:going")
    european.repositories["team-a/web"] |= {"imageTagMutability": "IMMUTABLE"}
    european.put_image("docker-hub/nginx", tags=["1.27"])
    (repository, digest), scan = next((at, scan) for at, scan in european.scans.items() if at[0] == "team-a/web")
    findings = scan["imageScanFindings"]["enhancedFindings"]
    european.scan(repository, digest, enhanced=findings[:1], status="ACTIVE")
