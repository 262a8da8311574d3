"""What a walk asks of the runs before it, answered by the dataset that they have loaded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa

from ecr_source.aws.scopes import Scope
from ecr_source.catalog import TABLES
from ecr_source.catalog.table import Filling, Operation, Table
from ecr_source.extract.images.image_selection import Earlier
from ecr_source.loading.loaded.dataset import Dataset


class EarlierRuns(Earlier):
    """What a walk needs to know of a dataset."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def answers(self, operation: Operation, scope: Scope) -> pa.Table:
        """The rows of extraction_images, one for each image that was asked, with that table's Arrow schema."""
        return self._dataset.answers(operation, scope)

    def lacks(self, operation: Operation, scope: Scope) -> bool:
        """Whether a run of the last days was told that the operation is not offered in the scope."""
        return self._dataset.lacks(operation, scope)

    def resumes_at(self, table: Table, scope: Scope) -> str:
        """The repository at which the budget of the last run ended for `table`; empty if it did not."""
        return self._dataset.last_read(table, scope).resumes_at or ""

    def last_read(self, table: Table, scope: Scope) -> datetime:
        """When `table` was read last, completely or in part; `NEVER` if it was not."""
        return self._dataset.last_read(table, scope).started_at

    def last_tried(self, table: Table, scope: Scope) -> datetime:
        """When `table` was asked for last, whatever came of it; `NEVER` if it was not."""
        return self._dataset.last_tried(table, scope)

    def was_replaced(self, operation: Operation, scope: Scope) -> bool:
        """Whether the last run could not read the operation, so that another one was read instead."""
        notes = [self._dataset.last_read(table, scope).note for table in TABLES if operation in table.operations]
        return any(f"{operation.instead} was read instead: cannot call {operation} " in (note or "") for note in notes)

    def loaded_rows(self, table: Table, columns: Sequence[str], scope: Scope) -> pa.Table | None:
        """These columns of all rows of the table; None if it was never read."""
        return self._dataset.loaded_rows(table, columns, scope)

    def listed_items(
        self, table: Table, filling: Filling, scope: Scope, more_than: int
    ) -> dict[tuple[str, ...], int] | None:
        """How many items the listing of each of the `asked_columns` has that fills the table so, where there are more
        than so many; None if the table was never read."""
        return self._dataset.listed_items(table, filling, scope, more_than)

    def repositories(self, tables: Sequence[Table], scope: Scope) -> list[str]:
        """The repositories of which these tables have rows, as they are named in them."""
        return self._dataset.repositories(tables, scope)

    def names(self, names: pa.Array) -> pa.Array:
        """The names that images have in the tables."""
        return self._dataset.names(names)
