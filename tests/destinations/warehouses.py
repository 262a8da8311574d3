"""What dlt would send to warehouses that no test can reach: with which settings, to which tables, in which SQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.destination.client import (
    DestinationClientDwhWithStagingConfiguration,
    DestinationClientStagingConfiguration,
)
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.common.time import ensure_datetime_in_tz
from dlt.dataset.utils import get_destination_client_initial_config
from dlt.destinations.job_client_impl import SqlJobClientBase, SqlLoadJob
from dlt.destinations.sql_client import SqlClientBase

from ecr_source import ecr_source
from ecr_source.destinations.literals import literal
from tests.destinations.drivers import replace_missing_drivers
from tests.server.ecr_server import DENIED, EcrServer

SETTINGS = Path(__file__).parents[2] / "docs" / "destinations"
DATASET = "aws_ecr"


@dataclass(frozen=True)
class Warehouse:
    """A destination of dlt; `dialect` is sqlglot's name of its SQL, `credentials` the class of what opens it."""

    name: str
    dialect: str
    credentials: str


WAREHOUSES = (
    Warehouse("snowflake", "snowflake", "SnowflakeCredentials"),
    Warehouse("bigquery", "bigquery", "GcpServiceAccountCredentials"),
    Warehouse("redshift", "redshift", "RedshiftCredentials"),
    Warehouse("databricks", "databricks", "DatabricksCredentials"),
    Warehouse("athena", "athena", "AwsCredentials"),
    Warehouse("motherduck", "duckdb", "MotherDuckCredentials"),
    Warehouse("clickhouse", "clickhouse", "ClickHouseCredentials"),
)


@contextmanager
def project(folder: Path, warehouse: Warehouse) -> Iterator[dlt.Pipeline]:
    """The pipeline `ecr` into the warehouse, in a project whose only settings are those of docs/destinations."""
    replace_missing_drivers()
    (folder / ".dlt").mkdir(parents=True)
    shutil.copy(SETTINGS / f"{warehouse.name}.toml", folder / ".dlt" / "secrets.toml")
    context = Container()[PluggableRunContext]
    before = context.context.run_dir
    context.reload(str(folder))
    try:
        yield dlt.pipeline(
            "ecr", destination=warehouse.name, dataset_name=DATASET, pipelines_dir=str(folder / "pipelines")
        )
    finally:
        context.reload(before)


def extract(pipeline: dlt.Pipeline, **arguments: Any) -> None:
    """Reads, as into a destination that cannot be asked what it has."""

    sql_client = pipeline.sql_client

    def unopened() -> SqlClientBase[Any]:
        def unreachable() -> None:
            raise SqlClientNotAvailable("ecr", DATASET, "unreachable")

        client = sql_client()
        patch.setattr(client, "open_connection", unreachable)
        return client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "sql_client", unopened)
        pipeline.extract(ecr_source(**arguments))


def unopened_client(pipeline: dlt.Pipeline) -> SqlJobClientBase:
    """What loads into the warehouse, with its driver not asked for anything."""
    assert pipeline.destination is not None
    settings = get_destination_client_initial_config(pipeline.destination, pipeline.dataset_name)
    if pipeline.staging:
        assert isinstance(settings, DestinationClientDwhWithStagingConfiguration)
        staging = get_destination_client_initial_config(pipeline.staging, pipeline.dataset_name, as_staging=True)
        staged = pipeline.staging.configuration(staging)
        assert isinstance(staged, DestinationClientStagingConfiguration)
        settings.staging_config = staged
    client = pipeline.destination.client(pipeline.default_schema, settings)
    assert isinstance(client, SqlJobClientBase)
    return client


def create_statements(client: SqlJobClientBase, table: str, *, staged: bool = False) -> list[str]:
    """What makes the table, or the one that rows wait in to be merged."""
    columns = list(client.prepare_load_table(table)["columns"].values())
    if not staged:
        return client._get_table_update_sql(table, columns, generate_alter=False)
    with client.sql_client.with_staging_dataset():
        return client._get_table_update_sql(table, columns, generate_alter=False)


def load_statements(client: SqlJobClientBase, table: str, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> list[str]:
    """What a load sends once the rows are staged, cut into statements as dlt does it; nothing where it only appends."""
    prepared = client.prepare_load_table(table)
    boundary: dict[str, Any] = {"x-boundary-timestamp": at}
    jobs = client.create_table_chain_completed_followup_jobs([prepared | boundary])  # type: ignore[list-item]
    texts = [Path(job.new_file_path()).read_text() for job in jobs]
    return [statement for text in texts for statement in SqlLoadJob._split_fragments(None, text)]  # type: ignore[arg-type]


def stage_statements(pipeline: dlt.Pipeline, client: SqlJobClientBase, table: str) -> list[str]:
    """What puts the rows that were extracted into the table where rows wait; dlt itself copies files."""
    files = sorted(Path(pipeline.working_dir).glob(f"**/new_jobs/{table}.*.parquet"))
    rows = pa.concat_tables([pq.read_table(file) for file in files], promote_options="default")
    with client.sql_client.with_staging_dataset():
        name = client.sql_client.make_qualified_table_name(table)
    columns = ", ".join(client.sql_client.escape_column_name(column) for column in rows.column_names)
    values = (f"({', '.join(_value(client, value) for value in row.values())})" for row in rows.to_pylist())
    return [f"DELETE FROM {name} WHERE 1 = 1", *(f"INSERT INTO {name} ({columns}) VALUES {row}" for row in values)]


def _value(client: SqlJobClientBase, value: object) -> str:
    capabilities = client.capabilities
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return literal(value, capabilities.sqlglot_dialect)
    if isinstance(value, datetime):
        generic = DestinationCapabilitiesContext.generic_capabilities().format_datetime_literal
        written = getattr(capabilities, "format_datetime_literal", None) or generic
        return str(written(ensure_datetime_in_tz(value, UTC), 6, False))
    return str(value).lower()


FIRST_IMAGE, SECOND_IMAGE = (f"sha256:{digit * 64}" for digit in "12")
MOMENTS = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def loads_in_turn(
    server: EcrServer, warehouse: Warehouse, folder: Path, mode: str, names: Sequence[str]
) -> Iterator[list[str]]:
    """The statements of two loads of `images`, from the tables to what is in them, with the rows put in as values.

    All images of the repositories `names` and of "plain" are there first. Then the images of `names` are gone, but may
    not be listed, and so are to be kept; "plain" has another one.
    """
    registry = server.registry()
    for name in [*names, "plain"]:
        registry.put(name)
        registry.put_image(name, FIRST_IMAGE)
    arguments = {"regions": [registry.region], "endpoint_url": server.url, "tables": ["images"], "mode": mode}
    with project(folder / "first", warehouse) as pipeline:
        extract(pipeline, **arguments)
        client = unopened_client(pipeline)
        tables = [*create_statements(client, "images"), *create_statements(client, "images", staged=True)]
        for asked in ("extraction_scopes", "_dlt_loads"):
            tables += create_statements(client, asked)
        yield [*tables, *stage_statements(pipeline, client, "images"), *load_statements(client, "images", MOMENTS[0])]
    for name in names:
        registry.delete_image(name, FIRST_IMAGE)
        server.fail(DENIED, operation="DescribeImages", repository=name)
    registry.delete_image("plain", FIRST_IMAGE)
    registry.put_image("plain", SECOND_IMAGE)
    with project(folder / "second", warehouse) as pipeline:
        extract(pipeline, **arguments)
        client = unopened_client(pipeline)
        yield [*stage_statements(pipeline, client, "images"), *load_statements(client, "images", MOMENTS[1])]


def images_expected(mode: str, names: Sequence[str]) -> list[tuple[str, str, bool]]:
    """Repository, digest, and whether the row is a current one, after both loads."""
    kept = [(name, FIRST_IMAGE, True) for name in names]
    retired = [("plain", FIRST_IMAGE, False)] if mode == "history" else []
    return sorted([*kept, *retired, ("plain", SECOND_IMAGE, True)])
