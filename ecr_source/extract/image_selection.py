"""Which images are asked about, where a call for each is needed: the new, the changed, the ones long not asked."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.schema import TIMESTAMP
from ecr_source.catalog.table import AskAgain, Filling, Table
from ecr_source.statuses import NO_ANSWER

NEVER = datetime.fromtimestamp(0, UTC)

IMAGE = ("repository_name", "image_digest")
"""The columns that name an image within a scope."""


@dataclass(frozen=True)
class Bounds:
    """Which images are asked for their findings, and how often.

    `latest`: the newest images of each repository. `pushed_within`: only those pushed in this time. `tag`: only those
    with a tag that matches the shell pattern. `max_age`: ask again what was answered longer ago.
    """

    latest: int | None = None
    pushed_within: timedelta | None = None
    tag: str | None = None
    max_age: timedelta = timedelta(days=7)


class Earlier:
    """What earlier runs loaded; of this class itself: nothing."""

    def asked(self, record: Table, tables: Sequence[Table], scope: Scope) -> pa.Table | None:
        """The newest row of each image in `record`; None unless all of `tables` were loaded."""
        return None

    def rows(self, table: Table, scope: Scope) -> Iterator[pa.RecordBatch]:
        """The rows of `table` as they are, with its Arrow schema, to be kept where images are not asked again."""
        return iter(())

    def resumes_at(self, table: Table, scope: Scope) -> str:
        """The repository at which the budget of the last run ended for `table`; empty if it did not."""
        return ""

    def last_read(self, table: Table, scope: Scope) -> datetime:
        """When `table` was read last, completely or in part; `NEVER` if it was not."""
        return NEVER

    def names(self, names: pa.StringArray) -> pa.StringArray:
        """The names that images have in the rows of earlier runs, where that is not how the registry names them."""
        return names


@dataclass(frozen=True)
class Choice:
    """The images to ask about, those that a bound leaves out, and the names, in the registry, of those that are kept.

    Those to ask come in the order of need: never asked before, then the longest ago; `asked_before` are the names of
    the latter.
    """

    ask: pa.Table
    left_out: pa.Table
    keep: pa.Array
    asked_before: pa.Array


def choose(
    images: pa.Table,
    tagged: Iterable[pa.RecordBatch],
    earlier: pa.Table | None,
    again: AskAgain,
    bounds: Bounds,
    now: datetime,
    earlier_names: Callable[[pa.Array], pa.Array],
) -> Choice:
    """Sorts `images` (columns of the table images); `tagged` are rows of image_tags, `earlier` of the record, in which
    the images have their `earlier_names`.
    """
    names = image_names(images)
    inside = _within_bounds(images, names, tagged, bounds, now) if again.bounded else None
    known = _known(images, earlier_names(names), earlier, again, bounds, now)
    if inside is None:
        inside = pa.repeat(pa.scalar(True), len(names))
    wanted = pc.and_(inside, pc.invert(known))
    ask, asked_before = _in_order_of_need(images.filter(wanted), names.filter(wanted), earlier, earlier_names)
    return Choice(ask, images.filter(pc.invert(inside)), names.filter(pc.and_(inside, known)), asked_before)


def kept_rows(
    earlier: Earlier, table: Table, filling: Filling, scope: Scope, images: pa.StringArray
) -> Iterator[pa.Table]:
    """The rows of earlier runs for images of these names in the registry, some at a time."""
    kept = earlier.names(images)
    asked = filling.column_of("image_digest")
    for batch in earlier.rows(table, scope) if len(kept) else ():
        named = ["image_digest" if name == asked else name for name in batch.schema.names]
        mask = pc.is_in(image_names(batch.rename_columns(named)), kept)
        yield pa.Table.from_batches([batch]).filter(mask)


def image_names(rows: pa.Table | pa.RecordBatch) -> pa.Array:
    """The name of the image of each row, one text: `team/api@sha256:…`."""
    names = pc.binary_join_element_wise(*(rows.column(name) for name in IMAGE), "@")
    return names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names


def _in_order_of_need(
    images: pa.Table, names: pa.Array, earlier: pa.Table | None, earlier_names: Callable[[pa.Array], pa.Array]
) -> tuple[pa.Table, pa.Array]:
    if earlier is None or not len(names):
        return images, names.slice(0, 0)
    position = pc.index_in(earlier_names(names), image_names(earlier))
    answered_at = pc.if_else(_is_answer(earlier), earlier["extracted_at"], pa.scalar(NEVER, TIMESTAMP)).combine_chunks()
    asked_at = pc.fill_null(answered_at.take(position), pa.scalar(NEVER, TIMESTAMP))
    return images.take(pc.sort_indices(asked_at)), names.filter(position.is_valid())


def _within_bounds(
    images: pa.Table, names: pa.Array, tagged: Iterable[pa.RecordBatch], bounds: Bounds, now: datetime
) -> pa.Array:
    inside = pa.repeat(pa.scalar(True), len(names))
    if bounds.pushed_within is not None:
        since = pa.scalar(now - bounds.pushed_within, TIMESTAMP)
        inside = pc.and_(inside, pc.fill_null(pc.greater_equal(images["image_pushed_at"], since), True))
    if bounds.tag is not None:
        inside = pc.and_(inside, pc.is_in(names, _names_with_tag(tagged, bounds.tag)))
    if bounds.latest is not None:
        inside = pc.and_(inside, _newest(images, bounds.latest))
    return inside.combine_chunks() if isinstance(inside, pa.ChunkedArray) else inside


def _names_with_tag(tagged: Iterable[pa.RecordBatch], pattern: str) -> pa.Array:
    matches = re.compile(fnmatch.translate(pattern)).match
    found: list[pa.Array] = []
    for batch in tagged:
        mask = pa.array([matches(tag) is not None for tag in batch.column("image_tag").to_pylist()], pa.bool_())
        found.append(image_names(batch).filter(mask))
    return pa.concat_arrays([pa.array([], pa.string()), *found])


def _newest(images: pa.Table, count: int) -> pa.Array:
    """Whether an image is one of the newest `count` of its repository; of two pushed at once, the smaller digest is."""
    order = pc.sort_indices(
        images,
        sort_keys=[
            ("repository_name", "ascending"),
            ("image_pushed_at", "descending"),
            ("image_digest", "ascending"),
        ],
    )
    newest = [False] * images.num_rows
    before, rank = None, 0
    for position, name in zip(order.to_pylist(), images["repository_name"].take(order).to_pylist(), strict=True):
        rank = rank + 1 if name == before else 1
        before = name
        newest[position] = rank <= count
    return pa.array(newest, pa.bool_())


def _known(
    images: pa.Table, names: pa.Array, earlier: pa.Table | None, again: AskAgain, bounds: Bounds, now: datetime
) -> pa.Array:
    """Whether the answer of an earlier run still stands."""
    if earlier is None:
        return pa.repeat(pa.scalar(False), len(names))
    known = earlier.filter(_stands(earlier, again, bounds, now))
    position = pc.index_in(names, image_names(known))
    stands = position.is_valid()
    if again.changed:
        then = known[f"listed_{again.changed}"].combine_chunks().take(position)
        listed = images[again.changed].combine_chunks()
        same = pc.if_else(pc.and_(then.is_null(), listed.is_null()), True, pc.fill_null(pc.equal(then, listed), False))
        stands = pc.and_(stands, same)
    return stands


def _is_answer(earlier: pa.Table) -> pa.Array:
    if "fetch_outcome" not in earlier.column_names:
        return pa.repeat(pa.scalar(True), earlier.num_rows)
    return pc.invert(pc.is_in(earlier["fetch_outcome"], pa.array([*NO_ANSWER])))


def _stands(earlier: pa.Table, again: AskAgain, bounds: Bounds, now: datetime) -> pa.Array:
    stands = _is_answer(earlier)
    if again.expires:
        oldest = pa.scalar(now - bounds.max_age, TIMESTAMP)
        stands = pc.and_(stands, pc.greater_equal(earlier["extracted_at"], oldest))
    return stands
