"""What dlt extracts with now: its own `dlt.current.pipeline()` resolves the configuration anew whenever it is asked.

Asked for each table that took 75 ms, and the destination's capabilities 120 ms: together nearly half of a small run.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.common.destination import AnyDestination
from dlt.common.pipeline import PipelineContext
from dlt.common.schema.typing import LOADS_TABLE_NAME
from dlt.destinations.sql_client import SqlClientBase

from ecr_source.catalog import EXTRACTION_SCOPES
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.replacement import LoadedBefore
from ecr_source.destinations.warehouse import Warehouse
from ecr_source.loading.loaded.dataset import Dataset


def current_pipeline() -> dlt.Pipeline:
    """The pipeline that extracts."""
    pipeline = Container()[PipelineContext].pipeline()
    assert isinstance(pipeline, dlt.Pipeline)
    return pipeline


def current_destination() -> Warehouse:
    """Where it loads."""
    return _known(current_pipeline().destination)


def current_loads() -> LoadedBefore | None:
    """The tables that tell what others have loaded; None where there are none yet."""
    return _loads(current_pipeline(), dlt.current.load_package_state()["load_id"])


@lru_cache(maxsize=1)
def _loads(pipeline: dlt.Pipeline, load_id: str) -> LoadedBefore | None:
    """Found out once for each load."""
    is_made = EXTRACTION_SCOPES.name in dlt.current.source().selected_resources
    if not is_made and Dataset(pipeline).last_run is None:
        return None
    client = _client(pipeline)
    names = (client.make_qualified_table_name(name) for name in (EXTRACTION_SCOPES.name, LOADS_TABLE_NAME))
    return LoadedBefore(*names)


def current_staging(table: Table | RunTable) -> str:
    """The qualified name of the table in which its rows wait for dlt's merge."""
    return _client(current_pipeline()).get_qualified_table_names(table.name)[1]


@lru_cache(maxsize=1)
def _client(pipeline: dlt.Pipeline) -> SqlClientBase[Any]:
    """Makes the names of tables; it is not opened."""
    return pipeline.sql_client()


@lru_cache(maxsize=1)
def _known(destination: AnyDestination) -> Warehouse:
    return destination_of(destination)
