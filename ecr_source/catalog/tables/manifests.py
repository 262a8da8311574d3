"""Manifests and referrers: only by explicit choice, because asking for a manifest counts as a pull."""

from __future__ import annotations

from ecr_source.catalog.column import Asked, CallOutcome, Member, OfParent, OfScope, Source
from ecr_source.catalog.table import AskAgain, EachRow, Operation, Preferred, Table
from ecr_source.catalog.tables.image import ASKED_IMAGE, IMAGE_KEY, IMAGES

BATCH_GET_IMAGE = Operation(
    "ecr",
    "BatchGetImage",
    each=EachRow(
        IMAGES, {"repositoryName": "repository_name", "imageIds[].imageDigest": "image_digest"}, at_a_time=100
    ),
    # Without it the service answers with what old clients understand, converted.
    parameters={
        "acceptedMediaTypes": [
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.index.v1+json",
        ]
    },
    failures="failures",
    again=AskAgain(expires=False),
)

LIST_IMAGE_REFERRERS = Operation(
    "ecr",
    "ListImageReferrers",
    page_size=50,
    each=EachRow(IMAGES, {"repositoryName": "repository_name", "subjectId.imageDigest": "image_digest"}),
    preferred=Preferred(
        {"filter": {"artifactStatus": "ANY"}},
        "the endpoint rejects filter.artifactStatus: archived referrers are not in the listing",
    ),
    again=AskAgain(),
)

_MANIFEST = "imageManifest@manifest"
_OF_MANIFEST: dict[str, str | Source] = {
    "registry_id": OfScope("registry_id"),
    "region": OfScope("region"),
    "repository_name": OfParent(Member("repositoryName")),
    "image_digest": OfParent(Member("imageId.imageDigest")),
}

IMAGE_MANIFESTS = Table(
    name="image_manifests",
    description="One row per image whose manifest was fetched.",
    operation=BATCH_GET_IMAGE,
    rows="images[]",
    key=IMAGE_KEY,
    columns={
        "registry_id": OfScope("registry_id", told_by=Member("registryId")),
        "region": OfScope("region"),
        "repository_name": "repositoryName",
        "image_digest": "imageId.imageDigest",
        "manifest_media_type": "imageManifestMediaType",
        "schema_version": f"{_MANIFEST}.schemaVersion",
        "artifact_type": f"{_MANIFEST}.artifactType",
        "config_digest": f"{_MANIFEST}.configDigest",
        "config_media_type": f"{_MANIFEST}.configMediaType",
        "config_size_in_bytes": f"{_MANIFEST}.configSize",
        "subject_digest": f"{_MANIFEST}.subjectDigest",
        "layer_count": f"{_MANIFEST}.layerCount",
        "total_layer_size_in_bytes": f"{_MANIFEST}.totalLayerSize",
        "parse_error": f"{_MANIFEST}.parseError",
        "manifest_text": "imageManifest",
    },
    left_out={
        "images[].imageId.imageTag": "images are asked for by digest; image_tags has the tags",
        **{
            f"failures[].{member}": "in extraction_errors"
            for member in ("imageId.imageDigest", "imageId.imageTag", "failureCode", "failureReason")
        },
    },
)

IMAGE_LAYERS = Table(
    name="image_layers",
    description="One row per layer that an image's manifest names.",
    operation=BATCH_GET_IMAGE,
    rows=f"images[].{_MANIFEST}.layers[]",
    key=(*IMAGE_KEY, "layer_index"),
    columns={
        **_OF_MANIFEST,
        "layer_index": "index",
        "layer_digest": "digest",
        "media_type": "mediaType",
        "size_in_bytes": "size",
    },
)

IMAGE_MANIFEST_CHILDREN = Table(
    name="image_manifest_children",
    description="One row per image that an index, or manifest list, refers to.",
    operation=BATCH_GET_IMAGE,
    rows=f"images[].{_MANIFEST}.children[]",
    key=(*IMAGE_KEY, "child_digest"),
    columns={
        **_OF_MANIFEST,
        "child_digest": "digest",
        "media_type": "mediaType",
        "artifact_type": "artifactType",
        "size_in_bytes": "size",
        "architecture": "architecture",
        "os": "os",
        "os_version": "osVersion",
        "variant": "variant",
        "is_attestation": "isAttestation",
    },
)

IMAGE_MANIFEST_ANNOTATIONS = Table(
    name="image_manifest_annotations",
    description="One row per annotation of an image's manifest.",
    operation=BATCH_GET_IMAGE,
    rows=f"images[].{_MANIFEST}.annotations[]",
    key=(*IMAGE_KEY, "annotation_key"),
    columns={**_OF_MANIFEST, "annotation_key": "key", "annotation_value": "value"},
)

_SUBJECT: dict[str, str | Source] = {
    "registry_id": OfScope("registry_id"),
    "region": OfScope("region"),
    "repository_name": Asked("repository_name"),
    "subject_digest": Asked("image_digest", meaning="The digest of the image that is referred to."),
}
_REFERRER_KEY = ("registry_id", "region", "repository_name", "subject_digest", "digest")

IMAGE_REFERRER_LISTINGS = Table(
    name="image_referrer_listings",
    description="One row per image that was asked for what refers to it.",
    operation=LIST_IMAGE_REFERRERS,
    rows="",
    key=IMAGE_KEY,
    whatever_comes=True,
    columns={**ASKED_IMAGE, "fetch_outcome": CallOutcome("nextToken", {})},
)

IMAGE_REFERRERS = Table(
    name="image_referrers",
    description="One row per artifact (signature, SBOM, attestation) that refers to an image.",
    operation=LIST_IMAGE_REFERRERS,
    rows="referrers[]",
    key=_REFERRER_KEY,
    columns={
        **_SUBJECT,
        "digest": "digest",
        "media_type": "mediaType",
        "artifact_type": "artifactType",
        "size_in_bytes": "size",
        "artifact_status": "artifactStatus",
    },
)

IMAGE_REFERRER_ANNOTATIONS = Table(
    name="image_referrer_annotations",
    description="One row per annotation of an artifact that refers to an image.",
    operation=LIST_IMAGE_REFERRERS,
    rows="referrers[].annotations{}",
    key=(*_REFERRER_KEY, "annotation_key"),
    columns={
        **_SUBJECT,
        "digest": OfParent(Member("digest")),
        "annotation_key": Member("key", "The annotation's name."),
        "annotation_value": Member("value", "The annotation's value."),
    },
)

MANIFEST_TABLES = [
    IMAGE_MANIFESTS,
    IMAGE_LAYERS,
    IMAGE_MANIFEST_CHILDREN,
    IMAGE_MANIFEST_ANNOTATIONS,
    IMAGE_REFERRER_LISTINGS,
    IMAGE_REFERRERS,
    IMAGE_REFERRER_ANNOTATIONS,
]
