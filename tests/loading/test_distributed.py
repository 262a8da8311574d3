"""One run in many tasks: its scopes are found once, each is loaded somewhere else, one ledger is written for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from ecr_source import Outcome, find_scopes, load_scopes, write_ledger
from ecr_source.aws.scopes import ScopeSetting
from ecr_source.catalog import select_tables
from ecr_source.errors import ConfigurationError
from tests.conftest import Row, make_pipeline
from tests.server.ecr_server import ACCESS_KEY, ACCOUNT, DENIED, EcrServer
from tests.warehouse import ON_EACH, Warehouse

pytestmark = ON_EACH

Query = Callable[[str], list[Row]]

REGIONS = ["eu-west-1", "us-east-1"]
ROLE_ACCOUNT = "210987654321"


@pytest.fixture
def settings(server: EcrServer) -> dict[str, Any]:
    return {"regions": REGIONS, "endpoint_url": server.url, "tables": ["repositories"]}


@pytest.fixture
def load_elsewhere(warehouse: Warehouse, tmp_path: Path) -> Callable[[ScopeSetting, dict[str, Any]], Outcome]:
    """Loads a scope as a task does on another machine: with nothing but plain values, in a folder of its own."""

    def loaded(scope: ScopeSetting, settings: dict[str, Any]) -> Outcome:
        name = f"ecr_{scope['registry_id']}_{scope['region'].replace('-', '_')}"
        pipeline = make_pipeline(tmp_path / "machines" / name, warehouse, name)
        outcome = load_scopes(pipeline, json.loads(json.dumps([scope])), **settings)
        return Outcome.from_json(json.loads(json.dumps(outcome.as_json())))

    return loaded


@pytest.fixture
def write(warehouse: Warehouse, tmp_path: Path) -> Callable[..., Outcome]:
    def written(run_id: str, outcomes: list[Outcome], lost: list[ScopeSetting], settings: dict[str, Any]) -> Outcome:
        return write_ledger(make_pipeline(tmp_path, warehouse, "ledger"), run_id, outcomes, lost, **settings)

    return written


def test_tasks_that_load_a_scope_each_load_what_one_run_does_and_write_one_ledger(
    server: EcrServer,
    settings: dict[str, Any],
    load_elsewhere: Callable[..., Outcome],
    write: Callable[..., Outcome],
    query: Query,
) -> None:
    for region in REGIONS:
        server.registry(region).fill(3)
    scopes = find_scopes(**settings)
    assert [(scope["registry_id"], scope["region"]) for scope in scopes] == [(ACCOUNT, region) for region in REGIONS]
    for _ in range(2):
        outcomes = [load_elsewhere(scope, settings) for scope in scopes]
    assert query("SELECT region, count(*) FROM repositories GROUP BY 1 ORDER BY 1") == [(one, 3) for one in REGIONS]
    write("night 1", outcomes, [], settings)
    ledger = (
        "SELECT run_id, region, status, rows FROM extraction_scopes WHERE table_name = 'repositories' ORDER BY region"
    )
    assert query(ledger) == [("night 1", region, "complete", 3) for region in REGIONS]


def test_tasks_convert_a_snapshot_to_history_once_and_the_ledger_has_the_time_of_each(
    server: EcrServer,
    settings: dict[str, Any],
    load_elsewhere: Callable[..., Outcome],
    write: Callable[..., Outcome],
    query: Query,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scopes = find_scopes(**settings)
    outcomes: list[Outcome] = []
    for mode, name in (("snapshot", "old"), ("history", "new")):
        for region in REGIONS:
            server.registry(region).put(name)
        settings["mode"] = mode
        outcomes = [load_elsewhere(scope, settings) for scope in scopes]
    write("night 1", outcomes, [], settings)
    assert len([line for line in caplog.messages if "was converted from snapshot to history mode" in line]) == 1
    assert query("SELECT count(*), count(_dlt_valid_to) FROM repositories") == [(4, 0)]
    opened = "SELECT region, _dlt_valid_from FROM repositories WHERE repository_name = 'new' ORDER BY 1"
    times = "SELECT region, valid_from FROM extraction_scopes WHERE table_name = 'repositories' ORDER BY 1"
    assert query(opened) == query(times)
    assert len(set(query(times))) == 2


def test_tasks_without_a_mode_take_that_of_the_dataset_also_where_no_ledger_tells_it(
    settings: dict[str, Any],
    load_elsewhere: Callable[..., Outcome],
    write: Callable[..., Outcome],
    query: Query,
) -> None:
    (scope, _) = find_scopes(**settings)
    load_elsewhere(scope, settings | {"mode": "history"})
    for run_id in ("night 1", "night 2"):
        write(run_id, [load_elsewhere(scope, settings)], [], settings)
    assert query("SELECT DISTINCT run_id, mode FROM extraction_scopes ORDER BY 1") == [
        ("night 1", "history"),
        ("night 2", "history"),
    ]


def test_a_ledger_that_is_written_again_replaces_its_rows_and_no_others(
    server: EcrServer,
    settings: dict[str, Any],
    load_elsewhere: Callable[..., Outcome],
    write: Callable[..., Outcome],
    query: Query,
) -> None:
    server.registry(REGIONS[0]).put("api")
    (first, _) = find_scopes(**settings)
    outcome = load_elsewhere(first, settings)
    for run_id in ("night 1", "night 2", "night 2"):
        write(run_id, [outcome], [], settings)
    runs = "SELECT run_id, count(*) FROM extraction_scopes WHERE table_name = 'repositories' GROUP BY 1 ORDER BY 1"
    assert query(runs) == [("night 1", 1), ("night 2", 1)]


def test_an_error_is_gone_from_the_ledger_once_its_task_was_run_again_and_it_is_written_again(
    server: EcrServer,
    settings: dict[str, Any],
    load_elsewhere: Callable[..., Outcome],
    write: Callable[..., Outcome],
    query: Query,
) -> None:
    (scope, _) = find_scopes(**settings)
    errors = "SELECT run_id, error_code FROM extraction_errors ORDER BY 1"
    server.fail(DENIED, operation="DescribeRepositories")
    for run_id in ("night 1", "night 2"):
        write(run_id, [load_elsewhere(scope, settings)], [], settings)
    assert query(errors) == [(night, "AccessDeniedException") for night in ("night 1", "night 2")]
    server.recover()
    write("night 2", [load_elsewhere(scope, settings)], [], settings)
    assert query(errors) == [("night 1", "AccessDeniedException")]


def test_a_setting_that_does_not_exist_is_refused(settings: dict[str, Any], write: Callable[..., Outcome]) -> None:
    with pytest.raises(ConfigurationError, match='unknown setting "region"; did you mean "regions"'):
        find_scopes(**settings | {"region": ["eu-west-1"]})
    with pytest.raises(ConfigurationError, match='unknown setting "mask_account"; did you mean "mask_accounts"'):
        write("night 1", [], [], settings | {"mask_account": True})


def test_the_tables_of_the_configuration_are_those_that_tasks_load(
    server: EcrServer,
    settings: dict[str, Any],
    load_elsewhere: Callable[..., Outcome],
    write: Callable[..., Outcome],
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCES__ECR__TABLES", json.dumps(settings.pop("tables")))
    outcomes = [load_elsewhere(scope, settings) for scope in find_scopes(**settings)]
    write("night 1", outcomes, [], settings)
    read = "SELECT DISTINCT table_name FROM extraction_scopes ORDER BY 1"
    assert [name for (name,) in query(read)] == sorted(table.name for table in select_tables(["repositories"]))


def test_a_scope_whose_task_was_lost_is_named_in_the_ledger_and_by_the_outcome(
    server: EcrServer,
    settings: dict[str, Any],
    load_elsewhere: Callable[..., Outcome],
    write: Callable[..., Outcome],
    query: Query,
) -> None:
    scopes = find_scopes(**settings)
    outcome = write("night 1", [load_elsewhere(scopes[0], settings)], scopes[1:], settings)
    assert {table.scope for table in outcome.incomplete} == {f"{ACCOUNT}/us-east-1"}
    assert query("SELECT DISTINCT region, status FROM extraction_scopes ORDER BY 1") == [
        ("eu-west-1", "complete"),
        ("us-east-1", "failed"),
    ]
    assert query("SELECT region, operation, error_code FROM extraction_errors") == [("us-east-1", "load", "NoOutcome")]


def test_a_scope_of_a_role_is_read_with_that_role(
    server: EcrServer, settings: dict[str, Any], load_elsewhere: Callable[..., Outcome], query: Query
) -> None:
    role = f"arn:aws:iam::{ROLE_ACCOUNT}:role/ecr-reader"
    server.add_role(role)
    server.registry("eu-west-1", ROLE_ACCOUNT).put("api")
    (scope,) = find_scopes(**settings | {"regions": ["eu-west-1"], "role_arns": [role]})
    assert load_elsewhere(scope, settings).incomplete == []
    assert query("SELECT registry_id, repository_name FROM repositories") == [(ROLE_ACCOUNT, "api")]


def test_a_role_that_can_be_assumed_by_the_time_of_its_task_is_read_in_all_regions(
    server: EcrServer, settings: dict[str, Any], load_elsewhere: Callable[..., Outcome], query: Query
) -> None:
    role = f"arn:aws:iam::{ROLE_ACCOUNT}:role/ecr-reader"
    everywhere = settings | {"regions": ["all"]}
    (scope,) = find_scopes(**everywhere | {"role_arns": [role]})
    assert scope["region"] == "all"
    server.add_role(role)
    server.registry("eu-west-1", ROLE_ACCOUNT).put("api")
    load_elsewhere(scope, everywhere)
    assert query("SELECT registry_id, region, repository_name FROM repositories") == [
        (ROLE_ACCOUNT, "eu-west-1", "api")
    ]


def test_a_boto3_session_takes_the_place_of_the_credential_chain(
    server: EcrServer, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = boto3.Session(ACCESS_KEY, "secret", region_name="eu-west-1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="no AWS credentials found"):
        find_scopes(**settings)
    assert len(find_scopes(session, **settings)) == 2
    with pytest.raises(ConfigurationError, match="a session and a profile"):
        find_scopes(session, profile="audit")


def test_what_is_no_scope_is_refused(settings: dict[str, Any], load_elsewhere: Callable[..., Outcome]) -> None:
    with pytest.raises(Exception, match="is no scope that find_scopes told: hand on what it returns"):
        load_elsewhere({"registry_id": ACCOUNT, "region": "eu-west-1"}, settings)
