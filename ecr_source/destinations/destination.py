"""Destinations by name, and what is known of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import dlt
from dlt.common.destination import AnyDestination, Destination
from dlt.common.destination.exceptions import UnknownDestinationModule

from ecr_source.destinations.capabilities import asked_once
from ecr_source.destinations.cloud_warehouse import CloudWarehouse, MotherDuck, Redshift
from ecr_source.destinations.duckdb import NAME as DUCKDB
from ecr_source.destinations.duckdb import DuckDb, duckdb_file
from ecr_source.destinations.lake import Lake
from ecr_source.destinations.postgres import Postgres, postgres
from ecr_source.destinations.warehouse import Warehouse
from ecr_source.errors import DestinationUnusable

_POSTGRES = "postgres"

_KNOWN: dict[type[Any], type[Warehouse]] = {
    dlt.destinations.duckdb: DuckDb,
    dlt.destinations.postgres: Postgres,
    dlt.destinations.filesystem: Lake,
    dlt.destinations.motherduck: MotherDuck,
    dlt.destinations.snowflake: CloudWarehouse,
    dlt.destinations.bigquery: CloudWarehouse,
    dlt.destinations.redshift: Redshift,
    dlt.destinations.databricks: CloudWarehouse,
}
"""What is known of the destinations that are one of these classes of dlt's, or a subclass."""


def make_destination(name: str, database: Path) -> AnyDestination:
    """The dlt destination of this name; `database` is the file, where it is DuckDB.

    Raises:
        DestinationUnusable: dlt has no such destination.
    """
    if name == DUCKDB:
        return duckdb_file(database)
    try:
        # Under a name of its own a destination has its own settings: destination.<name>.destination_type says which.
        if (dlt.config.get(f"destination.{name}.destination_type", str) or name) == _POSTGRES:
            return cast("AnyDestination", postgres(destination_name=name))
        return asked_once(cast("AnyDestination", Destination.from_reference(name)))
    except UnknownDestinationModule as error:
        raise DestinationUnusable(
            f'unknown destination "{name}": give one of dlt\'s, such as duckdb or postgres'
        ) from error


def destination_of(loaded_into: dlt.Pipeline | AnyDestination) -> Warehouse:
    """What is known of a dlt destination, or of a pipeline's: under whatever name, and of ours or dlt's own class."""
    destination = loaded_into.destination if isinstance(loaded_into, dlt.Pipeline) else loaded_into
    return next((known for dlts, known in _KNOWN.items() if isinstance(destination, dlts)), Warehouse)(destination)
