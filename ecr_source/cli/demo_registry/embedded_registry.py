"""What a registry holds: repositories, images, findings, what runs them, each with the days since it came to be.

`Registry.as_of` is the same registry on an earlier day. What no day tells, a setting or a tag that was another one, is
written beside a thing as `last_week`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_CONFIG_SIZE = 1_500

WEEK = 7


@dataclass(frozen=True)
class Finding:
    """A vulnerability of a package, which scans find from the day on which it was published until it is withdrawn."""

    vulnerability: str
    severity: str
    score: float
    package: str
    version: str
    fixed_in: str | None
    published: int
    withdrawn: int | None = None
    is_exploited: bool = False


@dataclass(frozen=True)
class Layer:
    """A layer, the same one in all images that are made from it; its size is compressed, in bytes."""

    name: str
    size: int

    @property
    def digest(self) -> str:
        return _digest(self.name)


@dataclass(frozen=True)
class Service:
    """What runs an image: a service of Amazon ECS or, in a namespace, a deployment of Amazon EKS."""

    cluster: str
    name: str
    running: int
    namespace: str | None = None


@dataclass(frozen=True)
class Image:
    """An image; an index, if it has `children`; what is attached to an image, if that is its `subject`.

    `pushed`, `pulled`, `archived`, `deleted` and `scanned` are days ago.
    """

    pushed: int
    tags: Sequence[str] = ()
    layers: Sequence[Layer] = ()
    architecture: str = "amd64"
    children: Sequence[Image] = ()
    subject: Image | None = None
    artifact_type: str = OCI_CONFIG
    annotations: Mapping[str, str] = field(default_factory=dict)
    pulled: int | None = None
    archived: int | None = None
    deleted: int | None = None
    scanned: int | None = None
    scan_failure: str | None = None
    findings: Sequence[Finding] = ()
    services: Sequence[Service] = ()
    last_week: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        return _digest(self.manifest)

    @property
    def media_type(self) -> str:
        return _OCI_INDEX if self.children else _OCI_MANIFEST

    @property
    def size(self) -> int:
        """In bytes; of an index that of its largest child, as ECR has it."""
        return max((child.size for child in self.children), default=sum(layer.size for layer in self.layers))

    @property
    def manifest(self) -> str:
        """The text that is pushed, of which the digest is taken."""
        parts = self._of_index() if self.children else self._of_image()
        return json.dumps({"schemaVersion": 2, "mediaType": self.media_type, **parts})

    def _of_index(self) -> dict[str, Any]:
        platforms = [{"platform": {"os": "linux", "architecture": child.architecture}} for child in self.children]
        return {"manifests": [child.descriptor | one for child, one in zip(self.children, platforms, strict=True)]}

    def _of_image(self) -> dict[str, Any]:
        named = f"{self.architecture} {[layer.name for layer in self.layers]}"
        parts: dict[str, Any] = {
            "config": {"mediaType": OCI_CONFIG, "digest": _digest(named), "size": _CONFIG_SIZE},
            "layers": [{"mediaType": _OCI_LAYER, "digest": one.digest, "size": one.size} for one in self.layers],
        }
        if self.subject:
            parts |= {"artifactType": self.artifact_type, "subject": self.subject.descriptor}
        return parts | {"annotations": {**self.annotations}}

    @property
    def descriptor(self) -> dict[str, Any]:
        """How other manifests refer to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest)}

    def as_of(self, day: int) -> Image:
        """The image, `day` days ago: it was pulled and scanned every day until it was the last time."""
        return replace(
            self,
            pulled=None if self.pulled is None else max(self.pulled, day),
            scanned=None if self.scanned is None else max(self.scanned, day),
            findings=[one for one in self.findings if _is_there(day, one.published, one.withdrawn)],
            **(self.last_week if day >= WEEK else {}),
        )


@dataclass(frozen=True)
class Repository:
    """A repository, created so many days ago, and its settings; `scans` is its scan frequency."""

    created: int
    images: Sequence[Image] = ()
    deleted: int | None = None
    mutability: str = "MUTABLE"
    mutability_exceptions: Sequence[str] = ()
    kms_key: str | None = None
    scans: str = "MANUAL"
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None
    lifecycle_policy: Mapping[str, Any] | None = None
    last_week: Mapping[str, Any] = field(default_factory=dict)

    def as_of(self, day: int) -> Repository:
        """The repository and the images that were in it, `day` days ago."""
        there = [image for image in self.images if _is_there(day, image.pushed, image.deleted)]
        return replace(
            self,
            images=[image.as_of(day) for image in there],
            **(self.last_week if day >= WEEK else {}),
        )


@dataclass(frozen=True)
class Registry:
    """The registry of a region; rules and templates are in the words of the API, but for their dates."""

    region: str
    scan_type: str
    repositories: Mapping[str, Repository]
    scanning_rules: Sequence[Mapping[str, Any]] = ()
    policy: Mapping[str, Any] | None = None
    replication_rules: Sequence[Mapping[str, Any]] = ()
    pull_through_cache_rules: Sequence[Mapping[str, Any]] = ()
    creation_templates: Sequence[Mapping[str, Any]] = ()

    def as_of(self, day: int) -> Registry:
        """The registry, `day` days ago."""
        there = {name: one for name, one in self.repositories.items() if _is_there(day, one.created, one.deleted)}
        return replace(self, repositories={name: one.as_of(day) for name, one in there.items()})


def _is_there(day: int, since: int, until: int | None) -> bool:
    return since >= day and (until is None or until < day)


def _digest(content: str) -> str:
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
