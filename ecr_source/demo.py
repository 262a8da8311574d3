"""The demo: an embedded ECR endpoint over HTTP, a few hundred repositories, the production code path, three answers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import boto3
import duckdb
from rich.console import Console

from ecr_source.errors import ConfigurationError
from ecr_source.report.run import run_and_report
from ecr_source.report.tables import print_grid
from ecr_source.run import resolve_settings

try:
    from moto.server import ThreadedMotoServer
except ImportError as error:
    raise ConfigurationError('the demo needs its extra: pip install "ecr-source[demo]"') from error

REGIONS = ("eu-west-1", "us-east-1")

QUESTIONS = {
    "Which tag mutability do the repositories of each region have?": """\
SELECT region, image_tag_mutability, count(*) AS repositories
FROM repositories
GROUP BY ALL ORDER BY ALL""",
    "Which teams have repositories that are not scanned on push, and how many?": """\
SELECT namespace, count(*) AS repositories, count(*) FILTER (NOT scan_on_push) AS not_scanned_on_push
FROM repositories
GROUP BY ALL ORDER BY not_scanned_on_push DESC, namespace LIMIT 5""",
    "Which tags may move in repositories that are otherwise immutable?": """\
SELECT f.filter, count(*) AS repositories
FROM repositories r JOIN repository_tag_mutability_exclusion_filters f
  USING (registry_id, region, repository_name)
WHERE r.image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION'
GROUP BY ALL ORDER BY repositories DESC, f.filter""",
}

_TEAMS = ("billing", "checkout", "data-platform", "identity", "mobile", "payments", "search", "shared")
_SERVICES = ("api", "batch", "cache", "cron", "frontend", "gateway", "ingest", "migrations", "proxy", "worker")
_IMMUTABLE_BUT = {
    "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
    "imageTagMutabilityExclusionFilters": [
        {"filterType": "WILDCARD", "filter": "latest"},
        {"filterType": "WILDCARD", "filter": "dev-*"},
    ],
}
_MUTABILITIES: tuple[dict[str, Any], ...] = (
    {"imageTagMutability": "MUTABLE"},
    {"imageTagMutability": "IMMUTABLE"},
    _IMMUTABLE_BUT,
)


def demo(database: Path) -> int:
    """Loads the embedded registry into `database`, prints the answers, and returns the exit code."""
    console = Console()
    with _embedded_registry() as endpoint_url:
        for region in REGIONS:
            _create_repositories(region, endpoint_url)
        code = run_and_report(
            resolve_settings(
                {
                    "endpoint_url": endpoint_url,
                    "regions": list(REGIONS),
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
            console.print(f"\n{question}\n\n{sql}\n", markup=False, highlight=False, soft_wrap=True)
            answer = connection.execute(sql)
            print_grid(console, [column[0] for column in answer.description or ()], answer.fetchall())
    console.print(
        "\nYour own account:  .venv/bin/ecr-source run --region eu-west-1 --database my-registry.duckdb",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return code


@contextmanager
def _embedded_registry() -> Iterator[str]:
    """The URL of moto's server on a free loopback port, with credentials of nobody in the environment."""
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


def _create_repositories(region: str, endpoint_url: str) -> None:
    client = boto3.client("ecr", region_name=region, endpoint_url=endpoint_url)
    for number, (team, service) in enumerate(product(_TEAMS, _SERVICES)):
        client.create_repository(
            repositoryName=f"{team}/{service}",
            imageScanningConfiguration={"scanOnPush": number % 4 != 0},
            encryptionConfiguration={"encryptionType": "KMS" if number % 5 == 0 else "AES256"},
            **_MUTABILITIES[(number + len(region)) % len(_MUTABILITIES)],
        )
