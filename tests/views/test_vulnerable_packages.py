"""The view ecr_vulnerable_packages: where a version of a package is vulnerable, and for how long."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import digest_of, package
from tests.views.conftest import Load, days_ago
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]


def test_a_package_is_counted_once_for_each_image_and_vulnerability_wherever_it_is(
    server: EcrServer, load: Load, query: Query
) -> None:
    openssl = package("openssl", "3.0.1", fixedInVersion="3.0.2")
    unfixed = package("openssl", "3.0.1", fixedInVersion="NotAvailable", filePath="elsewhere")
    first, second = {"firstObservedAt": days_ago(10)}, {"firstObservedAt": days_ago(20)}
    for region in ("eu-west-1", "us-east-1"):
        registry = server.registry(region)
        registry.put("api")
        registry.put_image("api", digest_of("same"), ["1"])
        registry.scan(
            "api", digest_of("same"), enhanced=[registry.enhanced_finding("CVE-1", [openssl], severity="HIGH", **first)]
        )
    registry = server.registry("eu-west-1")
    for tag in ("2", "3", "4"):
        registry.put_image("api", digest_of(tag), [tag])
    registry.scan(
        "api",
        digest_of("2"),
        enhanced=[
            registry.enhanced_finding("CVE-1", [openssl, openssl | {"filePath": "twice"}], severity="HIGH", **first),
            registry.enhanced_finding("CVE-2", [unfixed], severity="CRITICAL", **second),
            registry.enhanced_finding("CVE-3", [package("curl", "8")], status="SUPPRESSED"),
        ],
    )
    registry.scan("api", digest_of("3"), [registry.basic_finding("CVE-4", "zlib", "1.2", "LOW")])
    registry.scan("api", digest_of("4"), [registry.basic_finding("CVE-5", "bash", "5", "LOW")])
    server.fail(DENIED, operation="DescribeImageScanFindings", image=digest_of("4"))
    load(regions=["eu-west-1", "us-east-1"], tables=["images", "findings"])

    packages = (
        "SELECT package_name, package_version, package_manager, images, repositories, worst_severity, vulnerabilities,"
        " fixable_vulnerabilities, fixed_in_version, mean_age_in_days,"
        " CAST(floor(extract(epoch FROM now() - oldest_first_observed_at) / 86400) AS BIGINT)"
        " FROM ecr_vulnerable_packages ORDER BY package_name"
    )
    assert query(packages) == [
        ("openssl", "3.0.1", "OS", 3, 2, "CRITICAL", 2, 1, "3.0.2", 12.0, 20),
        ("zlib", "1.2", None, 1, 1, "LOW", 1, 0, None, None, None),
    ]
    assert query(question(5)) == [
        ("openssl", "3.0.1", "CRITICAL", 3, 2, "3.0.2"),
        ("zlib", "1.2", "LOW", 1, 1, None),
    ]
