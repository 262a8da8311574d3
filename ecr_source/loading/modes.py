"""How the rows of complete files get into a table: the load modes, as items that dlt extracts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, cast

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.schema.typing import TWriteDispositionConfig
from dlt.extract.hints import TResourceHints

from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.replacement import by_names, is_row
from ecr_source.errors import ConfigurationError
from ecr_source.extract.rows.spool import TableFile
from ecr_source.loading.current import current_destination, current_loads, current_staging
from ecr_source.loading.cursor import Missed, ScopeCursor, scheduled_interval
from ecr_source.loading.markers import markers_of
from ecr_source.loading.row_versions import ROW_VERSION, row_versions
from ecr_source.nearest import nearest

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

    @property
    def of_records(self) -> Snapshot:
        """How rows that tell of the runs themselves, and change, get into their table."""
        return self

    def items(self, table: Table | RunTable, files: Sequence[TableFile]) -> Items:
        """The files as they are."""
        schema = arrow_schema(table)
        markers = markers_of(table, files, schema)
        if self.strategy == "cdc":
            condition = by_names(markers, table, current_destination().dialect)
            hints: dict[str, Any] = {"x-merge-destination-scope": condition}
            markers = markers.slice(0, 0)
        else:
            hints = _by_markers(table)
        yield from _staged([(file.path, file.rows) for file in files], markers, self.write_disposition, hints)


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

    @property
    def of_records(self) -> Snapshot:
        """How rows that tell of the runs themselves, and change, get into their table: when is no change."""
        return Snapshot()

    def items(self, table: Table, files: Sequence[TableFile]) -> Items:
        """The files with a column more: a hash of all columns but the volatile ones."""
        schema = arrow_schema(table).append(ROW_VERSION)
        rows = [(_with_row_versions(file, schema), file.rows) for file in files]
        yield from _staged(rows, markers_of(table, files, schema), None, _by_markers(table))


@dataclass(frozen=True)
class Appended:
    """Rows are added to those that are there."""

    unique_key: ClassVar = True
    write_disposition: ClassVar[TWriteDispositionConfig] = "append"

    def items(self, table: RunTable, files: Sequence[TableFile]) -> Items:
        """The rows, some at a time."""
        for file in files:
            yield from (pa.Table.from_batches([batch]) for batch in file.batches())
            file.delete()


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

    @property
    def of_records(self) -> Appended:
        """How rows that tell of the runs themselves, and change, get into their table: the newest counts."""
        return Appended()

    def items(self, table: Table, files: Sequence[TableFile]) -> Items:
        """The new rows; Arrow tables, because dlt's incremental does not look into files."""
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
            file.delete()

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
        near = nearest(name, MODE_NAMES)
        hint = f'did you mean "{near}"?' if near else f"it is one of {', '.join(MODE_NAMES)}"
        raise ConfigurationError(f'unknown mode "{name}": {hint}')
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


def _by_markers(table: Table | RunTable) -> dict[str, Any]:
    """The hints by which dlt's merge replaces what the markers among the rows name."""
    staged, replaced = is_row(table), current_destination().replaced_rows(table)
    if loaded := current_loads():
        dialect = current_destination().dialect
        staged += f" AND NOT {loaded.superseded(table, current_staging(table), dialect)}"
        replaced = f"({replaced} AND NOT {loaded.superseded(table, '{staging_table}', dialect)})"
    return {"x-merge-source-filter": staged, "x-merge-destination-scope": replaced}


def _staged(
    files: Sequence[tuple[Path, int]],
    markers: pa.Table,
    write_disposition: TWriteDispositionConfig | None,
    hints: Mapping[str, Any],
) -> Items:
    """The files, each with the number of its rows, and the markers beside them."""
    # Hints on an item would make a file and a job more.
    dlt.current.resource().apply_hints(write_disposition=write_disposition, additional_table_hints=dict(hints))
    empty = markers.schema.empty_table()
    if not files:
        yield empty
        return
    for path, rows in _small_ones_joined(files, markers):
        yield dlt.mark.with_file_import(str(path), "parquet", rows, empty)
        path.unlink()  # dlt has linked or copied it


def _small_ones_joined(files: Sequence[tuple[Path, int]], markers: pa.Table) -> Iterator[tuple[Path, int]]:
    """The files; those of few rows, as most scopes have, as one, with the markers."""
    yield from ((path, rows) for path, rows in files if rows > _FEW)
    joined = files[0][0].with_suffix(".joined.parquet")
    with pq.ParquetWriter(joined, markers.schema) as writer:
        waiting: list[pa.Table] = []
        count, total = 0, markers.num_rows
        for path, rows in files:
            if rows and rows <= _FEW:
                waiting.append(pq.ParquetFile(path).read())
                count, total = count + rows, total + rows
            if rows <= _FEW:
                path.unlink(missing_ok=True)
            if count > _FEW:
                writer.write_table(pa.concat_tables(waiting))
                waiting, count = [], 0
        # At the end: by its first row a file is known that was loaded before. Where dlt adds columns it loses a file
        # that has not even an empty row group.
        writer.write_table(pa.concat_tables([*waiting, markers]))
    yield joined, total


def _with_row_versions(file: TableFile, schema: pa.Schema) -> Path:
    assert isinstance(file.table, Table)
    table = file.table
    return file.replaced(
        schema,
        lambda batch: pa.RecordBatch.from_arrays([*batch.columns, row_versions(table, batch)], schema=schema),
    )
