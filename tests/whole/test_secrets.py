"""No secret is found afterwards: not in logs, on the console, in exceptions, in dlt's files or in the database."""

from __future__ import annotations

import base64
import gzip
import io
import logging
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import dlt
import duckdb
import orjson
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.specs import BaseConfiguration, configspec
from dlt.common.typing import TSecretStrValue
from dlt.common.versioned_state import decompress_state

from ecr_source import ecr_source, read_outcome, redaction
from ecr_source.aws import sessions
from ecr_source.aws.access import Access
from ecr_source.aws.scopes import discover_scopes
from ecr_source.cli.output.run_report import run_and_report
from ecr_source.errors import CallFailed
from ecr_source.loading.settings.configuration import resolve_settings
from ecr_source.redaction import masked
from tests.conftest import ECR_SOURCE, environment, make_pipeline
from tests.server.ecr_server import ACCOUNT, Answer, EcrServer, error
from tests.server.protocols import Call

ACCESS_KEY = "AKIACANARY0000000001"
SECRET_KEY = "canary/secret+key/0123456789abcdefghijkl"
ROLE_ACCESS_KEY = "ASIACANARY0000000002"
ROLE_SECRET_KEY = "canary/role+secret/0123456789abcdefghijk"
SESSION_TOKEN = "FwoGcanary/session+token//0123456789=="
EXTERNAL_ID = "canary:external/id=0001"
PROXY_PASSWORD = "canary-proxy+password"
REGISTRY_PASSWORD = base64.b64encode(b"AWS:canary registry password").decode()
SIGNATURE = "canary5c6f0a1b2c3d4e5f60718293a4b5c6d7e8f9"
PRESIGNED = (
    "https://layers.s3.eu-west-1.amazonaws.com/sha256?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    f"&X-Amz-Security-Token={quote_plus(SESSION_TOKEN)}&X-Amz-Credential={ROLE_ACCESS_KEY}%2F2026&X-Amz-Signature={SIGNATURE}"
)
CANARIES = {
    "access key": ACCESS_KEY,
    "secret": SECRET_KEY,
    "access key of the role": ROLE_ACCESS_KEY,
    "secret of the role": ROLE_SECRET_KEY,
    "session token": SESSION_TOKEN,
    "external id": EXTERNAL_ID,
    "proxy password": PROXY_PASSWORD,
    "authorization token": REGISTRY_PASSWORD,
    "presigned URL": SIGNATURE,
}

TOLD_BY_NAME = f"'authorizationToken': '{REGISTRY_PASSWORD}', {PRESIGNED} http://me:{PROXY_PASSWORD}@proxy"
TOLD = (
    f"{ACCESS_KEY} {SECRET_KEY} {SESSION_TOKEN} {quote_plus(SESSION_TOKEN)} {ROLE_SECRET_KEY} {EXTERNAL_ID}"
    f" {PROXY_PASSWORD} {REGISTRY_PASSWORD} {TOLD_BY_NAME}"
)
"""What an endpoint says that tells all that it knows."""


@pytest.fixture(autouse=True)
def _nothing_is_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_literals", frozenset())
    monkeypatch.setattr(redaction, "_literal_pattern", None)


def spellings(secret: str) -> set[str]:
    """The secret as it may stand in a file: as it is, encoded for URLs, in base64 whatever stands before it."""
    shifted = {base64.b64encode(b"x" * before + secret.encode())[4:-4].decode() for before in range(3)}
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), *shifted}


def assert_no_canary(place: str, text: str) -> None:
    for name, secret in CANARIES.items():
        for spelling in spellings(secret):
            at = text.find(spelling)
            assert at < 0, f"{place} tells the {name}: {text[max(0, at - 200) : at + 100]!r}"


def assert_no_canary_below(folder: Path) -> None:
    """Looks into all files: what is packed is unpacked, and databases are read column by column."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        for text in _texts(path):
            assert_no_canary(str(path.relative_to(folder)), text)


def _texts(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    yield content.decode("latin-1")
    if content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content).decode("latin-1")
    if path.suffix == ".parquet" and content.endswith(b"PAR1"):
        yield str(pq.read_table(path).to_pylist())
    if path.suffix == ".duckdb":
        with duckdb.connect(path, read_only=True) as connection:
            tables = connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
            for schema, table in tables:
                yield str(connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall())
                if table == "_dlt_pipeline_state":
                    for (state,) in connection.execute(f'SELECT state FROM "{schema}"."{table}"').fetchall():
                        yield str(decompress_state(state))


def test_the_search_finds_what_it_searches_for(tmp_path: Path) -> None:
    for name in ("packed", "loaded"):
        (tmp_path / name).mkdir()
    with gzip.open(tmp_path / "packed/job.gz", "wt") as file:
        file.write(f"password {quote(SECRET_KEY, safe='')}")
    with duckdb.connect(tmp_path / "loaded/ecr.duckdb") as connection:
        connection.execute("CREATE TABLE told AS SELECT ? AS message", [TOLD])
    for name in ("packed", "loaded"):
        with pytest.raises(AssertionError, match="tells the"):
            assert_no_canary_below(tmp_path / name)
    with pytest.raises(AssertionError, match="tells the secret"):
        assert_no_canary("log", base64.b64encode(f"id:{SECRET_KEY}".encode()).decode())


@dataclass
class Telling:
    """A server that gives a role's credentials to who asks for them, and tells `sts_error`, if it is set."""

    server: EcrServer
    sts_error: Answer | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, call: Call) -> Answer:
        self.asked.append(call.operation)
        if call.operation == "AssumeRole":
            return Answer(body=_ROLE.encode())
        if call.operation == "GetCallerIdentity" and self.sts_error:
            return self.sts_error
        return EcrServer.answer(self.server, call)


_ROLE = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    f"<AccessKeyId>{ROLE_ACCESS_KEY}</AccessKeyId><SecretAccessKey>{ROLE_SECRET_KEY}</SecretAccessKey>"
    f"<SessionToken>{SESSION_TOKEN}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
    f"<AssumedRoleUser><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/reader/me</Arn><AssumedRoleId>A</AssumedRoleId>"
    "</AssumedRoleUser></AssumeRoleResult></AssumeRoleResponse>"
)


@pytest.fixture
def telling(
    server: EcrServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Telling:
    """A registry that is read with an assumed role; all that dlt and botocore know to log is logged."""
    profile = tmp_path_factory.mktemp("aws") / "config"
    profile.write_text(
        f"[profile reader]\nrole_arn = arn:aws:iam::{ACCOUNT}:role/reader\nexternal_id = {EXTERNAL_ID}\n"
        f"source_profile = keys\nregion = eu-west-1\n"
        f"[profile keys]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for name, value in {
        "AWS_CONFIG_FILE": str(profile),
        "AWS_PROFILE": "reader",
        "AWS_ENDPOINT_URL": server.url,
        "NO_PROXY": "127.0.0.1",
        "HTTPS_PROXY": f"http://me:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:1",
        "RUNTIME__LOG_LEVEL": "DEBUG",
        "TMPDIR": str(temporary),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    telling = Telling(server)
    monkeypatch.setattr(server, "answer", telling.answer)
    server.accounts |= {ACCESS_KEY: ACCOUNT, ROLE_ACCESS_KEY: ACCOUNT}
    server.registry().put("team/api", secretLayers=[{"authorizationToken": REGISTRY_PASSWORD, "url": PRESIGNED}])
    once = Config(retries={"mode": "standard", "total_max_attempts": 1})
    monkeypatch.setattr(sessions, "CLIENT_CONFIG", sessions.CLIENT_CONFIG.merge(once))
    return telling


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged by anybody, as `logging.basicConfig(level=logging.DEBUG)` writes it."""
    root, text = logging.getLogger(), io.StringIO()
    handler, level = logging.StreamHandler(text), root.level
    handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


def _denied(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    telling.server.fail(error("AccessDeniedException", TOLD))


def _rejected(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    telling.server.fail(error(f"Code {TOLD}", TOLD))


def _expired(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    told = f"<Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>{escape(TOLD)}</Message></Error>"
    telling.sts_error = Answer(403, f"<ErrorResponse>{told}</ErrorResponse>".encode())


def _unknown(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    told = f"<Error><Type>Sender</Type><Code>Unknown</Code><Message>{escape(TOLD)}</Message></Error>"
    telling.sts_error = Answer(400, f"<ErrorResponse>{told}</ErrorResponse>".encode())


def _malformed(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    telling.server.fail(Answer(body=orjson.dumps({"repositories": {SIGNATURE: ACCESS_KEY}, "password": TOLD})))


def _page(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    telling.server.fail(Answer(body=f"<html><body>{TOLD}</body></html>".encode()))


def _foreign(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    telling.server.registry().put("team/web", registryId=f"Bearer {SESSION_TOKEN}")


def _dead_proxy(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_ECR", "https://ecr.invalid")


def _defect(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        try:
            raise ValueError(TOLD)
        except ValueError as cause:
            raise KeyError(f"a defect that knows {TOLD}") from cause

    monkeypatch.setattr("ecr_source.aws.api.Api.pages", crash)


def _defect_before_connecting(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ValueError(TOLD_BY_NAME)

    monkeypatch.setattr("ecr_source.loading.run.make_destination", crash)


Trouble = Callable[[Telling, pytest.MonkeyPatch], None]
TROUBLES: list[Trouble] = [
    _denied, _rejected, _expired, _unknown, _malformed, _page, _foreign, _dead_proxy,
    _defect, _defect_before_connecting,
]  # fmt: skip
each_trouble = pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__.strip("_"))


def test_a_run_tells_no_secret(
    telling: Telling, logged: io.StringIO, tmp_path: Path, capfd: pytest.CaptureFixture[str], query: Any
) -> None:
    assert run_and_report(resolve_settings({"tables": ["repositories", "policies"]})) == 0
    assert "CanonicalRequest" in logged.getvalue()
    assert {"AssumeRole", "GetCallerIdentity", "DescribeRepositories"} <= set(telling.asked)
    _assert_nothing_told(logged, tmp_path, *capfd.readouterr())
    (row,) = query("SELECT unmodelled FROM repositories")
    masked_url = PRESIGNED.partition("?")[0] + "?***"
    assert orjson.loads(row[0]) == {"secretLayers": [{"authorizationToken": "***", "url": masked_url}]}


@each_trouble
def test_a_run_that_fails_tells_no_secret(
    telling: Telling,
    logged: io.StringIO,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    trouble: Trouble,
) -> None:
    trouble(telling, monkeypatch)
    assert run_and_report(resolve_settings({"tables": ["repositories.repositories"]})) != 0
    printed, complained = capfd.readouterr()
    assert "***" in printed + complained or trouble in (_expired, _malformed, _page, _dead_proxy)
    _assert_nothing_told(logged, tmp_path, printed, complained)


def _assert_nothing_told(logged: io.StringIO, folder: Path, *printed: str) -> None:
    log = logged.getvalue()
    # What botocore signs, and what it is answered.
    assert ("CanonicalRequest" in log) == ("<SessionToken>***</SessionToken>" in log)
    assert_no_canary("the log", log)
    for text in printed:
        assert_no_canary("the console", text)
    assert_no_canary_below(folder)


@pytest.mark.parametrize("trouble", [None, _denied, _unknown, _defect])
def test_a_pipeline_tells_no_secret(
    telling: Telling, logged: io.StringIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Trouble | None
) -> None:
    if trouble:
        trouble(telling, monkeypatch)
    pipeline = make_pipeline(tmp_path / "pipelines", tmp_path / "ecr.duckdb")
    failed = False
    try:
        pipeline.run(ecr_source(tables=["repositories.repositories"]))
        read_outcome(pipeline).raise_on_incomplete()
    except Exception as failure:
        failed = True
        logging.getLogger("scheduler").exception("the load failed")
        assert_no_canary("the exception", f"{failure} {failure.__cause__} {failure.__context__}")
    assert failed == (trouble is not None)
    trace = pipeline.last_trace
    assert trace is not None
    assert_no_canary("the trace", f"{trace.asdict()} {trace.asstr(verbosity=3)}")
    _assert_nothing_told(logged, tmp_path)


def test_a_destination_that_fails_tells_no_secret(
    telling: Telling, logged: io.StringIO, tmp_path: Path, capfd: pytest.CaptureFixture[str], database: Path
) -> None:
    settings = {"tables": ["repositories.repositories"]}
    assert run_and_report(resolve_settings(settings)) == 0
    with duckdb.connect(database) as connection:
        connection.execute("ALTER TABLE aws_ecr.repositories RENAME COLUMN unmodelled TO other")
    telling.server.registry().put("team/web", password=TOLD)
    assert run_and_report(resolve_settings(settings)) == 3
    _assert_nothing_told(logged, tmp_path, *capfd.readouterr())


def test_the_command_tells_no_secret(telling: Telling, tmp_path: Path, database: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/sitecustomize.py").write_text("import logging\nlogging.basicConfig(level=logging.DEBUG)\n")
    telling.server.fail(error("RepositoryPolicyNotFoundException", TOLD), operation="GetRepositoryPolicy")
    telling.server.fail(error("AccessDeniedException", TOLD), operation="GetLifecyclePolicy")
    python_path = os.pathsep.join([str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    changes = {"PYTHONPATH": python_path, "SOURCES__ECR__TABLES": '["policies"]', "SOURCES__ECR__ENDPOINT_URL": None}
    done = subprocess.run(
        [ECR_SOURCE, "run"],
        capture_output=True,
        text=True,
        env=environment(telling.server, database, changes),
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    assert "access denied; allow ecr:GetLifecyclePolicy" in done.stdout
    assert "CanonicalRequest" in done.stderr
    assert_no_canary("standard output", done.stdout)
    assert_no_canary("standard error", done.stderr)
    assert_no_canary_below(tmp_path)


# single spellings


@pytest.mark.parametrize(
    "text",
    [
        f"aws_secret_access_key = {SECRET_KEY}",
        f"{{'SecretAccessKey': '{SECRET_KEY}'}}",
        f"<SecretAccessKey>{SECRET_KEY}</SecretAccessKey>",
        f'{{\\"secretAccessKey\\":\\"{SECRET_KEY}\\"}}',
        f"Action=AssumeRole&ExternalId={quote_plus(SECRET_KEY)}&RoleArn=x",
        f"X-Amz-Security-Token: {SECRET_KEY}",
        f"{{'X-Amz-Security-Token': b'{SECRET_KEY}'}}",
        f"https%3A%2F%2Fbucket%2Flayer%3FX-Amz-Security-Token%3D{quote(SECRET_KEY, safe='')}%26X-Amz-Date%3D2026",
        f"Proxy-Authorization: Basic {base64.b64encode(SECRET_KEY.encode()).decode()}",
        f"https://bucket/layer?X-Amz-Date=2026&X-Amz-Signature={quote(SECRET_KEY, safe='')}",
        f"postgresql://loader:{SECRET_KEY}@warehouse",
    ],
)
def test_a_secret_that_nobody_knows_is_found_by_its_name(text: str) -> None:
    shown = masked(text)
    assert not [spelling for spelling in spellings(SECRET_KEY) if spelling in shown]
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "check the access key, secret key and session token",
        "Credential should be scoped to a valid region; Signature expired: 20261123T000000Z is now earlier",
        "https://docs.aws.amazon.com/ecr?page=2&size=10",
        "arn:aws:ecr:eu-west-1:123456789012:repository/team/api@sha256:0123456789abcdef",
        "Basic scanning is on, nextToken: abcdefghijklmnop",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_what_was_told_to_be_secret_is_found_in_every_spelling() -> None:
    told = ["a/known+secret=", quote("a/known+secret=", safe=""), "a%2fknown%2bsecret%3d", "YS9rbm93bitzZWNyZXQ9"]
    assert masked(" ".join(told)) == " ".join(told)
    redaction.redact_always("a/known+secret=")
    redaction.redact_always("is")
    assert masked(" ".join(told) + " is it") == "*** *** *** *** is it"


def test_a_log_record_that_cannot_be_formatted_disturbs_nobody(telling: Telling, logged: io.StringIO) -> None:
    discover_scopes(Access())
    logging.getLogger("botocore.later").warning("%s and %s", SECRET_KEY)
    logging.getLogger("mine").warning("%s", "untouched")
    assert "WARNING:botocore.later:%s and %s ('***',)" in logged.getvalue()
    assert "WARNING:mine:untouched" in logged.getvalue()


def test_a_copy_of_a_log_record_is_made_as_ever(telling: Telling) -> None:
    discover_scopes(Access())
    assert logging.makeLogRecord({"name": "airflow", "msg": "started"}).getMessage() == "started"


def test_no_error_of_ours_holds_a_secret() -> None:
    failed = CallFailed(f"password={SECRET_KEY}", operation="ecr:DescribeImages", error_code="x")
    assert str(failed) == "password=***"


# dlt's own secrets


@configspec
class _Settings(BaseConfiguration):
    external_id: TSecretStrValue | None = None


@dlt.source(name="told", section="told")
def _source(external_id: TSecretStrValue | None = None) -> Any:
    return dlt.resource([{"length": len(external_id or "")}], name="lengths")


@pytest.mark.parametrize("given", ["argument", "environment", "settings"])
def test_dlt_keeps_a_secret_setting_out_of_its_trace(
    pipeline: dlt.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("SOURCES__TOLD__EXTERNAL_ID", EXTERNAL_ID)
    if given == "environment":
        source = _source()
    elif given == "argument":
        source = _source(external_id=EXTERNAL_ID)
    else:
        settings = resolve_configuration(_Settings(), sections=("told",), explicit_value={"external_id": EXTERNAL_ID})
        source = _source(external_id=settings.external_id)
    pipeline.run(source)
    assert pipeline.dataset().lengths.select("length").fetchall() == [(len(EXTERNAL_ID),)]
    trace = pipeline.last_trace
    assert trace is not None
    assert_no_canary("the trace", f"{trace.asdict()} {trace!r}")
    assert_no_canary_below(tmp_path)
