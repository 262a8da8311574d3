"""What is particular to Postgres: texts, types, comments, indexes, and the memory that history needs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from ecr_source import catalog, ecr_source, postgres
from ecr_source.catalog.schema import arrow_schema, column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.comments import VERSION_COLUMNS
from ecr_source.destinations.postgres_lock import LockLost, loading_alone
from ecr_source.loading.loaded.dataset import Dataset
from tests.conftest import environment, make_pipeline
from tests.forked import ForkedCommand, run_forked
from tests.postgres import Postgres, loading_lock_held, table_locked
from tests.server.ecr_server import EcrServer, error
from tests.server.registry import CREATED_AT, basic_finding
from tests.warehouse import DATASET, DuckDbFile, PostgresDatabase, Warehouse

TYPES = {
    pa.string(): "character varying",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
}
PUNCTUATION = "\\N \\. '' \"\" , ; \\ \n \r\n \t end"
WITH_NUL = "before\x00after'; --"
WITH_PICTURE = WITH_NUL.replace("\x00", "\u2400")
MANY = 300_000


@pytest.fixture
def warehouse(postgres: Postgres) -> PostgresDatabase:
    return PostgresDatabase(postgres, postgres.new_database())


def load(server: EcrServer, folder: Path, into: Warehouse, **arguments: Any) -> None:
    make_pipeline(folder, into).run(ecr_source(regions=["eu-west-1"], endpoint_url=server.url, **arguments))


def run(server: EcrServer, into: Warehouse, *options: str) -> str:
    """A run that succeeds; what it wrote to standard error."""
    done = run_forked(["run", *options], environment(server, into), timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


# What earlier runs left is fetched some rows at a time


def test_answers_that_are_fetched_in_many_parts_stand(
    server: EcrServer, warehouse: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ecr_source.destinations.postgres._ROWS_AT_A_TIME", 2)
    server.registry().put("api")
    for number in range(5):
        server.registry().put_image("api", f"sha256:{number}", [f"v{number}"])
        server.registry().scan("api", f"sha256:{number}", [basic_finding("CVE-1", "openssl", "1.1")])
    for calls in (5, 0):
        server.calls.clear()
        load(server, tmp_path, warehouse, tables=["images", "findings"])
        assert server.calls["DescribeImageScanFindings"] == calls


def test_rows_that_are_not_taken_to_their_end_leave_the_connection_as_it_was(
    warehouse: PostgresDatabase, tmp_path: Path
) -> None:
    dataset = Dataset(make_pipeline(tmp_path, warehouse))
    number = pa.schema([("n", pa.int64())])
    others = pa.schema([("n", pa.int64()), ("more", pa.int64())])
    with dataset.opened(), dataset.tables() as client:
        with pytest.raises(ValueError, match="names"):
            dataset.fetch(client, "SELECT generate_series(1, 9) AS n", others)
        assert dataset.fetch(client, "SELECT generate_series(1, 9) AS n", number)["n"].to_pylist() == [*range(1, 10)]


# A dataset becomes one of history


def test_a_partitioned_table_is_not_converted_to_history(server: EcrServer, warehouse: PostgresDatabase) -> None:
    for name in ("api", "web"):
        server.registry().put(name)
    run(server, warehouse)
    warehouse.query(
        "ALTER TABLE repositories RENAME TO whole;"
        " CREATE TABLE repositories (LIKE whole) PARTITION BY LIST (repository_name);"
        " CREATE TABLE part_1 PARTITION OF repositories FOR VALUES IN ('api');"
        " CREATE TABLE part_2 PARTITION OF repositories DEFAULT;"
        " INSERT INTO repositories SELECT * FROM whole; DROP TABLE whole CASCADE"
    )
    assert warehouse.query("SELECT count(*), count(DISTINCT ctid) FROM repositories") == [(2, 1)]
    before = warehouse.query("SELECT * FROM repositories ORDER BY repository_name")
    refused = run_forked(["run", "--mode", "history"], environment(server, warehouse), timeout=120)
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1] == (
        'ecr-source: the dataset "aws_ecr" cannot be converted to history mode, because it has partitioned tables:'
        " make repositories whole, or load into another dataset"
    )
    assert warehouse.query("SELECT * FROM repositories ORDER BY repository_name") == before
    run(server, warehouse)
    assert warehouse.query("SELECT DISTINCT mode FROM extraction_scopes") == [("snapshot",)]


def test_a_conversion_that_is_killed_is_finished_by_the_next_run(
    server: EcrServer, warehouse: PostgresDatabase
) -> None:
    for name in ("api", "web"):
        server.registry().put(name)
    tables = ("repositories", "repository_scanning_configurations")
    options = ["run", "--table", "repositories"]
    run(server, warehouse, *options[1:])
    before = [warehouse.query(f"SELECT * FROM {table} ORDER BY repository_name") for table in tables]
    with (
        table_locked(warehouse.url, tables[1]) as waiting,
        ForkedCommand([*options, "--mode", "history"], environment(server, warehouse)) as killed,
    ):
        deadline = time.monotonic() + 60
        while not waiting():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        killed.kill()
        assert killed.end()[0] == -signal.SIGKILL
    versions = "SELECT DISTINCT table_name FROM information_schema.columns WHERE column_name = 'row_version'"
    assert warehouse.query(f"{versions} AND table_name IN {tables}") == [(tables[0],)]
    run(server, warehouse, *options[1:])
    for table, rows in zip(tables, before, strict=True):
        open_since = "_dlt_valid_from = extracted_at AND _dlt_valid_to IS NULL AND row_version <> ''"
        assert warehouse.query(f"SELECT {open_since} FROM {table}") == [(True,)] * 2
        assert [row[: len(rows[0])] for row in warehouse.query(f"SELECT * FROM {table} ORDER BY 3")] == rows
    assert warehouse.query("SELECT mode, count(DISTINCT run_id) FROM extraction_scopes GROUP BY 1 ORDER BY 1") == [
        ("history", 1),
        ("snapshot", 1),
    ]


# What arrives


@pytest.mark.parametrize("destination", [postgres, dlt.destinations.postgres], ids=["ours", "dlt's own"])
def test_an_empty_text_is_not_null_and_no_text_is_changed(
    server: EcrServer, tmp_path: Path, warehouse: PostgresDatabase, destination: Any
) -> None:
    texts = {"empty": "", "quoted": '"', "emoji": "🐳 名前", "null": "\\N", "NULL": "NULL", "all": PUNCTUATION}
    server.registry().put("api")
    server.registry().tags["api"] = texts
    into = destination(warehouse.url)
    pipeline = dlt.pipeline("ecr", pipelines_dir=str(tmp_path), destination=into, dataset_name=DATASET)
    pipeline.run(ecr_source(regions=["eu-west-1"], endpoint_url=server.url, tables=["repositories"]))
    assert dict(warehouse.query("SELECT tag_key, tag_value FROM repository_tags")) == texts
    assert warehouse.query("SELECT kms_key FROM repositories") == [(None,)]


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_a_nul_is_loaded_as_its_picture_and_its_repository_is_kept_while_it_is_denied(
    server: EcrServer, tmp_path: Path, warehouse: PostgresDatabase, mode: str
) -> None:
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    for name in (WITH_NUL, "api"):
        server.registry().put(name)
        server.registry().put_image(name, tags=[f"tag {name}"])
    for _ in range(2):
        load(server, tmp_path, warehouse, mode=mode, tables=["repositories", "images"])
        images = warehouse.query(f"SELECT repository_name, image_tag FROM image_tags {current} ORDER BY 1")
        assert images == [("api", "tag api"), (WITH_PICTURE, f"tag {WITH_PICTURE}")]
        server.fail(error("AccessDeniedException", f"no: {WITH_NUL}"), operation="DescribeImages", repository=WITH_NUL)
    assert warehouse.query("SELECT resource FROM extraction_errors") == [(WITH_PICTURE,)]


def test_every_column_has_the_type_that_the_catalog_says(
    server: EcrServer, tmp_path: Path, warehouse: PostgresDatabase
) -> None:
    load(server, tmp_path, warehouse, tables=["all", "manifests"], moves_last_recorded_pull_time=True)
    found = warehouse.query(
        "SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns"
        f" WHERE table_schema = '{DATASET}' AND table_name NOT LIKE '\\_dlt%'"
    )
    tables: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]
    expected = {
        (table.name, field.name, TYPES[field.type], field.nullable) for table in tables for field in arrow_schema(table)
    }
    assert set(found) == expected


# What is made after a load


def test_tables_and_columns_say_what_they_are_again_after_somebody_else_said_something(
    server: EcrServer, warehouse: PostgresDatabase
) -> None:
    comments = "SELECT col_description('repositories'::regclass, ordinal_position::int) FROM information_schema.columns"
    of_columns = (
        f"{comments} WHERE table_name = 'repositories' AND table_schema = '{DATASET}' ORDER BY ordinal_position"
    )
    (repositories,) = catalog.select_tables(["repositories.repositories"])
    for _ in range(2):
        run(server, warehouse)
        assert warehouse.query("SELECT obj_description('repositories'::regclass)") == [(repositories.description,)]
        assert [text for (text,) in warehouse.query(of_columns)] == list(column_descriptions(repositories).values())
        warehouse.query("COMMENT ON TABLE repositories IS 'mine'; COMMENT ON COLUMN repositories.region IS NULL")


def test_duckdb_has_the_comments_too(server: EcrServer, database: Path) -> None:
    into = DuckDbFile(database)
    for _ in range(2):
        run(server, into, "--mode", "history")
    (repositories,) = catalog.select_tables(["repositories.repositories"])
    there = f"table_name = 'repositories' AND schema_name = '{DATASET}'"
    found = into.query(f"SELECT column_name, comment FROM duckdb_columns() WHERE {there}")
    assert dict(found) == column_descriptions(repositories) | VERSION_COLUMNS
    assert into.query(f"SELECT comment FROM duckdb_tables() WHERE {there}") == [(repositories.description,)]


def test_one_scope_among_many_is_found_by_an_index(server: EcrServer, warehouse: PostgresDatabase) -> None:
    server.registry().put("api")
    for _ in range(2):
        run(server, warehouse)
    warehouse.query(
        "INSERT INTO repositories (registry_id, region, repository_name, repository_arn, extracted_at)"
        " SELECT registry_id, 'region-' || n % 100, n, n, extracted_at FROM repositories, generate_series(1, 50000) n"
    )
    warehouse.query("ANALYZE repositories")
    plan = warehouse.query("EXPLAIN DELETE FROM repositories WHERE ((registry_id = '1' AND region = 'region-7'))")
    assert any("repositories_by_ecr_source" in line for (line,) in plan)
    indexes = "SELECT count(*), count(DISTINCT tablename) FROM pg_indexes WHERE indexname LIKE 'repositor%'"
    ((there, tables),) = warehouse.query(f"{indexes} AND schemaname = '{DATASET}'")
    assert there == tables


# What others own, and what a role may not do


@pytest.fixture
def as_loader(warehouse: PostgresDatabase) -> Iterator[PostgresDatabase]:
    """The database as a role sees it that owns nothing, and that is asked for no password."""
    warehouse.query("CREATE ROLE loader LOGIN")
    yield PostgresDatabase(warehouse.server, warehouse.url.replace("//ecr:unasked@", "//loader@"))
    warehouse.query("DROP OWNED BY loader; DROP ROLE loader")


def test_a_role_that_owns_nothing_loads_what_it_may_and_leaves_the_views_alone(
    server: EcrServer, warehouse: PostgresDatabase, as_loader: PostgresDatabase
) -> None:
    run(server, warehouse)
    schemas = f"{DATASET}, {DATASET}_staging"
    warehouse.query(f"GRANT ALL ON SCHEMA {schemas} TO loader; GRANT ALL ON ALL TABLES IN SCHEMA {schemas} TO loader")
    assert "ecr_freshness" not in run(server, as_loader)
    assert warehouse.query("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(2,)]


def test_a_plan_for_a_role_that_may_not_read_says_so(
    server: EcrServer, warehouse: PostgresDatabase, as_loader: PostgresDatabase
) -> None:
    run(server, warehouse)
    warehouse.query(f"GRANT USAGE ON SCHEMA {DATASET} TO loader")
    refused = run_forked(["plan"], environment(server, as_loader), timeout=60)
    assert refused.returncode == 2
    assert f"cannot read what is loaded in {DATASET}: permission denied for table extraction_scopes" in refused.stderr


def test_a_role_that_may_not_make_the_schema_is_refused_before_anything_is_read(
    server: EcrServer, as_loader: PostgresDatabase
) -> None:
    refused = run_forked(["run"], environment(server, as_loader), timeout=60)
    assert refused.returncode == 2
    assert (
        f'the role "loader" may neither use nor make the schema "{DATASET}": GRANT CREATE ON DATABASE' in refused.stderr
    )
    assert "DescribeRepositories" not in server.calls


def test_a_view_of_an_older_version_with_other_columns_is_made_anew(
    server: EcrServer, warehouse: PostgresDatabase
) -> None:
    run(server, warehouse)
    warehouse.query("DROP VIEW ecr_freshness; CREATE VIEW ecr_freshness AS SELECT 1 AS older")
    run(server, warehouse)
    assert warehouse.query("SELECT DISTINCT last_status FROM ecr_freshness") == [("complete",)]


def test_a_view_that_another_one_needs_stays_as_it_was_and_the_run_says_so(
    server: EcrServer, warehouse: PostgresDatabase
) -> None:
    run(server, warehouse)
    warehouse.query("DROP VIEW ecr_freshness; CREATE VIEW ecr_freshness AS SELECT 1 AS older")
    warehouse.query("CREATE VIEW mine AS SELECT * FROM ecr_freshness")
    assert 'ecr_freshness" stays as it was: cannot drop view ecr_freshness' in run(server, warehouse)
    assert warehouse.query("SELECT older FROM mine") == [(1,)]


def test_a_destination_under_a_name_of_its_own_is_postgres_all_the_same(
    server: EcrServer, warehouse: PostgresDatabase
) -> None:
    server.registry().put("api")
    server.registry().tags["api"] = {"empty": ""}
    settings: dict[str, str | None] = {
        "DESTINATION__REPORTING__DESTINATION_TYPE": "postgres",
        "DESTINATION__REPORTING__CREDENTIALS": warehouse.url,
    }
    command = ["run", "--destination", "reporting", "--table", "repositories"]
    done = run_forked(command, environment(server, Path("unused.duckdb"), settings), timeout=60)
    assert done.returncode == 0, done.stderr
    assert warehouse.query("SELECT tag_value FROM repository_tags") == [("",)]
    assert warehouse.query("SELECT DISTINCT last_status FROM ecr_freshness") == [("complete",)]


def test_a_run_into_postgres_after_one_into_duckdb_says_nothing_of_it(
    server: EcrServer, warehouse: PostgresDatabase, database: Path
) -> None:
    for into in (DuckDbFile(database), warehouse, DuckDbFile(database)):
        assert "[WARNING]" not in run(server, into)


# One load at a time


def test_a_load_waits_for_its_turn_longer_than_a_statement_may_take(
    server: EcrServer, warehouse: PostgresDatabase
) -> None:
    hurried = PostgresDatabase(warehouse.server, f"{warehouse.url}?options=-c%20statement_timeout%3D2s")
    with ThreadPoolExecutor(1) as pool, loading_lock_held(warehouse.url, DATASET) as waiting:
        loading = pool.submit(run, server, hurried)
        while not waiting(longer_than="2.5 s"):
            assert not loading.done(), loading.result()
    loading.result()
    assert warehouse.query("SELECT DISTINCT status FROM extraction_scopes") == [("complete",)]


def test_a_load_that_lost_its_turn_while_it_loaded_says_so(tmp_path: Path, warehouse: PostgresDatabase) -> None:
    pipeline = make_pipeline(tmp_path, warehouse)
    with pytest.raises(LockLost, match=f'kept other loads out of "{DATASET}" was lost'), loading_alone(pipeline):
        warehouse.query("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")


# The memory of history


def test_history_with_the_memory_that_servers_give_is_refused_for_dlts_own_destination(
    server: EcrServer, tmp_path: Path, warehouse: PostgresDatabase
) -> None:
    def history(url: str) -> None:
        into = dlt.destinations.postgres(url)
        pipeline = dlt.pipeline("own", pipelines_dir=str(tmp_path), destination=into, dataset_name=DATASET)
        source = ecr_source(regions=["eu-west-1"], endpoint_url=server.url, mode="history", tables=["repositories"])
        pipeline.run(source)

    server.registry().put("api")
    with pytest.raises(PipelineStepFailed, match="needs a work_mem of 64 MB, and the connection has 4MB: use the dest"):
        history(warehouse.url)
    assert warehouse.tables() <= {"_dlt_version", "_dlt_loads", "_dlt_pipeline_state"}
    history(f"{warehouse.url}?options=-c%20work_mem%3D64MB")
    assert warehouse.query("SELECT repository_name FROM repositories") == [("api",)]


@pytest.mark.parametrize(("given", "expected"), [("", "256MB"), ("?options=-c%20work_mem%3D8MB", "8MB")])
def test_the_connections_have_the_memory_unless_the_connection_string_says_otherwise(
    warehouse: PostgresDatabase, tmp_path: Path, given: str, expected: str
) -> None:
    pipeline = make_pipeline(tmp_path, PostgresDatabase(warehouse.server, warehouse.url + given))
    with pipeline.sql_client() as client:
        assert client.execute_sql("SHOW work_mem") == [(expected,)]


def test_each_database_has_cursors_of_its_own(server: EcrServer, postgres: Postgres) -> None:
    databases = [PostgresDatabase(postgres, postgres.new_database()) for _ in range(2)]
    for name, created_at, turns in (("api", CREATED_AT, databases), ("web", CREATED_AT + 1, databases[::-1])):
        server.registry().put(name, created_at)
        for database in turns:
            run(server, database, "--mode", "incremental")
    for database in databases:
        assert database.query("SELECT repository_name FROM repositories ORDER BY 1") == [("api",), ("web",)]


@pytest.mark.nightly
def test_history_of_many_rows_loads_in_under_30_seconds(
    server: EcrServer, tmp_path: Path, warehouse: PostgresDatabase
) -> None:
    registry = server.registry()
    registry.fill(MANY)
    source: dict[str, Any] = {"regions": ["eu-west-1"], "endpoint_url": server.url, "mode": "history"}
    pipeline = make_pipeline(tmp_path, warehouse)
    for mutability, expected in [("MUTABLE", (MANY, 0)), ("IMMUTABLE", (MANY + 1, 1))]:
        registry.put(next(iter(registry.repositories)), imageTagMutability=mutability)
        pipeline.extract(ecr_source(**source, tables=["repositories.repositories"]))
        began = time.monotonic()
        pipeline.normalize()
        pipeline.load()
        seconds = time.monotonic() - began
        assert warehouse.query("SELECT count(*), count(_dlt_valid_to) FROM repositories") == [expected]
        assert seconds < 30
