"""What runs an image: how many tasks and pods, as Inspector counts them, and in which clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ecr_source.catalog.column import ArnField, Asked, Joined, Member, OfParent, OfScope, Source
from ecr_source.catalog.table import AskAgain, EachRow, Operation, Table
from ecr_source.catalog.tables.image import ASKED_IMAGE, IMAGE_KEY
from ecr_source.catalog.tables.image_scans import LIST_COVERAGE

# Of its own: whoever has the findings from ECR calls the other one not at all.
LIST_COVERAGE_OF_USAGE = replace(LIST_COVERAGE, instead=None)

IMAGE_USAGE = Table(
    name="image_usage",
    description="One row per image that Inspector covers: how many tasks and pods run it, and when one was last seen."
    " Inspector looks at ECS and EKS, not at Lambda; an image without a row is one that it does not cover.",
    operation=LIST_COVERAGE_OF_USAGE,
    rows="coveredResources[]",
    key=IMAGE_KEY,
    columns={
        "registry_id": OfScope("registry_id"),
        "region": OfScope("region", told_by=ArnField("resourceId", "region")),
        "repository_name": ArnField("resourceId", "resource", "The repository of the image."),
        "image_digest": ArnField("resourceId", "digest", "The digest of the image."),
        "image_arn": Member("resourceId", "The ARN of the image."),
        "in_use_count": Member(
            "resourceMetadata.ecrImage.inUseCount",
            "How many ECS tasks and EKS pods run the image; NULL where Inspector does not say.",
        ),
        "last_in_use_at": Member(
            "resourceMetadata.ecrImage.lastInUseAt", "When the image was last used by a task or a pod (UTC)."
        ),
        "image_pulled_at": Member("resourceMetadata.ecrImage.imagePulledAt", "When the image was last pulled (UTC)."),
    },
    left_out={
        f"coveredResources[].{path}": "image_scans has it, or it is the same for each image"
        for path in (
            "resourceType",
            "accountId",
            "scanType",
            "scanMode",
            "scanStatus.statusCode",
            "scanStatus.reason",
            "lastScannedAt",
            "resourceMetadata.ecrRepository.name",
            "resourceMetadata.ecrRepository.scanFrequency",
            "resourceMetadata.ecrImage.tags[]",
        )
    },
    volatile=frozenset({"last_in_use_at", "image_pulled_at"}),
)

GET_CLUSTERS_FOR_IMAGE = Operation(
    "inspector2",
    "GetClustersForImage",
    page_size=100,
    each=EachRow(IMAGE_USAGE, {"filter.resourceId": "image_arn"}),
    again=AskAgain(changed="in_use_count", above_zero="in_use_count"),
)

_DETAILS = "cluster[].clusterDetails[]"
_ECS = "clusterMetadata.awsEcsMetadataDetails"
_EKS = "clusterMetadata.awsEksMetadataDetails"
_USED_BY_ID = Joined(
    tuple(map(Member, (f"{_ECS}.taskDefinitionArn", f"{_ECS}.detailsGroup", f"{_EKS}.namespace"))),
    "Tells apart what uses an image in one cluster: the task definition and group of ECS, or the namespace of EKS.",
)


_CLUSTER_ARN = Member("clusterArn", "The cluster of ECS or EKS.")
_ASKED_IMAGE: Mapping[str, str | Source] = {**ASKED_IMAGE, "image_arn": Asked("image_arn")}

IMAGE_CLUSTERS = Table(
    name="image_clusters",
    description="One row per image in use, cluster, and task definition or namespace that uses it there.",
    operation=GET_CLUSTERS_FOR_IMAGE,
    rows=_DETAILS,
    outer=True,
    key=(*IMAGE_KEY, "cluster_arn", "used_by_id"),
    columns={
        **_ASKED_IMAGE,
        "cluster_arn": OfParent(_CLUSTER_ARN),
        "used_by_id": _USED_BY_ID,
        "running_unit_count": "runningUnitCount",
        "stopped_unit_count": "stoppedUnitCount",
        "last_in_use_at": "lastInUse",
        "ecs_task_definition_arn": f"{_ECS}.taskDefinitionArn",
        "ecs_group": f"{_ECS}.detailsGroup",
        "eks_namespace": f"{_EKS}.namespace",
    },
    volatile=frozenset({"running_unit_count", "stopped_unit_count", "last_in_use_at"}),
)

IMAGE_CLUSTER_WORKLOADS = Table(
    name="image_cluster_workloads",
    description="One row per image in use, EKS cluster, namespace and workload that uses it there.",
    operation=GET_CLUSTERS_FOR_IMAGE,
    rows=f"{_DETAILS}.{_EKS}.workloadInfoList[]",
    key=(*IMAGE_KEY, "cluster_arn", "eks_namespace", "workload_type", "workload_name"),
    columns={
        **_ASKED_IMAGE,
        "cluster_arn": OfParent(OfParent(_CLUSTER_ARN)),
        "eks_namespace": OfParent(Member(f"{_EKS}.namespace")),
        "workload_type": "type",
        "workload_name": "name",
    },
)

USAGE_TABLES = [IMAGE_USAGE, IMAGE_CLUSTERS, IMAGE_CLUSTER_WORKLOADS]
