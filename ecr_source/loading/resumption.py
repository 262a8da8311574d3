"""What a killed run had loaded without noting it, so that the next does not load it a second time."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dlt
import pyarrow.parquet as pq
from dlt.common.schema import Schema
from dlt.common.schema.typing import C_DLT_LOAD_ID
from dlt.common.storages import FileStorage, PackageStorage
from dlt.common.storages.load_package import LoadJobInfo
from dlt.destinations.sql_client import SqlClientBase

from ecr_source.catalog import EXTRACTION_IMAGES, RUN_TABLES, TABLES

_KEYS = {table.name: (*table.key, "extracted_at") for table in TABLES}
_KEYS |= {table.name: table.key for table in RUN_TABLES}
_KEYS[EXTRACTION_IMAGES.name] = (*EXTRACTION_IMAGES.key, "extracted_at")
"""What no two rows of a table share, whichever run read them."""


def note_loaded_jobs(pipeline: dlt.Pipeline) -> None:
    """Marks the jobs that were under way when a run was killed, and whose rows are in the destination.

    dlt notes that a job is done when the destination has committed it, and runs it again if a run was killed in
    between. A job is one statement: either all of its rows are there, or none. The notes of jobs that the killed run
    had already put away are forgotten: dlt would report an error for each.
    """
    for load_id in pipeline.list_normalized_load_packages():
        package = pipeline.get_load_package_info(load_id)
        normalized = Path(package.package_path).parent
        storage = PackageStorage(FileStorage(str(normalized)), "normalized")
        noted = storage.list_pending_transitions(load_id)
        started = {Path(job.file_path).name: job for job in package.jobs["started_jobs"]}
        for name in set(noted) - set(started):
            storage.clear_pending_transition(load_id, name)
        for name, job in started.items():
            if name not in noted and _is_loaded(pipeline, package.schema, load_id, job):
                storage.save_pending_transition(load_id, name, "completed")


def _is_loaded(pipeline: dlt.Pipeline, schema: Schema, load_id: str, job: LoadJobInfo) -> bool:
    table = job.job_file_info.table_name
    key = _key_of_a_row(schema, load_id, job)
    if key is None:
        return False
    with pipeline.sql_client() as client, ExitStack() as stack:
        if schema.tables[table].get("write_disposition") == "merge":
            stack.enter_context(client.with_staging_dataset())
        return _has(client, table, key)


def _key_of_a_row(schema: Schema, load_id: str, job: LoadJobInfo) -> dict[str, Any] | None:
    """What tells a row of the job from those of any other; None if it has no rows that are to be found again."""
    table = job.job_file_info.table_name
    if table == schema.state_table_name:  # one row a load; on Postgres dlt fails for good when it is there already
        return {C_DLT_LOAD_ID: load_id}
    row = _first_row(Path(job.file_path), job.job_file_info.file_format) if table in _KEYS else None
    return {name: row[name] for name in _KEYS[table]} if row else None


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


def _has(client: SqlClientBase[Any], table: str, values: dict[str, Any]) -> bool:
    condition = " AND ".join(f"{client.escape_column_name(name)} = %s" for name in values)
    sql = f"SELECT 1 FROM {client.make_qualified_table_name(table)} WHERE {condition} LIMIT 1"  # noqa: S608 (names of ours)
    return bool(client.execute_sql(sql, *values.values()))
