"""Images and what earlier runs noted of them, those of some repositories at a time.

All of them are in memory with their texts as dictionaries, which is a fourth of what they take as they are; as they
are, and with all that is reckoned from them, only a portion is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

_IMAGES_OF_A_PORTION = 5_000


def compact(schema: pa.Schema) -> pa.Schema:
    """The schema with its texts as dictionaries, but for the digest, which is another one in each row."""
    return pa.schema(
        field.with_type(pa.dictionary(pa.int32(), pa.string()))
        if field.type == pa.string() and field.name != "image_digest"
        else field
        for field in schema
    )


def portions(
    images: pa.Table, answers: pa.Table, names_in_tables: Callable[[pa.Array], pa.Array]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Rows of `images`, whole repositories, with the `answers` for these; texts are as they are again.

    Answers are of repositories by their `names_in_tables`; those of repositories without images come with the first.
    There is always a first.
    """
    listed = images.group_by("repository_name", use_threads=False).aggregate([([], "count_all")])
    names = listed["repository_name"].cast(pa.string()).combine_chunks()
    images_before = pc.subtract(pc.cumulative_sum(listed["count_all"]), listed["count_all"])
    portion = pc.divide(images_before, _IMAGES_OF_A_PORTION)
    of_images = portion.take(pc.index_in(images["repository_name"], names))
    of_answers = portion.take(pc.index_in(answers["repository_name"], names_in_tables(names)))
    for number in pc.unique(portion).to_pylist() or [0]:
        mine, for_mine = pc.equal(of_images, number), pc.equal(pc.fill_null(of_answers, 0), number)
        yield _plain(images.filter(mine)), _plain(answers.filter(for_mine))


def _plain(rows: pa.Table) -> pa.Table:
    fields = (
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    )
    return rows.cast(pa.schema(fields))
