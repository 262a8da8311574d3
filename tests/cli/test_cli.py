"""The command line, as a process."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dlt
import duckdb
import pytest

from ecr_source import catalog
from tests.conftest import ECR_SOURCE, Row, environment
from tests.server.ecr_server import DENIED, EcrServer

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]


@pytest.fixture(autouse=True)
def _two_regions(server: EcrServer) -> None:
    server.registry("eu-west-1").put("team/api", 1_700_000_000)
    server.registry("us-east-1").put("team/web", 1_700_000_001)


def test_run_loads_all_regions_and_prints_what_came_of_each_group(ecr: Ecr, query: Query) -> None:
    done = ecr("run", "--region", "eu-west-1", "--region", "us-east-1")
    assert done.returncode == 0
    header, *lines = done.stdout.splitlines()
    assert header.split() == ["scope", "tables", "status", "rows", "calls", "throttled", "seconds"]
    assert [line.split()[:6] for line in lines] == [
        ["123456789012/eu-west-1", "repositories", "complete", "1", "1", "0"],
        ["123456789012/us-east-1", "repositories", "complete", "1", "1", "0"],
    ]
    assert query("SELECT repository_name FROM repositories ORDER BY ALL") == [("team/api",), ("team/web",)]


def test_a_run_without_trouble_warns_of_nothing(ecr: Ecr, server: EcrServer) -> None:
    for _ in range(2):
        done = ecr("run", env={"PYTHONWARNINGS": "default"})
        assert done.stderr.splitlines() == [
            f"endpoint: {server.url}",
            "read 1 of 1: 123456789012/eu-west-1 complete, 1 rows",
            "loading",
        ]


def test_progress_is_drawn_on_a_terminal(server: EcrServer, database: Path) -> None:
    ours, theirs = pty.openpty()
    server.fail(DENIED, region="us-east-1")
    server.delays["eu-west-1"] = 0.5
    process = subprocess.Popen(
        [ECR_SOURCE, "run", "--region", "eu-west-1", "--region", "us-east-1"],
        env=environment(server, database, {"TERM": "xterm"}),
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    drawn = b""
    while chunk := _read(ours):
        drawn += chunk
    assert process.wait(60) == 1
    assert process.stdout is not None
    process.stdout.close()
    os.close(ours)
    assert b"\x1b[" in drawn
    assert b"reading 123456789012/eu-west-1 repositories" in drawn
    assert b"scopes, 1 not read" in drawn
    assert b"2/2" in drawn


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side has closed
        return b""


def test_only_the_tables_that_are_asked_for_are_loaded(ecr: Ecr, query: Query) -> None:
    assert ecr("run", "--table", "repositories.repositories").returncode == 0
    assert query(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'aws_ecr' AND table_name[1] <> '_' ORDER BY ALL"
    ) == [
        ("extraction_errors",),
        ("extraction_scopes",),
        ("repositories",),
    ]


def test_every_option_reaches_the_run(ecr: Ecr, server: EcrServer, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        "[audit]\naws_access_key_id = AKIAAUDITAUDITAUDIT0\naws_secret_access_key = s\n"
    )
    server.accounts["AKIAAUDITAUDITAUDIT0"] = "210987654321"
    server.registry("eu-central-1", "111111111111").put("theirs", 1_700_000_000)
    server.registry("eu-central-1", "111111111111").put("older", 1_600_000_000)
    done = ecr(
        *("run", "--region", "eu-central-1", "--profile", "audit", "--registry-id", "111111111111"),
        *("--mode", "incremental", "--initial-value", "2023-01-01", "--end-value", "2024-01-01"),
        *("--database", str(tmp_path / "other.duckdb"), "--dataset", "registries", "--table", "repositories"),
        *("--endpoint-url", server.url, "--destination", "duckdb"),
        env={
            "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            "SOURCES__ECR__ENDPOINT_URL": None,
            "SOURCES__ECR__DATABASE": None,
        },
    )
    assert done.returncode == 0, done.stderr
    with duckdb.connect(tmp_path / "other.duckdb", read_only=True) as connection:
        assert connection.sql("SELECT registry_id, repository_name FROM registries.repositories").fetchall() == [
            ("111111111111", "theirs")
        ]


def test_settings_come_from_config_toml_and_the_environment_and_an_option_wins(
    ecr: Ecr, tmp_path: Path, query: Query
) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt/config.toml").write_text('[sources.ecr]\nregions = ["us-east-1"]\nmode = "history"\n')
    assert ecr("run").returncode == 0
    regions = "SELECT DISTINCT region, mode FROM extraction_scopes ORDER BY ALL"
    assert query(regions) == [("us-east-1", "history")]
    assert ecr("run", env={"SOURCES__ECR__REGIONS": '["us-east-1", "eu-west-1"]'}).returncode == 0
    assert query(regions) == [("eu-west-1", "history"), ("us-east-1", "history")]
    done = ecr("run", "--mode", "snapshot")
    assert done.returncode == 2
    assert "go on with history mode" in done.stderr


def test_the_dataset_of_another_database_does_not_get_in_the_way(ecr: Ecr, tmp_path: Path) -> None:
    assert ecr("run", "--mode", "history").returncode == 0
    assert ecr("run", "--database", str(tmp_path / "other.duckdb")).returncode == 0
    assert ecr("run", "--mode", "history").returncode == 0
    assert ecr("run").returncode == 2


def test_tables_lists_keys_columns_types_descriptions_and_permissions(ecr: Ecr) -> None:
    text = ecr("tables").stdout
    assert "key: registry_id, region, repository_name" in text
    assert "IAM actions: ecr:DescribeRepositories" in text
    assert "scan_on_push" in text
    assert "timestamp[us, tz=UTC]" in text


def test_tables_as_json_are_for_programs(ecr: Ecr) -> None:
    listed = {table["name"]: table for table in json.loads(ecr("tables", "--json").stdout)}
    assert list(listed) == [table.name for table in catalog.TABLES] + [table.name for table in catalog.RUN_TABLES]
    repositories = listed["repositories"]
    assert repositories["iam_actions"] == ["ecr:DescribeRepositories"]
    assert repositories["key"] == ["registry_id", "region", "repository_name"]
    assert {
        "name": "scan_on_push",
        "type": "bool",
        "nullable": True,
        "description": "The setting that determines whether images are scanned after being pushed to a repository.",
    } in repositories["columns"]


@pytest.mark.parametrize("arguments", [["--table", "repositoris"], ["--region", "eu-wst-1"], []])
def test_a_refusal_of_what_was_typed_does_not_wait_for_dlt(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    code = (
        f"import sys; from ecr_source.cli.commands import app; code = app({['run', *arguments]}, standalone_mode=False)"
        "; print(code, sorted({'dlt', 'pyarrow', 'duckdb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("ecr-source: ")
    assert done.stdout == "2 []\n"


def test_help_does_not_wait_for_what_it_does_not_need() -> None:
    code = (
        "import sys; from ecr_source.cli.commands import app; app(['run', '--help'], standalone_mode=False);"
        "print(sorted({'dlt', 'boto3', 'botocore', 'pyarrow', 'duckdb', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--endpoint-url" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_dlts_own_commands_and_dataset_work_on_the_result(ecr: Ecr, tmp_path: Path, server: EcrServer) -> None:
    assert ecr("run").returncode == 0
    info = subprocess.run(
        [Path(sys.executable).parent / "dlt", "pipeline", "ecr", "info"], capture_output=True, text=True, check=False
    )
    assert info.returncode == 0, info.stderr
    assert "repositories with 1 table(s)" in info.stdout
    dataset = dlt.attach("ecr").dataset()
    assert dataset.repositories.select("repository_name").fetchall() == [("team/api",)]
    assert dataset.repositories.arrow().num_rows == 1


def test_the_scheduled_pipeline_loads_says_what_came_of_it_and_fails_when_something_is_missing(
    server: EcrServer, database: Path, query: Query
) -> None:
    script = Path(__file__).parents[2] / "pipelines/ecr_pipeline.py"
    settings = environment(server, database, {"SOURCES__ECR__REGIONS": '["eu-west-1", "us-east-1"]'})

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, script], env=settings, capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 0
    header, *groups = done.stdout.splitlines()
    assert header.split() == ["scope", "tables", "status", "rows", "calls", "throttled", "seconds"]
    loaded = [group.split()[:4] for group in groups]
    for region in ("eu-west-1", "us-east-1"):
        assert [f"123456789012/{region}", "repositories", "complete", "1"] in loaded
    assert query("SELECT count(*) FROM repositories") == [(2,)]
    server.disabled_regions.add("us-east-1")
    failed = run()
    assert failed.returncode == 1
    sentence = "cannot call ecr:DescribeRepositories in 123456789012/us-east-1"
    assert f"IncompleteRun: {sentence}" in failed.stderr
    assert any(line.startswith(sentence) for line in failed.stdout.splitlines())
    assert query("SELECT count(*) FROM repositories") == [(2,)]


def test_telemetry_is_off_unless_the_user_turns_it_on(tmp_path: Path) -> None:
    code = (
        "import dlt, ecr_source.loading.source; from dlt.common.runtime import anon_tracker;"
        "dlt.pipeline('p'); print(anon_tracker._ANON_TRACKER_ENDPOINT)"
    )

    def endpoint() -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
        return done.stdout.strip()

    assert endpoint() == "None"
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt/config.toml").write_text("[runtime]\ndlthub_telemetry = true\n")
    assert endpoint() != "None"
