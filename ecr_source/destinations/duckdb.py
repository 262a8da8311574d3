"""A DuckDB file as a destination."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar, cast

import dlt
import duckdb
import pyarrow.parquet as pq
from dlt.common.configuration import configspec
from dlt.common.destination import AnyDestination, DestinationCapabilitiesContext
from dlt.destinations.impl.duckdb.configuration import DuckDbClientConfiguration, DuckDbCredentials

from ecr_source.destinations.capabilities import AskedOnce
from ecr_source.destinations.reading import DatasetReader
from ecr_source.destinations.reading.duckdb_file import open_file, unusable_file
from ecr_source.destinations.warehouse import RowAddress, SqlClient, Warehouse
from ecr_source.errors import DestinationUnusable

NAME = "duckdb"
# The tables have no order to keep; what does not fit goes to disk. Loading 1,000,000 images takes half the memory, in
# the same time.
_SETTINGS = {"preserve_insertion_order": "false", "memory_limit": "160MB"}

# What was committed is in memory, as it came, until a checkpoint compresses it into the file. dlt puts that off until
# it is 1 GB, after it has set what `global_config` says; statements come after both.
_COMPRESS_SOON = "SET GLOBAL checkpoint_threshold = '4MB'"

# Each thread gathers rows of its own in memory: a second one takes as much again, and is faster where they are many.
_ROWS_FOR_TWO_THREADS = 500_000


def duckdb_file(database: Path) -> AnyDestination:
    """The dlt destination of a DuckDB file."""
    credentials = DuckDbCredentials(global_config=_SETTINGS)
    credentials.statements = [_COMPRESS_SOON]
    credentials.database = str(database)  # as an argument dlt would read it as a URL, with SQLAlchemy: 160 ms to import
    return cast("AnyDestination", _duckdb(credentials))


_KEPT_OPEN: dict[str, duckdb.DuckDBPyConnection | None] = {}
"""The files that are kept open, or would be if they were there and nobody else had them open."""


@configspec(init=False)
class _DuckDbClientConfiguration(DuckDbClientConfiguration):
    def __str__(self) -> str:
        """What dlt's trace says of the place: dlt would make a URL of it, with SQLAlchemy, 180 ms to import."""
        return self.data_location()


class _duckdb(AskedOnce, dlt.destinations.duckdb):  # noqa: N801 (dlt names a destination by its class)
    __module__ = dlt.destinations.duckdb.__module__
    __qualname__ = dlt.destinations.duckdb.__qualname__  # by these dlt knows it, in its state too
    spec = _DuckDbClientConfiguration

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        # DuckDB itself works on all threads at one statement. Of several at a time, one may find no memory left, and
        # fail: so it was with 10,000,000 findings.
        capabilities = super()._raw_capabilities()
        capabilities.loader_parallelism_strategy = "sequential"
        return capabilities


class DuckDb(Warehouse):
    """A DuckDB file, which one process has open at a time."""

    comments_query: ClassVar = """
SELECT table_name, NULL, comment FROM duckdb_tables()
WHERE schema_name = %s AND database_name = current_database()
UNION ALL
SELECT table_name, column_name, comment FROM duckdb_columns()
WHERE schema_name = %s AND database_name = current_database()
"""
    has_views: ClassVar = True
    counts_rows: ClassVar = True
    # A fifth of what information_schema takes.
    tables_query: ClassVar = """
SELECT table_name, max(CASE WHEN column_name = '_dlt_valid_to' THEN 1 ELSE 0 END) FROM duckdb_columns()
WHERE schema_name = %s AND database_name = current_database() GROUP BY table_name
"""
    views_query: ClassVar = """
SELECT view_name, comment, true FROM duckdb_views() WHERE schema_name = %s AND database_name = current_database()
"""
    row_address: ClassVar = RowAddress("rowid", "bigint", "-1")
    may_be_shared: ClassVar = False

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """While it lasts the file is open: to open it takes 60 ms of processor, as it has all views to read."""
        if self.name != NAME or self.place in _KEPT_OPEN:
            yield
            return
        _KEPT_OPEN[self.place] = _opened(self.place)
        try:
            yield
        finally:
            _close(_KEPT_OPEN.pop(self.place))

    @contextmanager
    def closed_meanwhile(self) -> Iterator[None]:
        """While it lasts another process may open the file, where it is kept open."""
        if self.place not in _KEPT_OPEN:
            yield
            return
        _close(_KEPT_OPEN[self.place])
        _KEPT_OPEN[self.place] = None
        yield
        if self.place in _KEPT_OPEN:  # no other load has ended meanwhile that kept it open
            _KEPT_OPEN[self.place] = _opened(self.place)

    @contextmanager
    def loading_alone(self, pipeline: dlt.Pipeline) -> Iterator[SqlClient]:
        """While it lasts the file is open: dlt would open it four times, for 25 ms of processor each."""
        with pipeline.sql_client() as client:
            if isinstance(self.destination, _duckdb):
                client.execute_sql(f"SET GLOBAL threads = {_threads_for(pipeline)}")
            yield client

    def check(self, pipeline: dlt.Pipeline) -> None:
        """Opens the file, which is made if there is none.

        Raises:
            DestinationUnusable: with what is wrong, and what to do.
        """
        if self.name == NAME:
            _check_file(Path(self.place), pipeline.dataset_name)
        else:  # --database does not say where it is
            super().check(pipeline)

    @contextmanager
    def _reader(self, pipeline: dlt.Pipeline, parameters: Mapping[str, float]) -> Iterator[DatasetReader]:
        with open_file(Path(self.place), pipeline.dataset_name) as reader:
            yield reader


def _threads_for(pipeline: dlt.Pipeline) -> int:
    """With how many threads what waits is loaded."""
    files = Path(pipeline.working_dir).glob("load/normalized/*/new_jobs/*.parquet")
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    return 2 if rows >= _ROWS_FOR_TWO_THREADS else 1


def _opened(database: str) -> duckdb.DuckDBPyConnection | None:
    """A connection, if there is such a file and it can be opened: who needs it says so if it cannot."""
    if not Path(database).is_file():
        return None
    with suppress(duckdb.Error):
        return duckdb.connect(database)
    return None


def _close(connection: duckdb.DuckDBPyConnection | None) -> None:
    if connection:
        connection.close()


def _check_file(database: Path, dataset: str) -> None:
    if database.stem.casefold() == dataset.casefold():
        raise DestinationUnusable(
            f'DuckDB cannot tell the database "{database.stem}" (of {database.name}) from a schema of the same name:'
            " give another --dataset or --database"
        )
    if not database.parent.is_dir():
        raise DestinationUnusable(f'cannot open the database "{database}": there is no folder "{database.parent}"')
    if database.is_dir():
        raise DestinationUnusable(f'cannot open the database "{database}": it is a folder')
    try:
        duckdb.connect(database).close()
    except duckdb.Error as error:
        raise unusable_file(database, error) from error
