"""What people type: `ecr-source run`, `plan`, `check`, `iam-policy`, `tables`, `demo`."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from ecr_source.cli.options import with_settings
from ecr_source.loading.settings import Settings

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
        bool, typer.Option("--dry-run", help="Only say what the run would cost, as `plan` does.")
    ] = False,
) -> int:
    """Load registries into a database.

    Every option can also stand in .dlt/config.toml or the environment: sources.ecr.regions, SOURCES__ECR__REGIONS.

    Exit codes: 0 all scopes are complete; 1 something could not be read, the rest is loaded; 2 wrong usage or
    configuration, nothing was read; 3 nothing could be loaded; 4 the budget was spent, what it did not reach waits for
    the next run; 130 stopped by Ctrl-C.
    """
    from ecr_source.cli.plan_report import plan_and_report
    from ecr_source.cli.run_report import run_and_report

    return plan_and_report(settings) if dry_run else run_and_report(settings)


@app.command("plan")
@with_settings("plan")
def plan_command(settings: Settings) -> int:
    """Say how many calls each group of tables costs in each scope, and how long they take; nothing is loaded.

    All groups are shown, unless tables are chosen. Only repositories are listed. How many images there are is known
    once the group images was loaded.
    """
    from ecr_source.catalog import GROUPS
    from ecr_source.cli.plan_report import plan_and_report

    return plan_and_report(replace(settings, tables=settings.tables or list(GROUPS)))


@app.command("check")
@with_settings("check")
def check_command(settings: Settings) -> int:
    """Say who asks in every account, which regions answer, and which tables may be read; nothing is loaded.

    It reads one page of each operation, of the first repository and the first image of each scope. What is denied is
    shown with the statement that allows it.

    Exit codes: 0 all may be read; 1 something may not; 2 wrong usage or configuration; 3 nothing may be read.
    """
    from ecr_source.cli.check_report import check_and_report

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
    from ecr_source.cli.iam_policy_report import print_policies

    return print_policies(settings, trusted_principal or ())


@app.command("tables")
def tables_command(
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the tables with their keys, columns, types, descriptions and IAM actions."""
    import orjson
    from rich.console import Console

    from ecr_source.cli.printed_tables import catalog_as_json, print_catalog

    if json:
        typer.echo(orjson.dumps(catalog_as_json(), option=orjson.OPT_INDENT_2))
    else:
        print_catalog(Console())


@app.command("demo")
def demo_command(
    database: Annotated[Path, typer.Option(help="The DuckDB file.")] = Path("ecr.duckdb"),
) -> None:
    """Load an embedded registry and ask it three questions; needs the extra `demo`, and no AWS account."""
    from ecr_source.cli.exit_codes import UNUSABLE, refuse
    from ecr_source.errors import ConfigurationError

    try:
        from ecr_source.cli.demo import demo
    except ConfigurationError as error:
        raise typer.Exit(refuse(error, UNUSABLE)) from error
    raise typer.Exit(demo(database))
