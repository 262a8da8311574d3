"""A lake: what its tables can take, and how they are read, without extensions of DuckDB."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, cast

import dlt
import pyarrow as pa
import pyarrow.dataset as ds
from dlt.common.destination import AnyDestination
from dlt.common.destination.capabilities import MergeStrategySelector
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.schema.typing import TLoaderMergeStrategy, TTableFormat
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from dlt.destinations.impl.filesystem.sql_client import FilesystemSqlClient
from dlt.destinations.sql_client import SqlClientBase
from pyarrow.fs import FSSpecHandler, PyFileSystem, SubTreeFileSystem

from ecr_source.errors import ConfigurationError, DestinationUnusable

PARQUET = "Parquet"
"""The format of tables that are files and nothing else."""

_SNAPSHOT = "snapshot"

_PACKAGES = {"delta": "deltalake", "iceberg": "pyiceberg"}
"""The other formats, and the package that writes each."""


def check_merge(destination: AnyDestination, mode: str, strategy: str | None, table_format: str | None) -> None:
    """Checks that the destination's tables merge by `strategy`, as the load mode needs: dlt would append.

    Raises:
        ConfigurationError: there is no such table format.
        DestinationUnusable: with what to use instead.
    """
    if table_format is not None and table_format not in _PACKAGES:
        raise ConfigurationError(f'unknown table format "{table_format}": it is one of {", ".join(_PACKAGES)}')
    if table_format is not None and not is_lake(destination):
        raise DestinationUnusable(
            f"{table_format} tables are a lake's, and the destination {destination.destination_name} has its own:"
            " leave the table format out, or use the destination filesystem"
        )
    if table_format is not None and find_spec(_PACKAGES[table_format]) is None:
        raise DestinationUnusable(
            f'{table_format} tables need packages that are not installed: pip install "ecr-source[lake]"'
        )
    if strategy is None or strategy in _strategies(destination, table_format):
        return
    cannot = "replace rows" if mode == _SNAPSHOT else "keep versions"
    raise DestinationUnusable(
        f"{_tables(destination, table_format)} cannot {cannot} ({strategy}), which {mode} mode needs:"
        f" use {_instead(destination, mode)}"
    )


def _strategies(destination: AnyDestination, table_format: str | None) -> Collection[str]:
    """The ways of merging into tables of the format that the destination makes, as it is configured."""
    capabilities = destination.capabilities()
    strategies = cast("Sequence[TLoaderMergeStrategy] | None", capabilities.supported_merge_strategies)
    selector = cast("MergeStrategySelector | None", capabilities.merge_strategies_selector)
    if selector is None or strategies is None:
        return strategies or ()
    # Athena merges into Iceberg tables only.
    made = cast("TTableFormat | None", table_format or capabilities.preferred_table_format)
    return selector(strategies, table_schema={"table_format": made or "native"})


def _tables(destination: AnyDestination, table_format: str | None) -> str:
    if not is_lake(destination):
        return f"the destination {destination.destination_name}"
    return f"{table_format} tables" if table_format else f"plain {PARQUET} files"


def _instead(destination: AnyDestination, mode: str) -> str:
    if not is_lake(destination):
        return "--mode incremental, or another destination"
    if mode == _SNAPSHOT:
        return "--table-format delta, or --mode incremental"
    return "--mode snapshot with --table-format delta, or another destination, such as duckdb or postgres"


def is_lake(destination: AnyDestination) -> bool:
    """Whether it is files in a folder or a bucket: dlt's destination filesystem, under whatever name."""
    return isinstance(destination, dlt.destinations.filesystem)


def loaded_format(pipeline: dlt.Pipeline, table: str) -> str | None:
    """The format of a table of the pipeline's lake: `delta`, `iceberg` or `PARQUET`; None if there is no such table."""
    with pipeline.destination_client() as files:
        assert isinstance(files, FilesystemClient)
        return _format(files, table)


@contextmanager
def open_tables(pipeline: dlt.Pipeline) -> Iterator[SqlClientBase[Any]]:
    """The SQL client of the pipeline's dataset; where that is a lake, one that needs no extension of DuckDB.

    Raises:
        SqlClientNotAvailable: the destination has none.
    """
    if not is_lake(pipeline.destination):
        with pipeline.sql_client() as client:
            yield client
        return
    with pipeline.destination_client() as files:
        assert isinstance(files, FilesystemClient)
        with _LakeSqlClient(files, files.dataset_name) as client:
            yield client


class _LakeSqlClient(FilesystemSqlClient):
    """dlt's DuckDB over a lake, with Arrow datasets in place of `delta_scan`, `iceberg_scan` and `httpfs`.

    Tables are found by what lies in their folders: dlt's schema knows only the tables of pipelines of its own name.
    """

    def create_secret(self, *_: Any, **__: Any) -> bool:
        """None is needed: DuckDB reads what Arrow hands over."""
        return True

    def create_views_for_tables(self, tables: dict[str, str]) -> None:
        """Shows each table to DuckDB under its name; one that the lake does not have stays unknown."""
        for table in tables:
            rows = _rows(self.remote_client, table)
            if rows is not None:
                arrow = self.escape_column_name(f"{table} as Arrow")
                self._conn.register(f"{table} as Arrow", rows)
                self._conn.execute(f"CREATE OR REPLACE VIEW {self.make_qualified_table_name(table)} AS FROM {arrow}")


def _rows(files: FilesystemClient, table: str) -> ds.Dataset | pa.Table | None:
    match _format(files, table):
        case "delta":
            return _delta_table(files, table)
        case "iceberg":
            return _iceberg_table(files, table)
        case "Parquet":
            return _parquet_files(files, table)
    return None


def _format(files: FilesystemClient, table: str) -> str | None:
    paths = _paths(files, table)
    folder = files.get_table_dir(table)
    inside = {path.removeprefix(folder).split(files.pathlib.sep)[0] for path in paths}
    if "_delta_log" in inside:
        return "delta"
    if "metadata" in inside:
        return "iceberg"
    return PARQUET if any(path.endswith(".parquet") for path in paths) else None


def _paths(files: FilesystemClient, table: str) -> list[str]:
    try:
        return sorted(files.list_table_files(table))
    except DestinationUndefinedEntity:
        return []


def _parquet_files(files: FilesystemClient, table: str) -> ds.Dataset:
    paths = [path for path in _paths(files, table) if path.endswith(".parquet")]
    newest = ds.dataset(paths[-1], filesystem=files.fs_client, format="parquet").schema  # it has all columns
    return ds.dataset(paths, filesystem=files.fs_client, format="parquet", schema=newest)


def _delta_table(files: FilesystemClient, table: str) -> ds.Dataset:
    from deltalake import DeltaTable
    from dlt.common.libs.deltalake import deltalake_storage_options

    options = deltalake_storage_options(files.config.credentials, files.config.deltalake_storage_options)
    location = files.get_open_table_location("delta", table)
    return DeltaTable(location, storage_options=options).to_pyarrow_dataset(filesystem=_inside(files, table))


def _iceberg_table(files: FilesystemClient, table: str) -> pa.Table:
    from dlt.common.libs.pyiceberg import evolve_table

    location = files.get_open_table_location("iceberg", table)
    catalog, name = files.get_open_table_catalog("iceberg"), f"{files.dataset_name}.{table}"
    return evolve_table(catalog, files.fs_client, files.config, name, location).scan().to_arrow()


def _inside(files: FilesystemClient, table: str) -> SubTreeFileSystem:
    return SubTreeFileSystem(files.get_table_dir(table), PyFileSystem(FSSpecHandler(files.fs_client)))
