"""The SQL for warehouses that no test can reach, run where something much like them can be had.

In an environment of its own, which `make test-stand-ins` makes: chdb is ClickHouse's engine as a library, fakesnow puts
Snowflake's SQL into DuckDB's.
"""

from __future__ import annotations

from functools import partialmethod
from pathlib import Path

import pytest

from ecr_source import catalog
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.views import creation
from ecr_source.destinations.views.definition import views
from tests.destinations.warehouses import (
    WAREHOUSES,
    create_statements,
    extract,
    images_expected,
    loads_in_turn,
    project,
    unopened_client,
)
from tests.server.ecr_server import EcrServer
from tests.whole.test_hostile_names import HOSTILE, NAMES

BY_NAME = {warehouse.name: warehouse for warehouse in WAREHOUSES}


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_clickhouses_sql_does_in_its_engine_what_it_is_to_do(server: EcrServer, tmp_path: Path, mode: str) -> None:
    from chdb.session import Session

    session = Session(str(tmp_path / "clickhouse"))
    session.query("CREATE DATABASE warehouse")
    for load in loads_in_turn(server, BY_NAME["clickhouse"], tmp_path / "project", mode, NAMES):
        for statement in load:
            session.query(statement)
    current = "_dlt_valid_to IS NULL" if mode == "history" else "1 = 1"
    images = "warehouse.aws_ecr___images"
    found = session.query(f"SELECT hex(repository_name), image_digest, {current} FROM {images}", "CSV").data()
    rows = [line.replace('"', "").split(",") for line in found.splitlines()]
    session.close()
    assert sorted((bytes.fromhex(name).decode(), digest, now in ("1", "true")) for name, digest, now in rows) == (
        images_expected(mode, NAMES)
    )


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_snowflakes_sql_does_in_fakesnow_what_it_is_to_do(server: EcrServer, tmp_path: Path, mode: str) -> None:
    import fakesnow
    import snowflake.connector

    # What fakesnow hands to DuckDB cannot have a NUL in a row's value.
    names = HOSTILE
    with fakesnow.patch():
        connection = snowflake.connector.connect(user="loader", password="", account="any", database="WAREHOUSE")
        cursor = connection.cursor()
        for schema in ("AWS_ECR", "AWS_ECR_STAGING"):
            cursor.execute(f"CREATE SCHEMA {schema}")
        for load in loads_in_turn(server, BY_NAME["snowflake"], tmp_path / "project", mode, names):
            for statement in load:
                cursor.execute(statement)
        current = "_dlt_valid_to IS NULL" if mode == "history" else "1 = 1"
        found = cursor.execute(f"SELECT repository_name, image_digest, {current} FROM AWS_ECR.IMAGES").fetchall()
    assert sorted(found) == images_expected(mode, names)


def test_the_views_are_made_and_asked_in_fakesnow_over_dlts_own_client_and_no_second_time(
    server: EcrServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fakesnow
    from fakesnow import info_schema
    from sqlglot.expressions.core import Expression

    # It stops at a quote in a comment.
    monkeypatch.setattr(info_schema, "insert_table_comment_sql", lambda *_: "SELECT 1")
    # It changes a statement in sixty steps, and would copy it for each: a minute for all views.
    monkeypatch.setattr(Expression, "transform", partialmethod(Expression.transform, copy=False))
    server.registry().maximal()
    everything = {"tables": ["all", "manifests"], "moves_last_recorded_pull_time": True, "mode": "history"}
    with fakesnow.patch(), project(tmp_path / "project", BY_NAME["snowflake"]) as pipeline:
        extract(pipeline, regions=["eu-west-1"], endpoint_url=server.url, **everything)
        tables, warehouse = unopened_client(pipeline), destination_of(pipeline)
        with pipeline.sql_client() as client:
            for name in [*map(_name, catalog.TABLES), *map(_name, catalog.RUN_TABLES)]:
                for statement in create_statements(tables, name):
                    client.execute_sql(statement)
            creation.create_views(warehouse, client, {})
            refused = [record.getMessage() for record in caplog.records if "is not made" in record.getMessage()]
            assert refused == []
            made = warehouse.stored_views(client)
            assert made.keys() == {view.name for view in views().values() if not view.is_part}
            for view in made:
                asked = client.make_qualified_table_name(view)
                assert client.execute_sql(f"SELECT * FROM {asked}") is not None
            again: list[str] = []
            monkeypatch.setattr(creation, "_replace", lambda warehouse, client, view, *_: again.append(view.name))
            creation.create_views(warehouse, client, {})
            assert again == []


def _name(table: Table | RunTable) -> str:
    return table.name
