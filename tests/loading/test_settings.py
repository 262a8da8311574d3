"""Every setting is declared once: arguments, options, configuration and documents say the same."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ecr_source import ecr_source
from ecr_source.cli.commands import app
from ecr_source.loading.settings import ALL, OF_THE_DESTINATION, RUN, declarations
from tests.pages.settings import PAGE, page

ROOT = Path(__file__).parents[2]
OF_PROGRAMS = {"session", "scopes"}
"""The arguments of `ecr_source` that only a program can give."""


def test_the_arguments_of_the_source_are_the_settings_with_their_defaults() -> None:
    arguments = {
        name: argument.default
        for name, argument in inspect.signature(ecr_source).parameters.items()
        if name not in OF_PROGRAMS
    }
    declared = {name: one.default for name, one in declarations().items() if name not in OF_THE_DESTINATION}
    assert arguments == declared


def test_help_explains_every_argument_of_the_source() -> None:
    arguments = (inspect.getdoc(ecr_source) or "").partition("Args:")[2].partition("Raises:")[0]
    explained = re.findall(r"^ {4}(\w+): ", arguments, re.MULTILINE)
    assert sorted(explained) == sorted({*declarations(), *OF_PROGRAMS} - OF_THE_DESTINATION)


def test_the_example_configuration_names_settings() -> None:
    commented = (ROOT / ".dlt" / "config.toml").read_text().partition("[sources.ecr]")[2]
    example = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", commented, flags=re.MULTILINE))
    assert example
    assert example.keys() <= declarations().keys()


def test_the_page_of_the_settings_is_what_they_say_of_themselves() -> None:
    assert PAGE.read_text() == page(), "docs/settings.md is out of date: run python -m tests.pages.settings"


@pytest.mark.parametrize("command", sorted(ALL))
def test_a_command_shows_exactly_the_options_that_it_takes(
    command: str, ecr: Callable[..., CompletedProcess[str]]
) -> None:
    shown = set(re.findall(r"^  (--[a-z-]+)", ecr(command, "--help").stdout, re.MULTILINE))
    taken = {one.option for one in declarations().values() if command in one.setting.commands}
    others = {one.option for one in declarations().values()} - taken
    assert taken <= shown
    assert not others & shown


@pytest.mark.parametrize("command", sorted(ALL - RUN))
def test_a_command_refuses_an_option_that_means_nothing_to_it(
    command: str, ecr: Callable[..., CompletedProcess[str]]
) -> None:
    refused = ecr(command, "--max-calls", "3", "--dataset", "other")
    assert refused.returncode == 2
    assert refused.stderr == f"ecr-source: --dataset, --max-calls means nothing to {command}: leave it out\n"


def test_a_plan_takes_what_a_run_takes_and_refuses_what_a_run_refuses(
    ecr: Callable[..., CompletedProcess[str]],
) -> None:
    said = [ecr(command, "--mode", "yesterday") for command in ("run", "plan")]
    assert [one.returncode for one in said] == [2, 2]
    assert said[0].stderr == said[1].stderr


def test_a_plan_is_of_the_tables_that_the_configuration_chooses(ecr: Callable[..., CompletedProcess[str]]) -> None:
    planned = ecr("plan", env={"SOURCES__ECR__TABLES": '["images"]'})
    assert planned.returncode == 0, planned.stderr
    assert "images" in planned.stdout
    assert "policies" not in planned.stdout


def test_commands_without_settings_stay_as_they_are() -> None:
    assert {command.name for command in app.registered_commands} == ALL | {"tables", "demo"}


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, one in declarations().items() if not one.setting.meaning.endswith(".")] == []
