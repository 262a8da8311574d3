"""Warehouses that no test can reach: dlt takes the settings of the documentation, and its SQL is theirs."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import dlt
import duckdb
import pyarrow as pa
import pytest
import sqlglot
from dlt.common.destination import AnyDestination
from dlt.common.destination.dataset import DBApiCursor
from dlt.destinations.exceptions import DatabaseTerminalException
from sqlglot import exp

from ecr_source import catalog
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.views.creation import create_views
from ecr_source.destinations.views.definition import views
from ecr_source.errors import DestinationUnusable
from ecr_source.loading.loaded.dataset import fetch_all
from ecr_source.loading.modes import MODE_NAMES, Mode, parse_mode
from tests.destinations.warehouses import (
    SETTINGS,
    WAREHOUSES,
    Warehouse,
    create_statements,
    extract,
    images_expected,
    load_statements,
    loads_in_turn,
    project,
    unopened_client,
)
from tests.pages.destinations import MATRIX, PAGE, page
from tests.server.ecr_server import DENIED, EcrServer
from tests.whole.test_hostile_names import NAMES

TABLES = [table.name for table in catalog.TABLES]
MERGING = ("snapshot", "history")

TYPES = {
    "snowflake": {"BOOLEAN", "DECIMAL(19, 0)", "DOUBLE", "TIMESTAMPLTZ", "TIMESTAMPLTZ(6)", "VARCHAR"},
    "bigquery": {"BOOL", "FLOAT64", "INT64", "STRING", "TIMESTAMP"},
    "redshift": {"BIGINT", "BOOLEAN", "DOUBLE PRECISION", "TIMESTAMP WITH TIME ZONE", "VARCHAR(MAX)"},
    "databricks": {"BIGINT", "BOOLEAN", "DOUBLE", "STRING", "TIMESTAMP"},
    "athena": {"BIGINT", "BOOLEAN", "DOUBLE", "TIMESTAMP", "VARCHAR"},
    "motherduck": {"BIGINT", "BOOLEAN", "DOUBLE", "TEXT", "TIMESTAMPTZ"},
    "clickhouse": {
        *("Bool", "Int64", "String"),
        *(f"Nullable({one})" for one in ("Bool", "DateTime64(6, 'UTC')", "Float64", "Int64", "String")),
    },
}
SENT: Mapping[str, Mapping[str, Sequence[type[exp.Expr]]]] = {
    "snapshot": {"others": [exp.Delete, exp.Insert]},
    # Where no statement follows, the files themselves go into the table.
    "incremental": {"athena": [exp.Insert], "others": []},
    # sqlglot has no grammar for ALTER TABLE … UPDATE, but for the condition in it.
    "history": {
        "clickhouse": [exp.Command, exp.Insert],
        "databricks": [exp.Merge, exp.Insert],
        "others": [exp.Update, exp.Insert],
    },
}

VIEWS_IN_ITS_SQL = {"snowflake", "bigquery", "redshift", "databricks"}

every_warehouse = pytest.mark.parametrize("warehouse", WAREHOUSES, ids=[each.name for each in WAREHOUSES])


def check_mode(destination: AnyDestination, mode: Mode) -> None:
    destination_of(destination).check_merge(mode.name, mode.strategy, None)


@pytest.fixture
def warehouse_pipeline(warehouse: Warehouse, tmp_path: Path) -> Iterator[dlt.Pipeline]:
    with project(tmp_path / "project", warehouse) as pipeline:
        yield pipeline


@pytest.fixture
def warnings_of_dlt() -> Iterator[list[str]]:
    """What dlt says at level WARNING or above."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener = Listener(logging.WARNING)
    logging.getLogger("dlt").addHandler(listener)
    yield said
    logging.getLogger("dlt").removeHandler(listener)


@pytest.fixture
def hostile(server: EcrServer) -> EcrServer:
    """Repositories of hostile names, each with an image, which may be listed of one only."""
    for name in [*NAMES, "plain"]:
        server.registry().put(name)
        server.registry().put_image(name, tags=["1"])
        if name != "plain":
            server.fail(DENIED, operation="DescribeImages", repository=name)
    return server


def test_each_warehouse_of_the_documentation_is_tested() -> None:
    assert {path.stem for path in SETTINGS.glob("*.toml")} == {warehouse.name for warehouse in WAREHOUSES}


def test_the_page_is_what_the_tests_see() -> None:
    assert PAGE.read_text() == page(), "docs/destinations.md is out of date: run python -m tests.pages.destinations"


def test_every_cell_of_the_page_names_a_test_that_make_test_runs() -> None:
    named = {seen.test for modes in MATRIX.values() for seen in modes.values()}
    files = sorted({test.partition("::")[0] for test in named})
    root = Path(__file__).parents[2]
    collect = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", *files]
    collected = subprocess.run(collect, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    assert named - set(collected) == set()


@every_warehouse
def test_dlt_takes_the_settings_without_a_warning_and_all_names_and_types_fit(
    warehouse: Warehouse, warehouse_pipeline: dlt.Pipeline, server: EcrServer, warnings_of_dlt: list[str]
) -> None:
    assert dlt.config["sources.ecr.destination"] == warehouse.name
    server.registry().maximal()
    extract(warehouse_pipeline, regions=["eu-west-1"], endpoint_url=server.url, tables=["all"], mode="history")
    client = unopened_client(warehouse_pipeline)
    credentials = client.config.credentials
    assert credentials is not None
    assert type(credentials).__name__ == warehouse.credentials
    assert not credentials.is_partial()
    assert warnings_of_dlt == []
    loaded = [name for name in TABLES if name in warehouse_pipeline.default_schema.tables]
    assert len(loaded) > 40
    types = set()
    for name in loaded:
        (created, *more) = [sqlglot.parse_one(sql, warehouse.dialect) for sql in create_statements(client, name)]
        assert isinstance(created, exp.Create)
        assert more == []
        columns = {column.name.lower(): column for column in created.find_all(exp.ColumnDef)}
        assert set(columns) == set(client.prepare_load_table(name)["columns"])
        types |= {column.kind.sql(warehouse.dialect) for column in columns.values() if column.kind}
        longest = max([name, *columns, *(f"{name}_{what}_{'0' * 32}" for what in ("delete", "insert"))], key=len)
        assert len(longest) <= client.capabilities.max_identifier_length
    assert types == TYPES[warehouse.name]


@every_warehouse
@pytest.mark.parametrize("mode", MODE_NAMES)
def test_what_a_load_sends_is_sql_of_the_warehouse(
    warehouse: Warehouse, warehouse_pipeline: dlt.Pipeline, hostile: EcrServer, mode: str
) -> None:
    assert warehouse_pipeline.destination is not None
    check_mode(warehouse_pipeline.destination, parse_mode(mode, None, None))
    extract(warehouse_pipeline, regions=["eu-west-1"], endpoint_url=hostile.url, tables=["images"], mode=mode)
    sent = load_statements(unopened_client(warehouse_pipeline), "images")
    parsed = [sqlglot.parse_one(sql, warehouse.dialect) for sql in sent]
    assert [type(statement) for statement in parsed] == SENT[mode].get(warehouse.name, SENT[mode]["others"])
    if mode in MERGING:
        # The condition is where rows are deleted or retired, and nowhere else, and has nobody's names.
        is_known = not isinstance(parsed[0], exp.Command)
        condition = parsed[0] if is_known else sqlglot.parse_one(sent[0].split(" WHERE ", 1)[1], warehouse.dialect)
        named = [one for one in condition.find_all(exp.EQ) if one.left.name == "unmodelled"]
        assert len(named) == 3  # scopes read, repositories read, repositories kept
        assert any("extraction_scopes" in one.sql().lower() for one in condition.find_all(exp.In))
        assert not any(name in sent[0] for name in NAMES)


@every_warehouse
def test_what_a_window_of_incremental_mode_sends_is_sql_of_the_warehouse(
    warehouse: Warehouse, warehouse_pipeline: dlt.Pipeline, server: EcrServer
) -> None:
    server.registry().put("api")
    server.registry().put_image("api")
    window = {"mode": "incremental", "initial_value": "2020-01-01", "end_value": "2030-01-01"}
    tables = ["images", "repositories"]
    extract(warehouse_pipeline, regions=["eu-west-1"], endpoint_url=server.url, tables=tables, **window)
    client = unopened_client(warehouse_pipeline)
    replaced: list[type[exp.Expr]] = [exp.Delete, exp.Insert]
    by_key: list[type[exp.Expr]] = [exp.Merge] if warehouse.name == "athena" else replaced
    for table, expected in (("images", by_key), ("repository_scanning_configurations", replaced)):
        sent = [sqlglot.parse_one(sql, warehouse.dialect) for sql in load_statements(client, table)]
        assert [type(statement) for statement in sent] == expected


IMAGES_ASKED = pa.table({"image_digest": ["sha256:1", "sha256:2"], "extracted_at": [1, 2]})
FETCHED = {
    "in batches": IMAGES_ASKED.to_batches(max_chunksize=1),
    "in upper case": [IMAGES_ASKED.rename_columns(["IMAGE_DIGEST", "EXTRACTED_AT"])],
    "nothing at all": [None],
    "no batch": [],
}


@pytest.mark.parametrize("parts", FETCHED.values(), ids=FETCHED)
def test_what_earlier_runs_loaded_is_read_whole_however_the_driver_hands_it_over(parts: list[Any]) -> None:
    class Cursor:
        """As dlt's for BigQuery, and for Snowflake."""

        def iter_arrow(self, chunk_size: int | None) -> Iterator[Any]:
            yield from parts

    schema = pa.schema([("image_digest", pa.string()), ("extracted_at", pa.timestamp("us", "UTC"))])
    rows = fetch_all(cast("DBApiCursor", Cursor()), schema)
    assert rows.schema == schema
    assert rows["image_digest"].to_pylist() == (["sha256:1", "sha256:2"] if any(parts) else [])


def test_athena_refuses_to_merge_into_tables_that_are_not_iceberg(tmp_path: Path) -> None:
    (athena,) = (warehouse for warehouse in WAREHOUSES if warehouse.name == "athena")
    with project(tmp_path / "project", athena):
        plain = cast("AnyDestination", dlt.destinations.athena(force_iceberg=False))
        for mode in MERGING:
            with pytest.raises(DestinationUnusable, match=r"cannot (replace rows|keep versions)"):
                check_mode(plain, parse_mode(mode, None, None))
        check_mode(plain, parse_mode("incremental", None, None))


@pytest.mark.parametrize("mode", MERGING)
def test_motherducks_sql_does_in_duckdb_what_it_is_to_do(server: EcrServer, tmp_path: Path, mode: str) -> None:
    (motherduck,) = (warehouse for warehouse in WAREHOUSES if warehouse.name == "motherduck")
    with duckdb.connect() as connection:
        connection.execute(
            "ATTACH ':memory:' AS my_db; CREATE SCHEMA my_db.aws_ecr; CREATE SCHEMA my_db.aws_ecr_staging"
        )
        for load in loads_in_turn(server, motherduck, tmp_path / "project", mode, NAMES):
            for statement in load:
                connection.execute(statement)
        current = "_dlt_valid_to IS NULL" if mode == "history" else "true"
        found = connection.execute(f"SELECT repository_name, image_digest, {current} FROM my_db.aws_ecr.images")
        assert sorted(found.fetchall()) == images_expected(mode, NAMES)


@pytest.mark.parametrize(
    "warehouse",
    [
        pytest.param(one, id=one.name, marks=() if one.name == "bigquery" else pytest.mark.nightly)
        for one in WAREHOUSES
        if one.name in VIEWS_IN_ITS_SQL
    ],
)
def test_views_are_made_in_the_sql_of_the_warehouse_and_one_that_it_refuses_is_one_warning(
    warehouse: Warehouse,
    warehouse_pipeline: dlt.Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tables = [*TABLES, *(table.name for table in catalog.RUN_TABLES)]
    stored: dict[str, str] = {}
    sent: list[str] = []
    client = warehouse_pipeline.sql_client()
    storage = client.make_qualified_table_name("ecr_storage")

    def execute_sql(statement: str, *_: str) -> list[tuple[str, ...]]:
        if "COLUMNS" in statement:
            return [(table, column) for table in tables for column in ("region", "_dlt_valid_to")]
        if statement.startswith("CREATE"):
            if storage in statement.partition(" AS ")[0]:
                raise DatabaseTerminalException(Exception("no function\nof this name"))
            sent.append(statement)
        return [("history",)] if statement.startswith("SELECT mode") else [*stored.items()]

    monkeypatch.setattr(client, "execute_sql", execute_sql)
    monkeypatch.setattr(client, "begin_transaction", nullcontext)
    create_views(destination_of(warehouse_pipeline), client, {})
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "ecr_storage" in warning
    assert warning.endswith("no function of this name")

    known = {client.make_qualified_table_name(name) for name in [*tables, "_dlt_loads"]}
    for statement in sent:
        created = sqlglot.parse_one(statement, dialect=warehouse.dialect)
        assert isinstance(created, exp.Create)
        assert "MATERIALIZED" not in statement
        named = {table for table in created.expression.find_all(exp.Table) if table.db}
        assert {table.sql(warehouse.dialect) for table in named if not table.alias} <= known
        stored[created.this.name.lower()] = created.expression.sql(warehouse.dialect)
    assert {*stored, "ecr_storage"} == {view.name for view in views().values() if not view.is_part}

    sent.clear()
    create_views(destination_of(warehouse_pipeline), client, {})
    assert sent == []
