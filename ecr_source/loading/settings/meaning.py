"""Which settings mean nothing beside the others, and would be ignored."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ecr_source import catalog
from ecr_source.catalog.table import Table
from ecr_source.errors import ConfigurationError
from ecr_source.loading.settings.declared import Settings, declarations


@dataclass(frozen=True)
class _Need:
    """What a setting means nothing without, with what to do, and which other setting says whether it is there.

    Where none is named, what is configured is never refused.
    """

    words: str
    said_by: str | None
    holds: Callable[[Settings], bool]


def _with_tables(are_meant: Callable[[Table], bool]) -> Callable[[Settings], bool]:
    return lambda settings: any(map(are_meant, catalog.select_tables(settings.tables or ())))


def _is_asked_again(table: Table) -> bool:
    return any(operation.again and operation.again.expires for operation in table.operations)


def _is_of(group: str) -> Callable[[Table], bool]:
    return lambda table: catalog.group_of(table) == group


_FINDINGS = _Need("findings: add --table findings, or leave it out", "tables", _with_tables(_is_of("findings")))
_NEEDS = {
    "findings_from": _FINDINGS,
    "findings_latest": _FINDINGS,
    "findings_pushed_within": _FINDINGS,
    "findings_tag": _FINDINGS,
    "findings_max_age": _Need(
        "a table that is asked again: add --table findings, or leave it out", "tables", _with_tables(_is_asked_again)
    ),
    "moves_last_recorded_pull_time": _Need(
        "manifests: add --table manifests, or leave it out", "tables", _with_tables(_is_of(catalog.MANIFESTS))
    ),
    "role_session_name": _Need(
        "a role: give --role-arn, or leave it out", "role_arns", lambda settings: bool(settings.role_arns)
    ),
    # A program, whose pipeline says where it loads into, is not kept from a configuration that commands share.
    "database": _Need("--destination duckdb: leave it out", None, lambda settings: settings.destination == "duckdb"),
    "parameters": _Need(
        "a database that has views: put it below [sources.ecr.parameters], where query finds it",
        None,
        lambda settings: settings.destination != "filesystem",
    ),
}


def check_meaning(settings: Settings, given: Collection[str]) -> None:
    """Checks that none of the settings would be ignored; `given` are those that are not from the configuration.

    A configuration is for many runs. What it says is not refused where only a run of its own makes it meaningless: the
    bounds on findings in config.toml, where one run is of other tables.

    Raises:
        ConfigurationError: one means nothing beside the others, or names something unknown.
    """
    catalog.not_called(settings.findings_from)
    for name, need in _NEEDS.items():
        declaration = declarations()[name]
        is_meant = name in given or (need.said_by is not None and need.said_by not in given)
        if is_meant and getattr(settings, name) != declaration.default and not need.holds(settings):
            raise ConfigurationError(f"{declaration.option} means nothing without {need.words}")
