"""This project: what `ecr-source run` does."""

from __future__ import annotations

from ecr_source.report.run import run_and_report
from ecr_source.run import resolve_settings


def main(url: str, database: str) -> None:
    code = run_and_report(resolve_settings({"endpoint_url": url, "regions": ["eu-west-1"], "database": database}))
    if code:
        raise SystemExit(code)
