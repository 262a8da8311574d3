"""What tests load into and ask afterwards: a DuckDB file, or a database of the tests' own Postgres server."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import dlt
import duckdb
import pytest
from dlt.common.destination import AnyDestination

from ecr_source.destinations.capabilities import asked_once
from ecr_source.destinations.postgres import postgres
from tests.postgres import Postgres

DESTINATIONS = ("duckdb", "postgres")

ON_EACH = pytest.mark.on_each_destination
"""For tests, or a module of them, that say something about destinations; all others load into DuckDB."""

POSTGRES_AT_NIGHT = ON_EACH(nightly=("postgres",))
"""As `ON_EACH`, but Postgres is loaded in `make test-nightly` only: what differs by database is not what is said."""

DATASET = "aws_ecr"

Row = tuple[Any, ...]


class Warehouse(Protocol):
    """One empty database, and what of it differs from another's."""

    @property
    def destination(self) -> AnyDestination:
        """It, to a pipeline."""

    @property
    def settings(self) -> dict[str, str]:
        """It, to `ecr-source run`, as environment variables."""

    def loading(self) -> AbstractContextManager[object]:
        """While this process loads into it: what that opens and closes for each job is open already."""

    def reading(self) -> AbstractContextManager[object]:
        """The same while it is asked more than a few questions."""

    def query(self, sql: str) -> list[Row]:
        """What a statement returns, times in UTC; its tables are those of the dataset."""

    def records(self, sql: str) -> list[dict[str, Any]]:
        """The same, each row by its columns' names."""

    def tables(self) -> set[str]:
        """The names of the tables and views in the dataset."""


@dataclass(frozen=True)
class DuckDbFile:
    """A DuckDB file."""

    path: Path

    @property
    def destination(self) -> AnyDestination:
        return asked_once(dlt.destinations.duckdb(str(self.path)))

    @property
    def settings(self) -> dict[str, str]:
        return {"SOURCES__ECR__DESTINATION": "duckdb", "SOURCES__ECR__DATABASE": str(self.path)}

    def loading(self) -> AbstractContextManager[object]:
        # DuckDB reads the whole catalog whenever a file is opened that the process has not open: 50 ms for all tables.
        return duckdb.connect(self.path)

    def reading(self) -> AbstractContextManager[object]:
        return duckdb.connect(self.path, read_only=True)

    def query(self, sql: str) -> list[Row]:
        return self._run(sql)[1]

    def records(self, sql: str) -> list[dict[str, Any]]:
        names, rows = self._run(sql)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def tables(self) -> set[str]:
        with suppress(duckdb.CatalogException):  # no dataset yet
            return _tables(self) if self.path.exists() else set()
        return set()

    def _run(self, sql: str) -> tuple[list[str], list[Row]]:
        with duckdb.connect(self.path, read_only=True) as connection:
            connection.execute(f"USE {DATASET}; SET TimeZone = 'UTC'")
            found = connection.execute(sql)
            return [column[0] for column in found.description or ()], found.fetchall()


@dataclass(frozen=True)
class PostgresDatabase:
    """A database of a Postgres server."""

    server: Postgres
    url: str

    @property
    def destination(self) -> AnyDestination:
        return cast("AnyDestination", postgres(self.url))

    @property
    def settings(self) -> dict[str, str]:
        return {"SOURCES__ECR__DESTINATION": "postgres", "DESTINATION__POSTGRES__CREDENTIALS": self.url}

    def loading(self) -> AbstractContextManager[object]:
        return nullcontext()

    def reading(self) -> AbstractContextManager[object]:
        return nullcontext()

    def query(self, sql: str) -> list[Row]:
        return self.server.run(self.url, sql)[1]

    def records(self, sql: str) -> list[dict[str, Any]]:
        names, rows = self.server.run(self.url, sql)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def tables(self) -> set[str]:
        return _tables(self)


def _tables(warehouse: Warehouse) -> set[str]:
    names = warehouse.query(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{DATASET}'")
    return {name for (name,) in names}
