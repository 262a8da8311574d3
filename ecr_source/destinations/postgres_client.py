"""How rows get into a Postgres table: dlt's client, with a COPY that tells an empty text from NULL, and only once."""

from __future__ import annotations

import csv
from pathlib import Path

from dlt.common.destination.client import LoadJob, RunnableLoadJob
from dlt.common.destination.configuration import CsvFormatConfiguration
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.storages.file_storage import FileStorage
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresCsvCopyJob
from dlt.destinations.insert_job_client import InsertValuesLoadJob

from ecr_source.destinations.loaded_jobs import is_loaded
from ecr_source.destinations.warehouse import SqlClient


class ExactPostgresClient(PostgresClient):
    """dlt's client, but for how it loads files."""

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        if isinstance(job, PostgresCsvCopyJob):
            return _CopyJob(file_path)
        return _InsertJob(file_path) if isinstance(job, InsertValuesLoadJob) else job


class _InsertJob(InsertValuesLoadJob):
    """Inserts rows that are not there yet."""

    def run(self) -> None:
        if not _was_committed(self, self._job_client.sql_client):
            super().run()


class _CopyJob(PostgresCsvCopyJob):
    """Copies a CSV file in which all texts are quoted and NULL is not, as pyarrow writes them.

    dlt's own says FORCE_NULL, which takes a quoted empty text for NULL.
    """

    def run(self) -> None:
        client = self._job_client.sql_client
        if _was_committed(self, client):
            return
        written = self._job_client.config.csv_format or CsvFormatConfiguration()
        with FileStorage.open_zipsafe_ro(self._file_path, "rb") as file:
            header = file.readline().decode(written.encoding)
            (names,) = csv.reader([header], delimiter=written.delimiter)
            columns = ", ".join(client.escape_column_name(name) for name in names)
            table = client.make_qualified_table_name(self.load_table_name)
            copy = (
                f"COPY {table} ({columns}) FROM STDIN"
                f" WITH (FORMAT csv, DELIMITER '{written.delimiter}', ENCODING '{written.encoding}')"
            )
            with client.begin_transaction(), client.native_connection.cursor() as cursor:
                cursor.copy_expert(copy, file)


def _was_committed(job: RunnableLoadJob, client: SqlClient) -> bool:
    """Whether an earlier try was, which nobody knows where the connection is lost meanwhile."""
    is_retried = job.job_file_info().retry_count > 0
    return is_retried and is_loaded(client, job._schema, job._load_id, Path(job._file_path))
