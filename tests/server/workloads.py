"""What runs images: tasks and services of ECS, functions of Lambda, with all that must not be kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.server.regions import domain_of, partition_of

Item = dict[str, Any]

CANARY = "hunter2-is-no-word-for-a-table"
"""Stands wherever the answers of ECS and Lambda have secrets."""


@dataclass
class Workloads:
    """What an account runs in a region.

    `tasks`, `services`, `task_definitions` (by ARN) and `functions` are as the API describes them; `clusters` are the
    ARNs of those that have tasks or services, and further ones. A function is what GetFunction answers.
    """

    account: str
    region: str
    clusters: list[str] = field(default_factory=list)
    tasks: list[Item] = field(default_factory=list)
    services: list[Item] = field(default_factory=list)
    task_definitions: dict[str, Item] = field(default_factory=dict)
    functions: list[Item] = field(default_factory=list)

    def arn(self, service: str, resource: str) -> str:
        """An ARN of the account and region."""
        return f"arn:{partition_of(self.region)}:{service}:{self.region}:{self.account}:{resource}"

    def image(self, repository: str, reference: str) -> str:
        """What names an image of the registry: `reference` is `:tag` or `@digest`, or both."""
        domain = domain_of(self.region)
        return f"{self.account}.dkr.ecr.{self.region}.{domain}/{repository}{reference}"

    def run_task(
        self,
        cluster: str,
        definition: str,
        containers: Sequence[tuple[str, str, str | None]],
        group: str | None = None,
    ) -> Item:
        """Starts a task of the task definition `web:7`; a container is its name, its image, and the digest of that."""
        number = len(self.tasks)
        arn = self.arn("ecs", f"task/{cluster}/{number:032x}")
        environment = [{"name": "TOKEN", "value": CANARY}]
        task: Item = {
            "taskArn": arn,
            "clusterArn": self._cluster(cluster),
            "taskDefinitionArn": self.arn("ecs", f"task-definition/{definition}"),
            "group": group or f"family:{definition.partition(':')[0]}",
            "lastStatus": "RUNNING",
            "desiredStatus": "RUNNING",
            "startedAt": 1_700_000_000.5 + number,
            "startedBy": f"ecs-svc/{number}",
            "version": 3,
            "containers": [
                {
                    "containerArn": self.arn("ecs", f"container/{cluster}/{number:032x}/{name}"),
                    "taskArn": arn,
                    "name": name,
                    "image": image,
                    "lastStatus": "RUNNING",
                    "runtimeId": f"{number:032x}-1",
                    "networkBindings": [],
                    "unheardOf": CANARY,
                    **({"imageDigest": digest} if digest else {}),
                }
                for name, image, digest in containers
            ],
            "overrides": {"containerOverrides": [{"name": "web", "environment": environment}]},
            "secretTokens": [CANARY],
        }
        self.tasks.append(task)
        return task

    def define(self, definition: str, images: dict[str, str]) -> str:
        """Registers the task definition `web:7` with these images, by the names of its containers."""
        arn = self.arn("ecs", f"task-definition/{definition}")
        family, _, revision = definition.partition(":")
        self.task_definitions[arn] = {
            "taskDefinitionArn": arn,
            "family": family,
            "revision": int(revision),
            "status": "ACTIVE",
            "containerDefinitions": [
                {
                    "name": name,
                    "image": image,
                    "essential": True,
                    "environment": [{"name": "PASSWORD", "value": CANARY}],
                    "secrets": [{"name": "KEY", "valueFrom": f"arn:aws:ssm:eu-west-1:1:parameter/{CANARY}"}],
                    "secretsOfTomorrow": {"KEY": CANARY},
                }
                for name, image in images.items()
            ],
        }
        return arn

    def serve(
        self, cluster: str, name: str, definitions: Sequence[str], *, running: int = 1, task_set: str = ""
    ) -> Item:
        """Makes a service whose deployments name these task definitions, and its task set another one."""
        arns = [self.arn("ecs", f"task-definition/{definition}") for definition in definitions]
        sets = [self.arn("ecs", f"task-definition/{task_set}")] if task_set else []
        service: Item = {
            "serviceArn": self.arn("ecs", f"service/{cluster}/{name}"),
            "serviceName": name,
            "clusterArn": self._cluster(cluster),
            "status": "ACTIVE",
            "desiredCount": running,
            "runningCount": running,
            "pendingCount": 0,
            "deployments": [
                {"id": f"ecs-svc/{number}", "status": status, "taskDefinition": arn}
                for number, (arn, status) in enumerate(zip(arns, ("PRIMARY", "ACTIVE", "ACTIVE"), strict=False))
            ],
            "taskSets": [{"id": "ecs-svc/9", "status": "ACTIVE", "taskDefinition": arn} for arn in sets],
            "events": [{"id": "1", "createdAt": 1_700_000_000, "message": f"service {name} has a steady state"}],
        }
        self.services.append(service)
        return service

    def add_function(self, name: str, version: str, image: str, digest: str) -> Item:
        """Adds a version of a function that is an image."""
        arn = self.arn("lambda", f"function:{name}:{version}")
        function: Item = {
            "Configuration": {
                "FunctionName": name,
                "FunctionArn": arn,
                "Version": version,
                "PackageType": "Image",
                "CodeSha256": digest.removeprefix("sha256:"),
                "LastModified": "2026-03-01T10:11:12.000+0000",
                "State": "Active",
                "StateReasonCode": "Idle",
                "LastUpdateStatus": "Successful",
                "LastUpdateStatusReasonCode": "EniLimitExceeded",
                "Role": f"arn:aws:iam::{self.account}:role/{name}",
                "Architectures": ["arm64"],
                "MemorySize": 512,
                "Timeout": 30,
                "Description": f"The function {name}",
                "Environment": {"Variables": {"DATABASE_URL": f"postgres://admin:{CANARY}@db"}},
                "VariablesOfTomorrow": {"KEY": CANARY},
            },
            "Code": {
                "RepositoryType": "ECR",
                "ImageUri": image,
                "ResolvedImageUri": f"{image.partition('@')[0].rpartition(':')[0]}@{digest}",
                "Location": f"https://prod-04-2014-tasks.s3.amazonaws.com/snapshots?X-Amz-Signature={CANARY}",
            },
            "Tags": {"team": "a"},
        }
        self.functions.append(function)
        return function

    def add_zip_function(self, name: str) -> None:
        """Adds a function that is no image."""
        configuration = {
            "FunctionName": name,
            "FunctionArn": self.arn("lambda", f"function:{name}:$LATEST"),
            "Version": "$LATEST",
            "PackageType": "Zip",
            "Runtime": "python3.13",
            "Environment": {"Variables": {"KEY": CANARY}},
        }
        self.functions.append({"Configuration": configuration, "Code": {"RepositoryType": "S3", "Location": CANARY}})

    def _cluster(self, name: str) -> str:
        arn = self.arn("ecs", f"cluster/{name}")
        if arn not in self.clusters:
            self.clusters.append(arn)
        return arn
