"""moto's registry as a second opinion, end to end."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import boto3
import dlt
import pytest

from ecr_source import catalog, ecr_source, read_outcome
from ecr_source.catalog.table import Operation
from tests.conftest import RUN, Row

REGION = "eu-west-1"
REGISTRY = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"

Query = Callable[[str], list[Row]]


@pytest.fixture
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    # moto keeps its state in the process.
    urlopen(Request(f"{url}/moto-api/reset", method="POST")).close()
    yield url
    server.stop()


@pytest.fixture
def client(moto_url: str) -> Any:
    """boto3's own client on a registry with two repositories, images, policies and scans."""
    client = boto3.client("ecr", region_name=REGION, endpoint_url=moto_url)
    client.create_repository(
        repositoryName="team/api",
        imageScanningConfiguration={"scanOnPush": True},
    )
    client.create_repository(
        repositoryName="team/web",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
    )
    for tag in ("v1", "v2", "latest"):
        client.put_image(repositoryName="team/api", imageManifest=manifest(tag), imageTag=tag)
    client.start_image_scan(repositoryName="team/api", imageId={"imageTag": "v1"})
    client.put_lifecycle_policy(repositoryName="team/web", lifecyclePolicyText=json.dumps(LIFECYCLE_POLICY))
    client.set_repository_policy(repositoryName="team/web", policyText=json.dumps(POLICY))
    client.put_registry_policy(policyText=json.dumps(REGISTRY_POLICY))
    client.put_replication_configuration(
        replicationConfiguration={"rules": [{"destinations": [{"region": "us-east-1", "registryId": "210987654321"}]}]}
    )
    client.put_registry_scanning_configuration(scanType="BASIC", rules=[])
    run_images(moto_url)
    return client


def run_images(moto_url: str) -> None:
    """Two tasks of ECS, a service, and a function of Lambda in two versions, beside one that is no image."""
    ecs, ec2, functions, iam = (
        boto3.client(service, region_name=REGION, endpoint_url=moto_url) for service in ("ecs", "ec2", "lambda", "iam")
    )
    ecs.create_cluster(clusterName="blue")
    environment = [{"name": "PASSWORD", "value": "hunter2"}]
    container = {"name": "web", "image": f"{REGISTRY}/team/api:v1", "memory": 100, "environment": environment}
    ecs.register_task_definition(family="web", containerDefinitions=[container])
    ecs.create_service(cluster="blue", serviceName="web", taskDefinition="web", desiredCount=1)
    subnets = [ec2.describe_subnets()["Subnets"][0]["SubnetId"]]
    network = {"awsvpcConfiguration": {"subnets": subnets}}
    ecs.run_task(cluster="blue", taskDefinition="web", launchType="FARGATE", networkConfiguration=network, count=2)
    role = iam.create_role(RoleName="function", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    code = {"ImageUri": f"{REGISTRY}/team/api:v2"}
    functions.create_function(FunctionName="resize", Role=role, PackageType="Image", Code=code)
    functions.publish_version(FunctionName="resize")
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("cron.py", "")
    code_of_cron = {"ZipFile": zipped.getvalue()}
    functions.create_function(FunctionName="cron", Role=role, Runtime="python3.13", Handler="cron", Code=code_of_cron)


def manifest(layer: str) -> str:
    digest = f"sha256:{layer.encode().hex():0<64}"
    part = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 1000, "digest": digest}
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 10, "digest": digest},
            "layers": [part],
        }
    )


LIFECYCLE_POLICY = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5},
            "action": {"type": "expire"},
        }
    ]
}
POLICY = {
    "Version": "2012-10-17",
    "Statement": {"Sid": "pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"},
}
REGISTRY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
            "Action": ["ecr:ReplicateImage"],
            "Resource": [f"arn:aws:ecr:{REGION}:123456789012:repository/*"],
        }
    ],
}

# What moto does not serve: it answers with a Python error.
NOT_SERVED = {
    "DescribeRepositoryCreationTemplates",
    "DescribePullThroughCacheRules",
    "GetAccountSetting",
    "GetLifecyclePolicyPreview",
    "GetSigningConfiguration",
    "ListPullTimeUpdateExclusions",
    "ListReplicationBackfills",
    "DescribeImageReplicationStatus",
    "DescribeImageSigningStatus",
    "ListImageReferrers",
}


def served(operation: Operation) -> bool:
    return operation.service != "ecr-public" and operation.name not in NOT_SERVED


@pytest.fixture
def loaded(client: Any, moto_url: str, pipeline: dlt.Pipeline, query: Query) -> Query:
    """The database after a load of all tables that moto can fill."""
    tables = [t.name for t in catalog.TABLES if all(served(o) for o in catalog.operations_of([t]))]
    source = ecr_source(regions=[REGION], endpoint_url=moto_url, moves_last_recorded_pull_time=True)
    pipeline.run(source.with_resources(*tables, *RUN))
    assert not read_outcome(pipeline).incomplete
    return query


def test_what_boto3_created_is_what_the_tables_hold(client: Any, loaded: Query) -> None:
    listed = sorted(client.describe_repositories()["repositories"], key=lambda item: item["repositoryName"])
    assert loaded(
        "SELECT repository_arn, repository_uri, created_at, image_tag_mutability, scan_on_push, encryption_type"
        " FROM repositories ORDER BY repository_name"
    ) == [
        (
            item["repositoryArn"],
            item["repositoryUri"],
            item["createdAt"],
            item["imageTagMutability"],
            item["imageScanningConfiguration"]["scanOnPush"],
            item["encryptionConfiguration"]["encryptionType"],
        )
        for item in listed
    ]
    assert loaded("SELECT repository_name, filter FROM repository_tag_mutability_exclusion_filters") == [
        ("team/web", "dev-*")
    ]


@pytest.mark.nightly
def test_images_tags_and_manifests_are_motos(client: Any, loaded: Query) -> None:
    images = client.describe_images(repositoryName="team/api")["imageDetails"]
    assert loaded("SELECT image_digest, image_pushed_at, image_size_in_bytes FROM images ORDER BY ALL") == sorted(
        (image["imageDigest"], image["imagePushedAt"], image["imageSizeInBytes"]) for image in images
    )
    assert loaded("SELECT image_digest, image_tag FROM image_tags ORDER BY ALL") == sorted(
        (image["imageDigest"], tag) for image in images for tag in image["imageTags"]
    )
    assert loaded(
        "SELECT count(*), min(layer_count), sum(size_in_bytes) FROM image_manifests JOIN image_layers"
        " USING (registry_id, region, repository_name, image_digest)"
    ) == [(3, 1, 3000)]


@pytest.mark.nightly
def test_findings_are_motos(client: Any, loaded: Query) -> None:
    scan = client.describe_image_scan_findings(repositoryName="team/api", imageId={"imageTag": "v1"})
    findings = scan["imageScanFindings"]["findings"]
    assert loaded("SELECT vulnerability_id, severity, package_name, package_version FROM image_scan_findings") == [
        (
            finding["name"],
            finding["severity"],
            *(
                next(a["value"] for a in finding["attributes"] if a["key"] == key)
                for key in ("package_name", "package_version")
            ),
        )
        for finding in findings
    ]
    assert loaded("SELECT fetch_outcome, count(*) FROM image_scans GROUP BY ALL ORDER BY ALL") == [
        ("complete", 1),
        ("never_scanned", 2),
    ]


def test_registry_and_lifecycle_are_motos(loaded: Query) -> None:
    assert loaded("SELECT repository_name, rule_count, parse_error FROM lifecycle_policies") == [("team/web", 1, None)]
    assert loaded("SELECT destination_region, destination_registry_id FROM replication_rule_destinations") == [
        ("us-east-1", "210987654321")
    ]
    assert loaded("SELECT scan_type FROM registry_scanning_configurations") == [("BASIC",)]


def test_what_ecs_and_lambda_run_is_motos(moto_url: str, loaded: Query) -> None:
    cluster = f"arn:aws:ecs:{REGION}:123456789012:cluster/blue"
    assert loaded(
        "SELECT cluster_arn, started_as, container_name, task_count, image_repository_name, image_tag"
        " FROM ecs_task_containers"
    ) == [(cluster, "family:web", "web", 2, "team/api", "v1")]
    assert loaded(
        "SELECT cluster_arn, service_name, desired_count, container_name, image_registry_id, image_region, image_tag"
        " FROM ecs_service_images"
    ) == [(cluster, "web", 1, "web", "123456789012", REGION, "v1")]
    functions = boto3.client("lambda", region_name=REGION, endpoint_url=moto_url)
    code = functions.get_function(FunctionName="resize")["Code"]
    assert code["ImageUri"].endswith("/team/api:v2")
    assert loaded(
        "SELECT function_name, function_version, image_repository_name, image_digest FROM lambda_function_images"
        " ORDER BY ALL"
    ) == [("resize", version, "team/api", code["ResolvedImageUri"].partition("@")[2]) for version in ("$LATEST", "1")]
