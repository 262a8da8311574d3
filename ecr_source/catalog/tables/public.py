"""Public registries (ecr-public): account-wide, asked in us-east-1."""

from __future__ import annotations

from ecr_source.catalog.column import Asked, Member, OfParent, OfScope, Source
from ecr_source.catalog.table import EachRow, Operation, Table
from ecr_source.statuses import NO_POLICY

DESCRIBE_REGISTRIES = Operation("ecr-public", "DescribeRegistries", page_size=1000)
GET_REGISTRY_CATALOG_DATA = Operation("ecr-public", "GetRegistryCatalogData")
DESCRIBE_REPOSITORIES = Operation("ecr-public", "DescribeRepositories", page_size=1000, names="repositoryNames")

KEY = ("registry_id", "repository_name")
REGISTRY_ID = OfScope("registry_id", told_by=Member("registryId"))

PUBLIC_REGISTRIES = Table(
    name="public_registries",
    description="One row per public registry of an account.",
    operation=DESCRIBE_REGISTRIES,
    rows="registries[]",
    key=("registry_id",),
    columns={
        "registry_id": REGISTRY_ID,
        "registry_arn": "registryArn",
        "registry_uri": "registryUri",
        "verified": "verified",
    },
)

PUBLIC_REGISTRY_CATALOG_DATA = Table(
    name="public_registry_catalog_data",
    description="One row per public registry: how it is shown in the gallery.",
    operation=GET_REGISTRY_CATALOG_DATA,
    rows="",
    key=("registry_id",),
    columns={"registry_id": OfScope("registry_id"), "display_name": "registryCatalogData.displayName"},
)

PUBLIC_REGISTRY_ALIASES = Table(
    name="public_registry_aliases",
    description="One row per alias of a public registry.",
    operation=DESCRIBE_REGISTRIES,
    rows="registries[].aliases[]",
    key=("registry_id", "name"),
    columns={
        "registry_id": OfParent(REGISTRY_ID),
        "name": "name",
        "status": "status",
        "primary_registry_alias": "primaryRegistryAlias",
        "default_registry_alias": "defaultRegistryAlias",
    },
)

PUBLIC_REPOSITORIES = Table(
    name="public_repositories",
    description="One row per public repository.",
    operation=DESCRIBE_REPOSITORIES,
    rows="repositories[]",
    key=KEY,
    cursor="created_at",
    columns={
        "registry_id": REGISTRY_ID,
        "repository_name": "repositoryName",
        "repository_arn": "repositoryArn",
        "repository_uri": "repositoryUri",
        "created_at": "createdAt",
    },
)

_EACH_REPOSITORY = EachRow(PUBLIC_REPOSITORIES, {"repositoryName": "repository_name"})

DESCRIBE_IMAGES = Operation("ecr-public", "DescribeImages", page_size=1000, each=_EACH_REPOSITORY)
DESCRIBE_IMAGE_TAGS = Operation("ecr-public", "DescribeImageTags", page_size=1000, each=_EACH_REPOSITORY)
GET_REPOSITORY_CATALOG_DATA = Operation(
    "ecr-public",
    "GetRepositoryCatalogData",
    each=_EACH_REPOSITORY,
    absent={"RepositoryCatalogDataNotFoundException": "no_catalog_data"},
)
GET_REPOSITORY_POLICY = Operation(
    "ecr-public",
    "GetRepositoryPolicy",
    each=_EACH_REPOSITORY,
    absent={"RepositoryPolicyNotFoundException": NO_POLICY},
)
LIST_TAGS_FOR_RESOURCE = Operation(
    "ecr-public", "ListTagsForResource", each=EachRow(PUBLIC_REPOSITORIES, {"resourceArn": "repository_arn"})
)

_REPOSITORY: dict[str, str | Source] = {
    "registry_id": OfScope("registry_id"),
    "repository_name": Asked("repository_name"),
}

PUBLIC_IMAGES = Table(
    name="public_images",
    description="One row per image of a public repository.",
    operation=DESCRIBE_IMAGES,
    rows="imageDetails[]",
    key=(*KEY, "image_digest"),
    cursor="image_pushed_at",
    columns={
        "registry_id": REGISTRY_ID,
        "repository_name": Asked("repository_name", told_by=Member("repositoryName")),
        "image_digest": "imageDigest",
        "image_size_in_bytes": "imageSizeInBytes",
        "image_pushed_at": "imagePushedAt",
        "image_manifest_media_type": "imageManifestMediaType",
        "artifact_media_type": "artifactMediaType",
    },
    left_out={"imageDetails[].imageTags[]": "in public_image_tags, with the times at which they were set"},
)

PUBLIC_IMAGE_TAGS = Table(
    name="public_image_tags",
    description="One row per tag of a public repository.",
    operation=DESCRIBE_IMAGE_TAGS,
    rows="imageTagDetails[]",
    key=(*KEY, "image_tag"),
    columns={
        **_REPOSITORY,
        "image_tag": "imageTag",
        "image_digest": "imageDetail.imageDigest",
        "tag_created_at": "createdAt",
        "image_size_in_bytes": "imageDetail.imageSizeInBytes",
        "image_pushed_at": "imageDetail.imagePushedAt",
        "image_manifest_media_type": "imageDetail.imageManifestMediaType",
        "artifact_media_type": "imageDetail.artifactMediaType",
    },
)

PUBLIC_REPOSITORY_CATALOG_DATA = Table(
    name="public_repository_catalog_data",
    description="One row per public repository: how it is shown in the gallery.",
    operation=GET_REPOSITORY_CATALOG_DATA,
    rows="",
    key=KEY,
    columns={
        **_REPOSITORY,
        "description": "catalogData.description",
        "logo_url": "catalogData.logoUrl",
        "about_text": "catalogData.aboutText",
        "usage_text": "catalogData.usageText",
        "marketplace_certified": "catalogData.marketplaceCertified",
    },
)

PUBLIC_REPOSITORY_ARCHITECTURES = Table(
    name="public_repository_architectures",
    description="One row per processor architecture that a public repository says it supports.",
    operation=GET_REPOSITORY_CATALOG_DATA,
    rows="catalogData.architectures[]",
    key=(*KEY, "architecture"),
    columns={**_REPOSITORY, "architecture": Member("", "The processor architecture.")},
)

PUBLIC_REPOSITORY_OPERATING_SYSTEMS = Table(
    name="public_repository_operating_systems",
    description="One row per operating system that a public repository says it supports.",
    operation=GET_REPOSITORY_CATALOG_DATA,
    rows="catalogData.operatingSystems[]",
    key=(*KEY, "operating_system"),
    columns={**_REPOSITORY, "operating_system": Member("", "The operating system.")},
)

PUBLIC_REPOSITORY_POLICIES = Table(
    name="public_repository_policies",
    description="One row per public repository that has a policy: who may push.",
    operation=GET_REPOSITORY_POLICY,
    rows="",
    key=KEY,
    columns={
        "registry_id": REGISTRY_ID,
        "repository_name": Asked("repository_name", told_by=Member("repositoryName")),
        "policy_version": "policyText@policy.version",
        "statement_count": "policyText@policy.statementCount",
        "parse_error": "policyText@policy.parseError",
        "policy_text": "policyText",
    },
)

PUBLIC_REPOSITORY_TAGS = Table(
    name="public_repository_tags",
    description="One row per resource tag of a public repository.",
    operation=LIST_TAGS_FOR_RESOURCE,
    rows="tags[]",
    key=(*KEY, "tag_key"),
    columns={**_REPOSITORY, "tag_key": "Key", "tag_value": "Value"},
)

PUBLIC_TABLES = [
    PUBLIC_REGISTRIES,
    PUBLIC_REGISTRY_CATALOG_DATA,
    PUBLIC_REGISTRY_ALIASES,
    PUBLIC_REPOSITORIES,
    PUBLIC_REPOSITORY_TAGS,
    PUBLIC_REPOSITORY_POLICIES,
    PUBLIC_REPOSITORY_CATALOG_DATA,
    PUBLIC_REPOSITORY_ARCHITECTURES,
    PUBLIC_REPOSITORY_OPERATING_SYSTEMS,
    PUBLIC_IMAGES,
    PUBLIC_IMAGE_TAGS,
]
