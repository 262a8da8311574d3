"""The floor: response bytes → Arrow → DuckDB, with nothing in between and nothing kept for a second run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from ecr_source.aws.access import Access
from ecr_source.aws.api import Api
from ecr_source.aws.response import Response
from ecr_source.aws.scopes import Target, discover_scopes
from ecr_source.catalog import GROUPS
from ecr_source.catalog.schema import TIMESTAMP
from ecr_source.catalog.table import Operation
from ecr_source.catalog.tables.image import DESCRIBE_IMAGES
from ecr_source.catalog.tables.image_scans import DESCRIBE_IMAGE_SCAN_FINDINGS
from ecr_source.catalog.tables.repository import DESCRIBE_REPOSITORIES
from ecr_source.extract.rows.flatten import flatten
from ecr_source.extract.rows.page import Page

NOW = datetime.now(UTC)
THREADS = 8
REPOSITORIES_AT_A_TIME = 50
IMAGES_AT_A_TIME = 20
ASKED = ["repository_name", "image_digest", "image_pushed_at", "scan_completed_at"]

Part: TypeAlias = tuple[str, pa.Table]
"""Rows, with the name of their table."""


def repositories(url: str, database: str) -> None:
    """The repositories, with their exclusion filters."""
    api = connected(url)
    pages = api.pages(DESCRIBE_REPOSITORIES)
    load(database, (part for page in pages for part in rows(api, DESCRIBE_REPOSITORIES, [({}, page)])))


def images(url: str, database: str) -> None:
    """The images of all repositories, with their tags; rows are made of the responses of some at a time."""
    api = connected(url)

    def images_of(names: Sequence[str]) -> list[Part]:
        responses = [
            ({"repository_name": name}, page) for name in names for page in api.pages(DESCRIBE_IMAGES, named(name))
        ]
        return list(rows(api, DESCRIBE_IMAGES, responses))

    listed = [one["repositoryName"] for page in api.pages(DESCRIBE_REPOSITORIES) for one in page.member("repositories")]
    starts = range(0, len(listed), REPOSITORIES_AT_A_TIME)
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(images_of, (listed[start : start + REPOSITORIES_AT_A_TIME] for start in starts))
        load(database, chain.from_iterable(parts))


def findings(url: str, database: str) -> None:
    """All images, and the findings of each by a call of its own; rows are made of the answers about some at a time."""
    api = connected(url)
    listed = [one["repositoryName"] for page in api.pages(DESCRIBE_REPOSITORIES) for one in page.member("repositories")]
    pages = [({"repository_name": name}, page) for name in listed for page in api.pages(DESCRIBE_IMAGES, named(name))]
    of_images = [*rows(api, DESCRIBE_IMAGES, pages)]
    images = [image for name, part in of_images if name == "images" for image in part.select(ASKED).to_pylist()]

    def findings_of(some: Sequence[dict[str, Any]]) -> list[Part]:
        responses = [
            (image, page)
            for image in some
            for page in api.pages(
                DESCRIBE_IMAGE_SCAN_FINDINGS,
                named(image["repository_name"]) | {"imageId.imageDigest": image["image_digest"]},
            )
        ]
        return list(rows(api, DESCRIBE_IMAGE_SCAN_FINDINGS, responses))

    starts = range(0, len(images), IMAGES_AT_A_TIME)
    with ThreadPoolExecutor(THREADS) as pool:
        parts = pool.map(findings_of, (images[start : start + IMAGES_AT_A_TIME] for start in starts))
        load(database, chain(of_images, chain.from_iterable(parts)))


def named(repository: str) -> dict[str, object]:
    return {"repositoryName": repository}


def connected(url: str) -> Api:
    (target,) = discover_scopes(Access(("eu-west-1",), endpoint_url=url))
    assert isinstance(target, Target)
    return Api(target.connect())


def rows(api: Api, operation: Operation, responses: Sequence[tuple[dict[str, Any], Response]]) -> Iterator[Part]:
    """The rows of all `responses`, each with what was asked."""
    page = Page(
        responses=api.decode(operation, [response for _, response in responses]),
        asked=pa.Table.from_pylist([asked or {"nothing": ""} for asked, _ in responses]),
        outcomes=pa.array(["complete"] * len(responses)),
        asked_at=pa.array([NOW] * len(responses), TIMESTAMP),
        where=str(operation),
    )
    for table in GROUPS["repositories"] + GROUPS["images"] + GROUPS["findings"]:
        for filling in table.fillings:
            if filling.operation is operation:
                yield table.name, flatten(page, table, filling, api.scope)


def load(database: str, parts: Iterable[Part]) -> None:
    tables: defaultdict[str, list[pa.Table]] = defaultdict(list)
    for name, part in parts:
        tables[name].append(part)
    with duckdb.connect(database) as target:
        for name, pages in tables.items():
            target.register("page", pa.concat_tables(pages))
            target.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM page")
