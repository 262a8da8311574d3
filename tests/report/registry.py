"""The registries that the report is tested with: what each part has something to say of, and hostile names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecr_source import ecr_source, load
from tests.conftest import isolate, make_pipeline
from tests.server.ecr_server import EcrServer, error
from tests.server.registry import LIFECYCLE_POLICIES, enhanced_finding, package
from tests.warehouse import Warehouse

REGIONS = ["eu-west-1", "us-east-1"]
HOSTILE = [
    "<script>document.title = 'owned'</script>",
    "<img src=https://owned.example/x onerror=\"document.title='owned'\">",
    '"><svg onload=document.title="owned"> {{ 7 * 7 }} {% raw %}',
    "\u202egpj.exe\u2066\u200b\u2028end",
    "'; DROP TABLE repositories; -- | *x* `y` [z](https://owned.example)",
    "x" * 248,
]
DENIED = "team-b/secret"
"""Its images cannot be read."""


def fill(server: EcrServer) -> None:
    """What the first load reads: two teams, and names that somebody else chose."""
    european, american = map(server.registry, REGIONS)
    for name in ("team-a/api", "team-a/web", "team-b/batch", DENIED, *(f"foreign/{name}" for name in HOSTILE)):
        european.put(name)
        digest = european.put_image(name, tags=["v1"], imageSizeInBytes=2**30)["imageDigest"]
        found = [
            enhanced_finding("CVE-2026-1", [package("openssl", "3.0", fixedInVersion="3.1")], "CRITICAL"),
            enhanced_finding("CVE-2026-2", [package(name, "1.0", fixedInVersion="NotAvailable")], "LOW"),
        ]
        european.scan(name, digest, enhanced=found)
    european.put_image("team-a/web", "sha256:going", ["0.9"], pushed_at=1_600_000_000)
    european.lifecycle_policies["team-a/api"] = json.dumps(LIFECYCLE_POLICIES["team-a/api"])
    european.policies["team-a/web"] = _policy("*", "ecr:BatchGetImage")
    for name in ("team-a/api", f"foreign/{HOSTILE[0]}"):
        european.policies[name] = _policy({"AWS": "arn:aws:iam::210987654321:root"}, "ecr:PutImage")
    american.put("team-a/api")
    server.fail(error("AccessDeniedException", "not you"), operation="DescribeImages", repository=DENIED)


def change(server: EcrServer) -> None:
    """What the second load finds changed."""
    european = server.registry("eu-west-1")
    european.delete_image("team-a/web", "sha256:going")
    european.put("team-a/web", imageTagMutability="IMMUTABLE")
    european.put_image("team-a/api", tags=["v1"])


def load_into(warehouse: Warehouse, server: EcrServer, folder: Path, **arguments: object) -> None:
    """A load as `ecr-source run` does it, of the default groups in both regions."""
    with pytest.MonkeyPatch.context() as patch, warehouse.loading():
        isolate(patch, folder)
        given = {"regions": REGIONS, "endpoint_url": server.url} | arguments
        load(make_pipeline(folder / "pipelines", warehouse), ecr_source(**given))  # type: ignore[arg-type]


def _policy(principal: object, action: str) -> str:
    return json.dumps({"Statement": [{"Sid": "All", "Effect": "Allow", "Principal": principal, "Action": action}]})
