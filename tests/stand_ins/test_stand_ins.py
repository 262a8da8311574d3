"""The SQL for warehouses that no test can reach, run where something much like them can be had.

In an environment of its own, which `make test-stand-ins` makes: chdb is ClickHouse's engine as a library, fakesnow puts
Snowflake's SQL into DuckDB's.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.destinations.warehouses import WAREHOUSES, images_expected, loads_in_turn
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
