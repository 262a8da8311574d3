"""What a run costs, where that does not depend on the machine: calls, refusals, and how memory grows."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import botocore.session
import dlt
import duckdb
import pytest
from dlt.common.configuration import resolve
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from ecr_source import catalog, ecr_source
from ecr_source.destinations.duckdb import _KEPT_OPEN, duckdb_file
from ecr_source.extract.ledger import Outcome
from ecr_source.loading.load import load as load_as_the_command
from tests.conftest import Row, environment
from tests.loading.test_memory import peak_of_a_run
from tests.server.ecr_server import EcrServer, basic_finding, serving
from tests.warehouse import DATASET

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]

IMAGES_OF_A_REPOSITORY = 1_000
REPOSITORIES_OF_A_SCANNING_CALL = 25
REPOSITORIES_OF_A_TAGGING_CALL = 100

# 100 repositories of 1,000 images took 477 to 510 MB and 400 took 572 to 595 in three runs each, 780 and 852 where all
# rows were kept in memory: 1.3 times and 60 MB more lie between. With fewer than 100 DuckDB does not yet take what it
# then stays at. Eight calls under way, because with 32 runs differ more.
MANY, FEW = 400, 100
GROWTH, MARGIN = 1.3, 60
STEADY = ("--table", "images", "--max-in-flight", "8")

REGIONS = ["eu-west-1", "us-east-1", "ap-south-1"]

# dlt 1.31 asks its configuration some 10 times for each table, whether it loads the table or not.
QUESTIONS_OF_A_TABLE = 15

# dlt opens it twice whenever it reads it, which it does for each question that it asks while a pipeline is made, and
# by itself for each that comes afterwards: then it is 46 times.
TIMES_A_SCHEMA_IS_OPENED = 14

FILLED = {
    *("registry_account_settings", "registry_replications", "registry_scanning_configurations"),
    "extraction_scopes",
}
"""The tables that have rows of an empty region."""


@pytest.mark.parametrize(
    ("tables", "operation", "repositories", "images", "calls"),
    [
        ("images", "DescribeImages", 30, 10, 30),
        ("images", "DescribeImages", 3, 2_500, 3 * math.ceil(2_500 / IMAGES_OF_A_REPOSITORY)),
        (
            "repository_scanning_configurations",
            "BatchGetRepositoryScanningConfiguration",
            130,
            1,
            math.ceil(130 / REPOSITORIES_OF_A_SCANNING_CALL),
        ),
        ("repository_tags", "GetResources", 330, 1, math.ceil(330 / REPOSITORIES_OF_A_TAGGING_CALL)),
        ("lifecycle_policies", "GetLifecyclePolicy", 60, 1, 60),
    ],
)
def test_a_run_makes_the_calls_that_the_sizes_imply(
    server: EcrServer, load: Load, tables: str, operation: str, repositories: int, images: int, calls: int
) -> None:
    server.registry().fill_images(repositories, images)
    load(tables=[tables])
    assert server.calls == {"GetCallerIdentity": 1, "DescribeRepositories": 1, operation: calls}


@pytest.mark.nightly
def test_memory_hardly_grows_with_the_images(tmp_path: Path) -> None:
    few, many = (peak_of_reading(repositories, tmp_path) for repositories in (FEW, MANY))
    assert many < GROWTH * few + MARGIN


def peak_of_reading(repositories: int, folder: Path) -> float:
    """Megabytes that reading so many repositories of a thousand images takes."""
    with serving() as server:
        server.registry().fill_images(repositories, IMAGES_OF_A_REPOSITORY)
        return peak_of_a_run(server, folder / f"{repositories}.duckdb", *STEADY)


@pytest.mark.nightly
def test_memory_hardly_grows_with_the_findings_whether_they_are_new_or_stand(tmp_path: Path) -> None:
    few, many = (peaks_of_two_runs(repositories, tmp_path) for repositories in (5, 100))
    first, unchanged = (more / less for less, more in zip(few, many, strict=True))
    assert first < 1.5  # with pages in reference cycles, which stay until the garbage is collected: 3.7
    assert unchanged < 1.2


def peaks_of_two_runs(repositories: int, folder: Path) -> list[float]:
    """Megabytes of reading the findings of so many repositories of 50 images, and of reading them again."""
    findings = [basic_finding(f"CVE-2025-{number}", "openssl", "1.1") for number in range(200)]
    with serving() as server:
        server.keep_requests = False
        for name in (f"team/r{number}" for number in range(repositories)):
            server.registry().put(name)
            for tag in range(50):
                server.registry().scan(
                    name, server.registry().put_image(name, tags=[str(tag)])["imageDigest"], findings
                )
        database = folder / f"{repositories} with findings.duckdb"
        return [peak_of_a_run(server, database, "--table", "images", "--table", "findings") for _ in range(2)]


def test_findings_of_an_unchanged_registry_cost_no_second_call_for_each_image(server: EcrServer, load: Load) -> None:
    server.registry().fill_images(20, 20)
    first, second = (calls_about_findings(server, load) for _ in range(2))
    assert first == 20 * 20
    assert second <= 0.02 * first


def calls_about_findings(server: EcrServer, load: Load) -> int:
    """How many calls, listings aside, one run makes."""
    server.calls.clear()
    load(tables=["findings"])
    return server.calls["DescribeImageScanFindings"]


def test_one_call_in_twenty_at_most_is_refused_for_its_rate(server: EcrServer, load: Load) -> None:
    server.registry().fill_images(300, 1)
    server.throttle = (20, 20)
    outcome = load(tables=["policies"])
    assert not outcome.incomplete
    calls, refused = (sum(getattr(table, name) for table in outcome.tables) for name in ("calls", "throttled"))
    assert refused < 0.05 * calls


def test_tables_that_stay_empty_make_no_job_however_many_regions_are_read(
    server: EcrServer, pipeline: dlt.Pipeline
) -> None:
    jobs_of_a_load(server, pipeline, REGIONS)
    one, three = (jobs_of_a_load(server, pipeline, regions) for regions in (REGIONS[:1], REGIONS))
    assert one == three
    assert one.keys() == FILLED
    assert max(one.values()) == 2  # the rows, and their merge


def test_a_table_that_becomes_empty_makes_a_job_once(server: EcrServer, pipeline: dlt.Pipeline, query: Query) -> None:
    server.registry().put("team/api")
    jobs_of_a_load(server, pipeline, REGIONS)
    server.registry().repositories.clear()
    then, afterwards = (jobs_of_a_load(server, pipeline, REGIONS) for _ in range(2))
    assert (then["repositories"], afterwards["repositories"]) == (2, 0)
    assert query("SELECT count(*) FROM repositories") == [(0,)]


def jobs_of_a_load(server: EcrServer, pipeline: dlt.Pipeline, regions: Sequence[str]) -> Counter[str]:
    """How many jobs dlt has for each table of ours when it loads all that is loaded by default."""
    info = pipeline.run(ecr_source(regions=regions, endpoint_url=server.url))
    (package,) = info.load_packages
    tables = [job.job_file_info.table_name for job in package.jobs["completed_jobs"]]
    return Counter(table for table in tables if not table.startswith("_dlt"))


def test_a_region_more_asks_dlts_configuration_nothing_and_makes_no_session(
    server: EcrServer, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs_of_a_load(server, pipeline, REGIONS)
    resolved = counted(monkeypatch, resolve, "_resolve_configuration")
    sessions = counted(monkeypatch, botocore.session.Session, "__init__")
    costs = []
    for regions in (REGIONS[:1], REGIONS):
        resolved.clear()
        sessions.clear()
        jobs_of_a_load(server, pipeline, regions)
        costs.append((len(resolved), len(sessions)))
    (questions, made), (questions_of_three, made_for_three) = costs
    assert questions_of_three < questions + len(catalog.select_tables(())) / 2  # now and then dlt asks once more
    assert made == made_for_three
    assert questions < QUESTIONS_OF_A_TABLE * len(catalog.select_tables(()))
    assert made <= 3


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[str]:
    """A list that gets an entry for each call of `name`, a function of `owner`."""
    calls: list[str] = []
    function = getattr(owner, name)

    def call(*arguments: object, **named: object) -> object:
        calls.append(name)
        return function(*arguments, **named)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_a_load_opens_its_file_before_aws_is_read_and_afterwards_and_not_for_each_question(
    server: EcrServer, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load() -> None:
        load_as_the_command(pipeline, ecr_source(regions=["eu-west-1"], endpoint_url=server.url, tables=["images"]))

    server.registry().put("api")
    load()
    opened: list[bool] = []

    def connect(*arguments: Any, **options: Any) -> duckdb.DuckDBPyConnection:
        opened.append(not any(_KEPT_OPEN.values()))
        return connected(*arguments, **options)

    connected = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", connect)
    load()
    assert len(opened) > 2
    assert opened.count(True) == 2


FILES_OPENED = """
import sys
opened = []
sys.addaudithook(lambda event, arguments: event == "open" and opened.append(str(arguments[0])))
from ecr_source.cli import main
try:
    main()
finally:
    print(*opened, sep="\\n", file=sys.stderr)
"""


def test_a_later_run_reads_no_library_and_no_model_of_a_service_for_nothing(
    server: EcrServer, database: Path, ecr: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    ecr("run", "--table", "default")
    command = [sys.executable, "-c", FILES_OPENED, "run", "--table", "default"]
    settings = environment(server, database)
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    assert "/ecr/2015-09-21/service-2" in done.stderr
    assert "site-packages/sqlalchemy/" not in done.stderr
    assert "/inspector2/" not in done.stderr
    assert done.stderr.count("/ecr.schema.json") <= TIMES_A_SCHEMA_IS_OPENED


def test_duckdb_works_at_one_table_at_a_time(
    server: EcrServer, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several at a time one may find no memory left: so it was with 10,000,000 findings."""
    server.registry().put("team/api")
    execute, loading = DuckDbSqlClient.execute_sql, set()

    def noted(client: DuckDbSqlClient, sql: Any, *arguments: Any, **options: Any) -> Any:
        if str(sql).lstrip().startswith(("INSERT", "DELETE")):
            loading.add(threading.get_ident())
        return execute(client, sql, *arguments, **options)

    monkeypatch.setattr(DuckDbSqlClient, "execute_sql", noted)
    pipeline = dlt.pipeline("ecr", str(tmp_path), destination=duckdb_file(database), dataset_name=DATASET)
    pipeline.run(ecr_source(regions=["eu-west-1"], endpoint_url=server.url))
    assert len(loading - {threading.get_ident()}) == 1


@pytest.mark.parametrize(("many", "threads"), [(500_000, 1), (1, 2)])
def test_duckdb_gathers_few_rows_with_one_thread_and_lets_little_wait_in_memory(
    server: EcrServer, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int, threads: int
) -> None:
    """A second thread takes as much memory again, and dlt would let 1 GB of rows wait until they are compressed."""
    server.registry().put("team/api")
    monkeypatch.setattr("ecr_source.destinations.duckdb._ROWS_FOR_TWO_THREADS", many)
    asked: set[Row] = set()
    execute = DuckDbSqlClient.execute_sql

    def noted(client: DuckDbSqlClient, sql: Any, *arguments: Any, **options: Any) -> Any:
        if str(sql).lstrip().startswith("INSERT"):
            sql_of_settings = "SELECT current_setting('threads'), current_setting('checkpoint_threshold')"
            asked.update(map(tuple, execute(client, sql_of_settings) or ()))
        return execute(client, sql, *arguments, **options)

    monkeypatch.setattr(DuckDbSqlClient, "execute_sql", noted)
    pipeline = dlt.pipeline("ecr", str(tmp_path), destination=duckdb_file(database), dataset_name=DATASET)
    load_as_the_command(pipeline, ecr_source(regions=["eu-west-1"], endpoint_url=server.url))
    assert asked == {(threads, "3.8 MiB")}
