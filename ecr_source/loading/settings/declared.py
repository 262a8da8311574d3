"""Every setting of a run, declared once: its type, its default, what it means, and which commands take it.

The options of the command line, what dlt reads from its configuration and docs/settings.md derive from `Settings`; the
arguments of `ecr_source`, which an editor is to know, are compared with it by a test.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RUN = frozenset({"run", "plan"})
"""The commands that read what `run` reads: `plan` says what it would cost."""

READS = RUN | {"check"}
"""The commands that call AWS."""

ALL = READS | {"iam-policy"}

QUERY = "query"
"""The command that asks what was loaded, wherever that is."""

SIMULATE = "simulate-lifecycle"
"""The command that judges what was loaded by a lifecycle policy that is not there yet."""

REPORT = "report"
"""The command that writes a report of what was loaded."""

_LOADED = RUN | {QUERY, SIMULATE, REPORT}

OF_THE_DESTINATION = {"destination", "database", "dataset"}
"""The settings that are no arguments of `ecr_source`: there the pipeline says them."""

PARAMETERS = "parameters"
"""The setting that is a section in the configuration, with a number for each name; an argument of `load`."""

NO_ARGUMENTS = OF_THE_DESTINATION | {PARAMETERS}
"""The settings that `ecr_source` does not take."""


@dataclass(frozen=True)
class Setting:
    """What a setting means, in a sentence or two, and how it is typed.

    `option` is its name on the command line, where that is not the field's own; `unset` says what holds where it has no
    default; numbers are at least `least`. `commands` take it; to the others it means nothing, and they say so. A comma
    stands between two values of a list, unless it `has_commas` in its values.
    """

    meaning: str
    commands: frozenset[str] = RUN
    option: str = ""
    unset: str = ""
    least: int | None = None
    is_secret: bool = False
    metavar: str | None = None
    has_commas: bool = False


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
            has_commas=True,
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
    inspector_account: Annotated[
        str | None,
        Setting("Ask Amazon Inspector in this account, its delegated administrator, about all accounts.", READS),
    ] = None
    external_id: Annotated[
        str | None, Setting("Handed to AssumeRole; better in SOURCES__ECR__EXTERNAL_ID.", ALL, is_secret=True)
    ] = None
    role_session_name: Annotated[str, Setting("Shown by CloudTrail.", READS)] = "ecr-source"
    profile: Annotated[str | None, Setting("An AWS profile. Default: boto3's credential chain.", READS)] = None
    endpoint_url: Annotated[str | None, Setting("The endpoint of all services, instead of AWS's own.", READS)] = None
    registry_id: Annotated[str | None, Setting("Another account's registry, by its account id.", READS)] = None
    mode: Annotated[
        str | None, Setting("snapshot, incremental or history.", unset="the dataset's own; snapshot for a new one")
    ] = None
    destination: Annotated[str, Setting("Any dlt destination.", _LOADED)] = "duckdb"
    table_format: Annotated[
        str | None,
        Setting("Of --destination filesystem: delta or iceberg.", unset="plain Parquet files"),
    ] = None
    database: Annotated[str, Setting("The DuckDB file.", _LOADED, metavar="<path>")] = "ecr.duckdb"
    # DuckDB cannot tell a schema "ecr" from the database that ecr.duckdb is.
    dataset: Annotated[str, Setting("The schema of the tables.", _LOADED)] = "aws_ecr"
    tables: Annotated[
        list[str] | None,
        Setting(
            "A group of tables, or a table, to load, in place of the default ones; repeatable: repositories, images,"
            " policies, registry, findings, image_status, usage, previews, manifests, public; default is the first"
            " five, all is all but manifests.",
            ALL,
            "--table",
        ),
    ] = None
    repositories: Annotated[
        list[str] | None,
        Setting(
            "Only this repository, or those that match a pattern such as 'team/*'; repeatable. Others stay as they"
            " are.",
            READS | {SIMULATE},
            "--repository",
        ),
    ] = None
    initial_value: Annotated[str | None, Setting("Incremental: load what was created from here on (ISO 8601).")] = None
    end_value: Annotated[str | None, Setting("Incremental: load what was created before.")] = None
    findings_from: Annotated[
        str, Setting("ecr: ask each image. inspector2: where scanning is ENHANCED, ask Inspector for all.", ALL)
    ] = "ecr"
    findings_latest: Annotated[
        int | None,
        Setting(
            "Ask for the findings of the newest N images of each repository only. Default: 1, unless --table names"
            " findings.",
            least=0,
        ),
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
    parameters: Annotated[
        dict[str, float] | None,
        Setting(
            "A price, quota or threshold of the views, such as storage_price=0.08; repeatable.",
            RUN | {SIMULATE},
            "--parameter",
            unset="as ecr_parameters has it",
            metavar="<name=number>",
        ),
    ] = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Settings:
        """The settings among `arguments`; those that are not, or are None, have their defaults.

        Raises:
            ConfigurationError: the text of a list is none.
        """
        told: dict[str, Any] = {
            name: one.told(arguments[name]) for name, one in declarations().items() if arguments.get(name) is not None
        }
        return cls(**told)


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
        return self._is(list)

    @property
    def is_section(self) -> bool:
        """Whether it is a section of the configuration, and given as texts with "=" between name and value."""
        return self._is(dict)

    def _is(self, kind: type) -> bool:
        return any(get_origin(one) is kind for one in get_args(self.type))

    def told(self, value: Any) -> Any:
        """What a value means, as an argument, an option or the configuration has it.

        Raises:
            ConfigurationError: it is the text of a list, and not whole.
        """
        if self.is_section and not isinstance(value, dict):
            pairs = (text.partition("=") for text in self.listed(value))
            return {name.strip(): number.strip() for name, _, number in pairs}
        return self.listed(value) if self.is_list else value

    def listed(self, value: str | Iterable[object]) -> list[str]:
        """The values of a list that is one, or the text of a JSON list, or a text with commas.

        Raises:
            ConfigurationError: the text is not a whole JSON list.
        """
        if isinstance(value, str) and value.startswith("["):
            from ecr_source.errors import ConfigurationError  # it brings botocore, which --help does not wait for

            try:
                value = json.loads(value)
            except ValueError as error:
                raise ConfigurationError(
                    f'the list {self.name} cannot be read, write it as ["one", "two"] or one,two: {value}'
                ) from error
        texts = [value] if isinstance(value, str) else [str(one) for one in value]
        parts = texts if self.setting.has_commas else [part for text in texts for part in re.split(" *, *", text)]
        return [part for part in parts if part]


@cache
def declarations() -> dict[str, Declaration]:
    """The settings by their names, in the order in which people see them."""
    hints = get_type_hints(Settings, include_extras=True)
    declared = {}
    for field in fields(Settings):
        kind, setting = get_args(hints[field.name])
        declared[field.name] = Declaration(field.name, kind, field.default, setting)
    return declared
