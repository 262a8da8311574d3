"""Images, their tags and what earlier runs noted of them, those of some repositories at a time.

All of them are in memory with their texts as dictionaries, a fourth of what they take as they are; as they are, and
with all that is reckoned from them, only those of a portion. What is chosen of it, such as the images to ask, stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

_IMAGES_OF_A_PORTION = 5_000
_PORTIONS_AT_MOST = 20  # each looks through all rows


def compact(schema: pa.Schema) -> pa.Schema:
    """The schema with its texts as dictionaries, but for the digest, which is another one in each row."""
    return pa.schema(
        field.with_type(pa.dictionary(pa.int32(), pa.string()))
        if field.type == pa.string() and field.name != "image_digest"
        else field
        for field in schema
    )


def portions(
    images: pa.Table, tagged: pa.Table, answers: pa.Table, names_in_tables: Callable[[pa.Array], pa.Array]
) -> Iterator[tuple[pa.Table, pa.Table, pa.Table]]:
    """Rows of `images`, whole repositories, with their rows of `tagged` and the `answers` for them; texts are plain.

    Answers are of repositories by their `names_in_tables`; those of repositories without images come with the first.
    There is always a first.
    """
    listed = images.group_by("repository_name", use_threads=False).aggregate([([], "count_all")])
    names = listed["repository_name"].cast(pa.string()).combine_chunks()
    images_before = pc.subtract(pc.cumulative_sum(listed["count_all"]), listed["count_all"])
    portion = pc.divide(images_before, max(_IMAGES_OF_A_PORTION, images.num_rows // _PORTIONS_AT_MOST))
    called = (names, names, names_in_tables(names))
    tables = (images, tagged, answers)
    of_rows = [
        pc.fill_null(portion.take(pc.index_in(rows["repository_name"], among)), 0)
        for rows, among in zip(tables, called, strict=True)
    ]
    for number in pc.unique(portion).to_pylist() or [0]:
        some = [plain(rows.filter(pc.equal(of, number))) for rows, of in zip(tables, of_rows, strict=True)]
        yield some[0], some[1], some[2]


def plain(rows: pa.Table) -> pa.Table:
    """The rows with their texts as they are, in the place of dictionaries."""
    fields = (
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    )
    return rows.cast(pa.schema(fields))
