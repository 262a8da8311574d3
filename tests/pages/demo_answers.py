"""What the demo answers to each question of docs/questions.md, written by whoever knows what is in its registries.

Amounts are in cents' precision, and a digest is a "sha256". The order is that of the page, which compares it.
"""

from __future__ import annotations

import json

from ecr_source.loading.settings.kept_settings import DEMO_ACCOUNT
from tests.conftest import Row

EUROPE, AMERICA = "eu-west-1", "us-east-1"

_WITHOUT_LIFECYCLE_POLICY = [
    (EUROPE, "data/etl"),
    (EUROPE, "docker-hub/library/nginx"),
    (EUROPE, "legacy/reports"),
    (EUROPE, "mobile/push"),
    (EUROPE, "platform/base"),
    (EUROPE, "search/indexer"),
    (AMERICA, "ml/models"),
    (AMERICA, "platform/base"),
    (AMERICA, "shop/api"),
]
_OPENSSL, _LIBXML2, _PILLOW = (
    ("CVE-2025-1001", "openssl", "3.0.19"),
    ("CVE-2025-1002", "libxml2", "2.9.15"),
    ("CVE-2025-1004", "pillow", "10.3.0"),
)
_UNTAGGED_FOR_A_FORTNIGHT = {
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
_FOR_ALL = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Everybody",
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    ],
}

ANSWERS: dict[int, list[Row]] = {
    1: [
        ("data/etl", "3", *_PILLOW),
        *[("platform/base", "12.8", *_LIBXML2)] * 2,  # in Europe and in America
        *[("shop/api", "v4", *_LIBXML2)] * 2,
        *[("shop/web", None, *_LIBXML2)] * 2,  # for two architectures
    ],
    2: [
        (DEMO_ACCOUNT, EUROPE, "platform/base", "12.7", "3.0.13", False),
        (DEMO_ACCOUNT, EUROPE, "shop/api", "v2", "3.0.13", True),
        (DEMO_ACCOUNT, EUROPE, "shop/api", "v3", "3.0.13", False),
        *[(DEMO_ACCOUNT, EUROPE, "shop/web", None, "3.0.13", False)] * 3,
        (DEMO_ACCOUNT, AMERICA, "platform/base", "12.7", "3.0.13", None),  # no Inspector there
        (DEMO_ACCOUNT, AMERICA, "shop/api", "v3", "3.0.13", None),
    ],
    3: [
        (EUROPE, "data/etl", "there", "3", "scanned", 1, 0),
        (EUROPE, "docker-hub/library/nginx", "there", "1.27", "never_scanned", None, None),
        (EUROPE, "legacy/reports", "there", "7", "never_scanned", None, None),
        (EUROPE, "mobile/push", "none", None, None, None, None),
        (EUROPE, "platform/base", "there", "12.8", "scanned", 1, 0),
        (EUROPE, "search/indexer", "there", "1", "never_scanned", None, None),
        (EUROPE, "shop/api", "there", "v4", "scanned", 1, 0),
        (EUROPE, "shop/web", "there", None, "scanned", 1, 0),
        (AMERICA, "ml/models", "there", "bert", "failed", None, None),
        (AMERICA, "platform/base", "there", "12.8", "scanned", 1, 0),
        (AMERICA, "shop/api", "there", "v4", "scanned", 1, 0),
    ],
    4: [
        ("failed", 1, "ml/models"),
        ("never_scanned", 9, "docker-hub/library/nginx"),
        ("stale", 1, "platform/base"),
    ],
    5: [
        ("tar", "1.34", "MEDIUM", 10, 1, None),
        ("openssl", "3.0.13", "CRITICAL", 6, 1, "3.0.19"),
        ("libxml2", "2.9.14", "CRITICAL", 4, 1, "2.9.15"),
        ("tar", "1.34", "MEDIUM", 4, 1, None),  # America, where nobody says what installed it
        ("libxml2", "2.9.14", "CRITICAL", 2, 1, "2.9.15"),
    ],
    6: [
        ("legacy/reports", "public", "*", True, False, False, False),
        ("ml/models", "other_account", "arn:aws:iam::210987654321:root", True, False, False, False),
        ("platform/base", "organization", "*", True, False, False, True),
    ],
    7: [
        ("policy", "none", None, None, None, None, None),
        ("policy", "stated", "arn:aws:iam::210987654321:root", "other_account", True, False, None),
        ("pull_through", "none", None, None, None, None, None),
        ("pull_through", "stated", None, None, None, None, "registry-1.docker.io"),
        ("replication", "none", None, None, None, None, None),
        ("replication", "stated", None, "own_account", None, None, None),
    ],
    8: [
        ("data/etl", "1", False, False, False),
        ("data/etl", "2", False, False, False),
        ("data/etl", "3", False, False, False),
        ("docker-hub/library/nginx", "1.27", False, False, False),
        ("legacy/reports", "7", False, False, False),
    ],
    9: [
        (EUROPE, "data/etl", "MUTABLE"),
        (EUROPE, "docker-hub/library/nginx", "MUTABLE"),
        (EUROPE, "legacy/reports", "MUTABLE"),
        (EUROPE, "shop/web", "IMMUTABLE but latest"),
    ],
    10: [
        (EUROPE, "docker-hub/library/nginx", "ENHANCED", "MANUAL"),
        (EUROPE, "legacy/reports", "ENHANCED", "MANUAL"),
        (EUROPE, "mobile/push", "ENHANCED", "MANUAL"),
        (EUROPE, "search/indexer", "ENHANCED", "MANUAL"),
    ],
    11: [
        (EUROPE, "data/etl", "fail", "AES256"),
        (EUROPE, "docker-hub/library/nginx", "fail", "AES256"),
        (EUROPE, "legacy/reports", "fail", "AES256"),
        (EUROPE, "mobile/push", "fail", "AES256"),
        (
            *(EUROPE, "platform/base", "unknown"),
            f"KMS with arn:aws:kms:eu-west-1:{DEMO_ACCOUNT}:key/5f0c2a77-3d0e-4c53-9d6a-0d5f4f1a2b3c;"
            " whose key that is, only kms:DescribeKey tells",
        ),
        (EUROPE, "search/indexer", "fail", "AES256"),
        (EUROPE, "shop/api", "fail", "AES256"),
        (EUROPE, "shop/web", "fail", "AES256"),
        (AMERICA, "ml/models", "fail", "AES256"),
        (AMERICA, "platform/base", "fail", "AES256"),
        (AMERICA, "shop/api", "fail", "AES256"),
    ],
    12: [
        *(
            (*repository, control, "no lifecycle policy")
            for repository in _WITHOUT_LIFECYCLE_POLICY
            for control in ("ECR.3", "tagged_images_expire", "untagged_images_expire")
        ),
        (EUROPE, "shop/web", "tagged_images_expire", "lifecycle rules: 1"),
    ],
    13: [(EUROPE, "data/etl", "")],
    14: [
        (DEMO_ACCOUNT, EUROPE, "pass", f"to {DEMO_ACCOUNT}/us-east-1"),
        (DEMO_ACCOUNT, AMERICA, "fail", "no replication rules"),
    ],
    15: [
        ("shop/api", "image", "v2", "ACTIVE", "scanned", True),
        ("shop/api", "image", "v3", "ACTIVE", "scanned", False),
        ("shop/api", "image", "v3", "ACTIVE", "scanned", None),
        ("shop/api", "image", "v4", "ACTIVE", "scanned", True),
        ("shop/api", "image", "v4", "ACTIVE", "scanned", None),
    ],
    16: [
        # Each configuration has 1,500 bytes more; a layer that images share is there once in `exact_bytes`.
        (EUROPE, "data/etl", 3, 0, 4_100_000_000, 4_100_004_500, 0.38),
        (EUROPE, "docker-hub/library/nginx", 1, 0, 73_000_000, 73_001_500, 0.01),
        (EUROPE, "legacy/reports", 1, 0, 310_000_000, 310_001_500, 0.03),
        (EUROPE, "mobile/push", 0, 0, 0, 0, 0.0),
        (EUROPE, "platform/base", 5, 0, 62_599_000, 62_606_500, 0.01),
        (EUROPE, "search/indexer", 1, 0, 91_500_000, 91_501_500, 0.01),
        (EUROPE, "shop/api", 3, 0, 223_500_000, 192_504_500, 0.02),
        (EUROPE, "shop/web", 7, 0, 264_000_000, 170_507_500, 0.02),
        (AMERICA, "ml/models", 2, 1, 4_300_000_000, 4_300_003_000, 0.40),
        (AMERICA, "platform/base", 2, 0, 62_500_000, 62_503_000, 0.01),
        (AMERICA, "shop/api", 2, 0, 151_500_000, 151_503_000, 0.01),
    ],
    17: [
        ("ml/models", "resnet", 3_200_000_000, None, None),
        ("data/etl", "3", 1_900_000_000, 600_000_000, 46.2),
        ("data/etl", "2", 1_300_000_000, 400_000_000, 44.4),
        ("ml/models", "bert", 1_100_000_000, -2_100_000_000, -65.6),
    ],
    18: [
        ("shop/api", 2, "stays", "within_count", None, 3, 223_500_000),
        ("shop/web", 1, "acts_now", "rule", "expire", 1, 51_000_000),
        ("shop/web", 1, "stays", "index_stays", None, 4, 213_000_000),
        ("shop/web", None, "stays", "no_rule_fits", None, 2, 0),  # the indexes, which have tags
    ],
    19: [(EUROPE, "shop/web", 7, 0.0), (EUROPE, "platform/base", 5, 0.0), (EUROPE, "data/etl", 3, 0.0)],
    20: [
        ("sha256", 2, 2, 1, 31_000_000),  # platform/base 12.7
        ("sha256", 2, 2, 1, 31_500_000),  # and 12.8
        ("sha256", 2, 2, 1, 75_000_000),  # shop/api v3
        ("sha256", 2, 2, 1, 76_500_000),  # and v4
    ],
    21: [
        ("data/etl", "1", True, None),
        ("data/etl", "2", False, True),
        ("docker-hub/library/nginx", "1.27", False, True),
        ("legacy/reports", "7", False, True),
        ("ml/models", "bert", True, None),
    ],
    22: [
        (EUROPE, "docker-hub/library/nginx", 1, False),
        (EUROPE, "legacy/reports", 1, False),
        (EUROPE, "mobile/push", 0, True),
    ],
    23: [
        *[("platform/base", "attachment", False, False, None)] * 3,
        ("shop/web", "image", False, True, False),
        *[("shop/web", "image", True, False, False)] * 3,
        ("shop/web", "image", True, False, True),
    ],
    24: [("docker-hub/library/nginx", "registry-1.docker.io", "registry-1.docker.io/library/nginx", 1)],
    25: [
        ("data/etl", "3", "CRITICAL", 1),
        ("shop/api", "v2", "CRITICAL", 1),
        ("shop/api", "v2", "MEDIUM", 1),
        ("shop/api", "v4", "CRITICAL", 1),
        ("shop/api", "v4", "MEDIUM", 1),
        ("shop/web", None, "CRITICAL", 1),
        ("shop/web", None, "MEDIUM", 1),
    ],
    26: [
        ("lifecycle_policies", "shop/web", "added", None, None, json.dumps(_UNTAGGED_FOR_A_FORTNIGHT)),
        ("policies", "legacy/reports", "added", None, None, json.dumps(_FOR_ALL)),
        ("repositories", "ml/models", "changed", "image_tag_mutability", "MUTABLE", "IMMUTABLE"),
        (
            *("repositories", "search/indexer", "added", None, None),
            f"arn:aws:ecr:eu-west-1:{DEMO_ACCOUNT}:repository/search/indexer",
        ),
        (
            *("repositories", "trial/spike", "removed", None),
            *(f"arn:aws:ecr:eu-west-1:{DEMO_ACCOUNT}:repository/trial/spike", None),
        ),
        ("repository_scanning_configurations", "search/indexer", "added", None, None, "MANUAL"),
        ("repository_scanning_configurations", "trial/spike", "removed", None, "MANUAL", None),
        ("repository_tags", "search/indexer", "added", None, None, "search"),
    ],
    27: [(EUROPE, "shop/web", "latest", True)],
    28: [
        ("shop/api", "sha256", "v1", 71_000_000, "possibly_lifecycle"),
        ("trial/spike", "sha256", "try", 15_000_000, "repository_deleted"),
    ],
    29: [
        ("CRITICAL", 4, 0, 4),  # America
        ("CRITICAL", 12, 0, 12),
        ("HIGH", 1, 1, 0),
        ("MEDIUM", 4, 0, 4),
        ("MEDIUM", 10, 0, 10),
    ],
    30: [("docker-hub/library/nginx", "docker-hub", "tag_mutability", "IMMUTABLE", "MUTABLE")],
    31: [(EUROPE, "complete", 53, 178), (AMERICA, "complete", 53, 78)],
    32: [(EUROPE, "history", True, 0, 0, 0), (AMERICA, "history", True, 0, 0, 0)],
}
