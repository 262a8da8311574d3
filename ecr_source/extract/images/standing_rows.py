"""Which rows of an operation's table stand, so that what they tell is not asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.extract.images.image_selection import NEVER, Earlier
from ecr_source.extract.results import ImageCounts
from ecr_source.extract.rows.flatten import each_once


@dataclass(frozen=True)
class Standing:
    """The rows of the parent table to `ask` for, and the `kept` rows of `table`, which earlier runs loaded."""

    table: Table
    ask: pa.Table
    kept: pa.Table

    def counts(self, asked_at: datetime) -> ImageCounts:
        """How many are asked and how many not, and since when the oldest answer stands."""
        oldest = pc.min(self.kept["extracted_at"]).as_py()
        answered = [oldest, asked_at if self.ask.num_rows else None]
        return ImageCounts(
            asked=self.ask.num_rows,
            kept=self.kept.num_rows,
            left_out=0,
            failed=0,
            oldest_answer_at=min(filter(None, answered), default=None),
        )


def standing(
    listed: pa.Table, table: Table, same: Sequence[str], earlier: Earlier, scope: Scope, oldest: datetime
) -> Standing:
    """Sorts the rows that are `listed`: a row of `table` stands that agrees in the columns `same`, texts without NULLs,
    and is not older than `oldest`."""
    loaded = earlier.loaded_rows(table, arrow_schema(table).names, scope)
    if loaded is None or oldest == NEVER:
        return Standing(table, listed, arrow_schema(table).empty_table())
    loaded = each_once(loaded.sort_by("extracted_at"), table)
    loaded = loaded.filter(pc.greater_equal(loaded["extracted_at"], pa.scalar(oldest, TIMESTAMP)))
    position = pc.index_in(
        _named([earlier.names(listed[name].combine_chunks()) for name in same]),
        _named([loaded[name].combine_chunks() for name in same]),
    )
    return Standing(table, listed.filter(position.is_null()), loaded.take(position.drop_null()))


def _named(columns: Sequence[pa.StringArray]) -> pa.StringArray:
    return pc.binary_join_element_wise(*columns, "\n")
