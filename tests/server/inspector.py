"""What Inspector answers about the images of a registry."""

from __future__ import annotations

from collections.abc import Callable

from tests.server.answers import AnswerError
from tests.server.pages import Pages
from tests.server.registry import Item, Registry, enhanced_findings, inspector_coverage, inspector_finding
from tests.server.registry_operations import Operation

Extract = Callable[[Item], list[str]]


def _of_containers(member: str) -> Extract:
    return lambda finding: [
        resource["details"]["awsEcrContainerImage"][member] for resource in finding.get("resources", ())
    ]


_FINDING_FILTERS: dict[str, Extract] = {
    "awsAccountId": lambda finding: [finding["awsAccountId"]],
    "ecrImageHash": _of_containers("imageHash"),
    "ecrImageRegistry": _of_containers("registry"),
    "ecrImageRepositoryName": _of_containers("repositoryName"),
    "findingArn": lambda finding: [finding["findingArn"]],
    "findingStatus": lambda finding: [finding["status"]],
    "findingType": lambda finding: [finding["type"]],
    "resourceId": lambda finding: [resource["id"] for resource in finding["resources"]],
    "resourceType": lambda finding: [resource["type"] for resource in finding["resources"]],
    "severity": lambda finding: [finding["severity"]],
    "vulnerabilityId": lambda finding: [finding.get("packageVulnerabilityDetails", {}).get("vulnerabilityId", "")],
}
_COVERAGE_FILTERS: dict[str, Extract] = {
    "accountId": lambda resource: [resource["accountId"]],
    "ecrRepositoryName": lambda resource: [resource["resourceMetadata"]["ecrRepository"]["name"]],
    "resourceId": lambda resource: [resource["resourceId"]],
    "resourceType": lambda resource: [resource["resourceType"]],
    "scanStatusCode": lambda resource: [resource["scanStatus"]["statusCode"]],
    "scanStatusReason": lambda resource: [resource["scanStatus"]["reason"]],
    "scanType": lambda resource: [resource["scanType"]],
}
_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "EQUALS": lambda value, wanted: value == wanted,
    "PREFIX": lambda value, wanted: value.startswith(wanted),
    "NOT_EQUALS": lambda value, wanted: value != wanted,
}


def _meets(item: Item, criteria: Item, filters: dict[str, Extract]) -> bool:
    """Whether the item meets one condition of every filter in Inspector's `filterCriteria`."""
    for name, conditions in criteria.items():
        if name not in filters:
            raise AnswerError("ValidationException", f"filterCriteria.{name} is not served")
        values = filters[name](item)
        if not any(
            _COMPARISONS[condition["comparison"]](value, condition["value"])
            for condition in conditions
            for value in values
        ):
            return False
    return True


class Inspector:
    """The operations of inspector2; `seen_by` are the registries of which the account of one is told."""

    def __init__(self, pages: Pages, seen_by: Callable[[Registry], list[Registry]]) -> None:
        self.pages = pages
        self.seen_by = seen_by

    def table(self) -> dict[str, Operation]:
        """All operations that are served, by the name under which their calls are counted."""
        return {
            "ListFindings": self.list_findings,
            "ListCoverage": self.list_coverage,
            "GetClustersForImage": self.get_clusters_for_image,
        }

    def list_findings(self, registry: Registry, parameters: Item) -> Item:
        criteria = parameters.get("filterCriteria", {})
        found = (finding for one in self.seen_by(registry) for finding in enhanced_findings(one))
        findings = [finding for finding in found if _meets(finding, criteria, _FINDING_FILTERS)]
        answer = self.pages.page("findings", findings, parameters, default=25)
        answer["findings"] = [inspector_finding(finding, registry.region) for finding in answer["findings"]]
        return answer

    def list_coverage(self, registry: Registry, parameters: Item) -> Item:
        criteria = parameters.get("filterCriteria", {})
        found = (resource for one in self.seen_by(registry) for resource in inspector_coverage(one))
        covered = [resource for resource in found if _meets(resource, criteria, _COVERAGE_FILTERS)]
        return self.pages.page("coveredResources", covered, parameters)

    def get_clusters_for_image(self, registry: Registry, parameters: Item) -> Item:
        name, _, digest = parameters["filter"]["resourceId"].partition(":repository/")[2].partition("/sha256:")
        account = parameters["filter"]["resourceId"].split(":")[4]
        owner = next((one for one in self.seen_by(registry) if one.account == account), None)
        clusters = owner.clusters.get((name, f"sha256:{digest}"), []) if owner else []
        return self.pages.page("cluster", clusters, parameters)
