"""Every setting of a run, declared once: its type, its default, what it means, and which commands take it.

The options of the command line, what dlt reads from its configuration and docs/settings.md derive from `Settings`; the
arguments of `ecr_source`, which an editor is to know, are compared with it by a test.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

RUN = frozenset({"run", "plan"})
"""The commands that read what `run` reads: `plan` says what it would cost."""

READS = RUN | {"check"}
"""The commands that call AWS."""

ALL = READS | {"iam-policy"}


OF_THE_DESTINATION = {"destination", "database", "dataset"}
"""The settings that are no arguments of `ecr_source`: there the pipeline says them."""


@dataclass(frozen=True)
class Setting:
    """What a setting means, in a sentence or two, and how it is typed.

    `option` is its name on the command line, where that is not the field's own; `unset` says what holds where it has no
    default; numbers are at least `least`. `commands` take it; to the others it means nothing, and they say so.
    """

    meaning: str
    commands: frozenset[str] = RUN
    option: str = ""
    unset: str = ""
    least: int | None = None
    is_secret: bool = False
    metavar: str | None = None


@dataclass
class Settings:
    """What a run is told: by arguments or options, else by dlt's configuration (`sources.ecr.…`), else by default."""

    regions: Annotated[
        list[str] | None,
        Setting(
            "A region to read; repeatable. all: those that are enabled for the account. Default: the AWS session's.",
            ALL,
            "--region",
        ),
    ] = None
    exclude_regions: Annotated[
        list[str] | None, Setting("A region not to read; repeatable.", READS, "--exclude-region")
    ] = None
    role_arns: Annotated[
        list[str] | None,
        Setting(
            "A role to assume, in the account that is read; repeatable. {account} stands for each account.",
            ALL,
            "--role-arn",
        ),
    ] = None
    accounts: Annotated[
        list[str] | None, Setting("An account that {account} stands for; repeatable.", READS, "--account")
    ] = None
    exclude_accounts: Annotated[
        list[str] | None,
        Setting("An account of the organization not to read; repeatable.", READS, "--exclude-account"),
    ] = None
    organization: Annotated[bool, Setting("{account} stands for all active accounts of the organization.", ALL)] = False
    organizational_units: Annotated[
        list[str] | None,
        Setting("Only accounts in this unit and below it, by its id; repeatable.", READS, "--organizational-unit"),
    ] = None
    exclude_organizational_units: Annotated[
        list[str] | None,
        Setting("No accounts in this unit nor below it; repeatable.", READS, "--exclude-organizational-unit"),
    ] = None
    external_id: Annotated[
        str | None, Setting("Handed to AssumeRole; better in SOURCES__ECR__EXTERNAL_ID.", ALL, is_secret=True)
    ] = None
    role_session_name: Annotated[str, Setting("Shown by CloudTrail.", READS)] = "ecr-source"
    profile: Annotated[str | None, Setting("An AWS profile. Default: boto3's credential chain.", READS)] = None
    endpoint_url: Annotated[str | None, Setting("The endpoint of all services, instead of AWS's own.", READS)] = None
    registry_id: Annotated[str | None, Setting("Another account's registry, by its account id.", READS)] = None
    mode: Annotated[str, Setting("snapshot, incremental or history.")] = "snapshot"
    destination: Annotated[str, Setting("Any dlt destination.")] = "duckdb"
    table_format: Annotated[
        str | None,
        Setting("Of --destination filesystem: delta or iceberg.", unset="plain Parquet files"),
    ] = None
    database: Annotated[str, Setting("The DuckDB file.", metavar="<path>")] = "ecr.duckdb"
    # DuckDB cannot tell a schema "ecr" from the database that ecr.duckdb is.
    dataset: Annotated[str, Setting("The schema of the tables.")] = "aws_ecr"
    tables: Annotated[
        list[str] | None,
        Setting(
            "A group of tables, or a table, to load; repeatable: repositories, images, policies, registry (these four"
            " by default), findings, image_status, previews, manifests, public; all is all but manifests.",
            ALL,
            "--table",
        ),
    ] = None
    repositories: Annotated[
        list[str] | None,
        Setting("Load only this repository; repeatable. Others stay as they are.", option="--repository"),
    ] = None
    initial_value: Annotated[str | None, Setting("Incremental: load what was created from here on (ISO 8601).")] = None
    end_value: Annotated[str | None, Setting("Incremental: load what was created before.")] = None
    findings_from: Annotated[
        str, Setting("ecr: ask each image. inspector2: where scanning is ENHANCED, ask Inspector for all.", ALL)
    ] = "ecr"
    findings_latest: Annotated[
        int | None, Setting("Ask for the findings of the newest N images of each repository only.", least=0)
    ] = None
    findings_pushed_within: Annotated[
        float | None, Setting("Ask for the findings of images pushed within DAYS only.", least=0)
    ] = None
    findings_tag: Annotated[
        str | None, Setting("Ask for the findings of images with a tag that matches PATTERN only.")
    ] = None
    findings_max_age: Annotated[float, Setting("Ask an image again after DAYS.", least=0)] = 7
    moves_last_recorded_pull_time: Annotated[
        bool, Setting("Allow the group manifests, whose reading counts as a pull of every image.", READS)
    ] = False
    mask_accounts: Annotated[
        bool,
        Setting("Load stable pseudonyms in place of account ids; the variable ECR_SOURCE_MASK_KEY holds their key."),
    ] = False
    max_in_flight: Annotated[int, Setting("The most calls under way, in all scopes together.", READS, least=1)] = 32
    max_calls: Annotated[
        int | None,
        Setting("Make at most N calls; the next run begins with what they did not reach.", least=0),
    ] = None
    max_seconds: Annotated[
        float | None, Setting("Start no call later than after SECONDS of reading; the same holds.", least=0)
    ] = None
    spool_folder: Annotated[
        str | None,
        Setting("Where rows wait until their listing is complete.", unset="dlt's working folder", metavar="<path>"),
    ] = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """The settings among `arguments`; those that are not, or are None, have their defaults."""
        return cls(**{name: arguments[name] for name in declarations() if arguments.get(name) is not None})


@dataclass(frozen=True)
class Declaration:
    """One field of `Settings` as it is declared."""

    name: str
    type: Any
    default: object
    setting: Setting

    @property
    def option(self) -> str:
        """How it is typed."""
        return self.setting.option or f"--{self.name.replace('_', '-')}"

    @property
    def is_list(self) -> bool:
        """Whether it may be given several times."""
        return any(get_origin(one) is list for one in get_args(self.type))


@cache
def declarations() -> dict[str, Declaration]:
    """The settings by their names, in the order in which people see them."""
    hints = get_type_hints(Settings, include_extras=True)
    declared = {}
    for field in fields(Settings):
        kind, setting = get_args(hints[field.name])
        declared[field.name] = Declaration(field.name, kind, field.default, setting)
    return declared
