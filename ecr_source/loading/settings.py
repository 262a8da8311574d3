"""What a run is told: by arguments, else by dlt's configuration."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any

from boto3 import Session
from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.specs import BaseConfiguration, configspec
from dlt.common.typing import TSecretStrValue

from ecr_source.aws.access import Access, check_access
from ecr_source.errors import ConfigurationError


@configspec
class RunSettings(BaseConfiguration):
    """What a run is told. Each field comes from an argument, else from dlt's configuration: `sources.ecr.<field>`."""

    regions: list[str] | None = None
    exclude_regions: list[str] | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    registry_id: str | None = None
    role_arns: list[str] | None = None
    accounts: list[str] | None = None
    exclude_accounts: list[str] | None = None
    organization: bool = False
    organizational_units: list[str] | None = None
    exclude_organizational_units: list[str] | None = None
    external_id: TSecretStrValue | None = None
    role_session_name: str = "ecr-source"
    repositories: list[str] | None = None
    tables: list[str] | None = None
    mode: str = "snapshot"
    initial_value: str | None = None
    end_value: str | None = None
    findings_from: str = "ecr"
    findings_latest: int | None = None
    findings_pushed_within: float | None = None
    findings_tag: str | None = None
    findings_max_age: float = 7
    moves_last_recorded_pull_time: bool = False
    mask_accounts: bool = False
    max_in_flight: int = 32
    max_calls: int | None = None
    max_seconds: float | None = None
    spool_folder: str | None = None
    destination: str = "duckdb"
    database: str = "ecr.duckdb"
    table_format: str | None = None
    dataset: str = "aws_ecr"  # DuckDB cannot tell a schema "ecr" from the database that ecr.duckdb is


def resolve_settings(given: dict[str, Any]) -> RunSettings:
    """The settings, with what is given (not None) before what dlt's configuration says.

    Raises:
        ConfigurationError: there is no such setting, or a value has the wrong type.
    """
    known = RunSettings.get_resolvable_fields()
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ConfigurationError(f'unknown setting "{name}"{hint}')
    explicit = {name: value for name, value in given.items() if value is not None}
    try:
        return resolve_configuration(RunSettings(), sections=("sources", "ecr"), explicit_value=explicit)
    except ConfigurationException as error:
        raise ConfigurationError(f"a setting in sources.ecr cannot be read: {error}") from error


def access_of(settings: RunSettings, session: Session | None = None) -> Access:
    """What the settings say of accounts and regions, to be reached with `session`, or as boto3's own chain says.

    Raises:
        ConfigurationError: it is wrong.
    """
    given: dict[str, Any] = {field.name: settings[field.name] for field in fields(Access) if field.name in settings}
    tuples: dict[str, Any] = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    access = replace(
        Access(session=session), **{name: value for name, value in (given | tuples).items() if value is not None}
    )
    check_access(access)
    return access
