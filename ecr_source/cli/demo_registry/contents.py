"""What is in the demo's registries: a shop that runs in Europe and is replicated to America.

There is something here for each question of docs/questions.md. Numbers of days are days ago.
"""

from __future__ import annotations

from collections.abc import Mapping

from ecr_source.cli.demo_registry.embedded_registry import Finding, Image, Layer, Registry, Repository, Service
from ecr_source.loading.settings.kept_settings import DEMO_ACCOUNT

_PARTNER = "210987654321"
_KEY = f"arn:aws:kms:eu-west-1:{DEMO_ACCOUNT}:key/5f0c2a77-3d0e-4c53-9d6a-0d5f4f1a2b3c"
_PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

# --- what scans find

_OPENSSL = Finding("CVE-2025-1001", "CRITICAL", 9.8, "openssl", "3.0.13", "3.0.19", published=40, is_exploited=True)
_LIBXML2 = Finding("CVE-2025-1002", "CRITICAL", 9.1, "libxml2", "2.9.14", "2.9.15", published=3)
_TAR = Finding("CVE-2025-1003", "MEDIUM", 5.5, "tar", "1.34", None, published=200)
_PILLOW = Finding("CVE-2025-1004", "CRITICAL", 9.1, "pillow", "10.2.0", "10.3.0", published=15)
_CURL = Finding("CVE-2025-1005", "HIGH", 7.5, "curl", "7.88.1", "7.88.2", published=30, withdrawn=2)

_OF_DEBIAN_7 = (_OPENSSL, _TAR)
_OF_DEBIAN_8 = (_LIBXML2, _TAR)

# --- images of the platform, which others are made from

_DEBIAN_7 = Layer("debian 12.7", 31_000_000)
_DEBIAN_8 = Layer("debian 12.8", 31_500_000)

_BASE_7 = Image(100, ["12.7"], [_DEBIAN_7], pulled=20, scanned=45, findings=_OF_DEBIAN_7)
_BASE_8 = Image(12, ["12.8"], [_DEBIAN_8], pulled=1, scanned=1, findings=_OF_DEBIAN_8)

_ATTACHED_TO_BASE_8 = [
    Image(
        12,
        layers=[Layer("signature of 12.8", 2_000)],
        subject=_BASE_8,
        artifact_type="application/vnd.cncf.notary.signature",
    ),
    Image(12, layers=[Layer("SBOM of 12.8", 90_000)], subject=_BASE_8, artifact_type="application/spdx+json"),
    Image(
        12,
        layers=[Layer("provenance of 12.8", 7_000)],
        subject=_BASE_8,
        artifact_type="application/vnd.in-toto+json",
        annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"},
    ),
]

# --- images of the shop

_API_1 = Image(250, ["v1"], [_DEBIAN_7, Layer("api 1", 40_000_000)], pulled=220, deleted=3, scanned=220)
_API_2 = Image(
    200,
    ["v2"],
    [_DEBIAN_7, Layer("api 2", 41_000_000)],
    pulled=2,
    scanned=1,
    findings=_OF_DEBIAN_7,
    services=[Service("production", "api-for-partners", 1)],
)
_API_3 = Image(60, ["v3"], [_DEBIAN_7, Layer("api 3", 44_000_000)], pulled=5, scanned=1, findings=_OF_DEBIAN_7)
_API_4 = Image(
    3,
    ["v4"],
    [_DEBIAN_8, Layer("api 4", 45_000_000)],
    pulled=0,
    scanned=1,
    findings=_OF_DEBIAN_8,
    services=[Service("production", "api", 4)],
)

_WEB_0 = Image(45, layers=[_DEBIAN_7, Layer("web 0", 20_000_000)], pulled=40, scanned=40, findings=_OF_DEBIAN_7)
_WEB_1_AMD64 = Image(30, layers=[_DEBIAN_7, Layer("web 1 amd64", 22_000_000)], scanned=1, findings=_OF_DEBIAN_7)
_WEB_1_ARM64 = Image(
    30, layers=[_DEBIAN_7, Layer("web 1 arm64", 21_000_000)], architecture="arm64", scanned=1, findings=_OF_DEBIAN_7
)
_WEB_1 = Image(30, ["1"], children=[_WEB_1_AMD64, _WEB_1_ARM64], pulled=6, last_week={"tags": ["1", "latest"]})
_WEB_2_AMD64 = Image(
    5,
    layers=[_DEBIAN_8, Layer("web 2 amd64", 23_000_000)],
    pulled=0,
    scanned=1,
    findings=_OF_DEBIAN_8,
    services=[Service("production", "web", 3, namespace="shop")],
)
_WEB_2_ARM64 = Image(
    5, layers=[_DEBIAN_8, Layer("web 2 arm64", 22_000_000)], architecture="arm64", scanned=1, findings=_OF_DEBIAN_8
)
_WEB_2 = Image(5, ["2", "latest"], children=[_WEB_2_AMD64, _WEB_2_ARM64], pulled=0)

# --- policies

_EXPIRE_UNTAGGED = {
    "rulePriority": 1,
    "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14},
    "action": {"type": "expire"},
}
_KEEP_THREE = {
    "rulePriority": 2,
    "selection": {"tagStatus": "tagged", "tagPatternList": ["*"], "countType": "imageCountMoreThan", "countNumber": 3},
    "action": {"type": "expire"},
}
_FOR_ALL = {"Sid": "Everybody", "Effect": "Allow", "Principal": "*", "Action": _PULL}
_FOR_OUR_ORGANIZATION = _FOR_ALL | {
    "Sid": "OurOrganization",
    "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-3366demo"}},
}
_FOR_THE_PARTNER = _FOR_ALL | {"Sid": "Partner", "Principal": {"AWS": f"arn:aws:iam::{_PARTNER}:root"}}


def _policy(statement: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [statement]}


# --- the registries

_EUROPE = Registry(
    region="eu-west-1",
    scan_type="ENHANCED",
    scanning_rules=[
        {
            "scanFrequency": "CONTINUOUS_SCAN",
            "repositoryFilters": [
                {"filter": pattern, "filterType": "WILDCARD"} for pattern in ("data/*", "platform/*", "shop/*")
            ],
        }
    ],
    policy=_policy(
        {
            "Sid": "PartnerReplicates",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{_PARTNER}:root"},
            "Action": ["ecr:ReplicateImage"],
            "Resource": [f"arn:aws:ecr:eu-west-1:{DEMO_ACCOUNT}:repository/partner/*"],
        }
    ),
    replication_rules=[
        {
            "destinations": [{"region": "us-east-1", "registryId": DEMO_ACCOUNT}],
            "repositoryFilters": [
                {"filter": prefix, "filterType": "PREFIX_MATCH"} for prefix in ("platform/", "shop/api")
            ],
        }
    ],
    pull_through_cache_rules=[
        {
            "ecrRepositoryPrefix": "docker-hub",
            "upstreamRegistry": "docker-hub",
            "upstreamRegistryUrl": "registry-1.docker.io",
            "createdAt": 300,
            "updatedAt": 300,
        }
    ],
    creation_templates=[
        {
            "prefix": "docker-hub",
            "appliedFor": ["PULL_THROUGH_CACHE"],
            "imageTagMutability": "IMMUTABLE",
            "encryptionConfiguration": {"encryptionType": "AES256"},
            "createdAt": 120,
            "updatedAt": 120,
        }
    ],
    repositories={
        "data/etl": Repository(
            created=320,
            scans="CONTINUOUS_SCAN",
            images=[
                Image(300, ["1"], [Layer("etl 1", 900_000_000)], scanned=1),
                Image(95, ["2"], [Layer("etl 2", 1_300_000_000)], pulled=92, scanned=1, findings=[_PILLOW]),
                Image(
                    20,
                    ["3"],
                    [Layer("etl 3", 1_900_000_000)],
                    pulled=1,
                    scanned=1,
                    findings=[_PILLOW],
                    services=[Service("batch", "nightly", 2, namespace="data")],
                ),
            ],
        ),
        "docker-hub/library/nginx": Repository(
            created=150,
            tags={"team": "platform"},
            images=[Image(150, ["1.27"], [_DEBIAN_7, Layer("nginx 1.27", 42_000_000)], pulled=120)],
        ),
        "legacy/reports": Repository(
            created=900,
            tags={"team": "finance"},
            policy=_policy(_FOR_ALL),
            images=[Image(420, ["7"], [Layer("reports 7", 310_000_000)], pulled=400)],
            last_week={"policy": None},
        ),
        "mobile/push": Repository(created=30, mutability="IMMUTABLE", tags={"team": "mobile"}),
        "platform/base": Repository(
            created=500,
            mutability="IMMUTABLE",
            kms_key=_KEY,
            scans="CONTINUOUS_SCAN",
            tags={"team": "platform"},
            policy=_policy(_FOR_OUR_ORGANIZATION),
            images=[_BASE_7, _BASE_8, *_ATTACHED_TO_BASE_8],
        ),
        "search/indexer": Repository(
            created=1,
            mutability="IMMUTABLE",
            tags={"team": "search"},
            images=[Image(1, ["1"], [_DEBIAN_8, Layer("indexer 1", 60_000_000)])],
        ),
        "shop/api": Repository(
            created=400,
            mutability="IMMUTABLE",
            scans="CONTINUOUS_SCAN",
            tags={"team": "shop"},
            lifecycle_policy={"rules": [_EXPIRE_UNTAGGED, _KEEP_THREE]},
            images=[_API_1, _API_2, _API_3, _API_4],
        ),
        "shop/web": Repository(
            created=400,
            mutability="IMMUTABLE_WITH_EXCLUSION",
            mutability_exceptions=["latest"],
            scans="CONTINUOUS_SCAN",
            tags={"team": "shop"},
            lifecycle_policy={"rules": [_EXPIRE_UNTAGGED]},
            images=[_WEB_0, _WEB_1_AMD64, _WEB_1_ARM64, _WEB_1, _WEB_2_AMD64, _WEB_2_ARM64, _WEB_2],
            last_week={"lifecycle_policy": None},
        ),
        "trial/spike": Repository(created=60, deleted=2, images=[Image(60, ["try"], [Layer("spike", 15_000_000)])]),
    },
)

_AMERICA = Registry(
    region="us-east-1",
    scan_type="BASIC",
    scanning_rules=[
        {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]}
    ],
    repositories={
        "ml/models": Repository(
            created=200,
            mutability="IMMUTABLE",
            scans="SCAN_ON_PUSH",
            tags={"team": "ml"},
            policy=_policy(_FOR_THE_PARTNER),
            images=[
                Image(190, ["resnet"], [Layer("resnet", 3_200_000_000)], archived=90, pulled=150),
                Image(8, ["bert"], [Layer("bert", 1_100_000_000)], scan_failure="UnsupportedImageError: no packages"),
            ],
            last_week={"mutability": "MUTABLE"},
        ),
        "platform/base": Repository(
            created=300,
            mutability="IMMUTABLE",
            scans="SCAN_ON_PUSH",
            tags={"team": "platform"},
            images=[_BASE_7, _BASE_8],
        ),
        "shop/api": Repository(
            created=300,
            mutability="IMMUTABLE",
            scans="SCAN_ON_PUSH",
            tags={"team": "shop"},
            images=[
                Image(60, ["v3"], _API_3.layers, pulled=9, scanned=1, findings=[*_OF_DEBIAN_7, _CURL]),
                Image(3, ["v4"], _API_4.layers, pulled=3, scanned=2, findings=_OF_DEBIAN_8),
            ],
        ),
    },
)

REGISTRIES = (_EUROPE, _AMERICA)
