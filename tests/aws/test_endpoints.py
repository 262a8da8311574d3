"""Who is asked: certificates are verified, and an endpoint that is not AWS's is named before it is asked."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_source.aws.access import Access
from ecr_source.aws.endpoints import endpoint_lines, foreign_endpoints
from ecr_source.cli.output.run_report import run_and_report
from ecr_source.loading.settings.configuration import resolve_settings
from tests.conftest import environment
from tests.server.ecr_server import EcrServer

Ecr = Callable[..., subprocess.CompletedProcess[str]]

SERVICES = ("ecr", "resourcegroupstaggingapi", "sts")
AWS = "https://api.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("variables", "config"),
    [
        ({}, ""),
        ({"AWS_CA_BUNDLE": ""}, ""),
        ({"REQUESTS_CA_BUNDLE": ""}, ""),
        ({"CURL_CA_BUNDLE": "", "PYTHONHTTPSVERIFY": "0"}, ""),
        ({}, "ca_bundle =\n"),
        ({}, "verify_ssl = false\n"),
    ],
)
def test_a_certificate_that_nobody_vouches_for_is_refused_whatever_the_environment_says(
    encrypted: tuple[EcrServer, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    variables: dict[str, str],
    config: str,
) -> None:
    server, url = encrypted
    (tmp_path / "aws-config").write_text(f"[default]\n{config}")
    for name, value in {**variables, "AWS_CONFIG_FILE": str(tmp_path / "aws-config")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert run_and_report(resolve_settings({"regions": ["eu-west-1"], "endpoint_url": url})) == 3
    first, sentence = capfd.readouterr().err.splitlines()
    assert first == f"endpoint: {url}"
    assert sentence.startswith("ecr-source: cannot ask sts:GetCallerIdentity in eu-west-1")
    assert "certificate verify failed: self-signed certificate" in sentence
    assert not server.calls


def test_a_certificate_that_the_user_vouches_for_is_accepted(
    encrypted: tuple[EcrServer, str], certificate: tuple[Path, Path], ecr: Ecr
) -> None:
    server, url = encrypted
    done = ecr("run", "--endpoint-url", url, env={"AWS_CA_BUNDLE": str(certificate[0])})
    assert done.returncode == 0, done.stderr
    assert server.calls["DescribeRepositories"] == 1


@pytest.mark.parametrize(
    ("variables", "config", "lines"),
    [
        ({}, "", []),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "", ["endpoint: http://127.0.0.1:4566"]),
        ({"AWS_ENDPOINT_URL": "http://[::1]:4566"}, "", ["endpoint: http://[::1]:4566"]),
        ({"AWS_ENDPOINT_URL": "http://proxy.corp"}, "", ["endpoint: http://proxy.corp (not encrypted)"]),
        ({"AWS_ENDPOINT_URL_ECR": "https://proxy.corp"}, "", ["endpoint of ecr: https://proxy.corp"]),
        ({"AWS_ENDPOINT_URL_STS": "http://a"}, "", ["endpoint of sts: http://a (not encrypted)"]),
        (
            {"AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API": "https://a"},
            "",
            ["endpoint of resourcegroupstaggingapi: https://a"],
        ),
        ({}, "endpoint_url = https://a\n", ["endpoint: https://a"]),
        ({}, "services = own\n[services own]\necr =\n  endpoint_url = https://a\n", ["endpoint of ecr: https://a"]),
        ({"AWS_ENDPOINT_URL_ECR": AWS}, "", []),
        ({"AWS_ENDPOINT_URL_ECR": "https://api.ecr.cn-north-1.amazonaws.com.cn"}, "", []),
        ({"AWS_ENDPOINT_URL_ECR": "https://ecr.eu-west-1.api.aws"}, "", []),
        ({"AWS_ENDPOINT_URL_ECR": "https://notamazonaws.com"}, "", ["endpoint of ecr: https://notamazonaws.com"]),
        (
            {"AWS_ENDPOINT_URL_ECR": f"{AWS}.evil.example"},
            "",
            [f"endpoint of ecr: {AWS}.evil.example"],
        ),
        (
            {"AWS_ENDPOINT_URL_ECR": AWS.replace("https", "http")},
            "",
            [f"endpoint of ecr: {AWS.replace('https', 'http')} (not encrypted)"],
        ),
        ({"AWS_ENDPOINT_URL": "https://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "", []),
        ({"AWS_PROFILE": "nobody"}, "", []),
        ({"AWS_ENDPOINT_URL": "http://[::1"}, "", ["endpoint: http://[::1"]),
    ],
)
def test_every_endpoint_that_is_not_of_aws_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], config: str, lines: list[str]
) -> None:
    (tmp_path / "aws-config").write_text(f"[default]\n{config}")
    for name, value in {**variables, "AWS_CONFIG_FILE": str(tmp_path / "aws-config")}.items():
        monkeypatch.setenv(name, value)
    assert endpoint_lines(foreign_endpoints(Access(), SERVICES), SERVICES) == lines


@pytest.mark.parametrize("command", [["run"], ["plan", "--table", "repositories"]])
def test_the_first_line_names_the_endpoint_of_the_environment(
    server: EcrServer, database: Path, ecr: Ecr, command: list[str]
) -> None:
    assert "SOURCES__ECR__ENDPOINT_URL" in environment(server, database)
    done = ecr(*command, env={"SOURCES__ECR__ENDPOINT_URL": None, "AWS_ENDPOINT_URL": server.url})
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == f"endpoint: {server.url}"


def test_an_endpoint_that_is_given_comes_before_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://a")
    foreign = foreign_endpoints(Access(endpoint_url="https://b"), SERVICES)
    assert endpoint_lines(foreign, SERVICES) == ["endpoint: https://b"]
