"""Writes docs/destinations.md: `python -m tests.pages.destinations`. What was seen to work where, and by which test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from dlt.common.destination import AnyDestination, Destination

from ecr_source import catalog
from ecr_source.loading.modes import MODE_NAMES
from tests.destinations.warehouses import SETTINGS, WAREHOUSES

PAGE = SETTINGS.with_suffix(".md")

FOR_REAL = "run for real"
STAND_IN = "run on a stand-in"
PARSED = "SQL parsed only"
TABLES_PARSED = "tables parsed only"
ACCEPTED = "not refused"
REFUSED = "refused"


@dataclass(frozen=True)
class Seen:
    """How it was seen that a mode works, or does not, and the test that saw it."""

    how: str
    test: str
    on: str = ""

    def __str__(self) -> str:
        return f"{self.how}: {self.on}" if self.on else self.how


def _parsed(name: str, mode: str) -> Seen:
    how = TABLES_PARSED if mode == "incremental" and name != "athena" else PARSED
    return Seen(
        how, f"tests/destinations/test_warehouses.py::test_what_a_load_sends_is_sql_of_the_warehouse[{mode}-{name}]"
    )


def _merged(by: str, on: str) -> dict[str, Seen]:
    """Both modes that merge, on a stand-in."""
    return {mode: Seen(STAND_IN, f"tests/{by}[{mode}]", on) for mode in ("snapshot", "history")}


_IN_POSTGRES = "tests/loading/test_two_runs.py::test_two_runs_into_postgres_both_succeed_and_no_row_is_there_twice"
_NO_ICEBERG = "tests/destinations/test_warehouses.py::test_athena_refuses_to_merge_into_tables_that_are_not_iceberg"
_TWICE_IN_A_LAKE = "tests/destinations/test_lake.py::test_two_incremental_runs_append_what_they_append_in_duckdb"
_BESIDES: Mapping[str, Mapping[str, Seen]] = {
    "motherduck": _merged(
        "destinations/test_warehouses.py::test_motherducks_sql_does_in_duckdb_what_it_is_to_do", "DuckDB"
    ),
    "clickhouse": _merged(
        "stand_ins/test_stand_ins.py::test_clickhouses_sql_does_in_its_engine_what_it_is_to_do", "chdb"
    ),
    "snowflake": _merged(
        "stand_ins/test_stand_ins.py::test_snowflakes_sql_does_in_fakesnow_what_it_is_to_do", "fakesnow"
    ),
}


def _lake(table_format: str | None, of_tables: str, *modes: str) -> dict[str, Seen]:
    """What the tables of a lake can take: `modes`, and no others."""
    read = f"tests/destinations/test_lake.py::test_two_engines_read_the_rows_that_duckdb_has[{table_format}"
    refused = "tests/destinations/test_lake.py::test_what_a_lake_cannot_keep_is_refused_before_anything_is_read"
    seen = {mode: Seen(REFUSED, f"{refused}[{mode} in {of_tables}-folder]") for mode in MODE_NAMES}
    return seen | {mode: Seen(FOR_REAL, f"{read}-{mode}-folder]") for mode in modes}


MATRIX: Mapping[str, Mapping[str, Seen]] = {
    "duckdb": {
        "snapshot": Seen(FOR_REAL, "tests/loading/test_modes.py::test_a_snapshot_equals_the_registry[duckdb]"),
        "incremental": Seen(
            FOR_REAL, "tests/loading/test_modes.py::test_incremental_appends_what_is_newer_with_its_filters[duckdb]"
        ),
        "history": Seen(
            FOR_REAL,
            "tests/loading/test_modes.py::test_history_closes_one_row_and_opens_one_for_a_changed_setting[duckdb]",
        ),
    },
    "postgres": {
        "snapshot": Seen(FOR_REAL, f"{_IN_POSTGRES}[snapshot]"),
        "incremental": Seen(
            FOR_REAL, "tests/loading/test_two_runs.py::test_incremental_mode_takes_one_run_at_a_time_on_postgres_too"
        ),
        "history": Seen(FOR_REAL, f"{_IN_POSTGRES}[history]"),
    },
    "filesystem, `--table-format delta`": _lake("delta", "delta", "snapshot")
    | {"incremental": Seen(FOR_REAL, f"{_TWICE_IN_A_LAKE}[folder-delta]")},
    "filesystem, `--table-format iceberg`": _lake("iceberg", "iceberg", "incremental"),
    "filesystem, Parquet": _lake(None, "Parquet", "incremental"),
    **{
        warehouse.name: {
            **{mode: _parsed(warehouse.name, mode) for mode in MODE_NAMES},
            **_BESIDES.get(warehouse.name, {}),
        }
        for warehouse in WAREHOUSES
    },
    "athena, plain tables": {
        mode: Seen(ACCEPTED if mode == "incremental" else REFUSED, _NO_ICEBERG) for mode in MODE_NAMES
    },
}

_NAME = "team-a/services/a-name-of-40-characters-"
_PROSE = """\
# Destinations

`python -m tests.pages.destinations` writes this page. `--destination` takes any destination of dlt; this is what was
seen of it, with dlt 1.31, and no cell says more than a test saw (`tests/pages/destinations.py` names it).

- **run for real**: a registry was loaded into a server, or a file, of this kind, and its rows compared.
- **run on a stand-in**: tables, rows and the SQL of two loads, as dlt writes it for this warehouse, were run in
  something much like it, and the rows compared: names of any kind, repositories that may not be read, an image that
  went and one that came. How files get there, the driver and the login were not seen.
  [chdb](https://github.com/chdb-io/chdb) is ClickHouse's own engine; [fakesnow](https://github.com/tekumara/fakesnow)
  translates Snowflake's SQL for DuckDB, and does not take the stages that dlt copies files to.
- **SQL parsed only**: dlt took the settings below, with credentials of the right type and no warning, and the SQL that
  it would send is SQL of this dialect, in which the condition names what is replaced. Nobody ran it.
- **tables parsed only**: the same, where dlt sends no more SQL than what makes tables, and appends the files.
- **refused**: before anything is read; dlt itself would append.

{matrix}

## Settings

Each file is what goes into `.dlt/secrets.toml`, or, but for what is secret, into `.dlt/config.toml`:
{files}. The driver comes with dlt's extra of the same name: `pip install "dlt[snowflake]"`. Those of Athena and
ClickHouse bring s3fs, which cannot be installed beside this package: `pip install pyathena`, or
`pip install clickhouse-driver clickhouse-connect`, instead.

- **Athena** needs a bucket for what it reads, which `staging_type` asks for, and Iceberg tables (`force_iceberg`).
- **A window** of incremental mode replaces what it loaded before, by key, in Athena by MERGE: SQL parsed only, in all.
- **Nothing keeps two runs apart** that load into the same dataset of a warehouse other than Postgres: let the scheduler
  start one at a time.
- **Not one transaction**: Databricks, Athena and ClickHouse commit each statement; so does BigQuery where dlt takes the
  SQL for DDL, for which a column `created_at` is enough. A load that dies between deleting and inserting leaves a scope
  without rows until dlt's retry, or the next run, ends well.
- **Postgres** and **a lake** (the destination filesystem) have pages of their own: [postgres](postgres.md),
  [lake](lake.md).
- **Views** are made in DuckDB and Postgres: run for real. In Snowflake, over dlt's own client: each was made and asked
  in fakesnow, without rows. In BigQuery, Redshift and Databricks: SQL parsed only; in MotherDuck as in DuckDB, which
  nobody saw. A view that a warehouse refuses is one warning, and the rows are loaded all the same. What a view is for
  is its comment, but not in Redshift; its columns have theirs in DuckDB, MotherDuck and Postgres. In Athena,
  ClickHouse and a lake no views are made: `ecr-source query` has them.
- **Not seen** in other warehouses: `ecr-source plan`, and what a run
  asks of earlier ones (the mode of the dataset, when an image was asked for its findings); only how the drivers of
  Snowflake and BigQuery hand rows over was imitated.

## What fits

As dlt knows the warehouses. The longest table is `{longest}`, of {length} characters, and no name is cut.
A repository that was asked for by name, or could not be read, is named in the statement that deletes: so many names of
40 characters fit. What happens with more was not seen.

{fits}
"""


def page() -> str:
    """The page as it is to be."""
    longest = max((table.name for table in catalog.TABLES), key=len)
    files = ", ".join(f"[{one.name}](destinations/{one.name}.toml)" for one in WAREHOUSES)
    return _PROSE.format(
        matrix=_grid(_matrix()), files=files, longest=longest, length=len(longest), fits=_grid(_fits())
    )


def _matrix() -> Iterator[Sequence[str]]:
    yield ["destination", *MODE_NAMES]
    for destination, modes in MATRIX.items():
        yield [destination, *(str(modes[mode]) for mode in MODE_NAMES)]


def _fits() -> Iterator[Sequence[str]]:
    yield ["destination", "merge strategies", "a name, characters", "a text, bytes", "a timestamp, digits", "names"]
    for warehouse in WAREHOUSES:
        capabilities = cast("AnyDestination", Destination.from_reference(warehouse.name)).capabilities()
        named = capabilities.max_query_length // len(f"'{_NAME}', ")
        yield [
            warehouse.name,
            ", ".join(capabilities.supported_merge_strategies),
            f"{capabilities.max_identifier_length:,}",
            f"{capabilities.max_text_data_type_length:,}" if capabilities.max_text_data_type_length < 2**40 else "any",
            str(capabilities.timestamp_precision),
            f"{named:,}",
        ]


def _grid(rows: Iterator[Sequence[str]]) -> str:
    header, *others = rows
    lines = [header, ["---"] * len(header), *others]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
