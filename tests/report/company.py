"""A company as people know it, whose report is in docs/: three teams, two regions, and what goes wrong in a year."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

from tests.server.ecr_server import EcrServer
from tests.server.registry import Registry, enhanced_finding, package

REGIONS = ["eu-west-1", "us-east-1"]
SERVICES = {
    "checkout": ("api", "payments", "worker", "frontend"),
    "search": ("api", "indexer", "suggest"),
    "platform": ("base-images", "ci-runner", "gateway", "metrics"),
    "data": ("airflow", "notebooks", "ingest"),
}
PARTNERS = ("210987654321", "345678901234")

# Vulnerability, severity, package, its version, where it is fixed.
VULNERABILITIES = (
    ("CVE-2026-1001", "CRITICAL", "openssl", "3.0.13", "3.0.19"),
    ("CVE-2026-1044", "CRITICAL", "libxml2", "2.9.14", "2.9.15"),
    ("CVE-2026-1003", "HIGH", "curl", "7.88.1", "7.88.2"),
    ("CVE-2026-2207", "HIGH", "zlib", "1.2.13", "NotAvailable"),
    ("CVE-2026-1893", "HIGH", "python3.11", "3.11.2", "3.11.9"),
    ("CVE-2026-1004", "MEDIUM", "tar", "1.34", "NotAvailable"),
    ("CVE-2026-3112", "MEDIUM", "glibc", "2.36", "2.36.1"),
    ("CVE-2026-0077", "LOW", "coreutils", "9.1", "NotAvailable"),
)
_EXPIRE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        }
    ]
}


def fill(server: EcrServer) -> None:
    """The company's registries, as they are now."""
    chance = random.Random(7)
    for region in REGIONS:
        _fill(server.registry(region), region, chance)


def _fill(registry: Registry, region: str, chance: random.Random) -> None:
    for team, services in SERVICES.items():
        for number, service in enumerate(services[: 4 if region == REGIONS[0] else 2]):
            name = f"{team}/{service}"
            registry.put(
                name,
                imageTagMutability="IMMUTABLE" if number % 2 else "MUTABLE",
                imageScanningConfiguration={"scanOnPush": bool(number % 3)},
            )
            _push(registry, name, chance)
            if number % 2 == 0:
                registry.lifecycle_policies[name] = json.dumps(_EXPIRE)
    registry.policies["platform/base-images"] = _allowing("*", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    for name, partner, action in (
        ("checkout/api", PARTNERS[0], "ecr:BatchGetImage"),
        ("search/api", PARTNERS[0], "ecr:BatchGetImage"),
        ("platform/ci-runner", PARTNERS[1], "ecr:PutImage"),
        ("platform/base-images", PARTNERS[1], "ecr:BatchGetImage"),
    ):
        if name not in registry.policies:
            registry.policies[name] = _allowing({"AWS": f"arn:aws:iam::{partner}:root"}, action)


def _push(registry: Registry, name: str, chance: random.Random) -> None:
    now = datetime.now(UTC)
    for version in range(chance.randint(3, 9)):
        age = timedelta(days=chance.randint(1, 60) * (9 - version))
        image = registry.put_image(
            name,
            tags=[f"1.{version}.0"] if chance.random() < 0.7 else [],
            pushed_at=(now - age).timestamp(),
            imageSizeInBytes=chance.randint(80, 900) * 2**20,
            lastRecordedPullTime=(now - age / chance.randint(2, 40)).timestamp() if chance.random() < 0.6 else None,
        )
        found = [_finding(*one) for one in VULNERABILITIES if chance.random() < 0.4]
        if chance.random() < 0.85:
            scanned_at = (now - timedelta(days=1)).timestamp()
            registry.scan(name, image["imageDigest"], enhanced=found, status="ACTIVE", completed_at=scanned_at)


def _finding(name: str, severity: str, of: str, version: str, fixed: str) -> dict[str, object]:
    fix = "NO" if fixed == "NotAvailable" else "YES"
    return enhanced_finding(name, [package(of, version, fixedInVersion=fixed)], severity, fixAvailable=fix)


def _allowing(principal: object, *actions: str) -> str:
    return json.dumps(
        {"Statement": [{"Sid": "Shared", "Effect": "Allow", "Principal": principal, "Action": list(actions)}]}
    )
