"""What people type: `ecr-source run`, `ecr-source tables`, `ecr-source demo`."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

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
def run_command(
    region: Annotated[
        list[str] | None, typer.Option(help="A region to read; repeatable. Default: the AWS session's.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="An AWS profile. Default: boto3's credential chain.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The endpoint of ECR and STS, instead of AWS's own.")] = None,
    registry_id: Annotated[str | None, typer.Option(help="Another account's registry, by its account id.")] = None,
    mode: Annotated[str | None, typer.Option(help="snapshot, incremental or history.", show_default="snapshot")] = None,
    destination: Annotated[str | None, typer.Option(help="Any dlt destination.", show_default="duckdb")] = None,
    database: Annotated[Path | None, typer.Option(help="The DuckDB file.", show_default="ecr.duckdb")] = None,
    dataset: Annotated[str | None, typer.Option(help="The schema of the tables.", show_default="aws_ecr")] = None,
    table: Annotated[list[str] | None, typer.Option(help="A table to load; repeatable. Default: all.")] = None,
    repository: Annotated[
        list[str] | None, typer.Option(help="Load only this repository; repeatable. Others stay as they are.")
    ] = None,
    initial_value: Annotated[
        str | None, typer.Option(help="Incremental: load what was created from here on (ISO 8601).")
    ] = None,
    end_value: Annotated[str | None, typer.Option(help="Incremental: load what was created before.")] = None,
) -> None:
    """Load registries into a database.

    Every option can also stand in .dlt/config.toml or the environment: sources.ecr.regions, SOURCES__ECR__REGIONS.

    Exit codes: 0 all scopes are complete; 1 something could not be read, the rest is loaded; 2 wrong usage or
    configuration, nothing was read; 3 nothing could be loaded; 130 stopped by Ctrl-C.
    """
    from ecr_source.errors import ConfigurationError
    from ecr_source.report.run import UNUSABLE, refuse, run_and_report
    from ecr_source.run import resolve_settings

    try:
        settings = resolve_settings(
            {
                "regions": region,
                "profile": profile,
                "endpoint_url": endpoint_url,
                "registry_id": registry_id,
                "mode": mode,
                "destination": destination,
                "database": str(database) if database else None,
                "dataset": dataset,
                "tables": table,
                "repositories": repository,
                "initial_value": initial_value,
                "end_value": end_value,
            }
        )
    except ConfigurationError as error:
        raise typer.Exit(refuse(error, UNUSABLE)) from error
    raise typer.Exit(run_and_report(settings))


@app.command("tables")
def tables_command(
    json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the tables with their keys, columns, types, descriptions and IAM actions."""
    import orjson
    from rich.console import Console

    from ecr_source.report.tables import catalog_as_json, print_catalog

    if json:
        typer.echo(orjson.dumps(catalog_as_json(), option=orjson.OPT_INDENT_2))
    else:
        print_catalog(Console())


@app.command("demo")
def demo_command(
    database: Annotated[Path, typer.Option(help="The DuckDB file.")] = Path("ecr.duckdb"),
) -> None:
    """Load an embedded registry and ask it three questions; needs the extra `demo`, and no AWS account."""
    from ecr_source.errors import ConfigurationError
    from ecr_source.report.run import UNUSABLE, refuse

    try:
        from ecr_source.demo import demo
    except ConfigurationError as error:
        raise typer.Exit(refuse(error, UNUSABLE)) from error
    raise typer.Exit(demo(database))
