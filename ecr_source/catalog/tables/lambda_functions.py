"""Which images are Lambda functions.

Environments, and the addresses under which code can be fetched, are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ecr_source.catalog.column import Asked, ImageReference, Member, OfScope, Source
from ecr_source.catalog.table import EachRow, Operation, Table
from ecr_source.catalog.tables.ecs import reference_columns

_lambda = partial(Operation, "lambda", secretive=True)

_SCOPE: Mapping[str, str | Source] = {"registry_id": OfScope("registry_id"), "region": OfScope("region")}

LAMBDA_IMAGE_FUNCTIONS = Table(
    name="lambda_image_functions",
    description="One row per version of a function whose package is an image.",
    operation=_lambda(
        "ListFunctions",
        page_size=50,
        limit="MaxItems",
        token="NextMarker",  # noqa: S106 (no secret)
        marker="Marker",
        parameters={"FunctionVersion": "ALL"},
    ),
    rows="Functions[]",
    only_having={"PackageType": "Image"},
    key=("registry_id", "region", "function_name", "function_version"),
    columns={
        **_SCOPE,
        "function_name": Member("FunctionName", "The function."),
        "function_version": Member("Version", "The version of the function."),
        "code_sha256": "CodeSha256",
    },
    left_out={"Functions[]": "lambda_function_images has what is of an image; environments hold secrets"},
)
"""All versions: an alias can stand for an old one."""

LISTED_IN_LAMBDA = [LAMBDA_IMAGE_FUNCTIONS]

LAMBDA_FUNCTION_IMAGES = Table(
    name="lambda_function_images",
    description="One row per version of a function whose package is an image: `$LATEST`, and each that was published.",
    operation=_lambda(
        "GetFunction",
        each=EachRow(LAMBDA_IMAGE_FUNCTIONS, {"FunctionName": "function_name", "Qualifier": "function_version"}),
        absent={"ResourceNotFoundException": "no_function"},
        kept_while=("function_name", "function_version", "code_sha256"),
    ),
    rows="",
    key=("registry_id", "region", "function_name", "function_version"),
    columns={
        **_SCOPE,
        "function_name": Asked("function_name"),
        "function_version": Asked("function_version"),
        "function_arn": "Configuration.FunctionArn",
        "image": Member("Code.ImageUri", "The image as it was named when the version was made."),
        **reference_columns("Code.ImageUri"),
        "image_digest": ImageReference(
            "Code.ResolvedImageUri", "digest", "The digest of the image, as it was when the version was made."
        ),
        "resolved_image": Member("Code.ResolvedImageUri", "The image by its digest."),
        "code_sha256": "Configuration.CodeSha256",
        "state": "Configuration.State",
        "state_reason_code": "Configuration.StateReasonCode",
        "last_update_status": "Configuration.LastUpdateStatus",
        "last_update_status_reason_code": "Configuration.LastUpdateStatusReasonCode",
        "last_modified": Member(
            "Configuration.LastModified", "When the version was changed last, in ISO 8601 as Lambda writes it."
        ),
        "role_arn": "Configuration.Role",
        "architecture": Member("Configuration.Architectures[0]", "The architecture that the function runs on."),
        "memory_size_in_mb": "Configuration.MemorySize",
        "timeout_in_seconds": "Configuration.Timeout",
        "description": "Configuration.Description",
    },
    left_out={
        "Configuration": "it is not of the image; environments hold secrets",
        "Code": "it is not of an image, or an address under which the code can be fetched",
        "Concurrency": "it is not of the image",
        "Tags": "they are those of the function",
        "TagsError": "they are those of the function",
    },
    volatile=frozenset(
        {"state", "state_reason_code", "last_update_status", "last_update_status_reason_code", "last_modified"}
    ),
)

LAMBDA_TABLES = [LAMBDA_FUNCTION_IMAGES]
