"""This project: what `ecr-source run` does."""

from __future__ import annotations

from ecr_source.report.run import run_and_report
from ecr_source.run import resolve_settings

LISTING = ["repositories.repositories", "repository_tag_mutability_exclusion_filters"]


def main(url: str, database: str) -> None:
    settings = {"endpoint_url": url, "regions": ["eu-west-1"], "database": database, "tables": LISTING}
    code = run_and_report(resolve_settings(settings))
    if code:
        raise SystemExit(code)
