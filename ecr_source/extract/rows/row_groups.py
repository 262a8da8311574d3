"""A Parquet file whose row groups are not as small as the answers that its rows come in."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Of each column of each row group the writer holds 1 kB until the file is closed, and DuckDB up to 4 kB when it reads
# it: 500 MB with 10,000,000 findings. Row groups of 200 rows take five times the processor of those of 3,000.
_BYTES_OF_A_ROW_GROUP = 8_000_000

# Those of a file that is small as yet are smaller, down to these, so that less of it waits.
_BYTES_OF_A_FIRST_ROW_GROUP = 2_000_000

# What waits for all files together: more makes row groups smaller.
_BYTES_AT_MOST = 64_000_000

# What each column of each Arrow table takes besides its values.
_BYTES_OF_A_COLUMN = 800


class _Waiting:
    """How many bytes wait for all files together."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._lock = threading.Lock()

    def add(self, nbytes: int) -> None:
        """So many more wait, or, if negative, so many less."""
        with self._lock:
            self.nbytes += nbytes


_WAITING = _Waiting()


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
        self._written = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        """Adds rows of the schema, after those before."""
        self.rows += rows.num_rows
        self._waiting.append(rows)
        self._count(rows.nbytes + rows.num_columns * _BYTES_OF_A_COLUMN)
        full = min(max(self._written // 8, _BYTES_OF_A_FIRST_ROW_GROUP), _BYTES_OF_A_ROW_GROUP)
        if self._nbytes >= full or _WAITING.nbytes >= _BYTES_AT_MOST:
            self._flush()

    def close(self) -> None:
        """Writes what waits."""
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def drop(self) -> None:
        """Deletes the file, and forgets what waits."""
        self._forget()
        if self._writer is not None:
            self._writer.close()
        self.path.unlink(missing_ok=True)

    def __del__(self) -> None:
        _WAITING.add(-self._nbytes)  # where a run was interrupted it is not empty

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._writer = self._writer or pq.ParquetWriter(self.path, self._schema)
        self._writer.write_table(pa.concat_tables(self._waiting))
        self._written += self._nbytes
        self._forget()

    def _forget(self) -> None:
        self._waiting.clear()
        self._count(-self._nbytes)

    def _count(self, nbytes: int) -> None:
        self._nbytes += nbytes
        _WAITING.add(nbytes)


def give_back_memory() -> None:
    """Gives the memory that is free to the system: the allocator keeps what was freed, for each thread that took it."""
    pa.default_memory_pool().release_unused()
