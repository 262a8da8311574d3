"""A dataset of snapshot mode becomes one of history mode: each row the open version of itself since it was read."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator

import dlt
import pyarrow as pa

from ecr_source.catalog import TABLES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.warehouse import RowAddress, SqlClient
from ecr_source.errors import ConfigurationError
from ecr_source.loading.loaded.dataset import fetch_all
from ecr_source.loading.row_versions import ROW_VERSION, row_versions

_LOGGER = logging.getLogger(__name__)

_ROWS_AT_A_TIME = 20_000

_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = %s AND table_catalog = current_database()
"""
_ADDRESS = "address_of_row"
_COMPUTED = "computed_versions"
"""The temporary table in which the versions of a table's rows wait until they all are known."""

# The default is gone before there is a row that could keep it; DuckDB sets nothing to NOT NULL once rows were updated.
_CHANGES = f"""
ALTER TABLE {{table}} ADD COLUMN {ROW_VERSION.name} varchar DEFAULT '';
ALTER TABLE {{table}} ALTER COLUMN {ROW_VERSION.name} SET NOT NULL;
ALTER TABLE {{table}} ALTER COLUMN {ROW_VERSION.name} DROP DEFAULT;
ALTER TABLE {{table}} ADD COLUMN _dlt_valid_from timestamp with time zone;
ALTER TABLE {{table}} ADD COLUMN _dlt_valid_to timestamp with time zone;
UPDATE {{table}} SET {ROW_VERSION.name} = computed.version, _dlt_valid_from = extracted_at
FROM {_COMPUTED} AS computed WHERE {{table}}.{{address}} = computed.{_ADDRESS};
DROP TABLE {_COMPUTED};
DROP TABLE IF EXISTS {{staging_table}}
"""  # noqa: S608 (names of ours)


def is_converted(client: SqlClient) -> bool:
    """Whether tables in the dataset of `client` have versions of rows: some are enough, where it was interrupted."""
    return any(ROW_VERSION.name in columns for columns in _columns(client).values())


def is_unconverted(client: SqlClient) -> bool:
    """Whether tables in the dataset of `client` have no versions of rows."""
    return bool(_unconverted(client))


def convert_to_history(pipeline: dlt.Pipeline) -> None:
    """Makes each row of the pipeline's dataset the open version of itself since it was read, and says so.

    It has the `row_version` that a run in history mode would give it, so that this closes what changed and nothing
    else. A table is one transaction; what was converted before stays as it is. No other run loads meanwhile.

    Raises:
        ConfigurationError: a table has parts, in which rows of the same address would be taken for one.
    """
    destination = destination_of(pipeline)
    with destination.loading_alone(pipeline) as client:
        assert client
        assert destination.row_address
        # None, if another task has converted them while this one waited.
        tables = _unconverted(client)
        _check_are_whole(destination.tables_in_parts(client), tables, pipeline.dataset_name)
        rows = sum(_convert(client, destination.row_address, table, there) for table, there in tables.items())
    if tables:
        _LOGGER.warning(
            'the dataset "%s" was converted from snapshot to history mode: its rows, %s in %s tables, are open'
            " versions since they were read",
            *(pipeline.dataset_name, f"{rows:,}", len(tables)),
        )


def give_up_snapshot_of_history(pipeline: dlt.Pipeline, client: SqlClient) -> None:
    """Drops what waits to be loaded, if it was read in snapshot mode and the dataset of `client` was converted since.

    Raises:
        ConfigurationError: it was; it would have deleted versions of rows.
    """
    if is_converted(client) and _replaces_rows(pipeline):
        pipeline.abort_packages()
        raise ConfigurationError(
            f'the dataset "{pipeline.dataset_name}" was converted to history mode while a run in snapshot mode waited'
            " to be loaded, which was given up: go on with history mode"
        )


def drop_staging_without_versions(client: SqlClient) -> None:
    """Drops the staging tables that cannot take versions of rows, of tables in the dataset of `client` that have them.

    dlt makes a staging table of what it knows of each table, and of one that had no row since it was converted it knows
    no versions. With the first row it would add the column as NOT NULL, which DuckDB refuses; what is dropped it makes
    anew.
    """
    versioned = {name for name, columns in _columns(client).items() if ROW_VERSION.name in columns}
    with client.with_staging_dataset():
        for table in _unconverted(client):
            if table.name in versioned:
                client.execute_sql(f"DROP TABLE {client.make_qualified_table_name(table.name)}")


def _replaces_rows(pipeline: dlt.Pipeline) -> bool:
    """Whether something waits that was read in snapshot mode."""
    names = {table.name for table in TABLES}
    packages = map(pipeline.get_load_package_info, pipeline.list_normalized_load_packages())
    return any(
        job.job_file_info.table_name in names
        and package.schema.tables[job.job_file_info.table_name].get("x-merge-strategy") == "delete-insert"
        for package in packages
        for jobs in package.jobs.values()
        for job in jobs
    )


def _columns(client: SqlClient) -> dict[str, set[str]]:
    """The columns of each table in the dataset."""
    found: dict[str, set[str]] = {}
    for table, column in client.execute_sql(_COLUMNS, client.dataset_name) or ():
        found.setdefault(table, set()).add(column)
    return found


def _unconverted(client: SqlClient) -> dict[Table, set[str]]:
    """The tables that have no versions of rows, with the columns that they have."""
    there = _columns(client)
    return {
        table: there[table.name]
        for table in TABLES
        if table.name in there and ROW_VERSION.name not in there[table.name]
    }


def _check_are_whole(in_parts: Collection[str], tables: Iterable[Table], dataset: str) -> None:
    names = [table.name for table in tables if table.name in in_parts]
    if names:
        raise ConfigurationError(
            f'the dataset "{dataset}" cannot be converted to history mode, because it has partitioned tables:'
            f" make {' and '.join(names)} whole, or load into another dataset"
        )


def _convert(client: SqlClient, address: RowAddress, table: Table, there: set[str]) -> int:
    """Converts a table with these columns; how many rows it has."""
    name, staging = client.get_qualified_table_names(table.name)
    rows = 0
    with client.begin_transaction():
        client.execute_sql(f"CREATE TEMPORARY TABLE {_COMPUTED} ({_ADDRESS} {address.type}, version varchar)")
        for batch in _batches(client, name, address, table, there):
            rows += batch.num_rows
            versions = row_versions(table, batch.drop_columns([_ADDRESS]))
            client.execute_sql(
                f"INSERT INTO {_COMPUTED}"
                f" SELECT CAST(unnest(string_to_array(%s, ' ')) AS {address.type}), unnest(string_to_array(%s, ' '))",
                # As texts: to bind a list of 20,000, DuckDB takes 2 s.
                *(" ".join(texts.to_pylist()) for texts in (batch[_ADDRESS], versions)),
            )
        for statement in _CHANGES.format(table=name, staging_table=staging, address=address.column).split(";"):
            client.execute_sql(statement)
    return rows


def _batches(
    client: SqlClient, name: str, address: RowAddress, table: Table, there: set[str]
) -> Iterator[pa.RecordBatch]:
    """The rows of the table, some at a time, with their addresses; columns that are not there are NULL."""
    schema = pa.schema([(_ADDRESS, pa.string()), *arrow_schema(table)])
    columns = ", ".join(client.escape_column_name(column) if column in there else "NULL" for column in schema.names[1:])
    query = (
        f"SELECT CAST({address.column} AS varchar) AS {_ADDRESS}, {columns} FROM {name}"  # noqa: S608 (names of ours)
        f" WHERE {address.column} > CAST(%s AS {address.type}) ORDER BY {address.column} LIMIT {_ROWS_AT_A_TIME}"
    )
    last = address.before_all
    while True:
        with client.execute_query(query, last) as cursor:
            rows = fetch_all(cursor, schema)
        if not rows.num_rows:
            return
        yield from rows.combine_chunks().to_batches()
        last = rows[_ADDRESS][-1].as_py()
