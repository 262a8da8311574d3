"""`ecr-source report`: what it says is what the views say, and what was not read is unknown in it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import duckdb
import orjson
import pytest
from moto.server import ThreadedMotoServer

from ecr_source import write_report
from ecr_source.destinations.reading import duckdb_file as reading
from ecr_source.destinations.reading.duckdb_file import open_file
from ecr_source.errors import ConfigurationError
from ecr_source.extract.rows.pseudonyms import MASK_KEY, Pseudonyms
from tests.cli.terminal import shown_on_terminal
from tests.conftest import ECR_SOURCE, make_pipeline
from tests.nightly import at_night
from tests.report.conftest import Report, refused, reporting, written
from tests.report.registry import load_into
from tests.server.ecr_server import EcrServer, error, serving
from tests.warehouse import DATASET, DuckDbFile, Warehouse

KEY = "a key that nobody guesses"


@contextmanager
def s3() -> Iterator[str]:
    """The address of an S3 with an empty bucket `reports`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        address = ":".join(map(str, server.get_host_and_port()))
        boto3.client("s3", endpoint_url=f"http://{address}", region_name="us-east-1").create_bucket(Bucket="reports")
        yield address
    finally:
        server.stop()


LARGEST = 3_000_000
SAME = ("query", "finding", "missing", "total_rows")


def document(report: Report, *arguments: str) -> dict[str, Any]:
    done = report("--format", "json", *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def panels(read: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {panel["name"]: panel for panel in read["panels"]}


def figures(read: dict[str, Any]) -> dict[str, Any]:
    return {figure["label"]: figure["value"] for figure in read["summary"]}


def test_each_part_says_what_it_found(report: Report) -> None:
    read = document(report)
    found = {name: panel["finding"] for name, panel in panels(read).items()}
    assert found["scopes"] == "Incomplete: something could not be read in 1 of 2 registries"
    assert found["severities"] == "9 critical or high findings, of which an update fixes 9"
    assert found["packages"] == "Update openssl first: it mends 9 findings in 9 images"
    assert found["public"] == "1 repository is open to the world"
    assert found["shared-with"] == "2 repositories shared with 1 other account"
    assert found["moved-tags"] == "1 move of 1 tag"
    assert found["deleted-images"] == "1 image gone"
    assert "IMMUTABLE" in {row["after"] for row in panels(read)["changed-settings"]["rows"]}
    assert figures(read)["repositories"] == 11
    assert figures(read)["repositories open to the world"] == 1
    assert figures(read)["stored at most"] == 9_713_676_428


def test_whatever_it_shows_is_what_its_query_says(report: Report, loaded_file: DuckDbFile) -> None:
    asked = 0
    with open_file(loaded_file.path, DATASET) as reader:
        for panel in panels(document(report)).values():
            if panel["query"]:
                rows = reader.records(panel["query"])
                assert panel["total_rows"] == len(rows)
                assert panel["rows"] == json.loads(orjson.dumps(rows, default=float))[: len(panel["rows"])]
                asked += 1
    assert asked > 20


def test_what_there_was_a_week_before_stands_beside_what_there_is(loaded_file: DuckDbFile, tmp_path: Path) -> None:
    file = DuckDbFile(tmp_path / "ecr.duckdb")
    shutil.copy(loaded_file.path, file.path)
    with duckdb.connect(file.path) as connection:
        connection.execute(f"USE {DATASET}; SET TimeZone = 'UTC'")
        (first,) = connection.execute("SELECT min(valid_from) FROM extraction_scopes").fetchone() or ()
        times = {"extraction_scopes": "valid_from", "repositories": "_dlt_valid_from", "images": "_dlt_valid_from"}
        for table, time in times.items():
            connection.execute(f"UPDATE {table} SET {time} = {time} - INTERVAL 7 DAY WHERE {time} = $1", [first])
    read = document(reporting(file))
    before = {figure["label"]: figure["before"] for figure in read["summary"]}
    week = f"in the week of {first.date() - timedelta(days=first.weekday() + 7)}"
    assert before["repositories"] == f"11 {week}"
    assert before["images"] == f"10 {week}"
    assert before["stored at most"] == f"9.05 {week}"
    assert before["failing controls"] is None
    assert [row["images"] for row in panels(read)["growth-by-week"]["rows"]] == [10, 10]


def test_what_a_little_memory_does_not_suffice_for_is_worked_out_in_more(
    loaded_file: DuckDbFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    sorted_whole = "SELECT len(list(n ORDER BY n DESC)) AS there FROM range(500000) AS numbers (n)"
    monkeypatch.setattr(reading, "SPARING", "2MB")
    with open_file(loaded_file.path, DATASET) as reader:
        assert reader.records(sorted_whole) == [{"there": 500_000}]
        reader.rows("SET memory_limit = '2MB'")
        with pytest.raises(ConfigurationError, match="Out of Memory"):
            list(reader.rows(sorted_whole).batches)


def test_postgres_says_the_same(registries: EcrServer, loaded_postgres: Warehouse, tmp_path: Path) -> None:
    file = DuckDbFile(tmp_path / "ecr.duckdb")
    load_into(file, registries, tmp_path)
    ours, theirs = (panels(document(reporting(warehouse))) for warehouse in (file, loaded_postgres))
    for name in ours.keys() - {"runs"}:
        assert {theirs[name][one] for one in SAME} == {ours[name][one] for one in SAME}, name
        assert _but_times(theirs[name]["rows"]) == _but_times(ours[name]["rows"]), name


def test_what_could_not_be_read_is_said_first_and_is_unknown_in_the_numbers(report: Report, tmp_path: Path) -> None:
    read = document(report)
    assert read["incomplete"] == "incomplete: 1 of 2 registries"
    (gap,) = panels(read)["gaps"]["rows"]
    assert (gap["region"], gap["last_status"], gap["excepted_repositories"]) == ("eu-west-1", "partial", 1)
    notes = {figure["label"]: figure["note"] for figure in read["summary"]}
    assert notes["images"] == "without 1 repository, not read"
    page = written(report("--output", "page.html"), tmp_path / "page.html")
    assert "<title>Amazon ECR: 123456789012, 2 regions — incomplete: 1 of 2 registries</title>" in page
    assert page.index("incomplete: 1 of 2 registries.</strong>") < page.index("<main>")
    text = report("--format", "markdown").stdout
    assert text.splitlines()[2].startswith("**This report is incomplete: 1 of 2 registries.**")


def test_where_nothing_could_be_read_nothing_is_fine(tmp_path: Path) -> None:
    file = DuckDbFile(tmp_path / "ecr.duckdb")
    with serving() as server:
        server.registry().put("api")
        server.fail(error("AccessDeniedException", "not you"))
        load_into(file, server, tmp_path, regions=["eu-west-1"])
    read = document(reporting(file))
    assert read["incomplete"] == "incomplete: 1 of 1 registries"
    known = {label: value for label, value in figures(read).items() if value is not None}
    assert known == {"failing controls": 1}  # of the registry, whose rules of replication could be read


def test_what_was_not_read_is_not_none(tmp_path: Path) -> None:
    file = DuckDbFile(tmp_path / "ecr.duckdb")
    with serving() as server:
        server.registry().put("api")
        for operation in ("DescribeImages", "GetRegistryPolicy"):
            server.fail(error("AccessDeniedException", "not you"), operation=operation)
        load_into(file, server, tmp_path, regions=["eu-west-1"])
    read = document(reporting(file))
    told = figures(read)
    assert panels(read)["registry-access"]["finding"] == "1 setting not known"
    assert told["repositories"] == 1
    assert {told[name] for name in ("images", "stored at most", "a month at most", "of these in use")} == {None}


@pytest.mark.parametrize("names", [at_night([]), ["api"]], ids=["none", "one"])
def test_a_registry_of_no_repository_or_one_has_a_report_in_each_form(tmp_path: Path, names: list[str]) -> None:
    file = DuckDbFile(tmp_path / "ecr.duckdb")
    with serving() as server:
        for name in names:
            server.registry().put(name)
        load_into(file, server, tmp_path, regions=["eu-west-1"])
    report = reporting(file)
    read = document(report)
    assert (read["incomplete"], figures(read)["repositories"]) == (None, len(names))
    assert figures(read)["critical and high findings"] is None  # there is no image that was scanned
    assert "<h3" in written(report(), tmp_path / "report.html")
    assert report("--format", "markdown").returncode == 0


def test_it_can_be_narrowed_and_then_names_nobody_else(report: Report, tmp_path: Path) -> None:
    page = written(report("--namespace", "team-a", "--region", "eu-west-1"), tmp_path / "report.html")
    assert "team-a/web" in page
    assert not re.search("team-b|foreign/", page)
    read = document(report, "--namespace", "team-a")
    assert (read["only"], figures(read)["repositories"]) == ("namespace team-a", 3)
    assert figures(document(report, "--account", "999999999999"))["repositories"] == 0
    assert refused(report("--namespace", "a' OR '1'='1")) == (
        "no account, region or namespace is called \"a' OR '1'='1\""
    )


def test_masked_accounts_stay_masked(registries: EcrServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MASK_KEY, KEY)
    file = DuckDbFile(tmp_path / "ecr.duckdb")
    load_into(file, registries, tmp_path, mask_accounts=True)
    report = reporting(file)
    for text in (written(report(), tmp_path / "report.html"), report("--format", "markdown").stdout):
        assert not re.search("123456789012|210987654321", text)
    outside = panels(document(report))["shared-with"]["rows"]
    assert {row["principal_account_id"] for row in outside} == {Pseudonyms(KEY.encode(), ()).text("210987654321")}


def test_hostile_names_are_text_in_markdown_too(report: Report) -> None:
    text = report("--format", "markdown").stdout
    assert "\\<script\\>" in text
    assert not re.search(r"(?<!\\)<script|\u202e|(?<!\\)\]\(https", text)


def test_a_title_and_a_file_can_be_given(report: Report, tmp_path: Path) -> None:
    done = report("--title", "Team A & B", "--output", "a.html")
    assert "<title>Team A &amp; B — incomplete" in written(done, tmp_path / "a.html")
    assert re.fullmatch(r"report: a.html \(\d+ kB, incomplete: 1 of 2 registries\)\n", done.stdout)
    assert len((tmp_path / "a.html").read_bytes()) < LARGEST
    assert refused(report("--output", "none/a.html")) == 'cannot write "none/a.html": No such file or directory'
    assert refused(report("--format", "pdf")) == 'unknown format "pdf": it is one of html, markdown, json'
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_what_was_not_loaded_says_what_loads_it(tmp_path: Path) -> None:
    file = DuckDbFile(tmp_path / "ecr.duckdb")
    assert refused(reporting(file)()).startswith(f'there is no database "{file.path}": give another --database, or')
    with serving() as server:
        server.registry().put("api")
        load_into(file, server, tmp_path, regions=["eu-west-1"], tables=["repositories"])
    read = document(reporting(file))
    assert panels(read)["severities"]["missing"] == (
        "No run has read what it needs: ecr-source run --table images,image_scan_findings does."
    )
    assert figures(read)["critical and high findings"] is None


def test_it_goes_into_a_bucket_and_can_be_written_by_a_pipeline(loaded_file: DuckDbFile, tmp_path: Path) -> None:
    pipeline = make_pipeline(tmp_path / "pipelines", loaded_file)
    with s3() as endpoint:
        write_report(pipeline, f"s3://reports/a.html?endpoint_override={endpoint}&scheme=http", title="Ours")
        client = boto3.client("s3", endpoint_url=f"http://{endpoint}", region_name="us-east-1")
        page = client.get_object(Bucket="reports", Key="a.html")["Body"].read().decode()
    assert "<title>Ours — incomplete: 1 of 2 registries</title>" in page
    with pytest.raises(ConfigurationError, match=r'cannot write "none://a.html": .*none'):
        write_report(pipeline, "none://a.html")


def test_a_terminal_sees_what_is_asked_and_a_browser_opens_what_was_written(
    loaded_file: DuckDbFile, tmp_path: Path
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    env = {**os.environ, **loaded_file.settings, "BROWSER": f"{browser} %s", "TERM": "xterm"}
    shown = shown_on_terminal([ECR_SOURCE, "report", "--open"], env)
    assert re.search(r"asking \d+ of \d+: What is incomplete, and why\?|asking \d+ of \d+", shown)
    assert (tmp_path / "opened").read_text() == f"{(tmp_path / 'report.html').as_uri()}\n"


def _but_times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    times = re.compile("as_of$|_at$")
    return [{name: value for name, value in row.items() if not times.search(name)} for row in rows]
