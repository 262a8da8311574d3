"""What ECS and Lambda run, as they tell it: what is asked, what the tables hold, and what must not be kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import DENIED, EcrServer
from tests.server.registry import digest_of
from tests.server.workloads import CANARY, Workloads
from tests.warehouse import ON_EACH

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]

TABLES = ["ecs_task_containers", "ecs_service_images", "lambda_function_images"]
WEB, NEW = digest_of("web"), digest_of("new")
CONTAINERS = """
    SELECT started_as, container_name, task_count, image_repository_name, image_tag, image_digest
    FROM ecs_task_containers ORDER BY 1, 2, image_digest, cluster_arn
"""
SERVICES = """
    SELECT service_name, split_part(task_definition_arn, '/', 2), named_by, container_name, image_tag, image_digest
    FROM ecs_service_images ORDER BY 1, 2, 3, 4
"""
FUNCTIONS = """
    SELECT function_name, function_version, image_tag, image_digest FROM lambda_function_images ORDER BY 1, 2
"""
LEDGER = """
    SELECT table_name, status FROM extraction_scopes
    WHERE run_id = (SELECT max(run_id) FROM extraction_scopes) ORDER BY table_name
"""


@pytest.fixture
def workloads(server: EcrServer) -> Workloads:
    """What runs in the account."""
    return server.registry().workloads


def web(workloads: Workloads, reference: str = ":stable") -> str:
    return workloads.image("web", reference)


@ON_EACH
def test_tasks_that_run_the_same_are_one_row_however_many_calls_told_of_them(
    server: EcrServer, workloads: Workloads, load: Load, query: Query
) -> None:
    for _ in range(230):
        workloads.run_task("blue", "web:7", [("web", web(workloads), WEB)], "service:web")
    workloads.run_task("blue", "web:7", [("web", web(workloads), NEW), ("log", "fluent/fluent-bit:3", None)])
    workloads.run_task("green", "web:7", [("web", web(workloads), WEB)], "service:web")
    load(tables=TABLES)
    assert query(CONTAINERS) == [
        ("family:web", "log", 1, "fluent/fluent-bit", "3", None),
        ("family:web", "web", 1, "web", "stable", NEW),
        ("service:web", "web", 230, "web", "stable", WEB),
        ("service:web", "web", 1, "web", "stable", WEB),
    ]
    assert (server.calls["ListTasks"], server.calls["DescribeTasks"]) == (4, 4)


@ON_EACH
def test_what_does_not_run_any_more_is_gone_after_the_next_run(workloads: Workloads, load: Load, query: Query) -> None:
    workloads.run_task("blue", "web:7", [("web", web(workloads), WEB)])
    workloads.define("web:7", {"web": web(workloads)})
    workloads.serve("blue", "web", ["web:7"])
    workloads.add_function("resize", "1", web(workloads), WEB)
    load(tables=TABLES)
    assert [len(query(table)) for table in (CONTAINERS, SERVICES, FUNCTIONS)] == [1, 1, 1]
    for running in (workloads.clusters, workloads.tasks, workloads.services, workloads.functions):
        running.clear()
    load(tables=TABLES).raise_on_incomplete()
    assert [len(query(table)) for table in (CONTAINERS, SERVICES, FUNCTIONS)] == [0, 0, 0]


def test_a_service_has_the_images_of_all_task_definitions_that_its_deployments_and_task_sets_name(
    server: EcrServer, workloads: Workloads, load: Load, query: Query
) -> None:
    workloads.define("web:7", {"web": web(workloads)})
    workloads.define("web:8", {"web": web(workloads, f":next@{NEW}")})
    workloads.serve("blue", "web", ["web:8", "web:7"], running=0, task_set="web:8")
    for number in range(11):
        workloads.serve("blue", f"other-{number:02}", [])
    load(tables=TABLES)
    assert query(SERVICES) == [
        ("web", "web:7", "deployment", "web", "stable", None),
        ("web", "web:8", "deployment", "web", "next", NEW),
        ("web", "web:8", "task_set", "web", "next", NEW),
    ]
    assert server.calls["DescribeServices"] == 2


def test_only_functions_that_are_images_are_asked_for_and_each_version_is(
    server: EcrServer, workloads: Workloads, load: Load, query: Query
) -> None:
    for number in range(60):
        workloads.add_zip_function(f"cron-{number}")
    workloads.add_function("resize", "$LATEST", web(workloads), NEW)
    workloads.add_function("resize", "1", web(workloads), WEB)
    load(tables=TABLES)
    assert query(FUNCTIONS) == [("resize", "$LATEST", "stable", NEW), ("resize", "1", "stable", WEB)]
    assert (server.calls["ListFunctions"], server.calls["GetFunction"]) == (2, 2)


@ON_EACH
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history", "incremental"))
def test_a_function_is_asked_for_again_only_when_its_code_is_another_one_or_the_answer_is_old(
    server: EcrServer, workloads: Workloads, load: Load, query: Query, mode: str
) -> None:
    workloads.add_function("resize", "$LATEST", web(workloads), WEB)
    workloads.add_function("resize", "1", web(workloads), WEB)
    newest = """
        SELECT function_version, image_digest FROM lambda_function_images l WHERE extracted_at =
            (SELECT max(extracted_at) FROM lambda_function_images o WHERE o.function_version = l.function_version)
        GROUP BY function_version, image_digest ORDER BY 1
    """

    def asked_by(**settings: object) -> int:
        load(tables=TABLES, mode=mode, **settings)
        return server.calls.pop("GetFunction", 0)

    assert (asked_by(), asked_by()) == (2, 0)
    assert query(newest) == [("$LATEST", WEB), ("1", WEB)]
    workloads.functions[0] |= workloads.add_function("resize", "$LATEST", web(workloads), NEW)
    del workloads.functions[-1]
    assert asked_by() == 1
    assert query(newest) == [("$LATEST", NEW), ("1", WEB)]
    assert asked_by(findings_max_age=0) == 2
    del workloads.functions[1]
    assert asked_by() == 0
    if mode == "snapshot":
        assert query(FUNCTIONS) == [("resize", "$LATEST", "stable", NEW)]


def test_what_goes_while_it_is_asked_for_is_no_failure(
    server: EcrServer, workloads: Workloads, load: Load, query: Query
) -> None:
    workloads.run_task("blue", "web:7", [("web", web(workloads), WEB)])
    workloads.run_task("blue", "web:7", [("web", web(workloads), WEB)])
    workloads.run_task("green", "web:7", [("web", web(workloads), WEB)])
    workloads.serve("blue", "web", ["web:1"])
    workloads.add_function("resize", "1", web(workloads), WEB)

    def go(operation: str, call: int) -> None:
        if operation == "DescribeTasks" and call == 1:
            workloads.tasks[:] = workloads.tasks[1:]
            workloads.clusters.remove(workloads.arn("ecs", "cluster/green"))
        elif operation == "GetFunction":
            workloads.functions.clear()

    server.before_answer = go
    load(tables=TABLES).raise_on_incomplete()
    assert query(CONTAINERS) == [("family:web", "web", 1, "web", "stable", WEB)]
    assert (query(SERVICES), query(FUNCTIONS)) == ([], [])


@pytest.mark.parametrize(
    ("operation", "denied"),
    [
        ("ListClusters", {"ecs_task_containers", "ecs_service_images"}),
        ("ListTasks", {"ecs_task_containers"}),
        ("DescribeTaskDefinition", {"ecs_service_images"}),
        ("ListFunctions", {"lambda_function_images"}),
        ("GetFunction", {"lambda_function_images"}),
    ],
)
def test_what_is_denied_keeps_its_rows(
    server: EcrServer, workloads: Workloads, load: Load, query: Query, operation: str, denied: set[str]
) -> None:
    workloads.run_task("blue", "web:7", [("web", web(workloads), WEB)])
    workloads.define("web:7", {"web": web(workloads)})
    workloads.serve("blue", "web", ["web:7"])
    workloads.add_function("resize", "1", web(workloads), WEB)
    load(tables=TABLES)
    before = [query(table) for table in (CONTAINERS, SERVICES, FUNCTIONS)]
    server.fail(DENIED, operation=operation)
    assert load(tables=TABLES, findings_max_age=0).incomplete
    assert [query(table) for table in (CONTAINERS, SERVICES, FUNCTIONS)] == before
    assert {table for table, status in query(LEDGER) if status == "denied"} == denied


def test_no_environment_no_secret_and_no_address_of_code_is_kept_anywhere(
    server: EcrServer,
    workloads: Workloads,
    load: Load,
    query: Query,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server.registry().maximal()
    server.fail(DENIED, operation="DescribeServices")
    load(tables=TABLES)
    server.recover()
    load(tables=TABLES)
    assert [len(query(table)) for table in (CONTAINERS, SERVICES, FUNCTIONS)] == [3, 5, 2]
    for table in TABLES:
        assert query(f"SELECT unmodelled FROM {table} WHERE unmodelled IS NOT NULL") == []
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert [path for path in written if CANARY.encode() in path.read_bytes()] == []
    assert CANARY not in caplog.text


def test_a_history_has_a_version_for_what_runs_and_none_for_how_many_or_which_tasks(
    workloads: Workloads, load: Load, query: Query
) -> None:
    workloads.define("web:7", {"web": web(workloads)})
    for run, digests in enumerate(([WEB], [WEB, WEB], [WEB, NEW])):
        workloads.tasks.clear()
        for digest in digests:
            task = workloads.run_task("blue", "web:7", [("web", web(workloads), digest)])
            task["taskArn"] += f"-of-run-{run}"
        workloads.services.clear()
        workloads.serve("blue", "web", ["web:7"], running=len(digests))
        load(tables=TABLES, mode="history")
    versions = "SELECT image_digest, count(*) FROM ecs_task_containers GROUP BY ALL"
    assert dict(query(versions)) == {WEB: 1, NEW: 1}
    assert query("SELECT count(*) FROM ecs_service_images") == [(1,)]
