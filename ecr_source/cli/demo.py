"""The demo: an endpoint in place of AWS, two regions, the production code path, three answers.

It loads its registries as they were a week ago and as they are today, so that there is a history to ask about.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
from rich.console import Console

from ecr_source.cli.demo_registry.answers import Answers
from ecr_source.cli.demo_registry.contents import REGISTRIES
from ecr_source.cli.demo_registry.embedded_registry import WEEK
from ecr_source.cli.demo_registry.endpoint import serving
from ecr_source.cli.invocation import command
from ecr_source.cli.output.report_document import Request, write_report
from ecr_source.cli.output.run_report import run_and_report, run_or_refuse
from ecr_source.errors import ConfigurationError
from ecr_source.loading.settings.declared import Settings
from ecr_source.loading.settings.kept_settings import DEMO_ACCOUNT
from ecr_source.printing import print_grid, print_line
from ecr_source.report.file import check_drawable

TABLES = (
    "default",
    *("findings", "usage"),
    *("image_manifests", "image_manifest_children", "image_manifest_annotations", "image_layers"),
)
"""What the views ask that answer docs/questions.md, and no table more."""

QUESTIONS = {
    "Which critical findings could be fixed by an update, and where do they run?": """\
SELECT vulnerability_id, package_name, package_version, fixed_in_version, count(*) AS images,
    string_agg(DISTINCT repository_name, ', ' ORDER BY repository_name) FILTER (in_use) AS in_use
FROM ecr_image_vulnerabilities WHERE severity = 'CRITICAL' AND is_fixable GROUP BY ALL ORDER BY images DESC""",
    "Which repositories may anybody in the world pull from?": """\
SELECT region, repository_name, principal, actions
FROM ecr_repository_access WHERE reach = 'public' AND may_pull
ORDER BY ALL""",
    "Which repositories does no lifecycle policy tidy up?": """\
SELECT region, repository_name, tags, image_count
FROM ecr_repository_settings WHERE lifecycle_policy = 'no'
ORDER BY image_count DESC, region, repository_name LIMIT 5""",
}

OWN_ACCOUNT = (
    "check --region eu-west-1",
    "run --region eu-west-1",
    "query ecr_latest_images",
)


def demo(database: Path) -> int:
    """Loads the demo's registries into `database`, prints the answers, and returns the exit code."""
    console = Console()
    _forget_earlier_demo(database)
    if code := load_two_weeks({"destination": "duckdb", "database": str(database)}):
        return code
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("USE aws_ecr")
        for question, sql in QUESTIONS.items():
            for line in ("", question, "", *sql.splitlines(), ""):
                print_line(console, line)
            answer = connection.execute(sql)
            print_grid(console, [column[0] for column in answer.description or ()], answer.fetchall())
    print_line(console, "")
    code = _write_report(database)
    changes = shlex.join(["query", "--database", str(database), "ecr_changes"])
    next_lines = (f"{command()} {typed}" for typed in (changes, *OWN_ACCOUNT))
    for line in ("", "What changed in a week, and then your own account, into ecr.duckdb:", "", *next_lines):
        print_line(console, line)
    return code


def _write_report(database: Path) -> int:
    """Writes the report beside the database, and returns the exit code; where that takes an extra, says which."""
    try:
        check_drawable()
    except ConfigurationError as error:
        print_line(Console(), f"no report: {error}")
        return 0
    settings = Settings.of({"destination": "duckdb", "database": str(database), "dataset": "aws_ecr"})
    return write_report(settings, Request(output=str(database.with_suffix(".html"))))


def load_two_weeks(into: Mapping[str, str]) -> int:
    """Loads the registries of a week ago and of today in history mode, tells of the second, returns the exit code."""
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(AWS_ACCESS_KEY_ID="demo", AWS_SECRET_ACCESS_KEY="demo")  # noqa: S106 (of nobody)
    today = datetime.now(UTC).date()
    with _served(WEEK, "a week ago", today) as reading:
        earlier = run_or_refuse(Settings.of({**reading, **into}))
    if isinstance(earlier, int):
        return earlier
    with _served(0, "today", today) as reading:
        return run_and_report(Settings.of({**reading, **into}))


@contextmanager
def _served(days_ago: int, in_words: str, today: date) -> Iterator[dict[str, object]]:
    """The settings that read the registries as they were then."""
    answers = {one.region: Answers(DEMO_ACCOUNT, one.as_of(days_ago), today) for one in REGISTRIES}
    print_line(Console(stderr=True), f"the registries as of {in_words}:")
    with serving(DEMO_ACCOUNT, answers) as endpoint_url:
        yield {
            "endpoint_url": endpoint_url,
            "regions": [*answers],
            "tables": [*TABLES],
            "mode": "history",
            "dataset": "aws_ecr",
            "findings_max_age": 0,  # a week goes by in seconds: all are asked again
            "moves_last_recorded_pull_time": True,  # nobody pulls from here
        }


def _forget_earlier_demo(database: Path) -> None:
    """Drops the dataset of an earlier demo, of which this one would be the third week.

    What else `database` is, and who else has it open, the run tells.
    """
    if not database.exists():
        return
    with suppress(duckdb.Error), duckdb.connect(str(database)) as connection:
        accounts = connection.execute("SELECT DISTINCT registry_id FROM aws_ecr.extraction_scopes").fetchall()
        if accounts == [(DEMO_ACCOUNT,)]:
            connection.execute("DROP SCHEMA aws_ecr CASCADE")
