"""Which images are asked is the same, whether they are looked at all at once or some repositories at a time."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_source.catalog import EXTRACTION_IMAGES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import AskAgain
from ecr_source.catalog.tables.image import IMAGES
from ecr_source.extract.images import portions
from ecr_source.extract.images.image_selection import TELL_WHAT_IS_SCANNED, Bounds, Choice, Criteria, choose
from ecr_source.statuses import COMPLETE, GONE, LEFT_OUT, PENDING

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TABLE = "image_scans"
COLUMNS = ("repository_name", "image_digest", "image_pushed_at", "scan_completed_at", *TELL_WHAT_IS_SCANNED)

images = st.tuples(st.sampled_from("abcdef"), st.sampled_from("123"))
days_ago = st.integers(0, 20).map(lambda days: NOW - timedelta(days=days))
outcomes = st.sampled_from([COMPLETE, PENDING, LEFT_OUT, GONE])


def listed(rows: dict[tuple[str, str], tuple[datetime, datetime]]) -> pa.Table:
    schema = pa.schema([arrow_schema(IMAGES).field(name) for name in COLUMNS])
    named = ("repository_name", "image_digest", "image_pushed_at", "scan_completed_at")
    listed_rows = [dict(zip(named, (*image, *times), strict=True)) for image, times in rows.items()]
    return pa.Table.from_pylist(listed_rows, schema).cast(portions.compact(schema))


def answered(rows: list[tuple[tuple[str, str], str, datetime, datetime, datetime]]) -> pa.Table:
    schema = arrow_schema(EXTRACTION_IMAGES)
    named = ("repository_name", "image_digest", "outcome", "image_pushed_at", "scan_completed_at", "extracted_at")
    same = {"registry_id": "1", "region": "eu-west-1", "operation": "ecr:X", "for_tables": TABLE}
    answers = [same | dict(zip(named, (*image, *others), strict=True)) for image, *others in rows]
    return pa.Table.from_pylist(answers, schema).cast(portions.compact(schema))


def told(choice: Choice) -> dict[str, Any]:
    """What a choice says, without the order of what has none, and in which of two that are equal comes first."""
    values = {field.name: getattr(choice, field.name) for field in fields(choice)}
    rows = {name: sorted(map(str, value.to_pylist())) for name, value in values.items() if isinstance(value, pa.Table)}
    return values | rows | {"need": choice.need.to_pylist()}


@given(
    rows=st.dictionaries(images, st.tuples(days_ago, days_ago)),
    answers=st.lists(st.tuples(images, outcomes, days_ago, days_ago, days_ago)),
    latest=st.sampled_from([None, 1, 2]),
)
def test_portions_do_not_change_which_images_are_asked(
    rows: dict[tuple[str, str], tuple[datetime, datetime]],
    answers: list[tuple[tuple[str, str], str, datetime, datetime, datetime]],
    latest: int | None,
) -> None:
    again = AskAgain(changed="scan_completed_at", expires=True, bounded=True)
    criteria = Criteria(frozenset({TABLE}), again, Bounds(latest=latest), NOW)
    chosen = []
    for size in (1, 4, 10_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(portions, "_IMAGES_OF_A_PORTION", size)
            chosen.append(told(choose(listed(rows), (), answered(answers), criteria, lambda names: names)))
    assert chosen[0] == chosen[1] == chosen[2]


def test_needs_of_all_repositories_are_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_IMAGES_OF_A_PORTION", 1)
    pushed = NOW - timedelta(days=90)
    rows = {(repository, "1"): (pushed, pushed) for repository in "abc"}
    asked = {"a": 9, "c": 10}
    answers = [((name, "1"), COMPLETE, pushed, pushed, NOW - timedelta(days=days)) for name, days in asked.items()]
    criteria = Criteria(frozenset({TABLE}), AskAgain(changed="scan_completed_at", expires=True), Bounds(), NOW)
    choice = choose(listed(rows), (), answered(answers), criteria, lambda names: names)
    assert choice.ask["repository_name"].to_pylist() == ["b", "c", "a"]
