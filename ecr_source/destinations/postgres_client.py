"""How rows get into a Postgres table: dlt's client, with a COPY that tells an empty text from NULL."""

from __future__ import annotations

import csv

from dlt.common.destination.client import LoadJob
from dlt.common.destination.configuration import CsvFormatConfiguration
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.storages.file_storage import FileStorage
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresCsvCopyJob


class ExactPostgresClient(PostgresClient):
    """dlt's client, but for how it copies files."""

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        return _CopyJob(file_path) if isinstance(job, PostgresCsvCopyJob) else job


class _CopyJob(PostgresCsvCopyJob):
    """Copies a CSV file in which all texts are quoted and NULL is not, as pyarrow writes them.

    dlt's own says FORCE_NULL, which takes a quoted empty text for NULL.
    """

    def run(self) -> None:
        client = self._job_client.sql_client
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
