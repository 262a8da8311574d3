"""A lake: what its tables can take, and how they are read, without extensions of DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import dlt
import pyarrow as pa
from dlt.common.destination.client import JobClientBase
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.destinations.impl.filesystem.configuration import FilesystemDestinationClientConfiguration
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from dlt.destinations.impl.filesystem.sql_client import FilesystemSqlClient

from ecr_source.destinations.s3 import check_bucket
from ecr_source.destinations.warehouse import SNAPSHOT, SqlClient, Warehouse

PARQUET = "Parquet"
"""The format of tables that are files and nothing else."""


class Lake(Warehouse):
    """Files in a folder or a bucket: dlt's destination filesystem."""

    def check_can_be_made(self, pipeline: dlt.Pipeline, client: JobClientBase) -> None:
        """Checks that its bucket is there.

        Raises:
            DestinationUnusable: it is not.
        """
        assert isinstance(client, FilesystemClient)
        check_bucket(client)

    def check_table_format(self, table_format: str) -> None:
        """Does nothing: a lake can have tables of all formats."""

    def tables_called(self, table_format: str | None) -> str:
        """What a message calls the tables of this format."""
        return f"{table_format} tables" if table_format else f"plain {PARQUET} files"

    def instead_of(self, mode: str) -> str:
        """What can be used where its tables cannot be loaded in this mode."""
        if mode == SNAPSHOT:
            return "--table-format delta, or --mode incremental"
        return "--mode snapshot with --table-format delta, or another destination, such as duckdb or postgres"

    def replaces_by_key_with(self, table_format: str | None) -> Literal["upsert", "delete-insert"]:
        """The way of merging that replaces rows by a key of several columns."""
        # Delta has no other way. Not in Iceberg: pyiceberg cannot look for a row whose cursor is NULL.
        return "upsert" if table_format == "delta" else "delete-insert"

    def table_format_of(self, pipeline: dlt.Pipeline, table: str) -> str | None:
        """The format of a table: `delta`, `iceberg` or `PARQUET`; None if there is no such table."""
        with pipeline.destination_client() as files:
            assert isinstance(files, FilesystemClient)
            return _format(files, table)

    def format_called(self, table_format: str | None) -> str:
        """The name of the format that tables get."""
        return table_format or PARQUET

    @contextmanager
    def open_tables(self, pipeline: dlt.Pipeline) -> Iterator[SqlClient]:
        """An SQL client of the pipeline's dataset that needs no extension of DuckDB."""
        with pipeline.destination_client() as files:
            assert isinstance(files, FilesystemClient)
            with _LakeSqlClient(files, files.dataset_name) as client:
                yield client

    def _configured_place(self) -> str:
        configuration = self.destination.configuration(self.destination.spec(), accept_partial=True)
        assert isinstance(configuration, FilesystemDestinationClientConfiguration)
        return super()._configured_place() if configuration.is_local_filesystem else configuration.bucket_url


class _LakeSqlClient(FilesystemSqlClient):
    """dlt's DuckDB over a lake, that needs no `delta_scan`, `iceberg_scan` or `httpfs`.

    Tables are found by what lies in their folders: dlt's schema knows only the tables of pipelines of its own name.
    """

    def create_secret(self, *_: Any, **__: Any) -> bool:
        """None is needed: DuckDB reads files by the file system that dlt writes them with."""
        if not self.remote_client.config.is_local_filesystem:
            self._register_filesystem(self.remote_client.fs_client, self.remote_client.config.protocol)
        return True

    def create_views_for_tables(self, tables: dict[str, str]) -> None:
        """Shows each table to DuckDB under its name; one that the lake does not have stays unknown."""
        for table in tables:
            rows = self._rows(table)
            if rows:
                self._conn.execute(f"CREATE OR REPLACE VIEW {self.make_qualified_table_name(table)} AS FROM {rows}")

    def _rows(self, table: str) -> str:
        """The rows of a table, for FROM; empty, if there is no such table."""
        files = self.remote_client
        match _format(files, table):
            case "delta":
                return self._delta_table(table)
            case "iceberg":
                return self._registered(table, _iceberg_table(files, table))
            case "Parquet":
                paths = [path for path in _paths(files, table) if path.endswith(".parquet")]
                local = files.config.is_local_filesystem
                return self._read(paths if local else [files.make_remote_url(path) for path in paths])
        return ""

    def _delta_table(self, table: str) -> str:
        from deltalake import DeltaTable
        from dlt.common.libs.deltalake import deltalake_storage_options

        config = self.remote_client.config
        options = deltalake_storage_options(config.credentials, config.deltalake_storage_options)
        location = self.remote_client.get_open_table_location("delta", table)
        found = DeltaTable(location, storage_options=options)
        # Arrow does not compare texts with those that delta-rs has written in a merge; DuckDB does.
        if urls := found.file_uris():
            return self._read(urls)
        return self._registered(table, pa.schema(found.schema().to_arrow()).empty_table())

    def _registered(self, table: str, rows: pa.Table) -> str:
        self._conn.register(f"{table} as Arrow", rows)
        return str(self.escape_column_name(f"{table} as Arrow"))

    def _read(self, urls: Sequence[str]) -> str:
        listed = ", ".join(str(self.capabilities.escape_literal(url)) for url in urls)
        return f"read_parquet([{listed}], union_by_name = true)"


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


def _iceberg_table(files: FilesystemClient, table: str) -> pa.Table:
    from dlt.common.libs.pyiceberg import evolve_table

    location = files.get_open_table_location("iceberg", table)
    catalog, name = files.get_open_table_catalog("iceberg"), f"{files.dataset_name}.{table}"
    return evolve_table(catalog, files.fs_client, files.config, name, location).scan().to_arrow()
