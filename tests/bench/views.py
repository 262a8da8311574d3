"""How long the views take over a large registry: in full and for one repository, in DuckDB and in Postgres."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecr_source.destinations.reading import DatasetReader
from tests.bench.large_registry import Size, copy_to_postgres, make_registry, open_registry
from tests.bench.page import Cell, Column, Row, Section
from tests.postgres import postgres_server
from tests.warehouse import DuckDbFile, PostgresDatabase

SIZE = Size(repositories=10_000, images=1_000_000, findings=1_000_000)
OF_THE_REPOSITORY = 100

FLOOR = "*images* with *image_scans*"
_JOIN = "images LEFT JOIN image_scans USING (registry_id, region, repository_name, image_digest)"
_JOINED = ("images.image_pushed_at", "images.image_status", "image_scans.scan_status", "image_scans.critical_count")


@dataclass(frozen=True)
class Seconds:
    """The medians of all rounds: of the wall, and of the processors that this process took."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Statement:
    """What is asked of a view: all of it, and a repository where it tells of repositories."""

    name: str
    full: str
    filtered: str | None


def _rows(rounds: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        file = DuckDbFile(Path(folder) / "large.duckdb")
        database = PostgresDatabase(server, server.new_database())
        make_registry(file, SIZE)
        copy_to_postgres(file, database)
        with open_registry(file) as duckdb, open_registry(database) as postgres:
            return [_row(one, duckdb, postgres, rounds) for one in _statements(duckdb)]


def _statements(reader: DatasetReader) -> Iterator[Statement]:
    """One for each view, behind the join of two tables alone, which no view of images and scans is faster than."""
    yield Statement(FLOOR, _counted(_JOINED, _JOIN), None)
    one = _one_repository(reader)
    for view in (relation for relation in reader.relations() if relation.is_view):
        columns = [column.name for column in reader.columns(view)]
        filtered = f"SELECT * FROM {view.name} WHERE {one}" if "repository_name" in columns else None
        yield Statement(view.name, _counted(columns, view.name), filtered)


def _one_repository(reader: DatasetReader) -> str:
    """A condition for a repository with as many images as one has on average."""
    found = _asked(
        reader,
        "SELECT registry_id, region, repository_name FROM images GROUP BY ALL"
        f" ORDER BY abs(count(*) - {OF_THE_REPOSITORY}), repository_name, registry_id, region LIMIT 1",
    )
    return " AND ".join(f"{column} = '{value}'" for column, value in found[0].items())


def _counted(columns: Sequence[str], relation: str) -> str:
    """A statement for which each value of the columns is needed, and one row comes back."""
    counts = ", ".join(f"count({column}) AS count_{position}" for position, column in enumerate(columns))
    return f"SELECT count(*) AS counted, {counts} FROM {relation}"


def _row(statement: Statement, duckdb: DatasetReader, postgres: DatasetReader, rounds: int) -> Row:
    [counts] = _asked(duckdb, statement.full)
    full, of_postgres = (_seconds(reader, statement.full, rounds) for reader in (duckdb, postgres))
    filtered = [
        _seconds(reader, statement.filtered, rounds).wall if statement.filtered else None
        for reader in (duckdb, postgres)
    ]
    numbers: list[Cell] = [full.wall, full.processor, filtered[0], of_postgres.wall, filtered[1]]
    print(statement.name, *numbers, flush=True)
    return [statement.name, counts["counted"], *numbers]


def _seconds(reader: DatasetReader, sql: str, rounds: int) -> Seconds:
    walls, processors = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        _asked(reader, sql)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return Seconds(statistics.median(walls), statistics.median(processors))


def _asked(reader: DatasetReader, sql: str) -> list[dict[str, Any]]:
    return [row for batch in reader.rows(sql).batches for row in batch.to_pylist()]


SECTIONS = {
    "views": Section(
        "Views",
        f"Each view of snapshot mode over {SIZE.images:,} images with {SIZE.findings:,} findings in"
        f" {SIZE.repositories:,} repositories of four scopes, the default groups and the manifests of indexes, which"
        " `tests/bench/large_registry.sql` makes: in full, every value being counted, and all columns of one repository"
        f" of {OF_THE_REPOSITORY} images; rounds: {{rounds}}, asked as `ecr-source query` asks. *Processor* is the time"
        " of all threads of DuckDB together, which a busy machine changes least. The first line is no view: it joins"
        " two tables, and no view that tells of each image and its scan can be faster. Aimed at: 2 s in full and 0.2 s"
        " for one repository in DuckDB, 10 s in full in Postgres.",
        (
            Column("view"),
            Column("rows", "{:,}"),
            Column("DuckDB, s", "{:.1f}"),
            Column("processor, s", "{:.1f}"),
            Column("one repository, s", "{:.2f}"),
            Column("Postgres, s", "{:.1f}"),
            Column("one repository in Postgres, s", "{:.2f}"),
        ),
        3,
        _rows,
    ),
}
