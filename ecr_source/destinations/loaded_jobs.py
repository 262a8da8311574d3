"""Whether the rows of a load job are in the destination, though nobody was told so when they were committed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from dlt.common.schema import Schema
from dlt.common.schema.typing import C_DLT_LOAD_ID
from dlt.common.storages import FileStorage
from dlt.common.storages.load_package import ParsedLoadJobFileName

from ecr_source.catalog import RECORD_TABLES, RUN_TABLES, TABLES
from ecr_source.destinations.warehouse import SqlClient

_READ_AT = "extracted_at"
_KEYS = {table.name: (*table.key, _READ_AT) for table in TABLES}
_KEYS |= {table.name: table.key for table in RUN_TABLES}
_KEYS |= {table.name: (*table.key, _READ_AT) for table in RECORD_TABLES}
"""What no two rows of a table share, whichever run read them."""


def is_loaded(client: SqlClient, schema: Schema, load_id: str, path: Path) -> bool:
    """Whether the rows of the job whose file is at `path` are in its table, in the dataset that `client` is set to.

    A job is one transaction: either all of its rows are there, or none.
    """
    job = ParsedLoadJobFileName.parse(str(path))
    key = _key_of_a_row(schema, load_id, path, job)
    return key is not None and _has(client, job.table_name, key)


def _key_of_a_row(schema: Schema, load_id: str, path: Path, job: ParsedLoadJobFileName) -> dict[str, Any] | None:
    """What tells a row of the job from those of any other; None if it has no rows that are to be found again."""
    if job.table_name == schema.state_table_name:  # one row a load; on Postgres dlt fails for good when it is there
        return {C_DLT_LOAD_ID: load_id}
    row = _first_row(path, job.file_format) if job.table_name in _KEYS else None
    if row is None or not row.get(_READ_AT, True):  # a marker: all that tell of the same are the same
        return None
    return {name: row[name] for name in _KEYS[job.table_name]}


def _first_row(path: Path, file_format: str) -> dict[str, Any] | None:
    """The first row of a job's file; None if it has none, or is no file of rows that were read from ECR."""
    if file_format == "parquet":
        with pq.ParquetFile(path) as file:
            first = next(file.iter_batches(1), None)
        return first.to_pylist()[0] if first is not None and first.num_rows else None
    if file_format == "csv":
        with FileStorage.open_zipsafe_ro(str(path), newline="") as lines:
            return next(csv.DictReader(lines), None)
    return None


def _has(client: SqlClient, table: str, values: dict[str, Any]) -> bool:
    condition = " AND ".join(f"{client.escape_column_name(name)} = %s" for name in values)
    sql = f"SELECT 1 FROM {client.make_qualified_table_name(table)} WHERE {condition} LIMIT 1"  # noqa: S608 (names of ours)
    return bool(client.execute_sql(sql, *values.values()))
