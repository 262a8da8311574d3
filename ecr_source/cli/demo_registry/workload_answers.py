"""What Amazon ECS and AWS Lambda answer of what runs the images of a registry: some services, and no function."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ecr_source.cli.demo_registry.embedded_registry import Image, Registry, Service

Item = dict[str, Any]


class WorkloadAnswers:
    """The answers of an account that runs what the services of its images say, but for those of Amazon EKS."""

    def __init__(self, account: str, registry: Registry) -> None:
        self._account = account
        self._registry = registry

    def operations(self) -> Mapping[str, Callable[[Item], Item]]:
        """The answer to each operation."""
        return {
            "ListClusters": lambda _: {"clusterArns": sorted({self.cluster(one) for _, _, one in self._services()})},
            "ListTasks": lambda asked: {"taskArns": [*self._tasks(asked["cluster"])]},
            "DescribeTasks": lambda asked: {"tasks": [self._tasks(asked["cluster"])[arn] for arn in asked["tasks"]]},
            "ListServices": lambda asked: {"serviceArns": [*self._described_services(asked["cluster"])]},
            "DescribeServices": lambda asked: {
                "services": [self._described_services(asked["cluster"])[arn] for arn in asked["services"]]
            },
            "DescribeTaskDefinition": lambda asked: {"taskDefinition": self._definitions()[asked["taskDefinition"]]},
            "ListFunctions": lambda _: {"Functions": []},
        }

    def cluster(self, service: Service) -> str:
        """The ARN of the cluster of a service of Amazon ECS."""
        return self.arn(f"cluster/{service.cluster}")

    def task_definition(self, service: Service) -> str:
        """The ARN of its task definition."""
        return self.arn(f"task-definition/{service.name}:1")

    def arn(self, resource: str) -> str:
        """An ARN of Amazon ECS."""
        return f"arn:aws:ecs:{self._registry.region}:{self._account}:{resource}"

    def _services(self) -> Iterator[tuple[str, Image, Service]]:
        for name, repository in self._registry.repositories.items():
            for image in repository.images:
                yield from ((name, image, service) for service in image.services if not service.namespace)

    def _tasks(self, cluster: str) -> dict[str, Item]:
        """The tasks of a cluster, by ARN."""
        found: dict[str, Item] = {}
        for name, image, service in self._services():
            for number in range(service.running if self.cluster(service) == cluster else 0):
                arn = self.arn(f"task/{service.cluster}/{service.name}-{number}")
                container = self._container(name, image, service) | {"imageDigest": image.digest}
                found[arn] = {
                    "taskArn": arn,
                    "clusterArn": cluster,
                    "taskDefinitionArn": self.task_definition(service),
                    "group": f"service:{service.name}",
                    "containers": [container],
                }
        return found

    def _described_services(self, cluster: str) -> dict[str, Item]:
        return {
            (arn := self.arn(f"service/{service.cluster}/{service.name}")): {
                "serviceArn": arn,
                "serviceName": service.name,
                "clusterArn": cluster,
                "desiredCount": service.running,
                "runningCount": service.running,
                "pendingCount": 0,
                "deployments": [{"taskDefinition": self.task_definition(service)}],
                "taskSets": [],
            }
            for _, _, service in self._services()
            if self.cluster(service) == cluster
        }

    def _definitions(self) -> dict[str, Item]:
        return {
            self.task_definition(service): {
                "containerDefinitions": [self._container(name, image, service) | {"essential": True}]
            }
            for name, image, service in self._services()
        }

    def _container(self, repository: str, image: Image, service: Service) -> Item:
        registry = f"{self._account}.dkr.ecr.{self._registry.region}.amazonaws.com"
        return {"name": service.name, "image": f"{registry}/{repository}:{image.tags[0]}"}
