"""The scans of images: who is asked for them, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping

from ecr_source.catalog.column import ArnField, Asked, CallOutcome, Constant, OfScope
from ecr_source.catalog.table import AskAgain, Filling, OnlyWhere, Operation, Table
from ecr_source.catalog.tables.image import (
    ASKED_BY_DIGEST,
    EACH_IMAGE,
    ECHOED_IMAGE,
    IMAGE_KEY,
    IMAGES,
    REGISTRY_ID,
    severity_counts,
)
from ecr_source.catalog.tables.registry import GET_REGISTRY_SCANNING_CONFIGURATION
from ecr_source.statuses import COMPLETE, NEVER_SCANNED, PENDING

FETCH_OUTCOME = CallOutcome(
    "imageScanStatus.status",
    {
        "UNSUPPORTED_IMAGE": "unsupported",
        "FAILED": "failed",
        "IMAGE_ARCHIVED": "archived",
        "IN_PROGRESS": PENDING,
        "PENDING": PENDING,
    },
)

DESCRIBE_IMAGE_SCAN_FINDINGS = Operation(
    "ecr",
    "DescribeImageScanFindings",
    page_size=1000,
    each=EACH_IMAGE,
    absent={"ScanNotFoundException": NEVER_SCANNED},
    sparse=True,
    again=AskAgain(FETCH_OUTCOME, changed="scan_completed_at", bounded=True),
)

# A hundred findings a call, of all images, instead of a call for each image.
_OF_THIS_REGISTRY: Mapping[str, object] = {
    "ecrImageRegistry": [{"comparison": "EQUALS", "value": "{registry_id}"}],
    "findingStatus": [{"comparison": "EQUALS", "value": status} for status in ("ACTIVE", "SUPPRESSED")],
    "resourceType": [{"comparison": "EQUALS", "value": "AWS_ECR_CONTAINER_IMAGE"}],
}
_ENHANCED_ONLY = OnlyWhere(GET_REGISTRY_SCANNING_CONFIGURATION, "scanningConfiguration.scanType", "ENHANCED")

LIST_FINDINGS = Operation(
    "inspector2",
    "ListFindings",
    page_size=100,
    parameters={"filterCriteria": _OF_THIS_REGISTRY},
    within=IMAGES,
    only_where=_ENHANCED_ONLY,
    instead=DESCRIBE_IMAGE_SCAN_FINDINGS,
)
LIST_COVERAGE = Operation(
    "inspector2",
    "ListCoverage",
    page_size=200,
    parameters={
        "filterCriteria": {
            "accountId": [{"comparison": "EQUALS", "value": "{registry_id}"}],
            "resourceType": [{"comparison": "EQUALS", "value": "AWS_ECR_CONTAINER_IMAGE"}],
        }
    },
    within=IMAGES,
    only_where=_ENHANCED_ONLY,
    instead=DESCRIBE_IMAGE_SCAN_FINDINGS,
)

IMAGE_SCANS = Table(
    name="image_scans",
    description="One row per image that was asked for its findings, or left out by a bound: what came of it.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows="",
    key=IMAGE_KEY,
    whatever_comes=True,
    columns={
        **ECHOED_IMAGE,
        "registry_id": REGISTRY_ID,
        "fetch_outcome": FETCH_OUTCOME,
        "scan_status": "imageScanStatus.status",
        "scan_status_description": "imageScanStatus.description",
        "scan_completed_at": "imageScanFindings.imageScanCompletedAt",
        "vulnerability_source_updated_at": "imageScanFindings.vulnerabilitySourceUpdatedAt",
        "listed_scan_completed_at": Asked(
            "scan_completed_at", meaning="What images.scan_completed_at said when the image was asked; NULL if nothing."
        ),
        **severity_counts("imageScanFindings", "the image has no scan that was completed"),
    },
    also=(
        Filling(
            LIST_COVERAGE,
            "coveredResources[]",
            {
                "registry_id": OfScope("registry_id"),
                "region": OfScope("region", told_by=ArnField("resourceId", "region")),
                "repository_name": ArnField("resourceId", "resource"),
                "image_digest": ArnField("resourceId", "digest"),
                "fetch_outcome": Constant(COMPLETE, "What came of asking."),
                "scan_status": "scanStatus.statusCode",
                "scan_status_description": "scanStatus.reason",
                "scan_completed_at": "lastScannedAt",
            },
        ),
    ),
    left_out=ASKED_BY_DIGEST
    | {
        f"coveredResources[].{path}": "told by Inspector only"
        for path in (
            "resourceType",
            "accountId",
            "scanType",
            "scanMode",
            "resourceMetadata.ecrRepository.name",
            "resourceMetadata.ecrRepository.scanFrequency",
            "resourceMetadata.ecrImage.tags[]",
            "resourceMetadata.ecrImage.imagePulledAt",
            "resourceMetadata.ecrImage.lastInUseAt",
            "resourceMetadata.ecrImage.inUseCount",
        )
    },
)
