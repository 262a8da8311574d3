"""The settings as options: each command offers those that mean something to it, and says so of the others."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer

from ecr_source.loading.settings.declared import QUERY, REPORT, Declaration, declarations
from ecr_source.loading.settings.quiet_configuration import settings_without_dlt

if TYPE_CHECKING:
    from ecr_source.loading.settings.declared import Settings


def with_settings(command: str) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Makes a command of a function of `settings`, the options of `command`, and of options of its own.

    The function returns the exit code.
    """

    def made(function: Callable[..., int]) -> Callable[..., None]:
        own = {name: one for name, one in inspect.signature(function).parameters.items() if name != "settings"}
        hints = get_type_hints(function, include_extras=True)

        @wraps(function)
        def typed(**options: Any) -> None:
            given = {name: value for name, value in options.items() if name not in own and value not in (None, ())}
            settings = _resolved(command, given)
            raise typer.Exit(function(settings, **{name: options[name] for name in own}))

        # What typer reads: the signature and the annotations. An option of its own stands for that of a setting.
        of_its_own = {f"--{name}" for name in own}
        declared = [one for one in declarations().values() if one.option not in of_its_own]
        parameters = [_parameter(declaration, command) for declaration in declared]
        parameters += [one.replace(kind=one.KEYWORD_ONLY, annotation=hints[name]) for name, one in own.items()]
        typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        typed.__annotations__ = {}
        return typed

    return made


def _resolved(command: str, given: dict[str, Any]) -> Settings:
    from ecr_source.cli.exit_codes import UNUSABLE, refuse
    from ecr_source.errors import ConfigurationError

    foreign = [declarations()[name].option for name in given if command not in declarations()[name].setting.commands]
    try:
        if foreign:
            raise ConfigurationError(f"{', '.join(foreign)} means nothing to {command}: leave it out")
        if command in (QUERY, REPORT) and (settings := settings_without_dlt(given)):
            return settings
        from ecr_source.cli.typed import check_typed

        check_typed(command, given)
        from ecr_source.loading.settings.configuration import resolve_settings

        return resolve_settings(given)
    except ConfigurationError as error:
        raise typer.Exit(refuse(error, UNUSABLE)) from error


def _parameter(declaration: Declaration, command: str) -> inspect.Parameter:
    setting = declaration.setting
    option = typer.Option(
        declaration.option,
        help=setting.meaning,
        show_default=_shown_default(declaration),
        hidden=command not in setting.commands,
        min=setting.least,
        metavar=setting.metavar or _metavar(declaration),
    )
    return inspect.Parameter(
        declaration.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,  # not given: the configuration may say it
        annotation=Annotated[_typed(declaration), option],
    )


def _typed(declaration: Declaration) -> Any:
    if declaration.is_section:
        return list[str] | None
    return declaration.type if type(None) in get_args(declaration.type) else declaration.type | None


def _metavar(declaration: Declaration) -> str | None:
    """What one of the values of a list is called; typer's own would be of all."""
    return f"<{declaration.option.removeprefix('--')}>" if declaration.is_list else None


def _shown_default(declaration: Declaration) -> str | bool:
    if declaration.default in (None, False):
        return declaration.setting.unset or False
    return str(declaration.default)
