"""The view ecr_freshness: what is complete as of when."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import dlt

from ecr_source.catalog import EXTRACTION_SCOPES
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.views.creation import create_views
from tests.conftest import Row
from tests.server.ecr_server import DENIED, EcrServer
from tests.warehouse import ON_EACH

pytestmark = ON_EACH

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Query = Callable[[str], list[Row]]


def test_it_tells_of_each_scope_and_table_when_it_was_complete_and_how_the_last_run_ended(
    server: EcrServer, ecr: Ecr, query: Query
) -> None:
    server.registry("eu-west-1").put("api")
    regions = ("--region", "eu-west-1", "--region", "us-east-1")
    assert ecr("run", *regions).returncode == 0
    server.fail(DENIED, region="us-east-1")
    assert ecr("run", *regions).returncode == 1
    assert ecr("run", "--region", "eu-west-1").returncode == 0
    runs = [run for (run,) in query("SELECT DISTINCT run_id FROM extraction_scopes ORDER BY 1")]
    assert query(
        """
        SELECT f.region, f.last_status, f.last_rows, s.run_id AS complete_in, f.last_run_id
        FROM ecr_freshness f JOIN extraction_scopes s
          ON s.started_at = f.complete_as_of AND s.region = f.region AND s.table_name = f.table_name
        WHERE f.table_name = 'repositories' ORDER BY 1
        """
    ) == [("eu-west-1", "complete", 1, runs[2], runs[2]), ("us-east-1", "denied", 0, runs[0], runs[1])]


def test_it_says_nothing_is_complete_where_nothing_ever_was(server: EcrServer, ecr: Ecr, query: Query) -> None:
    server.fail(DENIED)
    assert ecr("run").returncode == 3
    assert query("SELECT DISTINCT complete_as_of, read_as_of, last_status FROM ecr_freshness") == [
        (None, None, "denied")
    ]


def test_it_does_not_count_what_is_not_loaded_to_its_end(
    server: EcrServer, load: Callable[..., object], pipeline: dlt.Pipeline, query: Query
) -> None:
    server.registry("eu-west-1").put("api")
    load()
    with pipeline.sql_client() as client:
        create_views(destination_of(pipeline), client, {})
    before = query("SELECT * FROM ecr_freshness ORDER BY table_name")
    with pipeline.sql_client() as client:
        # What a load leaves that ended behind its ledger, before its tables.
        others = ", ".join(f'"{name}"' for name in EXTRACTION_SCOPES.columns if name not in ("run_id", "started_at"))
        client.execute_sql(
            f"INSERT INTO extraction_scopes (run_id, started_at, {others})"
            f" SELECT '9999999999.5', started_at + INTERVAL '1 hour', {others} FROM extraction_scopes"
        )
    assert query("SELECT * FROM ecr_freshness ORDER BY table_name") == before
