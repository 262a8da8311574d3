"""The rows that tables should have, straight from the registry of the test server: without the catalog, or the walk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.server.registry import Registry

Row = dict[str, Any]


def time_of(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def images_in(registry: Registry) -> Iterator[tuple[str, Row]]:
    for name in registry.repositories:
        for image in registry.images_of(name).values():
            yield name, image


def repositories(registry: Registry) -> list[Row]:
    return [
        {
            "repository_name": name,
            "created_at": time_of(item["createdAt"]),
            "image_tag_mutability": item["imageTagMutability"],
        }
        for name, item in registry.repositories.items()
    ]


def repository_tags(registry: Registry) -> list[Row]:
    return [
        {"repository_name": name, "tag_key": key, "tag_value": value}
        for name in registry.repositories
        for key, value in registry.tags.get(name, {}).items()
    ]


def lifecycle_policies(registry: Registry) -> list[Row]:
    return [
        {"repository_name": name, "lifecycle_policy_text": registry.lifecycle_policies[name]}
        for name in registry.repositories
        if name in registry.lifecycle_policies
    ]


def lifecycle_policy_rules(registry: Registry) -> list[Row]:
    return [
        {"owner_type": "repository", "owner_name": row["repository_name"], "rule_priority": rule["rulePriority"]}
        for row in lifecycle_policies(registry)
        for rule in json.loads(row["lifecycle_policy_text"])["rules"]
    ]


def images(registry: Registry) -> list[Row]:
    return [
        {
            "repository_name": name,
            "image_digest": image["imageDigest"],
            "image_pushed_at": time_of(image["imagePushedAt"]),
            "image_tags": ", ".join(sorted(image.get("imageTags", ()))) or None,
            "tag_count": len(image.get("imageTags", ())),
        }
        for name, image in images_in(registry)
    ]


def image_tags(registry: Registry) -> list[Row]:
    return [
        {"repository_name": name, "image_digest": image["imageDigest"], "image_tag": tag}
        for name, image in images_in(registry)
        for tag in image.get("imageTags", ())
    ]


def image_scans(registry: Registry, latest: int | None = None) -> list[Row]:
    return [
        {
            "repository_name": name,
            "image_digest": image["imageDigest"],
            "scan_status": scan["imageScanStatus"]["status"] if scan and is_inside else None,
        }
        for name, image in images_in(registry)
        for scan in [registry.scans.get((name, image["imageDigest"]))]
        for is_inside in [image["imageDigest"] in newest(registry, name, latest)]
    ]


def newest(registry: Registry, name: str, latest: int | None) -> set[str]:
    """The digests of the newest images of a repository, so many of them; of all, if no number is given."""
    ordered = sorted(
        registry.images_of(name).values(), key=lambda image: (-image["imagePushedAt"], image["imageDigest"])
    )
    return {image["imageDigest"] for image in ordered[:latest]}


def image_scan_findings(registry: Registry, latest: int | None = None) -> list[Row]:
    return [
        {"repository_name": name, "image_digest": image["imageDigest"], "vulnerability_id": vulnerability}
        for name, image in images_in(registry)
        if image["imageDigest"] in newest(registry, name, latest)
        for vulnerability in _vulnerabilities(registry.scans.get((name, image["imageDigest"]), {}))
    ]


def _vulnerabilities(scan: Row) -> Iterator[str]:
    found = scan.get("imageScanFindings", {})
    yield from (finding["name"] for finding in found.get("findings", ()))
    for finding in found.get("enhancedFindings", ()):
        yield finding["packageVulnerabilityDetails"]["vulnerabilityId"]


def image_scan_finding_attributes(registry: Registry, latest: int | None = None) -> list[Row]:
    return [
        {"repository_name": name, "image_digest": image["imageDigest"], "attribute_key": attribute["key"]}
        for name, image in images_in(registry)
        if image["imageDigest"] in newest(registry, name, latest)
        for scan in [registry.scans.get((name, image["imageDigest"]), {})]
        for finding in scan.get("imageScanFindings", {}).get("findings", ())
        for attribute in finding["attributes"]
    ]


def image_replications(registry: Registry) -> list[Row]:
    return [
        {
            "repository_name": name,
            "image_digest": image["imageDigest"],
            "destination_count": len(registry.replication_statuses.get((name, image["imageDigest"]), ())),
        }
        for name, image in images_in(registry)
    ]


def image_replication_statuses(registry: Registry) -> list[Row]:
    return [
        {"repository_name": name, "image_digest": image["imageDigest"], "status": status["status"]}
        for name, image in images_in(registry)
        for status in registry.replication_statuses.get((name, image["imageDigest"]), ())
    ]
