"""Scans of images and what they found: basic and enhanced scanning in the same tables."""

from __future__ import annotations

from collections.abc import Mapping

from ecr_source.catalog.image import IMAGES
from ecr_source.catalog.table import (
    AskAgain,
    Asked,
    Constant,
    EachRow,
    Filling,
    Joined,
    Lookup,
    Member,
    OfParent,
    OfScope,
    Operation,
    Outcome,
    Source,
    Table,
)

EACH_IMAGE = EachRow(IMAGES, {"repositoryName": "repository_name", "imageId.imageDigest": "image_digest"})

DESCRIBE_IMAGE_SCAN_FINDINGS = Operation(
    "ecr",
    "DescribeImageScanFindings",
    page_size=1000,
    each=EACH_IMAGE,
    absent={"ScanNotFoundException": "not_found"},
    sparse=True,
    again=AskAgain(record="image_scans", changed="scan_completed_at", bounded=True),
)

IMAGE_KEY = ("registry_id", "region", "repository_name", "image_digest")
IMAGE: Mapping[str, str | Source] = {
    "registry_id": OfScope("registry_id"),
    "region": OfScope("region"),
    "repository_name": Asked("repository_name"),
    "image_digest": Asked("image_digest"),
}

FETCH_OUTCOME = Outcome(
    "imageScanStatus.status",
    {
        "UNSUPPORTED_IMAGE": "unsupported",
        "FAILED": "failed",
        "IMAGE_ARCHIVED": "archived",
        "IN_PROGRESS": "pending",
        "PENDING": "pending",
    },
)

IMAGE_SCANS = Table(
    name="image_scans",
    description="One row per image that was asked for its findings, or left out by a bound: what came of it.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows="",
    key=IMAGE_KEY,
    whatever_comes=True,
    columns={
        "registry_id": OfScope("registry_id", told_by=Member("registryId")),
        "region": OfScope("region"),
        "repository_name": Asked("repository_name", told_by=Member("repositoryName")),
        "image_digest": Asked("image_digest", told_by=Member("imageId.imageDigest")),
        "fetch_outcome": FETCH_OUTCOME,
        "scan_status": "imageScanStatus.status",
        "scan_status_description": "imageScanStatus.description",
        "scan_completed_at": "imageScanFindings.imageScanCompletedAt",
        "vulnerability_source_updated_at": "imageScanFindings.vulnerabilitySourceUpdatedAt",
        "listed_scan_completed_at": Asked("scan_completed_at"),
        "critical_count": "imageScanFindings.findingSeverityCounts.CRITICAL",
        "high_count": "imageScanFindings.findingSeverityCounts.HIGH",
        "medium_count": "imageScanFindings.findingSeverityCounts.MEDIUM",
        "low_count": "imageScanFindings.findingSeverityCounts.LOW",
        "informational_count": "imageScanFindings.findingSeverityCounts.INFORMATIONAL",
        "undefined_count": "imageScanFindings.findingSeverityCounts.UNDEFINED",
    },
    left_out={"imageId.imageTag": "images are asked for by digest; image_tags has the tags"},
)

FINDINGS = "imageScanFindings.findings[]"
ENHANCED = "imageScanFindings.enhancedFindings[]"
PACKAGES = f"{ENHANCED}.packageVulnerabilityDetails.vulnerablePackages[]"
CONTAINER = "resources[0].details.awsEcrContainerImage"

FINDING_ID = "Tells the findings of an image apart: the ARN; of basic scanning, name, package, its version and URI."
PACKAGE_ID = "Tells the packages of a finding apart; empty for basic scanning, which has a finding per package."
CVSS2 = ("2.0", "2")
CVSS3 = ("3.1", "3.0", "3")


def _attribute(key: str, meaning: str, *others: str) -> Lookup:
    return Lookup("attributes", "key", (key, *others), "value", meaning)


_PACKAGE_NAME = _attribute("package_name", "The name of the vulnerable package.", "PACKAGE_NAME")
_PACKAGE_VERSION = _attribute("package_version", "The installed version of the package.", "PACKAGE_VERSION")
_BASIC_ID = Joined((Member("name"), _PACKAGE_NAME, _PACKAGE_VERSION, Member("uri")), FINDING_ID)


def _score(source: Lookup) -> Lookup:
    return Lookup(source.path, source.key, source.among, source.value, source.meaning, "float64")


def _of_finding(path: str) -> OfParent:
    return OfParent(Member(path))


def _cvss(versions: tuple[str, ...], value: str, meaning: str) -> OfParent:
    lookup = Lookup("packageVulnerabilityDetails.cvss", "version", versions, value, meaning)
    return OfParent(_score(lookup) if value == "baseScore" else lookup)


_CVSS2_SCORE, _CVSS2_VECTOR = "The CVSS 2 base score.", "The CVSS 2 vector."
_CVSS3_SCORE, _CVSS3_VECTOR = "The CVSS 3 base score.", "The CVSS 3 vector."
_SCAN_KIND = "Which scanning found it: basic or enhanced."

IMAGE_SCAN_FINDINGS = Table(
    name="image_scan_findings",
    description="One row per image, vulnerability and package, of basic and of enhanced scanning.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=PACKAGES,
    outer=True,
    key=(*IMAGE_KEY, "finding_id", "package_id"),
    columns={
        **IMAGE,
        "finding_id": _of_finding("findingArn"),
        "package_id": Joined(
            (
                Member("name"),
                Member("version"),
                Member("epoch"),
                Member("release"),
                Member("arch"),
                Member("filePath"),
                Member("sourceLayerHash"),
            ),
            PACKAGE_ID,
        ),
        "scan_kind": Constant("enhanced", _SCAN_KIND),
        "vulnerability_id": _of_finding("packageVulnerabilityDetails.vulnerabilityId"),
        "severity": _of_finding("severity"),
        "title": _of_finding("title"),
        "description": _of_finding("description"),
        "uri": _of_finding("packageVulnerabilityDetails.sourceUrl"),
        "source": _of_finding("packageVulnerabilityDetails.source"),
        "package_name": "name",
        "package_version": "version",
        "fixed_in_version": "fixedInVersion",
        "package_manager": "packageManager",
        "package_epoch": "epoch",
        "package_release": "release",
        "package_architecture": "arch",
        "file_path": "filePath",
        "source_layer_hash": "sourceLayerHash",
        "fix_available": _of_finding("fixAvailable"),
        "exploit_available": _of_finding("exploitAvailable"),
        "cvss2_score": _cvss(CVSS2, "baseScore", _CVSS2_SCORE),
        "cvss2_vector": _cvss(CVSS2, "scoringVector", _CVSS2_VECTOR),
        "cvss3_score": _cvss(CVSS3, "baseScore", _CVSS3_SCORE),
        "cvss3_vector": _cvss(CVSS3, "scoringVector", _CVSS3_VECTOR),
        "inspector_score": _of_finding("score"),
        "inspector_score_source": _of_finding("scoreDetails.cvss.scoreSource"),
        "inspector_score_version": _of_finding("scoreDetails.cvss.version"),
        "inspector_score_vector": _of_finding("scoreDetails.cvss.scoringVector"),
        "adjusted_cvss_score": _of_finding("scoreDetails.cvss.score"),
        "status": _of_finding("status"),
        "finding_type": _of_finding("type"),
        "vendor_severity": _of_finding("packageVulnerabilityDetails.vendorSeverity"),
        "vendor_created_at": _of_finding("packageVulnerabilityDetails.vendorCreatedAt"),
        "vendor_updated_at": _of_finding("packageVulnerabilityDetails.vendorUpdatedAt"),
        "first_observed_at": _of_finding("firstObservedAt"),
        "last_observed_at": _of_finding("lastObservedAt"),
        "updated_at": _of_finding("updatedAt"),
        "remediation_text": _of_finding("remediation.recommendation.text"),
        "remediation_url": _of_finding("remediation.recommendation.url"),
        "aws_account_id": _of_finding("awsAccountId"),
        "resource_id": _of_finding("resources[0].id"),
        "resource_type": _of_finding("resources[0].type"),
        "image_architecture": _of_finding(f"{CONTAINER}.architecture"),
        "image_platform": _of_finding(f"{CONTAINER}.platform"),
        "image_author": _of_finding(f"{CONTAINER}.author"),
        "in_use_count": _of_finding(f"{CONTAINER}.inUseCount"),
        "last_in_use_at": _of_finding(f"{CONTAINER}.lastInUseAt"),
    },
    also=(
        Filling(
            DESCRIBE_IMAGE_SCAN_FINDINGS,
            FINDINGS,
            {
                **IMAGE,
                "finding_id": _BASIC_ID,
                "package_id": Constant("", PACKAGE_ID),
                "scan_kind": Constant("basic", _SCAN_KIND),
                "vulnerability_id": "name",
                "severity": "severity",
                "description": "description",
                "uri": "uri",
                "package_name": _PACKAGE_NAME,
                "package_version": _PACKAGE_VERSION,
                "fixed_in_version": _attribute("fixed_in_version", "Where it is fixed.", "FIXED_IN_VERSION"),
                "cvss2_score": _score(_attribute("CVSS2_SCORE", _CVSS2_SCORE)),
                "cvss2_vector": _attribute("CVSS2_VECTOR", _CVSS2_VECTOR),
                "cvss3_score": _score(_attribute("CVSS3_SCORE", _CVSS3_SCORE)),
                "cvss3_vector": _attribute("CVSS3_VECTOR", _CVSS3_VECTOR),
            },
        ),
    ),
    left_out={
        f"{ENHANCED}.resources[].tags{{}}.key": "the tags of the repository are in repository_tags",
        f"{ENHANCED}.resources[].tags{{}}.value": "the tags of the repository are in repository_tags",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.imageHash": "the image that was asked for",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.imageTags[]": "in image_tags",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.pushedAt": "in images",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.registry": "the registry that was asked",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.repositoryName": "the repository that was asked for",
    },
    # Inspector looks every day; a version of the row a day would say nothing.
    volatile=frozenset({"last_observed_at", "updated_at", "last_in_use_at"}),
)

IMAGE_SCAN_FINDING_ATTRIBUTES = Table(
    name="image_scan_finding_attributes",
    description="One row per attribute of a finding of basic scanning.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=f"{FINDINGS}.attributes[]",
    key=(*IMAGE_KEY, "finding_id", "attribute_key", "attribute_value"),
    columns={
        **IMAGE,
        "finding_id": OfParent(_BASIC_ID),
        "attribute_key": "key",
        "attribute_value": "value",
    },
)

IMAGE_SCAN_FINDING_CVSS = Table(
    name="image_scan_finding_cvss",
    description="One row per CVSS score that a source gives to a finding of enhanced scanning.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=f"{ENHANCED}.packageVulnerabilityDetails.cvss[]",
    key=(*IMAGE_KEY, "finding_id", "score_id"),
    columns={
        **IMAGE,
        "finding_id": _of_finding("findingArn"),
        "score_id": Joined(
            (Member("source"), Member("version"), Member("scoringVector")), "Tells the scores of a finding apart."
        ),
        "source": "source",
        "version": "version",
        "base_score": "baseScore",
        "scoring_vector": "scoringVector",
    },
)

IMAGE_SCAN_FINDING_SCORE_ADJUSTMENTS = Table(
    name="image_scan_finding_score_adjustments",
    description="One row per reason for which Inspector's score of a finding differs from the CVSS score.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=f"{ENHANCED}.scoreDetails.cvss.adjustments[]",
    key=(*IMAGE_KEY, "finding_id", "metric", "reason"),
    columns={**IMAGE, "finding_id": _of_finding("findingArn"), "metric": "metric", "reason": "reason"},
)

IMAGE_SCAN_FINDING_REFERENCE_URLS = Table(
    name="image_scan_finding_reference_urls",
    description="One row per page that tells more of a finding of enhanced scanning.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=f"{ENHANCED}.packageVulnerabilityDetails.referenceUrls[]",
    key=(*IMAGE_KEY, "finding_id", "url"),
    columns={**IMAGE, "finding_id": _of_finding("findingArn"), "url": Member("")},
)

IMAGE_SCAN_FINDING_RELATED_VULNERABILITIES = Table(
    name="image_scan_finding_related_vulnerabilities",
    description="One row per vulnerability that is related to a finding of enhanced scanning.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=f"{ENHANCED}.packageVulnerabilityDetails.relatedVulnerabilities[]",
    key=(*IMAGE_KEY, "finding_id", "related_vulnerability"),
    columns={**IMAGE, "finding_id": _of_finding("findingArn"), "related_vulnerability": Member("")},
)

FINDINGS_TABLES = [
    IMAGE_SCANS,
    IMAGE_SCAN_FINDINGS,
    IMAGE_SCAN_FINDING_ATTRIBUTES,
    IMAGE_SCAN_FINDING_CVSS,
    IMAGE_SCAN_FINDING_SCORE_ADJUSTMENTS,
    IMAGE_SCAN_FINDING_REFERENCE_URLS,
    IMAGE_SCAN_FINDING_RELATED_VULNERABILITIES,
]
