"""What people type: `ecr-source run`, `plan`, `check`, `iam-policy`, `tables`, `query`, `report`, `demo` and so on."""

from __future__ import annotations

import gc
import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ecr_source.cli.options import with_settings
from ecr_source.loading.settings.declared import QUERY, REPORT, SIMULATE, Settings, declarations

# dlt, boto3 and pyarrow take a second to import; the commands import what they need, so that --help need not wait.
app = typer.Typer(
    name="ecr-source",
    help="Amazon ECR as tables, in DuckDB or a warehouse.",
    no_args_is_help=True,
    rich_markup_mode=None,  # half the time of --help
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """The entry point of the `ecr-source` command."""
    # Arrow's own pools keep a heap for each thread: up to twice the memory, at the same speed. Arrow reads this when it
    # is imported; what sets the pool later leaves out its groupings and its Parquet writer.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # A start makes some 200,000 objects that stay: to look 480 times for some that do not is a tenth of it.
    gc.set_threshold(50_000)
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ecr-source {version('ecr-source')}")
        raise typer.Exit


@app.callback()
def _root(
    version_: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command("run")
@with_settings("run")
def run_command(
    settings: Settings,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the run would cost: the same as `plan`.")
    ] = False,
) -> int:
    """Load registries into a database.

    Every option can also stand in .dlt/config.toml or the environment: sources.ecr.regions, SOURCES__ECR__REGIONS.
    What is repeatable takes commas too: --table default,findings loads all findings besides what is loaded by default.

    Exit codes: 0 all that was asked for was read; 1 something could not be read, the rest is loaded; 2 wrong usage or
    configuration, nothing was read; 3 nothing could be loaded; 4 the budget was spent, what it did not reach waits for
    the next run; 130 stopped by Ctrl-C.
    """
    from ecr_source.cli.exit_codes import HAVE_LOADED
    from ecr_source.cli.output.plan_report import plan_and_report
    from ecr_source.cli.output.run_report import print_next, run_and_report

    if dry_run:
        return plan_and_report(settings)
    code = run_and_report(settings)
    if code in HAVE_LOADED:
        print_next(settings)
    return code


@app.command("plan")
@with_settings("plan")
def plan_command(settings: Settings) -> int:
    """Say how many calls `run` with the same options would make now, and how long they take; nothing is loaded.

    Only repositories are listed. What else there is, and which answers stand, is known from what earlier runs loaded:
    before the first one, the calls are the least that there can be. `run --dry-run` is the same.
    """
    from ecr_source.cli.output.plan_report import plan_and_report

    return plan_and_report(settings)


@app.command("check")
@with_settings("check")
def check_command(settings: Settings) -> int:
    """Say who asks in every account, which regions answer, and which tables may be read; nothing is loaded.

    It reads one page of each operation, of the first repository and the first image of each scope; with --repository,
    of the first one that is named or matches. What is denied is shown with the statement that allows it.

    Exit codes: 0 all may be read; 1 something may not, or no scope has a repository that was named; 2 wrong usage or
    configuration; 3 nothing may be read.
    """
    from ecr_source.cli.output.check_report import check_and_report

    return check_and_report(settings)


@app.command("iam-policy")
@with_settings("iam-policy")
def iam_policy_command(
    settings: Settings,
    trusted_principal: Annotated[
        list[str] | None,
        typer.Option(help="Who may assume the role: an account id or an ARN; repeatable. Adds trust_policy."),
    ] = None,
) -> int:
    """Print the least IAM policies that a run with these options needs, as JSON; nothing is called.

    role_policy is for what reads: the role in each account, or the user. trust_policy says who may assume the role.
    caller_policy is for the credentials that start the run; where they read their own account, they need role_policy
    too.

    ecr-source iam-policy | jq .role_policy > policy.json
    """
    from ecr_source.cli.output.iam_policy_report import print_policies

    return print_policies(settings, trusted_principal or ())


@app.command("tables")
def tables_command(
    names: Annotated[list[str] | None, typer.Argument(help="Groups or tables, as --table of run takes them.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the groups and their tables or, of those that are named, the key, columns, types and IAM actions.

    ecr-source tables findings
    """
    from ecr_source.cli.exit_codes import UNUSABLE, refuse
    from ecr_source.cli.output.printed_catalog import print_names, print_tables, print_tables_as_json, tables_called
    from ecr_source.errors import ConfigurationError

    try:
        tables = tables_called(declarations()["tables"].listed(names or ()))
    except ConfigurationError as error:
        raise typer.Exit(refuse(error, UNUSABLE)) from error
    if json:
        print_tables_as_json(tables)
    elif names:
        print_tables(tables)
    else:
        print_names()


@app.command(QUERY)
@with_settings(QUERY)
def query_command(
    settings: Settings,
    question: Annotated[
        str | None, typer.Argument(help="The name of a view or a table, or a statement, or - for standard input.")
    ] = None,
    lists: Annotated[bool, typer.Option("--list", help="List the views and tables that are there.")] = False,
    described: Annotated[
        str | None,
        typer.Option("--describe", metavar="<name>", help="Say what people ask of a view or a table, and its columns."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="table, csv, json or markdown.", show_default="table")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write into this file, as its suffix says: .parquet, .csv or .json.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=0, help="At most N rows.", show_default="all; 1000 of a table on a terminal"),
    ] = None,
) -> int:
    """Ask what was loaded: a view or a table by its name, or any question in SQL; nothing can be changed.

    ecr-source query ecr_latest_images

    ecr-source query "SELECT repository_name, created_at FROM repositories ORDER BY created_at DESC" --limit 10

    Exit codes: 0 answered; 2 wrong usage, there is no such file or table, or the database refuses the statement; 3 the
    database cannot be reached, or a run holds it.
    """
    from ecr_source.cli.output.query_report import Answer, Question, query_and_report

    return query_and_report(settings, Question(question, lists, described), Answer(form, output, limit))


@app.command(REPORT)
@with_settings(REPORT)
def report_command(
    settings: Settings,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="<path>",
            help="The file to write, or the URL of one in a bucket: s3://….",
            show_default="report.html; standard output for the other formats",
        ),
    ] = None,
    form: Annotated[str, typer.Option("--format", help="html, markdown or json.")] = "html",
    title: Annotated[str | None, typer.Option(help="Its title.", show_default="the accounts and regions")] = None,
    account: Annotated[list[str] | None, typer.Option(help="Only of this account; repeatable.")] = None,
    region: Annotated[list[str] | None, typer.Option(help="Only of this region; repeatable.")] = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(help="Only of the repositories whose names begin with this and a slash; repeatable."),
    ] = None,
    opens: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> int:
    """Write a report of all that was loaded, as one file to read offline: nothing is called, and nothing is changed.

    What can be trusted, what is vulnerable, exposed, against the rules, costly, and what changed; each answer with the
    query that gives it. HTML needs the extra `report`.

    ecr-source report --namespace team-a --title "Team A" --output team-a.html

    Exit codes: 0 written; 2 wrong usage, nothing was loaded, or the file cannot be written; 3 the database cannot be
    reached, or a run holds it.
    """
    from ecr_source.cli.output.report_document import Request, write_report
    from ecr_source.report.narrowing import Narrowing

    only = Narrowing(*map(declarations()["regions"].listed, (account or (), region or (), namespace or ())))
    return write_report(settings, Request(output, form, title, only, opens))


@app.command(SIMULATE)
@with_settings(SIMULATE)
def simulate_lifecycle_command(
    settings: Settings,
    policy: Annotated[Path, typer.Argument(help="A file with a lifecycle policy, as ECR takes it: JSON.")],
    images: Annotated[
        bool, typer.Option("--images", help="List the images that it would act on now, not the repositories.")
    ] = False,
    form: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
) -> int:
    """Say what a lifecycle policy would do to all that was loaded: nothing is called, and nothing is changed.

    For each repository: the images and bytes that would expire or move to the archive now, and in the next 30 days, and
    what that saves a month. The view ecr_lifecycle_effects says the same of the policies that are there.

    ecr-source simulate-lifecycle policy.json --repository 'team/*'

    Exit codes: 0 answered; 2 wrong usage, ECR would refuse the policy, or the images were not loaded; 3 the database
    cannot be reached, or a run holds it.
    """
    from ecr_source.cli.output.lifecycle_report import simulate_and_report

    return simulate_and_report(settings, policy, images=images, form=form)


@app.command("demo")
def demo_command(
    database: Annotated[Path, typer.Option(help="The DuckDB file, of the demo alone.")] = Path("demo.duckdb"),
) -> None:
    """Load an embedded registry and ask it three questions; needs no AWS account."""
    from ecr_source.cli.demo import demo

    raise typer.Exit(demo(database))
