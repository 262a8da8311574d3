"""The views over a registry of more images than anybody writes by hand: all are there once, and in each database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.bench.large_registry import Size, copy_to_postgres, make_registry
from tests.postgres import Postgres
from tests.warehouse import DuckDbFile, PostgresDatabase, Warehouse

SIZE = Size(repositories=40, images=4_000, findings=4_000)
REPOSITORY = "registry_id, region, repository_name"
IMAGE = f"{REPOSITORY}, image_digest"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbFile]:
    made = DuckDbFile(tmp_path_factory.mktemp("large") / "large.duckdb")
    make_registry(made, SIZE)
    with made.reading():
        yield made


@pytest.mark.parametrize(
    ("view", "rows", "key"),
    [
        ("ecr_image_inventory", SIZE.images, IMAGE),
        ("ecr_scan_coverage", SIZE.images, IMAGE),
        ("ecr_image_vulnerabilities", SIZE.findings, f"{IMAGE}, vulnerability_id"),
        ("ecr_latest_images", SIZE.repositories, REPOSITORY),
    ],
)
def test_nothing_is_there_twice_and_nothing_is_missing(file: DuckDbFile, view: str, rows: int, key: str) -> None:
    assert file.query(f"SELECT count(*), count(DISTINCT ({key})) FROM {view}") == [(rows, rows)]


def test_an_image_has_all_its_tags_in_order(file: DuckDbFile) -> None:
    in_order = f"SELECT {IMAGE}, string_agg(image_tag, ', ' ORDER BY image_tag) FROM image_tags GROUP BY ALL"
    told = f"SELECT {IMAGE}, image_tags FROM ecr_image_inventory WHERE image_tags IS NOT NULL"
    assert file.query(f"({in_order}) EXCEPT ({told}) UNION ALL (({told}) EXCEPT ({in_order}))") == []
    assert file.query("SELECT count(*) > 0 FROM ecr_image_inventory WHERE image_tags LIKE '%, %, %'") == [(True,)]


def test_the_newest_image_is_the_same_in_all_views(file: DuckDbFile) -> None:
    newest = (
        f"SELECT {IMAGE}, image_tags, scan_state, critical_count, high_count FROM ecr_image_inventory WHERE is_newest"
    )
    latest = f"SELECT {IMAGE}, image_tags, scan_state, critical_count, high_count FROM ecr_latest_images"
    assert file.query(f"({newest}) EXCEPT ({latest}) UNION ALL (({latest}) EXCEPT ({newest}))") == []


EACH_WITH_EACH = {"BLOCKWISE_NL_JOIN", "NESTED_LOOP_JOIN", "PIECEWISE_MERGE_JOIN", "IE_JOIN"}


def test_no_view_compares_each_row_of_a_table_with_each_of_another(file: DuckDbFile) -> None:
    for view in sorted(_views(file)):
        [(_, plan)] = file.query(f"EXPLAIN (FORMAT json) SELECT * FROM {view}")
        conditions = [node["extra_info"] for node in _nodes(orjson.loads(plan)) if node["name"] in EACH_WITH_EACH]
        # Different actions with the calls that have a purpose are few, and where a table is not there nothing is met.
        few = ("call ~~", "'Condition': 'false'")
        assert [one for one in conditions if not any(text in str(one) for text in few)] == [], view


def test_nothing_is_worked_out_of_other_repositories_than_the_one_that_is_asked_for(file: DuckDbFile) -> None:
    [(registry, region, repository)] = file.query(f"SELECT {REPOSITORY} FROM repositories ORDER BY ALL LIMIT 1")
    one = f"registry_id = '{registry}' AND region = '{region}' AND repository_name = '{repository}'"
    of_repositories = "SELECT table_name FROM information_schema.columns WHERE column_name = 'repository_name'"
    told = {name for (name,) in file.query(of_repositories)} & _views(file)
    for view in sorted(told - {"ecr_base_images"}):  # its bases may be anywhere
        [(_, plan)] = file.query(f"EXPLAIN (ANALYZE, FORMAT json) SELECT * FROM {view} WHERE {one}")
        worked_out = [node for node in _nodes([orjson.loads(plan)]) if node.get("operator_type") != "TABLE_SCAN"]
        assert len(worked_out) > 1
        assert max(node.get("operator_cardinality", 0) for node in worked_out) < SIZE.images / 10, view


def _nodes(plan: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in plan:
        yield node
        yield from _nodes(node["children"])


def _views(file: DuckDbFile) -> set[str]:
    return {name for name in file.tables() if name.startswith("ecr_")}


def test_postgres_says_the_same(file: DuckDbFile, postgres: Postgres) -> None:
    database = PostgresDatabase(postgres, postgres.new_database())
    copy_to_postgres(file, database)
    # Between two questions the mean age of a package's findings grows, and what is due now is due at another time.
    for view in _views(file) - {"ecr_vulnerable_packages", "ecr_lifecycle_effects"}:
        assert _rows(database, view) == _rows(file, view), view


def _rows(warehouse: Warehouse, view: str) -> list[list[Any]]:
    """The rows, without the ages that they have: of so many one is a day older at any moment."""
    rows = [
        [value for name, value in row.items() if not name.startswith("days_")]
        for row in warehouse.records(f"SELECT * FROM {view}")
    ]
    return sorted(rows, key=repr)
