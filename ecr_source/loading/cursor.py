"""Where incremental loading goes on: a cursor for each scope, and for each repository that could not be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.typing import TTimeInterval
from dlt.extract.incremental import Incremental
from dlt.extract.pipe import Pipe

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.schema import TIMESTAMP
from ecr_source.catalog.table import Table
from ecr_source.extract.rows.spool import TableFile


def scheduled_interval() -> TTimeInterval | None:
    """The interval of the scheduler that runs this; None where there is none, or an empty one."""
    interval = dlt.current.interval()
    return interval if interval is not None and interval.start < interval.end else None


class ScopeCursor(Incremental[datetime]):
    """dlt's incremental on one table, with a cursor per scope instead of one for all."""

    def __init__(
        self, table: Table, cursor: str, *, scope: Scope, initial_value: datetime, end_value: datetime | None
    ) -> None:
        super().__init__(
            cursor,
            initial_value=initial_value,
            end_value=end_value,
            primary_key=table.key,
            # Rows without the cursor's value travel every time: a row too many can be found, a missing one cannot.
            on_cursor_value_missing="include",
            allow_external_schedulers=end_value is None and scheduled_interval() is not None,
        )
        self._scope = scope
        self.bind(Pipe(table.name))

    def get_state(self) -> Any:
        """dlt's state of a cursor, that of the scope; of a window dlt's own, which is kept nowhere."""
        if self.end_value is not None:
            return super().get_state()
        start = {"initial_value": self.initial_value, "last_value": self.initial_value}
        return self._of_scope("incremental", {**start, "start_value": self.initial_value, "unique_hashes": []})

    def missed(self) -> dict[str, datetime]:
        """The repositories that could not be read while the cursor went on, each with the cursor of that time."""
        missed: dict[str, datetime] = self._of_scope("missed", {})
        return missed

    def _of_scope(self, part: str, default: dict[str, Any]) -> Any:
        assert self.resource_name is not None
        scopes = dlt.current.resource_state(self.resource_name).setdefault(part, {})
        return scopes.setdefault(f"{self.cursor_path} {self._scope}", default)


class Missed:
    """Repositories that could not be read while the scope's cursor went on: each has the cursor of that time."""

    def __init__(self, file: TableFile, cursor_column: str, cursor: ScopeCursor) -> None:
        self._file = file
        self._cursor_column = cursor_column
        self._since = cursor.get_state()["last_value"]
        # A window is loaded once: there is no next run that would fetch what it missed.
        self.repositories: dict[str, datetime] = {} if cursor.end_value is not None else cursor.missed()

    def rows_of_repositories(self, rows: pa.Table) -> pa.Table:
        """Their rows that the scope's cursor has passed by, newer than the last of theirs that was loaded."""
        new = pa.repeat(pa.scalar(False), rows.num_rows)
        for name, since in self.repositories.items():
            newer = pc.greater(rows[self._cursor_column], pa.scalar(since, TIMESTAMP))
            new = pc.or_(new, pc.and_(pc.equal(self._names(rows), name), newer))
        return rows.filter(pc.and_(new, pc.less(rows[self._cursor_column], pa.scalar(self._since, TIMESTAMP))))

    def remember(self) -> None:
        """Forgets the repositories that were read now, and notes those that were not."""
        for name in set(self.repositories) - set(self._file.excepted):
            del self.repositories[name]
        for name in self._file.excepted:
            self.repositories.setdefault(name, self._since)

    def _names(self, rows: pa.Table) -> pa.ChunkedArray:
        column = self._file.repository_column
        return rows[column] if column else pa.chunked_array([pa.nulls(rows.num_rows, pa.string())])
