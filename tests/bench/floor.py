"""The floor: response bytes → Arrow → DuckDB, with nothing in between and nothing kept for a second run."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from ecr_source.api import Api
from ecr_source.arrow import flatten
from ecr_source.catalog import TABLES
from ecr_source.scopes import Access, connect


def main(url: str, database: str) -> None:
    (connection,) = connect(Access(("eu-west-1",), endpoint_url=url))
    api = Api(connection)
    now = datetime.now(UTC)
    parts: dict[str, list[pa.Table]] = {table.name: [] for table in TABLES}
    for page in api.pages(TABLES[0].operation):
        for table in TABLES:
            parts[table.name].append(flatten(page, table, connection.scope, now))
    with duckdb.connect(database) as target:
        for name, tables in parts.items():
            target.register("page", pa.concat_tables(tables))
            target.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM page")
