"""Runs that are killed at any moment, twice in a row: the next one makes the tables what they should be."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import dlt
import duckdb
import pytest

from ecr_source import catalog
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.loading.load import finish
from tests.conftest import Row, environment
from tests.forked import ForkedCommand
from tests.nightly import at_night
from tests.server.ecr_server import EcrServer
from tests.server.registry import PUSHED_AT
from tests.warehouse import ON_EACH, Warehouse
from tests.whole.killed_load import KilledLoad

REGIONS = [
    "ap-south-1",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "sa-east-1",
    "us-east-1",
    "us-west-2",
]
RUN = ["run", "--table", "repositories", "--table", "images", *(f"--region={region}" for region in REGIONS)]
TABLES = [*catalog.select_tables(["repositories", "images"])]
PHASES = ("reading", "spooling", "normalising", "loading")
KILLED = -9
LARGE = 1_000_000
SEED = 20_261_123
STATES = 3

Contents = dict[str, list[Row]]


# What the registries hold.


def hold_state(server: EcrServer, state: int) -> None:
    """One of the states: each has repositories, settings, images and tags that the others have not."""
    for region in REGIONS:
        server.registry(region).repositories.clear()
        for number in range(8):
            if number != state:
                push(server, region, f"service-{number}", pushed_at=PUSHED_AT + state * (number % 2))


def push(server: EcrServer, region: str, name: str, pushed_at: float) -> None:
    """A repository with two images."""
    registry = server.registry(region)
    exclusion = {"filterType": "WILDCARD", "filter": f"dev-{pushed_at}*"}
    mutability = "MUTABLE_WITH_EXCLUSION"
    registry.put(name, pushed_at, imageTagMutability=mutability, imageTagMutabilityExclusionFilters=[exclusion])
    for tags in (["old"], ["new", "latest"]):
        registry.put_image(name, f"sha256:{pushed_at}-{tags[0]}", tags, pushed_at, imageSizeInBytes=int(pushed_at))


def push_everywhere(server: EcrServer, number: int) -> None:
    """In each region a repository that is newer than all others."""
    for region in REGIONS:
        push(server, region, f"new-{number}", PUSHED_AT + 10 + number)


# What the tables hold.


def contents(database: Path, condition: str = "true") -> Contents:
    """The rows of all tables, without the time at which they were read."""
    with duckdb.connect(database, read_only=True) as connection:
        connection.execute("USE aws_ecr; SET TimeZone = 'UTC'")
        return {
            table.name: connection.execute(
                f"SELECT {', '.join(_columns(table))} FROM {table.name} WHERE {condition} ORDER BY ALL"
            ).fetchall()
            for table in TABLES
        }


def _columns(table: Table) -> list[str]:
    return [f'"{name}"' for name in arrow_schema(table).names if name != "extracted_at"]


def repeated(database: Path, table: str, key: str) -> list[Row]:
    """The keys that more than one row has."""
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(f"SELECT {key} FROM aws_ecr.{table} GROUP BY ALL HAVING count(*) > 1").fetchall()


# When a run is killed.


@dataclass(frozen=True)
class Moment:
    """A share of the length of a phase."""

    phase: str
    share: float


IN_EACH_PHASE = (
    (Moment("reading", 0.5), Moment("normalising", 0.5)),
    (Moment("spooling", 0.5), Moment("loading", 0.5)),
)
"""Two kills before each recovery."""


@dataclass(frozen=True)
class Lengths:
    """The calls that an undisturbed run made, and the seconds of what came after them."""

    calls: int
    normalising: float
    loading: float


def moments(number: int, seed: int) -> Iterator[Moment]:
    """Random moments, the phases in turn; the first of each is its beginning, so that none can be missed."""
    shares = random.Random(seed)
    for position in range(number):
        yield Moment(PHASES[position % len(PHASES)], shares.random() if position >= len(PHASES) else 0)


@dataclass(frozen=True)
class Runs:
    """Runs over eight scopes in one mode, with one working folder, into one DuckDB file."""

    server: EcrServer
    folder: Path
    mode: str = "snapshot"

    @property
    def database(self) -> Path:
        return self.folder / "ecr.duckdb"

    @property
    def working_folder(self) -> Path:
        return self.folder / "dlt"

    def start(self) -> ForkedCommand:
        settings: dict[str, str | None] = {"DLT_DATA_DIR": str(self.working_folder), "SOURCES__ECR__MODE": self.mode}
        return ForkedCommand(RUN, environment(self.server, self.database, settings))

    def run(self) -> Lengths:
        """An undisturbed run."""
        self.folder.mkdir(exist_ok=True)
        calls = self.server.calls.total()
        with self.start() as command:
            read_until(command, "read 8 of 8")
            read_at = time.monotonic()
            read_until(command, "loading")
            loading_at = time.monotonic()
            code, errors = command.end()
        assert code == 0, errors
        return Lengths(self.server.calls.total() - calls, loading_at - read_at, time.monotonic() - loading_at)

    def run_killed(self, moment: Moment, lengths: Lengths) -> bool:
        """A run that is killed at this moment, unless it has ended by then; whether it was killed."""
        numbers = count()
        with self.start() as command:
            if moment.phase == "reading":
                last = int(moment.share * lengths.calls)
                self.server.before_answer = lambda operation, call: command.kill() if next(numbers) >= last else None
            elif moment.phase == "spooling":
                read_until(command, f"read {1 + int(moment.share * len(REGIONS))} of")
            elif moment.phase == "normalising":
                read_until(command, "read 8 of 8")
                time.sleep(moment.share * lengths.normalising)
            else:
                read_until(command, "loading")
                time.sleep(moment.share * lengths.loading)
            if moment.phase != "reading":
                command.kill()
            code, errors = command.end()
        self.server.before_answer = lambda operation, call: None
        assert code == KILLED or (code == 0 and moment.share), f"{moment}: {code} {errors}"
        return code == KILLED

    def large_files(self) -> list[Path]:
        """What is left in the working folder of rows, or of anything large."""
        files = [path for path in self.working_folder.rglob("*") if path.is_file()]
        return [path for path in files if path.suffix == ".parquet" or path.stat().st_size > LARGE]


def read_until(command: ForkedCommand, start: str) -> None:
    """Reads what the command writes up to the line that starts so."""
    lines = []
    for line in command.errors:
        if line.startswith(start):
            return
        lines.append(line)
    pytest.fail(f"no line {start}: {''.join(lines)}")


def undisturbed(server: EcrServer, folder: Path, mode: str) -> tuple[list[Contents], Lengths]:
    """What each state is as tables, and how long a run takes that nobody kills."""
    expected = []
    for state in range(STATES):
        hold_state(server, state)
        runs = Runs(server, folder / f"undisturbed-{state}", mode)
        lengths = runs.run()
        expected.append(contents(runs.database))
    return expected, lengths


def batched(moments: Iterator[Moment], size: int) -> Iterator[tuple[Moment, ...]]:
    while batch := tuple(islice(moments, size)):
        yield batch


@pytest.fixture
def eight(server: EcrServer) -> EcrServer:
    """A server that lists three repositories a page."""
    server.page_size = 3
    return server


@pytest.mark.parametrize(("kills", "seed"), [(4, SEED), at_night(40, SEED + 1)])
def test_after_two_kills_at_random_moments_the_next_run_makes_the_tables_what_an_undisturbed_one_does(
    eight: EcrServer, tmp_path: Path, kills: int, seed: int
) -> None:
    expected, lengths = undisturbed(eight, tmp_path, "snapshot")
    runs = Runs(eight, tmp_path / "killed")
    runs.folder.mkdir()
    killed = 0
    for state, two in enumerate(batched(moments(kills, seed), 2)):
        for number, moment in enumerate(two):
            hold_state(eight, (state + number) % STATES)
            killed += runs.run_killed(moment, lengths)
        hold_state(eight, (state + 2) % STATES)
        runs.run()
        assert contents(runs.database) == expected[(state + 2) % STATES], two
        assert repeated(runs.database, "extraction_scopes", "run_id, table_name, region") == [], two
        assert runs.large_files() == [], two
    assert killed >= kills * 3 / 4


@pytest.mark.nightly
def test_after_kills_a_history_has_one_open_version_of_each_row_and_none_that_overlap(
    eight: EcrServer, tmp_path: Path
) -> None:
    expected, lengths = undisturbed(eight, tmp_path, "history")
    runs = Runs(eight, tmp_path / "killed", "history")
    runs.folder.mkdir()
    for state, two in enumerate(IN_EACH_PHASE):
        killed = 0
        for number, moment in enumerate(two):
            hold_state(eight, (state + number) % STATES)
            killed += runs.run_killed(moment, lengths)
        hold_state(eight, (state + 2) % STATES)
        runs.run()
        assert killed
        assert contents(runs.database, "_dlt_valid_to IS NULL") == expected[(state + 2) % STATES], two
        assert overlapping(runs.database) == [], two
        assert runs.large_files() == [], two


def overlapping(database: Path) -> list[Row]:
    """Versions of a repository that end after the next begins, or before they begin."""
    versions = """
        SELECT region, repository_name, _dlt_valid_from AS began, coalesce(_dlt_valid_to, 'infinity') AS ended,
               lead(_dlt_valid_from) OVER (PARTITION BY region, repository_name ORDER BY _dlt_valid_from) AS next_began
        FROM aws_ecr.repositories
    """
    with duckdb.connect(database, read_only=True) as connection:
        return connection.execute(f"SELECT * FROM ({versions}) WHERE ended > next_began OR ended <= began").fetchall()


@pytest.mark.nightly
def test_after_kills_incremental_mode_has_every_row_exactly_once(eight: EcrServer, tmp_path: Path) -> None:
    hold_state(eight, 0)
    runs = Runs(eight, tmp_path / "killed", "incremental")
    lengths = runs.run()
    pushed = count()
    for number, two in enumerate(IN_EACH_PHASE, 1):
        killed = 0
        for moment in two:
            push_everywhere(eight, next(pushed))
            killed += runs.run_killed(moment, lengths)
        push_everywhere(eight, next(pushed))
        runs.run()
        assert killed
        rows = contents(runs.database)
        assert len(rows["repositories"]) == len(REGIONS) * (7 + 3 * number), two
        assert len(rows["images"]) == 2 * len(rows["repositories"]), two
        for table in ("repositories", "images"):
            key = ", ".join(next(one for one in TABLES if one.name == table).key)
            assert repeated(runs.database, table, key) == [], two
        assert runs.large_files() == [], two


@ON_EACH(nightly=("postgres",))
def test_a_run_killed_when_all_is_loaded_and_not_put_away_yet_is_no_obstacle(
    server: EcrServer, warehouse: Warehouse, pipeline: dlt.Pipeline, load: Callable[..., object]
) -> None:
    """dlt loads no package, and moves none, of which it has noted that it is complete."""
    server.registry().put("api")
    arguments = {"regions": ["eu-west-1"], "endpoint_url": server.url, "tables": ["repositories"]}
    killed = KilledLoad(Path(pipeline.pipelines_dir), warehouse, arguments)
    assert killed.until("/load/loaded/")
    assert pipeline.list_normalized_load_packages()
    server.registry().put("web")
    finish(pipeline)
    assert not pipeline.has_pending_data
    load(tables=["repositories"])
    assert warehouse.query("SELECT repository_name FROM repositories ORDER BY 1") == [("api",), ("web",)]
    assert warehouse.query("SELECT count(DISTINCT run_id) FROM extraction_scopes") == [(2,)]


@ON_EACH(nightly=("postgres",))
def test_a_run_killed_before_it_has_saved_what_its_tables_are_is_no_obstacle(
    server: EcrServer, warehouse: Warehouse, pipeline: dlt.Pipeline, load: Callable[..., object]
) -> None:
    """dlt puts a package where it is normalized, and saves the schema by which it normalizes it afterwards."""
    server.registry().put("api")
    server.registry().put_image("api", "sha256:a", ["latest"])
    load(tables=["repositories"])
    arguments = {"regions": ["eu-west-1"], "endpoint_url": server.url, "tables": ["repositories", "images"]}
    killed = KilledLoad(Path(pipeline.pipelines_dir), warehouse, arguments)
    assert killed.until("/ecr/schemas/ecr.schema.json")
    assert pipeline.list_extracted_load_packages()
    finish(pipeline)
    assert not pipeline.has_pending_data
    assert warehouse.query("SELECT image_digest FROM images") == [("sha256:a",)]
