"""The three load modes, as tables before and after."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from ecr_source import ecr_source, read_outcome
from ecr_source.errors import ConfigurationError, EcrSourceError
from ecr_source.extract.ledger import Outcome
from tests.conftest import Row, make_pipeline
from tests.server.ecr_server import BROKEN, DENIED, Answer, EcrServer, error
from tests.warehouse import DATASET, POSTGRES_AT_NIGHT, DuckDbFile, Warehouse

pytestmark = POSTGRES_AT_NIGHT

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]

BOTH = ["eu-west-1", "us-east-1"]
UNREADABLE = {
    "denied": DENIED,
    "broken": BROKEN,
    "disabled": error("UnrecognizedClientException"),
    "without the list": Answer(body=b'{"message": "maintenance"}'),
    "malformed": Answer(body=b'{"repositories": [{"repositoryName": {}}]}'),
}

REPOSITORIES = "SELECT region, repository_name, image_tag_mutability FROM repositories ORDER BY 1, 2, 3"
FILTERS = "SELECT repository_name, filter FROM repository_tag_mutability_exclusion_filters ORDER BY 1, 2"
CURRENT = REPOSITORIES.replace("ORDER", "WHERE _dlt_valid_to IS NULL ORDER")


@pytest.fixture
def two_regions(server: EcrServer) -> EcrServer:
    """Three repositories in one region, one of them with filters, and one in another."""
    for number, name in enumerate(("api", "web", "job")):
        server.registry().put(name, 1_700_000_000 + number)
    server.registry().put(
        "job",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[
            {"filterType": "WILDCARD", "filter": "dev*"},
            {"filterType": "WILDCARD", "filter": "a*"},
        ],
    )
    server.registry("us-east-1").put("api", 1_700_000_005)
    return server


# snapshot


def test_a_snapshot_equals_the_registry(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(regions=BOTH)
    assert query(REPOSITORIES) == [
        ("eu-west-1", "api", "MUTABLE"),
        ("eu-west-1", "job", "IMMUTABLE_WITH_EXCLUSION"),
        ("eu-west-1", "web", "MUTABLE"),
        ("us-east-1", "api", "MUTABLE"),
    ]
    assert query(FILTERS) == [("job", "a*"), ("job", "dev*")]


def test_a_snapshot_follows_what_was_created_changed_and_deleted(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(regions=BOTH)
    registry = two_regions.registry()
    del registry.repositories["job"]
    registry.put("api", imageTagMutability="IMMUTABLE")
    registry.put("new")
    load(regions=BOTH)
    assert query(REPOSITORIES) == [
        ("eu-west-1", "api", "IMMUTABLE"),
        ("eu-west-1", "new", "MUTABLE"),
        ("eu-west-1", "web", "MUTABLE"),
        ("us-east-1", "api", "MUTABLE"),
    ]
    assert query(FILTERS) == []


@pytest.mark.parametrize("reason", UNREADABLE)
def test_a_scope_that_cannot_be_read_keeps_its_rows(
    two_regions: EcrServer, load: Load, query: Query, reason: str
) -> None:
    load(regions=BOTH)
    before = query(REPOSITORIES)
    two_regions.registry("us-east-1").put("late")
    del two_regions.registry("eu-west-1").repositories["web"]
    two_regions.fail(UNREADABLE[reason], region="eu-west-1")
    load(regions=BOTH)
    assert query(REPOSITORIES) == [*before, ("us-east-1", "late", "MUTABLE")]
    status = reason if reason in ("denied", "disabled") else "failed"
    assert query("SELECT DISTINCT status, rows FROM extraction_scopes WHERE region = 'eu-west-1' ORDER BY rows") == [
        (status, 0),
        *query("SELECT 'complete', rows FROM extraction_scopes WHERE region = 'eu-west-1' AND rows > 0 ORDER BY rows"),
    ]
    assert query("SELECT region, operation, status FROM extraction_errors") == [
        ("eu-west-1", "ecr:DescribeRepositories", status)
    ]


def test_a_scope_that_breaks_on_its_second_page_keeps_its_rows(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load()
    before = query(REPOSITORIES)
    two_regions.page_size = 1
    two_regions.registry().put("new")
    two_regions.fail(DENIED, after=1)
    load()
    assert query(REPOSITORIES) == before


def test_an_emptied_registry_ends_empty(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(regions=BOTH)
    two_regions.registry().repositories.clear()
    load(regions=BOTH)
    assert query(REPOSITORIES) == [("us-east-1", "api", "MUTABLE")]
    assert query(FILTERS) == []


def test_a_region_that_is_not_asked_for_keeps_its_rows(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(regions=BOTH)
    before = query(REPOSITORIES)
    load(regions=["us-east-1"])
    assert query(REPOSITORIES) == before


def all_but_extracted_at(warehouse: Warehouse) -> list[dict[str, Any]]:
    repositories = warehouse.records("SELECT * FROM repositories ORDER BY repository_arn")
    filters = warehouse.records("SELECT * FROM repository_tag_mutability_exclusion_filters ORDER BY filter")
    return [row | {"extracted_at": None} for row in repositories + filters]


def test_a_second_snapshot_of_an_unchanged_registry_changes_nothing_but_extracted_at(
    two_regions: EcrServer, load: Load, query: Query, warehouse: Warehouse
) -> None:
    load(regions=BOTH)
    before = all_but_extracted_at(warehouse)
    (extracted_before,) = query("SELECT max(extracted_at) FROM repositories")
    two_regions.shuffle = random.Random(7)
    load(regions=BOTH)
    assert all_but_extracted_at(warehouse) == before
    assert query("SELECT min(extracted_at) FROM repositories") > [extracted_before]


@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_small_scopes_are_one_job_of_a_table(
    two_regions: EcrServer, load: Load, query: Query, pipeline: dlt.Pipeline, mode: str
) -> None:
    load(regions=BOTH, mode=mode)
    assert pipeline.last_trace
    assert pipeline.last_trace.last_load_info
    (package,) = pipeline.last_trace.last_load_info.load_packages
    files = [job.job_file_info for job in package.jobs["completed_jobs"]]
    formats = sorted(file.file_format for file in files if file.table_name == "repositories")
    assert formats in (["parquet", "sql"], ["csv", "sql"])
    assert query("SELECT count(DISTINCT region) FROM repositories") == [(2,)]


def test_a_table_that_is_not_selected_costs_no_call(
    two_regions: EcrServer, pipeline: dlt.Pipeline, query: Query
) -> None:
    source = ecr_source(regions=BOTH, endpoint_url=two_regions.url)
    pipeline.run(source.with_resources("extraction_scopes"))
    assert two_regions.calls.total() == 0


def test_with_resources_loads_one_table(
    two_regions: EcrServer, pipeline: dlt.Pipeline, query: Query, warehouse: Warehouse
) -> None:
    source = ecr_source(regions=BOTH, endpoint_url=two_regions.url)
    pipeline.run(source.with_resources("repository_tag_mutability_exclusion_filters"))
    loaded = {name for name in warehouse.tables() if not name.startswith("_")}
    assert loaded == {"repository_tag_mutability_exclusion_filters"}
    assert query(FILTERS) == [("job", "a*"), ("job", "dev*")]
    assert two_regions.calls["DescribeRepositories"] == 2


def test_descriptions_land_as_column_descriptions(two_regions: EcrServer, load: Load, pipeline: dlt.Pipeline) -> None:
    load()
    column = pipeline.default_schema.get_table("repositories")["columns"]["scan_on_push"]
    assert column["description"] == (
        "The setting that determines whether images are scanned after being pushed to a repository."
    )


# history


def test_history_opens_nothing_for_a_run_without_change_whatever_the_order(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="history")
    two_regions.page_size, two_regions.shuffle = 2, random.Random(3)
    load(mode="history")
    assert query("SELECT count(*), count(_dlt_valid_to) FROM repositories") == [(3, 0)]
    assert query("SELECT count(*), count(_dlt_valid_to) FROM repository_tag_mutability_exclusion_filters") == [(2, 0)]


def test_history_closes_one_row_and_opens_one_for_a_changed_setting(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="history")
    two_regions.registry().put("api", imageTagMutability="IMMUTABLE")
    load(mode="history")
    assert query(
        "SELECT image_tag_mutability, _dlt_valid_to IS NULL, _dlt_valid_from = lag(_dlt_valid_to) OVER versions"
        " FROM repositories WHERE repository_name = 'api' WINDOW versions AS (ORDER BY _dlt_valid_from)"
    ) == [("MUTABLE", False, None), ("IMMUTABLE", True, True)]
    assert query("SELECT count(*) FROM repositories") == [(4,)]


def test_history_keeps_a_setting_that_changes_back_as_three_rows(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    for mutability in ("MUTABLE", "IMMUTABLE", "MUTABLE"):
        two_regions.registry().put("api", imageTagMutability=mutability)
        load(mode="history")
    assert query("SELECT count(*), count(_dlt_valid_to) FROM repositories WHERE repository_name = 'api'") == [(3, 2)]


def test_history_opens_one_row_for_a_filter_that_sorts_before_the_others(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="history")
    filters = two_regions.registry().repositories["job"]["imageTagMutabilityExclusionFilters"]
    filters.append({"filterType": "WILDCARD", "filter": "A-first*"})
    load(mode="history")
    assert query("SELECT count(*), count(_dlt_valid_to) FROM repository_tag_mutability_exclusion_filters") == [(3, 0)]


def test_history_retires_a_deleted_repository(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(mode="history")
    del two_regions.registry().repositories["job"]
    load(mode="history")
    assert query(CURRENT) == [("eu-west-1", "api", "MUTABLE"), ("eu-west-1", "web", "MUTABLE")]
    assert query("SELECT repository_name FROM repositories WHERE _dlt_valid_to IS NOT NULL") == [("job",)]
    assert query("SELECT count(*) FROM repository_tag_mutability_exclusion_filters WHERE _dlt_valid_to IS NULL") == [
        (0,)
    ]


def test_history_retires_all_of_an_emptied_registry(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(mode="history", regions=BOTH)
    two_regions.registry().repositories.clear()
    load(mode="history", regions=BOTH)
    assert query(CURRENT) == [("us-east-1", "api", "MUTABLE")]


def test_history_tells_a_repository_from_the_one_of_its_name_before_it(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="history")
    two_regions.registry().put("api", created_at=1_750_000_000)
    load(mode="history")
    assert query(
        "SELECT created_at, _dlt_valid_to IS NULL FROM repositories WHERE repository_name = 'api' ORDER BY 1"
    ) == [
        (datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC), False),
        (datetime(2025, 6, 15, 15, 6, 40, tzinfo=UTC), True),
    ]
    assert query("SELECT count(DISTINCT repository_arn) FROM repositories WHERE repository_name = 'api'") == [(1,)]


@pytest.mark.parametrize("reason", UNREADABLE)
def test_history_retires_nothing_in_a_scope_that_cannot_be_read(
    two_regions: EcrServer, load: Load, query: Query, reason: str
) -> None:
    load(mode="history", regions=BOTH)
    before = query(CURRENT)
    two_regions.registry("us-east-1").put("late")
    two_regions.fail(UNREADABLE[reason], region="eu-west-1")
    load(mode="history", regions=BOTH)
    assert query(CURRENT) == [*before, ("us-east-1", "late", "MUTABLE")]
    assert query("SELECT count(_dlt_valid_to) FROM repositories") == [(0,)]


def test_history_by_name_retires_nothing_else(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(mode="history")
    two_regions.registry().put("api", imageTagMutability="IMMUTABLE")
    load(mode="history", repositories=["api"])
    assert query("SELECT repository_name FROM repositories WHERE _dlt_valid_to IS NOT NULL") == [("api",)]


# incremental


def created(seconds: int) -> str:
    return datetime.fromtimestamp(1_700_000_000 + seconds, UTC).isoformat()


def test_incremental_moves_no_old_row_a_second_time(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(mode="incremental", regions=BOTH)
    before = query("SELECT extracted_at FROM repositories ORDER BY 1")
    load(mode="incremental", regions=BOTH)
    assert query("SELECT extracted_at FROM repositories ORDER BY 1") == before
    assert len(before) == 4


def test_incremental_appends_what_is_newer_with_its_filters(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(mode="incremental")
    two_regions.registry().put(
        "new", 1_700_000_100, imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "x*"}]
    )
    load(mode="incremental")
    assert [name for _, name, _ in query(REPOSITORIES)] == ["api", "job", "new", "web"]
    assert query(FILTERS) == [("job", "a*"), ("job", "dev*"), ("new", "x*")]


def test_incremental_loads_what_was_created_at_the_very_moment_of_the_cursor(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="incremental")
    two_regions.registry().put("twin", 1_700_000_001)
    load(mode="incremental")
    assert [name for _, name, _ in query(REPOSITORIES)] == ["api", "job", "twin", "web"]


def test_incremental_starts_at_the_initial_value(two_regions: EcrServer, load: Load, query: Query) -> None:
    load(mode="incremental", initial_value=created(1))
    assert [name for _, name, _ in query(REPOSITORIES)] == ["web"]


def test_incremental_replaces_a_window_that_is_loaded_again_and_keeps_no_cursor(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="incremental", initial_value=created(0), end_value=created(1))
    load(mode="incremental", initial_value=created(0), end_value=created(1))
    assert [name for _, name, _ in query(REPOSITORIES)] == ["api", "job"]
    load(mode="incremental", initial_value=created(1))
    assert [name for _, name, _ in query(REPOSITORIES)] == ["api", "job", "web"]


def test_incremental_replaces_what_has_no_time_with_each_window_and_appends_it_without_one(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    window = {"initial_value": created(0), "end_value": created(1)}
    counts = "SELECT count(*) FROM repository_scanning_configurations"
    for more, expected in ((window, 4), (window, 4), ({}, 8), ({}, 12)):
        load(mode="incremental", tables=["repositories"], regions=["eu-west-1", "us-east-1"], **more)
        assert query(counts) == [(expected,)]


def test_incremental_keeps_what_a_repository_was_before_it_was_created_again_after_the_window(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="incremental", initial_value=created(0), end_value=created(1))
    two_regions.registry().put("api", 1_700_000_100)
    load(mode="incremental", initial_value=created(100), end_value=created(101))
    assert [name for _, name, _ in query(REPOSITORIES)] == ["api", "api", "job"]


def test_incremental_takes_the_interval_of_an_external_scheduler_and_replaces_it(
    two_regions: EcrServer, load: Load, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_INTERVAL_START", created(1))
    monkeypatch.setenv("DLT_INTERVAL_END", created(2))
    for _ in range(2):
        load(mode="incremental")
        assert [name for _, name, _ in query(REPOSITORIES)] == ["web"]


def test_a_scope_that_failed_does_not_move_its_cursor(two_regions: EcrServer, load: Load, query: Query) -> None:
    two_regions.fail(BROKEN, region="eu-west-1")
    load(mode="incremental", regions=BOTH)
    assert [region for region, _, _ in query(REPOSITORIES)] == ["us-east-1"]
    two_regions.recover()
    load(mode="incremental", regions=BOTH)
    assert [region for region, _, _ in query(REPOSITORIES)] == ["eu-west-1"] * 3 + ["us-east-1"]


def test_a_failed_run_does_not_move_the_cursor(
    two_regions: EcrServer, load: Load, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(mode="incremental")
    two_regions.registry().put("new", 1_700_000_100)
    with monkeypatch.context() as broken:
        broken.setattr("ecr_source.loading.source.scope_rows", _fail)
        with pytest.raises(PipelineStepFailed):
            load(mode="incremental")
    load(mode="incremental")
    assert [name for _, name, _ in query(REPOSITORIES)] == ["api", "job", "new", "web"]


def _fail(*arguments: object) -> None:
    raise RuntimeError("the run fails after the tables were read")


def test_incremental_loads_a_repository_without_a_creation_date(server: EcrServer, load: Load, query: Query) -> None:
    server.registry().put("undated", createdAt=None)
    load(mode="incremental")
    assert query("SELECT repository_name, created_at FROM repositories") == [("undated", None)]


def test_an_outcome_that_is_not_known_is_no_success(pipeline: dlt.Pipeline) -> None:
    with pytest.raises(EcrSourceError, match="look into the table extraction_scopes"):
        read_outcome(pipeline)


# the mode of a dataset


@pytest.mark.parametrize(
    ("first", "second"),
    [("history", "snapshot"), ("history", "incremental"), ("snapshot", "incremental"), ("incremental", "history")],
)
def test_changing_the_mode_of_a_dataset_is_refused_and_nothing_is_lost(
    two_regions: EcrServer, load: Load, query: Query, first: str, second: str
) -> None:
    load(mode=first)
    before = query("SELECT * FROM repositories ORDER BY repository_arn")
    with pytest.raises(PipelineStepFailed) as refused:
        load(mode=second)
    assert f"go on with {first} mode" in str(refused.value)
    assert query("SELECT * FROM repositories ORDER BY repository_arn") == before
    load(mode=first)


def test_the_mode_is_known_to_a_machine_that_never_ran_before(
    two_regions: EcrServer, load: Load, tmp_path: Path, warehouse: Warehouse
) -> None:
    load(mode="history")
    elsewhere = make_pipeline(tmp_path / "another machine", warehouse)
    with pytest.raises(PipelineStepFailed, match="go on with history mode"):
        elsewhere.run(ecr_source(regions=["eu-west-1"], endpoint_url=two_regions.url, mode="snapshot"))


@pytest.mark.parametrize("name", ["ecr", "another"])
def test_where_no_mode_is_given_a_dataset_in_history_keeps_its_versions(
    two_regions: EcrServer, load: Load, tmp_path: Path, warehouse: Warehouse, query: Query, name: str
) -> None:
    load(mode="history")
    load()
    two_regions.registry().put("api", imageTagMutability="IMMUTABLE")
    elsewhere = make_pipeline(tmp_path / "another machine", warehouse, name)
    elsewhere.run(ecr_source(regions=["eu-west-1"], endpoint_url=two_regions.url, tables=["repositories"]))
    assert query(
        "SELECT image_tag_mutability, _dlt_valid_to IS NULL FROM repositories WHERE repository_name = 'api'"
    ) == [
        ("MUTABLE", False),
        ("IMMUTABLE", True),
    ]
    assert query("SELECT DISTINCT mode FROM extraction_scopes") == [("history",)]


def test_where_no_mode_is_given_an_incremental_dataset_goes_on_from_its_cursor(
    two_regions: EcrServer, load: Load, query: Query
) -> None:
    load(mode="incremental")
    del two_regions.registry().repositories["web"]
    two_regions.registry().put("new", 1_700_000_009)
    load()
    names = query("SELECT repository_name FROM repositories ORDER BY 1")
    assert names == [("api",), ("job",), ("new",), ("web",)]
    with pytest.raises(PipelineStepFailed, match="would pass over the others"):
        load(repositories=["api"])
    with pytest.raises(PipelineStepFailed, match="needs an initial value"):
        load(end_value="2023-11-15")


def test_pipelines_of_one_name_in_two_folders_have_each_the_mode_of_its_own_database(
    two_regions: EcrServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, mode in (("one", "history"), ("other", None), ("one", None)):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        destination = dlt.destinations.duckdb(str(folder / "ecr.duckdb"))
        pipeline = dlt.pipeline("ecr", destination=destination, dataset_name=DATASET)
        pipeline.run(
            ecr_source(regions=["eu-west-1"], endpoint_url=two_regions.url, tables=["repositories"], mode=mode)
        )
    runs = "SELECT mode, count(DISTINCT run_id) FROM extraction_scopes GROUP BY mode"
    assert DuckDbFile(tmp_path / "one/ecr.duckdb").query(runs) == [("history", 2)]
    assert DuckDbFile(tmp_path / "other/ecr.duckdb").query(runs) == [("snapshot", 1)]


def test_another_database_is_not_taken_for_one_of_the_mode_that_the_pipeline_loaded_before(
    two_regions: EcrServer, tmp_path: Path
) -> None:
    for number, mode in enumerate(("history", "snapshot", "incremental")):
        pipeline = make_pipeline(tmp_path / "pipelines", tmp_path / f"{number}.duckdb")
        pipeline.run(
            ecr_source(regions=["eu-west-1"], endpoint_url=two_regions.url, tables=["repositories"], mode=mode)
        )
        assert DuckDbFile(tmp_path / f"{number}.duckdb").query("SELECT count(*) > 0 FROM repositories") == [(True,)]


def test_the_mode_is_known_to_a_pipeline_of_another_name(
    two_regions: EcrServer, load: Load, tmp_path: Path, warehouse: Warehouse
) -> None:
    load(mode="history")
    another = make_pipeline(tmp_path / "another", warehouse, "another")
    with pytest.raises(PipelineStepFailed, match="go on with history mode"):
        another.run(ecr_source(regions=["eu-west-1"], endpoint_url=two_regions.url, mode="snapshot"))


def test_incremental_goes_on_where_another_machine_stopped(
    two_regions: EcrServer, load: Load, tmp_path: Path, warehouse: Warehouse, query: Query
) -> None:
    load(mode="incremental")
    elsewhere = make_pipeline(tmp_path / "another machine", warehouse)
    elsewhere.run(ecr_source(regions=["eu-west-1"], endpoint_url=two_regions.url, mode="incremental"))
    assert len(query(REPOSITORIES)) == 3
    assert not read_outcome(elsewhere).incomplete


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mode": "mirror"}, 'unknown mode "mirror": it is one of snapshot, incremental, history'),
        ({"mode": "history", "initial_value": "2026-01-01"}, "belongs to incremental mode"),
        ({"mode": "incremental", "initial_value": "yesterday"}, "not a timestamp in ISO 8601"),
        ({"mode": "incremental", "end_value": "2026-01-01"}, "needs an initial value"),
        ({"mode": "incremental", "initial_value": "2026-01-02", "end_value": "2026-01-01"}, "is not after"),
        ({"mode": "incremental", "repositories": ["api"]}, "would pass over the others"),
    ],
)
def test_arguments_that_do_not_fit_the_mode_are_refused(arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        ecr_source(regions=["eu-west-1"], **arguments)
