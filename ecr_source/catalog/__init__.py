"""Which tables exist, as data: the call that fills each, its key, and the response member behind each column.

Arrow schemas and descriptions derive from it. To add a table is to add an entry to the file of its group in `tables`.

Imports the root only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache

from ecr_source.catalog.model import iam_action
from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.catalog.tables.ecs import ECS_TABLES, LISTED_IN_ECS
from ecr_source.catalog.tables.extraction import (
    EXTRACTION_ERRORS,
    EXTRACTION_IMAGES,
    EXTRACTION_REPOSITORIES,
    EXTRACTION_SCOPES,
)
from ecr_source.catalog.tables.findings import FINDINGS_TABLES
from ecr_source.catalog.tables.image import IMAGE_TABLES
from ecr_source.catalog.tables.image_scans import LIST_COVERAGE, LIST_FINDINGS
from ecr_source.catalog.tables.image_status import IMAGE_STATUS_TABLES
from ecr_source.catalog.tables.lambda_functions import LAMBDA_TABLES, LISTED_IN_LAMBDA
from ecr_source.catalog.tables.manifests import MANIFEST_TABLES
from ecr_source.catalog.tables.policy import POLICY_TABLES, PREVIEW_TABLES
from ecr_source.catalog.tables.public import PUBLIC_TABLES
from ecr_source.catalog.tables.registry import REGISTRY_TABLES
from ecr_source.catalog.tables.repository import REPOSITORY_TABLES
from ecr_source.catalog.tables.usage import USAGE_TABLES
from ecr_source.errors import ConfigurationError
from ecr_source.nearest import nearest

__all__ = [
    "ALL",
    "DEFAULT",
    "DEFAULT_GROUPS",
    "EXTRACTION_ERRORS",
    "EXTRACTION_IMAGES",
    "EXTRACTION_REPOSITORIES",
    "EXTRACTION_SCOPES",
    "FINDINGS_FROM",
    "GET_CALLER_IDENTITY",
    "GROUPS",
    "GROUP_DESCRIPTIONS",
    "LISTINGS",
    "NOT_READ",
    "RECORD_TABLES",
    "RUN_TABLES",
    "TABLES",
    "actions_by_option",
    "actions_of",
    "are_findings_chosen",
    "called_for",
    "group_of",
    "not_called",
    "operations_of",
    "select_tables",
]

GROUPS: dict[str, list[Table]] = {
    "repositories": REPOSITORY_TABLES,
    "images": IMAGE_TABLES,
    "policies": POLICY_TABLES,
    "registry": REGISTRY_TABLES,
    "findings": FINDINGS_TABLES,
    "image_status": IMAGE_STATUS_TABLES,
    "usage": [*USAGE_TABLES, *ECS_TABLES, *LAMBDA_TABLES],
    "previews": PREVIEW_TABLES,
    "manifests": MANIFEST_TABLES,
    "public": PUBLIC_TABLES,
}
"""The tables that are chosen together. A name that is a group's and a table's too chooses the group; `images.images` is
the table."""

GROUP_DESCRIPTIONS: dict[str, str] = {
    "repositories": "Repositories, their resource tags, and how they are scanned.",
    "images": "Images and their tags.",
    "policies": "Policies, statement by statement, and lifecycle policies, rule by rule.",
    "registry": "The settings of a registry, and the rules that hold for all its repositories.",
    "findings": "The scans of images and what they found: basic and enhanced scanning in the same tables.",
    "image_status": "What becomes of an image after its push: replication and signing.",
    "usage": (
        "What runs an image, or refers to it: tasks of ECS and pods of EKS as Inspector sees them, and what ECS and"
        " Lambda say themselves."
    ),
    "previews": "What a lifecycle policy would do, where somebody has asked ECR for it; nothing here asks for more.",
    "manifests": (
        "Manifests, layers, and what refers to an image. Reading them counts as a pull of every image and moves"
        " `last_recorded_pull_time`, which lifecycle rules may act on: `--moves-last-recorded-pull-time` allows it."
    ),
    "public": "The account's public registry, asked in us-east-1.",
}
"""What the tables of a group are of."""

DEFAULT_GROUPS = ("repositories", "images", "policies", "registry", "findings")
"""What is read when nothing is chosen: calls for each repository, none with a side effect. Findings are those of the
newest image."""

DEFAULT = "default"
"""Chooses them, beside others."""

ALL = "all"
"""Chooses all groups but manifests."""

MANIFESTS = "manifests"
"""The group whose reading has a side effect: it counts as a pull."""

TABLES: list[Table] = [table for group in GROUPS.values() for table in group]
"""The tables that the API fills, in the order in which they are shown."""

LISTINGS: list[Table] = [*LISTED_IN_ECS, *LISTED_IN_LAMBDA]
"""Tables that are not loaded: their rows say what else to ask."""

RECORD_TABLES: list[RunTable] = [EXTRACTION_REPOSITORIES, EXTRACTION_IMAGES]
"""The tables that tell what is known of each repository and each image."""

RUN_TABLES: list[RunTable] = [EXTRACTION_SCOPES, EXTRACTION_ERRORS, *RECORD_TABLES]
"""The tables that the run fills."""

GET_CALLER_IDENTITY = Operation("sts", "GetCallerIdentity")
"""Tells which account the credentials belong to. Needs no permission."""

NOT_READ: dict[str, str] = {
    "ecr:GetAuthorizationToken": "its answer is a password",
    "ecr:GetDownloadUrlForLayer": "its answer is a presigned URL, and it counts as a pull",
    "ecr:BatchCheckLayerAvailability": "a step of a push; image_layers has the layers",
    "ecr:ListImages": "DescribeImages has all that it has",
    "ecr-public:GetAuthorizationToken": "its answer is a password",
    "ecr-public:BatchCheckLayerAvailability": "a step of a push",
}
"""The read operations that fill no table, with the reason."""


FINDINGS_FROM: dict[str, frozenset[Operation]] = {
    "ecr": frozenset({LIST_FINDINGS, LIST_COVERAGE}),
    "inspector2": frozenset(),
}
"""Who is asked for findings, the first by default, with the operations that are not called then."""


def not_called(findings_from: str) -> frozenset[Operation]:
    """The operations that are not called where findings are asked from this one of `FINDINGS_FROM`.

    Raises:
        ConfigurationError: there is no such one.
    """
    if findings_from not in FINDINGS_FROM:
        raise ConfigurationError(
            f'findings cannot be read from "{findings_from}": it is one of {", ".join(FINDINGS_FROM)}'
        )
    return FINDINGS_FROM[findings_from]


def group_of(table: Table) -> str:
    """The name of the group that `table` is in; empty for a table that is in none."""
    return next((name for name, tables in GROUPS.items() if table in tables), "")


def operations_of(tables: Iterable[Table], without: Collection[Operation] = ()) -> list[Operation]:
    """The operations that must be called to fill `tables`, those of their parents first, each once."""
    found: dict[Operation, None] = {}
    for table in tables:
        for operation in table.operations:
            if operation in without:
                continue
            if operation.parent is not None:
                found.update(dict.fromkeys(_operations_of(operation.parent)))
            found[operation] = None
    return list(found)


@cache
def _operations_of(table: Table) -> tuple[Operation, ...]:
    return tuple(operations_of([table]))


def called_for(table: Table, without: Collection[Operation] = ()) -> list[Operation]:
    """All operations that may be called to fill `table`, those included that say whether another one can tell."""
    operations = operations_of([table], without)
    asked_first = [operation.only_where.operation for operation in operations if operation.only_where]
    return list(dict.fromkeys([*operations, *asked_first]))


def actions_of(tables: Iterable[Table], without: Collection[Operation] = ()) -> set[str]:
    """The IAM actions that must be allowed to fill `tables`, whether or not each is called in the end."""
    return {iam_action(operation) for table in tables for operation in called_for(table, without)}


def actions_by_option(tables: Sequence[Table]) -> dict[str, list[str]]:
    """The same by the option without which they are not needed; below the empty text those of every run."""
    needed = {maker: actions_of(tables, without) for maker, without in FINDINGS_FROM.items()}
    always, *_ = needed.values()
    added = {f"--findings-from {maker}": sorted(actions - always) for maker, actions in needed.items()}
    return {"": sorted(always)} | {option: actions for option, actions in added.items() if actions}


def are_findings_chosen(names: Collection[str]) -> bool:
    """Whether `names` choose a table of findings, not only as one of the defaults."""
    chosen = [name for name in names if name != DEFAULT]
    return bool(chosen) and any(table in FINDINGS_TABLES for table in select_tables(chosen))


def select_tables(names: Sequence[str]) -> list[Table]:
    """The tables of these names, of groups or of tables; those of `DEFAULT_GROUPS`, if none is named.

    Raises:
        ConfigurationError: a name is not in the catalog.
    """
    by_name = {table.name: [table] for table in TABLES} | GROUPS
    by_name |= {f"{group}.{table.name}": [table] for group, tables in GROUPS.items() for table in tables}
    by_name[DEFAULT] = [table for group in DEFAULT_GROUPS for table in GROUPS[group]]
    by_name[ALL] = [table for table in TABLES if group_of(table) != MANIFESTS]
    chosen: list[Table] = []
    for name in names or (DEFAULT,):
        if name not in by_name:
            near = nearest(name, by_name)
            hint = f'; did you mean "{near}"?' if near else '; "ecr-source tables" lists them'
            raise ConfigurationError(f'unknown table "{name}"{hint}')
        chosen += by_name[name]
    return [table for table in TABLES if table in chosen]
