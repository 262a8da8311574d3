"""The settings as dlt's configuration has them, and what they say of accounts and regions."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from boto3 import Session
from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.providers import ConfigProvider
from dlt.common.configuration.providers.toml import SettingsTomlProvider, TomlProviderReadException
from dlt.common.configuration.specs import BaseConfiguration, configspec
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.typing import TSecretStrValue

from ecr_source.aws.access import Access, check_access
from ecr_source.destinations.views.parameters import PARAMETERS as KNOWN_PARAMETERS
from ecr_source.errors import ConfigurationError
from ecr_source.loading.settings.declared import PARAMETERS, Declaration, Settings, declarations
from ecr_source.loading.settings.meaning import check_meaning
from ecr_source.nearest import nearest

_VARIABLE = "SOURCES__ECR__"


def resolve_settings(given: dict[str, Any]) -> Settings:
    """The settings, with what is given (not None) before what dlt's configuration says: `sources.ecr.<name>`.

    Raises:
        ConfigurationError: there is no such setting, a value has the wrong type, or one would be ignored.
    """
    for name in given:
        if name not in declarations():
            raise ConfigurationError(f'unknown setting "{name}"; {_hint(nearest(name, declarations()))}')
    check_configuration()
    explicit = {name: value for name, value in given.items() if value is not None}
    typed = {name: value for name, value in explicit.items() if name != PARAMETERS}
    try:
        resolved = resolve_configuration(_specification()(), sections=("sources", "ecr"), explicit_value=typed)
    except ConfigurationException as error:
        raise ConfigurationError(f"a setting in sources.ecr cannot be read: {error}") from error
    settings = Settings.of(resolved)
    if parameters := resolve_parameters(Settings.of(explicit).parameters or {}):
        settings.parameters = parameters
    check_meaning(settings, explicit.keys())
    return settings


def resolve_parameters(given: Mapping[str, object]) -> dict[str, float]:
    """The parameters of views that are overridden: what is given, else what is configured: `sources.ecr.parameters`.

    Raises:
        ConfigurationError: there is no such parameter, or a value is no number from 0 on.
    """
    for name in given:
        if name not in KNOWN_PARAMETERS:
            near = nearest(name, KNOWN_PARAMETERS)
            hint = f'did you mean "{near}"?' if near else f"it is one of {', '.join(KNOWN_PARAMETERS)}"
            raise ConfigurationError(f'unknown parameter "{name}"; {hint}')
    check_configuration()
    return {name: _number(name, value) for name, value in {**_configured_parameters(), **given}.items()}


def _configured_parameters() -> dict[str, object]:
    found: dict[str, object] = {}
    for provider in _providers():
        for name in KNOWN_PARAMETERS:
            value, _ = provider.get_value(name, str, "", "sources", "ecr", PARAMETERS)
            if value is not None:
                found.setdefault(name, value)
    return found


def _number(name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ConfigurationError(f'the parameter {name} is "{value}": give a number from 0 on')
    return number


def check_configuration() -> None:
    """Checks that dlt's configuration says nothing in `sources.ecr` that nobody would read.

    What has a section of its own there, such as `sources.ecr.schema`, is dlt's; that of parameters is ours.

    Raises:
        ConfigurationError: it does, with the name that was probably meant; or it cannot be read.
    """
    _check_variables()
    for provider in _providers():
        if isinstance(provider, SettingsTomlProvider):
            section, _ = provider.get_value("ecr", dict, "", "sources")
            said = dict(section) if isinstance(section, dict) else {}
            parameters = said.pop(PARAMETERS, {})
            if not isinstance(parameters, dict):
                raise ConfigurationError(
                    f"parameters in section sources.ecr of {provider.name} is no section:"
                    " write [sources.ecr.parameters], and below it storage_price = 0.08"
                )
            own = [name for name, value in said.items() if not isinstance(value, dict)]
            _check_names(own, declarations(), f"section sources.ecr of {provider.name}")
            _check_names(parameters, KNOWN_PARAMETERS, f"section sources.ecr.{PARAMETERS} of {provider.name}")


def _check_variables() -> None:
    names = [name.upper() for name, one in declarations().items() if not one.is_section]
    names += [f"{PARAMETERS}__{name}".upper() for name in KNOWN_PARAMETERS]
    for variable in os.environ:
        name = variable.upper().removeprefix(_VARIABLE)
        is_of_dlt = "__" in name and not name.startswith(f"{PARAMETERS}__".upper())
        if name != variable.upper() and not is_of_dlt and variable not in [f"{_VARIABLE}{one}" for one in names]:
            near = nearest(name, names)
            raise ConfigurationError(f"nobody reads the variable {variable}; {_hint(near and _VARIABLE + near)}")


def _check_names(said: Collection[str], known: Collection[str], place: str) -> None:
    for name in said:
        if name not in known:
            raise ConfigurationError(f'nobody reads "{name}" in {place}; {_hint(nearest(name, known))}')


def _providers() -> Sequence[ConfigProvider]:
    try:
        return Container()[PluggableRunContext].providers.providers
    except TomlProviderReadException as error:
        reasons = filter(None, map(_why_unreadable, error.full_paths))
        raise ConfigurationError(next(reasons, str(error))) from error


def _why_unreadable(path: str) -> str:
    """What is wrong with a file of settings, as Python's parser says it: that of dlt names other lines."""
    try:
        tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        return f'cannot read the settings in "{path}": {error}'
    return ""


def _hint(near: str | None) -> str:
    return f'did you mean "{near}"?' if near else 'leave it out; "ecr-source run --help" has the settings'


@cache
def _specification() -> type[BaseConfiguration]:
    """`Settings` as dlt declares what it resolves; it shows no secret, and a trace keeps none."""
    settings = [one for one in declarations().values() if not one.is_section]
    types = {one.name: _type(one) for one in settings}
    defaults = {one.name: one.default for one in settings}
    return configspec(
        type("Settings", (BaseConfiguration,), {"__annotations__": types, "__module__": __name__} | defaults)
    )


def _type(declaration: Declaration) -> Any:
    if declaration.setting.is_secret:
        return TSecretStrValue | None
    # dlt takes no text for a list but JSON.
    return str | None if declaration.is_list else declaration.type


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
