"""What scans of images found: basic and enhanced scanning in the same tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ecr_source.catalog.column import (
    Asked,
    Constant,
    Joined,
    Lookup,
    Member,
    OfParent,
    OfScope,
    Source,
)
from ecr_source.catalog.table import Filling, Operation, Table
from ecr_source.catalog.tables.image import ASKED_IMAGE, IMAGE_KEY
from ecr_source.catalog.tables.image_scans import DESCRIBE_IMAGE_SCAN_FINDINGS, IMAGE_SCANS, LIST_FINDINGS

FINDINGS = "imageScanFindings.findings[]"
ENHANCED = "imageScanFindings.enhancedFindings[]"
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


@dataclass(frozen=True)
class _Enhanced:
    """Enhanced findings, as ECR or as Inspector tells them: where they are, and what is named differently."""

    operation: Operation
    findings: str
    image: Mapping[str, str | Source]
    score: str
    score_details: str
    remediation_url: str

    def child(self, rows: str, columns: Mapping[str, str | Source]) -> Filling:
        """The rows of a list inside each finding."""
        levels = rows.count("[]")
        image = {name: _up(levels, source) for name, source in self.image.items()}
        return Filling(
            self.operation,
            f"{self.findings}.{rows}",
            {**image, "finding_id": OfParent(Member("findingArn", FINDING_ID)), **columns},
        )

    def packages(self) -> Filling:
        """A row for each package of each finding; a finding without packages is a row as well."""
        rows = "packageVulnerabilityDetails.vulnerablePackages[]"
        return replace(self.child(rows, self._columns()), outer=True)

    def _columns(self) -> Mapping[str, str | Source]:
        return {
            "package_id": Joined(tuple(map(Member, _PACKAGE_KEY)), PACKAGE_ID),
            "scan_kind": Constant("enhanced", _SCAN_KIND),
            "vulnerability_id": _of_finding("packageVulnerabilityDetails.vulnerabilityId"),
            "severity": _of_finding("severity"),
            "title": _of_finding("title"),
            "description": _of_finding("description"),
            "uri": _of_finding("packageVulnerabilityDetails.sourceUrl"),
            "source": _of_finding("packageVulnerabilityDetails.source"),
            "package_name": "name",
            "package_version": "version",
            "fixed_in_version": Member("fixedInVersion", "Where it is fixed; NotAvailable if nowhere."),
            "package_manager": "packageManager",
            "package_epoch": "epoch",
            "package_release": "release",
            "package_architecture": "arch",
            "file_path": "filePath",
            "source_layer_hash": "sourceLayerHash",
            "fix_available": _of_finding("fixAvailable"),
            "exploit_available": OfParent(Member("exploitAvailable", "YES if an exploit is known, else NO.")),
            "cvss2_score": _cvss(CVSS2, "baseScore", _CVSS2_SCORE),
            "cvss2_vector": _cvss(CVSS2, "scoringVector", _CVSS2_VECTOR),
            "cvss3_score": _cvss(CVSS3, "baseScore", _CVSS3_SCORE),
            "cvss3_vector": _cvss(CVSS3, "scoringVector", _CVSS3_VECTOR),
            "inspector_score": _of_finding(self.score),
            "adjusted_cvss_score": OfParent(
                Member(f"{self.score_details}.score", "The CVSS score as Inspector adjusted it.")
            ),
            "adjusted_cvss_source": _of_finding(f"{self.score_details}.scoreSource"),
            "adjusted_cvss_version": _of_finding(f"{self.score_details}.version"),
            "adjusted_cvss_vector": _of_finding(f"{self.score_details}.scoringVector"),
            "status": _of_finding("status"),
            "finding_type": _of_finding("type"),
            "vendor_severity": _of_finding("packageVulnerabilityDetails.vendorSeverity"),
            "vendor_created_at": _of_finding("packageVulnerabilityDetails.vendorCreatedAt"),
            "vendor_updated_at": _of_finding("packageVulnerabilityDetails.vendorUpdatedAt"),
            "first_observed_at": _of_finding("firstObservedAt"),
            "last_observed_at": _of_finding("lastObservedAt"),
            "updated_at": _of_finding("updatedAt"),
            "remediation_text": _of_finding("remediation.recommendation.text"),
            "remediation_url": _of_finding(self.remediation_url),
            "aws_account_id": _of_finding("awsAccountId"),
            "resource_id": _of_finding("resources[0].id"),
            "resource_type": _of_finding("resources[0].type"),
            "image_architecture": _of_finding(f"{CONTAINER}.architecture"),
            "image_platform": _of_finding(f"{CONTAINER}.platform"),
            "image_author": _of_finding(f"{CONTAINER}.author"),
            "in_use_count": _of_finding(f"{CONTAINER}.inUseCount"),
            "last_in_use_at": _of_finding(f"{CONTAINER}.lastInUseAt"),
        }


def _of_finding(path: str) -> OfParent:
    return OfParent(Member(path))


def _up(levels: int, source: str | Source) -> Source:
    inner = Member(source) if isinstance(source, str) else source
    return inner if levels == 0 or isinstance(inner, (OfScope, Asked)) else _up(levels - 1, OfParent(inner))


def _cvss(versions: tuple[str, ...], value: str, meaning: str) -> OfParent:
    lookup = Lookup("packageVulnerabilityDetails.cvss", "version", versions, value, meaning)
    return OfParent(_score(lookup) if value == "baseScore" else lookup)


_CVSS2_SCORE, _CVSS2_VECTOR = "The CVSS 2 base score.", "The CVSS 2 vector."
_CVSS3_SCORE, _CVSS3_VECTOR = "The CVSS 3 base score.", "The CVSS 3 vector."
_SCAN_KIND = "Which scanning found it: basic or enhanced."
_PACKAGE_KEY = ("name", "version", "epoch", "release", "arch", "filePath", "sourceLayerHash")

BY_ECR = _Enhanced(
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    findings=ENHANCED,
    image=ASKED_IMAGE,
    score="score",
    score_details="scoreDetails.cvss",
    remediation_url="remediation.recommendation.url",
)

BY_INSPECTOR = _Enhanced(
    operation=LIST_FINDINGS,
    findings="findings[]",
    image={
        "registry_id": OfScope("registry_id"),
        "region": OfScope("region"),
        "repository_name": f"{CONTAINER}.repositoryName",
        "image_digest": f"{CONTAINER}.imageHash",
    },
    score="inspectorScore",
    score_details="inspectorScoreDetails.adjustedCvss",
    remediation_url="remediation.recommendation.Url",
)


def _enhanced_table(
    name: str, description: str, rows: str, key: tuple[str, ...], columns: Mapping[str, str | Source]
) -> Table:
    """A table of a list inside each enhanced finding, whoever tells it."""
    by_ecr, by_inspector = BY_ECR.child(rows, columns), BY_INSPECTOR.child(rows, columns)
    return Table(
        name=name,
        description=description,
        operation=by_ecr.operation,
        rows=by_ecr.rows,
        key=(*IMAGE_KEY, "finding_id", *key),
        columns=by_ecr.columns,
        also=(by_inspector,),
    )


IMAGE_SCAN_FINDINGS = Table(
    name="image_scan_findings",
    description="One row per image, vulnerability and package, of basic and of enhanced scanning. An image without one"
    " is clean only where image_scans has it as complete.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=BY_ECR.packages().rows,
    outer=True,
    key=(*IMAGE_KEY, "finding_id", "package_id"),
    columns=BY_ECR.packages().columns,
    also=(
        Filling(
            DESCRIBE_IMAGE_SCAN_FINDINGS,
            FINDINGS,
            {
                **ASKED_IMAGE,
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
        BY_INSPECTOR.packages(),
    ),
    left_out={
        f"{ENHANCED}.resources[].tags{{}}.key": "the tags of the repository are in repository_tags",
        f"{ENHANCED}.resources[].tags{{}}.value": "the tags of the repository are in repository_tags",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.imageHash": "the image that was asked for",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.imageTags[]": "in image_tags",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.pushedAt": "in images",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.registry": "the registry that was asked",
        f"{ENHANCED}.resources[].details.awsEcrContainerImage.repositoryName": "the repository that was asked for",
    }
    | {
        # The rows are the same whoever tells them.
        f"findings[].{path}": "told by Inspector only"
        for path in (
            "resources[].tags{}.key",
            "resources[].tags{}.value",
            "resources[].partition",
            "resources[].region",
            "resources[].details.awsEcrContainerImage.imageTags[]",
            "resources[].details.awsEcrContainerImage.pushedAt",
            "resources[].details.awsEcrContainerImage.registry",
            "resources[].provider",
            "resources[].providerAccountId",
            "resources[].providerOrgId",
            "inspectorScoreDetails.adjustedCvss.cvssSource",
            "exploitabilityDetails.lastKnownExploitAt",
            "epss.score",
            "packageVulnerabilityDetails.vulnerablePackages[].remediation",
            "packageVulnerabilityDetails.vulnerablePackages[].sourceLambdaLayerArn",
        )
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
        **ASKED_IMAGE,
        "finding_id": OfParent(_BASIC_ID),
        "attribute_key": "key",
        "attribute_value": "value",
    },
)

IMAGE_SCAN_FINDING_CVSS = _enhanced_table(
    "image_scan_finding_cvss",
    "One row per CVSS score that a source gives to a finding of enhanced scanning.",
    "packageVulnerabilityDetails.cvss[]",
    ("score_id",),
    {
        "score_id": Joined(
            (Member("source"), Member("version"), Member("scoringVector")), "Tells the scores of a finding apart."
        ),
        "source": "source",
        "version": "version",
        "base_score": "baseScore",
        "scoring_vector": "scoringVector",
    },
)

IMAGE_SCAN_FINDING_REFERENCE_URLS = _enhanced_table(
    "image_scan_finding_reference_urls",
    "One row per page that tells more of a finding of enhanced scanning.",
    "packageVulnerabilityDetails.referenceUrls[]",
    ("url",),
    {"url": Member("", "The address of the page.")},
)

IMAGE_SCAN_FINDING_RELATED_VULNERABILITIES = _enhanced_table(
    "image_scan_finding_related_vulnerabilities",
    "One row per vulnerability that is related to a finding of enhanced scanning.",
    "packageVulnerabilityDetails.relatedVulnerabilities[]",
    ("related_vulnerability",),
    {"related_vulnerability": Member("", "The id of the related vulnerability.")},
)

_ADJUSTMENT: Mapping[str, str | Source] = {"metric": "metric", "reason": "reason"}

IMAGE_SCAN_FINDING_SCORE_ADJUSTMENTS = Table(
    name="image_scan_finding_score_adjustments",
    description="One row per reason for which Inspector's score of a finding differs from the CVSS score.",
    operation=DESCRIBE_IMAGE_SCAN_FINDINGS,
    rows=BY_ECR.child(f"{BY_ECR.score_details}.adjustments[]", _ADJUSTMENT).rows,
    key=(*IMAGE_KEY, "finding_id", "metric", "reason"),
    columns=BY_ECR.child(f"{BY_ECR.score_details}.adjustments[]", _ADJUSTMENT).columns,
    also=(BY_INSPECTOR.child(f"{BY_INSPECTOR.score_details}.adjustments[]", _ADJUSTMENT),),
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
