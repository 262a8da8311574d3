"""What people type: `ecr-source run`, `plan`, `check`, `iam-policy`, `tables`, `demo`."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ecr_source.loading.settings import RunSettings

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


Region = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        help="A region to read; repeatable. all: those that are enabled for the account. Default: the AWS session's.",
    ),
]
ExcludeRegion = Annotated[list[str] | None, typer.Option("--exclude-region", help="A region not to read; repeatable.")]
Profile = Annotated[str | None, typer.Option(help="An AWS profile. Default: boto3's credential chain.")]
EndpointUrl = Annotated[str | None, typer.Option(help="The endpoint of all services, instead of AWS's own.")]
RegistryId = Annotated[str | None, typer.Option(help="Another account's registry, by its account id.")]
RoleArn = Annotated[
    list[str] | None,
    typer.Option(
        "--role-arn",
        help="A role to assume, in the account that is read; repeatable. {account} stands for each account.",
    ),
]
Account = Annotated[
    list[str] | None, typer.Option("--account", help="An account that {account} stands for; repeatable.")
]
ExcludeAccount = Annotated[
    list[str] | None, typer.Option("--exclude-account", help="An account of the organization not to read; repeatable.")
]
Organization = Annotated[
    bool | None, typer.Option("--organization", help="{account} stands for all active accounts of the organization.")
]
OrganizationalUnit = Annotated[
    list[str] | None,
    typer.Option("--organizational-unit", help="Only accounts in this unit and below it, by its id; repeatable."),
]
ExcludeOrganizationalUnit = Annotated[
    list[str] | None,
    typer.Option("--exclude-organizational-unit", help="No accounts in this unit nor below it; repeatable."),
]
ExternalId = Annotated[str | None, typer.Option(help="Handed to AssumeRole; better in SOURCES__ECR__EXTERNAL_ID.")]
RoleSessionName = Annotated[str | None, typer.Option(help="Shown by CloudTrail.", show_default="ecr-source")]
Destination = Annotated[str | None, typer.Option(help="Any dlt destination.", show_default="duckdb")]
Database = Annotated[Path | None, typer.Option(help="The DuckDB file.", show_default="ecr.duckdb")]
Dataset = Annotated[str | None, typer.Option(help="The schema of the tables.", show_default="aws_ecr")]
TableOption = Annotated[
    list[str] | None,
    typer.Option(
        "--table",
        help="A group of tables, or a table, to load; repeatable: repositories, images, policies, registry (these four"
        " by default), findings, image_status, previews, manifests, public; all is all but manifests.",
    ),
]
Repository = Annotated[
    list[str] | None,
    typer.Option("--repository", help="Load only this repository; repeatable. Others stay as they are."),
]
FindingsFrom = Annotated[
    str | None,
    typer.Option(
        help="ecr: ask each image. inspector2: where scanning is ENHANCED, ask Inspector for all.", show_default="ecr"
    ),
]
MovesLastRecordedPullTime = Annotated[
    bool | None,
    typer.Option(
        "--moves-last-recorded-pull-time",
        help="Allow the group manifests, whose reading counts as a pull of every image.",
    ),
]
MaskAccounts = Annotated[
    bool | None,
    typer.Option(
        "--mask-accounts",
        help="Load stable pseudonyms in place of account ids; the variable ECR_SOURCE_MASK_KEY holds their key.",
    ),
]
MaxInFlight = Annotated[
    int | None, typer.Option(help="The most calls under way, in all scopes together.", show_default="32", min=1)
]


# Commands take their options as parameters, so that typer knows them, and read them all at once from the context.


@app.command("run")
def run_command(
    context: typer.Context,
    regions: Region = None,
    exclude_regions: ExcludeRegion = None,
    role_arns: RoleArn = None,
    accounts: Account = None,
    exclude_accounts: ExcludeAccount = None,
    organization: Organization = None,
    organizational_units: OrganizationalUnit = None,
    exclude_organizational_units: ExcludeOrganizationalUnit = None,
    external_id: ExternalId = None,
    role_session_name: RoleSessionName = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    registry_id: RegistryId = None,
    mode: Annotated[str | None, typer.Option(help="snapshot, incremental or history.", show_default="snapshot")] = None,
    destination: Destination = None,
    table_format: Annotated[
        str | None,
        typer.Option(help="Of --destination filesystem: delta or iceberg.", show_default="plain Parquet files"),
    ] = None,
    database: Database = None,
    dataset: Dataset = None,
    tables: TableOption = None,
    repositories: Repository = None,
    initial_value: Annotated[
        str | None, typer.Option(help="Incremental: load what was created from here on (ISO 8601).")
    ] = None,
    end_value: Annotated[str | None, typer.Option(help="Incremental: load what was created before.")] = None,
    findings_from: FindingsFrom = None,
    findings_latest: Annotated[
        int | None, typer.Option(help="Ask for the findings of the newest N images of each repository only.", min=0)
    ] = None,
    findings_pushed_within: Annotated[
        float | None, typer.Option(help="Ask for the findings of images pushed within DAYS only.", min=0)
    ] = None,
    findings_tag: Annotated[
        str | None, typer.Option(help="Ask for the findings of images with a tag that matches PATTERN only.")
    ] = None,
    findings_max_age: Annotated[
        float | None, typer.Option(help="Ask an image again after DAYS.", show_default="7", min=0)
    ] = None,
    moves_last_recorded_pull_time: MovesLastRecordedPullTime = None,
    mask_accounts: MaskAccounts = None,
    max_in_flight: MaxInFlight = None,
    max_calls: Annotated[
        int | None, typer.Option(help="Make at most N calls; the next run begins with what they did not reach.", min=0)
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(help="Start no call later than after SECONDS of reading; the same holds.", min=0)
    ] = None,
    spool_folder: Annotated[
        Path | None,
        typer.Option(help="Where rows wait until their listing is complete.", show_default="dlt's working folder"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what the run would cost, as `plan` does.")
    ] = False,
) -> None:
    """Load registries into a database.

    Every option can also stand in .dlt/config.toml or the environment: sources.ecr.regions, SOURCES__ECR__REGIONS.

    Exit codes: 0 all scopes are complete; 1 something could not be read, the rest is loaded; 2 wrong usage or
    configuration, nothing was read; 3 nothing could be loaded; 4 the budget was spent, what it did not reach waits for
    the next run; 130 stopped by Ctrl-C.
    """
    from ecr_source.cli.plan_report import plan_and_report
    from ecr_source.cli.run_report import run_and_report

    settings = _settings(context)
    raise typer.Exit(plan_and_report(settings) if dry_run else run_and_report(settings))


@app.command("plan")
def plan_command(
    context: typer.Context,
    regions: Region = None,
    exclude_regions: ExcludeRegion = None,
    role_arns: RoleArn = None,
    accounts: Account = None,
    exclude_accounts: ExcludeAccount = None,
    organization: Organization = None,
    organizational_units: OrganizationalUnit = None,
    exclude_organizational_units: ExcludeOrganizationalUnit = None,
    external_id: ExternalId = None,
    role_session_name: RoleSessionName = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    registry_id: RegistryId = None,
    destination: Destination = None,
    database: Database = None,
    dataset: Dataset = None,
    tables: TableOption = None,
    repositories: Repository = None,
    mask_accounts: MaskAccounts = None,
    max_in_flight: MaxInFlight = None,
) -> None:
    """Say how many calls each group of tables costs in each scope, and how long they take; nothing is loaded.

    Only repositories are listed. How many images there are is known once the group images was loaded.
    """
    from ecr_source.catalog import GROUPS
    from ecr_source.cli.plan_report import plan_and_report

    settings = _settings(context, tables=list(GROUPS))
    raise typer.Exit(plan_and_report(settings))


@app.command("check")
def check_command(
    context: typer.Context,
    regions: Region = None,
    exclude_regions: ExcludeRegion = None,
    role_arns: RoleArn = None,
    accounts: Account = None,
    exclude_accounts: ExcludeAccount = None,
    organization: Organization = None,
    organizational_units: OrganizationalUnit = None,
    exclude_organizational_units: ExcludeOrganizationalUnit = None,
    external_id: ExternalId = None,
    role_session_name: RoleSessionName = None,
    profile: Profile = None,
    endpoint_url: EndpointUrl = None,
    registry_id: RegistryId = None,
    tables: TableOption = None,
    findings_from: FindingsFrom = None,
    moves_last_recorded_pull_time: MovesLastRecordedPullTime = None,
) -> None:
    """Say who asks in every account, which regions answer, and which tables may be read; nothing is loaded.

    It reads one page of each operation, of the first repository and the first image of each scope. What is denied is
    shown with the statement that allows it.

    Exit codes: 0 all may be read; 1 something may not; 2 wrong usage or configuration; 3 nothing may be read.
    """
    from ecr_source.cli.check_report import check_and_report

    settings = _settings(context)
    raise typer.Exit(check_and_report(settings))


@app.command("iam-policy")
def iam_policy_command(
    context: typer.Context,
    regions: Region = None,
    role_arns: RoleArn = None,
    organization: Organization = None,
    external_id: ExternalId = None,
    trusted_principal: Annotated[
        list[str] | None,
        typer.Option(help="Who may assume the role: an account id or an ARN; repeatable. Adds trust_policy."),
    ] = None,
    tables: TableOption = None,
    findings_from: FindingsFrom = None,
) -> None:
    """Print the least IAM policies that a run with these options needs, as JSON; nothing is called.

    role_policy is for what reads: the role in each account, or the user. trust_policy says who may assume the role.
    caller_policy is for the credentials that start the run; where they read their own account, they need role_policy
    too.

    ecr-source iam-policy | jq .role_policy > policy.json
    """
    from ecr_source.cli.permissions_report import print_policies

    settings = _settings(context)
    raise typer.Exit(print_policies(settings, trusted_principal or ()))


def _settings(context: typer.Context, **defaults: object) -> RunSettings:
    """The settings of a command, whose parameters are named like them; `defaults` stand for those not given."""
    from ecr_source.cli.run_report import UNUSABLE, refuse
    from ecr_source.errors import ConfigurationError
    from ecr_source.loading.settings import RunSettings, resolve_settings

    parameters = {name: value for name, value in context.params.items() if value not in (None, ())}
    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in (defaults | parameters).items()
        if name in RunSettings.get_resolvable_fields()
    }
    try:
        return resolve_settings(given)
    except ConfigurationError as error:
        raise typer.Exit(refuse(error, UNUSABLE)) from error


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
    from ecr_source.cli.run_report import UNUSABLE, refuse
    from ecr_source.errors import ConfigurationError

    try:
        from ecr_source.cli.demo import demo
    except ConfigurationError as error:
        raise typer.Exit(refuse(error, UNUSABLE)) from error
    raise typer.Exit(demo(database))
