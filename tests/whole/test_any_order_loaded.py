"""The same as `test_any_order`, loaded by dlt: whatever the order of runs, in a database too."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from ecr_source import catalog, ecr_source
from ecr_source.extract.images.image_selection import Bounds
from ecr_source.extract.rows.pseudonyms import MASK_KEY, Pseudonyms
from ecr_source.loading.load import finish, load, load_alone
from tests.conftest import make_pipeline
from tests.newer_catalog import newer_catalog
from tests.server.accounts import ACCOUNT
from tests.server.ecr_server import EcrServer
from tests.warehouse import ON_EACH, DuckDbFile, PostgresDatabase, Warehouse
from tests.whole.killed_load import KilledLoad
from tests.whole.plain_dataset import REGION, DirectApi, Row, shown
from tests.whole.test_any_order import REFERENCE, SELECTIONS, TABLES, AnyOrder, seeded

ORDERS_GIVEN = os.environ.get("ECR_SOURCE_LOADED_ORDERS")
ORDERS = int(ORDERS_GIVEN or 15)
"""How many sequences of changes and runs are played in each mode."""

RECORDS = {table.name for table in catalog.RECORD_TABLES}

KEY = "a key of these tests, of no account"
PSEUDONYMS = Pseudonyms(KEY.encode(), {ACCOUNT})


class LoadedDataset:
    """What a database has: the rows of now, and the ledger."""

    def __init__(self, warehouse: Warehouse, mode: str) -> None:
        self.warehouse = warehouse
        self.current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
        self.rows: dict[str, list[Row]] = {}
        self.ledger: list[tuple[str, str, datetime, str]] = []
        self.is_new = False

    def look(self) -> None:
        there = self.warehouse.tables()
        if "extraction_scopes" not in there:
            return
        with self.warehouse.reading():
            for name in {*REFERENCE, *RECORDS} & there:
                current = self.current if name in REFERENCE else ""
                self.rows[name] = self.warehouse.records(f"SELECT * FROM {name} {current}")
            rows = self.warehouse.query("SELECT table_name, status, started_at, resumes_at FROM extraction_scopes")
        self.is_new = True
        self.ledger = [(name, status, at.astimezone(UTC), end or "") for name, status, at, end in rows]


class AnyOrderLoaded(AnyOrder):
    """A registry that changes, and a database that is loaded now and then, in Postgres from two machines."""

    mode: str
    like: Warehouse
    kills = 0

    def __init__(self) -> None:
        super().__init__()
        warehouse = empty_one_like(self.like, Path(self.folder.name))
        self.loaded = LoadedDataset(warehouse, self.mode)
        self.here, self.there = self.pipeline("here"), self.pipeline("there")
        self.newer_version: AbstractContextManager[None] | None = None
        self.may_overlap = isinstance(warehouse, PostgresDatabase)  # into a DuckDB file one run loads at a time
        self.dataset = self.loaded  # type: ignore[assignment]  # it has what the machine asks

        self.was: list[tuple[datetime, dict[str, list[Row]]]] = []

    def folder_of(self, machine: str) -> Path:
        return Path(self.folder.name) / machine

    def pipeline(self, machine: str) -> dlt.Pipeline:
        return make_pipeline(self.folder_of(machine), self.loaded.warehouse)

    @initialize(masked=st.booleans())
    def mask(self, masked: bool) -> None:
        self.masked = masked

    def expected(self, name: str, **bounds: Any) -> list[Row]:
        rows = super().expected(name, **bounds)
        return [{column: self.text(value) for column, value in row.items()} for row in rows] if self.masked else rows

    def text(self, value: Any) -> Any:
        return PSEUDONYMS.text(value) if isinstance(value, str) else value

    def rows_before(self) -> dict[str, list[Row]]:
        finish(self.here)
        self.loaded.look()
        return super().rows_before()

    @rule(selected=SELECTIONS, deeds=st.lists(st.integers(1, 400), min_size=1, max_size=2))
    def run_that_is_killed(self, selected: list[str], deeds: list[int]) -> None:
        """Once while it reads or loads, and maybe a second time while the next begins with what waits."""
        arguments: dict[str, Any] | None = self.arguments(selected, without=catalog.not_called("ecr"))
        for at in deeds:
            warehouse, is_newer = self.loaded.warehouse, self.newer_version is not None
            if not KilledLoad(self.folder_of("here"), warehouse, arguments, is_newer).until(at):
                break
            type(self).kills += 1
            arguments = None
        self.here = self.pipeline("here")  # each run is a process of its own
        self.rows_before()
        if self.loaded.ledger:
            load_alone(self.here)  # killed after its last row, a run has made no views: the next one makes them

    @precondition(lambda self: self.newer_version is None)
    @rule()
    def upgrade(self) -> None:
        """From now on the package knows a column more of two tables."""
        self.newer_version = newer_catalog()
        self.newer_version.__enter__()

    def teardown(self) -> None:
        if self.newer_version:
            self.newer_version.__exit__(None, None, None)
        super().teardown()

    @rule(selected=SELECTIONS, is_normalized=st.booleans())
    def run_that_is_cut_off(self, selected: list[str], is_normalized: bool) -> None:
        finish(self.here)
        self.here.sync_destination()
        self.here.extract(self.source(selected, without=catalog.not_called("ecr")))
        if is_normalized:
            self.here.normalize()
        self.loaded.look()

    def source(self, selected: Sequence[str], **how: Any) -> Any:
        return ecr_source(**self.arguments(selected, **how))

    def arguments(self, selected: Sequence[str], **how: Any) -> dict[str, Any]:
        self.was.append((datetime.now(UTC), {name: self.expected(name) for name in REFERENCE}))
        bounds: Bounds = how.get("bounds", Bounds())
        return {
            "regions": [REGION],
            "endpoint_url": self.server.url,
            "tables": [*selected],
            "mode": self.mode,
            "repositories": how.get("names"),
            "findings_latest": bounds.latest,
            "findings_from": "ecr" if "without" in how else "inspector2",
            "max_calls": how.get("max_calls"),
            "mask_accounts": self.masked,
        }

    def read(self, selected: list[str], **how: Any) -> dict[str, str]:
        before = {name: [*rows] for name, rows in self.loaded.rows.items()}
        outcome = load(self.here, self.source(selected, **how))
        self.loaded.look()
        if self.mode == "history":
            self.check_versions(before)
        return {one.table: one.status for one in outcome.tables if one.table in selected}

    def check_versions(self, before: dict[str, list[Row]]) -> None:
        """A row that is as it was is the same version: a run opens none for it, and leaves no hole."""
        for name in REFERENCE:
            began = {self.key_and_version(name, row): row["_dlt_valid_from"] for row in before.get(name, [])}
            for row in self.loaded.rows.get(name, []):
                version = self.key_and_version(name, row)
                assert began.get(version, row["_dlt_valid_from"]) == row["_dlt_valid_from"], f"{name}: {version}"

    def key_and_version(self, name: str, row: Row) -> tuple[str, ...]:
        return (*(row[column] for column in TABLES[name].key), row["row_version"])

    def read_beside(self, selected: list[str]) -> Callable[[], None]:
        self.there.sync_destination()
        self.there.extract(self.source(selected, without=catalog.not_called("ecr")))
        self.there.normalize()

        def load_it() -> None:
            load_alone(self.there)
            self.loaded.look()

        return load_it

    @precondition(lambda self: self.loaded.is_new)
    @invariant()
    def what_was_loaded_is_true(self) -> None:
        self.loaded.is_new = False
        with self.loaded.warehouse.reading():
            self.check_freshness()
            self.check_intervals()

    def check_freshness(self) -> None:
        if not self.loaded.ledger:  # killed before it had made the view
            return
        fresh = "SELECT table_name, complete_as_of FROM ecr_freshness WHERE complete_as_of = read_as_of"
        for name, at in self.loaded.warehouse.query(fresh):
            if name in REFERENCE and not TABLES[name].is_asked_again:
                began, registry = max(one for one in self.was if one[0] <= at)
                columns = [*registry[name][0]] if registry[name] else TABLES[name].key
                found = shown(self.loaded.rows[name], columns)
                assert found == shown(registry[name], columns), f"{name} is not of {at}, but read {began}"

    def check_intervals(self) -> None:
        """The versions of a row do not overlap."""
        for name in self.loaded.rows if self.mode == "history" else ():
            if name not in REFERENCE:
                continue
            key = ", ".join(TABLES[name].key)
            overlapping = self.loaded.warehouse.query(
                f"SELECT {key} FROM (SELECT {key}, _dlt_valid_from, lag(coalesce(_dlt_valid_to, 'infinity'))"
                f" OVER (PARTITION BY {key} ORDER BY _dlt_valid_from, _dlt_valid_to) AS before"
                f" FROM {name}) AS versions WHERE before > _dlt_valid_from"
            )
            assert not overlapping, f"{name} has two versions of a row at a time"


def empty_one_like(warehouse: Warehouse, folder: Path) -> Warehouse:
    if isinstance(warehouse, PostgresDatabase):
        return PostgresDatabase(warehouse.server, warehouse.server.new_database())
    return DuckDbFile(folder / "ecr.duckdb")


@ON_EACH(nightly=("postgres",))
@pytest.mark.parametrize("mode", ["snapshot", "history"])
def test_any_order_of_runs_leaves_in_a_database_what_the_registry_says(
    server: EcrServer, warehouse: Warehouse, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MASK_KEY, KEY)
    monkeypatch.setattr(DirectApi, "server", server, raising=False)
    server.keep_requests = False
    in_this_mode: type[AnyOrderLoaded] = type("AnyOrderInMode", (AnyOrderLoaded,), {"mode": mode, "like": warehouse})
    played = settings(
        max_examples=ORDERS,
        stateful_step_count=14,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    machine = seeded(in_this_mode, ["snapshot", "history"].index(mode), ORDERS_GIVEN)
    run_state_machine_as_test(machine, settings=played)
    assert machine.kills > 0
