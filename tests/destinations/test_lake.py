"""A lake: Parquet files, Delta and Iceberg tables in a folder and on S3, as other engines read them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import dlt
import duckdb
import polars
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.pipeline.exceptions import PipelineStepFailed
from typer.testing import CliRunner

from ecr_source import catalog, ecr_source
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.catalog.tables.image_scans import IMAGE_SCANS
from ecr_source.cli.commands import app
from ecr_source.destinations.destination import destination_of, make_destination
from ecr_source.destinations.replacement import by_names
from ecr_source.destinations.s3 import ArrowS3
from ecr_source.errors import DestinationUnusable
from tests.conftest import ECR_SOURCE, make_pipeline
from tests.conftest import environment as command_environment
from tests.nightly import at_night
from tests.postgres import free_port
from tests.server.accounts import ACCOUNT
from tests.server.ecr_server import ACCESS_KEY, DENIED, EcrServer, serving
from tests.server.registry import CREATED_AT, basic_finding
from tests.whole.registry_changes import furnish, image_of, push, rescan
from tests.whole.scope_contents import Rows, columns_of, environment, in_order

PAGE = (Path(__file__).parents[2] / "docs" / "lake.md").read_text()

FORMATS = [(None, "incremental"), ("delta", "snapshot"), ("iceberg", "incremental")]
EVERYTHING: dict[str, Any] = {"tables": ["all", "manifests"], "moves_last_recorded_pull_time": True}
EMPTY = ["image_manifest_annotations"]
"""Tables that the maximal registry leaves empty."""
LATER = 1_800_000_000.0

KEYS: dict[str, Any] = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": "secret", "region_name": "us-east-1"}


@dataclass(frozen=True)
class Place:
    """Where a lake is: as dlt's configuration says it, and as other engines are told it."""

    url: str
    options: dict[str, str] = field(default_factory=dict)


class Lake:
    """A dataset in a lake; `load(mode=…)` is one run, in a working folder that is new each time."""

    def __init__(self, server: EcrServer, place: Place, folder: Path, **arguments: Any) -> None:
        self._place = place
        self._folder = folder
        self._arguments = {"regions": ["eu-west-1"], "endpoint_url": server.url} | arguments
        self._runs = 0

    def load(self, **arguments: Any) -> None:
        self._runs += 1
        self._pipeline().run(ecr_source(**(self._arguments | arguments)))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What DuckDB answers, as later runs ask it."""
        pipeline = self._pipeline()
        with destination_of(pipeline).open_tables(pipeline) as client:
            return [tuple(row) for row in client.execute_sql(sql) or ()]

    def by_duckdb(self, tables: list[Table]) -> dict[str, Rows]:
        """All rows of the tables that are there, by DuckDB."""
        found = {}
        pipeline = self._pipeline()
        with destination_of(pipeline).open_tables(pipeline) as client:
            for table in tables:
                with client.execute_query(f"SELECT * FROM {table.name}") as cursor:
                    rows: Any = cursor.arrow()
                found[table.name] = rows_of(table, rows if isinstance(rows, pa.Table) else rows.read_all())
        return found

    def by_another_engine(self, tables: list[Table]) -> dict[str, Rows]:
        """The same, by delta-rs, pyiceberg or Polars."""
        read = {"delta": self._by_delta_rs, "iceberg": self._by_pyiceberg, None: self._by_polars}
        with self._pipeline().destination_client() as client:
            return {table.name: rows_of(table, read[self._format](table, client)) for table in tables}

    @property
    def _format(self) -> str | None:
        table_format: str | None = self._arguments.get("table_format")
        return table_format

    def _by_delta_rs(self, table: Table, _: Any) -> pa.Table:
        place = f"{self._place.url}/aws_ecr/{table.name}"
        return pa.table(DeltaTable(place, storage_options=self._place.options).to_pyarrow_table())

    def _by_polars(self, table: Table, _: Any) -> pa.Table:
        files = f"{self._place.url}/aws_ecr/{table.name}/*.parquet"
        return polars.read_parquet(files, storage_options=self._place.options or None).to_arrow()

    def _by_pyiceberg(self, table: Table, client: Any) -> pa.Table:
        return client.load_open_table("iceberg", table.name).scan().to_arrow()

    def _pipeline(self) -> dlt.Pipeline:
        return self.pipeline(str(self._folder / f"pipelines-{self._runs}"))

    def pipeline(self, folder: str) -> dlt.Pipeline:
        """A pipeline into it, with its working folder below `folder`."""
        return dlt.pipeline(
            "ecr",
            pipelines_dir=folder,
            destination=make_destination("filesystem", self._folder),
            dataset_name="aws_ecr",
        )


def rows_of(table: Table, rows: pa.Table) -> Rows:
    schema = arrow_schema(table)
    return in_order(rows.select(schema.names).cast(schema).select(columns_of(table)).to_pylist())


@dataclass(frozen=True)
class InDuckDB:
    """The same dataset in DuckDB, which the lake is to agree with."""

    server: EcrServer
    folder: Path
    arguments: dict[str, Any]

    def load(self) -> None:
        pipeline = make_pipeline(self.folder / "pipelines", self.folder / "ecr.duckdb")
        arguments = {"regions": ["eu-west-1"], "endpoint_url": self.server.url} | self.arguments
        pipeline.run(ecr_source(**arguments))

    def rows(self, tables: list[Table]) -> dict[str, Rows]:
        with duckdb.connect(self.folder / "ecr.duckdb", read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return {
                table.name: rows_of(table, connection.execute(f"FROM aws_ecr.{table.name}").arrow().read_all())
                for table in tables
            }


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """moto's S3, in a process of its own: delta-rs holds Python's lock while it waits for an answer."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _answers(url):
            assert server.poll() is None
        yield url
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=10).close()
    except URLError:
        time.sleep(0.05)
        return False
    return True


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An empty lake, and dlt's configuration for it."""
    if request.param == "folder":
        monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "lake"))
        return Place(str(tmp_path / "lake"))
    endpoint = request.getfixturevalue("s3")
    bucket = tmp_path.name.replace("_", "-").lower()
    boto3.client("s3", endpoint_url=endpoint, **KEYS).create_bucket(Bucket=bucket)
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", f"s3://{bucket}")
    for name, value in {"endpoint_url": endpoint, **KEYS}.items():
        monkeypatch.setenv(f"DESTINATION__FILESYSTEM__CREDENTIALS__{name.upper()}", value)
    options = {"aws_endpoint_url": endpoint, "aws_allow_http": "true", "aws_region": "us-east-1"}
    return Place(f"s3://{bucket}", options | {name: KEYS[name] for name in KEYS if name.startswith("aws_")})


in_a_folder = pytest.mark.parametrize("place", ["folder"], indirect=True)
on_s3 = pytest.mark.parametrize("place", ["s3"], indirect=True)
every_format = pytest.mark.parametrize(("table_format", "mode"), FORMATS)


@pytest.fixture(scope="module")
def maximal() -> Iterator[EcrServer]:
    """A registry that fills every column."""
    with serving() as running:
        running.registry().maximal()
        yield running


@pytest.fixture(scope="module")
def expected(maximal: EcrServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """Its rows as DuckDB has them."""
    folder = tmp_path_factory.mktemp("reference")
    reference = InDuckDB(maximal, folder, EVERYTHING)
    with environment(folder):
        reference.load()
        return reference.rows(list(catalog.TABLES))


@in_a_folder
@every_format
def test_two_engines_read_the_rows_that_duckdb_has(
    maximal: EcrServer, expected: dict[str, Rows], place: Place, tmp_path: Path, table_format: str | None, mode: str
) -> None:
    lake = Lake(maximal, place, tmp_path, table_format=table_format, mode=mode, **EVERYTHING)
    lake.load()
    assert [name for name, rows in expected.items() if not rows] == EMPTY
    tables = [table for table in catalog.TABLES if table.name not in EMPTY]
    by_duckdb, by_another_engine = lake.by_duckdb(tables), lake.by_another_engine(tables)
    for table in tables:
        assert by_duckdb[table.name] == expected[table.name]
        assert by_another_engine[table.name] == expected[table.name]


NAMES = "SELECT region, repository_name FROM repositories ORDER BY ALL"


@on_s3
def test_a_snapshot_in_delta_replaces_exactly_the_scopes_that_were_read(
    server: EcrServer, place: Place, tmp_path: Path
) -> None:
    for name in ("api", "it's;{a}"):
        server.registry().put(name)
    server.registry("us-east-1").put("web")
    both = ["eu-west-1", "us-east-1"]
    lake = Lake(server, place, tmp_path, table_format="delta", tables=["repositories.repositories"], regions=both)
    lake.load()
    european = [("eu-west-1", "api"), ("eu-west-1", "it's;{a}")]
    assert lake.query(NAMES) == [*european, ("us-east-1", "web")]
    # The one scope cannot be read, the other has become empty.
    server.registry().put("new")
    server.registry("us-east-1").repositories.clear()
    server.fail(DENIED, region="eu-west-1")
    lake.load()
    assert lake.query(NAMES) == european
    # The one scope is not asked for.
    server.recover()
    server.registry("us-east-1").put("web")
    lake.load(regions=["us-east-1"])
    assert lake.query(NAMES) == [*european, ("us-east-1", "web")]
    del server.registry().repositories["api"]
    lake.load(regions=["eu-west-1"])
    assert lake.query(NAMES) == [("eu-west-1", "it's;{a}"), ("eu-west-1", "new"), ("us-east-1", "web")]
    (rows,) = lake.by_another_engine([catalog.TABLES[0]]).values()
    assert sorted((row["region"], row["repository_name"]) for row in rows) == lake.query(NAMES)


@in_a_folder
def test_a_denied_repository_keeps_its_images_in_delta(server: EcrServer, place: Place, tmp_path: Path) -> None:
    registry = server.registry()
    for name in ("it's;{a}", "web"):
        registry.put(name)
        registry.put_image(name)
    lake = Lake(server, place, tmp_path, table_format="delta", tables=["images.images"])
    lake.load()
    for images in registry.images.values():
        images.clear()
    server.fail(DENIED, operation="DescribeImages", repository="it's;{a}")
    lake.load()
    assert lake.query("SELECT repository_name FROM images") == [("it's;{a}",)]


@in_a_folder
def test_what_vanished_of_a_pattern_goes_from_delta(server: EcrServer, place: Place, tmp_path: Path) -> None:
    for name in ("team-1/api", "team-1/web", "base"):
        server.registry().put(name)
    lake = Lake(server, place, tmp_path, table_format="delta", tables=["repositories.repositories"])
    lake.load()
    for name in ("team-1/api", "base"):
        del server.registry().repositories[name]
    for pattern in ("team-1/*", "team-2/*"):
        lake.load(repositories=[pattern])
        assert lake.query(NAMES) == [("eu-west-1", "base"), ("eu-west-1", "team-1/web")]


TWICE: dict[str, Any] = {"tables": ["repositories.repositories", "images"], "mode": "incremental"}
TWO_GROUPS = catalog.select_tables(TWICE["tables"])


def runs_of(server: EcrServer) -> Iterator[None]:
    """Two runs, and what is pushed before each."""
    server.registry().put("api")
    server.registry().put_image("api", tags=["1"])
    yield
    server.registry().put_image("api", tags=["2"], pushed_at=LATER)
    yield


@pytest.fixture(scope="module")
def appended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """The rows of DuckDB after two incremental runs."""
    folder = tmp_path_factory.mktemp("appended")
    with environment(folder), serving() as running:
        reference = InDuckDB(running, folder, TWICE)
        for _ in runs_of(running):
            reference.load()
        return reference.rows(TWO_GROUPS)


@pytest.mark.parametrize(
    ("place", "table_format"),
    [
        ("s3", None),
        ("folder", "delta"),
        at_night("s3", "iceberg"),
    ],
    indirect=["place"],
)
def test_two_incremental_runs_append_what_they_append_in_duckdb(
    server: EcrServer, appended: dict[str, Rows], place: Place, tmp_path: Path, table_format: str | None
) -> None:
    lake = Lake(server, place, tmp_path, table_format=table_format, **TWICE)
    for _ in runs_of(server):
        lake.load()
    assert (len(appended["repositories"]), len(appended["images"])) == (1, 2)
    assert lake.by_duckdb(TWO_GROUPS) == appended
    assert lake.by_another_engine(TWO_GROUPS) == appended


@in_a_folder
def test_a_window_that_is_loaded_again_is_replaced_in_delta(server: EcrServer, place: Place, tmp_path: Path) -> None:
    server.registry().put("api")
    server.registry().put_image("api")
    server.registry().put_image("api", pushed_at=None)
    window = {"mode": "incremental", "initial_value": "2020-01-01T00:00:00Z", "end_value": "2027-01-01T00:00:00Z"}
    lake = Lake(server, place, tmp_path, table_format="delta", tables=["images.images"], **window)
    for _ in range(2):
        lake.load()
    # One without a time is there twice, as in DuckDB: it is in no window.
    counts = "SELECT image_pushed_at IS NULL, count(*) FROM images GROUP BY ALL ORDER BY ALL"
    assert lake.query(counts) == [(False, 1), (True, 2)]


def changes_in_two_regions(server: EcrServer) -> Iterator[None]:
    """A registry that changes: what is new, pushed again, rescanned, denied for a while, and gone."""
    here, there = server.registry(), server.registry("us-east-1")
    for registry in (here, there):
        for name in ("api", "web"):
            furnish(registry, name, 0)
    yield
    rescan(here, "api", "app", LATER)
    push(there, "web", 1)
    server.fail(DENIED, operation="DescribeImageScanFindings", region="us-east-1", repository="api")
    yield
    server.recover()
    del there.repositories["web"]
    here.delete_image("api", image_of("api", "app"))
    furnish(here, "new", 0)
    yield
    server.fail(DENIED, operation="DescribeImages", region="us-east-1")
    del here.repositories["web"]
    yield


@in_a_folder
@pytest.mark.parametrize(
    "groups",
    [
        ["repositories", "images", "findings"],
        at_night([*catalog.DEFAULT_GROUPS, "findings"]),
    ],
    ids=["three groups", "the default groups and findings"],
)
def test_four_runs_of_two_regions_leave_in_delta_what_they_leave_in_duckdb(
    server: EcrServer, place: Place, tmp_path: Path, groups: list[str]
) -> None:
    arguments: dict[str, Any] = {"tables": groups, "regions": ["eu-west-1", "us-east-1"], "findings_max_age": 0}
    lake = Lake(server, place, tmp_path / "lake", table_format="delta", **arguments)
    reference = InDuckDB(server, tmp_path, arguments)
    tables = catalog.select_tables(groups)
    for _ in changes_in_two_regions(server):
        lake.load()
        reference.load()
        assert lake.by_duckdb(tables) == reference.rows(tables)
    assert lake.by_another_engine(tables) == reference.rows(tables)


@in_a_folder
@every_format
def test_a_second_run_asks_no_image_again(
    server: EcrServer, place: Place, tmp_path: Path, table_format: str | None, mode: str
) -> None:
    registry = server.registry()
    registry.put("api")
    registry.scan("api", registry.put_image("api")["imageDigest"])
    tables = ["images.images", "findings.image_scans"]
    lake = Lake(server, place, tmp_path, table_format=table_format, mode=mode, tables=tables)
    lake.load()
    assert server.calls["DescribeImageScanFindings"] == 1
    lake.load()
    assert server.calls["DescribeImageScanFindings"] == 1
    assert lake.query("SELECT count(*) FROM image_scans") == [(1,)]


@in_a_folder
@pytest.mark.parametrize(
    ("table_format", "mode"),
    [
        ("delta", "snapshot"),
        at_night("delta", "incremental"),
        at_night(None, "incremental"),
        at_night("iceberg", "incremental"),
    ],
)
def test_an_image_with_more_findings_than_memory_is_for_is_there_once_after_a_script_was_interrupted(
    server: EcrServer,
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    table_format: str | None,
    mode: str,
) -> None:
    monkeypatch.setattr("ecr_source.extract.rows.response_rows.BYTES_OF_A_LISTING", 2_000)
    server.page_size = 3
    server.repeat_last_item = True
    server.registry().put("api")
    digest = server.registry().put_image("api")["imageDigest"]
    server.registry().scan("api", digest, [basic_finding(f"CVE-{n}", "openssl", "1.1") for n in range(40)])
    arguments: dict[str, Any] = {"table_format": table_format, "mode": mode, "tables": ["findings"]}
    lake = Lake(server, place, tmp_path, **arguments)
    script = lake.pipeline(get_dlt_pipelines_dir())
    script.extract(ecr_source(regions=["eu-west-1"], endpoint_url=server.url, **arguments))
    options = ["run", "--destination", "filesystem", "--region", "eu-west-1", "--endpoint-url", server.url]
    options += ["--table", "findings", "--mode", mode]
    options += ["--table-format", table_format] if table_format else []
    # What is asked again replaces what is there; in incremental mode it would be appended.
    options += ["--findings-max-age", "0"] if mode == "snapshot" else []
    for runs in (2, 3):
        done = CliRunner().invoke(app, options)
        assert done.exit_code == 0, done.stderr
        assert lake.query("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(runs,)]
        assert lake.query("SELECT count(*) FROM image_scans") == [(1,)]
        assert lake.query("SELECT count(*), count(DISTINCT finding_id) FROM image_scan_findings") == [(40, 40)]
        assert lake.query("SELECT DISTINCT outcome FROM extraction_images") == [("complete",)]


RUN = ["run", "--destination", "filesystem", "--region", "eu-west-1", "--table", "repositories.repositories"]
INCREMENTAL = [*RUN, "--mode", "incremental"]
REPLACE = (
    "cannot replace rows (delete-insert), which snapshot mode needs: use --table-format delta, or --mode incremental"
)
KEEP = (
    "cannot keep versions (scd2), which history mode needs: use --mode snapshot with --table-format delta,"
    " or another destination, such as duckdb or postgres"
)
REFUSED = {
    "snapshot in Parquet": ("", f"plain Parquet files {REPLACE}"),
    "snapshot in iceberg": ("--table-format iceberg", f"iceberg tables {REPLACE}"),
    "history in Parquet": ("--mode history", f"plain Parquet files {KEEP}"),
    "history in delta": ("--mode history --table-format delta", f"delta tables {KEEP}"),
    "history in iceberg": ("--mode history --table-format iceberg", f"iceberg tables {KEEP}"),
    "unknown format": ("--table-format orc", 'unknown table format "orc": it is one of delta, iceberg'),
    "delta in DuckDB": (
        "--table-format delta --destination duckdb",
        "delta tables are a lake's, and the destination duckdb has its own:"
        " leave the table format out, or use the destination filesystem",
    ),
}


def test_images_of_10_000_repositories_are_replaced_at_once_in_delta(tmp_path: Path) -> None:
    scope = {"registry_id": ACCOUNT, "region": "eu-west-1"}
    rows = [
        {**scope, "repository_name": f"team/{number}", "image_digest": f"sha256:{digest * 64}"}
        for number in range(10_000)
        for digest in "ab"
    ]
    there = pa.Table.from_pylist(rows)
    write_deltalake(tmp_path, there)
    markers = pa.Table.from_pylist([{**row, "unmodelled": "read"} for row in rows[::2]])
    condition = by_names(markers, IMAGE_SCANS, None).format(table="target")
    merge = DeltaTable(tmp_path).merge(
        there.slice(0, 0), " AND ".join(f"source.{name} = target.{name}" for name in rows[0]), "source", "target"
    )
    merge.when_not_matched_by_source_delete(condition).execute()
    left = DeltaTable(tmp_path).to_pyarrow_table(columns=["image_digest"])
    assert set(left["image_digest"].to_pylist()) == {rows[1]["image_digest"]}
    assert left.num_rows == 10_000


@in_a_folder
@pytest.mark.parametrize(("options", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_a_lake_cannot_keep_is_refused_before_anything_is_read(
    server: EcrServer, place: Place, options: str, sentence: str
) -> None:
    command = [*RUN, "--endpoint-url", server.url, *options.split()]
    refused = CliRunner(env={"COLUMNS": "1000"}).invoke(app, command)
    assert refused.exit_code == 2
    assert refused.stderr.splitlines()[-1] == f"ecr-source: {sentence}"
    assert not Path(place.url).exists() or not list(Path(place.url).rglob("*.parquet"))
    assert server.calls.total() == 0


def test_each_lake_has_cursors_of_its_own(server: EcrServer, tmp_path: Path) -> None:
    for name, lakes in (("api", ["one", "other"]), ("web", ["other", "one"])):
        server.registry().put(name, LATER if name == "web" else CREATED_AT)
        for lake in lakes:
            env = {"DESTINATION__FILESYSTEM__BUCKET_URL": lake}
            done = CliRunner(env=env).invoke(app, [*INCREMENTAL, "--endpoint-url", server.url])
            assert done.exit_code == 0, done.stderr
    for lake in ("one", "other"):
        rows = polars.read_parquet(tmp_path / lake / "aws_ecr/repositories/*.parquet")
        assert sorted(rows["repository_name"]) == ["api", "web"]


@in_a_folder
@pytest.mark.parametrize(
    ("first", "then", "sentence"),
    [
        ([], ["--table-format", "delta"], "beside delta: go on without --table-format, or"),
        (["--table-format", "delta"], [], "beside Parquet: go on with --table-format delta, or"),
    ],
    ids=["Parquet", "delta"],
)
def test_a_lake_keeps_its_table_format(
    server: EcrServer, place: Place, first: list[str], then: list[str], sentence: str
) -> None:
    done = CliRunner().invoke(app, [*INCREMENTAL, "--endpoint-url", server.url, *first])
    assert done.exit_code == 0, done.stderr
    refused = CliRunner(env={"COLUMNS": "1000"}).invoke(app, [*INCREMENTAL, "--endpoint-url", server.url, *then])
    assert (refused.exit_code, sentence in refused.stderr) == (2, True), refused.stderr


@in_a_folder
def test_a_lake_keeps_its_table_format_whichever_pipeline_loads_into_it(
    server: EcrServer, place: Place, tmp_path: Path
) -> None:
    Lake(server, place, tmp_path, table_format="delta", mode="incremental").load()
    lake = make_destination("filesystem", tmp_path)
    other = dlt.pipeline("other", pipelines_dir=str(tmp_path), destination=lake, dataset_name="aws_ecr")
    with pytest.raises(PipelineStepFailed, match="was loaded as delta, and its rows would be out of sight beside Parq"):
        other.run(ecr_source(regions=["eu-west-1"], endpoint_url=server.url, mode="incremental"))


@on_s3
def test_a_bucket_that_is_not_there_is_told_before_anything_is_read_and_is_in_nobodys_way(
    server: EcrServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["--endpoint-url", server.url]
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", f"{place.url}-mistyped")
    refused = CliRunner(env={"COLUMNS": "1000"}).invoke(app, [*INCREMENTAL, *command])
    assert refused.exit_code == 2
    assert f'there is no bucket "{place.url.removeprefix("s3://")}-mistyped": make it, or correct' in refused.stderr
    assert "DescribeRepositories" not in server.calls
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", place.url)
    done = CliRunner().invoke(app, [*INCREMENTAL, *command])
    assert done.exit_code == 0, done.stderr


@in_a_folder
def test_a_plan_for_a_lake_needs_no_table_format(server: EcrServer, place: Place) -> None:
    command = ["plan", "--destination", "filesystem", "--region", "eu-west-1", "--endpoint-url", server.url]
    planned = CliRunner().invoke(app, command)
    assert planned.exit_code == 0, planned.stderr


@in_a_folder
def test_a_lake_under_a_name_of_its_own_is_one_all_the_same(
    server: EcrServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__COLD__DESTINATION_TYPE", "filesystem")
    monkeypatch.setenv("DESTINATION__COLD__BUCKET_URL", f"{place.url}-cold")
    options = [
        "--destination",
        "cold",
        "--table-format",
        "delta",
        "--region",
        "eu-west-1",
        "--endpoint-url",
        server.url,
    ]
    for _ in range(2):
        done = CliRunner().invoke(app, ["run", *options])
        assert done.exit_code == 0, done.stderr
    assert DeltaTable(f"{place.url}-cold/aws_ecr/extraction_scopes").to_pyarrow_table().num_rows > 0


@on_s3
def test_s3_is_reached_by_the_proxy_that_boto3_would_take(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = place.options["aws_endpoint_url"]
    bucket = place.url.removeprefix("s3://")
    assert ArrowS3(KEYS["aws_access_key_id"], "secret", endpoint_url=endpoint).exists(bucket)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        ArrowS3(KEYS["aws_access_key_id"], "secret", endpoint_url=endpoint).exists(bucket)


def test_an_option_that_only_s3fs_knows_is_refused() -> None:
    with pytest.raises(DestinationUnusable, match="s3_additional_kwargs is an option of s3fs, which is not used"):
        ArrowS3(s3_additional_kwargs={"ServerSideEncryption": "aws:kms"})


def test_the_commands_of_the_page_run(server: EcrServer, database: Path) -> None:
    server.registry().put("api")
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    path = f"{Path(ECR_SOURCE).parent}{os.pathsep}{os.environ['PATH']}"
    for command in (["bash", "-ec", commands], [sys.executable, "-c", code]):
        env = command_environment(server, database, {"PATH": path})
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout == "['api']\n"
