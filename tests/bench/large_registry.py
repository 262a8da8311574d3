"""A large registry as it lies in a database after a load, with the views: for the time that they take, and for tests.

`large_registry.sql` makes its rows, which is much faster than a run is that reads them from a server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dlt
import duckdb
import psycopg2

from ecr_source import catalog
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.indexes import create_indexes
from ecr_source.destinations.reading import DatasetReader
from ecr_source.destinations.views.creation import create_views
from tests.warehouse import DATASET, DuckDbFile, PostgresDatabase, Warehouse

_TABLES: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]
_ROWS = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True)
class Size:
    """How large the registry is, over its four scopes."""

    repositories: int
    images: int
    findings: int


def make_registry(file: DuckDbFile, size: Size) -> None:
    """Makes the registry in a new DuckDB file, with its views."""
    with duckdb.connect(file.path) as connection:
        connection.execute(f"SET TimeZone = 'UTC'; CREATE SCHEMA {DATASET}")
        for table in _TABLES:
            none = arrow_schema(table).empty_table()  # noqa: F841 (DuckDB finds it by its name)
            connection.execute(f"CREATE TABLE {DATASET}.{table.name} AS SELECT * FROM none")
        connection.execute("SET VARIABLE now = date_trunc('day', now())")
        for name in ("repositories", "images", "findings"):
            connection.execute(f"SET VARIABLE {name} = {getattr(size, name)}")
        connection.execute(_ROWS.read_text())
    _make_views(file)


def copy_to_postgres(file: DuckDbFile, database: PostgresDatabase) -> None:
    """Copies the registry in the file into an empty database, and makes indexes and views there."""
    with (
        duckdb.connect(file.path, read_only=True) as connection,
        closing(psycopg2.connect(database.url)) as target,
        target.cursor() as cursor,
        tempfile.TemporaryDirectory() as folder,
    ):
        rows = Path(folder) / "rows.csv"
        cursor.execute(f"CREATE SCHEMA {DATASET}")
        for table in _TABLES:
            name = f"{DATASET}.{table.name}"
            described = connection.execute(f"DESCRIBE {name}").fetchall()
            columns = (f'"{column}" {kind.replace("DOUBLE", "DOUBLE PRECISION")}' for column, kind, *_ in described)
            cursor.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
            connection.execute(f"COPY {name} TO '{rows}' (HEADER false, NULLSTR '\\N')")
            with rows.open() as written:
                cursor.copy_expert(f"COPY {name} FROM STDIN (FORMAT csv, NULL '\\N')", written)
        target.commit()
        target.autocommit = True
        _make_views(database)
        cursor.execute("VACUUM ANALYZE")


@contextmanager
def open_registry(warehouse: Warehouse) -> Iterator[DatasetReader]:
    """The registry in the database, to be asked as `ecr-source query` asks."""
    with _pipeline(warehouse) as pipeline, destination_of(pipeline).open_reader(pipeline, {}) as reader:
        yield reader


def _make_views(warehouse: Warehouse) -> None:
    with _pipeline(warehouse) as pipeline, pipeline.sql_client() as client:
        create_views(destination_of(pipeline), client, {})
        create_indexes(destination_of(pipeline), client)


@contextmanager
def _pipeline(warehouse: Warehouse) -> Iterator[dlt.Pipeline]:
    with tempfile.TemporaryDirectory() as folder:
        yield dlt.pipeline("large", pipelines_dir=folder, destination=warehouse.destination, dataset_name=DATASET)
