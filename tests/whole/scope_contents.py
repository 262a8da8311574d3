"""What tables hold, scope by scope, in a database and in the registries, and whether a run may leave it so."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pytest
from botocore.config import Config
from botocore.retries.standard import ExponentialBackoff

from ecr_source import catalog, ecr_source
from ecr_source.aws import api, sessions
from ecr_source.aws.access import Access
from ecr_source.aws.rate import Rate
from ecr_source.aws.scopes import Scope, discover_scopes
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.extract.walk import Walk
from tests.conftest import Row, isolate, make_pipeline
from tests.warehouse import DuckDbFile

Rows: TypeAlias = list[dict[str, Any]]
Contents: TypeAlias = dict[tuple[str, Scope], Rows]
"""The rows of each table in each scope, in order, without the columns that differ from load to load."""

ATTEMPTS = 2
_FASTER = 20
_NOT_ANSWERED = {"call_failed", "not_asked"}


@contextmanager
def impatient() -> Iterator[None]:
    """Calls are tried twice, and the time between tries, and between calls, passes twenty times as fast."""
    retries = Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS})
    wait = ExponentialBackoff.delay_amount
    faster = partial(
        Rate, clock=lambda: _FASTER * time.monotonic(), sleep=lambda seconds: time.sleep(seconds / _FASTER)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sessions, "CLIENT_CONFIG", sessions.CLIENT_CONFIG.merge(retries))
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *context: wait(*context) / _FASTER)
        patch.setattr(api, "Rate", faster)
        yield


@contextmanager
def environment(folder: Path) -> Iterator[None]:
    """An environment of its own for fixtures of a module, as each test has one."""
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        yield


@dataclass(frozen=True)
class Loaded:
    """What a run left: what the tables say, the status of each table in each scope, the errors of each scope."""

    contents: Contents
    statuses: dict[tuple[str, Scope], str]
    errors: dict[Scope, Rows]


@dataclass(frozen=True)
class Database:
    """One database below `folder`, and how it is loaded."""

    folder: Path
    arguments: dict[str, Any]

    @property
    def tables(self) -> list[Table]:
        return catalog.select_tables(self.arguments["tables"])

    @property
    def _warehouse(self) -> DuckDbFile:
        return DuckDbFile(self.folder / "ecr.duckdb")

    @property
    def mode(self) -> str:
        mode: str = self.arguments.get("mode", "snapshot")
        return mode

    def load(self, **arguments: Any) -> Loaded:
        """One run, and what it left."""
        with self._warehouse.loading():
            pipeline = make_pipeline(self.folder / "pipelines", self._warehouse)
            pipeline.run(ecr_source(**(self.arguments | arguments)))
        with self._warehouse.reading():
            return Loaded(self.contents(), self._statuses(), self._errors())

    def query(self, sql: str) -> Rows:
        """Rows of a SELECT, by column."""
        return self._warehouse.records(sql)

    def contents(self, *more: str) -> Contents:
        """What the tables say now, with columns more if they are named; in history, with all versions then."""
        condition = "_dlt_valid_to IS NULL" if self.mode == "history" and not more else "true"
        there = {row["table_name"] for row in self.query("SELECT table_name FROM duckdb_tables()")}
        found: Contents = {}
        for table in self.tables:
            columns = ", ".join(f'"{name}"' for name in [*columns_of(table), *more])
            rows = self.query(f"SELECT {columns} FROM {table.name} WHERE {condition}") if table.name in there else []
            found |= by_scope(table, rows)
        return found

    def _statuses(self) -> dict[tuple[str, Scope], str]:
        """The status of each table in each scope, as the last run left it."""
        return {
            (row["table_name"], Scope(row["registry_id"], row["region"])): row["status"]
            for row in self.query(f"SELECT * FROM extraction_scopes WHERE {_LAST_RUN}")
        }

    def _errors(self) -> dict[Scope, Rows]:
        """The errors of each scope in the last run."""
        found: dict[Scope, Rows] = {}
        for row in self.query(f"SELECT * FROM extraction_errors WHERE {_LAST_RUN} ORDER BY ordinal"):
            found.setdefault(Scope(row["registry_id"], row["region"]), []).append(row)
        return found

    def undisturbed(self) -> Contents:
        """What a load into a new database would give now, told by a walk that knows nothing of earlier loads."""
        settings = ("regions", "endpoint_url", "role_arns")
        access = Access(**{name: self.arguments[name] for name in settings if name in self.arguments})
        without = catalog.FINDINGS_FROM["ecr"]
        services = {operation.service for operation in catalog.operations_of(self.tables, without)}
        found: dict[Table, Rows] = {table: [] for table in self.tables}
        for read in Walk(self.tables, self.folder / "walk", without=without).read(discover_scopes(access, services)):
            assert read.status == "complete"
            for table, file in ((one.table, file) for one in read.tables for file in one.files):
                rows = pa.Table.from_batches(file.batches(), arrow_schema(table))
                found[table] += rows.select(columns_of(table)).to_pylist()
        contents: Contents = {}
        for table, rows in found.items():
            contents |= by_scope(table, rows)
        return contents


_LAST_RUN = "run_id = (SELECT max(run_id) FROM extraction_scopes)"


def columns_of(table: Table) -> list[str]:
    """All columns but `extracted_at`."""
    return [name for name in arrow_schema(table).names if name != "extracted_at"]


def by_scope(table: Table, rows: Rows) -> Contents:
    found: Contents = {}
    for row in rows:
        found.setdefault((table.name, Scope(row["registry_id"], row["region"])), []).append(row)
    return {place: in_order(rows) for place, rows in found.items()}


def in_order(rows: Rows) -> Rows:
    return sorted(rows, key=repr)


def keys(table: Table, rows: Rows) -> list[Row]:
    """The key of each row."""
    return [tuple(row[name] for name in table.key) for row in rows]


def operations_for(table: Table) -> set[str]:
    """The names of all operations on which the rows of `table` depend."""
    return {str(operation) for operation in catalog.called_for(table)}


def repository_of(row: dict[str, Any]) -> str:
    return str(row.get("repository_name") or row.get("owner_name") or "")


def names_of(errors: Iterable[dict[str, Any]]) -> set[str]:
    """The repositories that errors name; "" where the whole registry was asked."""
    return {error["resource"].partition("@")[0] for error in errors}


def check_rows(tables: Iterable[Table], scope: Scope, loaded: Loaded, earlier: Contents, undisturbed: Contents) -> None:
    """Each repository is as it is now or, where an error names it, as it was; each table is as its status says.

    `earlier` is what the tables said before the run, `undisturbed` what they would say if nothing had failed.
    """
    for table in tables:
        place = (table.name, scope)
        status = loaded.statuses[place]
        rows, before, after = (contents.get(place, []) for contents in (loaded.contents, earlier, undisturbed))
        errors = loaded.errors.get(scope, ())
        named = names_of(error for error in errors if error["operation"] in operations_for(table))
        assert len(set(keys(table, rows))) == len(rows), f"{place} has rows twice"
        assert named or status == "complete", f"{place} is {status}, and no error says why"
        if status == "complete":
            assert rows == after, f"{place} is complete, and not as it is undisturbed"
        elif status != "partial" and not table.operation.again and len(table.operations) == 1:
            assert rows == before, f"{place} is {status}, and not as it was"
        check_parts(table, named, rows, before, after)


def check_parts(table: Table, named: set[str], rows: Rows, before: Rows, after: Rows) -> None:
    """The rows of what was read are those of now, the rows of what an error names those of before."""
    now, was, is_now = (by_part(table, some) for some in (rows, before, after))
    for part in now.keys() | was.keys() | is_now.keys():
        if now.get(part) == is_now.get(part):
            continue
        assert named & {part[0], ""}, f"{table.name} of {part} differs, and no error names it"
        unanswered = [row.get("fetch_outcome") in _NOT_ANSWERED for row in now.get(part, ())]
        assert now.get(part) == was.get(part) or unanswered == [True], f"{table.name} of {part} is not as it was"


def by_part(table: Table, rows: Rows) -> dict[tuple[str, str], Rows]:
    """The rows of each repository; where each image is asked, of each image."""
    found: dict[tuple[str, str], Rows] = {}
    for row in rows:
        digest = row["image_digest"] if table.operation.again else ""
        found.setdefault((repository_of(row), digest), []).append(row)
    return found


def overlaps(table: Table, versions: Rows) -> list[Row]:
    """The keys of which two versions were valid at once: one that is open ends after all others."""
    found: dict[Row, Rows] = {}
    for key, version in zip(keys(table, versions), versions, strict=True):
        found.setdefault(key, []).append(version)
    return [
        key
        for key, of_key in found.items()
        for earlier, later in pairwise(sorted(of_key, key=itemgetter("_dlt_valid_from")))
        if earlier["_dlt_valid_to"] is None or earlier["_dlt_valid_to"] > later["_dlt_valid_from"]
    ]
