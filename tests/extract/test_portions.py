"""Which images are asked is the same, whether they are looked at all at once or some repositories at a time."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ecr_source.catalog import EXTRACTION_IMAGES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import AskAgain
from ecr_source.catalog.tables.image import IMAGES
from ecr_source.extract.images import portions
from ecr_source.extract.images.image_selection import TAGGED, TELL_WHAT_IS_SCANNED, Bounds, Choice, Criteria, choose
from ecr_source.statuses import COMPLETE, GONE, LEFT_OUT, PENDING

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TABLE = "image_scans"
COLUMNS = ("repository_name", "image_digest", "image_pushed_at", "scan_completed_at", *TELL_WHAT_IS_SCANNED)

REPOSITORIES = "abcdef"
days_ago = st.sampled_from([0, 3, 20]).map(lambda days: NOW - timedelta(days=days))
images = st.tuples(st.sampled_from(REPOSITORIES), st.sampled_from("123"))
outcomes = st.sampled_from([COMPLETE, COMPLETE, PENDING, LEFT_OUT, GONE])
tags = st.lists(st.tuples(images, st.sampled_from(["v1", "latest", "sha256-1.sig"])))

Times = tuple[datetime, datetime]
Answer = tuple[tuple[str, str], str, datetime, datetime, datetime]


@st.composite
def registries(draw: st.DrawFn) -> tuple[dict[tuple[str, str], Times], list[Answer]]:
    """Images with their times, and answers: most are for a listed image as it is."""
    rows = draw(st.dictionaries(images, st.tuples(days_ago, days_ago), min_size=draw(st.sampled_from([0, 8]))))
    as_they_are = draw(st.lists(st.tuples(st.sampled_from([*rows, ("a", "gone")]), outcomes, days_ago), max_size=9))
    answers = [(image, outcome, *rows.get(image, (NOW, NOW)), at) for image, outcome, at in as_they_are]
    answers += draw(st.lists(st.tuples(images, outcomes, days_ago, days_ago, days_ago), max_size=3))
    return rows, answers


def in_tables(names: pa.Array) -> pa.Array:
    """The names as they are in tables, masked: a repository has another one, which comes elsewhere in their order."""
    other = str.maketrans(REPOSITORIES, REPOSITORIES[::-1].upper())
    return pa.array([name[0].translate(other) + name[1:] for name in names.to_pylist()], pa.string())


def tagged(rows: list[tuple[tuple[str, str], str]]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in TAGGED])
    return pa.Table.from_pylist([dict(zip(TAGGED, (*image, tag), strict=True)) for image, tag in rows], schema).cast(
        portions.compact(schema)
    )


def listed(rows: dict[tuple[str, str], Times]) -> pa.Table:
    schema = pa.schema([arrow_schema(IMAGES).field(name) for name in COLUMNS])
    named = ("repository_name", "image_digest", "image_pushed_at", "scan_completed_at")
    listed_rows = [dict(zip(named, (*image, *times), strict=True)) for image, times in rows.items()]
    return pa.Table.from_pylist(listed_rows, schema).cast(portions.compact(schema))


def answered(rows: list[Answer]) -> pa.Table:
    schema = arrow_schema(EXTRACTION_IMAGES)
    named = ("repository_name", "image_digest", "outcome", "image_pushed_at", "scan_completed_at", "extracted_at")
    same = {"registry_id": "1", "region": "eu-west-1", "operation": "ecr:X", "for_tables": TABLE}
    answers = [
        same | dict(zip(named, (in_tables(pa.array([image[0]]))[0].as_py(), image[1], *others), strict=True))
        for image, *others in rows
    ]
    return pa.Table.from_pylist(answers, schema).cast(portions.compact(schema))


def told(choice: Choice) -> dict[str, Any]:
    """What a choice says, without the order of what has none, and in which of two that are equal comes first."""
    values = {field.name: getattr(choice, field.name) for field in fields(choice)}
    rows = {name: sorted(map(str, value.to_pylist())) for name, value in values.items() if isinstance(value, pa.Table)}
    return values | rows | {"need": choice.need.to_pylist()}


@given(
    registry=registries(),
    tags=tags,
    again=st.sampled_from(
        [
            AskAgain(changed="scan_completed_at", bounded=True),
            AskAgain(changed="scan_completed_at", expires=False),
            AskAgain(bounded=True),
        ]
    ),
    bounds=st.sampled_from(
        [Bounds(), Bounds(latest=1), Bounds(latest=2, tag="v*"), Bounds(pushed_within=timedelta(days=5))]
    ),
)
def test_portions_do_not_change_which_images_are_asked(
    registry: tuple[dict[tuple[str, str], Times], list[Answer]],
    tags: list[tuple[tuple[str, str], str]],
    again: AskAgain,
    bounds: Bounds,
) -> None:
    rows, answers = registry
    criteria = Criteria(frozenset({TABLE}), again, bounds, NOW)
    chosen = []
    for size in (1, 4, 10_000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(portions, "_IMAGES_OF_A_PORTION", size)
            chosen.append(told(choose(listed(rows), tagged(tags), answered(answers), criteria, in_tables)))
    assert chosen[0] == chosen[1] == chosen[2]
    event(f"standing: {bool(chosen[0]['standing'])}, still out: {bool(chosen[0]['still_out'])}")


def test_needs_of_all_repositories_are_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_IMAGES_OF_A_PORTION", 1)
    pushed = NOW - timedelta(days=90)
    rows = {(repository, "1"): (pushed, pushed) for repository in "abc"}
    asked = {"a": 9, "c": 10}
    answers = [((name, "1"), COMPLETE, pushed, pushed, NOW - timedelta(days=days)) for name, days in asked.items()]
    criteria = Criteria(frozenset({TABLE}), AskAgain(changed="scan_completed_at", expires=True), Bounds(), NOW)
    choice = choose(listed(rows), tagged([]), answered(answers), criteria, in_tables)
    assert choice.ask["repository_name"].to_pylist() == ["b", "c", "a"]
