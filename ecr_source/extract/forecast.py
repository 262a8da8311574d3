"""What reading a scope would ask now: its repositories are listed, and all else is counted by what is loaded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_source import catalog
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import EachRow, EachValue, Operation, Table
from ecr_source.catalog.tables.image import IMAGE_TAGS
from ecr_source.catalog.tables.repository import REPOSITORIES
from ecr_source.extract.images.image_selection import IMAGE, newest_of_each_image
from ecr_source.extract.images.portions import plain
from ecr_source.extract.operations.questions import ForRows, Listing, Nothing, NothingThere, Parents, calls_for, rows_of
from ecr_source.extract.operations.reading import Reading
from ecr_source.extract.results import ReadError
from ecr_source.extract.rows.spool import TableFile
from ecr_source.extract.scope_walk import ScopeWalk, stages_of
from ecr_source.statuses import FAILED, GONE, READ

_ROWS_AT_A_TIME = 10_000


@dataclass(frozen=True)
class CallCount:
    """How many calls an operation would be: at least, where `unknown` says what earlier runs have not told."""

    operation: Operation
    calls: int
    unknown: str = ""


@dataclass(frozen=True)
class Forecast:
    """The calls that reading a scope would be.

    `unreadable` are the listings of repositories that cannot be read, with the reason; `errors` and `matched` are those
    of the other ones.
    """

    counts: list[CallCount]
    unreadable: dict[Operation, str]
    errors: list[ReadError]
    matched: frozenset[str]

    def why_unknown(self, operation: Operation) -> str:
        """Why nothing is known of the operation; empty if something is."""
        while operation.parent is not None:
            operation = operation.parent.operation
        return self.unreadable.get(operation, "")


class ScopeForecast(ScopeWalk):
    """One scope, of which nothing is read but its repositories, what else tells what to ask and is not loaded, and what
    says whether an operation tells something."""

    def forecast(self) -> Forecast:
        """The calls that `read` would make, if nothing has changed since what is loaded was."""
        stages = stages_of(catalog.operations_of(self._tables, self._selection.without))
        counts = [self._count(operation) for stage in stages for operation in stage if self._is_wanted(operation)]
        listings = [reading for operation, reading in self._readings.items() if operation.names]
        read = [reading for reading in listings if reading.status in READ]
        return Forecast(
            counts,
            {
                one.operation: one.failures.errors[0].message
                for one in listings
                if one not in read and one.failures.errors
            },
            [error for reading in read for error in reading.failures.errors],
            frozenset(pattern for reading in read for pattern in reading.matched),
        )

    def _count(self, operation: Operation) -> CallCount:
        made_before = self._made()
        if operation.names or any(operation in table.operations for table in catalog.LISTINGS):
            self._read_stage([operation])
            return CallCount(operation, self._made() - made_before)
        reading = self._begin(operation)
        try:
            count = self._count_question(reading)
        finally:
            reading.discard()
        return replace(count, calls=count.calls + self._made() - made_before)

    def _count_question(self, reading: Reading) -> CallCount:
        operation = reading.operation
        parents = self._loaded_parents(reading)
        match reading.question(parents):
            case EachValue(_, values):
                return CallCount(operation, len(values))
            case ForRows(each, file):
                return self._count_rows(reading, each, file)
            case Listing() if self._selection.earlier.was_replaced(operation, self._api.scope):
                reading.status = FAILED
                return CallCount(operation, 1)
            case Listing():
                return self._count_pages(operation)
            case NothingThere():
                return CallCount(operation, 0)
            case Nothing(status):
                reading.status = status
        if operation.parent is None or reading.status not in READ:
            return CallCount(operation, 0)
        unknown = f"calls for {operation.parent.name}, which were never loaded"
        if operation.again and operation.again.bounded and self._selection.bounds.latest is not None:
            listed = self._readings[REPOSITORIES.operation].files[REPOSITORIES].rows
            unknown = f"up to {self._selection.bounds.latest * listed:,} {unknown}"
        return CallCount(operation, 0, unknown)

    def _made(self) -> int:
        """How many calls were made, that a run would make too."""
        return sum(usage.calls - usage.retried for usage in self._api.usage.values())

    # what is loaded, in the place of what would be read

    def _loaded_parents(self, reading: Reading) -> Parents | None:
        operation = reading.operation
        parents = self._parents(operation)
        if parents is None or operation.parent is None or parents.file is not None or parents.status not in READ:
            return parents
        columns = reading.columns if isinstance(operation.each, EachRow) else list(IMAGE)
        rows = self._selection.earlier.loaded_rows(operation.parent, columns, self._api.scope)
        if rows is None and operation.again:
            rows = self._images_asked(operation, columns)
        tags: pa.Table | None = None
        if operation.again and operation.again.bounded and self._selection.bounds.look_at_tags:
            tags = self._selection.earlier.loaded_rows(IMAGE_TAGS, [*IMAGE, "image_tag"], self._api.scope)
            rows = rows if tags is not None or self._selection.bounds.tag is None else None
        if rows is None:
            return parents
        return replace(
            parents,
            file=self._written(operation.parent, rows),
            tags=self._written(IMAGE_TAGS, tags) if tags is not None else None,
        )

    def _images_asked(self, operation: Operation, columns: Sequence[str]) -> pa.Table | None:
        """These columns of the images that were asked, which were there then, with NULL where that was not noted."""
        answers = self._selection.earlier.answers(operation, self._api.scope)
        if not answers.num_rows:
            return None
        answers = newest_of_each_image(plain(answers))
        answers = answers.filter(pc.not_equal(answers["outcome"], GONE))
        noted = dict(zip(answers.column_names, answers.columns, strict=True))
        assert operation.parent is not None
        schema = pa.schema([arrow_schema(operation.parent).field(name) for name in columns])
        return pa.table([noted.get(one.name, pa.nulls(answers.num_rows, one.type)) for one in schema], schema)

    def _written(self, table: Table, rows: pa.Table) -> TableFile:
        """The rows, of repositories that were listed, as the file of a table."""
        if table.operation.parent is not None:
            listed = rows_of(self._readings[REPOSITORIES.operation].files[REPOSITORIES], ["repository_name"])
            rows = rows.filter(pc.is_in(rows["repository_name"], self._in_tables(listed["repository_name"])))
        path = self._selection.folder / f"{self._api.scope.registry_id} {self._api.scope.region} {table.name}.parquet"
        pq.write_table(rows, path)
        return TableFile(table, self._api.scope, path, rows.num_rows, datetime.now(UTC))

    def _in_tables(self, names: pa.ChunkedArray) -> pa.Array:
        return self._selection.earlier.names(pa.concat_arrays([pa.array([], pa.string()), *names.chunks]))

    def _vanished(self, listing: Operation, patterns: Sequence[str], listed: Sequence[str]) -> list[str]:
        """None: what vanished is not called for."""
        return []

    # pages

    def _count_rows(self, reading: Reading, each: EachRow, file: TableFile) -> CallCount:
        """The calls for rows, with the pages after the first of those whose listing is known to be long."""
        operation, calls = reading.operation, 0
        items = self._items(operation) if operation.page_size else {}
        asked = (rows[0] for rows, _ in calls_for(each, reading.rows(file)))
        while rows := list(islice(asked, _ROWS_AT_A_TIME)):
            calls += len(rows)
            if items and operation.page_size:
                columns = (pa.chunked_array([[row[name] for row in rows]]) for name in each.asked.values())
                keys = zip(*(self._in_tables(column).to_pylist() for column in columns), strict=True)
                calls += sum(math.ceil(items[key] / operation.page_size) - 1 for key in keys if key in items)
        return CallCount(operation, calls, _pages(operation) if calls and items is None else "")

    def _count_pages(self, operation: Operation) -> CallCount:
        """The pages of a listing of the whole registry."""
        if operation.page_size is None:
            return CallCount(operation, 1)
        items, size = self._items(operation), operation.page_size
        if items is not None:
            return CallCount(operation, max(1, math.ceil(items.get((), 0) / size)))
        if operation.within:
            return CallCount(operation, 1, _pages(operation))
        # That nothing was loaded is no reason to say so: of all but these there is hardly ever a second page.
        above = operation.instead.parent if operation.instead else None
        rows = self._readings[above.operation].files[above].rows if above is REPOSITORIES else 0
        return CallCount(operation, max(1, math.ceil(rows / size)))

    def _items(self, operation: Operation) -> dict[tuple[str, ...], int] | None:
        """How many items it has listed for each row, where they fill more than a page; or in all, for no row.

        None if that is not loaded.
        """
        fillings = [
            (table, filling)
            for table in catalog.TABLES
            for filling in table.fillings
            if filling.operation is operation and table.listed_key(filling)
        ]
        if not fillings:
            return None
        # The list that is paged is the outermost one.
        table, filling = min(fillings, key=lambda one: (len(one[1].levels), one[1].levels[0].count(".")))
        more_than = operation.page_size or 0 if filling.asked_columns else 0
        return self._selection.earlier.listed_items(table, filling, self._api.scope, more_than)


def _pages(operation: Operation) -> str:
    return f"a page for each {operation.page_size:,} of what {operation.name} lists, which was never loaded"
