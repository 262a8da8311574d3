"""The view ecr_image_attestations: signed or not, with an SBOM or without, and where neither is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer, Registry
from tests.server.registry import OCI_INDEX, OCI_MANIFEST, SIGNATURE, digest_of
from tests.views.conftest import Load
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]

PROFILE = "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/release"
IN_TOTO = "application/vnd.in-toto+json"

FACTS = """
SELECT image_tags, signed, has_sbom, has_provenance FROM ecr_image_attestations
WHERE repository_name = '{}' ORDER BY image_tags
"""


def attach(registry: Registry, repository: str, subject: str, artifact_type: str) -> str:
    digest = digest_of(f"{artifact_type} of {subject}")
    image = registry.put_image(repository, digest, artifactMediaType=artifact_type, subjectManifestDigest=subject)
    return str(image["imageDigest"])


def put(registry: Registry, repository: str, *tags: str, **members: Any) -> dict[str, str]:
    return {tag: registry.put_image(repository, digest_of(tag), [tag], **members)["imageDigest"] for tag in tags}


def test_what_is_attached_to_an_image_says_what_it_has(server: EcrServer, load: Load, query: Query) -> None:
    registry = server.registry()
    registry.put("api")
    images = put(registry, "api", "bare", "by_cosign", "by_job", "failed", "notary", "pending", "provenance", "sbom")
    registry.put_image("api", images["notary"], ["notary", "second"])
    signature = attach(registry, "api", images["notary"], SIGNATURE)
    sbom = attach(registry, "api", images["sbom"], "application/spdx+json")
    attach(registry, "api", images["provenance"], "application/vnd.slsa.provenance+json")
    put(registry, "api", images["by_cosign"].replace(":", "-") + ".sig")
    put(registry, "api", "chart", artifactMediaType="application/vnd.cncf.helm.config.v1+json")
    failure = {"status": "FAILED", "failureCode": "AccessDenied", "failureReason": "The role may not sign."}
    registry.signing_statuses |= {
        ("api", images["by_job"]): [{"signingProfileArn": PROFILE, "status": "COMPLETE"}],
        ("api", images["failed"]): [{"signingProfileArn": PROFILE} | failure],
        ("api", images["pending"]): [{"signingProfileArn": PROFILE, "status": "IN_PROGRESS"}],
    }
    load(tables=["images", "image_status"])
    assert query(FACTS.format("api")) == [
        ("bare", False, False, False),
        ("by_cosign", True, False, False),
        ("by_job", True, False, False),
        ("failed", False, False, False),
        ("notary, second", True, False, False),
        ("pending", None, False, False),
        ("provenance", False, False, True),
        ("sbom", False, True, False),
    ]
    assert query(question(8)) == [
        ("api", "bare", False, False, False),
        ("api", "by_cosign", True, False, False),
        ("api", "by_job", True, False, False),
        ("api", "failed", False, False, False),
        ("api", "notary, second", True, False, False),
    ]
    evidence = "SELECT image_tags, signature, sbom_digest, signing_failure FROM ecr_image_attestations"
    assert query(f"{evidence} WHERE image_tags IN ('by_job', 'failed', 'notary, second', 'sbom') ORDER BY 1") == [
        ("by_job", PROFILE, None, None),
        ("failed", None, None, "The role may not sign."),
        ("notary, second", signature, None, None),
        ("sbom", None, sbom, None),
    ]


def test_what_an_index_may_hide_is_not_known_until_its_manifest_is_read(
    server: EcrServer, load: Load, query: Query
) -> None:
    registry = server.registry()
    for name in ("built", "signed"):
        registry.put(name)
        child = put(registry, name, "child")["child"]
        index = put(registry, name, "index", imageManifestMediaType=OCI_INDEX, artifactMediaType=None)["index"]
        put(registry, name, "other")
        children = [{"mediaType": OCI_MANIFEST, "digest": child, "size": 1}]
        if name == "signed":
            attach(registry, name, index, SIGNATURE)
        else:
            annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": child}
            hidden = put(registry, name, "hidden")["hidden"]
            children.append({"mediaType": OCI_MANIFEST, "digest": hidden, "size": 1, "annotations": annotations})
        registry.manifests[name, index] = json.dumps({"schemaVersion": 2, "manifests": children})
    registry.referrers["built", digest_of("other")] = [
        {
            "digest": digest_of("a bundle"),
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "annotations": {"dev.sigstore.bundle.predicateType": "https://cyclonedx.org/bom"},
            "size": 1,
        }
    ]
    load(tables=["images"])
    unknown = [(None, None)]
    assert query("SELECT DISTINCT has_sbom, has_provenance FROM ecr_image_attestations") == unknown
    assert query(FACTS.format("signed")) == [
        ("child", None, None, None),
        ("index", True, None, None),
        ("other", None, None, None),
    ]
    load(tables=["images", "manifests"], moves_last_recorded_pull_time=True)
    assert query(FACTS.format("signed")) == [
        ("child", True, False, False),
        ("index", True, False, False),
        ("other", False, False, False),
    ]
    assert query(FACTS.format("built")) == [
        ("child", False, None, None),
        ("index", False, None, None),
        ("other", False, True, False),
    ]
    assert query("SELECT count(*) FROM ecr_image_attestations WHERE attestation_digest IS NOT NULL") == [(2,)]
    hidden = "SELECT DISTINCT kind, is_newest FROM ecr_image_inventory WHERE image_tags = 'hidden'"
    assert query(hidden) == [("attachment", False)]


def test_the_same_digest_elsewhere_is_signed_for_itself_and_keeps_its_answer_when_it_is_refused(
    server: EcrServer, load: Load, query: Query
) -> None:
    for region, repository in (("eu-west-1", "api"), ("eu-west-1", "web"), ("us-east-1", "api")):
        server.registry(region).put(repository)
        put(server.registry(region), repository, "1.0")
    attach(server.registry(), "api", digest_of("1.0"), SIGNATURE)
    where = "SELECT region, repository_name, signed FROM ecr_image_attestations ORDER BY 1, 2"
    expected = [("eu-west-1", "api", True), ("eu-west-1", "web", False), ("us-east-1", "api", False)]
    load(tables=["images"], regions=["eu-west-1", "us-east-1"])
    assert query(where) == expected
    as_of = query("SELECT region, repository_name, as_of FROM ecr_image_attestations ORDER BY 1, 2")
    server.fail(DENIED, operation="DescribeImages")
    load(tables=["images"], regions=["eu-west-1", "us-east-1"])
    assert query(where) == expected
    assert query("SELECT region, repository_name, as_of FROM ecr_image_attestations ORDER BY 1, 2") == as_of
