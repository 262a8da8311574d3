"""A lake: Parquet files, Delta and Iceberg tables in a folder and on S3, as other engines read them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import boto3
import dlt
import duckdb
import pyarrow as pa
import pytest

from ecr_source import catalog, ecr_source
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.destination import make_destination
from ecr_source.lake import open_tables
from tests.conftest import make_pipeline
from tests.ecr_server import ACCESS_KEY, DENIED, EcrServer
from tests.scope_contents import columns_of, in_order

pytest.importorskip("deltalake")
pytest.importorskip("pyiceberg")

BOTH = ["eu-west-1", "us-east-1"]
NAMES = "SELECT region, repository_name FROM repositories ORDER BY ALL"

Ecr = Callable[..., subprocess.CompletedProcess[str]]


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


@pytest.fixture(params=["folder", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where the lake is, as dlt's configuration says it, and as delta-rs and Polars are told it."""
    if request.param == "folder":
        monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "lake"))
        return {}
    url = request.getfixturevalue("s3")
    bucket = tmp_path.name.replace("_", "-").lower()
    keys: dict[str, Any] = {
        "aws_access_key_id": ACCESS_KEY,
        "aws_secret_access_key": "secret",
        "region_name": "us-east-1",
    }
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket=bucket)
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", f"s3://{bucket}")
    for name, value in ({"endpoint_url": url} | keys).items():
        monkeypatch.setenv(f"DESTINATION__FILESYSTEM__CREDENTIALS__{name.upper()}", value)
    return {"endpoint_url": url, "aws_allow_http": "true"} | keys


class Lake:
    """A dataset in the lake; `load(mode=…)` is one run, in a working folder that is new each time."""

    def __init__(self, server: EcrServer, folder: Path, **arguments: Any) -> None:
        self._folder = folder
        self._arguments = {"regions": ["eu-west-1"], "endpoint_url": server.url} | arguments
        self._runs = 0

    def load(self, **arguments: Any) -> None:
        self._runs += 1
        self._pipeline().run(ecr_source(**(self._arguments | arguments)))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """What DuckDB answers, as later runs ask it."""
        with open_tables(self._pipeline()) as client:
            return [tuple(row) for row in client.execute_sql(sql) or ()]

    def arrow(self, table: Table) -> pa.Table:
        """All rows of a table, by DuckDB."""
        with open_tables(self._pipeline()) as client, client.execute_query(f"SELECT * FROM {table.name}") as cursor:
            rows: Any = cursor.arrow()
            return rows if isinstance(rows, pa.Table) else rows.read_all()

    def by_another_engine(self, table: Table, table_format: str | None) -> pa.Table:
        """All rows of a table, by delta-rs, pyiceberg or Polars."""
        import polars

        with self._pipeline().destination_client() as client:
            files: Any = client
            if table_format is not None:
                opened = files.load_open_table(table_format, table.name)
                return opened.to_pyarrow_table() if table_format == "delta" else opened.scan().to_arrow()
            paths = files.list_table_files(table.name)
            frames = [polars.read_parquet(files.fs_client.cat_file(path)) for path in paths]
            return polars.concat(frames).to_arrow()

    def _pipeline(self) -> dlt.Pipeline:
        return dlt.pipeline(
            "ecr",
            pipelines_dir=str(self._folder / f"pipelines-{self._runs}"),
            destination=make_destination("filesystem", self._folder),
            dataset_name="aws_ecr",
        )


EMPTY = ["image_manifest_annotations"]
"""Tables that the maximal registry leaves empty."""

FORMATS = [(None, "incremental"), ("delta", "snapshot"), ("delta", "incremental"), ("iceberg", "incremental")]


@pytest.mark.parametrize("lake", ["folder"], indirect=True)
@pytest.mark.parametrize(("table_format", "mode"), FORMATS)
def test_two_engines_read_the_rows_that_duckdb_has(
    server: EcrServer, lake: dict[str, str], tmp_path: Path, table_format: str | None, mode: str
) -> None:
    server.registry().maximal()
    # A commit of Iceberg takes long: of its tables not all are loaded.
    names = ["images"] if table_format == "iceberg" else ["all", "manifests"]
    everything: dict[str, Any] = {"tables": names, "moves_last_recorded_pull_time": True, "mode": mode}
    loaded = Lake(server, tmp_path, table_format=table_format, **everything)
    loaded.load()
    database = tmp_path / "ecr.duckdb"
    make_pipeline(tmp_path / "duckdb", database).run(
        ecr_source(regions=["eu-west-1"], endpoint_url=server.url, **everything)
    )
    empty: list[str] = []
    with duckdb.connect(database, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for table in catalog.select_tables(names):
            expected = rows_of(table, connection.execute(f"FROM aws_ecr.{table.name}").arrow().read_all())
            if not expected:
                empty.append(table.name)
                continue
            assert rows_of(table, loaded.arrow(table)) == expected
            assert rows_of(table, loaded.by_another_engine(table, table_format)) == expected
    assert empty == (EMPTY if "all" in names else [])


def rows_of(table: Table, rows: pa.Table) -> list[dict[str, Any]]:
    return in_order(
        rows.select(arrow_schema(table).names).cast(arrow_schema(table)).select(columns_of(table)).to_pylist()
    )


def test_a_snapshot_in_delta_replaces_exactly_the_scopes_that_were_read(
    server: EcrServer, lake: dict[str, str], tmp_path: Path
) -> None:
    for name in ("api", "it's;{a}"):
        server.registry().put(name)
    server.registry("us-east-1").put("web")
    dataset = Lake(server, tmp_path, table_format="delta", tables=["repositories"], regions=BOTH)
    dataset.load()
    before = dataset.query(NAMES)
    assert len(before) == 3
    server.registry().put("new")
    server.registry("us-east-1").repositories.clear()
    server.fail(DENIED, region="eu-west-1")
    dataset.load()
    assert dataset.query(NAMES) == before[:2]
    server.recover()
    del server.registry().repositories["api"]
    dataset.load(regions=["eu-west-1"])
    assert dataset.query(NAMES) == [("eu-west-1", "it's;{a}"), ("eu-west-1", "new")]


@pytest.mark.parametrize("lake", ["folder"], indirect=True)
def test_a_denied_repository_keeps_its_images_in_delta(server: EcrServer, lake: dict[str, str], tmp_path: Path) -> None:
    registry = server.registry()
    registry.maximal()
    dataset = Lake(server, tmp_path, table_format="delta", tables=["images"])
    dataset.load()
    counts = "SELECT repository_name, count(*) FROM images GROUP BY ALL ORDER BY ALL"
    before = dataset.query(counts)
    kept = before[0][0]
    for images in registry.images.values():
        images.clear()
    server.fail(DENIED, operation="DescribeImages", repository=kept)
    dataset.load()
    assert dataset.query(counts) == [row for row in before if row[0] == kept] != []


@pytest.mark.parametrize("lake", ["folder"], indirect=True)
@pytest.mark.parametrize(("table_format", "mode"), FORMATS)
def test_a_second_run_asks_no_image_again(
    server: EcrServer, lake: dict[str, str], tmp_path: Path, table_format: str | None, mode: str
) -> None:
    server.registry().maximal()
    dataset = Lake(server, tmp_path, table_format=table_format, mode=mode, tables=["images", "findings"])
    dataset.load()
    asked = server.calls["DescribeImageScanFindings"]
    before = dataset.query("SELECT count(*) FROM image_scans")
    dataset.load()
    assert (asked > 0, server.calls["DescribeImageScanFindings"] - asked) == (True, 0)
    if mode == "snapshot":
        assert dataset.query("SELECT count(*) FROM image_scans") == before


@pytest.mark.parametrize("lake", ["folder"], indirect=True)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--mode snapshot", "plain Parquet files cannot replace rows (delete-insert), which snapshot mode needs"),
        ("--mode snapshot --table-format iceberg", "use --table-format delta, or --mode incremental"),
        ("--mode history --table-format delta", "use another destination, such as duckdb or postgres"),
        ("--table-format orc", 'unknown table format "orc": it is one of delta, iceberg'),
    ],
)
def test_what_a_lake_cannot_keep_is_refused_before_anything_is_read(
    server: EcrServer, ecr: Ecr, lake: dict[str, str], options: str, sentence: str
) -> None:
    refused = ecr("run", "--destination", "filesystem", *options.split())
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert server.calls.total() == 0
