"""The demo: an embedded ECR endpoint over HTTP, two regions, the production code path, three answers."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import duckdb
from rich.console import Console

from ecr_source.cli.invocation import command
from ecr_source.cli.run_report import run_and_report
from ecr_source.errors import ConfigurationError
from ecr_source.loading.kept_settings import DEMO_ACCOUNT
from ecr_source.loading.settings import Settings
from ecr_source.printing import print_grid, print_line

try:
    os.environ["MOTO_ACCOUNT_ID"] = DEMO_ACCOUNT  # moto reads it when it is imported
    from moto.core.responses import ActionResult
    from moto.ecr.responses import ECRResponse
    from moto.server import ThreadedMotoServer
except ImportError as error:
    raise ConfigurationError('the demo needs its extra: pip install "ecr-source[demo]"') from error

REGIONS = ("eu-west-1", "us-east-1")

TABLES = ("repositories", "images", "policies", "findings")

QUESTIONS = {
    "Which critical findings could be fixed by an update, and where?": """\
SELECT vulnerability_id, package_name, package_version, fixed_in_version, count(*) AS images
FROM ecr_image_vulnerabilities WHERE severity = 'CRITICAL' AND is_fixable
GROUP BY ALL ORDER BY images DESC, vulnerability_id""",
    "Which repositories may anybody in the world pull from?": """\
SELECT region, repository_name, principal, actions
FROM ecr_repository_access WHERE reach = 'public' AND may_pull
ORDER BY ALL""",
    "Which teams keep most images in repositories that no lifecycle policy tidies up?": """\
SELECT namespace, count(*) AS repositories, sum(image_count) AS images
FROM ecr_repository_settings WHERE lifecycle_policy = 'no'
GROUP BY ALL ORDER BY images DESC, namespace LIMIT 5""",
}

OWN_ACCOUNT = (
    "check --region eu-west-1",
    "run --region eu-west-1",
    "query ecr_latest_images",
)

_TEAMS = ("billing", "checkout", "data-platform", "identity", "mobile", "payments", "search", "shared")
_SERVICES = ("api", "batch", "frontend", "gateway", "worker")
_MUTABILITIES = ("MUTABLE", "IMMUTABLE")

_LIFECYCLE_POLICY = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "Keep ten images without a tag",
            "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 10},
            "action": {"type": "expire"},
        }
    ]
}
_PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
_PUBLIC_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": _PULL}],
}
_PARTNER_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Sid": "Partner", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"}, "Action": _PULL}
    ],
}

# Name, severity, package, its version, where it is fixed.
_VULNERABILITIES = (
    ("CVE-2026-1001", "CRITICAL", "openssl", "3.0.13", "3.0.19"),
    ("CVE-2026-1002", "CRITICAL", "libxml2", "2.9.14", "2.9.15"),
    ("CVE-2026-1003", "HIGH", "curl", "7.88.1", "7.88.2"),
    ("CVE-2026-1004", "MEDIUM", "tar", "1.34", None),
)


def demo(database: Path) -> int:
    """Loads the embedded registry into `database`, prints the answers, and returns the exit code."""
    console = Console()
    with _embedded_registry() as endpoint_url:
        for region in REGIONS:
            _fill_registry(region, endpoint_url)
        code = run_and_report(
            Settings.of(
                {
                    "endpoint_url": endpoint_url,
                    "regions": list(REGIONS),
                    "tables": list(TABLES),
                    "mode": "snapshot",
                    "destination": "duckdb",
                    "database": str(database),
                    "dataset": "aws_ecr",
                }
            )
        )
    if code:
        return code
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("USE aws_ecr")
        for question, sql in QUESTIONS.items():
            for line in ("", question, "", *sql.splitlines(), ""):
                print_line(console, line)
            answer = connection.execute(sql)
            print_grid(console, [column[0] for column in answer.description or ()], answer.fetchall())
    for line in ("", "Your own account, into ecr.duckdb:", "", *(f"{command()} {own}" for own in OWN_ACCOUNT)):
        print_line(console, line)
    return code


@contextmanager
def _embedded_registry() -> Iterator[str]:
    """The URL of moto's server on a free loopback port, with credentials of nobody in the environment."""
    # moto does not know creation templates; an account without any answers so.
    templates = ActionResult({"repositoryCreationTemplates": []})
    setattr(ECRResponse, "describe_repository_creation_templates", lambda _: templates)  # noqa: B010 (mypy knows none)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(AWS_ACCESS_KEY_ID="demo", AWS_SECRET_ACCESS_KEY="demo")  # noqa: S106 (of nobody)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def _fill_registry(region: str, endpoint_url: str) -> None:
    client = boto3.client("ecr", region_name=region, endpoint_url=endpoint_url)
    scans = []
    for number, (team, service) in enumerate(product(_TEAMS, _SERVICES), len(region)):
        name = f"{team}/{service}"
        client.create_repository(
            repositoryName=name,
            imageTagMutability=_MUTABILITIES[number % 2],
            imageScanningConfiguration={"scanOnPush": number % 4 != 0},
        )
        for version in range(1 + number % 3):
            manifest = _manifest(f"{region}/{name}:{version}", 20_000_000 * (1 + (number + version) % 7))
            pushed = client.put_image(repositoryName=name, imageManifest=manifest, imageTag=f"v{version}")
            scans.append(_scan(name, pushed["image"]["imageId"]["imageDigest"], number + version))
            client.start_image_scan(repositoryName=name, imageId=scans[-1]["imageId"])
        if number % 3:
            client.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(_LIFECYCLE_POLICY))
        if number % 13 == 0:
            client.set_repository_policy(repositoryName=name, policyText=json.dumps(_PUBLIC_POLICY))
        elif number % 5 == 0:
            client.set_repository_policy(repositoryName=name, policyText=json.dumps(_PARTNER_POLICY))
    _serve_scans(region, endpoint_url, scans)


def _manifest(name: str, size: int) -> str:
    def part(kind: str, size: int) -> dict[str, Any]:
        digest = hashlib.sha256(f"{kind} of {name}".encode()).hexdigest()
        return {"mediaType": f"application/vnd.oci.image.{kind}", "size": size, "digest": f"sha256:{digest}"}

    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": part("config.v1+json", 1_500),
            "layers": [part("layer.v1.tar+gzip", size)],
        }
    )


def _scan(repository: str, digest: str, number: int) -> dict[str, Any]:
    found = [_finding(*each) for position, each in enumerate(_VULNERABILITIES) if number % (position + 3) == 0]
    return {
        "repositoryName": repository,
        "imageId": {"imageDigest": digest},
        "imageScanStatus": {"status": "COMPLETE"},
        "imageScanFindings": {
            "imageScanCompletedAt": 1_763_000_000,
            "findings": found,
            "findingSeverityCounts": Counter(finding["severity"] for finding in found),
        },
    }


def _finding(name: str, severity: str, package: str, version: str, fixed_in: str | None) -> dict[str, Any]:
    attributes = {"package_name": package, "package_version": version, "fixed_in_version": fixed_in}
    return {
        "name": name,
        "severity": severity,
        "uri": f"https://nvd.nist.gov/vuln/detail/{name}",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items() if value],
    }


def _serve_scans(region: str, endpoint_url: str, scans: list[dict[str, Any]]) -> None:
    body = json.dumps({"results": scans, "account_id": DEMO_ACCOUNT, "region": region}).encode()
    url = f"{endpoint_url}/moto-api/static/ecr/scan-finding-results"
    headers = {"Content-Type": "application/json"}
    urlopen(Request(url, body, headers, method="POST")).close()  # noqa: S310 (the server above)
