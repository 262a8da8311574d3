"""This project: what `ecr-source run` does."""

from __future__ import annotations

from ecr_source.cli.output.run_report import run_and_report
from ecr_source.loading.settings.configuration import resolve_settings

LISTING = ["repositories.repositories", "repository_tag_mutability_exclusion_filters"]


def repositories(url: str, database: str) -> None:
    """What the listing of repositories fills."""
    _run(url, database, LISTING)


def images(url: str, database: str) -> None:
    """`--table images`."""
    _run(url, database, ["images"])


def findings(url: str, database: str) -> None:
    """`--table images --table findings`."""
    _run(url, database, ["images", "findings"])


def _run(url: str, database: str, tables: list[str]) -> None:
    settings = {"endpoint_url": url, "regions": ["eu-west-1"], "database": database, "tables": tables}
    code = run_and_report(resolve_settings(settings))
    if code:
        raise SystemExit(code)
