"""The floor: response bytes → Arrow → DuckDB, with nothing in between and nothing kept for a second run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from ecr_source.api import Api, Response
from ecr_source.arrow import Page, flatten
from ecr_source.catalog import GROUPS
from ecr_source.catalog.image import DESCRIBE_IMAGES
from ecr_source.catalog.repository import DESCRIBE_REPOSITORIES
from ecr_source.catalog.schema import TIMESTAMP
from ecr_source.catalog.table import Operation
from ecr_source.scopes import Access, connect

NOW = datetime.now(UTC)
THREADS = 8


def repositories(url: str, database: str) -> None:
    """The repositories, with their exclusion filters."""
    (connection,) = connect(Access(("eu-west-1",), endpoint_url=url))
    api = Api(connection)
    load(database, rows(api, DESCRIBE_REPOSITORIES, api.pages(DESCRIBE_REPOSITORIES), {}))


def images(url: str, database: str) -> None:
    """The images of all repositories, with their tags."""
    (connection,) = connect(Access(("eu-west-1",), endpoint_url=url))
    api = Api(connection)

    def images_of(name: str) -> list[tuple[str, pa.Table]]:
        pages = api.pages(DESCRIBE_IMAGES, {"repositoryName": name})
        return list(rows(api, DESCRIBE_IMAGES, pages, {"repository_name": name}))

    listed = [repository["repositoryName"] for page in api.pages(DESCRIBE_REPOSITORIES) for repository in names(page)]
    with ThreadPoolExecutor(THREADS) as pool:
        load(database, (part for parts in pool.map(images_of, listed) for part in parts))


def names(page: Response) -> list[dict[str, str]]:
    return list(page.member("repositories"))


def rows(
    api: Api, operation: Operation, pages: Iterator[Response], asked: dict[str, str]
) -> Iterator[tuple[str, pa.Table]]:
    for response in pages:
        page = Page(
            responses=api.decode(operation, [response]),
            asked=pa.Table.from_pylist([asked or {"nothing": ""}]),
            outcomes=pa.array(["complete"]),
            asked_at=pa.array([NOW], TIMESTAMP),
            where=str(operation),
        )
        for table in GROUPS["repositories"] + GROUPS["images"]:
            if table.operation is operation:
                yield table.name, flatten(page, table, table.fillings[0], api.scope)


def load(database: str, parts: Iterator[tuple[str, pa.Table]]) -> None:
    tables: defaultdict[str, list[pa.Table]] = defaultdict(list)
    for name, part in parts:
        tables[name].append(part)
    with duckdb.connect(database) as target:
        for name, pages in tables.items():
            target.register("page", pa.concat_tables(pages))
            target.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM page")
