"""`ecr-source check`: who asks, what may be read, which statement is missing; and nothing is loaded."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_source import catalog
from ecr_source.catalog.model import iam_action
from tests.server.answers import error
from tests.server.ecr_server import ACCOUNT, DENIED, EcrServer

Ecr = Callable[..., subprocess.CompletedProcess[str]]

OTHER = "111111111111"
ROLE = f"arn:aws:iam::{OTHER}:role/reader"
ALL = ("--table", "all", "--table", "manifests", "--moves-last-recorded-pull-time", "--region", "us-east-1")

DEFAULT = [option for group in catalog.DEFAULT_GROUPS for option in ("--table", group)]


def rows(done: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The lines of the scopes, as words."""
    return [line.split() for line in done.stdout.splitlines() if "/" in line.partition(" ")[0]]


@pytest.fixture
def maximal(server: EcrServer) -> EcrServer:
    server.registry("us-east-1").maximal()
    return server


def test_everything_is_allowed_to_who_may_do_everything(maximal: EcrServer, ecr: Ecr, database: Path) -> None:
    done = ecr("check", *ALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{ACCOUNT}  arn:aws:iam::{ACCOUNT}:user/reader" in done.stdout
    assert {row[2] for row in rows(done)} == set(catalog.GROUPS)
    assert {row[3] for row in rows(done)} == {"allowed"}, done.stdout
    assert not database.exists()


def test_one_page_of_each_operation_is_asked(maximal: EcrServer, ecr: Ecr) -> None:
    maximal.page_size = 1
    assert ecr("check", *ALL).returncode == 0
    private = catalog.operations_of(catalog.TABLES, catalog.not_called("ecr"))
    expected = {
        f"{operation.service}:{operation.name}" if operation.service == "ecr-public" else operation.name
        for operation in private
    }
    assert {name for name, count in maximal.calls.items() if count == 1} >= expected - {"GetAccountSetting"}


def test_what_is_denied_is_shown_with_the_statement_that_allows_it(maximal: EcrServer, ecr: Ecr) -> None:
    maximal.fail(DENIED, operation="DescribeImages")
    maximal.fail(DENIED, operation="GetLifecyclePolicy")
    done = ecr("check", "--region", "us-east-1", *DEFAULT)
    assert done.returncode == 1
    header = next(line for line in done.stdout.splitlines() if line.startswith("scope"))
    assert re.split(r" {2,}", header) == ["scope", "region from", "group", "status", "tables"]
    told = {(row[2], row[3]): " ".join(row[4:]) for row in rows(done)}
    assert told["images", "denied"] == told["repositories", "allowed"] == ""
    assert told["policies", "denied"].startswith("lifecycle_policies, lifecycle_policy_rules, ")
    assert told["policies", "allowed"] == "the others"
    statement = json.loads(done.stdout.partition(f"missing in {ACCOUNT}:")[2])
    assert statement == {
        "Effect": "Allow",
        "Action": ["ecr:DescribeImages", "ecr:GetLifecyclePolicy"],
        "Resource": "*",
    }


def test_what_fails_in_the_same_way_is_told_once_however_many_regions_are_asked(maximal: EcrServer, ecr: Ecr) -> None:
    for operation in ("GetRegistryScanningConfiguration", "DescribePullThroughCacheRules"):
        maximal.fail(error("InvalidParameterException", "broken"), operation=operation)
    done = ecr("check", "--region", "us-east-1,eu-west-1,eu-west-2", "--table", "registry")
    assert done.returncode == 1
    told = [line for line in done.stdout.splitlines() if "ecr:" in line]
    assert told == [
        "InvalidParameterException in 3 scopes: ecr:DescribePullThroughCacheRules,"
        " ecr:GetRegistryScanningConfiguration",
        f"cannot call ecr:DescribePullThroughCacheRules in {ACCOUNT}/eu-west-1: InvalidParameterException: broken;"
        f" the same of {ACCOUNT}/eu-west-2, {ACCOUNT}/us-east-1",
    ]


def test_a_stand_in_is_enough(maximal: EcrServer, ecr: Ecr) -> None:
    maximal.fail(DENIED, operation="GetResources")
    done = ecr("check", "--region", "us-east-1", "--table", "repositories")
    assert done.returncode == 0
    assert '"tag:GetResources"' in done.stdout


def test_each_account_tells_who_asks_and_one_out_of_reach_says_why(maximal: EcrServer, ecr: Ecr) -> None:
    maximal.add_role(ROLE)
    maximal.registry("us-east-1", OTHER).put("api")
    missing = "arn:aws:iam::222222222222:role/reader"
    done = ecr("check", "--region", "us-east-1", "--role-arn", ROLE, "--role-arn", missing)
    assert done.returncode == 1
    assert f"{OTHER}  arn:aws:sts::{OTHER}:assumed-role/reader/ecr-source" in done.stdout
    assert ["222222222222/us-east-1", "given", "all", "unreachable"] in rows(done)
    assert f"cannot assume {missing}: access denied; allow sts:AssumeRole" in done.stdout


def test_a_registry_without_repositories_leaves_open_what_is_asked_of_each(server: EcrServer, ecr: Ecr) -> None:
    done = ecr("check", *DEFAULT)
    assert done.returncode == 0
    assert ["123456789012/eu-west-1", "given", "images", "not", "asked"] in rows(done)


@pytest.mark.parametrize("asked", ["team-b/web", "team-b/*", "team-?/web"])
def test_of_repositories_that_are_named_the_first_is_asked_as_a_run_would_select_it(
    server: EcrServer, ecr: Ecr, asked: str
) -> None:
    for name in ("team-a/api", "team-b/web"):
        server.registry().put(name)
    server.page_size = 1
    server.fail(DENIED, operation="GetLifecyclePolicy", repository="team-a/api")
    denied = ecr("check", *DEFAULT)
    assert (denied.returncode, ["policies", "denied"] in [row[2:4] for row in rows(denied)]) == (1, True)
    done = ecr("check", *DEFAULT, "--repository", asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ["policies", "allowed"] in [row[2:4] for row in rows(done)]
    assert "registry" not in [row[2] for row in rows(done)]  # a run would not read it either


def test_a_name_that_no_scope_has_is_told_and_one_that_another_has_is_not(server: EcrServer, ecr: Ecr) -> None:
    server.registry("eu-west-1").put("here")
    server.registry("us-east-1").put("there")
    both = ("check", "--table", "repositories", "--region", "eu-west-1,us-east-1")
    done = ecr(*both, "--repository", "here,there")
    assert (done.returncode, "exist" in done.stdout) == (0, False), done.stdout
    for name, said in (("nowhere", "'nowhere' does not exist"), ("no/*", 'matches "no/*": a pattern has to match')):
        done = ecr(*both, "--repository", f"here,{name}")
        assert done.returncode == 1
        assert said in done.stdout


def test_a_region_that_is_not_enabled_is_shown(maximal: EcrServer, ecr: Ecr) -> None:
    maximal.disabled_regions.add("ap-southeast-4")
    done = ecr("check", "--region", "us-east-1", "--region", "ap-southeast-4", "--table", "repositories")
    assert done.returncode == 1
    assert any(row[0].endswith("/ap-southeast-4") and row[3] != "allowed" for row in rows(done))


def test_manifests_are_not_pulled_unasked(maximal: EcrServer, ecr: Ecr) -> None:
    assert ecr("check", "--table", "manifests").returncode == 2
    assert maximal.calls["BatchGetImage"] == 0
    assert {iam_action(operation) for operation in catalog.operations_of(catalog.GROUPS["manifests"])}
