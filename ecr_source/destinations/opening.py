"""Destinations by name, opened once before anything is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import dlt
import duckdb
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination import AnyDestination, Destination
from dlt.common.destination.client import JobClientBase
from dlt.common.destination.exceptions import UnknownDestinationModule
from dlt.common.exceptions import MissingDependencyException
from dlt.destinations.impl.duckdb.configuration import DuckDbCredentials
from dlt.destinations.impl.filesystem.configuration import FilesystemDestinationClientConfiguration
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient

from ecr_source.destinations.postgres import check_may_create, is_postgres, postgres
from ecr_source.destinations.s3 import check_bucket
from ecr_source.errors import DestinationUnusable

DUCKDB = "duckdb"
_POSTGRES = "postgres"
# The tables have no order to keep; what does not fit goes to disk. Loading 1,000,000 images takes half the memory, in
# the same time.
_DUCKDB_SETTINGS = {"preserve_insertion_order": "false", "memory_limit": "160MB", "threads": "2"}


def make_destination(name: str, database: Path) -> AnyDestination:
    """The dlt destination of this name; `database` is the file, where it is DuckDB.

    Raises:
        DestinationUnusable: dlt has no such destination.
    """
    if name == DUCKDB:
        credentials = DuckDbCredentials(str(database), global_config=_DUCKDB_SETTINGS)
        return cast("AnyDestination", dlt.destinations.duckdb(credentials))
    try:
        # Under a name of its own a destination has its own settings: destination.<name>.destination_type says which.
        if (dlt.config.get(f"destination.{name}.destination_type", str) or name) == _POSTGRES:
            return cast("AnyDestination", postgres(destination_name=name))
        return cast("AnyDestination", Destination.from_reference(name))
    except UnknownDestinationModule as error:
        raise DestinationUnusable(
            f'unknown destination "{name}": give one of dlt\'s, such as duckdb or postgres'
        ) from error


def is_duckdb(pipeline: dlt.Pipeline) -> bool:
    """Whether `pipeline` loads into a DuckDB file."""
    return isinstance(pipeline.destination, dlt.destinations.duckdb)


def place_of(name: str) -> str:
    """Where the warehouse of this name is, as dlt's configuration says: "warehouse:5432/analytics", "s3://lake/ecr".

    Empty where the configuration does not say: what is wrong with it is told when it is opened.
    """
    try:
        destination = cast("AnyDestination", Destination.from_reference(name))
        configuration = destination.configuration(destination.spec(), accept_partial=True)
        if (
            isinstance(configuration, FilesystemDestinationClientConfiguration)
            and not configuration.is_local_filesystem
        ):
            return configuration.bucket_url
        return configuration.data_location() or ""
    except (UnknownDestinationModule, ConfigurationException, MissingDependencyException):
        return ""


def check_destination(pipeline: dlt.Pipeline, database: Path) -> None:
    """Opens the destination of `pipeline`, so that what is wrong with it is said before anything is read.

    Raises:
        DestinationUnusable: with what is wrong, and what to do.
    """
    name = pipeline.destination.destination_name
    if name == DUCKDB:
        return _check_duckdb(database, pipeline.dataset_name)
    try:
        with pipeline.destination_client() as client:
            if not client.is_storage_initialized():
                _check_can_be_made(pipeline, client)
    except DestinationUnusable:
        raise
    except MissingDependencyException as error:
        packages = " ".join(f'"{package}"' for package in error.dependencies)
        raise DestinationUnusable(
            f"the destination {name} needs packages that are not installed: pip install {packages}"
        ) from error
    except Exception as error:  # each driver has its own
        raise DestinationUnusable(
            f"cannot open the destination {name}: {_first_line(error)};"
            " check that it runs and what .dlt/secrets.toml or the environment say of it"
        ) from error


def _check_can_be_made(pipeline: dlt.Pipeline, client: JobClientBase) -> None:
    """Checks that the dataset, which is not there yet, can be made where nobody is asked before the load."""
    if isinstance(client, FilesystemClient):
        check_bucket(client)
    if is_postgres(pipeline):
        with pipeline.sql_client() as sql:
            check_may_create(sql)


def _check_duckdb(database: Path, dataset: str) -> None:
    if database.stem.casefold() == dataset.casefold():
        raise DestinationUnusable(
            f'DuckDB cannot tell the database "{database.stem}" (of {database.name}) from a schema of the same name:'
            " give another --dataset or --database"
        )
    if not database.parent.is_dir():
        raise DestinationUnusable(f'cannot open the database "{database}": there is no folder "{database.parent}"')
    if database.is_dir():
        raise DestinationUnusable(f'cannot open the database "{database}": it is a folder')
    try:
        duckdb.connect(database).close()
    except duckdb.Error as error:
        raise DestinationUnusable(
            f'cannot open the database "{database}": {_duckdb_reason(database, error)}'
        ) from error


def _duckdb_reason(database: Path, error: duckdb.Error) -> str:
    text = str(error)
    if "Could not set lock" in text or "Conflicting lock" in text:
        return "another process holds it open; close that one, or wait for it, and run again"
    if "not a valid DuckDB" in text:
        return "it is not a DuckDB file; give another --database"
    if "Read-only" in text or "Permission" in text or not os.access(database, os.W_OK):
        return "it cannot be written; change its permissions, or give another --database"
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
