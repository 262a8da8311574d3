"""Bad input: an exit code, one sentence that says what, where and what to do, and nothing lost."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import botocore
import duckdb
import pytest

from ecr_source import catalog
from ecr_source.loading.settings.kept_settings import DEMO_ACCOUNT
from tests.conftest import Row
from tests.disks import mounted, remount
from tests.server.ecr_server import (
    ACCESS_KEY,
    ACCOUNT,
    BROKEN,
    CUT,
    DENIED,
    HTML,
    RESET,
    THROTTLED,
    TRUNCATED,
    Answer,
    EcrServer,
    error,
)

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]

COMPLETE, INCOMPLETE, UNUSABLE, NOTHING_LOADED = 0, 1, 2, 3


@pytest.fixture(autouse=True)
def _one_repository(server: EcrServer) -> None:
    server.registry().put("team/api")


def assert_refused(done: subprocess.CompletedProcess[str], code: int, sentence: str) -> None:
    """One sentence on stderr besides the lines that name endpoints, no traceback, no table."""
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("endpoint: ", "endpoint of "))]
    assert (done.returncode, len(lines), done.stdout) == (code, 1, ""), done.stderr
    assert lines[0].startswith("ecr-source: ")
    assert "hunter2" not in done.stderr
    assert sentence in lines[0]


def assert_nothing_was_read(server: EcrServer) -> None:
    assert server.calls["DescribeRepositories"] == 0


# 2: wrong usage or configuration, nothing was read


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--region", "eu-wst-1"], 'unknown region "eu-wst-1": did you mean "eu-west-1"?'),
        (["--region", "atlantis"], 'unknown region "atlantis": a newer region needs a newer boto3'),
        (
            ["--endpoint-url", "localhost:4566"],
            'endpoint URL "localhost:4566" is not of the form http(s)://host[:port]',
        ),
        (["--endpoint-url", "http://"], 'endpoint URL "http://" is not of the form'),
        (["--endpoint-url", "http://host:port"], 'endpoint URL "http://host:port" is not of the form'),
        (["--endpoint-url", "http://me:hunter2@localhost"], "the endpoint URL holds a user name or password"),
        (["--profile", "nobody"], 'no AWS profile "nobody" in the AWS config files'),
        (["--registry-id", "12345"], 'registry id "12345" is not an AWS account id of twelve digits'),
        (["--table", "repositoris"], 'unknown table "repositoris"; did you mean "repositories"?'),
        (["--mode", "mirror"], 'unknown mode "mirror": it is one of snapshot, incremental, history'),
        (["--destination", "oracel"], 'unknown destination "oracel": give one of dlt\'s'),
        (["--database", "no/such/folder/ecr.duckdb"], 'there is no folder "'),
        (["--database", "."], "it is a folder"),
        (["--database", "AWS_ECR.duckdb"], 'DuckDB cannot tell the database "AWS_ECR"'),
        (
            ["--database", "aws_ecr.duckdb"],
            'DuckDB cannot tell the database "aws_ecr" (of aws_ecr.duckdb) from a schema',
        ),
        (["--mode", "incremental", "--repository", "team/api"], "would pass over the others"),
        (["--end-value", "2026-01-01"], "belongs to incremental mode"),
        (
            ["--findings-latest", "5"],
            "--findings-latest means nothing without findings: add --table findings, or leave it out",
        ),
        (["--table", "manifests", "--findings-from", "inspector2"], "--findings-from means nothing without findings"),
        (["--table", "previews", "--findings-max-age", "1"], "means nothing without a table that is asked again"),
        (["--moves-last-recorded-pull-time"], "means nothing without manifests: add --table manifests"),
        (["--role-session-name", "nightly"], "--role-session-name means nothing without a role: give --role-arn"),
        (["--destination", "postgres", "--database", "my.duckdb"], "--database means nothing without --destination"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_read(
    ecr: Ecr, server: EcrServer, arguments: list[str], sentence: str
) -> None:
    assert_refused(ecr("run", *arguments), UNUSABLE, sentence)
    assert_nothing_was_read(server)


@pytest.mark.parametrize("command", ["run", "check", "plan"])
@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("AWS_PROFILE", "nobody", 'no AWS profile "nobody" in the AWS config files'),
        (
            "AWS_ENDPOINT_URL_STS",
            "localhost:4566",
            "not of the form http(s)://host[:port]: Invalid endpoint: localhost:4566",
        ),
        (
            "AWS_ENDPOINT_URL_ECR",
            "localhost:4566",
            "not of the form http(s)://host[:port]: Invalid endpoint: localhost:4566",
        ),
    ],
)
def test_a_wrong_variable_of_aws_is_refused_before_anything_is_read(
    ecr: Ecr, server: EcrServer, command: str, variable: str, value: str, sentence: str
) -> None:
    env = {"SOURCES__ECR__ENDPOINT_URL": None, "AWS_ENDPOINT_URL": server.url, variable: value}
    assert_refused(ecr(command, env=env), UNUSABLE, sentence)
    assert_nothing_was_read(server)


def test_what_asks_nobody_needs_no_profile(ecr: Ecr) -> None:
    done = ecr("tables", "images", env={"AWS_PROFILE": "nobody"})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        (
            "SOURCES__ECR__REGION",
            'nobody reads the variable SOURCES__ECR__REGION; did you mean "SOURCES__ECR__REGIONS"?',
        ),
        ("sources__ecr__regions", 'the variable sources__ecr__regions; did you mean "SOURCES__ECR__REGIONS"?'),
        ("SOURCES__ECR__COLOUR", 'SOURCES__ECR__COLOUR; leave it out; "ecr-source run --help" has the settings'),
    ],
)
def test_a_variable_that_nobody_reads_is_refused(ecr: Ecr, server: EcrServer, variable: str, sentence: str) -> None:
    assert_refused(ecr("run", env={variable: "eu-west-1"}), UNUSABLE, sentence)
    assert_nothing_was_read(server)


@pytest.mark.parametrize(
    ("file", "line", "sentence"),
    [
        (
            "config.toml",
            'tabels = ["images"]',
            '"tabels" in section sources.ecr of config.toml; did you mean "tables"?',
        ),
        (
            "secrets.toml",
            'region = "eu-west-1"',
            '"region" in section sources.ecr of secrets.toml; did you mean "regions"?',
        ),
    ],
)
def test_what_nobody_reads_in_a_file_is_refused(
    ecr: Ecr, server: EcrServer, tmp_path: Path, file: str, line: str, sentence: str
) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / file).write_text(f"[sources.ecr]\n{line}\n")
    assert_refused(ecr("run"), UNUSABLE, sentence)
    assert_nothing_was_read(server)
    code = "import ecr_source; ecr_source.ecr_source()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert sentence in done.stderr


def test_what_is_configured_for_other_runs_does_not_get_in_the_way_of_one(ecr: Ecr, tmp_path: Path) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt/config.toml").write_text(
        "[sources.ecr]\nfindings_latest = 5\n[sources.ecr.schema]\nmax_identifier_length = 63\n"
    )
    assert_refused(ecr("run"), UNUSABLE, "--findings-latest means nothing without findings")
    assert ecr("run", "--table", "repositories").returncode == COMPLETE


def test_an_option_that_does_not_exist_is_wrong_usage(ecr: Ecr) -> None:
    done = ecr("run", "--regions", "eu-west-1")
    assert done.returncode == UNUSABLE
    assert "No such option: --regions" in done.stderr


def test_a_region_without_ecr_is_refused(ecr: Ecr, server: EcrServer, tmp_path: Path) -> None:
    endpoints = json.loads(_botocore_file("endpoints.json"))
    del endpoints["partitions"][0]["services"]["api.ecr"]["endpoints"]["eu-west-3"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models/endpoints.json").write_text(json.dumps(endpoints))
    done = ecr("run", "--region", "eu-west-3", env={"AWS_DATA_PATH": str(tmp_path / "models")})
    assert_refused(done, UNUSABLE, 'region "eu-west-3" has no ECR endpoint in the installed botocore')


def test_a_region_that_is_newer_than_botocores_list_of_endpoints_is_read(
    ecr: Ecr, server: EcrServer, tmp_path: Path
) -> None:
    endpoints = json.loads(_botocore_file("endpoints.json"))
    for service in endpoints["partitions"][0]["services"].values():
        service["endpoints"].pop("eu-west-3", None)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/endpoints.json").write_text(json.dumps(endpoints))
    data_path = {"AWS_DATA_PATH": str(tmp_path / "models")}
    assert ecr("run", "--region", "eu-west-3", "--table", "repositories", env=data_path).returncode == COMPLETE
    assert_refused(ecr("run", "--region", "aws-global", env=data_path), UNUSABLE, 'unknown region "aws-global"')


def _botocore_file(name: str) -> bytes:
    folder = Path(botocore.__file__).parent / "data"
    packed = folder / f"{name}.gz"
    return gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()


def test_no_region_is_refused(ecr: Ecr) -> None:
    assert_refused(
        ecr("run", env={"AWS_DEFAULT_REGION": None}), UNUSABLE, "no region: give --region, set AWS_DEFAULT_REGION"
    )


def test_missing_credentials_are_refused(ecr: Ecr, server: EcrServer) -> None:
    done = ecr("run", env={"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None})
    assert_refused(done, UNUSABLE, "no AWS credentials found: set AWS_PROFILE")
    assert_nothing_was_read(server)


def test_half_of_the_credentials_are_refused(ecr: Ecr) -> None:
    done = ecr("run", env={"AWS_SECRET_ACCESS_KEY": None})
    assert_refused(done, UNUSABLE, "the AWS credentials cannot be read: Partial credentials found in env")


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_dataset_that_would_be_called_otherwise_is_refused_with_that_name(
    ecr: Ecr, server: EcrServer, command: str
) -> None:
    sentence = 'dlt would call the dataset "My-Data" "my_data" in duckdb: give --dataset my_data'
    assert_refused(ecr(command, "--dataset", "My-Data"), UNUSABLE, sentence)
    assert_nothing_was_read(server)
    kept = ecr(command, "--dataset", "My-Data", env={"DESTINATION__ENABLE_DATASET_NAME_NORMALIZATION": "false"})
    assert kept.returncode == COMPLETE, kept.stderr


def test_a_setting_of_the_wrong_type_is_refused(ecr: Ecr) -> None:
    done = ecr("run", env={"SOURCES__ECR__MAX_CALLS": "many"})
    assert_refused(done, UNUSABLE, "a setting in sources.ecr cannot be read")


def test_a_destination_that_is_not_there_is_refused_before_anything_is_read(ecr: Ecr, server: EcrServer) -> None:
    url = f"postgresql://loader:hunter2@127.0.0.1:{_free_port()}/warehouse"
    done = ecr("run", "--destination", "postgres", env={"DESTINATION__POSTGRES__CREDENTIALS": url})
    assert_refused(done, UNUSABLE, "cannot open the destination postgres: ")
    assert_nothing_was_read(server)


def test_a_destination_that_cannot_merge_is_refused(ecr: Ecr, server: EcrServer, tmp_path: Path) -> None:
    bucket = {"DESTINATION__FILESYSTEM__BUCKET_URL": str(tmp_path / "lake")}
    done = ecr("run", "--destination", "filesystem", env=bucket)
    assert_refused(done, UNUSABLE, "plain Parquet files cannot replace rows (delete-insert), which snapshot mode needs")
    assert_nothing_was_read(server)


def test_a_destination_whose_package_is_not_installed_names_the_package(ecr: Ecr) -> None:
    done = ecr("run", "--destination", "snowflake", env={"DESTINATION__SNOWFLAKE__CREDENTIALS": "snowflake://u:p@h/d"})
    assert_refused(done, UNUSABLE, "pip install")


def test_a_database_that_another_process_holds_is_refused(ecr: Ecr, server: EcrServer, database: Path) -> None:
    with duckdb.connect(database):
        done = ecr("run")
    assert_refused(done, UNUSABLE, "another process holds it open; close that one")
    assert_nothing_was_read(server)


def test_a_file_that_is_no_database_is_refused_and_kept(ecr: Ecr, server: EcrServer, database: Path) -> None:
    database.write_text("a diary")
    assert_refused(ecr("run"), UNUSABLE, "it is not a DuckDB file; give another --database")
    assert database.read_text() == "a diary"
    assert_nothing_was_read(server)


@pytest.mark.parametrize(
    ("accounts", "sentence"),
    [
        (
            (DEMO_ACCOUNT, ACCOUNT),
            'the dataset "aws_ecr" holds the demo\'s registry, and what is loaded beside would be',
        ),
        (
            (ACCOUNT, DEMO_ACCOUNT),
            'the dataset "aws_ecr" holds registries that are not the demo\'s, and what is loaded',
        ),
    ],
)
def test_the_demo_and_an_account_are_not_loaded_beside_each_other(
    ecr: Ecr, server: EcrServer, query: Query, accounts: tuple[str, str], sentence: str
) -> None:
    for account in accounts:
        server.registry(account=account).put("team/api")
        server.accounts[ACCESS_KEY] = account
        done = ecr("run")
    assert_refused(done, UNUSABLE, sentence)
    assert query("SELECT registry_id FROM repositories") == [(accounts[0],)]
    server.accounts[ACCESS_KEY] = accounts[0]
    assert ecr("run").returncode == COMPLETE


def test_a_database_in_a_read_only_place_is_refused(ecr: Ecr, server: EcrServer, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=8m") as disk:
        assert ecr("run", "--database", str(disk / "ecr.duckdb")).returncode == COMPLETE
        remount(disk, "ro")
        calls = server.calls["DescribeRepositories"]
        done = ecr("run", "--database", str(disk / "ecr.duckdb"))
    assert_refused(done, UNUSABLE, "it cannot be written; change its permissions")
    assert server.calls["DescribeRepositories"] == calls


# 3: nothing could be loaded


def test_an_endpoint_where_nothing_listens_ends_in_one_sentence_within_a_minute(ecr: Ecr) -> None:
    started = time.monotonic()
    done = ecr("run", "--endpoint-url", f"http://127.0.0.1:{_free_port()}")
    assert_refused(done, NOTHING_LOADED, 'Could not connect to the endpoint URL: "http://127.0.0.1:')
    assert time.monotonic() - started < 60


def test_an_endpoint_that_never_answers_ends_in_one_sentence_within_a_minute(ecr: Ecr) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        done = ecr("run", "--endpoint-url", f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert_refused(done, NOTHING_LOADED, "Read timeout on endpoint URL")
    assert time.monotonic() - started < 60


def test_wrong_credentials_are_told_from_a_region_that_is_not_enabled(ecr: Ecr, server: EcrServer) -> None:
    done = ecr("run", env={"AWS_ACCESS_KEY_ID": "AKIAWRONGWRONGWRONG0"})
    assert_refused(done, NOTHING_LOADED, f"{server.url} does not accept the credentials (InvalidClientTokenId)")
    assert_nothing_was_read(server)


def test_expired_credentials_say_so(ecr: Ecr, server: EcrServer) -> None:
    server.expired_keys.add(ACCESS_KEY)
    said = f"the AWS credentials have expired (ExpiredToken, says {server.url}): get new ones"
    assert_refused(ecr("run"), NOTHING_LOADED, said)


def test_what_refuses_the_credentials_of_a_call_is_named_where_it_is_not_aws(ecr: Ecr, server: EcrServer) -> None:
    for code in ("UnrecognizedClientException", "InvalidSignatureException"):
        server.fail(error(code), operation="DescribeRepositories")
        assert f"{code}" in (said := ecr("check", "--table", "repositories").stdout)
        assert f"says {server.url})" in said
        server.recover()


def assert_failed_everywhere(done: subprocess.CompletedProcess[str], query: Query, status: str, sentence: str) -> None:
    assert done.returncode == NOTHING_LOADED
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert query("SELECT DISTINCT status FROM extraction_scopes") == [(status,)]
    assert query("SELECT count(*) FROM extraction_errors") == [(1,)]


def test_access_denied_names_the_permission_to_add(ecr: Ecr, server: EcrServer, query: Query) -> None:
    server.fail(DENIED)
    done = ecr("run")
    sentence = (
        'access denied; allow ecr:DescribeRepositories in the caller\'s IAM policy, "ecr-source iam-policy" prints'
    )
    assert_failed_everywhere(done, query, "denied", sentence)


def test_a_region_that_is_not_enabled_is_told_from_wrong_credentials(ecr: Ecr, server: EcrServer, query: Query) -> None:
    server.disabled_regions.add("ap-east-1")
    done = ecr("run", "--region", "ap-east-1")
    assert_failed_everywhere(done, query, "disabled", "the region is not enabled for the account")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (BROKEN, "ServerException: internal"),
        (RESET, "Connection was closed before we received a valid response"),
        (CUT, "NotWhole: cannot call ecr:DescribeRepositories"),
        (TRUNCATED, "is not a whole JSON document"),
        (HTML, "is not a whole JSON document"),
        (error("InvalidParameterException", "no"), "InvalidParameterException: no"),
    ],
    ids=["500", "reset", "cut", "truncated", "html", "rejected"],
)
def test_an_endpoint_that_stays_broken_fails_the_scope(
    ecr: Ecr, server: EcrServer, query: Query, answer: Answer, sentence: str
) -> None:
    server.fail(answer)
    done = ecr("run")
    assert done.returncode == NOTHING_LOADED
    assert sentence in query("SELECT error_code || ': ' || message FROM extraction_errors")[0][0]
    assert query("SELECT DISTINCT status FROM extraction_scopes") == [("failed",)]


def test_a_looping_token_fails_the_scope(ecr: Ecr, server: EcrServer, query: Query) -> None:
    server.loop_token = True
    assert_failed_everywhere(ecr("run"), query, "failed", "has the nextToken of an earlier page")


def test_a_full_disk_while_loading_loses_nothing(ecr: Ecr, server: EcrServer, tmp_path: Path) -> None:
    server.registry().fill(30_000)
    with mounted(tmp_path / "disk", "size=3m") as disk:
        arguments = ("run", "--database", str(disk / "ecr.duckdb"))
        assert_refused_while_loading(ecr(*arguments))
        remount(disk, "size=256m")
        calls = server.calls["DescribeRepositories"]
        assert ecr(*arguments).returncode == COMPLETE
        assert server.calls["DescribeRepositories"] > calls
        with duckdb.connect(disk / "ecr.duckdb", read_only=True) as connection:
            assert connection.sql("SELECT count(*) FROM aws_ecr.repositories").fetchall() == [(30_001,)]
            assert connection.sql("SELECT count(*) FROM aws_ecr.extraction_scopes").fetchall() == [(4,)]


def assert_refused_while_loading(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == NOTHING_LOADED, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("ecr-source: ")]
    assert "cannot load what was read" in sentence
    assert "No space left" in sentence
    assert "the next run goes on from here" in sentence


# 1: some scope failed, the rest is loaded


def test_one_region_that_fails_does_not_hold_back_the_others(ecr: Ecr, server: EcrServer, query: Query) -> None:
    server.registry("us-east-1").put("other")
    server.fail(DENIED, region="eu-west-1")
    done = ecr("run", "--region", "eu-west-1", "--region", "us-east-1")
    assert done.returncode == INCOMPLETE
    assert query("SELECT region, repository_name FROM repositories") == [("us-east-1", "other")]


def test_what_fails_in_every_repository_is_said_in_one_sentence(ecr: Ecr, server: EcrServer, query: Query) -> None:
    for number in range(9):
        server.registry().put(f"team/{number}")
    server.fail(DENIED, operation="GetLifecyclePolicy")
    done = ecr("run", "--table", "policies")
    assert done.returncode == INCOMPLETE
    assert done.stdout.count("access denied") == 1
    (sentence,) = [line for line in done.stdout.splitlines() if "access denied" in line]
    assert sentence.startswith("cannot call ecr:GetLifecyclePolicy of team/0 in ")
    assert sentence.endswith("; the same of team/1, team/2, team/3 and 6 more")
    assert query("SELECT count(*) FROM extraction_errors") == [(10,)]


def test_what_a_region_does_not_offer_is_no_failure_said_once_and_asked_again_after_a_week(
    ecr: Ecr, server: EcrServer, query: Query, database: Path
) -> None:
    def run() -> tuple[set[str], bool]:
        before = server.calls.copy()
        done = ecr("run", "--table", "registry", "--table", "lifecycle_policies")
        assert done.returncode == COMPLETE
        return set(server.calls - before) & operations, "it is not offered there" in done.stdout

    operations = {"GetSigningConfiguration", "GetLifecyclePolicy"}
    statuses = "SELECT last_status FROM ecr_freshness WHERE table_name IN ('signing_rules', 'lifecycle_policies')"
    for operation in operations:
        server.fail(error("UnknownOperationException"), operation=operation)
    assert run() == (operations, True)
    assert query(statuses) == [("not_offered",)] * 2
    assert run() == (set(), False)
    assert query(statuses) == [("not_offered",)] * 2
    with duckdb.connect(database) as connection:
        connection.execute("UPDATE aws_ecr.extraction_scopes SET started_at = started_at - INTERVAL 8 DAY")
    server.recover()
    assert run() == (operations, False)
    assert query(statuses) == [("complete",)] * 2


def test_tables_of_which_nothing_can_be_read_are_there_and_empty(ecr: Ecr, server: EcrServer, query: Query) -> None:
    server.fail(DENIED, operation="DescribeRepositories")
    server.fail(DENIED, operation="GetRegistryPolicy")
    ecr("run", "--table", "repositories", "--table", "images", "--table", "policies", "--table", "findings")
    tables = query("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'aws_ecr'")
    groups = ("repositories", "images", "policies", "findings")
    expected = {table.name for group in groups for table in catalog.GROUPS[group]}
    assert expected <= {name for (name,) in tables}
    assert query("SELECT count(*) FROM images") == [(0,)]


def test_a_name_that_does_not_exist_is_incomplete(ecr: Ecr, query: Query) -> None:
    done = ecr("run", "--repository", "team/api", "--repository", "team/typo")
    assert done.returncode == INCOMPLETE
    assert "'team/typo' does not exist" in done.stdout
    assert query("SELECT repository_name FROM repositories") == [("team/api",)]


# 0: trouble that passes is no trouble


@pytest.mark.parametrize(
    "answer",
    [BROKEN, RESET, CUT, TRUNCATED, HTML, THROTTLED, error("ThrottleException"), error("SlowDown", status=429)],
    ids=["500", "reset", "cut", "truncated", "html", "throttled", "ThrottleException", "429"],
)
def test_trouble_that_passes_is_retried(ecr: Ecr, server: EcrServer, query: Query, answer: Answer) -> None:
    server.fail(answer, times=2)
    assert ecr("run").returncode == COMPLETE
    assert query("SELECT calls, retried FROM extraction_scopes WHERE table_name = 'repositories'") == [(3, 2)]
    assert query("SELECT repository_name FROM repositories") == [("team/api",)]


def test_throttling_for_a_while_is_waited_out_and_counted(ecr: Ecr, server: EcrServer, query: Query) -> None:
    server.registry().fill(40)
    server.page_size, server.throttle = 2, (20, 2)
    assert ecr("run").returncode == COMPLETE
    ((rows, throttled),) = query("SELECT rows, throttled FROM extraction_scopes WHERE table_name = 'repositories'")
    assert rows == 41
    assert throttled == server.calls["DescribeRepositories"] - 21 > 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize("exit_code", [0, 1])
def test_credentials_that_a_process_does_not_renew_end_their_scope_at_once(
    ecr: Ecr, server: EcrServer, query: Query, tmp_path: Path, exit_code: int
) -> None:
    server.registry().fill(40)
    # They are about to expire whenever it is asked, so that botocore asks for each call.
    ends = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    told = {"Version": 1, "AccessKeyId": ACCESS_KEY, "SecretAccessKey": "secret", "Expiration": ends}
    (tmp_path / "told.json").write_text(json.dumps(told))
    script = tmp_path / "credentials.sh"
    script.write_text(
        f"#!/bin/sh\necho >> {tmp_path}/asked\n"
        f'[ "$(wc -l < {tmp_path}/asked)" -le 12 ] && exec cat {tmp_path}/told.json\n'
        f"exit {exit_code}\n"
    )
    script.chmod(0o700)
    (tmp_path / "config").write_text(f"[profile process]\nregion = eu-west-1\ncredential_process = {script}\n")
    settings: dict[str, str | None] = {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_PROFILE": "process",
    }
    done = ecr("run", "--table", "repositories", "--table", "lifecycle_policies", "--max-in-flight", "1", env=settings)
    assert done.returncode == INCOMPLETE, done.stderr
    assert "cannot be renewed" in done.stdout
    assert query("SELECT count(*) > 0 FROM repositories") == [(True,)]
    assert query("SELECT count(*) = count(DISTINCT operation) FROM extraction_errors") == [(True,)]


@pytest.mark.parametrize("message", ["", None])
def test_a_denial_that_says_nothing_is_told_without_it(
    ecr: Ecr, server: EcrServer, query: Query, message: str | None
) -> None:
    told = {"__type": "AccessDeniedException"} | ({} if message is None else {"message": message})
    server.fail(Answer(400, json.dumps(told).encode()))
    assert ecr("run").returncode == NOTHING_LOADED
    ((said,),) = query("SELECT DISTINCT message FROM extraction_errors WHERE operation = 'ecr:DescribeRepositories'")
    assert said.endswith('"ecr-source iam-policy" prints the statement')


def test_an_index_is_shown_as_it_is_and_its_children_have_the_findings(
    ecr: Ecr, server: EcrServer, query: Query
) -> None:
    registry = server.registry()
    registry.put("api")
    index = registry.put_image("api", tags=["v1"], imageManifestMediaType="application/vnd.oci.image.index.v1+json")
    child = registry.put_image("api")
    registry.scan("api", child["imageDigest"], [registry.basic_finding("CVE-1", "zlib", "1")])
    assert ecr("run", "--table", "images", "--table", "findings").returncode == COMPLETE
    assert dict(query("SELECT image_digest, fetch_outcome FROM image_scans")) == {
        index["imageDigest"]: "never_scanned",
        child["imageDigest"]: "complete",
    }
    assert query("SELECT image_digest FROM image_scan_findings") == [(child["imageDigest"],)]


def test_a_reader_that_opens_the_file_meanwhile_costs_a_run_and_no_row(
    ecr: Ecr, server: EcrServer, query: Query, database: Path
) -> None:
    server.registry().put("api")
    assert ecr("run").returncode == COMPLETE
    server.registry().put("web")
    held: list[duckdb.DuckDBPyConnection] = []

    def hold(operation: str, call: int) -> None:
        if operation == "DescribeRepositories" and not held:
            held.append(duckdb.connect(database, read_only=True))

    server.before_answer = hold
    done = ecr("run")
    assert done.returncode == NOTHING_LOADED
    assert "the next run goes on from here" in done.stderr
    held.pop().close()
    server.before_answer = lambda operation, call: None
    assert ecr("run").returncode == COMPLETE
    assert query("SELECT repository_name FROM repositories ORDER BY ALL") == [("api",), ("team/api",), ("web",)]
    assert query("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(3,)]
