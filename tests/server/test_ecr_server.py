"""What the test server promises: answers of every operation as AWS gives them, asked for with plain boto3."""

from __future__ import annotations

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ecr_source.catalog.coverage import column_paths, is_secretive
from tests.server.ecr_server import (
    ACCESS_KEY,
    ACCOUNT,
    BROKEN,
    DENIED,
    EcrServer,
    Item,
    Registry,
    basic_finding,
    enhanced_finding,
    package,
    service_model,
)
from tests.server.request_check import check_request
from tests.server.workloads import Workloads

API = "team-a/api"
Boto = Callable[..., Any]

# Members that answers about images of ECR cannot have.
NOT_OF_IMAGES = (
    "awsEc2Instance",
    "awsLambdaFunction",
    "codeRepository",
    "codeVulnerabilityDetails",
    "containerImage",
    "containerRegistry",
    "containerRepository",
    "ec2",
    "image",
    "lambdaFunction",
    "machineImage",
    "networkReachabilityDetails",
    "provider",
    "providerAccountId",
    "providerOrgId",
    "providerPartition",
    "providerRegion",
    "scanMode",
    "serverlessFunction",
    "sourceLambdaLayerArn",
    "vm",
    "vmInstance",
)
NOT_ASKED_FOR = ("ComplianceDetails", "NextMarker", "nextToken", "PaginationToken")


@pytest.fixture
def boto(server: EcrServer) -> Boto:
    """A client of a service: `boto("ecr-public", "us-east-1")`."""

    def client(service: str = "ecr", region: str = "eu-west-1") -> Any:
        config = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
        return boto3.client(service, region_name=region, endpoint_url=server.url, config=config)  # type: ignore[call-overload]  # the stubs know literals

    return client


@pytest.fixture
def registry(server: EcrServer) -> Registry:
    return server.registry()


@pytest.fixture
def maximal(registry: Registry) -> Registry:
    registry.maximal()
    return registry


def code_of(call: Callable[..., Any], **parameters: Any) -> str:
    """The error code that a call is answered with."""
    with pytest.raises(ClientError) as failure:
        call(**parameters)
    return str(failure.value.response["Error"]["Code"])


# --- every operation, asked for everything ---------------------------------------------------------------------------


def everything(registry: Registry) -> dict[tuple[str, str], list[Item]]:
    """The parameters with which each operation is asked for all that it can tell."""
    names = list(registry.repositories)
    repositories = [{"repositoryName": name} for name in names]
    arns = [{"resourceArn": registry.repositories[name]["repositoryArn"]} for name in names]
    images = [(name, image) for name in names for image in registry.images_of(name).values()]
    by_digest = [{"repositoryName": name, "imageId": {"imageDigest": image["imageDigest"]}} for name, image in images]
    by_tag = [
        {"repositoryName": name, "imageId": {"imageTag": tag}}
        for name, image in images
        for tag in image.get("imageTags", ())
    ]
    unknown = {"imageDigest": f"sha256:{'0' * 64}", "imageTag": "unknown"}
    public = [{"repositoryName": name} for name in registry.public.repositories]
    public_arns = [{"resourceArn": item["repositoryArn"]} for item in registry.public.repositories.values()]
    ecr: dict[str, list[Item]] = {
        "DescribeRepositories": [{}],
        "DescribeRegistry": [{}],
        "GetRegistryPolicy": [{}],
        "GetRegistryScanningConfiguration": [{}],
        "GetSigningConfiguration": [{}],
        "GetAccountSetting": [{"name": name} for name in registry.account_settings],
        "DescribePullThroughCacheRules": [{}],
        "DescribeRepositoryCreationTemplates": [{}],
        "ListPullTimeUpdateExclusions": [{}],
        "ListReplicationBackfills": [{}],
        "DescribeReplicationBackfillResults": [
            {"replicationBackfillId": backfill["replicationBackfillId"]} for backfill in registry.backfills
        ],
        "DescribeImages": [{**repository, "filter": {"imageStatus": "ANY"}} for repository in repositories],
        "GetLifecyclePolicy": repositories,
        "GetRepositoryPolicy": repositories,
        "GetLifecyclePolicyPreview": repositories,
        "ListTagsForResource": arns,
        "BatchGetRepositoryScanningConfiguration": [{"repositoryNames": [*names, "unknown"]}],
        "DescribeImageScanFindings": [*by_digest, *by_tag],
        "DescribeImageReplicationStatus": [*by_digest, *by_tag],
        "DescribeImageSigningStatus": [*by_digest, *by_tag],
        "ListImageReferrers": [
            {"repositoryName": one["repositoryName"], "subjectId": one["imageId"], "filter": {"artifactStatus": "ANY"}}
            for one in by_digest
        ],
        "BatchGetImage": [
            {"repositoryName": one["repositoryName"], "imageIds": [one["imageId"], unknown]}
            for one in [*by_digest, *by_tag]
        ],
    }
    ecr_public: dict[str, list[Item]] = {
        "DescribeRegistries": [{}],
        "GetRegistryCatalogData": [{}],
        "DescribeRepositories": [{}],
        "DescribeImages": public,
        "DescribeImageTags": public,
        "GetRepositoryCatalogData": public,
        "GetRepositoryPolicy": public,
        "ListTagsForResource": public_arns,
    }
    others: dict[tuple[str, str], list[Item]] = {
        ("resourcegroupstaggingapi", "GetResources"): [{"ResourceTypeFilters": ["ecr:repository"]}],
        ("inspector2", "ListFindings"): [{}],
        ("inspector2", "ListCoverage"): [{}],
        ("inspector2", "GetClustersForImage"): [
            {"filter": {"resourceId": f"{registry.repository_arn(name)}/{image['imageDigest']}"}}
            for name, image in images
        ],
    }
    others |= everything_that_runs(registry.workloads)
    return (
        {("ecr", operation): asked for operation, asked in ecr.items()}
        | {("ecr-public", operation): asked for operation, asked in ecr_public.items()}
        | others
    )


def everything_that_runs(workloads: Workloads) -> dict[tuple[str, str], list[Item]]:
    """The same of ECS and Lambda."""
    clusters = [{"cluster": cluster} for cluster in workloads.clusters]
    functions = [function["Configuration"] for function in workloads.functions]
    return {
        ("ecs", "ListClusters"): [{}],
        ("ecs", "ListTasks"): clusters,
        ("ecs", "DescribeTasks"): [
            {"cluster": task["clusterArn"], "tasks": [task["taskArn"], "unknown"]} for task in workloads.tasks
        ],
        ("ecs", "ListServices"): clusters,
        ("ecs", "DescribeServices"): [
            {"cluster": service["clusterArn"], "services": [service["serviceArn"], "unknown"]}
            for service in workloads.services
        ],
        ("ecs", "DescribeTaskDefinition"): [{"taskDefinition": arn} for arn in workloads.task_definitions],
        ("lambda", "ListFunctions"): [{"FunctionVersion": "ALL"}],
        ("lambda", "GetFunction"): [
            {"FunctionName": one["FunctionName"], "Qualifier": one["Version"]} for one in functions
        ],
    }


OPERATIONS = list(everything(Registry(ACCOUNT, "eu-west-1")))


def pages(client: Any, operation: str, parameters: Item) -> Iterator[Item]:
    """All pages; none where what is asked for does not exist."""
    token = {"GetResources": "PaginationToken", "ListFunctions": "NextMarker"}.get(operation, "nextToken")
    sent = "Marker" if token == "NextMarker" else token
    while True:
        try:
            page = client._make_api_call(operation, parameters)
        except ClientError as failure:
            if failure.response["Error"]["Code"].endswith("NotFoundException"):
                return
            raise
        yield page
        if not page.get(token):
            return
        parameters = {**parameters, sent: page[token]}


def ask_for_everything(boto: Boto, registry: Registry, service: str, operation: str) -> list[Item]:
    client = boto(service, "us-east-1" if service == "ecr-public" else "eu-west-1")
    asked = everything(registry)[service, operation]
    return [page for parameters in asked for page in pages(client, operation, parameters)]


def leaves(shape: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all scalar members below a shape."""
    if path and path[-1] in (*NOT_OF_IMAGES, *NOT_ASKED_FOR):
        return
    if shape.type_name == "structure":
        for member, inner in shape.members.items():
            yield from leaves(inner, (*path, member))
    elif shape.type_name == "list":
        yield from leaves(shape.member, path)
    else:
        yield path


def seen(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all members below a value that are not null; those of maps among them."""
    if isinstance(value, list):
        for inner in value:
            yield from seen(inner, path)
    elif isinstance(value, dict):
        if value:
            yield path
        for member, inner in value.items():
            yield from seen(inner, (*path, member))
    elif value is not None:
        yield path


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_the_maximal_registry_answers_every_member(boto: Boto, maximal: Registry, service: str, operation: str) -> None:
    answers = ask_for_everything(boto, maximal, service, operation)
    signing_name = "tagging" if service == "resourcegroupstaggingapi" else service
    model = service_model(signing_name).operation_model(operation)
    # Of what runs nothing is kept that no column names.
    kept = (tuple(path.replace("[]", "").split(".")) for path in column_paths(service, operation) - {*NOT_ASKED_FOR})
    expected = set(kept if is_secretive(service, operation) else leaves(model.output_shape))
    assert expected
    assert expected - {path for answer in answers for path in seen(answer)} == set()


@pytest.mark.parametrize(("service", "operation"), [one for one in OPERATIONS if one[0] in ("ecs", "lambda")])
def test_what_is_told_of_what_runs_is_what_the_model_allows(
    boto: Boto, maximal: Registry, service: str, operation: str
) -> None:
    shape = service_model(service).operation_model(operation).output_shape
    for answer in ask_for_everything(boto, maximal, service, operation):
        check_request(shape, {name: value for name, value in answer.items() if name != "ResponseMetadata"})


def listed(value: Any) -> Any:
    """`value` with its lists in one order, and without tokens: what pages of one listing have in common."""
    if isinstance(value, dict):
        return {member: listed(inner) for member, inner in sorted(value.items()) if member != "ResponseMetadata"}
    if isinstance(value, list):
        return sorted((listed(inner) for inner in value), key=repr)
    return value


def items(answers: list[Item]) -> list[str]:
    """The leaves of all lists of the answers, whatever pages they came on."""
    found: list[str] = []
    for answer in answers:
        listing = answer.get("imageScanFindings", answer)
        found += [repr(listed(one)) for value in listing.values() if isinstance(value, list) for one in value]
    return sorted(found)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_small_shuffled_pages_hold_what_large_pages_hold(
    server: EcrServer, boto: Boto, maximal: Registry, service: str, operation: str
) -> None:
    expected = items(ask_for_everything(boto, maximal, service, operation))
    server.page_size, server.empty_pages, server.shuffle = 1, True, random.Random(7)
    assert items(ask_for_everything(boto, maximal, service, operation)) == expected


def test_a_shuffle_reaches_every_depth_but_rules_and_texts(server: EcrServer, boto: Boto, maximal: Registry) -> None:
    server.shuffle = random.Random(1)
    rules, policies, tags = set(), set(), set()
    for _ in range(20):
        answer = boto().describe_registry()["replicationConfiguration"]["rules"]
        rules.add(tuple(destination["region"] for rule in answer for destination in rule["destinations"]))
        policies.add(boto().get_repository_policy(repositoryName=API)["policyText"])
        finding = boto("inspector2").list_findings()["findings"][0]
        tags.add(tuple(finding["resources"][0]["details"]["awsEcrContainerImage"]["imageTags"]))
    assert rules == {
        ("us-east-1", "eu-central-1", "ap-southeast-2"),
        ("eu-central-1", "us-east-1", "ap-southeast-2"),
    }
    assert policies == {maximal.policies[API]}
    assert len(tags) > 1


def test_the_maximal_registry_has_documents_that_do_not_parse(maximal: Registry) -> None:
    for texts in (maximal.policies, maximal.lifecycle_policies):
        with pytest.raises(json.JSONDecodeError):
            json.loads(texts["platform/base-images"])
        assert json.loads(texts[API])


# --- what does not exist ---------------------------------------------------------------------------------------------

OF_A_REPOSITORY: dict[str, Item] = {
    "DescribeImages": {},
    "GetLifecyclePolicy": {},
    "GetRepositoryPolicy": {},
    "GetLifecyclePolicyPreview": {},
    "BatchGetImage": {"imageIds": [{"imageTag": "latest"}]},
    "DescribeImageScanFindings": {"imageId": {"imageTag": "latest"}},
    "DescribeImageReplicationStatus": {"imageId": {"imageTag": "latest"}},
    "DescribeImageSigningStatus": {"imageId": {"imageTag": "latest"}},
    "ListImageReferrers": {"subjectId": {"imageDigest": "sha256:0"}},
}


@pytest.mark.parametrize("operation", OF_A_REPOSITORY)
def test_an_unknown_repository_is_not_found(boto: Boto, operation: str) -> None:
    parameters = {"repositoryName": "unknown", **OF_A_REPOSITORY[operation]}
    assert code_of(boto()._make_api_call, operation_name=operation, api_params=parameters) == (
        "RepositoryNotFoundException"
    )


@pytest.mark.parametrize(
    "operation", [name for name in OF_A_REPOSITORY if name.startswith(("DescribeImageS", "ListI"))]
)
def test_an_unknown_image_is_not_found(boto: Boto, registry: Registry, operation: str) -> None:
    registry.put(API)
    parameters = {"repositoryName": API, **OF_A_REPOSITORY[operation]}
    assert code_of(boto()._make_api_call, operation_name=operation, api_params=parameters) == "ImageNotFoundException"


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("get_registry_policy", "RegistryPolicyNotFoundException"),
        ("get_signing_configuration", "SigningConfigurationNotFoundException"),
        ("get_lifecycle_policy", "LifecyclePolicyNotFoundException"),
        ("get_repository_policy", "RepositoryPolicyNotFoundException"),
        ("get_lifecycle_policy_preview", "LifecyclePolicyPreviewNotFoundException"),
        ("describe_image_scan_findings", "ScanNotFoundException"),
    ],
)
def test_what_a_repository_or_registry_does_not_have_is_not_found(
    boto: Boto, registry: Registry, operation: str, code: str
) -> None:
    registry.put(API)
    parameters: Item = {} if operation.endswith(("registry_policy", "configuration")) else {"repositoryName": API}
    if operation == "describe_image_scan_findings":
        parameters["imageId"] = {"imageDigest": registry.put_image(API)["imageDigest"]}
    assert code_of(getattr(boto(), operation), **parameters) == code


def test_a_deleted_repository_takes_its_children_along(boto: Boto, maximal: Registry) -> None:
    created_at = maximal.repositories["team-a/web"]["createdAt"]
    del maximal.repositories["team-a/web"]
    assert boto("inspector2").list_findings()["findings"] == []
    assert code_of(boto().describe_images, repositoryName="team-a/web") == "RepositoryNotFoundException"
    maximal.put("team-a/web", created_at + 1)
    assert boto().describe_images(repositoryName="team-a/web")["imageDetails"] == []
    assert code_of(boto().get_repository_policy, repositoryName="team-a/web") == "RepositoryPolicyNotFoundException"


def test_a_deleted_image_takes_its_scan_along(boto: Boto, maximal: Registry) -> None:
    digest = next(digest for name, digest in maximal.scans if name == "team-a/web")
    maximal.delete_image("team-a/web", digest)
    maximal.put_image("team-a/web", digest)
    asked = {"repositoryName": "team-a/web", "imageId": {"imageDigest": digest}}
    assert code_of(boto().describe_image_scan_findings, **asked) == "ScanNotFoundException"


# --- images, scans and findings --------------------------------------------------------------------------------------


def test_only_active_images_are_listed_unless_all_are_asked_for(
    server: EcrServer, boto: Boto, maximal: Registry
) -> None:
    def statuses(**filters: str) -> set[str]:
        answer = boto().describe_images(repositoryName=API, **({"filter": filters} if filters else {}))
        return {image["imageStatus"] for image in answer["imageDetails"]}

    assert statuses() == {"ACTIVE"}
    assert statuses(imageStatus="ANY") == {"ACTIVE", "ARCHIVED", "ACTIVATING"}
    server.reject_image_status_filter = True
    asked = {"repositoryName": API, "filter": {"imageStatus": "ANY"}}
    assert code_of(boto().describe_images, **asked) == "InvalidParameterException"
    assert statuses() == {"ACTIVE"}


def test_a_tag_moves_to_the_image_that_is_pushed_with_it(boto: Boto, registry: Registry) -> None:
    registry.put(API)
    older, newer = (registry.put_image(API, tags=["latest"])["imageDigest"] for _ in range(2))
    answer = boto().describe_images(repositoryName=API)["imageDetails"]
    assert {image["imageDigest"]: image.get("imageTags") for image in answer} == {older: None, newer: ["latest"]}


def test_enhanced_findings_come_by_the_hundred_at_most_with_the_scan_on_every_page(
    boto: Boto, registry: Registry
) -> None:
    registry.put(API)
    digest = registry.put_image(API)["imageDigest"]
    findings = [enhanced_finding(f"CVE-{number}", [package("zlib", "1")]) for number in range(230)]
    registry.scan(API, digest, enhanced=findings, status="ACTIVE", completed_at=1_700_000_000)
    asked = {"repositoryName": API, "imageId": {"imageDigest": digest}, "maxResults": 1000}
    answers = list(pages(boto(), "DescribeImageScanFindings", asked))
    assert [len(page["imageScanFindings"]["enhancedFindings"]) for page in answers] == [100, 100, 30]
    assert {page["imageScanFindings"]["imageScanCompletedAt"].timestamp() for page in answers} == {1_700_000_000}
    assert {page["imageScanStatus"]["status"] for page in answers} == {"ACTIVE"}


def test_basic_findings_come_by_the_thousand(boto: Boto, registry: Registry) -> None:
    registry.put(API)
    digest = registry.put_image(API)["imageDigest"]
    registry.scan(API, digest, [basic_finding(f"CVE-{number}", "zlib", "1") for number in range(1200)])
    asked = {"repositoryName": API, "imageId": {"imageDigest": digest}, "maxResults": 1000}
    answers = list(pages(boto(), "DescribeImageScanFindings", asked))
    assert [len(page["imageScanFindings"]["findings"]) for page in answers] == [1000, 200]


def test_inspector_tells_the_findings_that_the_scan_of_the_image_tells(boto: Boto, maximal: Registry) -> None:
    digest = next(digest for name, digest in maximal.scans if name == "team-a/web")
    asked = {"repositoryName": "team-a/web", "imageId": {"imageDigest": digest}}
    told = boto().describe_image_scan_findings(**asked)["imageScanFindings"]["enhancedFindings"]
    findings = boto("inspector2").list_findings(
        filterCriteria={
            "resourceType": [{"comparison": "EQUALS", "value": "AWS_ECR_CONTAINER_IMAGE"}],
            "ecrImageHash": [{"comparison": "EQUALS", "value": digest}],
        }
    )["findings"]
    assert [(one["findingArn"], one["inspectorScore"]) for one in findings] == [
        (one["findingArn"], one["score"]) for one in told
    ]
    assert findings[0]["remediation"]["recommendation"]["Url"] == told[0]["remediation"]["recommendation"]["url"]


def test_inspector_filters_by_status_and_repository(boto: Boto, maximal: Registry) -> None:
    def statuses(**wanted: str) -> list[str]:
        criteria = {name: [{"comparison": "EQUALS", "value": value}] for name, value in wanted.items()}
        return [one["status"] for one in boto("inspector2").list_findings(filterCriteria=criteria)["findings"]]

    assert statuses(findingStatus="ACTIVE") == ["ACTIVE"] * 3
    assert statuses(findingStatus="SUPPRESSED", ecrImageRepositoryName="team-a/web") == ["SUPPRESSED"]
    assert statuses(ecrImageRepositoryName=API) == []
    asked = {"filterCriteria": {"networkProtocol": [{"comparison": "EQUALS", "value": "TCP"}]}}
    assert code_of(boto("inspector2").list_findings, **asked) == "ValidationException"


def test_images_that_do_not_exist_are_failures_of_batch_get_image(boto: Boto, maximal: Registry) -> None:
    answer = boto().batch_get_image(repositoryName=API, imageIds=[{"imageTag": "2.0"}, {"imageTag": "unknown"}])
    (image,) = answer["images"]
    assert len(json.loads(image["imageManifest"])["manifests"]) == 3
    assert [failure["failureCode"] for failure in answer["failures"]] == ["ImageNotFound"]


# --- the other services ----------------------------------------------------------------------------------------------


def test_tagging_lists_the_tagged_repositories_of_its_region_and_ends_with_an_empty_token(
    server: EcrServer, boto: Boto, maximal: Registry
) -> None:
    server.registry("us-east-1").put("elsewhere")
    server.registry("us-east-1").tags["elsewhere"] = {"a": "b"}
    asked = {"ResourceTypeFilters": ["ecr:repository"], "ResourcesPerPage": 2}
    answers = list(pages(boto("resourcegroupstaggingapi"), "GetResources", asked))
    assert [len(page["ResourceTagMappingList"]) for page in answers] == [2, 1]
    assert answers[-1]["PaginationToken"] == ""
    asked["ResourcesPerPage"] = 101
    assert code_of(boto("resourcegroupstaggingapi").get_resources, **asked) == "InvalidParameterException"


def test_ecr_public_answers_in_us_east_1_only_and_is_counted_apart(server: EcrServer, boto: Boto) -> None:
    server.registry("eu-west-1").public.put("cli")
    (repository,) = boto("ecr-public", "us-east-1").describe_repositories()["repositories"]
    assert repository["repositoryName"] == "cli"
    assert code_of(boto("ecr-public", "us-west-2").describe_repositories) == "UnsupportedCommandException"
    assert server.calls == {"ecr-public:DescribeRepositories": 2}


def test_sts_tells_the_account(boto: Boto) -> None:
    assert boto("sts").get_caller_identity()["Account"] == ACCOUNT


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code"),
    [
        ("ecr", "DescribeImages", {}, "InvalidParameterException"),
        ("ecr", "DescribeImages", {"repositoryName": API, "maxResults": 1001}, "InvalidParameterException"),
        ("ecr", "DescribeImages", {"repositoryName": API, "nextToken": "?"}, "InvalidParameterException"),
        ("ecr", "DescribeImages", {"repositoryName": API, "filter": {"tagStatus": "?"}}, "InvalidParameterException"),
        (
            "ecr",
            "BatchGetRepositoryScanningConfiguration",
            {"repositoryNames": ["ab"] * 26},
            "InvalidParameterException",
        ),
        ("ecr", "ListImageReferrers", {"repositoryName": API, "maxResults": 51}, "InvalidParameterException"),
        ("ecr-public", "DescribeImages", {"repositoryName": "a"}, "InvalidParameterException"),
        ("inspector2", "ListFindings", {"maxResults": 101}, "ValidationException"),
        ("ecr", "PutImage", {"repositoryName": API, "imageManifest": "{}"}, "UnknownOperationException"),
        ("inspector2", "ListMembers", {}, "UnknownOperationException"),
    ],
)
def test_requests_are_checked_against_the_model_and_counted(
    server: EcrServer, boto: Boto, maximal: Registry, service: str, operation: str, parameters: Item, code: str
) -> None:
    client = boto(service, "us-east-1" if service == "ecr-public" else "eu-west-1")
    if service == "ecr-public":
        server.registry("us-east-1")
    assert code_of(client._make_api_call, operation_name=operation, api_params=parameters) == code
    assert server.calls.total() == 1


# --- faults and rates ------------------------------------------------------------------------------------------------


def test_a_fault_can_be_of_one_repository_or_image(server: EcrServer, boto: Boto, maximal: Registry) -> None:
    server.fail(DENIED, operation="DescribeImages", repository=API)
    server.fail(DENIED, operation="ListTagsForResource", repository=API)
    assert code_of(boto().describe_images, repositoryName=API) == "AccessDeniedException"
    arn = maximal.repositories[API]["repositoryArn"]
    assert code_of(boto().list_tags_for_resource, resourceArn=arn) == "AccessDeniedException"
    assert boto().describe_images(repositoryName="team-a/web")["imageDetails"]
    one, other, *_ = maximal.images[API]
    server.fail(BROKEN, operation="DescribeImageSigningStatus", image=one, times=1)
    asked = [{"repositoryName": API, "imageId": {"imageDigest": digest}} for digest in (other, one)]
    assert boto().describe_image_signing_status(**asked[0])["signingStatuses"] == []
    assert code_of(boto().describe_image_signing_status, **asked[1]) == "ServerException"
    assert boto().describe_image_signing_status(**asked[1])["signingStatuses"]


def test_a_fault_of_ecr_public_leaves_ecr_alone(server: EcrServer, boto: Boto) -> None:
    server.fail(DENIED, operation="ecr-public:DescribeRepositories")
    assert code_of(boto("ecr-public", "us-east-1").describe_repositories) == "AccessDeniedException"
    assert boto().describe_repositories()["repositories"] == []


def test_every_operation_has_a_bucket_of_its_own_and_one_can_be_changed(
    server: EcrServer, boto: Boto, maximal: Registry
) -> None:
    server.throttle = (0.0, 1.0)
    server.set_rate("DescribeRegistry", 0.0, 3.0)
    client = boto()
    assert client.describe_repositories()
    assert code_of(client.describe_repositories) == "ThrottlingException"
    assert boto("inspector2").list_findings()
    assert code_of(boto("inspector2").list_findings) == "ThrottlingException"
    for _ in range(3):
        client.describe_registry()
    assert code_of(client.describe_registry) == "ThrottlingException"
    server.set_rate("DescribeRegistry", 1000.0, 5.0)
    time.sleep(0.01)
    assert client.describe_registry()
    assert boto("sts").get_caller_identity()


def test_answers_are_not_delayed_by_one_another(server: EcrServer, boto: Boto, monkeypatch: pytest.MonkeyPatch) -> None:
    all_wait, slept = threading.Barrier(5), []

    def sleep_with_the_others(seconds: float) -> None:
        all_wait.wait(60)
        slept.append(seconds)

    monkeypatch.setattr("tests.server.ecr_server.time", SimpleNamespace(sleep=sleep_with_the_others))
    server.delay = 0.2
    client = boto()
    threads = [threading.Thread(target=client.describe_repositories) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slept == [0.2] * 5


# --- for benchmarks --------------------------------------------------------------------------------------------------


def test_filled_repositories_have_the_images_that_were_asked_for(
    server: EcrServer, boto: Boto, registry: Registry
) -> None:
    registry.fill_images(3, 1203)
    server.answers = {}
    name = list(registry.repositories)[1]
    asked = {"repositoryName": name, "maxResults": 1000, "filter": {"imageStatus": "ANY"}}
    images = [image for page in pages(boto(), "DescribeImages", asked) for image in page["imageDetails"]]
    assert len({image["imageDigest"] for image in images}) == 1203
    assert {len(image.get("imageTags", ())) for image in images} == {0, 1, 2, 3}
    image_id = {"imageDigest": images[1200]["imageDigest"]}
    scan = boto().describe_image_scan_findings(repositoryName=name, imageId=image_id)
    assert scan["imageId"] == image_id
    assert len(scan["imageScanFindings"]["findings"]) == 3
    assert boto().batch_get_image(repositoryName=name, imageIds=[image_id])["images"]
    assert boto().get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
    assert boto().list_tags_for_resource(resourceArn=registry.repositories[name]["repositoryArn"])["tags"]
    unknown = {"imageDigest": "sha256:" + images[1200]["imageDigest"][7:-1] + "?"}
    asked = {"repositoryName": name, "imageId": unknown}
    assert code_of(boto().describe_image_scan_findings, **asked) == "ImageNotFoundException"


def test_a_filled_repository_can_be_changed(server: EcrServer, boto: Boto, registry: Registry) -> None:
    registry.fill_images(1, 10)
    (name,) = registry.repositories
    first, *_ = registry.images_of(name)
    registry.delete_image(name, first)
    added = registry.put_image(name, tags=["new"])["imageDigest"]
    images = boto().describe_images(repositoryName=name)["imageDetails"]
    assert len(images) == 10
    assert images[-1]["imageDigest"] == added
    assert first not in {image["imageDigest"] for image in images}
    asked = {"repositoryName": name, "imageId": {"imageDigest": first}}
    assert code_of(boto().describe_image_scan_findings, **asked) == "ImageNotFoundException"


def test_the_command_serves_a_filled_registry() -> None:
    options = {"--repositories": "2", "--images": "5", "--latency": "0.001", "--rate": "1", "--burst": "2"}
    command = [sys.executable, "-m", "tests.server.ecr_server", *(part for pair in options.items() for part in pair)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            config = Config(retries={"total_max_attempts": 1})
            client = boto3.client("ecr", region_name="eu-west-1", endpoint_url=url, config=config)
            names = [one["repositoryName"] for one in client.describe_repositories()["repositories"]]
            assert [len(client.describe_images(repositoryName=name)["imageDetails"]) for name in names] == [5, 5]
            assert code_of(client.describe_images, repositoryName=names[0]) == "ThrottlingException"
        finally:
            process.terminate()


def test_a_connection_carries_many_requests(server: EcrServer, registry: Registry) -> None:
    registry.put(API)
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    scope = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20261123/eu-west-1/ecr/aws4_request, Signature=0"
    headers = {"Authorization": scope, "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"}
    connection.connect()
    socket = connection.sock
    for _ in range(3):
        connection.request("POST", "/", b"{}", headers)
        with connection.getresponse() as response:
            assert [one["repositoryName"] for one in json.load(response)["repositories"]] == [API]
        assert connection.sock is socket
    connection.close()
