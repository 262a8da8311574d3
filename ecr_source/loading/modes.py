"""How the rows of complete files get into a table: the load modes, as items that dlt extracts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, cast

import dlt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.schema.typing import TWriteDispositionConfig
from dlt.extract.hints import TResourceHints

from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.destinations.literals import literal
from ecr_source.errors import ConfigurationError
from ecr_source.extract.spool import TableFile
from ecr_source.loading.current import current_destination
from ecr_source.loading.cursor import Missed, ScopeCursor, scheduled_interval

ROW_VERSION = pa.field("row_version", pa.string(), nullable=False)

# dlt takes 50 ms for a file, however small it is.
_FEW = 20_000

Items: TypeAlias = Iterator[Any]
"""What a dlt resource yields: Arrow tables, or files and hints marked by `dlt.mark`."""


@dataclass(frozen=True)
class Snapshot:
    """Afterwards the table equals the registry: every scope that was read to its end is replaced whole."""

    strategy: Literal["delete-insert", "cdc", "upsert"] = "delete-insert"

    name: ClassVar = "snapshot"
    unique_key: ClassVar = True

    @property
    def write_disposition(self) -> TWriteDispositionConfig:
        """A merge whose rows are taken as they are."""
        # The spool has de-duplicated, and dlt's window function takes 600 MB at 1,000,000 rows.
        merge: Any = {"disposition": "merge", "strategy": self.strategy, "deduplicated": True}
        return cast("TWriteDispositionConfig", merge)

    def items(self, table: Table, files: Sequence[TableFile]) -> Items:
        """The files as they are."""
        # Delta's merge joins the rows of the table with the new ones, which have the same columns.
        qualifier = "{table}." if self.strategy == "cdc" else ""
        paths = [file.path for file in files]
        yield from _replace(files, arrow_schema(table), paths, qualifier, self.write_disposition)


@dataclass(frozen=True)
class History:
    """Every change of a row closes one version of it and opens another (dlt's scd2)."""

    name: ClassVar = "history"
    unique_key: ClassVar = False
    strategy: ClassVar[str] = "scd2"
    write_disposition: ClassVar[TWriteDispositionConfig] = {
        "disposition": "merge",
        "strategy": "scd2",
        "row_version_column_name": ROW_VERSION.name,
    }

    def items(self, table: Table, files: Sequence[TableFile]) -> Items:
        """The files with a column more: a hash of all columns but the volatile ones."""
        schema = arrow_schema(table).append(ROW_VERSION)
        yield from _replace(files, schema, [_with_row_versions(file, schema) for file in files])


@dataclass(frozen=True)
class IncrementalAppend:
    """Rows that are newer than the newest of the last run are appended.

    Each scope has a cursor of its own, so that one which could not be read, or is new, misses nothing. A scope without
    a cursor starts at `initial_value`.

    With `end_value` exactly this window is loaded and no cursor is kept; the interval of a scheduler
    (`dlt.current.interval`, Airflow's data interval) is such a window too. When a window is loaded again, as after a
    task was killed, its rows are replaced, where the destination can replace rows. Tables without a time of their own
    belong to no window: each window that is loaded replaces them whole.
    """

    initial_value: datetime
    end_value: datetime | None
    table_format: str | None = None

    name: ClassVar = "incremental"
    unique_key: ClassVar = True
    strategy: ClassVar = None
    write_disposition: ClassVar[TWriteDispositionConfig] = "append"

    def items(self, table: Table, files: Sequence[TableFile]) -> Items:
        """The new rows; Arrow tables, because dlt's incremental does not look into files."""
        if not files:
            return
        snapshot, destination = _snapshot(self.table_format), current_destination()
        is_whole = table.cursor is None and not table.is_asked_again
        if self._is_window and is_whole and destination.supports(snapshot.strategy):
            yield from snapshot.items(table, files)
            return
        empty = arrow_schema(table).empty_table()
        replaces = self._is_window and table.cursor is not None and destination.supports(self._by_key.strategy)
        yield dlt.mark.with_hints(empty, self._replacing(table)) if replaces else empty
        for file in files:
            yield from self._new_rows(table, file)
            file.path.unlink()

    @property
    def _is_window(self) -> bool:
        return self.end_value is not None or scheduled_interval() is not None

    @property
    def _by_key(self) -> Snapshot:
        return Snapshot(current_destination().replaces_by_key_with(self.table_format))

    def _replacing(self, table: Table) -> TResourceHints:
        # With the cursor in the key a repository that was deleted and created again stays two rows.
        return dlt.mark.make_hints(
            primary_key=(*table.key, str(table.cursor)), write_disposition=self._by_key.write_disposition
        )

    def _new_rows(self, table: Table, file: TableFile) -> Items:
        batches = (pa.Table.from_batches([batch]) for batch in file.batches())
        if table.cursor is None:
            # Without a time of its own a row cannot be known to be new: such tables append what was read.
            yield from batches
            return
        cursor = ScopeCursor(
            table, table.cursor, scope=file.scope, initial_value=self.initial_value, end_value=self.end_value
        )
        missed = Missed(file, table.cursor, cursor)
        for rows in batches:
            if missed.repositories:
                yield missed.rows_of_repositories(rows)
            yield cursor(rows)
        missed.remember()


Mode: TypeAlias = Snapshot | History | IncrementalAppend

MODE_NAMES = (Snapshot.name, IncrementalAppend.name, History.name)


def parse_mode(
    name: str,
    initial_value: str | datetime | None,
    end_value: str | datetime | None,
    table_format: str | None = None,
) -> Mode:
    """The load mode of this name; the values are `created_at` timestamps in ISO 8601 and belong to incremental mode.

    Raises:
        ConfigurationError: unknown mode; a value that is no timestamp, or does not belong to the mode.
    """
    if name not in MODE_NAMES:
        raise ConfigurationError(f'unknown mode "{name}": it is one of {", ".join(MODE_NAMES)}')
    if name == IncrementalAppend.name:
        return _parse_incremental(initial_value, end_value, table_format)
    if initial_value is not None or end_value is not None:
        raise ConfigurationError(f"an initial or end value belongs to incremental mode, not to {name}")
    if name == History.name:
        return History()
    return _snapshot(table_format)


def _snapshot(table_format: str | None) -> Snapshot:
    # The one strategy that replaces a scope of a Delta table.
    return Snapshot("cdc" if table_format == "delta" else "delete-insert")


def _parse_incremental(
    initial_value: str | datetime | None, end_value: str | datetime | None, table_format: str | None
) -> IncrementalAppend:
    initial, end = _parse_timestamp(initial_value), _parse_timestamp(end_value)
    if end is not None and initial is None:
        raise ConfigurationError("an end value needs an initial value: together they are the window to load")
    if end is not None and initial is not None and end <= initial:
        raise ConfigurationError(
            f"the end value {end.isoformat()} is not after the initial value {initial.isoformat()}"
        )
    return IncrementalAppend(initial or datetime.fromtimestamp(0, UTC), end, table_format)


def _parse_timestamp(value: str | datetime | None) -> datetime | None:
    if value is None:
        return None
    try:
        parsed = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except ValueError as error:
        raise ConfigurationError(f'"{value}" is not a timestamp in ISO 8601, such as 2026-01-31T00:00:00Z') from error
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def _replace(
    files: Sequence[TableFile],
    schema: pa.Schema,
    paths: Sequence[Path],
    qualifier: str = "",
    write_disposition: TWriteDispositionConfig | None = None,
) -> Items:
    """The files, and before them the condition that says which rows they may delete or retire."""
    if not files:
        return
    dialect = current_destination().dialect
    # In one pair of parentheses, because dlt joins it with AND.
    condition = "(" + " OR ".join(_rows_of(file, dialect, qualifier) for file in files) + ")"
    empty = schema.empty_table()
    # Hints on an item would make a file and a job more.
    dlt.current.resource().apply_hints(
        write_disposition=write_disposition, additional_table_hints={"x-merge-destination-scope": condition}
    )
    counts = [file.rows for file in files]
    for path, rows in _small_ones_joined(list(zip(paths, counts, strict=True)), schema):
        yield dlt.mark.with_file_import(str(path), "parquet", rows, empty)
        path.unlink()  # dlt has linked or copied it


def _small_ones_joined(files: Sequence[tuple[Path, int]], schema: pa.Schema) -> Iterator[tuple[Path, int]]:
    """The files, each with the number of its rows; those of few rows, as most scopes have, as one."""
    yield from ((path, rows) for path, rows in files if rows > _FEW)
    few = [(path, rows) for path, rows in files if rows <= _FEW]
    if len(few) == 1 and few[0][1]:
        yield few[0]
    elif few:
        joined = few[0][0].with_suffix(".joined.parquet")
        with pq.ParquetWriter(joined, schema) as writer:
            # Where dlt adds columns it loses a file that has not even an empty row group.
            waiting, count = [schema.empty_table()], 0
            for path, rows in few:
                if rows:
                    waiting.append(pq.ParquetFile(path).read())
                    count += rows
                path.unlink()
                if count > _FEW:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting, count = [schema.empty_table()], 0
            writer.write_table(pa.concat_tables(waiting))
        yield joined, sum(rows for _, rows in few)


def _rows_of(file: TableFile, dialect: str | None, qualifier: str) -> str:
    equal = {"registry_id": file.scope.registry_id, "region": file.scope.region, **file.constants}
    columns = [name for name in equal if name in file.table.columns]
    conditions = [f"{qualifier}{name} = {literal(equal[name], dialect)}" for name in columns]
    for names, wanted in ((file.named, "IN"), (file.excepted or None, "NOT IN")):
        if names is not None:
            listed = ", ".join(literal(name, dialect) for name in names)
            conditions.append(f"{qualifier}{file.repository_column} {wanted} ({listed})")
    return f"({' AND '.join(conditions)})"


def _with_row_versions(file: TableFile, schema: pa.Schema) -> Path:
    path = file.path.with_suffix(".versions.parquet")
    hashed = [name for name in file.table.columns if name not in file.table.volatile] + ["unmodelled"]
    with pq.ParquetWriter(path, schema) as writer:
        for batch in file.batches():
            versions = pa.array(_row_versions(batch.select(hashed)), pa.string())
            writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, versions], schema=schema))
    file.path.unlink()
    return path


def _row_versions(rows: pa.RecordBatch) -> Iterator[str]:
    columns = [
        (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for column in rows.columns
    ]
    for row in zip(*columns, strict=True):
        yield hashlib.blake2b(orjson.dumps(row), digest_size=16).hexdigest()
