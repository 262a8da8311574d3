"""Image manifests as rows.

https://github.com/opencontainers/image-spec, https://distribution.github.io/distribution/spec/
"""

from __future__ import annotations

from collections.abc import Iterator

from ecr_source.catalog.documents.shape import (
    PARSE_ERROR,
    Object,
    boolean_field,
    checked,
    integer_field,
    list_field,
    member_of,
    members_of,
    objects_of,
    required_member,
    struct_of,
    text_field,
)

MANIFEST = struct_of(
    parseError=PARSE_ERROR,
    schemaVersion=integer_field("1 for Docker schema 1, 2 for all others."),
    mediaType=text_field("The media type that the manifest gives itself; OCI and Docker schema 1 may leave it out."),
    artifactType=text_field("The type of the artifact, if it is no container image."),
    configDigest=text_field("The digest of the configuration."),
    configMediaType=text_field("The media type of the configuration."),
    configSize=integer_field("The size of the configuration, in bytes."),
    subjectDigest=text_field("The digest of the manifest that this one refers to."),
    layerCount=integer_field("How many layers the manifest lists; NULL for a manifest list or index."),
    totalLayerSize=integer_field("The sum of the listed layers' compressed sizes, in bytes; NULL if one is not known."),
    layers=list_field(
        "The layers in the order of the manifest: from the base up, in Docker schema 1 from the top down.",
        index=integer_field("Position of the layer in the manifest, from 0."),
        digest=text_field("The digest of the layer; a layer may be listed twice."),
        mediaType=text_field("The media type of the layer."),
        size=integer_field("The compressed size of the layer, in bytes; NULL in Docker schema 1."),
    ),
    children=list_field(
        "The manifests of a manifest list or index, in its order.",
        digest=text_field("The digest of the listed manifest."),
        mediaType=text_field("The media type of the listed manifest."),
        artifactType=text_field("The type of the artifact, if it is no container image."),
        size=integer_field("The size of the listed manifest itself, in bytes."),
        architecture=text_field("The architecture that the image runs on."),
        os=text_field("The operating system that the image runs on."),
        osVersion=text_field("The version of the operating system."),
        variant=text_field("The variant of the architecture."),
        isAttestation=boolean_field("Whether it is BuildKit's attestation of an image, not an image."),
    ),
    annotations=list_field(
        "The annotations of the manifest, sorted by key.",
        key=text_field("The name of the annotation."),
        value=text_field("The value of the annotation."),
    ),
)

_DESCRIPTOR = {"digest": str, "mediaType": str, "size": int}
_PLATFORM = {"architecture": str, "os": str, "os.version": str, "variant": str}


def read_manifest(manifest: Object) -> Object:
    """A manifest, or a list of them, as a value of `MANIFEST`, but for its `parseError`.

    Raises:
        Malformed: it is none.
    """
    config = members_of(member_of(manifest, "config", dict) or {}, _DESCRIPTOR, "config.")
    layers = [{"index": index, **layer} for index, layer in enumerate(_layers(manifest))]
    is_list = manifest.get("manifests") is not None
    return {
        "schemaVersion": required_member(manifest, "schemaVersion", int),
        "mediaType": member_of(manifest, "mediaType", str),
        "artifactType": member_of(manifest, "artifactType", str),
        "configDigest": config["digest"],
        "configMediaType": config["mediaType"],
        "configSize": config["size"],
        "subjectDigest": member_of(member_of(manifest, "subject", dict) or {}, "digest", str, "subject."),
        "layerCount": None if is_list else len(layers),
        "totalLayerSize": None if is_list else _total_size(layers),
        "layers": layers,
        "children": [_child(*child) for child in objects_of(member_of(manifest, "manifests", list), "manifests")],
        "annotations": [{"key": key, "value": value} for key, value in sorted(_annotations(manifest, "").items())],
    }


def _layers(manifest: Object) -> Iterator[Object]:
    for layer, within in objects_of(member_of(manifest, "layers", list), "layers"):
        yield _descriptor(layer, within)
    for layer, within in objects_of(member_of(manifest, "fsLayers", list), "fsLayers"):
        yield {"digest": required_member(layer, "blobSum", str, within), "mediaType": None, "size": None}


def _descriptor(value: Object, within: str) -> Object:
    return members_of(value, _DESCRIPTOR, within) | {"digest": required_member(value, "digest", str, within)}


def _total_size(layers: list[Object]) -> int | None:
    sizes = [layer["size"] for layer in layers]
    return None if None in sizes else checked(sum(sizes), int, "the sum of the layers' sizes")


def _child(child: Object, within: str) -> Object:
    platform = members_of(member_of(child, "platform", dict, within) or {}, _PLATFORM, f"{within}platform.")
    return {
        **_descriptor(child, within),
        "artifactType": member_of(child, "artifactType", str, within),
        "architecture": platform["architecture"],
        "os": platform["os"],
        "osVersion": platform["os.version"],
        "variant": platform["variant"],
        "isAttestation": _annotations(child, within).get("vnd.docker.reference.type") == "attestation-manifest",
    }


def _annotations(parent: Object, within: str) -> dict[str, str]:
    annotations = member_of(parent, "annotations", dict, within) or {}
    return {key: checked(value, str, within, "annotations.", key) for key, value in annotations.items()}
