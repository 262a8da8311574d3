"""Which images ECS runs, and which its services refer to, whether or not they run.

Environments and secrets of tasks and task definitions are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ecr_source.catalog.column import Alike, Asked, Constant, ImageReference, Joined, Member, OfParent, OfScope, Source
from ecr_source.catalog.table import EachRow, Filling, Operation, Table

_ecs = partial(Operation, "ecs", secretive=True)

_SCOPE: Mapping[str, str | Source] = {"registry_id": OfScope("registry_id"), "region": OfScope("region")}
_SCOPE_KEY = ("registry_id", "region")
_GONE_CLUSTER = {"ClusterNotFoundException": "no_cluster"}


def reference_columns(path: str) -> dict[str, str | Source]:
    """The columns of what a container is told to run, at `path`, but for its digest."""
    return {
        "image_registry": ImageReference(path, "registry", "The registry of the image; NULL where none is named."),
        "image_registry_id": ImageReference(
            path, "registry_id", "The account whose registry has the image; NULL where it is not of a private registry."
        ),
        "image_region": ImageReference(
            path, "region", "The region of that registry; NULL where it is not of a private registry."
        ),
        "image_repository_name": ImageReference(path, "repository_name", "The repository of the image."),
        "image_tag": ImageReference(
            path, "tag", "The tag by which it is named, which may have moved; NULL without one."
        ),
    }


# What to ask: these are not loaded.

ECS_CLUSTERS = Table(
    name="ecs_clusters",
    description="One row per cluster.",
    operation=_ecs("ListClusters", page_size=100),
    rows="clusterArns[]",
    key=(*_SCOPE_KEY, "cluster_arn"),
    columns={**_SCOPE, "cluster_arn": Member("", "The cluster.")},
)

_EACH_CLUSTER = EachRow(ECS_CLUSTERS, {"cluster": "cluster_arn"})

ECS_TASKS = Table(
    name="ecs_tasks",
    description="One row per task that is to run.",
    operation=_ecs("ListTasks", page_size=100, each=_EACH_CLUSTER, absent=_GONE_CLUSTER),
    rows="taskArns[]",
    key=(*_SCOPE_KEY, "cluster_arn", "task_arn"),
    columns={**_SCOPE, "cluster_arn": Asked("cluster_arn"), "task_arn": Member("", "The task.")},
)

ECS_SERVICES = Table(
    name="ecs_services",
    description="One row per service.",
    operation=_ecs("ListServices", page_size=100, each=_EACH_CLUSTER, absent=_GONE_CLUSTER),
    rows="serviceArns[]",
    key=(*_SCOPE_KEY, "cluster_arn", "service_arn"),
    columns={**_SCOPE, "cluster_arn": Asked("cluster_arn"), "service_arn": Member("", "The service.")},
)

_DESCRIBE_SERVICES = _ecs(
    "DescribeServices",
    each=EachRow(ECS_SERVICES, {"cluster": "cluster_arn", "services[]": "service_arn"}, at_a_time=10),
    absent=_GONE_CLUSTER,
)


def _task_definitions(kind: str) -> dict[str, str | Source]:
    return {
        **_SCOPE,
        "cluster_arn": OfParent(Member("clusterArn", "The cluster.")),
        "service_arn": OfParent(Member("serviceArn", "The service.")),
        "service_name": OfParent(Member("serviceName", "The name of the service.")),
        "desired_count": OfParent(Member("desiredCount")),
        "running_count": OfParent(Member("runningCount")),
        "pending_count": OfParent(Member("pendingCount")),
        "task_definition_arn": "taskDefinition",
        "named_by": Constant(kind, "What of the service names the task definition: a deployment or a task set."),
    }


ECS_SERVICE_TASK_DEFINITIONS = Table(
    name="ecs_service_task_definitions",
    description="One row per service and task definition of its deployments and task sets.",
    operation=_DESCRIBE_SERVICES,
    rows="services[].deployments[]",
    key=(*_SCOPE_KEY, "service_arn", "named_by", "task_definition_arn"),
    columns=_task_definitions("deployment"),
    also=(Filling(_DESCRIBE_SERVICES, "services[].taskSets[]", _task_definitions("task_set")),),
    left_out={
        "services[]": "it names no image",
        "failures": "it names services that are gone since they were listed",
    },
)

LISTED_IN_ECS = [ECS_CLUSTERS, ECS_TASKS, ECS_SERVICES, ECS_SERVICE_TASK_DEFINITIONS]

# What is loaded.

ECS_TASK_CONTAINERS = Table(
    name="ecs_task_containers",
    description="One row per image that a container of running tasks has, and cluster, task definition and group whose"
    " tasks they are. A task that has stopped has no row.",
    operation=_ecs(
        "DescribeTasks",
        each=EachRow(ECS_TASKS, {"cluster": "cluster_arn", "tasks[]": "task_arn"}, at_a_time=100),
        absent=_GONE_CLUSTER,
    ),
    rows="tasks[].containers[]",
    key=(*_SCOPE_KEY, "cluster_arn", "task_definition_arn", "started_as", "container_name", "runs"),
    columns={
        **_SCOPE,
        "cluster_arn": OfParent(Member("clusterArn")),
        "task_definition_arn": OfParent(Member("taskDefinitionArn")),
        "started_as": OfParent(
            Joined(
                (Member("group"),),
                "The group of the tasks: `service:` and the service that started them, or `family:` and the family of"
                " the task definition; empty where a task has none.",
            )
        ),
        "container_name": Member("name", "The name of the container in the task definition."),
        "runs": Joined(
            (Member("image"), Member("imageDigest")),
            "Tells apart what containers of the same name have: the image as it is named, and its digest.",
        ),
        "task_count": Alike("How many of the tasks run it."),
        "image": "image",
        **reference_columns("image"),
        "image_digest": Member("imageDigest", "The digest of the image that runs; NULL as long as it was not pulled."),
    },
    left_out={
        "tasks[]": "it is of one task, of which a row has many; what a task overrides may be secret, and is no image",
        "failures": "it names tasks that have stopped since they were listed",
    },
    volatile=frozenset({"task_count"}),
)

ECS_SERVICE_IMAGES = Table(
    name="ecs_service_images",
    description="One row per service, task definition that its deployments and task sets name, and container of it: the"
    " image that the service starts, whether or not a task runs now.",
    operation=_ecs(
        "DescribeTaskDefinition",
        each=EachRow(ECS_SERVICE_TASK_DEFINITIONS, {"taskDefinition": "task_definition_arn"}),
        absent={"ClientException": "no_task_definition"},
    ),
    rows="taskDefinition.containerDefinitions[]",
    key=(*_SCOPE_KEY, "service_arn", "task_definition_arn", "named_by", "container_name"),
    columns={
        **_SCOPE,
        "cluster_arn": Asked("cluster_arn"),
        "service_arn": Asked("service_arn"),
        "service_name": Asked("service_name"),
        "task_definition_arn": Asked("task_definition_arn"),
        "named_by": Asked("named_by"),
        "container_name": Member("name", "The name of the container in the task definition."),
        "desired_count": Asked("desired_count"),
        "running_count": Asked("running_count"),
        "pending_count": Asked("pending_count"),
        "image": "image",
        **reference_columns("image"),
        "image_digest": ImageReference(
            "image",
            "digest",
            "The digest by which the image is named; NULL where it is named by a tag alone, which may have moved.",
        ),
        "essential": "essential",
    },
    left_out={
        "taskDefinition": "it may hold secrets, and names no image",
        "tags": "they are those of the task definition",
    },
    volatile=frozenset({"desired_count", "running_count", "pending_count"}),
)

ECS_TABLES = [ECS_TASK_CONTAINERS, ECS_SERVICE_IMAGES]
