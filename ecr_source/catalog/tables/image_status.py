"""What becomes of an image after its push: replication and signing."""

from __future__ import annotations

from datetime import timedelta

from ecr_source.catalog.column import CallOutcome, Count, Member, OfScope
from ecr_source.catalog.table import AskAgain, Operation, Table
from ecr_source.catalog.tables.image import ASKED_BY_DIGEST, ASKED_IMAGE, EACH_IMAGE, ECHOED_IMAGE, IMAGE_KEY
from ecr_source.statuses import NOT_REPLICATED, NOT_SIGNED, PENDING

# Both begin with the push of an image, and take minutes.
_SETTLED = timedelta(days=1)

DESCRIBE_IMAGE_REPLICATION_STATUS = Operation(
    "ecr",
    "DescribeImageReplicationStatus",
    each=EACH_IMAGE,
    sparse=True,
    again=AskAgain(
        CallOutcome("replicationStatuses[].status", {"IN_PROGRESS": PENDING}, NOT_REPLICATED), settles_after=_SETTLED
    ),
)
DESCRIBE_IMAGE_SIGNING_STATUS = Operation(
    "ecr",
    "DescribeImageSigningStatus",
    each=EACH_IMAGE,
    sparse=True,
    again=AskAgain(
        CallOutcome("signingStatuses[].status", {"IN_PROGRESS": PENDING}, NOT_SIGNED), settles_after=_SETTLED
    ),
)

_FETCH_OUTCOME = CallOutcome("repositoryName", {})

IMAGE_REPLICATIONS = Table(
    name="image_replications",
    description="One row per image that was asked where it is replicated to.",
    operation=DESCRIBE_IMAGE_REPLICATION_STATUS,
    rows="",
    key=IMAGE_KEY,
    whatever_comes=True,
    columns={**ECHOED_IMAGE, "fetch_outcome": _FETCH_OUTCOME, "destination_count": Count("replicationStatuses")},
    left_out=ASKED_BY_DIGEST,
)

IMAGE_REPLICATION_STATUSES = Table(
    name="image_replication_statuses",
    description="One row per image and registry that it is replicated to.",
    operation=DESCRIBE_IMAGE_REPLICATION_STATUS,
    rows="replicationStatuses[]",
    key=(*IMAGE_KEY, "destination_region", "destination_registry_id"),
    columns={
        **ASKED_IMAGE,
        "destination_region": "region",
        "destination_registry_id": "registryId",
        "status": "status",
        "failure_code": "failureCode",
    },
)

IMAGE_SIGNINGS = Table(
    name="image_signings",
    description="One row per image that was asked for its signing status.",
    operation=DESCRIBE_IMAGE_SIGNING_STATUS,
    rows="",
    key=IMAGE_KEY,
    whatever_comes=True,
    columns={
        **ECHOED_IMAGE,
        "registry_id": OfScope("registry_id", told_by=Member("registryId")),
        "fetch_outcome": _FETCH_OUTCOME,
        "signing_profile_count": Count("signingStatuses"),
    },
    left_out=ASKED_BY_DIGEST,
)

IMAGE_SIGNING_STATUSES = Table(
    name="image_signing_statuses",
    description="One row per image and profile that it is signed with.",
    operation=DESCRIBE_IMAGE_SIGNING_STATUS,
    rows="signingStatuses[]",
    key=(*IMAGE_KEY, "signing_profile_arn"),
    columns={
        **ASKED_IMAGE,
        "signing_profile_arn": "signingProfileArn",
        "status": "status",
        "failure_code": "failureCode",
        "failure_reason": "failureReason",
    },
)

IMAGE_STATUS_TABLES = [IMAGE_REPLICATIONS, IMAGE_REPLICATION_STATUSES, IMAGE_SIGNINGS, IMAGE_SIGNING_STATUSES]
