"""What the demo's endpoint answers is what AWS could, and what is not the demo's is left alone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ecr_source import catalog
from ecr_source.cli.demo import TABLES
from ecr_source.cli.demo_registry.answers import Answers, NotThere
from ecr_source.cli.demo_registry.contents import REGISTRIES
from ecr_source.cli.demo_registry.embedded_registry import WEEK, Registry
from ecr_source.cli.demo_registry.workload_answers import WorkloadAnswers
from ecr_source.cli.exit_codes import UNUSABLE
from ecr_source.loading.settings.kept_settings import DEMO_ACCOUNT
from tests.conftest import Row
from tests.server.ecr_server import ACCOUNT, EcrServer
from tests.server.protocols import service_model
from tests.server.request_check import check_request

Call = tuple[str, str, dict[str, Any]]
SETTINGS = ("BASIC_SCAN_TYPE_VERSION", "REGISTRY_POLICY_SCOPE", "BLOB_MOUNTING")
OF_A_REGISTRY = (
    "DescribeRepositories",
    "DescribeRegistry",
    "DescribePullThroughCacheRules",
    "DescribeRepositoryCreationTemplates",
    "GetRegistryPolicy",
    "GetRegistryScanningConfiguration",
    "GetSigningConfiguration",
    "ListPullTimeUpdateExclusions",
    "ListReplicationBackfills",
)


def calls(registry: Registry) -> Iterator[Call]:
    """Every call that a run can make of the registry: service, operation and parameters."""
    yield from (("ecr", operation, {}) for operation in OF_A_REGISTRY)
    yield from (("ecr", "GetAccountSetting", {"name": name}) for name in SETTINGS)
    yield "tagging", "GetResources", {}
    yield "inspector2", "ListCoverage", {}
    yield "ecr", "BatchGetRepositoryScanningConfiguration", {"repositoryNames": [*registry.repositories]}
    for name, repository in registry.repositories.items():
        for operation in ("DescribeImages", "GetRepositoryPolicy", "GetLifecyclePolicy"):
            yield "ecr", operation, {"repositoryName": name}
        ids = [{"imageDigest": image.digest} for image in repository.images]
        yield "ecr", "BatchGetImage", {"repositoryName": name, "imageIds": ids}
        yield from (("ecr", "DescribeImageScanFindings", {"repositoryName": name, "imageId": one}) for one in ids)
        for digest in (image.digest for image in repository.images if image.services):
            arn = f"arn:aws:ecr:{registry.region}:{DEMO_ACCOUNT}:repository/{name}/{digest}"
            yield "inspector2", "GetClustersForImage", {"filter": {"resourceId": arn}}
    yield from calls_of_workloads(WorkloadAnswers(DEMO_ACCOUNT, registry).operations())


def calls_of_workloads(answers: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> Iterator[Call]:
    """Those of ECS and Lambda, which ask for what others have told."""
    yield "lambda", "ListFunctions", {}
    yield "ecs", "ListClusters", {}
    for cluster in answers["ListClusters"]({})["clusterArns"]:
        in_cluster = {"cluster": cluster}
        yield "ecs", "ListTasks", in_cluster
        yield "ecs", "DescribeTasks", in_cluster | {"tasks": answers["ListTasks"](in_cluster)["taskArns"]}
        yield "ecs", "ListServices", in_cluster
        asked = in_cluster | {"services": answers["ListServices"](in_cluster)["serviceArns"]}
        yield "ecs", "DescribeServices", asked
        for service in answers["DescribeServices"](asked)["services"]:
            definition = service["deployments"][0]["taskDefinition"]
            yield "ecs", "DescribeTaskDefinition", {"taskDefinition": definition}


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.region)
@pytest.mark.parametrize("day", [0, WEEK])
def test_each_answer_is_one_that_the_model_of_its_service_allows(registry: Registry, day: int) -> None:
    answers = Answers(DEMO_ACCOUNT, registry.as_of(day), date(2026, 11, 29))
    for service, operation, parameters in calls(registry.as_of(day)):
        model = service_model(service).operation_model(operation)
        answer = answer_or_error(answers, operation, parameters)
        if isinstance(answer, str):
            assert answer in {shape.name for shape in model.error_shapes}
        else:
            check_request(model.output_shape, answer)


def answer_or_error(answers: Answers, operation: str, parameters: dict[str, Any]) -> Any:
    """As it goes over the wire; of an error its name."""
    try:
        return json.loads(json.dumps(answers.answer(operation, parameters)))
    except NotThere as error:
        return str(error)


def test_every_call_that_the_tables_of_the_demo_take_is_answered() -> None:
    taken = {one.name for one in catalog.operations_of(catalog.select_tables(TABLES), catalog.not_called("ecr"))}
    # Where tags, backfills or functions are not listed.
    never = {"ListTagsForResource", "DescribeReplicationBackfillResults", "GetFunction"}
    assert taken - never == {operation for registry in REGISTRIES for _, operation, _ in calls(registry)}


def test_the_demo_leaves_the_rows_of_an_account_alone(
    ecr: Callable[..., subprocess.CompletedProcess[str]], server: EcrServer, query: Callable[[str], list[Row]]
) -> None:
    server.registry().put("team/api")
    ecr("run")
    (database,) = {path.name for path in Path().glob("*.duckdb")}
    done = ecr("demo", "--database", database)
    assert (done.returncode, done.stdout) == (UNUSABLE, "")
    assert "registries that are not the demo's" in done.stderr
    assert query("SELECT registry_id, repository_name FROM repositories") == [(ACCOUNT, "team/api")]
