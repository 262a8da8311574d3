"""What the README promises, for every table of the catalog, in every load mode, on each destination.

A story is one database that is loaded phase after phase while the registries change, deny and break. What a load into
a new database would give is told by a walk, which knows nothing of earlier loads, before the faults of the phase.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import dlt
import pyarrow as pa
import pytest
from botocore.config import Config

from ecr_source import catalog, ecr_source
from ecr_source.aws import sessions
from ecr_source.aws.access import Access
from ecr_source.aws.scopes import discover_scopes
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Operation, Table
from ecr_source.catalog.tables.image import IMAGES
from ecr_source.catalog.tables.public import PUBLIC_REPOSITORIES
from ecr_source.catalog.tables.repository import DESCRIBE_REPOSITORIES, LIST_TAGS_FOR_RESOURCE, REPOSITORIES
from ecr_source.catalog.tables.usage import IMAGE_USAGE
from ecr_source.extract.walk import Walk
from tests.conftest import Row, isolate, make_pipeline, new_warehouse
from tests.nightly import at_night
from tests.server.ecr_server import BROKEN, DENIED, EcrServer, error, serving
from tests.warehouse import ON_EACH, POSTGRES_AT_NIGHT, DuckDbFile, Warehouse
from tests.whole.registry_changes import (
    LOCKED,
    LOCKED_IMAGES,
    OTHER_REGION,
    REGION,
    change_again,
    change_everything,
    fill,
    furnish,
    image_of,
    push,
    rescan,
)

Rows: TypeAlias = list[dict[str, Any]]
Contents: TypeAlias = dict[str, Rows]
Query: TypeAlias = Callable[[str], list[Row]]

PUBLIC = "ecr-public"
NOT_CALLED = catalog.FINDINGS_FROM["ecr"]
OPERATIONS = catalog.operations_of(catalog.TABLES, NOT_CALLED)
"""What a load of everything may call, findings being asked of ECR."""

LISTED_BELOW = (REPOSITORIES, IMAGES, IMAGE_USAGE)
"""The tables whose rows others hang on."""

ASKED_OF_IMAGES = [operation for operation in OPERATIONS if operation.again]

EVERYTHING = ["all", "manifests"]
PHASES = ("first load", "changed", "refused", "recovered")
LOADED = {
    "snapshot": PHASES,
    "history": PHASES,
    "incremental": ("first load", "refused", "recovered"),
}
"""The phases in which a mode loads; what changed in those between, it finds in the next."""

each_table = pytest.mark.parametrize("table", catalog.TABLES, ids=lambda table: table.name)
each_phase = pytest.mark.parametrize("phase", PHASES)


# --- loading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Phase:
    """What a load left: what the tables hold, what the ledger tells of it, and what was called."""

    loaded: Contents
    errors: Rows
    scopes: Rows
    calls: Counter[str]


@dataclass(frozen=True)
class Story:
    """The phases that one database went through, and its tables at the end, closed versions included.

    `broken` says why it went no further; the phases before have been.
    """

    _phases: dict[str, Phase]
    _versions: Contents
    broken: str = ""

    def phase(self, name: str) -> Phase:
        if name not in self._phases:
            pytest.fail(f"there is no load of the phase {name!r}: {self.broken}", pytrace=False)
        return self._phases[name]

    @property
    def versions(self) -> Contents:
        if self.broken:
            pytest.fail(f"not all phases were loaded: {self.broken}", pytrace=False)
        return self._versions


@dataclass(frozen=True)
class Database:
    """One database, and how it is loaded."""

    server: EcrServer
    warehouse: Warehouse
    pipeline: dlt.Pipeline
    arguments: dict[str, Any]

    @property
    def is_history(self) -> bool:
        return bool(self.arguments["mode"] == "history")

    def load(self, **arguments: Any) -> None:
        with self.warehouse.loading():
            self.pipeline.run(ecr_source(**(self.arguments | arguments)))

    def rows(self, columns: dict[str, list[str]], condition: str = "true") -> Contents:
        """Rows of tables, sorted, with these columns; none of a table that never had any."""
        found: Contents = {}
        with self.warehouse.reading():
            there = self.warehouse.tables()
            for table, names in columns.items():
                sql = f"SELECT {', '.join(map(quoted, names))} FROM {table} WHERE {condition}"
                found[table] = in_order(self.warehouse.records(sql)) if table in there else []
        return found

    def contents(self) -> Contents:
        """What all tables say now."""
        condition = "_dlt_valid_to IS NULL" if self.is_history else "true"
        return self.rows({table.name: columns_of(table) for table in catalog.TABLES}, condition)

    def ledger(self, name: str) -> Rows:
        """The rows of a run table that the last load wrote."""
        columns = list(next(table for table in catalog.RUN_TABLES if table.name == name).columns)
        return self.rows({name: columns}, "run_id = (SELECT max(run_id) FROM extraction_scopes)")[name]


def quoted(name: str) -> str:
    return f'"{name}"'


def columns_of(table: Table) -> list[str]:
    """All columns but `extracted_at`, which differs from load to load."""
    return [name for name in arrow_schema(table).names if name != "extracted_at"]


def in_order(rows: Rows) -> Rows:
    return sorted(rows, key=repr)


@contextmanager
def opened(server: EcrServer, folder: Path, warehouse: Warehouse | None = None, **arguments: Any) -> Iterator[Database]:
    """A database to load `server` into, in an environment of its own: for fixtures of the module.

    Without `warehouse` it is a DuckDB file.
    """
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        # What is broken stays so: trying again only takes time.
        once = Config(retries={"mode": "standard", "total_max_attempts": 1})
        patch.setattr(sessions, "CLIENT_CONFIG", sessions.CLIENT_CONFIG.merge(once))
        into = warehouse or DuckDbFile(folder / "ecr.duckdb")
        defaults = {
            "regions": [REGION, OTHER_REGION],
            "endpoint_url": server.url,
            "tables": EVERYTHING,
            "mode": "snapshot",
            "findings_max_age": 0,
            "moves_last_recorded_pull_time": True,
        }
        yield Database(server, into, make_pipeline(folder / "pipelines", into), defaults | arguments)


def registry_contents(server: EcrServer, folder: Path) -> Contents:
    """What the registries hold, as tables: what a load into a new database would give."""
    services = {operation.service for operation in OPERATIONS}
    access = Access((REGION, OTHER_REGION), endpoint_url=server.url)
    found: Contents = {table.name: [] for table in catalog.TABLES}
    for read in Walk(catalog.TABLES, folder, without=NOT_CALLED).read(discover_scopes(access, services)):
        for table_read in read.tables:
            name, columns = table_read.table.name, columns_of(table_read.table)
            for file in table_read.files:
                found[name] += (
                    pa.Table.from_batches(file.batches(), arrow_schema(file.table)).select(columns).to_pylist()
                )
    return {name: in_order(rows) for name, rows in found.items()}


def refuse(server: EcrServer) -> None:
    """Denies a repository all but its listing, another one what is asked for each image; breaks a region's listing.

    Tagging is denied in the same region, so that each repository is asked for its tags.
    """
    for operation in OPERATIONS:
        if operation.parent in (REPOSITORIES, IMAGES):
            server.fail(DENIED, operation=operation.name, repository=LOCKED, region=REGION)
        if operation.parent in (IMAGES, IMAGE_USAGE):
            server.fail(DENIED, operation=operation.name, repository=LOCKED_IMAGES, region=REGION)
    server.fail(DENIED, operation="GetResources", region=REGION)
    server.fail(BROKEN, operation="DescribeRepositories", region=OTHER_REGION)
    for operation in OPERATIONS:
        if operation.parent is PUBLIC_REPOSITORIES:
            server.fail(DENIED, operation=f"{PUBLIC}:{operation.name}", repository=LOCKED)


ACTS: dict[str, tuple[Callable[[EcrServer], None], Callable[[EcrServer], None]]] = {
    "first load": (fill, EcrServer.recover),
    "changed": (change_everything, EcrServer.recover),
    "refused": (lambda server: change_again(server, 3), refuse),
    "recovered": (lambda server: change_again(server, 5), EcrServer.recover),
}
"""What happens to the registries before the load of each phase, and what goes wrong in it."""


def load_phase(database: Database, go_wrong: Callable[[EcrServer], None]) -> Phase:
    go_wrong(database.server)
    before = database.server.calls.copy()
    database.load()
    return Phase(
        database.contents(),
        database.ledger("extraction_errors"),
        database.ledger("extraction_scopes"),
        database.server.calls - before,
    )


def play(folder: Path, warehouse: Warehouse, mode: str, loaded: Sequence[str]) -> Story:
    """Plays all phases and loads in those that are named."""
    with serving() as server, opened(server, folder, warehouse, mode=mode) as database:
        phases: dict[str, Phase] = {}
        for name, (change, go_wrong) in ACTS.items():
            server.recover()
            change(server)
            if name not in loaded:
                continue
            try:
                phases[name] = load_phase(database, go_wrong)
            except Exception as failure:  # told by each test that needs the phase, and not by those that do not
                return Story(phases, {}, f"the load of the phase {name!r} failed: {failure}"[:2_000])
        bounds = ["_dlt_valid_from", "_dlt_valid_to"] if database.is_history else []
        return Story(phases, database.rows({table.name: columns_of(table) + bounds for table in catalog.TABLES}))


Stories: TypeAlias = dict[str, Future[Story]]
"""The story of each mode."""


@pytest.fixture(scope="module", params=["duckdb", at_night("postgres")])
def destination(request: pytest.FixtureRequest) -> str:
    """What the tests that load, or use what was loaded, are about."""
    return str(request.param)


@pytest.fixture(scope="module")
def stories(
    request: pytest.FixtureRequest, destination: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stories]:
    """The stories, played in processes of their own, two at a time: a load keeps a processor busy."""
    told: Stories = {}
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for mode, phases in LOADED.items():
            folder = tmp_path_factory.mktemp(f"{destination}-{mode}")
            warehouse = new_warehouse(request, destination, folder / "ecr.duckdb")
            told[mode] = pool.submit(play, folder, warehouse, mode, phases)
        yield told
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def registry(stories: Stories, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Contents]:
    """What the registries hold in each phase: the same for all stories."""
    held = {}
    folder = tmp_path_factory.mktemp("registry")
    with serving() as server, opened(server, folder):
        for name, (change, _) in ACTS.items():
            change(server)
            held[name] = registry_contents(server, folder / "walk")
    return held


@pytest.fixture(scope="module")
def snapshot(stories: Stories) -> Story:
    return stories["snapshot"].result()


@pytest.fixture(scope="module")
def history(stories: Stories) -> Story:
    return stories["history"].result()


@pytest.fixture(scope="module")
def incremental(stories: Stories) -> Story:
    return stories["incremental"].result()


# --- what each phase should leave ----------------------------------------------------------------------------------


def parent_of(table: Table, row: dict[str, Any], phase: str) -> Table | None:
    """The table whose rows the operation that gave `row` is called for."""
    if row.get("owner_type", "repository") != "repository":
        return None
    if table.name == "repository_tags" and phase == "refused" and row["region"] == REGION:
        return LIST_TAGS_FOR_RESOURCE.parent
    return table.operation.parent


def is_record(table: Table) -> bool:
    """Whether the table tells, for each image, what came of asking."""
    return "fetch_outcome" in table.columns


def could_not_be_read(table: Table, row: dict[str, Any], phase: str) -> bool:
    """Whether `row` is of what is denied or broken in the phase, so that what was loaded before is kept."""
    name, parent = row.get("repository_name", row.get("owner_name")), parent_of(table, row, phase)
    if phase != "refused":
        return False
    if table.operation.service == PUBLIC:
        return parent is PUBLIC_REPOSITORIES and name == LOCKED
    if row["region"] == OTHER_REGION:
        return parent in LISTED_BELOW or table.operation is DESCRIBE_REPOSITORIES
    denied = {LOCKED} if parent in LISTED_BELOW else set()
    return name in denied | ({LOCKED_IMAGES} if table.operation in ASKED_OF_IMAGES else set())


def could_be_read(table: Table, rows: Rows, phase: str) -> Rows:
    return [row for row in rows if not could_not_be_read(table, row, phase)]


def kept_rows(table: Table, rows: Rows, phase: str) -> Rows:
    """The rows that stay; where a table tells what came of asking, it tells of the denial instead."""
    kept = [row for row in rows if could_not_be_read(table, row, phase)]
    return [row for row in kept if not (is_record(table) and row["repository_name"] == LOCKED_IMAGES)]


def without_denials(table: Table, rows: Rows) -> Rows:
    return [row for row in rows if not (is_record(table) and row["fetch_outcome"] == "denied")]


def should_hold(table: Table, registry: dict[str, Contents], story: Story, phase: str) -> Rows:
    """What a table should hold after `phase`: the registry, but for what could not be read, which is as it was."""
    number = PHASES.index(phase)
    before = story.phase(PHASES[number - 1]).loaded[table.name] if number else []
    read = could_be_read(table, registry[phase][table.name], phase)
    return in_order(read + without_denials(table, kept_rows(table, before, phase)))


def key_of(table: Table, row: dict[str, Any]) -> Row:
    return tuple(row[name] for name in table.key)


def by_key(table: Table, rows: Rows) -> dict[Row, dict[str, Any]]:
    return {key_of(table, row): row for row in rows}


def stable(table: Table, rows: Rows) -> Rows:
    """The rows without the columns that make no new version in history mode."""
    return in_order([{name: row[name] for name in row if name not in table.volatile} for row in rows])


# --- the columns, and the order in which answers come --------------------------------------------------------------


@each_table
def test_every_column_is_filled_at_least_once(snapshot: Story, table: Table) -> None:
    rows = snapshot.phase("first load").loaded[table.name]
    assert [name for name in table.columns if all(row[name] is None for row in rows)] == []


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """A first load from a server that answers in small pages, all lists in another order each time."""
    with serving() as server, opened(server, tmp_path_factory.mktemp("shuffled")) as database:
        fill(server)
        server.shuffle, server.page_size = random.Random(7), 1
        database.load()
        return database.contents()


@each_table
def test_shuffled_pages_and_lists_give_the_same_tables(snapshot: Story, shuffled: Contents, table: Table) -> None:
    assert shuffled[table.name] == snapshot.phase("first load").loaded[table.name]


# --- snapshot ------------------------------------------------------------------------------------------------------

ONE_ROW = {
    "registry_replications",
    "registry_scanning_configurations",
    "public_registries",
    "public_registry_catalog_data",
}
"""Tables with one row per scope, which is neither created nor deleted."""

NEVER_CHANGED = {
    "policy_statement_principals": "the account follows from the principal",
    "image_cluster_workloads": "the ARN of the image follows from its digest",
    "image_manifests": "a digest stands for one content",
    "image_layers": "a digest stands for one content",
    "image_manifest_children": "a digest stands for one content",
    "image_manifest_annotations": "a digest stands for one content",
    "image_referrer_listings": "tells only whether the answer came",
}
"""Tables whose rows, with the key given, cannot become others."""


@each_table
def test_the_phases_create_change_and_delete_rows_of_every_table(registry: dict[str, Contents], table: Table) -> None:
    steps = [by_key(table, registry[phase][table.name]) for phase in PHASES]
    pairs = list(pairwise(steps))
    created = any(after.keys() - before.keys() for before, after in pairs)
    deleted = any(before.keys() - after.keys() for before, after in pairs)
    changed = any(before[key] != after[key] for before, after in pairs for key in before.keys() & after.keys())
    has_values = set(table.columns) - set(table.key) and table.name not in NEVER_CHANGED
    assert (created, deleted) == (table.name not in ONE_ROW, table.name not in ONE_ROW)
    assert changed or not has_values


@each_phase
@each_table
def test_a_snapshot_equals_a_fresh_load_but_for_what_could_not_be_read(
    registry: dict[str, Contents], snapshot: Story, table: Table, phase: str
) -> None:
    loaded = without_denials(table, snapshot.phase(phase).loaded[table.name])
    assert loaded == should_hold(table, registry, snapshot, phase)


BY_NAME = ["repositories", "images", "policies", "previews", "image_status", "usage"]
"""Groups that are read of a single repository."""


@pytest.fixture(scope="module")
def by_name(
    request: pytest.FixtureRequest, destination: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Contents, Contents, Contents]]:
    """What was loaded, what the registry held then, and what a load of one repository left."""
    with serving() as server:
        server.registry(REGION).scanning_configuration["scanType"] = "ENHANCED"
        for name in ("api", "web"):
            furnish(server.registry(REGION), name, 0)
        folder = tmp_path_factory.mktemp("by name")
        warehouse = new_warehouse(request, destination, folder / "ecr.duckdb")
        with opened(server, folder, warehouse, tables=BY_NAME, regions=[REGION]) as database:
            database.load()
            before = database.contents()
            for name in ("api", "web"):
                furnish(server.registry(REGION), name, 1)
            held = registry_contents(server, folder / "walk")
            database.load(repositories=["api"])
            yield before, held, database.contents()


@pytest.mark.parametrize("table", [t for group in BY_NAME for t in catalog.GROUPS[group]], ids=lambda table: table.name)
def test_a_load_of_one_repository_leaves_the_others_as_they_are(
    by_name: tuple[Contents, Contents, Contents], table: Table
) -> None:
    before, held, after = (contents[table.name] for contents in by_name)
    assert owned_by(after, "api") == owned_by(held, "api")
    assert owned_by(after, "web") == owned_by(before, "web")
    assert len(after) == len(owned_by(after, "api")) + len(owned_by(after, "web"))


def operations_below(*parents: Table) -> list[Operation]:
    return [operation for operation in OPERATIONS if operation.parent in parents]


def tables_below(*parents: Table) -> list[Table]:
    return [table for table in catalog.TABLES if table.operation.parent in parents]


@pytest.mark.parametrize("table", tables_below(*LISTED_BELOW), ids=lambda table: table.name)
def test_a_denied_repository_has_earlier_rows_that_differ_from_the_registry(
    registry: dict[str, Contents], table: Table
) -> None:
    """So that the tests above show that they are kept, and nothing else."""
    kept, there = (owned_by(registry[phase][table.name], LOCKED) for phase in ("changed", "refused"))
    assert kept
    assert kept != there or table.name in NEVER_CHANGED


@pytest.mark.parametrize("table", [t for t in catalog.TABLES if is_record(t)], ids=lambda table: table.name)
def test_a_table_of_outcomes_tells_which_images_were_denied(snapshot: Story, table: Table) -> None:
    denied = [row for row in snapshot.phase("refused").loaded[table.name] if row["fetch_outcome"] == "denied"]
    listed = [r for r in snapshot.phase("refused").loaded["images"] if r["repository_name"] == LOCKED_IMAGES]
    assert {key_of(table, row) for row in denied} == {key_of(IMAGES, row) for row in listed}


def errors_in(story: Story, phase: str, region: str) -> set[Row]:
    errors = story.phase(phase).errors
    return {
        (row["operation"], row["resource"].partition("@")[0], row["status"])
        for row in errors
        if row["region"] == region
    }


def test_the_errors_name_the_operation_and_the_repository(snapshot: Story) -> None:
    asked = {str(operation) for operation in operations_below(REPOSITORIES)}
    asked_of_images = {str(operation) for operation in ASKED_OF_IMAGES} - {"ecr:BatchGetImage"}
    assert errors_in(snapshot, "refused", REGION) == {
        *((operation, LOCKED, "denied") for operation in asked),
        # The manifests of these images were read before, and do not change.
        *((operation, LOCKED_IMAGES, "denied") for operation in asked_of_images),
    }
    assert errors_in(snapshot, "refused", OTHER_REGION) == {
        ("ecr:DescribeRepositories", "", "failed"),
        *((str(operation), LOCKED, "denied") for operation in operations_below(PUBLIC_REPOSITORIES)),
    }


@each_table
def test_the_ledger_tells_what_could_not_be_read(snapshot: Story, table: Table) -> None:
    is_public, parent = table.operation.service == PUBLIC, table.operation.parent
    listed_there = table.operation is DESCRIBE_REPOSITORIES or parent in LISTED_BELOW
    if is_public:
        expected = {OTHER_REGION: "partial" if parent is PUBLIC_REPOSITORIES else "complete"}
    else:
        denied = parent in LISTED_BELOW or table.name == "repository_tags"
        expected = {
            REGION: "partial" if denied else "complete",
            OTHER_REGION: "failed" if listed_there else "complete",
        }
    refused = snapshot.phase("refused").scopes
    found = {row["region"]: row["status"] for row in refused if row["table_name"] == table.name}
    assert found == expected


# --- history -------------------------------------------------------------------------------------------------------


@each_phase
@each_table
def test_the_current_rows_of_history_equal_the_snapshot(
    snapshot: Story, history: Story, table: Table, phase: str
) -> None:
    current, equal = (story.phase(phase).loaded[table.name] for story in (history, snapshot))
    assert stable(table, current) == stable(table, equal)


@each_table
def test_history_has_one_version_for_each_change_and_no_other(snapshot: Story, history: Story, table: Table) -> None:
    steps = [by_key(table, stable(table, snapshot.phase(phase).loaded[table.name])) for phase in PHASES]
    expected: Counter[Row] = Counter()
    for key in {key for step in steps for key in step}:
        states = [state for state, _ in groupby(step.get(key) for step in steps)]
        expected[key] = sum(state is not None for state in states)
    assert Counter(key_of(table, row) for row in history.versions[table.name]) == expected


# --- incremental ---------------------------------------------------------------------------------------------------


def delivered(table: Table, registry: dict[str, Contents], phase: str) -> Rows:
    """What a load of the phase reads of a table."""
    return could_be_read(table, registry[phase][table.name], phase)


@pytest.mark.parametrize("table", [t for t in catalog.TABLES if t.cursor], ids=lambda table: table.name)
def test_incremental_gives_each_row_of_a_table_with_a_cursor_once(
    registry: dict[str, Contents], incremental: Story, table: Table
) -> None:
    assert table.cursor is not None
    identity = (*table.key, table.cursor)
    read = {
        tuple(row[name] for name in identity)
        for phase in LOADED["incremental"]
        for row in delivered(table, registry, phase)
        if row[table.cursor] is not None
    }
    found = Counter(
        tuple(row[name] for name in identity)
        for row in incremental.versions[table.name]
        if row[table.cursor] is not None
    )
    assert found == Counter(dict.fromkeys(read, 1))


@pytest.mark.parametrize("table", [t for t in catalog.TABLES if not t.cursor], ids=lambda table: table.name)
def test_incremental_appends_what_was_read_of_a_table_without_a_cursor(
    registry: dict[str, Contents], incremental: Story, table: Table
) -> None:
    expected: Rows = []
    asked: set[Row] = set()
    again = table.operation.again
    for phase in LOADED["incremental"]:
        rows = delivered(table, registry, phase)
        # The manifest of an image does not change, and is asked for once.
        expected += [row for row in rows if again is None or again.expires or key_of(table, row) not in asked]
        asked |= {key_of(table, row) for row in rows}
    assert without_denials(table, incremental.versions[table.name]) == in_order(expected)


# --- images are not asked again ------------------------------------------------------------------------------------

PER_IMAGE = tables_below(IMAGES)


@POSTGRES_AT_NIGHT
@pytest.mark.parametrize("mode", ["snapshot", "history", "incremental"])
def test_images_whose_listing_did_not_change_are_not_asked_again(
    server: EcrServer, tmp_path: Path, warehouse: Warehouse, mode: str
) -> None:
    registry = server.registry(REGION)
    furnish(registry, "team/api", 0)
    for statuses in registry.replication_statuses.values():
        statuses[0]["status"] = "COMPLETE"
    groups = ["findings", "image_status"]
    tables = [table for group in groups for table in catalog.GROUPS[group]]
    operations = {operation.name for operation in OPERATIONS for table in tables if operation is table.operation}
    arguments: dict[str, Any] = {"tables": groups, "mode": mode, "regions": [REGION], "findings_max_age": 7}

    def calls_of_a_load() -> dict[str, int]:
        before = server.calls.copy()
        database.load()
        return {name: count for name, count in (server.calls - before).items() if name in operations}

    with opened(server, tmp_path, warehouse, **arguments) as database:
        assert calls_of_a_load().keys() == operations
        before = database.contents()
        assert calls_of_a_load() == {}
        assert database.contents() == before
        if mode != "snapshot":
            return
        rescan(registry, "team/api", "app", 1_800_000_000.0)
        push(registry, "team/api", 1)
        assert calls_of_a_load() == {name: 2 if name == "DescribeImageScanFindings" else 1 for name in operations}
        held = registry_contents(server, tmp_path / "walk")
        after = database.contents()
        assert {table.name: after[table.name] for table in tables} == {table.name: held[table.name] for table in tables}


# --- what is called ------------------------------------------------------------------------------------------------

CHANGING = (
    "Put",
    "Create",
    "Delete",
    "Update",
    "Start",
    "Stop",
    "Set",
    "Tag",
    "Untag",
    "Upload",
    "Initiate",
    "Complete",
    "Register",
    "Deregister",
    "BatchDelete",
)


def called_name(operation: Operation) -> str:
    """The name by which the server counts the calls of `operation`."""
    return f"{PUBLIC}:{operation.name}" if operation.service == PUBLIC else operation.name


@each_phase
def test_nothing_undeclared_is_called_and_nothing_writes(snapshot: Story, phase: str) -> None:
    called = set(snapshot.phase(phase).calls)
    assert called <= {called_name(operation) for operation in [*OPERATIONS, catalog.GET_CALLER_IDENTITY]}
    assert [name for name in called if name.rpartition(":")[2].startswith(CHANGING)] == []


def test_a_load_of_everything_calls_all_that_is_declared_but_what_stands_in_for_another(snapshot: Story) -> None:
    preferred = set(OPERATIONS) - {operation.instead for operation in OPERATIONS}
    expected = {called_name(operation) for operation in (*preferred, catalog.GET_CALLER_IDENTITY)}
    assert set(snapshot.phase("first load").calls) == expected


def test_each_repository_is_asked_for_its_tags_only_where_tagging_is_denied(server: EcrServer, tmp_path: Path) -> None:
    server.registry(REGION).maximal()
    columns = {"repository_tags": ["registry_id", "region", "repository_name", "tag_key", "tag_value", "unmodelled"]}
    with opened(server, tmp_path, tables=["repository_tags"], regions=[REGION]) as database:
        database.load()
        before = database.rows(columns)
        assert server.calls["ListTagsForResource"] == 0
        assert [row["note"] for row in database.ledger("extraction_scopes")] == [None]
        server.fail(DENIED, operation="GetResources")
        database.load()
        assert server.calls["ListTagsForResource"] == len(server.registry(REGION).repositories)
        assert database.rows(columns) == before
        assert before["repository_tags"]
        (scope,) = database.ledger("extraction_scopes")
        assert scope["status"] == "complete"
        assert "ecr:ListTagsForResource was read instead" in scope["note"]
        assert database.ledger("extraction_errors") == []


# --- facts told apart ----------------------------------------------------------------------------------------------

FACTS = ("absent", "gone", "denied", "failed", "disabled")
PER_REPOSITORY = ("policies", "lifecycle_policies", "images", "image_tags", "lifecycle_policy_previews")


@dataclass(frozen=True)
class Facts:
    """Two loads of repositories that are named by what is done to them before the second."""

    before: Contents
    after: Contents
    errors: Rows
    scopes: Rows


@pytest.fixture(scope="module")
def facts(request: pytest.FixtureRequest, destination: str, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    with serving() as server:
        registry = server.registry(REGION)
        for name in ("absent", "gone", "denied", "failed", "plain"):
            furnish(registry, name, 0)
        furnish(server.registry(OTHER_REGION), "disabled", 0)
        groups = ["repositories", "images", "policies", "previews"]
        folder = tmp_path_factory.mktemp("facts")
        warehouse = new_warehouse(request, destination, folder / "ecr.duckdb")
        with opened(server, folder, warehouse, tables=groups) as database:
            database.load()
            before = database.contents()
            for name in registry.repositories:
                furnish(registry, name, 1)
            for children in (registry.policies, registry.lifecycle_policies, registry.lifecycle_previews):
                del children["absent"]
            registry.images["absent"].clear()
            for operation in operations_below(REPOSITORIES):
                if operation.name == "BatchGetRepositoryScanningConfiguration":
                    continue  # asks for several at once
                server.fail(DENIED, operation=operation.name, repository="denied")
                server.fail(BROKEN, operation=operation.name, repository="failed")
            server.disabled_regions.add(OTHER_REGION)
            # Listed, and deleted before anything else is asked.
            listed: list[str] = []

            def delete_after_listing(operation: str, call: int) -> None:
                if operation == "DescribeRepositories":
                    listed.append(operation)
                elif listed and "gone" in registry.repositories and operation != "GetResources":
                    del registry.repositories["gone"]

            server.before_answer = delete_after_listing
            database.load()
            assert "gone" not in registry.repositories
            return Facts(
                before, database.contents(), database.ledger("extraction_errors"), database.ledger("extraction_scopes")
            )


def owned_by(rows: Rows, name: str) -> Rows:
    return [row for row in rows if name in (row.get("repository_name"), row.get("owner_name"))]


@pytest.mark.parametrize("table", PER_REPOSITORY)
@pytest.mark.parametrize("fact", FACTS)
def test_rows_are_kept_where_nothing_is_known_and_go_where_there_is_none(facts: Facts, fact: str, table: str) -> None:
    before, after = owned_by(facts.before[table], fact), owned_by(facts.after[table], fact)
    assert before
    assert after == (before if fact in ("denied", "failed", "disabled") else [])


@pytest.mark.parametrize("table", PER_REPOSITORY)
def test_a_repository_beside_those_that_could_not_be_read_is_as_it_is_now(facts: Facts, table: str) -> None:
    before, after = owned_by(facts.before[table], "plain"), owned_by(facts.after[table], "plain")
    assert len(after) == len(before)
    assert after != before


@pytest.mark.parametrize("fact", FACTS)
def test_the_errors_tell_a_fact_from_a_failure(facts: Facts, fact: str) -> None:
    asked = {
        str(operation)
        for operation in operations_below(REPOSITORIES)
        # Tagging tells of all repositories at once, and so does the scanning configuration.
        if operation.name not in ("ListTagsForResource", "BatchGetRepositoryScanningConfiguration")
    }
    errors = {(row["operation"], row["status"]) for row in facts.errors if row["resource"] == fact}
    in_region = {(row["operation"], row["status"]) for row in facts.errors if row["region"] == OTHER_REGION}
    match fact:
        case "absent" | "gone":
            assert errors == set()
        case "disabled":
            assert ("ecr:DescribeRepositories", "disabled") in in_region
            assert {status for _, status in in_region} == {"disabled"}
        case _:
            assert errors == {(operation, fact) for operation in asked}


def test_the_ledger_counts_the_repositories_that_keep_their_rows(facts: Facts) -> None:
    told = {(row["region"], row["table_name"]): (row["status"], row["excepted_repositories"]) for row in facts.scopes}
    assert {told[REGION, name] for name in PER_REPOSITORY} == {("partial", 2)}
    assert told[REGION, "repositories"] == ("complete", 0)
    assert {told[OTHER_REGION, name][0] for name in ("repositories", *PER_REPOSITORY)} == {"disabled"}


ASKED_ONCE = [  # a table, the operation that alone fills it or its part for each repository, what absent looks like
    ("policies.policies", "GetRepositoryPolicy"),
    ("policies.lifecycle_policies", "GetLifecyclePolicy"),
    ("lifecycle_policy_previews", "GetLifecyclePolicyPreview"),
]


@pytest.mark.parametrize(("table", "operation"), ASKED_ONCE)
def test_no_policy_is_a_complete_answer_without_a_row(
    server: EcrServer, tmp_path: Path, table: str, operation: str
) -> None:
    server.registry(REGION).put("bare")
    with opened(server, tmp_path, tables=[table], regions=[REGION]) as database:
        database.load()
        assert database.contents()[table.rpartition(".")[2]] == []
        assert server.calls[operation] == 1
        told = {(row["status"], row["rows"]) for row in database.ledger("extraction_scopes")}
        assert told == {("complete", 0)}
        assert database.ledger("extraction_errors") == []


# --- what is asked for each image, in the first load ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"), [(DENIED, "denied"), (BROKEN, "call_failed"), (error("ImageNotFoundException"), None)]
)
def test_a_first_load_tells_which_image_was_not_answered(
    server: EcrServer, tmp_path: Path, answer: Any, outcome: str | None
) -> None:
    registry = server.registry(REGION)
    for name in ("api", "web"):
        furnish(registry, name, 0)
    digest = image_of("api", "app")
    for operation in operations_below(IMAGES):
        server.fail(answer, operation=operation.name, image=digest)
    records = [table for table in PER_IMAGE if is_record(table)]
    with opened(server, tmp_path, tables=["findings", "image_status", "manifests"], regions=[REGION]) as database:
        database.load()
        loaded = database.contents()
        for table in records:
            of_image = [row["fetch_outcome"] for row in loaded[table.name] if row["image_digest"] == digest]
            assert of_image == ([outcome] if outcome else []), table.name
            assert len(loaded[table.name]) == 5 + bool(outcome)


@ON_EACH
def test_manifests_that_were_read_stay_when_a_table_more_is_read_and_denied(
    server: EcrServer, tmp_path: Path, warehouse: Warehouse
) -> None:
    furnish(server.registry(REGION), "api", 0)
    with opened(server, tmp_path, warehouse, tables=["image_manifests"], regions=[REGION]) as database:
        database.load()
        before = database.contents()["image_manifests"]
        server.fail(DENIED, operation="BatchGetImage", repository="api")
        database.load(tables=["image_manifests", "image_layers"])
        assert len(before) == 3
        assert database.contents()["image_manifests"] == before
