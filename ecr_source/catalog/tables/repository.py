"""Repositories: their listing, their tags, their scanning configuration."""

from __future__ import annotations

from ecr_source.catalog.column import ArnField, Asked, Member, Namespace, OfParent, OfScope
from ecr_source.catalog.table import EachRow, Filling, Operation, Table

DESCRIBE_REPOSITORIES = Operation("ecr", "DescribeRepositories", page_size=1000, names="repositoryNames")

REGISTRY_ID = OfScope("registry_id", told_by=Member("registryId"))
REGION = OfScope("region", told_by=ArnField("repositoryArn", "region"))

REPOSITORIES = Table(
    name="repositories",
    description="One row per repository of a private registry.",
    operation=DESCRIBE_REPOSITORIES,
    rows="repositories[]",
    key=("registry_id", "region", "repository_name"),
    cursor="created_at",
    columns={
        "registry_id": REGISTRY_ID,
        "region": REGION,
        "repository_name": "repositoryName",
        "repository_arn": "repositoryArn",
        "partition": ArnField("repositoryArn", "partition"),
        "namespace": Namespace("repositoryName"),
        "repository_uri": "repositoryUri",
        "created_at": "createdAt",
        "image_tag_mutability": "imageTagMutability",
        "scan_on_push": "imageScanningConfiguration.scanOnPush",
        "encryption_type": Member("encryptionConfiguration.encryptionType", "AES256, KMS or KMS_DSSE."),
        "kms_key": Member("encryptionConfiguration.kmsKey", "The ARN of the key, where it is encrypted with KMS."),
    },
)

REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS = Table(
    name="repository_tag_mutability_exclusion_filters",
    description="One row per filter that excepts image tags from a repository's tag mutability setting.",
    operation=DESCRIBE_REPOSITORIES,
    rows="repositories[].imageTagMutabilityExclusionFilters[]",
    key=("registry_id", "region", "repository_name", "filter_type", "filter"),
    cursor="repository_created_at",
    columns={
        "registry_id": OfParent(REGISTRY_ID),
        "region": OfParent(REGION),
        "repository_name": OfParent(Member("repositoryName")),
        "repository_created_at": OfParent(Member("createdAt")),
        "filter_type": "filterType",
        "filter": "filter",
    },
)

LIST_TAGS_FOR_RESOURCE = Operation(
    "ecr", "ListTagsForResource", each=EachRow(REPOSITORIES, {"resourceArn": "repository_arn"})
)

# A hundred repositories a call instead of one.
GET_RESOURCES = Operation(
    "resourcegroupstaggingapi",
    "GetResources",
    page_size=100,
    token="PaginationToken",  # noqa: S106 (no secret)
    limit="ResourcesPerPage",
    parameters={"ResourceTypeFilters": ["ecr:repository"]},
    instead=LIST_TAGS_FOR_RESOURCE,
)

REPOSITORY_TAGS = Table(
    name="repository_tags",
    description="One row per resource tag of a repository.",
    operation=GET_RESOURCES,
    rows="ResourceTagMappingList[].Tags[]",
    key=("registry_id", "region", "repository_name", "tag_key"),
    columns={
        "registry_id": OfScope("registry_id"),
        "region": OfParent(OfScope("region", told_by=ArnField("ResourceARN", "region"))),
        "repository_name": OfParent(ArnField("ResourceARN", "resource", "The name of the repository.")),
        "tag_key": "Key",
        "tag_value": "Value",
    },
    also=(
        Filling(
            LIST_TAGS_FOR_RESOURCE,
            "tags[]",
            {
                "registry_id": OfScope("registry_id"),
                "region": OfScope("region"),
                "repository_name": Asked("repository_name"),
                "tag_key": "Key",
                "tag_value": "Value",
            },
        ),
    ),
    left_out={
        f"ResourceTagMappingList[].ComplianceDetails.{member}": "of tag policies, sent only when asked for"
        for member in ("NoncompliantKeys[]", "KeysWithNoncompliantValues[]", "MissingTagKeys[]", "ComplianceStatus")
    },
)

BATCH_GET_REPOSITORY_SCANNING_CONFIGURATION = Operation(
    "ecr",
    "BatchGetRepositoryScanningConfiguration",
    each=EachRow(REPOSITORIES, {"repositoryNames[]": "repository_name"}, at_a_time=25),
    failures="failures",
)

REPOSITORY_SCANNING_CONFIGURATIONS = Table(
    name="repository_scanning_configurations",
    description="One row per repository: how its images are scanned, the registry's rules included.",
    operation=BATCH_GET_REPOSITORY_SCANNING_CONFIGURATION,
    rows="scanningConfigurations[]",
    key=("registry_id", "region", "repository_name"),
    columns={
        "registry_id": OfScope("registry_id"),
        "region": REGION,
        "repository_name": "repositoryName",
        "repository_arn": "repositoryArn",
        "scan_on_push": "scanOnPush",
        "scan_frequency": "scanFrequency",
    },
    left_out={
        "failures[].repositoryName": "in extraction_errors",
        "failures[].failureCode": "in extraction_errors",
        "failures[].failureReason": "in extraction_errors",
    },
)

REPOSITORY_SCANNING_FILTERS = Table(
    name="repository_scanning_filters",
    description="One row per filter of the registry's scanning rules that applies to a repository.",
    operation=BATCH_GET_REPOSITORY_SCANNING_CONFIGURATION,
    rows="scanningConfigurations[].appliedScanFilters[]",
    key=("registry_id", "region", "repository_name", "filter_type", "filter"),
    columns={
        "registry_id": OfScope("registry_id"),
        "region": OfParent(REGION),
        "repository_name": OfParent(Member("repositoryName")),
        "filter_type": "filterType",
        "filter": "filter",
    },
)

REPOSITORY_TABLES = [
    REPOSITORIES,
    REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS,
    REPOSITORY_TAGS,
    REPOSITORY_SCANNING_CONFIGURATIONS,
    REPOSITORY_SCANNING_FILTERS,
]
