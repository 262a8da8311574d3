"""The view ecr_runs: what each run cost in each scope, and what it could not read."""

from __future__ import annotations

from collections.abc import Callable

from tests.conftest import Row
from tests.pages.asked_questions import question
from tests.server.ecr_server import DENIED, THROTTLED, EcrServer
from tests.views.conftest import Load
from tests.warehouse import POSTGRES_AT_NIGHT

pytestmark = POSTGRES_AT_NIGHT

Query = Callable[[str], list[Row]]


def test_each_run_says_of_each_scope_what_it_read_what_it_cost_and_what_was_refused(
    server: EcrServer, load: Load, query: Query
) -> None:
    asked = {"regions": ["eu-west-1", "us-east-1"], "tables": ["repositories.repositories", "lifecycle_policies"]}
    for name in ("api", "web"):
        server.registry("eu-west-1").put(name)
    server.fail(THROTTLED, operation="DescribeRepositories", region="eu-west-1", times=2)
    load(**asked)
    server.recover()
    server.fail(DENIED, operation="GetLifecyclePolicy", repository="web")
    server.fail(DENIED, operation="DescribeRepositories", region="us-east-1")
    load(**asked)
    assert query(
        "SELECT region, complete_tables, partial_tables, denied_tables, rows_read, calls, throttled, retried, errors"
        " FROM ecr_runs ORDER BY run_id, region"
    ) == [
        ("eu-west-1", 2, 0, 0, 2, 5, 2, 2, 0),
        ("us-east-1", 2, 0, 0, 0, 1, 0, 0, 0),
        ("eu-west-1", 1, 1, 0, 2, 3, 0, 0, 1),
        ("us-east-1", 0, 0, 2, 0, 1, 0, 0, 1),
    ]
    assert query(question(31)) == [
        ("eu-west-1", "complete", 1, 2),
        ("eu-west-1", "partial", 1, 0),
        ("us-east-1", "denied", 2, 0),
    ]
    assert query(question(32)) == [
        ("eu-west-1", "snapshot", True, 2, 2, 0),
        ("us-east-1", "snapshot", True, 0, 0, 0),
    ]
    assert query(
        "SELECT count(DISTINCT run_id), min(mode), count(loaded_at), count(CASE WHEN seconds > 0 THEN 1 END)"
        " FROM ecr_runs"
    ) == [(2, "snapshot", 4, 4)]
    assert query(
        "SELECT region FROM ecr_runs WHERE error_for_example LIKE '%access denied; allow ecr:%' ORDER BY region"
    ) == [("eu-west-1",), ("us-east-1",)]
