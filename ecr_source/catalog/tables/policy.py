"""Policies: of repositories, of the registry, of creation templates; lifecycle policies; their documents as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ecr_source.catalog.column import Asked, Constant, Member, OfParent, OfScope, Source
from ecr_source.catalog.table import EachRow, Filling, Operation, Table
from ecr_source.catalog.tables.registry import DESCRIBE_REPOSITORY_CREATION_TEMPLATES
from ecr_source.catalog.tables.repository import REPOSITORIES
from ecr_source.statuses import NO_POLICY

_EACH_REPOSITORY = EachRow(REPOSITORIES, {"repositoryName": "repository_name"})

GET_REPOSITORY_POLICY = Operation(
    "ecr", "GetRepositoryPolicy", each=_EACH_REPOSITORY, absent={"RepositoryPolicyNotFoundException": NO_POLICY}
)
GET_REGISTRY_POLICY = Operation("ecr", "GetRegistryPolicy", absent={"RegistryPolicyNotFoundException": NO_POLICY})
GET_LIFECYCLE_POLICY = Operation(
    "ecr", "GetLifecyclePolicy", each=_EACH_REPOSITORY, absent={"LifecyclePolicyNotFoundException": NO_POLICY}
)
GET_LIFECYCLE_POLICY_PREVIEW = Operation(
    "ecr",
    "GetLifecyclePolicyPreview",
    page_size=100,
    each=_EACH_REPOSITORY,
    absent={"LifecyclePolicyPreviewNotFoundException": "no_preview"},
    sparse=True,
)

OWNER_KEY = ("owner_type", "registry_id", "region", "owner_name")
OWNER_TYPE = "What the policy is attached to: repository, registry, or template (a repository creation template)."
OWNER_NAME = "The repository's name, the template's prefix; empty for the registry."

Columns = Mapping[str, str | Source]


def _up(levels: int, source: Source) -> Source:
    return source if levels == 0 else _up(levels - 1, OfParent(source))


def _of_repository(levels: int, of_document: Columns) -> Columns:
    return {
        "owner_type": Constant("repository", OWNER_TYPE),
        "registry_id": OfScope("registry_id", told_by=Member("registryId")) if levels == 0 else OfScope("registry_id"),
        "region": OfScope("region"),
        "owner_name": Asked("repository_name", Member("repositoryName") if levels == 0 else None, OWNER_NAME),
        **of_document,
    }


def _of_registry(levels: int, of_document: Columns) -> Columns:
    return {
        "owner_type": Constant("registry", OWNER_TYPE),
        "registry_id": OfScope("registry_id", told_by=Member("registryId")) if levels == 0 else OfScope("registry_id"),
        "region": OfScope("region"),
        "owner_name": Constant("", OWNER_NAME),
        **of_document,
    }


def _of_template(levels: int, of_document: Columns) -> Columns:
    return {
        "owner_type": Constant("template", OWNER_TYPE),
        "registry_id": OfScope("registry_id"),
        "region": OfScope("region"),
        "owner_name": _up(levels, Member("prefix")),
        **of_document,
    }


_TEMPLATES = "repositoryCreationTemplates[]."


def _policy_table(
    name: str, description: str, rows: str, key: tuple[str, ...], columns: Callable[[str], Columns]
) -> Table:
    """A table of the rows at `rows` of every policy document; `columns` takes the path to the document."""
    levels = rows.count("[]")
    document = "policyText@policy"
    template = "repositoryPolicy@policy"
    return Table(
        name=name,
        description=description,
        operation=GET_REPOSITORY_POLICY,
        rows=f"{document}.{rows}" if rows else "",
        key=(*OWNER_KEY, *key),
        columns=_of_repository(levels, columns(document)),
        also=(
            Filling(
                GET_REGISTRY_POLICY,
                f"{document}.{rows}" if rows else "",
                _of_registry(levels, columns(document)),
            ),
            Filling(
                DESCRIBE_REPOSITORY_CREATION_TEMPLATES,
                f"{_TEMPLATES}{template}.{rows}" if rows else _TEMPLATES.removesuffix("."),
                _of_template(levels, columns(template)),
                only_with=None if rows else "repositoryPolicy",
            ),
        ),
    )


POLICIES = _policy_table(
    "policies",
    "One row per policy of a repository, a registry or a repository creation template.",
    "",
    (),
    lambda document: {
        "policy_version": f"{document}.version",
        "policy_id": f"{document}.id",
        "statement_count": f"{document}.statementCount",
        "parse_error": f"{document}.parseError",
        "policy_text": Member(document.partition("@")[0], "The policy as it came: JSON text."),
    },
)

_STATEMENT_INDEX: Columns = {"statement_index": OfParent(Member("index"))}

POLICY_STATEMENTS = _policy_table(
    "policy_statements",
    "One row per statement of a policy.",
    "statements[]",
    ("statement_index",),
    lambda document: {
        "statement_index": "index",
        "sid": "sid",
        "effect": "effect",
        "is_public": "isPublic",
        "condition_text": "conditionText",
        "unknown_fields": "unknownFields",
    },
)

POLICY_STATEMENT_PRINCIPALS = _policy_table(
    "policy_statement_principals",
    "One row per principal that a statement names.",
    "statements[].principals[]",
    ("statement_index", "negated", "principal_type", "principal"),
    lambda document: {
        **_STATEMENT_INDEX,
        "negated": "negated",
        "principal_type": "type",
        "principal": "principal",
        "principal_account_id": "accountId",
    },
)

POLICY_STATEMENT_ACTIONS = _policy_table(
    "policy_statement_actions",
    "One row per action that a statement names.",
    "statements[].actions[]",
    ("statement_index", "negated", "action"),
    lambda document: {**_STATEMENT_INDEX, "negated": "negated", "action": "action"},
)

POLICY_STATEMENT_RESOURCES = _policy_table(
    "policy_statement_resources",
    "One row per resource that a statement names.",
    "statements[].resources[]",
    ("statement_index", "negated", "resource"),
    lambda document: {**_STATEMENT_INDEX, "negated": "negated", "resource": "resource"},
)

POLICY_STATEMENT_CONDITIONS = _policy_table(
    "policy_statement_conditions",
    "One row per value of a condition of a statement.",
    "statements[].conditions[]",
    ("statement_index", "operator", "condition_key", "ordinal"),
    lambda document: {
        **_STATEMENT_INDEX,
        "operator": "operator",
        "condition_key": "key",
        "ordinal": "ordinal",
        "condition_value": "value",
    },
)

LIFECYCLE_POLICIES = Table(
    name="lifecycle_policies",
    description="One row per repository that has a lifecycle policy.",
    operation=GET_LIFECYCLE_POLICY,
    rows="",
    key=("registry_id", "region", "repository_name"),
    columns={
        "registry_id": OfScope("registry_id", told_by=Member("registryId")),
        "region": OfScope("region"),
        "repository_name": Asked("repository_name", told_by=Member("repositoryName")),
        "last_evaluated_at": "lastEvaluatedAt",
        "rule_count": "lifecyclePolicyText@lifecycle.ruleCount",
        "parse_error": "lifecyclePolicyText@lifecycle.parseError",
        "lifecycle_policy_text": "lifecyclePolicyText",
    },
    volatile=frozenset({"last_evaluated_at"}),
)


def _lifecycle_table(name: str, description: str, rows: str, key: tuple[str, ...], columns: Columns) -> Table:
    levels = rows.count("[]")
    return Table(
        name=name,
        description=description,
        operation=GET_LIFECYCLE_POLICY,
        rows=f"lifecyclePolicyText@lifecycle.{rows}",
        key=(*OWNER_KEY, *key),
        columns=_of_repository(levels, columns),
        also=(
            Filling(
                DESCRIBE_REPOSITORY_CREATION_TEMPLATES,
                f"{_TEMPLATES}lifecyclePolicy@lifecycle.{rows}",
                _of_template(levels, columns),
            ),
        ),
    )


LIFECYCLE_POLICY_RULES = _lifecycle_table(
    "lifecycle_policy_rules",
    "One row per rule of a lifecycle policy.",
    "rules[]",
    ("rule_priority",),
    {
        "rule_priority": "rulePriority",
        "description": "description",
        "tag_status": "tagStatus",
        "storage_class": "storageClass",
        "count_type": "countType",
        "count_unit": "countUnit",
        "count_number": "countNumber",
        "action_type": "actionType",
        "action_target_storage_class": "actionTargetStorageClass",
        "unknown_fields": "unknownFields",
    },
)

LIFECYCLE_POLICY_RULE_TAG_MATCHES = _lifecycle_table(
    "lifecycle_policy_rule_tag_matches",
    "One row per tag pattern or prefix that chooses the images of a lifecycle rule.",
    "rules[].tagMatches[]",
    ("rule_priority", "match_type", "match_value"),
    {"rule_priority": OfParent(Member("rulePriority")), "match_type": "type", "match_value": "value"},
)

_PREVIEWED_REPOSITORY: Columns = {
    "registry_id": OfScope("registry_id"),
    "region": OfScope("region"),
    "repository_name": Asked("repository_name"),
}

LIFECYCLE_POLICY_PREVIEWS = Table(
    name="lifecycle_policy_previews",
    description="One row per repository for which somebody asked what a lifecycle policy would do.",
    operation=GET_LIFECYCLE_POLICY_PREVIEW,
    rows="",
    key=("registry_id", "region", "repository_name"),
    columns={
        "registry_id": OfScope("registry_id", told_by=Member("registryId")),
        "region": OfScope("region"),
        "repository_name": Asked("repository_name", told_by=Member("repositoryName")),
        "status": "status",
        "expiring_image_total_count": "summary.expiringImageTotalCount",
        "lifecycle_policy_text": "lifecyclePolicyText",
    },
)

LIFECYCLE_POLICY_PREVIEW_TRANSITION_COUNTS = Table(
    name="lifecycle_policy_preview_transition_counts",
    description="One row per storage class that a previewed lifecycle policy would move images to.",
    operation=GET_LIFECYCLE_POLICY_PREVIEW,
    rows="summary.transitioningImageTotalCounts[]",
    key=("registry_id", "region", "repository_name", "target_storage_class"),
    columns={
        **_PREVIEWED_REPOSITORY,
        "target_storage_class": "targetStorageClass",
        "image_total_count": "imageTotalCount",
    },
)

LIFECYCLE_POLICY_PREVIEW_RESULTS = Table(
    name="lifecycle_policy_preview_results",
    description="One row per image that a previewed lifecycle policy would act on.",
    operation=GET_LIFECYCLE_POLICY_PREVIEW,
    rows="previewResults[]",
    key=("registry_id", "region", "repository_name", "image_digest"),
    cursor="image_pushed_at",
    columns={
        **_PREVIEWED_REPOSITORY,
        "image_digest": "imageDigest",
        "image_pushed_at": "imagePushedAt",
        "action_type": "action.type",
        "action_target_storage_class": "action.targetStorageClass",
        "applied_rule_priority": "appliedRulePriority",
        "storage_class": "storageClass",
    },
)

LIFECYCLE_POLICY_PREVIEW_RESULT_TAGS = Table(
    name="lifecycle_policy_preview_result_tags",
    description="One row per tag of an image that a previewed lifecycle policy would act on.",
    operation=GET_LIFECYCLE_POLICY_PREVIEW,
    rows="previewResults[].imageTags[]",
    key=("registry_id", "region", "repository_name", "image_digest", "image_tag"),
    columns={
        **_PREVIEWED_REPOSITORY,
        "image_digest": OfParent(Member("imageDigest")),
        "image_tag": Member("", "The tag."),
    },
)

POLICY_TABLES = [
    POLICIES,
    POLICY_STATEMENTS,
    POLICY_STATEMENT_PRINCIPALS,
    POLICY_STATEMENT_ACTIONS,
    POLICY_STATEMENT_RESOURCES,
    POLICY_STATEMENT_CONDITIONS,
    LIFECYCLE_POLICIES,
    LIFECYCLE_POLICY_RULES,
    LIFECYCLE_POLICY_RULE_TAG_MATCHES,
]

PREVIEW_TABLES = [
    LIFECYCLE_POLICY_PREVIEWS,
    LIFECYCLE_POLICY_PREVIEW_TRANSITION_COUNTS,
    LIFECYCLE_POLICY_PREVIEW_RESULTS,
    LIFECYCLE_POLICY_PREVIEW_RESULT_TAGS,
]
