"""A Parquet file whose row groups are not as small as the answers that its rows come in."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Of each column of each row group the writer holds 1 kB until the file is closed, and DuckDB 5 kB when it reads it;
# row groups of 200 rows take eight times the processor of those of 3,000.
_BYTES_OF_A_ROW_GROUP = 8_000_000


class RowGroups:
    """Rows on their way into a file, which there is once a row group is full, or the file is closed with any rows.

    Arrow's tables must not be views of larger buffers, or more memory is held than is counted.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._nbytes = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        """Adds rows of the schema, after those before."""
        self.rows += rows.num_rows
        self._waiting.append(rows)
        self._nbytes += rows.nbytes
        if self._nbytes >= _BYTES_OF_A_ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Writes what waits."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def drop(self) -> None:
        """Deletes the file, and forgets what waits."""
        self._waiting.clear()
        if self._writer is not None:
            self._writer.close()
        self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._writer = self._writer or pq.ParquetWriter(self.path, self._schema)
        self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting.clear()
        self._nbytes = 0
