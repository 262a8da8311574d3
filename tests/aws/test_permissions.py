"""The IAM policies that `ecr-source iam-policy` prints are enough, and none of their actions is in vain."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecr_source import catalog
from ecr_source.aws.access import Access
from ecr_source.aws.iam_policies import Policy, least_policy, scope_policy, trust_policy
from ecr_source.aws.scopes import discover_scopes
from ecr_source.catalog.table import Operation, Table
from ecr_source.cli.commands import app
from ecr_source.errors import ConfigurationError
from ecr_source.extract.walk import Walk
from tests.nightly import at_night
from tests.server.ecr_server import ACCOUNT, EcrServer, serving

Ecr = Callable[..., subprocess.CompletedProcess[str]]

ALL = [*catalog.GROUPS]
FINDINGS_FROM = [*catalog.FINDINGS_FROM]
WHOLE = {"complete", "skipped"}
"""The statuses of what is not missed."""


def actions_of(policy: Policy) -> list[str]:
    return [action for statement in policy["Statement"] for action in statement["Action"]]


def policy_for(names: Sequence[str], findings_from: str = "ecr") -> Policy:
    return least_policy(catalog.select_tables(names), catalog.not_called(findings_from))


# --- reading with them ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """What a walk found: the status of each table, how many rows it has, and why something could not be read."""

    statuses: dict[str, str]
    rows: dict[str, int]
    messages: list[str]


Reader = Callable[..., Read]


@pytest.fixture(scope="module")
def maximal() -> Iterator[EcrServer]:
    """A registry of which every operation tells something."""
    with serving() as running:
        running.registry().maximal()
        yield running


@pytest.fixture
def read(maximal: EcrServer, tmp_path: Path) -> Reader:
    """Reads tables, with only these actions allowed: `read("inspector2", actions)`; with all, if there are none."""

    def reading(findings_from: str, allowed: Collection[str] | None, tables: Sequence[Table] = catalog.TABLES) -> Read:
        maximal.allowed = {} if allowed is None else {ACCOUNT: set(allowed)}
        services = {operation.service for table in catalog.TABLES for operation in table.operations}
        connections = discover_scopes(Access(("eu-west-1",), endpoint_url=maximal.url), services)
        walk = Walk(tables, tmp_path, without=catalog.FINDINGS_FROM[findings_from])
        scopes = walk.read(connections)
        found = [table for scope in scopes for table in scope.tables]
        return Read(
            {one.table.name: one.status for one in found},
            {one.table.name: one.rows for one in found},
            [error.message for scope in scopes for error in scope.errors],
        )

    return reading


@pytest.fixture(scope="module")
def kept() -> dict[str, Read]:
    return {}


@pytest.fixture
def everything(read: Reader, kept: dict[str, Read]) -> dict[str, Read]:
    """What is read where all is allowed, by who is asked for findings; the same for all tests, and read once."""
    if not kept:
        kept.update({findings_from: read(findings_from, None) for findings_from in FINDINGS_FROM})
    return kept


@pytest.mark.parametrize("findings_from", FINDINGS_FROM)
def test_what_the_policy_allows_is_enough_for_every_table(
    read: Reader, everything: dict[str, Read], findings_from: str
) -> None:
    found = read(findings_from, actions_of(policy_for(ALL, findings_from)))
    assert found == everything[findings_from]
    assert found.messages == []
    # Inspector does not tell of basic scanning.
    skipped = {"image_scan_finding_attributes"} if findings_from == "inspector2" else set()
    assert found.statuses == {
        table.name: "skipped" if table.name in skipped else "complete" for table in catalog.TABLES
    }
    assert {name for name, rows in found.rows.items() if not rows} == {"image_manifest_annotations", *skipped}


@pytest.mark.parametrize(
    ("group", "findings_from"), [*((group, "ecr") for group in catalog.GROUPS), ("findings", "inspector2")]
)
def test_what_the_policy_of_a_group_allows_is_enough_for_the_group(
    read: Reader, everything: dict[str, Read], group: str, findings_from: str
) -> None:
    tables = catalog.GROUPS[group]
    found = read(findings_from, actions_of(policy_for([group], findings_from)), tables)
    whole = everything[findings_from]
    assert found.statuses == {table.name: whole.statuses[table.name] for table in tables}
    assert found.rows == {table.name: whole.rows[table.name] for table in tables}


# What the actions are called where they are not called as the operation is.
PREFIXES = {"resourcegroupstaggingapi": "tag"}
ALLOWED_BY = {"ListImageReferrers": "BatchGetImage"}


@dataclass(frozen=True)
class Without:
    """What should come of each table where an action is missing, told from what its operations say of each other."""

    missing: str
    findings_from: str

    def __str__(self) -> str:
        return f"{self.missing} with findings from {self.findings_from}"

    def is_allowed(self, operation: Operation) -> bool:
        service, name = operation.service, operation.name
        return f"{PREFIXES.get(service, service)}:{ALLOWED_BY.get(name, name)}" != self.missing

    def answers(self, operation: Operation) -> bool:
        """Whether it is allowed, and the listing whose rows it is called for, and what is asked before it."""
        parent, asked_first = operation.parent, operation.only_where
        return (
            self.is_allowed(operation)
            and (parent is None or self.answers(parent.operation))
            and (asked_first is None or self.is_allowed(asked_first.operation))
        )

    def operations(self) -> set[Operation]:
        """The operations that fill tables."""
        filling = {operation for table in catalog.TABLES for operation in table.operations}
        return filling - catalog.FINDINGS_FROM[self.findings_from]

    def replaced(self) -> set[Operation]:
        """The operations that do not count: those that another one stands in for, and those that stand in for none."""
        preferred = [operation for operation in self.operations() if operation.instead]
        stand_ins = {operation.instead for operation in preferred if not self.answers(operation)}
        return {one if one.instead in stand_ins else one.instead for one in preferred if one.instead}

    def status(self, table: Table) -> str:
        counted = [self.answers(one) for one in table.operations if one in self.operations() - self.replaced()]
        if not counted:
            return "skipped"
        return "complete" if all(counted) else "partial" if counted[0] else "denied"

    def asks_each_image(self) -> bool:
        return any(one.service == "inspector2" for one in self.replaced())


EACH_ACTION = [
    Without(action, findings_from)
    for findings_from, names in (("ecr", ALL), ("inspector2", ["findings"]))
    for action in actions_of(policy_for(names, findings_from))
]


BY_DAY = {*EACH_ACTION[::3]}


@pytest.mark.parametrize("without", [one if one in BY_DAY else at_night(one) for one in EACH_ACTION], ids=str)
def test_without_one_action_exactly_its_tables_are_denied(
    read: Reader, everything: dict[str, Read], without: Without
) -> None:
    found = read(without.findings_from, {*actions_of(policy_for(ALL, without.findings_from))} - {without.missing})
    assert found.statuses == {table.name: without.status(table) for table in catalog.TABLES}
    complete = {name for name, status in found.statuses.items() if status == "complete"}
    whole = everything["ecr" if without.asks_each_image() else without.findings_from]
    assert {name: found.rows[name] for name in complete} == {name: whole.rows[name] for name in complete}
    # What is allowed by a stand-in, or was not called, is no error; else the sentence says what to allow.
    assert bool(found.messages) == (not set(found.statuses.values()) <= WHOLE)
    for message in found.messages:
        assert f'allow {without.missing} in the caller\'s IAM policy, "ecr-source iam-policy" prints the' in message


def test_only_actions_with_a_stand_in_can_be_missed() -> None:
    """The rule above is not a way to forgive what is lost: where nothing is, another operation tells the same."""
    missed = [one for one in EACH_ACTION if {one.status(table) for table in catalog.TABLES} <= WHOLE]
    assert missed == [
        Without("ecr:ListTagsForResource", "ecr"),
        Without("tag:GetResources", "ecr"),
        Without("ecr:DescribeImageScanFindings", "inspector2"),
        Without("inspector2:ListFindings", "inspector2"),
    ]


# --- what they are -------------------------------------------------------------------------------------------------

ROLE = "arn:aws:iam::{account}:role/team/ecr-reader"
PIPELINE = "arn:aws:iam::210987654321:role/pipeline"
LARGEST = least_policy(catalog.TABLES, catalog.FINDINGS_FROM["inspector2"], all_regions=True)


def test_a_group_is_a_statement_and_an_action_stands_once() -> None:
    assert {
        statement["Sid"]: statement["Action"] for statement in policy_for(["images", "image_status"])["Statement"]
    } == {
        "EcrSourceImages": ["ecr:DescribeImages", "ecr:DescribeRepositories"],
        "EcrSourceImageStatus": ["ecr:DescribeImageReplicationStatus", "ecr:DescribeImageSigningStatus"],
    }
    assert len(set(actions_of(LARGEST))) == len(actions_of(LARGEST))


@pytest.mark.parametrize(
    ("names", "findings_from", "prefixes"),
    [
        ([], "ecr", {"ecr", "tag"}),
        (["all"], "ecr", {"ecr", "tag", "ecr-public", "inspector2", "ecs", "lambda"}),
        (["findings"], "ecr", {"ecr"}),
        (["findings"], "inspector2", {"ecr", "inspector2"}),
        (["images"], "inspector2", {"ecr"}),
        (["public"], "ecr", {"ecr-public"}),
    ],
)
def test_only_services_that_are_asked_are_allowed(names: list[str], findings_from: str, prefixes: set[str]) -> None:
    actions = actions_of(policy_for(names, findings_from))
    assert {action.partition(":")[0] for action in actions} == prefixes
    assert "ecr:BatchGetImage" not in actions


@pytest.mark.parametrize(
    "policy",
    [
        LARGEST,
        trust_policy([PIPELINE, "123456789012"], "7f3a"),
        scope_policy([ROLE, PIPELINE], organization=True),
    ],
    ids=["role", "trust", "caller"],
)
def test_a_policy_is_what_iam_takes(policy: Policy) -> None:
    assert policy["Version"] == "2012-10-17"
    sids = [statement["Sid"] for statement in policy["Statement"]]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)
    for statement in policy["Statement"]:
        assert ("Resource" in statement) != ("Principal" in statement)
        assert all(re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action) for action in statement["Action"])
    # IAM's quotas, white space not counted: a managed policy, and a role's trust policy.
    assert len(json.dumps(policy, separators=(",", ":"))) <= (2_048 if policy is not LARGEST else 6_144)


def test_only_who_knows_the_external_id_may_assume_the_role() -> None:
    (statement,) = trust_policy([PIPELINE], "7f3a")["Statement"]
    assert statement["Principal"] == {"AWS": [PIPELINE]}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "7f3a"}}
    assert "Condition" not in trust_policy([PIPELINE])["Statement"][0]


@pytest.mark.parametrize("principal", ["", "*", "reader", "1234", "arn:aws:iam::*:root", "arn:aws:s3:::bucket"])
def test_a_principal_that_iam_would_refuse_is_refused(principal: str) -> None:
    with pytest.raises(ConfigurationError, match="is neither an account id of twelve digits nor the ARN"):
        trust_policy([principal])


@pytest.mark.parametrize("external_id", ["", "a", "with space", "ünique", "x" * 1225])
def test_an_external_id_that_iam_would_refuse_is_refused_without_being_repeated(external_id: str) -> None:
    with pytest.raises(ConfigurationError, match="the external id is not 2 to 1,224 letters"):
        trust_policy([PIPELINE], external_id)


@pytest.mark.parametrize(
    "arn",
    ["ecr-reader", "arn:aws:iam::{region}:role/reader", "arn:aws:iam::*:role/reader", "arn:aws:iam::{account}:role/*"],
)
def test_a_role_that_cannot_be_assumed_is_refused(arn: str) -> None:
    with pytest.raises(ConfigurationError, match="is not of the form arn:aws:iam::123456789012:role/name"):
        scope_policy([arn])


# --- the command ---------------------------------------------------------------------------------------------------


def test_the_command_prints_what_the_run_of_these_settings_needs_and_calls_nothing(ecr: Ecr, server: EcrServer) -> None:
    no_credentials = {"AWS_ACCESS_KEY_ID": None, "SOURCES__ECR__TABLES": '["images"]'}
    done = ecr("iam-policy", env=no_credentials)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"role_policy": policy_for(["images"])}
    chosen = CliRunner().invoke(app, ["iam-policy", "--table", "findings", "--findings-from", "inspector2"])
    assert json.loads(chosen.stdout) == {"role_policy": policy_for(["findings"], "inspector2")}
    assert not server.calls


def test_the_command_prints_who_may_assume_what() -> None:
    arguments = ["--role-arn", ROLE, "--organization", "--region", "all", "--trusted-principal", PIPELINE]
    done = CliRunner().invoke(app, ["iam-policy", *arguments, "--external-id", "7f3a"])
    policies = json.loads(done.stdout)
    assert list(policies) == ["role_policy", "trust_policy", "caller_policy"]
    assert policies["role_policy"]["Statement"][-1]["Action"] == ["account:ListRegions", "ec2:DescribeRegions"]
    assert policies["trust_policy"] == trust_policy([PIPELINE], "7f3a")
    assert policies["caller_policy"]["Statement"] == [
        {
            "Sid": "EcrSourceRoles",
            "Effect": "Allow",
            "Action": ["sts:AssumeRole"],
            "Resource": ["arn:aws:iam::*:role/team/ecr-reader"],
        },
        {
            "Sid": "EcrSourceOrganization",
            "Effect": "Allow",
            "Action": [
                "organizations:ListAccounts",
                "organizations:ListAccountsForParent",
                "organizations:ListOrganizationalUnitsForParent",
            ],
            "Resource": "*",
        },
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--table", "image"], 'unknown table "image"; did you mean "images"?'),
        (["--findings-from", "trivy"], 'findings cannot be read from "trivy": it is one of ecr, inspector2'),
    ],
)
def test_the_command_refuses_what_makes_no_sense(arguments: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, ["iam-policy", *arguments])
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"ecr-source: {sentence}\n")
