"""Credentials that end half-way and that nobody renews: their scope is lost, which is told once, and the rest loads."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ECR_SOURCE, Row, environment
from tests.server.ecr_server import ACCOUNT, EcrServer, error

Done = subprocess.CompletedProcess[str]
Ecr = Callable[..., Done]
Query = Callable[[str], list[Row]]
Settings = dict[str, str | None]

INCOMPLETE, UNUSABLE, NOTHING_LOADED = 1, 2, 3
ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
RUN = ("run", "--table", "repositories", "--table", "lifecycle_policies", "--max-in-flight", "1")
NO_KEYS: Settings = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}


@pytest.fixture(autouse=True)
def _registry(server: EcrServer) -> None:
    """40 repositories, and a role whose credentials end so soon that botocore renews them for each call."""
    server.registry().fill(40)
    server.add_role(ROLE, seconds=300)


@pytest.fixture
def web_identity(server: EcrServer, tmp_path: Path) -> Settings:
    (tmp_path / "token").write_text("header.claims.signature")
    return {
        **NO_KEYS,
        "AWS_ROLE_ARN": ROLE,
        "AWS_ROLE_SESSION_NAME": "reader",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": server.url,
    }


@pytest.fixture
def sso(server: EcrServer, tmp_path: Path) -> Settings:
    """A profile of somebody who is signed in."""
    cached = tmp_path / ".aws/sso/cache" / f"{hashlib.sha1(b'work', usedforsecurity=False).hexdigest()}.json"
    cached.parent.mkdir(parents=True)
    cached.write_text(json.dumps({"accessToken": "of the session", "expiresAt": "2099-01-01T00:00:00Z"}))
    profile = f"sso_session = work\nsso_account_id = {ACCOUNT}\nsso_role_name = reader\nregion = eu-west-1"
    session = "sso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start"
    (tmp_path / "config").write_text(f"[profile work]\n{profile}\n[sso-session work]\n{session}\n")
    return {
        **NO_KEYS,
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_PROFILE": "work",
        "AWS_ENDPOINT_URL_SSO": server.url,
    }


def assert_scope_is_lost(done: Done, query: Query, reason: str) -> None:
    assert done.returncode == INCOMPLETE, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.count("ended and cannot be renewed") == 1
    assert query("SELECT count(*) FROM repositories") == [(40,)]
    errors = query("SELECT operation, resource, message FROM extraction_errors")
    # An operation that had ended by then has none; the others have one each, whatever they were still to ask.
    assert len({operation for operation, _, _ in errors}) == len(errors) > 0
    assert {resource for _, resource, _ in errors} == {""}
    assert all(reason in message for _, _, message in errors)


def test_a_web_identity_that_has_expired_loses_its_scope(
    ecr: Ecr, server: EcrServer, query: Query, web_identity: Settings
) -> None:
    server.fail(error("ExpiredTokenException", "Token expired"), operation="sts:AssumeRoleWithWebIdentity", after=12)
    assert_scope_is_lost(ecr(*RUN, env=web_identity), query, "Token expired")


def test_a_web_identity_whose_token_file_is_gone_loses_its_scope(
    ecr: Ecr, server: EcrServer, query: Query, web_identity: Settings, tmp_path: Path
) -> None:
    def lose(operation: str, call: int) -> None:
        if (operation, call) == ("GetLifecyclePolicy", 5):
            (tmp_path / "token").unlink()

    server.before_answer = lose
    assert_scope_is_lost(ecr(*RUN, env=web_identity), query, "No such file or directory")


def test_a_web_identity_whose_token_file_was_never_there_is_told(
    ecr: Ecr, server: EcrServer, web_identity: Settings, tmp_path: Path
) -> None:
    (tmp_path / "token").unlink()
    done = ecr(*RUN, env=web_identity)
    assert done.returncode == NOTHING_LOADED
    assert "Traceback" not in done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("ecr-source: cannot ask sts:GetCallerIdentity in eu-west-1")
    assert "No such file or directory" in sentence


def test_a_session_of_sso_that_has_ended_loses_its_scope(
    server: EcrServer, query: Query, database: Path, sso: Settings
) -> None:
    ended = error("UnauthorizedException", "Session token not found or invalid", 401)
    server.fail(ended, operation="sso:GetRoleCredentials", after=12)
    # Not forked: where tokens are cached botocore asks HOME when it is imported.
    done = subprocess.run([ECR_SOURCE, *RUN], env=environment(server, database, sso), capture_output=True, text=True)
    assert_scope_is_lost(done, query, "The SSO session associated with this profile has expired")


@pytest.mark.parametrize(
    ("command", "reason"), [("no/such/command", "No such file or directory"), ("true", "Expecting")]
)
def test_a_process_that_tells_no_credentials_is_refused(ecr: Ecr, tmp_path: Path, command: str, reason: str) -> None:
    (tmp_path / "config").write_text(f"[profile process]\nregion = eu-west-1\ncredential_process = {command}\n")
    settings: Settings = {**NO_KEYS, "AWS_CONFIG_FILE": str(tmp_path / "config"), "AWS_PROFILE": "process"}
    done = ecr(*RUN, env=settings)
    assert done.returncode == UNUSABLE
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("ecr-source: the AWS credentials cannot be read: ")
    assert reason in sentence
