"""Registries: settings, and the rules that hold for all repositories of a registry."""

from __future__ import annotations

from ecr_source.catalog.column import Asked, Count, Member, OfParent, OfScope, Ordinal, Source
from ecr_source.catalog.table import EachRow, EachValue, Operation, Table

DESCRIBE_REGISTRY = Operation("ecr", "DescribeRegistry", sparse=True)
GET_ACCOUNT_SETTING = Operation(
    "ecr",
    "GetAccountSetting",
    each=EachValue("name", ("BASIC_SCAN_TYPE_VERSION", "REGISTRY_POLICY_SCOPE", "BLOB_MOUNTING")),
    # A region, or an endpoint, that does not know a setting yet.
    absent={"InvalidParameterException": "absent", "ValidationException": "absent"},
)
GET_REGISTRY_SCANNING_CONFIGURATION = Operation("ecr", "GetRegistryScanningConfiguration", sparse=True)
GET_SIGNING_CONFIGURATION = Operation(
    "ecr", "GetSigningConfiguration", sparse=True, absent={"SigningConfigurationNotFoundException": "absent"}
)
DESCRIBE_PULL_THROUGH_CACHE_RULES = Operation("ecr", "DescribePullThroughCacheRules", page_size=1000)
DESCRIBE_REPOSITORY_CREATION_TEMPLATES = Operation("ecr", "DescribeRepositoryCreationTemplates", page_size=1000)
LIST_PULL_TIME_UPDATE_EXCLUSIONS = Operation("ecr", "ListPullTimeUpdateExclusions", page_size=1000)
LIST_REPLICATION_BACKFILLS = Operation("ecr", "ListReplicationBackfills", page_size=50)

SCOPE_KEY = ("registry_id", "region")
SCOPE: dict[str, str | Source] = {"registry_id": OfScope("registry_id"), "region": OfScope("region")}
ECHOED: dict[str, str | Source] = {
    "registry_id": OfScope("registry_id", told_by=Member("registryId")),
    "region": OfScope("region"),
}
FILTER_KEY = ("filter_type", "filter")
FILTER: dict[str, str | Source] = {"filter_type": "filterType", "filter": "filter"}
RULE_INDEX = Ordinal()

REGISTRY_REPLICATIONS = Table(
    name="registry_replications",
    description="One row per registry: whether and by how many rules it replicates.",
    operation=DESCRIBE_REGISTRY,
    rows="",
    key=SCOPE_KEY,
    columns={**ECHOED, "replication_rule_count": Count("replicationConfiguration.rules")},
)

REPLICATION_RULES = Table(
    name="replication_rules",
    description="One row per rule by which a registry replicates its images.",
    operation=DESCRIBE_REGISTRY,
    rows="replicationConfiguration.rules[]",
    key=(*SCOPE_KEY, "rule_index"),
    columns={
        **SCOPE,
        "rule_index": RULE_INDEX,
        "delete_replication_enabled": "deleteReplication.enabled",
        "destination_count": Count("destinations"),
        "filter_count": Count("repositoryFilters"),
    },
)

REPLICATION_RULE_DESTINATIONS = Table(
    name="replication_rule_destinations",
    description="One row per registry that a replication rule copies images to.",
    operation=DESCRIBE_REGISTRY,
    rows="replicationConfiguration.rules[].destinations[]",
    key=(*SCOPE_KEY, "rule_index", "destination_region", "destination_registry_id"),
    columns={
        **SCOPE,
        "rule_index": OfParent(RULE_INDEX),
        "destination_region": "region",
        "destination_registry_id": "registryId",
    },
)

REPLICATION_RULE_FILTERS = Table(
    name="replication_rule_filters",
    description="One row per filter that chooses the repositories of a replication rule; a rule without one takes all.",
    operation=DESCRIBE_REGISTRY,
    rows="replicationConfiguration.rules[].repositoryFilters[]",
    key=(*SCOPE_KEY, "rule_index", *FILTER_KEY),
    columns={**SCOPE, "rule_index": OfParent(RULE_INDEX), **FILTER},
)

REGISTRY_ACCOUNT_SETTINGS = Table(
    name="registry_account_settings",
    description="One row per account setting of a registry.",
    operation=GET_ACCOUNT_SETTING,
    rows="",
    key=(*SCOPE_KEY, "setting_name"),
    columns={**SCOPE, "setting_name": Member("name", "The name of the setting."), "setting_value": "value"},
)

REGISTRY_SCANNING_CONFIGURATIONS = Table(
    name="registry_scanning_configurations",
    description="One row per registry: whether it scans BASIC or ENHANCED.",
    operation=GET_REGISTRY_SCANNING_CONFIGURATION,
    rows="",
    key=SCOPE_KEY,
    columns={
        **ECHOED,
        "scan_type": "scanningConfiguration.scanType",
        "scanning_rule_count": Count("scanningConfiguration.rules"),
    },
)

REGISTRY_SCANNING_RULES = Table(
    name="registry_scanning_rules",
    description="One row per rule that says how often a registry scans.",
    operation=GET_REGISTRY_SCANNING_CONFIGURATION,
    rows="scanningConfiguration.rules[]",
    key=(*SCOPE_KEY, "rule_index"),
    columns={**SCOPE, "rule_index": RULE_INDEX, "scan_frequency": "scanFrequency"},
)

REGISTRY_SCANNING_RULE_FILTERS = Table(
    name="registry_scanning_rule_filters",
    description="One row per filter that chooses the repositories of a scanning rule.",
    operation=GET_REGISTRY_SCANNING_CONFIGURATION,
    rows="scanningConfiguration.rules[].repositoryFilters[]",
    key=(*SCOPE_KEY, "rule_index", *FILTER_KEY),
    columns={**SCOPE, "rule_index": OfParent(RULE_INDEX), **FILTER},
)

SIGNING_RULES = Table(
    name="signing_rules",
    description="One row per rule by which a registry signs the images that are pushed to it.",
    operation=GET_SIGNING_CONFIGURATION,
    rows="signingConfiguration.rules[]",
    key=(*SCOPE_KEY, "rule_index"),
    columns={**SCOPE, "rule_index": RULE_INDEX, "signing_profile_arn": "signingProfileArn"},
    left_out={"registryId": "the registry that was asked"},
)

SIGNING_RULE_FILTERS = Table(
    name="signing_rule_filters",
    description="One row per filter that chooses the repositories of a signing rule.",
    operation=GET_SIGNING_CONFIGURATION,
    rows="signingConfiguration.rules[].repositoryFilters[]",
    key=(*SCOPE_KEY, "rule_index", *FILTER_KEY),
    columns={**SCOPE, "rule_index": OfParent(RULE_INDEX), **FILTER},
)

PULL_THROUGH_CACHE_RULES = Table(
    name="pull_through_cache_rules",
    description="One row per rule that fetches images from another registry when they are pulled.",
    operation=DESCRIBE_PULL_THROUGH_CACHE_RULES,
    rows="pullThroughCacheRules[]",
    key=(*SCOPE_KEY, "ecr_repository_prefix"),
    columns={
        **ECHOED,
        "ecr_repository_prefix": "ecrRepositoryPrefix",
        "upstream_registry": "upstreamRegistry",
        "upstream_registry_url": "upstreamRegistryUrl",
        "upstream_repository_prefix": "upstreamRepositoryPrefix",
        "credential_arn": "credentialArn",
        "custom_role_arn": "customRoleArn",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    },
)

TEMPLATE_PREFIX = OfParent(Member("prefix"))

REPOSITORY_CREATION_TEMPLATES = Table(
    name="repository_creation_templates",
    description="One row per template for the repositories that ECR itself creates.",
    operation=DESCRIBE_REPOSITORY_CREATION_TEMPLATES,
    rows="repositoryCreationTemplates[]",
    key=(*SCOPE_KEY, "prefix"),
    columns={
        **SCOPE,
        "prefix": "prefix",
        "description": "description",
        "encryption_type": "encryptionConfiguration.encryptionType",
        "kms_key": "encryptionConfiguration.kmsKey",
        "image_tag_mutability": "imageTagMutability",
        "repository_policy_text": "repositoryPolicy",
        "lifecycle_policy_text": "lifecyclePolicy",
        "custom_role_arn": "customRoleArn",
        "created_at": "createdAt",
        "updated_at": "updatedAt",
    },
    left_out={"registryId": "the registry that was asked"},
)

REPOSITORY_CREATION_TEMPLATE_RESOURCE_TAGS = Table(
    name="repository_creation_template_resource_tags",
    description="One row per resource tag that a creation template gives.",
    operation=DESCRIBE_REPOSITORY_CREATION_TEMPLATES,
    rows="repositoryCreationTemplates[].resourceTags[]",
    key=(*SCOPE_KEY, "prefix", "tag_key"),
    columns={**SCOPE, "prefix": TEMPLATE_PREFIX, "tag_key": "Key", "tag_value": "Value"},
)

REPOSITORY_CREATION_TEMPLATE_APPLIED_FOR = Table(
    name="repository_creation_template_applied_for",
    description="One row per occasion on which a creation template applies.",
    operation=DESCRIBE_REPOSITORY_CREATION_TEMPLATES,
    rows="repositoryCreationTemplates[].appliedFor[]",
    key=(*SCOPE_KEY, "prefix", "applied_for"),
    columns={
        **SCOPE,
        "prefix": TEMPLATE_PREFIX,
        "applied_for": Member("", "The occasion: PULL_THROUGH_CACHE, REPLICATION or CREATE_ON_PUSH."),
    },
)

REPOSITORY_CREATION_TEMPLATE_EXCLUSION_FILTERS = Table(
    name="repository_creation_template_exclusion_filters",
    description="One row per filter that excepts image tags from a creation template's tag mutability setting.",
    operation=DESCRIBE_REPOSITORY_CREATION_TEMPLATES,
    rows="repositoryCreationTemplates[].imageTagMutabilityExclusionFilters[]",
    key=(*SCOPE_KEY, "prefix", *FILTER_KEY),
    columns={**SCOPE, "prefix": TEMPLATE_PREFIX, **FILTER},
)

PULL_TIME_UPDATE_EXCLUSIONS = Table(
    name="pull_time_update_exclusions",
    description="One row per principal whose pulls do not move last_recorded_pull_time.",
    operation=LIST_PULL_TIME_UPDATE_EXCLUSIONS,
    rows="pullTimeUpdateExclusions[]",
    key=(*SCOPE_KEY, "principal_arn"),
    columns={**SCOPE, "principal_arn": Member("", "The ARN of the principal.")},
)

REPLICATION_BACKFILLS = Table(
    name="replication_backfills",
    description="One row per replication of images that were there before the rule.",
    operation=LIST_REPLICATION_BACKFILLS,
    rows="backfills[]",
    key=(*SCOPE_KEY, "replication_backfill_id"),
    columns={
        **SCOPE,
        "replication_backfill_id": "replicationBackfillId",
        "destination_region": "destination.region",
        "destination_registry_id": "destination.registryId",
        "status": "status",
        "failure_code": "failureCode",
        "total_replication_count": "progress.totalReplicationCount",
        "completed_replication_count": "progress.completedReplicationCount",
        "failed_replication_count": "progress.failedReplicationCount",
        "started_at": "startedAt",
        "ended_at": "endedAt",
    },
    left_out={"registryId": "the registry that was asked"},
)

REPLICATION_BACKFILL_FAILURE_CODES = Table(
    name="replication_backfill_failure_codes",
    description="One row per kind of failure of a replication backfill.",
    operation=LIST_REPLICATION_BACKFILLS,
    rows="backfills[].progress.failureCodes[]",
    key=(*SCOPE_KEY, "replication_backfill_id", "failure_code"),
    columns={
        **SCOPE,
        "replication_backfill_id": OfParent(Member("replicationBackfillId")),
        "failure_code": Member("", "What went wrong, as a code."),
    },
)

DESCRIBE_REPLICATION_BACKFILL_RESULTS = Operation(
    "ecr",
    "DescribeReplicationBackfillResults",
    page_size=1000,
    each=EachRow(REPLICATION_BACKFILLS, {"replicationBackfillId": "replication_backfill_id"}),
    absent={"ReplicationBackfillNotFoundException": "absent"},
)

_LISTED = "in replication_backfills, from the listing"

REPLICATION_BACKFILL_RESULTS = Table(
    name="replication_backfill_results",
    description="One row per image of a replication backfill.",
    operation=DESCRIBE_REPLICATION_BACKFILL_RESULTS,
    rows="results[]",
    key=(*SCOPE_KEY, "replication_backfill_id", "repository_name", "image_digest"),
    columns={
        **SCOPE,
        "replication_backfill_id": Asked("replication_backfill_id"),
        "repository_name": "repositoryName",
        "image_digest": "imageId.imageDigest",
        "image_tag": "imageId.imageTag",
        "status": "status",
        "failure_code": "failureCode",
    },
    left_out={
        "registryId": "the registry that was asked",
        "replicationBackfillId": "the backfill that was asked for",
        "destination.region": _LISTED,
        "destination.registryId": _LISTED,
        "status": _LISTED,
        "failureCode": _LISTED,
        "progress.totalReplicationCount": _LISTED,
        "progress.completedReplicationCount": _LISTED,
        "progress.failedReplicationCount": _LISTED,
        "progress.failureCodes[]": _LISTED,
        "startedAt": _LISTED,
        "endedAt": _LISTED,
    },
)

REPLICATION_BACKFILL_RESULT_SUB_FAILURES = Table(
    name="replication_backfill_result_sub_failures",
    description="One row per failure of an image that an index of a replication backfill refers to.",
    operation=DESCRIBE_REPLICATION_BACKFILL_RESULTS,
    rows="results[].subImageFailureCodes[]",
    key=(*SCOPE_KEY, "replication_backfill_id", "repository_name", "image_digest", "failure_code"),
    columns={
        **SCOPE,
        "replication_backfill_id": Asked("replication_backfill_id"),
        "repository_name": OfParent(Member("repositoryName")),
        "image_digest": OfParent(Member("imageId.imageDigest")),
        "failure_code": Member("", "What went wrong, as a code."),
    },
)

REGISTRY_TABLES = [
    REGISTRY_ACCOUNT_SETTINGS,
    REGISTRY_REPLICATIONS,
    REPLICATION_RULES,
    REPLICATION_RULE_DESTINATIONS,
    REPLICATION_RULE_FILTERS,
    REGISTRY_SCANNING_CONFIGURATIONS,
    REGISTRY_SCANNING_RULES,
    REGISTRY_SCANNING_RULE_FILTERS,
    SIGNING_RULES,
    SIGNING_RULE_FILTERS,
    PULL_THROUGH_CACHE_RULES,
    REPOSITORY_CREATION_TEMPLATES,
    REPOSITORY_CREATION_TEMPLATE_RESOURCE_TAGS,
    REPOSITORY_CREATION_TEMPLATE_APPLIED_FOR,
    REPOSITORY_CREATION_TEMPLATE_EXCLUSION_FILTERS,
    PULL_TIME_UPDATE_EXCLUSIONS,
    REPLICATION_BACKFILLS,
    REPLICATION_BACKFILL_FAILURE_CODES,
    REPLICATION_BACKFILL_RESULTS,
    REPLICATION_BACKFILL_RESULT_SUB_FAILURES,
]
