"""What ECS and Lambda are asked: the tasks, services and functions of a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.server.answers import AnswerError
from tests.server.pages import Pages
from tests.server.registry import Item, Registry
from tests.server.registry_operations import Operation


class WorkloadOperations:
    """The operations of ecs and lambda."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def table(self) -> dict[str, Operation]:
        """All operations that are served, by the name under which their calls are counted."""
        return {
            "ListClusters": self.list_clusters,
            "ListTasks": self.list_tasks,
            "DescribeTasks": self.describe_tasks,
            "ListServices": self.list_services,
            "DescribeServices": self.describe_services,
            "DescribeTaskDefinition": self.describe_task_definition,
            "ListFunctions": self.list_functions,
            "GetFunction": self.get_function,
        }

    def list_clusters(self, registry: Registry, parameters: Item) -> Item:
        return self.pages.page("clusterArns", registry.workloads.clusters, parameters)

    def list_tasks(self, registry: Registry, parameters: Item) -> Item:
        tasks = _in_cluster(registry, registry.workloads.tasks, parameters)
        return self.pages.page("taskArns", [task["taskArn"] for task in tasks], parameters)

    def describe_tasks(self, registry: Registry, parameters: Item) -> Item:
        return _described(
            "tasks", "taskArn", _in_cluster(registry, registry.workloads.tasks, parameters), parameters, most=100
        )

    def list_services(self, registry: Registry, parameters: Item) -> Item:
        services = _in_cluster(registry, registry.workloads.services, parameters)
        return self.pages.page("serviceArns", [service["serviceArn"] for service in services], parameters, default=10)

    def describe_services(self, registry: Registry, parameters: Item) -> Item:
        services = _in_cluster(registry, registry.workloads.services, parameters)
        return _described("services", "serviceArn", services, parameters, most=10)

    def describe_task_definition(self, registry: Registry, parameters: Item) -> Item:
        found = registry.workloads.task_definitions.get(parameters["taskDefinition"])
        if found is None:
            raise AnswerError("ClientException", "Unable to describe task definition.")
        return {"taskDefinition": found, "tags": []}

    def list_functions(self, registry: Registry, parameters: Item) -> Item:
        wanted = ("$LATEST",) if parameters.get("FunctionVersion") != "ALL" else None
        configurations = [function["Configuration"] for function in registry.workloads.functions]
        listed = [one for one in configurations if wanted is None or one["Version"] in wanted]
        asked = parameters | ({"NextMarker": parameters["Marker"]} if "Marker" in parameters else {})
        return self.pages.page("Functions", listed, asked, token="NextMarker", limit="MaxItems", default=50, largest=50)

    def get_function(self, registry: Registry, parameters: Item) -> Item:
        asked = parameters["FunctionName"], parameters.get("Qualifier", "$LATEST")
        for function in registry.workloads.functions:
            configuration: dict[str, Any] = function["Configuration"]
            if (configuration["FunctionName"], configuration["Version"]) == asked:
                return dict(function)
        raise AnswerError("ResourceNotFoundException", f"Function not found: {asked[0]}:{asked[1]}", 404)


def _in_cluster(registry: Registry, items: Sequence[Item], parameters: Item) -> list[Item]:
    cluster = parameters.get("cluster", "default")
    if cluster not in registry.workloads.clusters:
        raise AnswerError("ClusterNotFoundException", "Cluster not found.")
    return [item for item in items if item["clusterArn"] == cluster]


def _described(member: str, arn: str, items: Sequence[Item], parameters: Item, most: int) -> Item:
    asked: list[str] = parameters[member]
    if len(asked) > most:
        raise AnswerError("InvalidParameterException", f"{member} cannot be more than {most}")
    by_arn = {item[arn]: item for item in items}
    return {
        member: [by_arn[one] for one in asked if one in by_arn],
        "failures": [{"arn": one, "reason": "MISSING"} for one in asked if one not in by_arn],
    }
