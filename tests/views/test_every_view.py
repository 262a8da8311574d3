"""What holds for each view, whatever it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import expressions as sql

from ecr_source import catalog
from ecr_source.destinations.views.composition import Loaded, column_meanings
from ecr_source.destinations.views.definition import VERSIONS_OF, View, views
from ecr_source.destinations.views.dialect import DIALECT, Spelling
from tests.conftest import Row
from tests.server.ecr_server import EcrServer
from tests.views.conftest import Load
from tests.warehouse import ON_EACH, Warehouse

Query = Callable[[str], list[Row]]

EVERY = pytest.mark.parametrize("view", views().values(), ids=lambda view: view.name)
TABLES = [*(table.name for table in catalog.TABLES), *(table.name for table in catalog.RUN_TABLES)]
ALL = {"tables": ["all", "manifests"], "moves_last_recorded_pull_time": True}
WHOLE = [view for view in views().values() if not view.is_part]
OF_EACH_RUN = {"extraction_scopes", "extraction_errors", "loaded_readings"}
EVERYTHING = Loaded("aws_ecr", dict.fromkeys(TABLES, True), appends=False)


@EVERY
def test_it_opens_with_a_question_and_then_says_what_a_row_is(view: View) -> None:
    question, _, row = view.description.partition("? ")
    assert question
    assert row.startswith("A row for each "), "what is a row?"
    assert not view.is_part or row.endswith(": a part of views, not one of them.")


@EVERY
def test_it_needs_and_names_what_there_is(view: View) -> None:
    parsed = sqlglot.parse_one(view.body, dialect=DIALECT)
    own = {one.alias for one in parsed.find_all(sql.CTE)}
    named = {table.name for table in parsed.find_all(sql.Table)} - own
    known = {*TABLES, *views(), "_dlt_loads", "tables_asked_again", "parameters_in_force"}
    assert {name.removeprefix(VERSIONS_OF) for name in named} <= known
    assert named <= {*view.named}
    assert not own & known, "a part of the SELECT is called like a table"
    assert {*view.needs} <= {*TABLES}


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "redshift", "databricks"])
def test_the_sql_of_other_databases_can_be_made_of_them(dialect: str) -> None:
    spelling = Spelling(dialect, "aws_ecr.{}".format)
    for view in views().values():
        assert sqlglot.parse_one(EVERYTHING.query(view, spelling), dialect=dialect)


@ON_EACH
def test_every_view_is_made_says_what_its_columns_mean_and_sees_the_versions_that_hold(
    server: EcrServer, load: Load, warehouse: Warehouse, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    registry = server.registry()
    registry.maximal()
    load(**ALL)
    assert _made(warehouse) == {view.name for view in WHOLE if not _is_of_versions(view)}
    alike = [view.name for view in WHOLE if not _is_of_versions(view) and not OF_EACH_RUN & {*view.named}]
    with warehouse.reading():
        before = {name: _but_times(query, name) for name in alike}
    repository, tags = registry.repositories["team-a/web"], registry.tags["team-a/api"]
    registry.put("team-a/web", imageTagMutability="IMMUTABLE")
    registry.tags["team-a/api"] = {"team": "other"}
    load(**ALL, mode="history")
    assert _made(warehouse) == {view.name for view in WHOLE}
    with warehouse.reading():
        for view in WHOLE:
            assert {*_columns(query, view.name)} <= {*column_meanings(view)}, f"{view.name}: what does it mean?"
            query(f"SELECT * FROM {view.name}")
    registry.repositories["team-a/web"], registry.tags["team-a/api"] = repository, tags
    load(**ALL, mode="history")
    with warehouse.reading():
        assert {name: _but_times(query, name) for name in alike} == before
    assert not [record for record in caplog.records if "view" in record.getMessage()]


ACROSS_ACCOUNTS = {"ecr_duplicate_images", "ecr_images_in_use", "ecr_parameters", "ecr_vulnerable_packages"}
"""Views whose rows are of no account, or of places that may be in another one than the image."""


def test_what_another_account_or_region_has_by_the_same_names_changes_no_row(
    server: EcrServer, load: Load, database: Path
) -> None:
    server.registry().maximal()
    load(**ALL, mode="history")
    with duckdb.connect(database) as connection:
        connection.execute("USE aws_ecr; SET TimeZone = 'UTC'")
        ours = [view.name for view in WHOLE if view.name not in ACROSS_ACCOUNTS]
        before = {name: _of_the_scope(connection, name) for name in ours}
        for column in ("registry_id", "region"):
            for (table,) in connection.execute(HAVING, [column]).fetchall():
                connection.execute(f"INSERT INTO {table} SELECT * REPLACE ('elsewhere' AS {column}) FROM {table}")
        assert {name: _of_the_scope(connection, name) for name in ours} == before
    assert any(before.values())


HAVING = """
SELECT table_name FROM duckdb_columns() JOIN duckdb_tables() USING (schema_name, table_name)
WHERE schema_name = 'aws_ecr' AND column_name = $1
"""


def _of_the_scope(connection: duckdb.DuckDBPyConnection, view: str) -> list[Row]:
    described = connection.execute(f"DESCRIBE {view}").fetchall()
    columns = [f'"{name}"' for name, kind, *_ in described if "TIME" not in kind and not name.startswith("days_")]
    of_ours = "registry_id <> 'elsewhere' AND region <> 'elsewhere'"  # what is public is of no region
    return sorted(connection.execute(f"SELECT {', '.join(columns)} FROM {view} WHERE {of_ours}").fetchall(), key=repr)


def test_findings_whose_numbers_nobody_told_are_counted(
    server: EcrServer, load: Load, query: Query, database: Path
) -> None:
    registry = server.registry()
    registry.put("api")
    digest = registry.put_image("api", tags=["1"])["imageDigest"]
    registry.scan("api", digest, [registry.basic_finding("CVE-1", "openssl", "3", "CRITICAL")])
    load(tables=["images", "findings"])
    counts = "SELECT scan_state, critical_count, high_count FROM ecr_scan_coverage"
    assert query(counts) == [("stale", 1, 0)]
    with duckdb.connect(database) as connection:
        for table in ("images", "image_scans"):
            connection.execute(f"UPDATE aws_ecr.{table} SET critical_count = NULL, high_count = NULL")
    assert query(counts) == [("stale", 1, 0)]


def _made(warehouse: Warehouse) -> set[str]:
    return {name for name in warehouse.tables() if name.startswith("ecr_")}


def _is_of_versions(view: View) -> bool:
    return any(name.startswith(VERSIONS_OF) for name in view.named)


def _columns(query: Query, view: str, condition: str = "") -> list[str]:
    listed = f"SELECT column_name FROM information_schema.columns WHERE table_name = '{view}' {condition}"
    return [column for (column,) in query(f"{listed} ORDER BY ordinal_position")]


def _but_times(query: Query, view: str) -> list[Row]:
    columns = _columns(query, view, "AND lower(data_type) NOT LIKE '%time%' AND column_name NOT LIKE 'days_%'")
    return sorted(query(f"SELECT {', '.join(columns)} FROM {view}"), key=repr)
