"""The settings as dlt's configuration has them, and what they say of accounts and regions."""

from __future__ import annotations

from dataclasses import fields, replace
from difflib import get_close_matches
from functools import cache
from typing import Any

from boto3 import Session
from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.specs import BaseConfiguration, configspec
from dlt.common.typing import TSecretStrValue

from ecr_source.aws.access import Access, check_access
from ecr_source.errors import ConfigurationError
from ecr_source.loading.settings import Settings, declarations


def resolve_settings(given: dict[str, Any]) -> Settings:
    """The settings, with what is given (not None) before what dlt's configuration says: `sources.ecr.<name>`.

    Raises:
        ConfigurationError: there is no such setting, or a value has the wrong type.
    """
    for name in given:
        if name not in declarations():
            near = get_close_matches(name, declarations(), n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise ConfigurationError(f'unknown setting "{name}"{hint}')
    explicit = {name: value for name, value in given.items() if value is not None}
    try:
        resolved = resolve_configuration(_specification()(), sections=("sources", "ecr"), explicit_value=explicit)
    except ConfigurationException as error:
        raise ConfigurationError(f"a setting in sources.ecr cannot be read: {error}") from error
    return Settings.of(resolved)


@cache
def _specification() -> type[BaseConfiguration]:
    """`Settings` as dlt declares what it resolves; it shows no secret, and a trace keeps none."""
    settings = declarations().values()
    types = {one.name: TSecretStrValue | None if one.setting.is_secret else one.type for one in settings}
    defaults = {one.name: one.default for one in settings}
    return configspec(
        type("Settings", (BaseConfiguration,), {"__annotations__": types, "__module__": __name__} | defaults)
    )


def access_of(settings: Settings, session: Session | None = None) -> Access:
    """What the settings say of accounts and regions, to be reached with `session`, or as boto3's own chain says.

    Raises:
        ConfigurationError: it is wrong.
    """
    given = {field.name: getattr(settings, field.name) for field in fields(Access) if field.name in declarations()}
    tuples: dict[str, Any] = {name: tuple(value) for name, value in given.items() if isinstance(value, (list, tuple))}
    told = {name: value for name, value in (given | tuples).items() if value is not None}
    access = replace(Access(session=session), **told)
    check_access(access)
    return access
