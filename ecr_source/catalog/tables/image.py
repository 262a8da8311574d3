"""Images: their listing, and their tags."""

from __future__ import annotations

from collections.abc import Mapping

from ecr_source.catalog.column import Asked, Count, IsOneOf, Listed, Member, OfParent, OfScope, OrZero, Source
from ecr_source.catalog.table import EachRow, Operation, Preferred, Table
from ecr_source.catalog.tables.repository import REPOSITORIES

DESCRIBE_IMAGES = Operation(
    "ecr",
    "DescribeImages",
    page_size=1000,
    each=EachRow(REPOSITORIES, {"repositoryName": "repository_name"}),
    # Without it the service leaves archived images out, which are stored and paid for.
    preferred=Preferred(
        {"filter": {"imageStatus": "ANY"}},
        "the endpoint rejects filter.imageStatus: archived images are not in the listing",
    ),
)

IMAGE_KEY = ("registry_id", "region", "repository_name", "image_digest")
REGISTRY_ID = OfScope("registry_id", told_by=Member("registryId"))
REPOSITORY_NAME = Asked("repository_name", told_by=Member("repositoryName"))

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")


def severity_counts(within: str, unknown: str) -> dict[str, OrZero]:
    """A column for each severity: how many findings of it the structure `within` counts; NULL if `unknown`."""
    return {
        f"{severity.lower()}_count": OrZero(
            within,
            f"{within}.findingSeverityCounts.{severity}",
            f"How many findings of severity {severity} there are; NULL if {unknown}.",
        )
        for severity in SEVERITIES
    }


IMAGES = Table(
    name="images",
    description="One row per image of a private registry, whatever its status and however many tags it has.",
    operation=DESCRIBE_IMAGES,
    rows="imageDetails[]",
    key=IMAGE_KEY,
    cursor="image_pushed_at",
    added=frozenset({"image_tags"}),
    columns={
        "registry_id": REGISTRY_ID,
        "region": OfScope("region"),
        "repository_name": REPOSITORY_NAME,
        "image_digest": "imageDigest",
        "image_size_in_bytes": "imageSizeInBytes",
        "image_pushed_at": "imagePushedAt",
        "image_tags": Listed("imageTags", "Its tags, sorted, joined by `, `; NULL if it has none."),
        "tag_count": Count("imageTags"),
        "image_manifest_media_type": "imageManifestMediaType",
        "artifact_media_type": "artifactMediaType",
        "is_manifest_list": IsOneOf(
            "imageManifestMediaType",
            (
                "application/vnd.docker.distribution.manifest.list.v2+json",
                "application/vnd.oci.image.index.v1+json",
            ),
        ),
        "subject_manifest_digest": "subjectManifestDigest",
        "last_recorded_pull_time": "lastRecordedPullTime",
        "image_status": "imageStatus",
        "last_archived_at": "lastArchivedAt",
        "last_activated_at": "lastActivatedAt",
        "scan_status": "imageScanStatus.status",
        "scan_status_description": "imageScanStatus.description",
        "scan_completed_at": "imageScanFindingsSummary.imageScanCompletedAt",
        "vulnerability_source_updated_at": "imageScanFindingsSummary.vulnerabilitySourceUpdatedAt",
        **severity_counts(
            "imageScanFindingsSummary",
            "the listing has no summary: new basic and enhanced scanning leave it to image_scans",
        ),
    },
)

IMAGE_TAGS = Table(
    name="image_tags",
    description="One row per tag of an image.",
    operation=DESCRIBE_IMAGES,
    rows="imageDetails[].imageTags[]",
    key=(*IMAGE_KEY, "image_tag"),
    cursor="image_pushed_at",
    columns={
        "registry_id": OfParent(REGISTRY_ID),
        "region": OfScope("region"),
        "repository_name": OfParent(REPOSITORY_NAME),
        "image_digest": OfParent(Member("imageDigest")),
        "image_tag": Member("", "The tag."),
        "image_pushed_at": OfParent(Member("imagePushedAt")),
    },
)

EACH_IMAGE = EachRow(IMAGES, {"repositoryName": "repository_name", "imageId.imageDigest": "image_digest"})
ASKED_IMAGE: Mapping[str, str | Source] = {
    "registry_id": OfScope("registry_id"),
    "region": OfScope("region"),
    "repository_name": Asked("repository_name"),
    "image_digest": Asked("image_digest"),
}
ECHOED_IMAGE: Mapping[str, str | Source] = {
    **ASKED_IMAGE,
    "repository_name": Asked("repository_name", told_by=Member("repositoryName")),
    "image_digest": Asked("image_digest", told_by=Member("imageId.imageDigest")),
}
ASKED_BY_DIGEST = {"imageId.imageTag": "images are asked for by digest; image_tags has the tags"}

IMAGE_TABLES = [IMAGES, IMAGE_TAGS]
