"""Which images are asked about, where a call for each is needed: the new, the changed, the ones long not asked."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.scopes import Scope
from ecr_source.catalog import EXTRACTION_IMAGES
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import AskAgain, Filling, Operation, Table
from ecr_source.extract.images.portions import compact, portions
from ecr_source.statuses import CALL_FAILED, DENIED, GONE, LEFT_OUT, NONE_YET, NOT_ASKED, PENDING

NEVER = datetime.fromtimestamp(0, UTC)

IMAGE = ("repository_name", "image_digest")
"""The columns that name an image within a scope."""

TAGGED = (*IMAGE, "image_tag")
"""The columns of image_tags that say which tags an image has."""

TELL_WHAT_IS_SCANNED = ("is_manifest_list", "subject_manifest_digest", "artifact_media_type")

_MEDIA_TYPES_OF_IMAGES = [
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
]
_ATTACHED = r"^sha256-.*[.](sig|att|sbom)$"
"""The tags by which cosign attaches a signature, an attestation or an SBOM where it does not use OCI's referrers, as
the part `images_attached_by_tag` of the views has them. What the tag schema of referrers names is an index."""

_NOT_CALLED = [LEFT_OUT, NOT_ASKED, GONE]
_NOT_FINAL = [*_NOT_CALLED, CALL_FAILED, DENIED, *NONE_YET, PENDING]


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

    @property
    def look_at_tags(self) -> bool:
        """Whether tags say what is inside: of the newest images too, as a signature's is no image's."""
        return self.tag is not None or self.latest is not None


class Earlier:
    """What earlier runs loaded; of this class itself: nothing."""

    def answers(self, operation: Operation, scope: Scope) -> pa.Table:
        """The rows of extraction_images, with the `compact` schema of that table; of an image the newest counts."""
        return compact(arrow_schema(EXTRACTION_IMAGES)).empty_table()

    def lacks(self, operation: Operation, scope: Scope) -> bool:
        """Whether an earlier run was told, not long ago, that the operation is not offered in the scope."""
        return False

    def resumes_at(self, table: Table, scope: Scope) -> str:
        """The repository at which the budget of the last run ended for `table`; empty if it did not."""
        return ""

    def last_read(self, table: Table, scope: Scope) -> datetime:
        """When `table` was read last, completely or in part; `NEVER` if it was not."""
        return NEVER

    def last_tried(self, table: Table, scope: Scope) -> datetime:
        """When `table` was asked for last, whatever came of it; `NEVER` if it was not."""
        return NEVER

    def was_replaced(self, operation: Operation, scope: Scope) -> bool:
        """Whether the last run could not read the operation, so that another one was read instead."""
        return False

    def loaded_rows(self, table: Table, columns: Sequence[str], scope: Scope) -> pa.Table | None:
        """These columns of all rows of the table; None if it was never read."""
        return None

    def listed_items(
        self, table: Table, filling: Filling, scope: Scope, more_than: int
    ) -> dict[tuple[str, ...], int] | None:
        """How many items the listing of each of the `asked_columns` has that fills the table so, where there are more
        than so many; None if the table was never read."""
        return None

    def repositories(self, tables: Sequence[Table], scope: Scope) -> list[str]:
        """The repositories of which these tables have rows, as they are named in them."""
        return []

    def names(self, names: pa.StringArray) -> pa.StringArray:
        """The names that images have in the rows of earlier runs, where that is not how the registry names them."""
        return names


@dataclass(frozen=True)
class Choice:
    """The images to ask about, in the order of their `need`, and those that a bound leaves out where that is news.

    A bound says what is asked; it takes away no answer that stands. Of those `still_out` it was noted before that a
    bound leaves them out.

    Of `standing` images (columns `IMAGE`, as of `still_out`) the answer stands, of the `oldest` since then; `known` are
    the names, in the registry, of all those to ask of which there is any answer. Of so many `images` so many are
    `outside`, and without an answer that stands. `gone` are answers for images that are not listed any more.
    """

    ask: pa.Table
    need: pa.Table
    left_out: pa.Table
    still_out: pa.Table
    images: int
    outside: int
    standing: pa.Table
    oldest: datetime | None
    known: pa.Table
    gone: pa.Table

    @cached_property
    def known_names(self) -> frozenset[str]:
        """What `known` has, to look for one after the other; made where a budget ends only."""
        return frozenset(self.known["name"].to_pylist())


@dataclass(frozen=True)
class Criteria:
    """By what images are chosen `now`: whether an answer that was for all of these tables stands, and `bounds`."""

    for_tables: frozenset[str]
    again: AskAgain
    bounds: Bounds
    now: datetime


def choose(
    images: pa.Table,
    tagged: pa.Table,
    answers: pa.Table,
    criteria: Criteria,
    names_in_tables: Callable[[pa.Array], pa.Array],
) -> Choice:
    """Sorts `images` (rows of the table that the operation is called for); `tagged` are rows of image_tags.

    `answers` are rows of extraction_images, in which images have their `names_in_tables`. The texts of all are
    `compact`.
    """
    return _together(
        [
            _choose(some, _names_by_tag(tags, criteria.bounds), newest_of_each_image(told), criteria, names_in_tables)
            for some, tags, told in portions(images, tagged, answers, names_in_tables)
        ]
    )


def _choose(
    images: pa.Table,
    by_tag: _ByTag,
    answers: pa.Table,
    criteria: Criteria,
    names_in_tables: Callable[[pa.Array], pa.Array],
) -> Choice:
    again = criteria.again
    names = image_names(images)
    position = pc.index_in(names_in_tables(names), image_names(answers))
    has_all = _is_for(answers, criteria.for_tables)
    stands = _of_images(pc.and_(_stands(answers, criteria), has_all), position)
    # What does not expire is what the digest stands for, whenever it was pushed.
    pushed_at = "image_pushed_at" if again.expires and "image_pushed_at" in images.column_names else None
    for listed in filter(None, (pushed_at, again.changed)):
        stands = pc.and_(stands, _same(images[listed], answers[listed].take(position)))
    inside = _within_bounds(images, names, by_tag, criteria) if again.bounded else pa.repeat(True, len(names))
    was_left_out = _of_images(pc.and_(pc.equal(answers["outcome"], LEFT_OUT), has_all), position)
    wanted = pc.and_(inside, pc.invert(stands))
    outside = pc.invert(pc.or_(inside, stands))
    is_gone = pc.invert(pc.is_in(pa.arange(0, answers.num_rows), position.cast(pa.int64())))
    is_news = pc.invert(pc.and_(pc.equal(answers["outcome"], GONE), has_all))
    return Choice(
        ask=images.filter(wanted),
        need=_need(answers.take(position.filter(wanted))),
        left_out=images.filter(pc.and_(outside, pc.invert(was_left_out))),
        still_out=images.filter(pc.and_(outside, was_left_out)).select(IMAGE),
        images=images.num_rows,
        outside=pc.sum(outside, min_count=0).as_py(),
        standing=images.filter(stands).select(IMAGE),
        oldest=pc.min(answers["extracted_at"].take(position.filter(stands))).as_py(),
        known=pa.table({"name": names.filter(pc.and_(wanted, position.is_valid()))}),
        gone=answers.filter(pc.and_(is_gone, is_news)),
    )


def _together(choices: Sequence[Choice]) -> Choice:
    def all_of(rows: Callable[[Choice], pa.Table]) -> pa.Table:
        return pa.concat_tables(map(rows, choices))

    need = all_of(lambda one: one.need)
    order = pc.sort_indices(need, [(name, "ascending") for name in need.column_names])
    return Choice(
        ask=all_of(lambda one: one.ask).take(order),
        need=need.take(order),
        left_out=all_of(lambda one: one.left_out),
        still_out=all_of(lambda one: one.still_out),
        images=sum(one.images for one in choices),
        outside=sum(one.outside for one in choices),
        standing=all_of(lambda one: one.standing),
        oldest=min(filter(None, (one.oldest for one in choices)), default=None),
        known=all_of(lambda one: one.known),
        gone=all_of(lambda one: one.gone),
    )


def newest_of_each_image(answers: pa.Table) -> pa.Table:
    """The last of the answers for each image: where rows are appended, it has one for each time that it was asked."""
    key = list(IMAGE)
    newest = answers.group_by(key, use_threads=False).aggregate([("extracted_at", "max")])
    if newest.num_rows == answers.num_rows:
        return answers
    times = newest.rename_columns([*key, "extracted_at"])
    return (
        answers.join(times, [*key, "extracted_at"], join_type="inner").select(answers.column_names).cast(answers.schema)
    )


def image_names(rows: pa.Table | pa.RecordBatch) -> pa.Array:
    """The name of the image of each row, one text: `team/api@sha256:…`."""
    names = pc.binary_join_element_wise(*(rows.column(name) for name in IMAGE), "@")
    return names.combine_chunks() if isinstance(names, pa.ChunkedArray) else names


def _of_images(of_answers: pa.Array, position: pa.Array) -> pa.Array:
    """What is true of the answer for each image; false where there is none."""
    values = of_answers.combine_chunks() if isinstance(of_answers, pa.ChunkedArray) else of_answers
    return pc.fill_null(values.take(position), False)


def _same(listed: pa.ChunkedArray, then: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.or_(pc.fill_null(pc.equal(then, listed), False), pc.and_(then.is_null(), listed.is_null()))


def _is_for(answers: pa.Table, tables: Collection[str]) -> pa.Array:
    """Whether an answer was for all of these tables."""
    texts = answers["for_tables"].combine_chunks().dictionary_encode()
    has_all = [set(tables) <= set((text or "").split()) for text in texts.dictionary.to_pylist()]
    return pa.array(has_all, pa.bool_()).take(texts.indices)


def _need(answers: pa.Table) -> pa.Table:
    """Never asked; asked while there was nothing final to tell; the others, those asked longest ago first."""
    was_asked = pc.fill_null(pc.invert(pc.is_in(answers["outcome"], pa.array(_NOT_CALLED))), False)
    was_asked = pc.and_(was_asked, answers["outcome"].is_valid())
    is_old = pc.and_(was_asked, pc.invert(pc.fill_null(pc.equal(answers["outcome"], PENDING), False)))
    return pa.table({"old": is_old, "asked": was_asked, "at": answers["extracted_at"]})


def _within_bounds(images: pa.Table, names: pa.Array, by_tag: _ByTag, criteria: Criteria) -> pa.Array:
    bounds = criteria.bounds
    inside = pa.repeat(pa.scalar(True), len(names))
    if bounds.pushed_within is not None:
        since = pa.scalar(criteria.now - bounds.pushed_within, TIMESTAMP)
        inside = pc.and_(inside, pc.fill_null(pc.greater_equal(images["image_pushed_at"], since), True))
    if bounds.tag is not None:
        inside = pc.and_(inside, pc.is_in(names, by_tag.matching))
    if bounds.latest is not None:
        inside = pc.and_(inside, _newest(images, pc.invert(pc.is_in(names, by_tag.attached)), bounds.latest))
    return inside.combine_chunks() if isinstance(inside, pa.ChunkedArray) else inside


@dataclass(frozen=True)
class _ByTag:
    """The names of the images with a tag that the bounds ask for, and of those that are attached to another."""

    matching: pa.Array | pa.ChunkedArray
    attached: pa.Array | pa.ChunkedArray


def _names_by_tag(tagged: pa.Table, bounds: Bounds) -> _ByTag:
    names, tags = image_names(tagged), tagged["image_tag"]
    attached = names.filter(pc.match_substring_regex(tags, _ATTACHED))
    if bounds.tag is None:
        return _ByTag(names.slice(0, 0), attached)
    matches = re.compile(fnmatch.translate(bounds.tag)).match
    matching = pa.array([matches(tag) is not None for tag in tags.to_pylist()], pa.bool_())
    return _ByTag(names.filter(matching), attached)


def _newest(images: pa.Table, may_be: pa.Array, count: int) -> pa.Array:
    """Whether an image is one of the newest `count` of its repository; of two pushed at once, the smaller digest is.

    What is not scanned, such as an index, a chart or a signature, is none of them, and only those are that `may_be`.
    """
    is_index = pc.fill_null(images["is_manifest_list"], False)
    is_image = pc.is_in(images["artifact_media_type"], pa.array([*_MEDIA_TYPES_OF_IMAGES, None]))
    is_attached = images["subject_manifest_digest"].is_valid()
    others = pc.or_(is_index, is_attached)
    scanned = pc.indices_nonzero(pc.and_(pc.and_(may_be, is_image), pc.invert(others)))
    order = scanned.take(
        pc.sort_indices(
            images.take(scanned),
            sort_keys=[
                ("repository_name", "ascending"),
                ("image_pushed_at", "descending"),
                ("image_digest", "ascending"),
            ],
        )
    )
    newest = [False] * images.num_rows
    before, rank = None, 0
    for position, name in zip(order.to_pylist(), images["repository_name"].take(order).to_pylist(), strict=True):
        rank = rank + 1 if name == before else 1
        before = name
        newest[position] = rank <= count
    return pa.array(newest, pa.bool_())


def _stands(answers: pa.Table, criteria: Criteria) -> pa.Array:
    """Whether an answer is final, and young enough."""
    again = criteria.again
    stands = pc.invert(pc.is_in(answers["outcome"], pa.array(_NOT_FINAL)))
    if again.settles_after is not None:
        there_for = pc.subtract(answers["extracted_at"], answers["image_pushed_at"])
        is_old = pc.fill_null(pc.greater(there_for, pa.scalar(again.settles_after, there_for.type)), False)
        stands = pc.or_(stands, pc.and_(pc.is_in(answers["outcome"], pa.array([*NONE_YET])), is_old))
    if again.expires:
        oldest = pa.scalar(criteria.now - criteria.bounds.max_age, TIMESTAMP)
        stands = pc.and_(stands, pc.greater_equal(answers["extracted_at"], oldest))
    return stands
