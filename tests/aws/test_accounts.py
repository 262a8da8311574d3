"""Many accounts and regions: roles, organizations, enabled regions, sessions that are refreshed."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Callable

import pytest

from tests.conftest import Row
from tests.nightly import at_night
from tests.server.ecr_server import ACCOUNT, DENIED, Answer, EcrServer
from tests.server.protocols import Call

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]

COMPLETE, INCOMPLETE, UNUSABLE, NOTHING_LOADED = 0, 1, 2, 3
FIRST, SECOND, THIRD = "111111111111", "222222222222", "333333333333"
PATTERN = "arn:aws:iam::{account}:role/reader"
REPOSITORIES = "SELECT registry_id, region, repository_name FROM repositories ORDER BY ALL"
STATUSES = """
    SELECT registry_id, region, status FROM extraction_scopes
    WHERE run_id = (SELECT max(run_id) FROM extraction_scopes) GROUP BY ALL ORDER BY ALL
"""


def role(account: str) -> str:
    return PATTERN.replace("{account}", account)


@pytest.fixture(autouse=True)
def _a_repository_in_each_account(server: EcrServer) -> None:
    for account in (ACCOUNT, FIRST, SECOND, THIRD):
        server.registry("eu-west-1", account).put(f"of-{account[:3]}")


@pytest.fixture
def roles(server: EcrServer) -> EcrServer:
    """A role in each account but the caller's own."""
    for account in (FIRST, SECOND, THIRD):
        server.add_role(role(account))
    return server


@pytest.fixture
def organization(roles: EcrServer) -> EcrServer:
    """The caller's account and three others, one of them suspended."""
    roles.organization.add(ACCOUNT)
    roles.organization.add(FIRST, ou="Workloads/Prod")
    roles.organization.add(SECOND, ou="Workloads")
    roles.organization.add(THIRD, ou="Sandbox")
    roles.organization.add("444444444444", ou="Workloads", status="SUSPENDED")
    return roles


def read_accounts(query: Query) -> list[str]:
    return [row[0] for row in query("SELECT DISTINCT registry_id FROM repositories ORDER BY 1")]


# roles


def test_each_role_reads_its_own_account(roles: EcrServer, ecr: Ecr, query: Query) -> None:
    assert ecr("run", "--role-arn", role(FIRST), "--role-arn", role(SECOND)).returncode == COMPLETE
    assert query(REPOSITORIES) == [(FIRST, "eu-west-1", "of-111"), (SECOND, "eu-west-1", "of-222")]


def test_a_pattern_stands_for_each_account_and_the_callers_own_needs_no_role(
    roles: EcrServer, ecr: Ecr, query: Query
) -> None:
    done = ecr("run", "--role-arn", PATTERN, "--account", FIRST, "--account", ACCOUNT)
    assert done.returncode == COMPLETE, done.stderr
    assert read_accounts(query) == [FIRST, ACCOUNT]


def test_the_external_id_and_the_session_name_are_handed_to_the_role(server: EcrServer, ecr: Ecr, query: Query) -> None:
    server.add_role(role(FIRST), external_id="open-sesame")
    without = ecr("run", "--role-arn", role(FIRST))
    assert without.returncode == NOTHING_LOADED
    options = ("--external-id", "open-sesame", "--role-session-name", "nightly")
    assert ecr("run", "--role-arn", role(FIRST), *options).returncode == COMPLETE
    assert read_accounts(query) == [FIRST]
    assert server.assumed[-1].session_name == "nightly"


def test_a_role_that_cannot_be_assumed_leaves_its_account_as_it_was_and_the_others_are_read(
    roles: EcrServer, ecr: Ecr, query: Query
) -> None:
    arguments = ("run", "--role-arn", PATTERN, "--account", FIRST, "--account", SECOND)
    assert ecr(*arguments).returncode == COMPLETE
    roles.remove_role(role(FIRST))
    for account in (FIRST, SECOND):
        roles.registry("eu-west-1", account).put("new")
    done = ecr(*arguments)
    assert done.returncode == INCOMPLETE
    assert f"cannot assume {role(FIRST)}: access denied; allow sts:AssumeRole" in done.stdout
    assert query(STATUSES) == [(FIRST, "eu-west-1", "denied"), (SECOND, "eu-west-1", "complete")]
    assert query(REPOSITORIES) == [
        (FIRST, "eu-west-1", "of-111"),
        (SECOND, "eu-west-1", "new"),
        (SECOND, "eu-west-1", "of-222"),
    ]
    assert query("SELECT DISTINCT operation, error_code FROM extraction_errors") == [("sts:AssumeRole", "AccessDenied")]


def test_the_session_of_a_role_is_refreshed_before_it_ends(server: EcrServer, ecr: Ecr, query: Query) -> None:
    server.add_role(role(FIRST), calls=3, seconds=60)
    server.registry("eu-west-1", FIRST).fill(50)
    server.page_size = 5
    assert ecr("run", "--role-arn", role(FIRST)).returncode == COMPLETE
    assert query("SELECT count(*) FROM repositories") == [(51,)]
    assert len(server.assumed) > 3


def test_roles_are_assumed_at_the_endpoint_of_a_region_that_is_read(roles: EcrServer, ecr: Ecr) -> None:
    assert ecr("run", "--region", "us-west-2", "--role-arn", role(FIRST)).returncode == COMPLETE
    assert {one.region for one in roles.assumed} == {"us-west-2"}


@pytest.mark.parametrize(
    ("partition", "region"),
    [
        ("aws-cn", "cn-north-1"),
        at_night("aws-us-gov", "us-gov-west-1"),
        at_night("aws-eusc", "eusc-de-east-1"),
    ],
)
def test_every_partition_is_read(server: EcrServer, ecr: Ecr, query: Query, partition: str, region: str) -> None:
    arn = f"arn:{partition}:iam::{FIRST}:role/reader"
    server.add_role(arn)
    server.registry(region, FIRST).put("api")
    done = ecr("run", "--region", region, "--role-arn", arn)
    assert done.returncode == COMPLETE, done.stderr
    assert query("SELECT registry_id, region, repository_arn FROM repositories") == [
        (FIRST, region, f"arn:{partition}:ecr:{region}:{FIRST}:repository/api")
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--role-arn", "reader"], 'role ARN "reader" is not of the form arn:aws:iam::123456789012:role/name'),
        (["--role-arn", PATTERN], f'which accounts does "{PATTERN}" stand for: give --account for each'),
        (["--account", FIRST], "which role is to be assumed in each account: give --role-arn with {account}"),
        (["--organization"], "which role is to be assumed in each account"),
        (["--account", "12", "--role-arn", PATTERN], 'account "12" is not an AWS account id of twelve digits'),
        (["--external-id", "x"], "an external id is handed to AssumeRole: give a role ARN"),
        (["--role-arn", role(FIRST), "--registry-id", SECOND], "a role reads the registry of its own account"),
        (["--role-arn", role(FIRST), "--role-arn", role(FIRST)], "would read the same account"),
        (["--role-arn", role(FIRST), "--region", "cn-north-1"], "is in the partition aws, and the region"),
        (["--role-arn", role(FIRST), "--role-session-name", "a b"], 'role session name "a b" is not 2 to 64'),
        (["--exclude-account", FIRST], "units and excluded accounts narrow an organization: add --organization"),
        (["--organizational-unit", "Prod"], 'organizational unit "Prod" is not an id such as ou-ab12-34567890'),
        (["--region", "eu-west-1", "--exclude-region", "eu-west-1"], "no region is left to read"),
        (["--exclude-region", "eu-wst-1"], 'unknown region "eu-wst-1": did you mean "eu-west-1"?'),
    ],
)
def test_settings_of_accounts_that_make_no_sense_are_refused(ecr: Ecr, arguments: list[str], sentence: str) -> None:
    done = ecr("run", *arguments)
    assert done.returncode == UNUSABLE
    assert sentence in done.stderr.splitlines()[-1]


# organizations


def test_all_active_accounts_of_the_organization_are_read(organization: EcrServer, ecr: Ecr, query: Query) -> None:
    organization.page_size = 2
    assert ecr("run", "--organization", "--role-arn", PATTERN).returncode == COMPLETE
    assert read_accounts(query) == [FIRST, ACCOUNT, SECOND, THIRD]


@pytest.mark.parametrize(
    ("options", "accounts"),
    [
        (["--exclude-account", FIRST, "--exclude-account", ACCOUNT], [SECOND, THIRD]),
        (["--account", FIRST], [FIRST]),
        (["--organizational-unit", "Workloads"], [FIRST, SECOND]),
        (["--organizational-unit", "Workloads/Prod", "--organizational-unit", "Sandbox"], [FIRST, THIRD]),
        (["--organizational-unit", "Workloads", "--exclude-organizational-unit", "Workloads/Prod"], [SECOND]),
        (["--exclude-organizational-unit", "Workloads"], [ACCOUNT, THIRD]),
    ],
)
def test_accounts_and_units_narrow_the_organization(
    organization: EcrServer, ecr: Ecr, query: Query, options: list[str], accounts: list[str]
) -> None:
    ids = [organization.organization.unit(value) if "unit" in option else value for option, value in pairs(options)]
    named = [text for (option, _), value in zip(pairs(options), ids, strict=True) for text in (option, value)]
    assert ecr("run", "--organization", "--role-arn", PATTERN, *named).returncode == COMPLETE
    assert read_accounts(query) == accounts


def pairs(options: list[str]) -> list[tuple[str, str]]:
    return list(zip(options[::2], options[1::2], strict=True))


def test_an_organization_that_may_not_be_listed_is_said_in_one_sentence(organization: EcrServer, ecr: Ecr) -> None:
    organization.fail(DENIED, operation="organizations:ListAccounts")
    done = ecr("run", "--organization", "--role-arn", PATTERN)
    assert done.returncode == NOTHING_LOADED
    assert "cannot list the accounts of the organization: AccessDenied" in done.stderr.splitlines()[-1]


def test_an_account_that_is_not_active_in_the_organization_is_refused(organization: EcrServer, ecr: Ecr) -> None:
    done = ecr("run", "--organization", "--role-arn", PATTERN, "--account", "444444444444")
    assert done.returncode == UNUSABLE
    assert "not among the active accounts that were asked for: 444444444444" in done.stderr


# regions

REGION_FROM = "SELECT DISTINCT region, region_from, status FROM extraction_scopes ORDER BY ALL"


def test_all_regions_are_those_enabled_for_each_account(roles: EcrServer, ecr: Ecr, query: Query) -> None:
    roles.enabled_regions[FIRST] = ["us-east-1", "eu-west-1"]
    roles.enabled_regions[SECOND] = ["us-east-1", "ap-southeast-4"]
    options = ("--region", "all", "--role-arn", role(FIRST), "--role-arn", role(SECOND))
    assert ecr("run", *options).returncode == COMPLETE
    assert query("SELECT DISTINCT registry_id, region, region_from FROM extraction_scopes ORDER BY ALL") == [
        (FIRST, "eu-west-1", "account:ListRegions"),
        (FIRST, "us-east-1", "account:ListRegions"),
        (SECOND, "ap-southeast-4", "account:ListRegions"),
        (SECOND, "us-east-1", "account:ListRegions"),
    ]


def test_a_region_can_be_excluded_from_all(server: EcrServer, ecr: Ecr, query: Query) -> None:
    server.enabled_regions[ACCOUNT] = ["eu-west-1", "us-east-1", "us-west-2"]
    assert ecr("run", "--region", "all", "--exclude-region", "us-west-2").returncode == COMPLETE
    assert [row[0] for row in query(REGION_FROM)] == ["eu-west-1", "us-east-1"]


def test_ec2_is_asked_for_the_regions_where_account_may_not_be(server: EcrServer, ecr: Ecr, query: Query) -> None:
    server.fail(DENIED, operation="account:ListRegions")
    server.enabled_regions[ACCOUNT] = ["eu-west-1", "us-east-1"]
    assert ecr("run", "--region", "all").returncode == COMPLETE
    assert query(REGION_FROM) == [
        ("eu-west-1", "ec2:DescribeRegions", "complete"),
        ("us-east-1", "ec2:DescribeRegions", "complete"),
    ]


def test_where_nobody_tells_the_regions_botocores_are_tried_and_those_not_enabled_are_no_failure(
    server: EcrServer, ecr: Ecr, query: Query
) -> None:
    server.fail(DENIED, operation="account:ListRegions")
    server.fail(DENIED, operation="ec2:DescribeRegions")
    server.disabled_regions = {"ap-southeast-4", "me-central-1"}
    assert ecr("run", "--region", "all").returncode == COMPLETE
    rows = query(REGION_FROM)
    assert {row[1] for row in rows} == {"botocore"}
    assert {row[0] for row in rows if row[2] == "disabled"} == {"ap-southeast-4", "me-central-1"}
    assert len(rows) > 30


def test_an_account_without_role_has_one_row_where_all_its_regions_would_be(
    server: EcrServer, ecr: Ecr, query: Query
) -> None:
    done = ecr("run", "--region", "all", "--role-arn", role(FIRST))
    assert done.returncode == NOTHING_LOADED
    assert query("SELECT DISTINCT registry_id, region, status FROM extraction_scopes") == [(FIRST, "all", "denied")]


# many at once


def test_all_scopes_together_keep_to_one_bound_on_calls_under_way(roles: EcrServer, ecr: Ecr, query: Query) -> None:
    roles.delays = dict.fromkeys(("eu-west-1", "us-east-1"), 0.02)
    for account in (FIRST, SECOND, THIRD):
        for region in ("eu-west-1", "us-east-1"):
            roles.registry(region, account).fill(20)
    options = [option for account in (FIRST, SECOND, THIRD) for option in ("--role-arn", role(account))]
    regions = ("--region", "eu-west-1", "--region", "us-east-1")
    assert ecr("run", *options, *regions, "--table", "policies", "--max-in-flight", "5").returncode == COMPLETE
    assert roles.most_at_once == 5


def test_a_slow_scope_does_not_take_the_places_of_the_others(roles: EcrServer, ecr: Ecr) -> None:
    slow, fast = roles.registry("us-east-1", FIRST), roles.registry("eu-west-1", FIRST)
    slow.fill(30)
    fast.fill(80)
    fast_has_begun, fast_is_read, answered = threading.Event(), threading.Event(), itertools.count(1)
    answer = roles.answer
    # A scope that is alone has all places: the slow one begins when it is not.
    to_come = {"DescribeRepositories": fast_has_begun, "GetLifecyclePolicy": fast_is_read}

    def held(call: Call) -> Answer:
        if call.region == "us-east-1" and call.name in to_come:
            assert to_come[call.name].wait(60), "no place was left for the other scope"
        elif call.name == "GetLifecyclePolicy":
            fast_has_begun.set()
            if next(answered) == len(fast.repositories):
                fast_is_read.set()
        return answer(call)

    roles.answer = held  # type: ignore[method-assign]
    regions = ("--region", "us-east-1", "--region", "eu-west-1")
    options = ("--table", "lifecycle_policies", "--max-in-flight", "8")
    assert ecr("run", "--role-arn", role(FIRST), *regions, *options).returncode == COMPLETE
    assert 0 < roles.most_at_once_in[FIRST, "us-east-1"] <= 6
