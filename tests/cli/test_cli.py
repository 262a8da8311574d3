"""The command line, as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dlt
import duckdb
import pytest

import ecr_source
from ecr_source import Outcome, catalog
from tests.cli.terminal import shown_on_terminal
from tests.conftest import ECR_SOURCE, RUN, Row, environment
from tests.server.ecr_server import EcrServer

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]


@pytest.fixture(autouse=True)
def _two_regions(server: EcrServer) -> None:
    server.registry("eu-west-1").put("team/api", 1_700_000_000)
    server.registry("us-east-1").put("team/web", 1_700_000_001)


def test_run_loads_all_regions_and_prints_what_came_of_each_group(ecr: Ecr, query: Query, database: Path) -> None:
    done = ecr("run", "--region", "eu-west-1", "--region", "us-east-1")
    assert done.returncode == 0
    header, *lines, place, suggested = done.stdout.splitlines()
    assert header.split() == ["scope", "group", "status", "rows", "read", "calls", "throttled", "seconds"]
    assert [line.split()[:6] for line in lines] == [
        ["123456789012/eu-west-1", "repositories", "complete", "1", "1", "0"],
        ["123456789012/us-east-1", "repositories", "complete", "1", "1", "0"],
    ]
    assert place == "loaded into ecr.duckdb, schema aws_ecr: 1 table has rows"
    assert suggested == f"next: ecr-source query --database {database} --list"
    assert query("SELECT repository_name FROM repositories ORDER BY ALL") == [("team/api",), ("team/web",)]


def test_an_outcome_in_python_shows_what_a_run_prints(load: Callable[..., Outcome]) -> None:
    header, line = str(load()).splitlines()
    assert header.split() == ["scope", "group", "status", "rows", "read", "calls", "throttled", "seconds"]
    assert line.split()[:6] == ["123456789012/eu-west-1", "repositories", "complete", "1", "1", "0"]


def test_a_run_without_trouble_warns_of_nothing(ecr: Ecr, server: EcrServer) -> None:
    for _ in range(2):
        done = ecr("run", env={"PYTHONWARNINGS": "default"})
        now_and_then = ("reading ", "loading ")
        assert [line for line in done.stderr.splitlines() if not line.startswith(now_and_then)] == [
            f"endpoint: {server.url}",
            "read 1 of 1: 123456789012/eu-west-1 complete, 1 rows",
        ]


def test_only_the_tables_that_are_asked_for_are_loaded(ecr: Ecr, query: Query) -> None:
    assert ecr("run", "--table", "repositories.repositories").returncode == 0
    assert query(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'aws_ecr' AND table_name[1] <> '_' ORDER BY ALL"
    ) == [
        *((name,) for name in sorted(RUN)),
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
    assert ecr("run", "--mode", "snapshot").returncode == 2


def test_where_no_mode_is_given_that_of_the_dataset_is_taken_and_a_new_one_is_a_snapshot(
    ecr: Ecr, database: Path, query: Query
) -> None:
    runs = "SELECT mode, count(DISTINCT run_id) FROM extraction_scopes GROUP BY ALL"
    assert ecr("run", "--mode", "history").returncode == 0
    assert ecr("run").returncode == 0
    assert ecr("run", env={"DLT_DATA_DIR": "another machine"}).returncode == 0
    assert query(runs) == [("history", 3)]
    for command in ("run", "plan"):
        refused = ecr(command, "--initial-value", "2026-01-01")
        assert refused.returncode == 2
        assert "an initial or end value belongs to incremental mode, not to history" in refused.stderr
    database.unlink()
    assert ecr("run").returncode == 0
    assert query(runs) == [("snapshot", 1)]


def test_tables_lists_every_group_with_its_tables_a_line_each(ecr: Ecr) -> None:
    lines = ecr("tables").stdout.splitlines()
    groups = [line.partition(":")[0] for line in lines if not line.startswith(" ") and ":" in line]
    assert groups == [
        *(f"{group}{' (default)' if group in catalog.DEFAULT_GROUPS else ''}" for group in catalog.GROUPS),
        "the run (always)",
    ]
    below = lines[lines.index(next(line for line in lines if line.startswith("findings (default): "))) + 1 :]
    assert [line.split()[0] for line in below[:7]] == [table.name for table in catalog.GROUPS["findings"]]
    assert below[0].endswith("  image that was asked for its findings, or left out by a bound: what came of it.")
    assert lines[0].split() == ["table", "one", "row", "per"]
    assert len(lines) == 1 + len(catalog.TABLES) + len(catalog.RUN_TABLES) + len(groups) + 2


def test_a_terminal_shows_each_table_in_one_line_however_narrow_it_is(tmp_path: Path) -> None:
    shown = shown_on_terminal([ECR_SOURCE, "tables"], {**os.environ, "TERM": "xterm", "COLUMNS": "80"})
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in shown.splitlines()]
    assert sum(line.startswith("  image_scan_finding") for line in lines) == 6
    assert max(map(len, lines[:-1])) == 80


def test_tables_that_are_named_show_keys_columns_types_descriptions_and_permissions(ecr: Ecr) -> None:
    text = ecr("tables", "repositories.repositories,extraction_scopes").stdout
    assert [line for line in text.splitlines() if line and not line.startswith(" ")] == [
        "repositories",
        "extraction_scopes",
    ]
    assert "key: registry_id, region, repository_name" in text
    assert "IAM actions: ecr:DescribeRepositories" in text
    assert "cost: one call for each 1,000 repositories" in text
    assert "ecr_repository_settings" in text
    assert "scan_on_push" in text
    assert "timestamp[us, tz=UTC]" in text


def test_a_group_shows_its_tables_and_a_name_that_is_none_is_refused(ecr: Ecr) -> None:
    listed = json.loads(ecr("tables", "images", "lifecycle_policies", "--json").stdout)
    assert [table["name"] for table in listed] == ["images", "image_tags", "lifecycle_policies"]
    refused = ecr("tables", "image_findings")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == 'ecr-source: unknown table "image_findings"; did you mean "image_scan_findings"?\n'


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
        "source": "repositories[].imageScanningConfiguration.scanOnPush",
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
    assert header.split() == ["scope", "group", "status", "rows", "read", "calls", "throttled", "seconds"]
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


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    code = "import ecr_source, sys; print(dir(ecr_source), 'dlt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{sorted(ecr_source.__all__)} False\n"


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
