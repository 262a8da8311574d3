"""Images that are pushed with their layers, and indexes of them."""

from __future__ import annotations

import json
from typing import Any

from tests.server.registry import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry, digest_of
from tests.views.conftest import days_ago

GB = 1_073_741_824


def put(registry: Registry, repository: str, name: str, days: float, layers: dict[str, int], **members: Any) -> None:
    """An image of these layers, whose sizes are in GB, with 10 GB of configuration."""
    blobs = [{"mediaType": OCI_LAYER, "digest": digest_of(layer), "size": size * GB} for layer, size in layers.items()]
    config = {"mediaType": OCI_CONFIG, "digest": digest_of(f"configuration of {name}"), "size": 10 * GB}
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": blobs}
    size = (sum(layers.values()) + 10) * GB
    registry.put_image(repository, digest_of(name), pushed_at=days_ago(days), imageSizeInBytes=size, **members)
    registry.manifests[repository, digest_of(name)] = json.dumps(manifest)


def put_index(registry: Registry, repository: str, name: str, days: float, children: dict[str, str]) -> None:
    """An index of the architectures of `children`, as large as its largest child, as the service has it."""
    manifests = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest_of(child),
            "size": 500,
            "platform": {"os": "linux", "architecture": of},
        }
        for child, of in children.items()
    ]
    registry.put_image(
        repository,
        digest_of(name),
        [name],
        days_ago(days),
        imageManifestMediaType=OCI_INDEX,
        artifactMediaType=None,
        imageSizeInBytes=900 * GB,
    )
    manifest = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    registry.manifests[repository, digest_of(name)] = json.dumps(manifest)
