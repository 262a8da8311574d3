"""Every setting is declared once: arguments, options, configuration and documents say the same."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import dlt
import pytest
from typer.testing import CliRunner

from ecr_source import ecr_source
from ecr_source.catalog import DEFAULT_GROUPS, select_tables
from ecr_source.cli.commands import app
from ecr_source.errors import ConfigurationError
from ecr_source.loading.settings.declared import ALL, NO_ARGUMENTS, QUERY, REPORT, RUN, SIMULATE, Settings, declarations
from tests.conftest import ECR_SOURCE, Row, environment
from tests.pages.settings import PAGE, page
from tests.server.ecr_server import EcrServer

Ecr = Callable[..., CompletedProcess[str]]

ROOT = Path(__file__).parents[2]
OF_PROGRAMS = {"session", "scopes"}
"""The arguments of `ecr_source` that only a program can give."""


def test_the_arguments_of_the_source_are_the_settings_with_their_defaults() -> None:
    arguments = {
        name: argument.default
        for name, argument in inspect.signature(ecr_source).parameters.items()
        if name not in OF_PROGRAMS
    }
    declared = {name: one.default for name, one in declarations().items() if name not in NO_ARGUMENTS}
    assert arguments == declared


def test_help_explains_every_argument_of_the_source() -> None:
    arguments = (inspect.getdoc(ecr_source) or "").partition("Args:")[2].partition("Raises:")[0]
    explained = re.findall(r"^ {4}(\w+): ", arguments, re.MULTILINE)
    assert sorted(explained) == sorted({*declarations(), *OF_PROGRAMS} - NO_ARGUMENTS)


def test_the_example_configuration_names_settings() -> None:
    commented = (ROOT / ".dlt" / "config.toml").read_text().partition("[sources.ecr]")[2]
    example = tomllib.loads(re.sub(r"^# (?=\w+ = )", "", commented, flags=re.MULTILINE))
    assert example
    assert example.keys() <= declarations().keys()


def test_the_page_of_the_settings_is_what_they_say_of_themselves() -> None:
    assert PAGE.read_text() == page(), "docs/settings.md is out of date: run python -m tests.pages.settings"


@pytest.mark.parametrize("command", sorted({*ALL, QUERY, SIMULATE}))
def test_a_command_shows_exactly_the_options_that_it_takes(command: str, ecr: Ecr) -> None:
    shown = set(re.findall(r"^  (--[a-z-]+)", ecr(command, "--help").stdout, re.MULTILINE))
    taken = {one.option for one in declarations().values() if command in one.setting.commands}
    others = {one.option for one in declarations().values()} - taken
    assert taken <= shown
    assert not others & shown


@pytest.mark.parametrize("command", sorted(ALL - RUN))
def test_a_command_refuses_an_option_that_means_nothing_to_it(command: str, ecr: Ecr) -> None:
    refused = ecr(command, "--max-calls", "3", "--dataset", "other")
    assert refused.returncode == 2
    assert refused.stderr == f"ecr-source: --dataset, --max-calls means nothing to {command}: leave it out\n"


def test_a_plan_takes_what_a_run_takes_and_refuses_what_a_run_refuses(
    ecr: Ecr,
) -> None:
    said = [ecr(command, "--mode", "yesterday") for command in ("run", "plan")]
    assert [one.returncode for one in said] == [2, 2]
    assert said[0].stderr == said[1].stderr


def test_a_plan_is_of_the_tables_that_the_configuration_chooses(ecr: Ecr) -> None:
    planned = ecr("plan", env={"SOURCES__ECR__TABLES": '["images"]'})
    assert planned.returncode == 0, planned.stderr
    assert "images" in planned.stdout
    assert "policies" not in planned.stdout


def test_commands_without_settings_stay_as_they_are() -> None:
    assert {command.name for command in app.registered_commands} == ALL | {QUERY, REPORT, SIMULATE, "tables", "demo"}


LISTED = {
    "one": ("--region us-east-1", "us-east-1", ["us-east-1"]),
    "commas": ("--region eu-west-1,us-east-1", "eu-west-1, us-east-1", ["eu-west-1", "us-east-1"]),
    "list": ("--region eu-west-1 --region us-east-1", '["eu-west-1", "us-east-1"]', ["eu-west-1", "us-east-1"]),
}


@pytest.mark.parametrize(
    ("typed", "said", "regions"),
    [
        pytest.param(*how, id=name, marks=() if name == "commas" else pytest.mark.nightly)
        for name, how in LISTED.items()
    ],
)
def test_a_list_is_one_text_or_several_with_commas_wherever_it_is_said(
    ecr: Ecr,
    server: EcrServer,
    query: Callable[[str], list[Row]],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    said: str,
    regions: list[str],
) -> None:
    assert ecr("run", *typed.split()).returncode == 0
    assert ecr("run", env={"SOURCES__ECR__REGIONS": said}).returncode == 0
    Path(".dlt").mkdir()
    Path(".dlt/config.toml").write_text(f"[sources.ecr]\nregions = {said if said[0] == '[' else json.dumps(said)}\n")
    assert ecr("run").returncode == 0
    pipeline = dlt.pipeline("ecr", destination=dlt.destinations.duckdb("ecr.duckdb"), dataset_name="aws_ecr")
    pipeline.run(ecr_source(endpoint_url=server.url, tables="repositories", regions=said))
    monkeypatch.setenv("SOURCES__ECR__REGIONS", said)
    pipeline.run(ecr_source(endpoint_url=server.url, tables="repositories"))
    read = query("SELECT list(DISTINCT region ORDER BY region) FROM extraction_scopes GROUP BY run_id")
    assert read == [(regions,)] * 5


def test_a_role_is_not_taken_apart_at_its_commas() -> None:
    role = "arn:aws:iam::123456789012:role/reads,only"
    assert Settings.of({"role_arns": role}).role_arns == [role]


def test_a_file_of_settings_that_is_no_toml_is_refused_with_its_name_and_why(
    server: EcrServer, database: Path, tmp_path: Path
) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text('[sources.ecr]\nregions = ["eu-west-1"\n')
    for command in (["run"], ["query", "repositories"]):
        done = subprocess.run(
            [ECR_SOURCE, *command], env=environment(server, database), capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert re.fullmatch(r'ecr-source: cannot read the settings in ".*/\.dlt/config\.toml": .+\n', done.stderr)


def test_the_text_of_a_list_that_is_not_whole_is_refused(ecr: Ecr) -> None:
    refused = ecr("run", env={"SOURCES__ECR__REGIONS": '["eu-west-1'})
    assert refused.returncode == 2
    assert 'the list regions cannot be read, write it as ["one", "two"] or one,two: ["eu-west-1' in refused.stderr


@pytest.mark.parametrize("chosen", [["--table", "default", "--table", "previews"], ["--table", "previews,default"]])
def test_the_default_tables_can_be_chosen_beside_others(chosen: list[str]) -> None:
    statements = json.loads(CliRunner().invoke(app, ["iam-policy", *chosen]).stdout)["role_policy"]["Statement"]
    assert [one["Sid"].removeprefix("EcrSource").lower() for one in statements] == [*DEFAULT_GROUPS, "previews"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    {
        "image_findings": "image_scan_findings",
        "repositoris": "repositories",
        "defualt": "default",
        "vulnerabilities": None,
    }.items(),
)
def test_of_all_names_the_one_is_suggested_that_was_probably_meant(typed: str, meant: str | None) -> None:
    said = f'did you mean "{meant}"?' if meant else '"ecr-source tables" lists them'
    with pytest.raises(ConfigurationError, match=re.escape(f'unknown table "{typed}"; {said}')):
        select_tables([typed])


def test_every_setting_says_what_it_means() -> None:
    assert [name for name, one in declarations().items() if not one.setting.meaning.endswith(".")] == []
