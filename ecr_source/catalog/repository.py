"""Repositories and what their listing carries."""

from __future__ import annotations

from ecr_source.catalog.table import ArnField, Member, Namespace, OfParent, OfScope, Operation, Ordinal, Table

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
        "encryption_type": "encryptionConfiguration.encryptionType",
        "kms_key": "encryptionConfiguration.kmsKey",
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
        "ordinal": Ordinal(),
    },
    volatile=frozenset({"ordinal"}),
)
