"""What the test server promises about accounts: roles, organizations, regions, permissions; asked with plain boto3."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from tests.server.ecr_server import (
    ACCOUNT,
    BROKEN,
    CUT,
    DENIED,
    RESET,
    THROTTLED,
    TRUNCATED,
    Answer,
    EcrServer,
    Registry,
)
from tests.server.protocols import Call
from tests.server.regions import ALWAYS_ENABLED

OTHER = "111122223333"
READER = f"arn:aws:iam::{OTHER}:role/team/reader"
Boto = Callable[..., Any]


@pytest.fixture
def boto(server: EcrServer) -> Boto:
    """A client of a service: `boto("ec2", "us-east-1", credentials)`."""

    def client(service: str = "ecr", region: str = "eu-west-1", credentials: dict[str, Any] | None = None) -> Any:
        keys = credentials or {}
        return boto3.client(  # type: ignore[call-overload]  # the stubs know literals
            service,
            region_name=region,
            endpoint_url=server.url,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
            aws_access_key_id=keys.get("AccessKeyId"),
            aws_secret_access_key=keys.get("SecretAccessKey"),
            aws_session_token=keys.get("SessionToken"),
        )

    return client


@pytest.fixture
def credentials(server: EcrServer, boto: Boto) -> dict[str, Any]:
    """Temporary credentials of the role READER."""
    server.add_role(READER)
    return assumed(boto)


def assumed(boto: Boto, **parameters: str) -> dict[str, Any]:
    asked = {"RoleArn": READER, "RoleSessionName": "nightly"} | parameters
    answer: dict[str, Any] = boto("sts").assume_role(**asked)["Credentials"]
    return answer


def error_of(call: Callable[..., Any], **parameters: Any) -> tuple[int, str, str]:
    """Status, code and message of the error that a call is answered with."""
    with pytest.raises(ClientError) as failure:
        call(**parameters)
    response = failure.value.response
    error = response["Error"]
    return response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]


def code_of(call: Callable[..., Any], **parameters: Any) -> str:
    return error_of(call, **parameters)[1]


# --- roles -----------------------------------------------------------------------------------------------------------


def test_an_assumed_role_reads_the_registries_of_its_account(
    server: EcrServer, boto: Boto, credentials: dict[str, Any]
) -> None:
    server.registry(account=OTHER).put("theirs")
    listed = boto("ecr", credentials=credentials).describe_repositories()["repositories"]
    assert [one["repositoryArn"] for one in listed] == [f"arn:aws:ecr:eu-west-1:{OTHER}:repository/theirs"]
    identity = boto("sts", credentials=credentials).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (OTHER, f"arn:aws:sts::{OTHER}:assumed-role/reader/nightly")
    assert [(one.arn, one.external_id, one.session_name, one.region) for one in server.assumed] == [
        (READER, None, "nightly", "eu-west-1")
    ]


def test_a_role_is_assumed_with_its_external_id_only(server: EcrServer, boto: Boto) -> None:
    server.add_role(READER, external_id="secret")
    refused = (
        403,
        "AccessDenied",
        f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: sts:AssumeRole on resource: {READER}",
    )
    asked = {"RoleArn": READER, "RoleSessionName": "nightly"}
    assert error_of(boto("sts").assume_role, **asked) == refused
    assert error_of(boto("sts").assume_role, **asked, ExternalId="wrong") == refused
    assert error_of(boto("sts").assume_role, **asked | {"RoleArn": f"{READER}2"})[1] == "AccessDenied"
    assert server.assumed == []
    assert assumed(boto, ExternalId="secret")
    assert server.assumed[0].external_id == "secret"


def test_sts_checks_requests_against_the_model(boto: Boto) -> None:
    asked = {"RoleArn": READER, "RoleSessionName": "nightly", "DurationSeconds": 1}
    assert code_of(boto("sts").assume_role, **asked) == "ValidationError"
    assert code_of(boto("sts").assume_role, RoleArn=READER) == "ValidationError"


def test_a_temporary_key_is_nothing_without_its_session_token(boto: Boto, credentials: dict[str, Any]) -> None:
    without = {**credentials, "SessionToken": "another"}
    assert code_of(boto("ecr", credentials=without).describe_repositories) == "UnrecognizedClientException"
    assert code_of(boto("sts", credentials=without).get_caller_identity) == "InvalidClientTokenId"


def test_a_temporary_key_expires_after_its_calls_and_the_next_one_is_good(server: EcrServer, boto: Boto) -> None:
    server.add_role(READER, calls=2)
    credentials = assumed(boto)
    client, sts = boto("ecr", credentials=credentials), boto("sts", credentials=credentials)
    for _ in range(2):
        sts.get_caller_identity()
        client.describe_repositories()
    assert code_of(client.describe_repositories) == "ExpiredTokenException"
    assert code_of(sts.get_caller_identity) == "ExpiredToken"
    assert boto("ecr", credentials=assumed(boto)).describe_repositories()["repositories"] == []


def test_a_temporary_key_expires_with_its_time(server: EcrServer, boto: Boto) -> None:
    server.add_role(READER, seconds=900)
    lasting = assumed(boto)
    server.add_role(READER, seconds=-1)
    expired = assumed(boto)
    assert 800 <= (lasting["Expiration"] - expired["Expiration"]).total_seconds() <= 901
    assert boto("ecr", credentials=lasting).describe_repositories()
    assert code_of(boto("ecr", credentials=expired).describe_repositories) == "ExpiredTokenException"


def test_a_role_of_china_has_the_arns_of_china(server: EcrServer, boto: Boto) -> None:
    server.registry("cn-north-1").put("api")
    (listed,) = boto("ecr", "cn-north-1").describe_repositories()["repositories"]
    assert listed["repositoryArn"] == f"arn:aws-cn:ecr:cn-north-1:{ACCOUNT}:repository/api"
    assert listed["repositoryUri"] == f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/api"
    assert boto("sts", "cn-north-1").get_caller_identity()["Arn"] == f"arn:aws-cn:iam::{ACCOUNT}:user/reader"


# --- organizations ---------------------------------------------------------------------------------------------------


def test_an_organization_is_a_tree_of_units_with_accounts(server: EcrServer, boto: Boto) -> None:
    client = boto("organizations", "us-east-1")
    assert code_of(client.list_accounts) == "AWSOrganizationsNotInUseException"
    server.organization.add("100000000001")
    server.organization.add("100000000002", ou="Workloads/Prod")
    server.organization.add("100000000003", ou="Workloads/Prod", status="SUSPENDED")
    server.organization.add("100000000004", ou="Workloads")
    (root,) = client.list_roots()["Roots"]
    (workloads,) = client.list_organizational_units_for_parent(ParentId=root["Id"])["OrganizationalUnits"]
    (prod,) = client.list_organizational_units_for_parent(ParentId=workloads["Id"])["OrganizationalUnits"]
    assert (root["Id"], workloads["Id"], prod["Id"]) == ("r-ab12", "ou-ab12-11111111", "ou-ab12-11111112")
    assert prod["Name"] == "Prod"

    def accounts_of(parent: str) -> list[tuple[str, str]]:
        listed = client.list_accounts_for_parent(ParentId=parent)["Accounts"]
        return [(account["Id"][-1], account["Status"]) for account in listed]

    assert accounts_of(root["Id"]) == [("1", "ACTIVE")]
    assert accounts_of(workloads["Id"]) == [("4", "ACTIVE")]
    assert accounts_of(prod["Id"]) == [("2", "ACTIVE"), ("3", "SUSPENDED")]
    assert code_of(client.list_accounts_for_parent, ParentId="ou-ab12-99999999") == "ParentNotFoundException"
    assert code_of(boto("organizations", "eu-west-1").list_roots) == "InvalidSignatureException"


def test_accounts_are_listed_page_by_page(server: EcrServer, boto: Boto) -> None:
    for number in range(5):
        server.organization.add(f"10000000000{number}", ou=f"unit {number}")
    server.page_size = 2
    client = boto("organizations", "us-east-1")
    pages = list(client.get_paginator("list_accounts").paginate())
    assert [len(page["Accounts"]) for page in pages] == [2, 2, 1]
    units = client.get_paginator("list_organizational_units_for_parent").paginate(ParentId="r-ab12")
    assert [unit["Name"] for page in units for unit in page["OrganizationalUnits"]] == [f"unit {n}" for n in range(5)]


# --- regions ---------------------------------------------------------------------------------------------------------


def test_regions_are_those_that_the_account_has_enabled(server: EcrServer, boto: Boto) -> None:
    ec2, account = boto("ec2", "us-east-1"), boto("account", "us-east-1")
    default = {one["RegionName"]: one["OptInStatus"] for one in ec2.describe_regions()["Regions"]}
    assert default == dict.fromkeys(ALWAYS_ENABLED, "opt-in-not-required")
    assert len(default) == 17
    server.enabled_regions[ACCOUNT] = ["eu-west-1", "me-central-1"]
    regions = ec2.describe_regions()["Regions"]
    assert [(one["RegionName"], one["OptInStatus"]) for one in regions] == [
        ("eu-west-1", "opt-in-not-required"),
        ("me-central-1", "opted-in"),
    ]
    filters = [{"Name": "opt-in-status", "Values": ["opted-in"]}]
    assert len(ec2.describe_regions(AllRegions=True, Filters=filters)["Regions"]) == 1
    assert [one["RegionName"] for one in ec2.describe_regions(RegionNames=["eu-west-1"])["Regions"]] == ["eu-west-1"]
    asked = {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"], "MaxResults": 1}
    listed = [page["Regions"] for page in account.get_paginator("list_regions").paginate(**asked)]
    assert listed == [
        [{"RegionName": "eu-west-1", "RegionOptStatus": "ENABLED_BY_DEFAULT"}],
        [{"RegionName": "me-central-1", "RegionOptStatus": "ENABLED"}],
    ]


def test_a_region_that_an_account_has_not_opted_into_knows_no_key_of_it(server: EcrServer, boto: Boto) -> None:
    assert boto("ecr", "me-central-1").describe_repositories()
    server.enabled_regions[ACCOUNT] = ["eu-west-1"]
    assert code_of(boto("ecr", "me-central-1").describe_repositories) == "UnrecognizedClientException"
    assert boto("ecr", "us-east-1").describe_repositories()  # always enabled


def test_the_regions_of_china_are_those_of_china(boto: Boto) -> None:
    regions = boto("ec2", "cn-north-1").describe_regions()["Regions"]
    assert [one["RegionName"] for one in regions] == ["cn-north-1", "cn-northwest-1"]


# --- faults of all protocols -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("service", "operation", "denied", "throttled", "broken"),
    [
        ("sts", "GetCallerIdentity", (403, "AccessDenied"), (400, "Throttling"), (500, "InternalFailure")),
        (
            "ec2",
            "DescribeRegions",
            (403, "UnauthorizedOperation"),
            (503, "RequestLimitExceeded"),
            (500, "InternalError"),
        ),
        (
            "account",
            "ListRegions",
            (403, "AccessDeniedException"),
            (429, "TooManyRequestsException"),
            (500, "InternalServerException"),
        ),
        (
            "organizations",
            "ListAccounts",
            (400, "AccessDeniedException"),
            (400, "TooManyRequestsException"),
            (500, "ServiceException"),
        ),
    ],
)
def test_a_fault_is_answered_in_the_words_of_the_service(
    server: EcrServer,
    boto: Boto,
    service: str,
    operation: str,
    denied: tuple[int, str],
    throttled: tuple[int, str],
    broken: tuple[int, str],
) -> None:
    server.organization.add(ACCOUNT)
    client = boto(service, "us-east-1")
    name = operation if service == "sts" else f"{service}:{operation}"
    for answer in (DENIED, THROTTLED, BROKEN):
        server.fail(answer, operation=name, times=1)

    def ask() -> Any:
        return client._make_api_call(operation_name=operation, api_params={})

    *first, message = error_of(ask)
    assert (tuple(first), error_of(ask)[:2], error_of(ask)[:2]) == (denied, throttled, broken)
    assert f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: {service}:{operation}" in message
    assert ask()


@pytest.mark.parametrize("operation", ["DescribeRegions", "ec2:ListAccounts", "ecr:DescribeImages"])
def test_a_fault_of_an_operation_that_is_not_served_is_refused(server: EcrServer, operation: str) -> None:
    with pytest.raises(ValueError, match="is not served"):
        server.fail(DENIED, operation=operation)


# --- permissions -----------------------------------------------------------------------------------------------------


def test_an_account_is_denied_what_it_does_not_allow(
    server: EcrServer, boto: Boto, credentials: dict[str, Any]
) -> None:
    server.allowed[OTHER] = {"ecr:DescribeRepositories", "inspector2:ListFindings"}
    ecr = boto("ecr", credentials=credentials)
    assert ecr.describe_repositories()["repositories"] == []
    assert boto("inspector2", credentials=credentials).list_findings()["findings"] == []
    user = f"User: arn:aws:sts::{OTHER}:assumed-role/reader/nightly"
    assert error_of(ecr.describe_images, repositoryName="api") == (
        400,
        "AccessDeniedException",
        f"{user} is not authorized to perform: ecr:DescribeImages on resource:"
        f" arn:aws:ecr:eu-west-1:{OTHER}:repository/api"
        " because no identity-based policy allows the ecr:DescribeImages action",
    )
    assert error_of(boto("ec2", credentials=credentials).describe_regions) == (
        403,
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. {user} is not authorized to perform: ec2:DescribeRegions"
        " because no identity-based policy allows the ec2:DescribeRegions action",
    )
    tagging = boto("resourcegroupstaggingapi", credentials=credentials)
    assert "tag:GetResources" in error_of(tagging.get_resources, ResourceTypeFilters=["ecr:repository"])[2]
    public = boto("ecr-public", "us-east-1", credentials)
    assert "ecr-public:DescribeRegistries" in error_of(public.describe_registries)[2]
    assert boto("sts", credentials=credentials).get_caller_identity()["Account"] == OTHER
    assert boto().describe_registry()  # of the account that nothing was said about


def test_referrers_are_listed_by_those_who_may_get_images(server: EcrServer, boto: Boto, registry: Registry) -> None:
    registry.put("api")
    digest = registry.put_image("api")["imageDigest"]
    asked = {"repositoryName": "api", "subjectId": {"imageDigest": digest}}
    server.allowed[ACCOUNT] = {"ecr:ListImageReferrers"}
    assert "ecr:BatchGetImage" in error_of(boto().list_image_referrers, **asked)[2]
    server.allowed[ACCOUNT] = {"ecr:BatchGetImage"}
    assert boto().list_image_referrers(**asked)["referrers"] == []


def test_a_role_is_not_assumed_by_an_account_that_does_not_allow_it(server: EcrServer, boto: Boto) -> None:
    server.add_role(READER)
    server.allowed[ACCOUNT] = set()
    refused = error_of(boto("sts").assume_role, RoleArn=READER, RoleSessionName="nightly")
    assert refused[1] == "AccessDenied"
    assert f"sts:AssumeRole on resource: {READER} because" in refused[2]


# --- storms and load -------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(server: EcrServer) -> Registry:
    return server.registry()


def weather(client: Any, calls: int) -> list[str]:
    """What became of each of many calls."""
    met = []
    for _ in range(calls):
        try:
            answer = client.describe_repositories()
            met.append("good" if answer.get("repositories") else "torn")
        except ClientError as error:
            met.append(error.response["Error"]["Code"])
        except BotoCoreError as error:
            met.append(type(error).__name__)
    return met


def test_a_storm_takes_its_share_of_calls_and_the_same_ones_each_time(
    server: EcrServer, boto: Boto, registry: Registry
) -> None:
    registry.put("api")
    storm = (0.5, [BROKEN, THROTTLED, RESET, CUT, TRUNCATED])
    server.storm(*storm, seed=7)
    first = weather(boto(), 60)
    assert 20 <= first.count("good") <= 40
    assert set(first) == {
        "good",
        "torn",
        "ServerException",
        "ThrottlingException",
        "ConnectionClosedError",
    }
    server.storm(*storm, seed=7)
    assert weather(boto(), 60) == first
    server.storm(*storm, seed=8)
    assert weather(boto(), 60) != first
    server.storm(1, [BROKEN], operations=["DescribeImages"])
    assert set(weather(boto(), 5)) == {"good"}
    server.storm(1, [BROKEN])
    server.recover()
    assert set(weather(boto(), 5)) == {"good"}


@pytest.mark.parametrize("torn", [TRUNCATED, CUT])
def test_a_storm_tears_the_answer_of_any_operation(server: EcrServer, boto: Boto, torn: Answer) -> None:
    server.registry().registry_policy = "{}"
    server.storm(1, [torn])
    for call in (boto("ec2").describe_regions, boto("sts").get_caller_identity):
        with pytest.raises(ResponseParserError):
            call()
    assert "policyText" not in boto().get_registry_policy()  # boto3 takes JSON that is cut off for an empty answer
    assert code_of(boto().describe_images, repositoryName="unknown") == "RepositoryNotFoundException"


def test_requests_under_way_are_counted_by_account_and_region(
    server: EcrServer, boto: Boto, credentials: dict[str, Any]
) -> None:
    clients = [*[boto() for _ in range(3)], *[boto("ecr", credentials=credentials) for _ in range(2)]]
    all_there, answer = threading.Barrier(len(clients)), server.answer

    def held(call: Call) -> Answer:
        if call.region == "eu-west-1":
            all_there.wait(60)
        return answer(call)

    server.answer = held  # type: ignore[method-assign]
    threads = [threading.Thread(target=client.describe_repositories) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    boto("ecr", "us-east-1").describe_repositories()
    assert server.most_at_once_in[ACCOUNT, "eu-west-1"] == 3
    assert server.most_at_once_in[OTHER, "eu-west-1"] == 2
    assert server.most_at_once_in[ACCOUNT, "us-east-1"] == 1
    assert server.most_at_once == 5


def test_the_command_serves_accounts_with_roles_to_assume() -> None:
    options = {"--repositories": "2", "--accounts": "2", "--regions": "eu-west-1,me-central-1"}
    command = [sys.executable, "-m", "tests.server.ecr_server", *(part for pair in options.items() for part in pair)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            sts = boto3.client("sts", region_name="eu-west-1", endpoint_url=url)
            role = "arn:aws:iam::100000000001:role/reader"
            keys = sts.assume_role(RoleArn=role, RoleSessionName="nightly")["Credentials"]
            session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
            ec2 = session.client("ec2", region_name="eu-west-1", endpoint_url=url)
            regions = [one["RegionName"] for one in ec2.describe_regions()["Regions"]]
            assert regions == ["eu-west-1", "me-central-1"]
            for region in regions:
                ecr = session.client("ecr", region_name=region, endpoint_url=url)
                (first, _) = ecr.describe_repositories()["repositories"]
                assert first["repositoryArn"].startswith(f"arn:aws:ecr:{region}:100000000001:")
            organizations = boto3.client("organizations", region_name="us-east-1", endpoint_url=url)
            assert len(organizations.list_accounts()["Accounts"]) == 2
        finally:
            process.terminate()
