"""One run: settings, a pipeline, what an earlier run left, the load, and how it came out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.configuration.specs import BaseConfiguration, configspec
from dlt.common.runtime.collector import NULL_COLLECTOR
from dlt.common.runtime.collector_base import Collector
from dlt.pipeline.exceptions import PipelineStepFailed

from ecr_source import catalog
from ecr_source.destination import check_destination, make_destination
from ecr_source.errors import ConfigurationError, DestinationUnusable, EcrSourceError, masked
from ecr_source.ledger import Outcome
from ecr_source.modes import parse_mode
from ecr_source.plan import Cost, Known, plan
from ecr_source.scopes import Access, check_access, check_credentials
from ecr_source.source import ecr_source, read_outcome, spool_folder_of

PIPELINE_NAME = "ecr"

_DATABASE = "ecr_database"

_OF_THE_DESTINATION = {"destination", "database", "dataset"}
"""The settings that are no arguments of `ecr_source`."""


class LoadFailed(EcrSourceError):
    """Rows were read, but the destination did not take them; they wait for the next run."""


@configspec
class RunSettings(BaseConfiguration):
    """What a run is told. Each field comes from an argument, else from dlt's configuration: `sources.ecr.<field>`."""

    regions: list[str] | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    registry_id: str | None = None
    repositories: list[str] | None = None
    tables: list[str] | None = None
    mode: str = "snapshot"
    initial_value: str | None = None
    end_value: str | None = None
    findings_from: str = "ecr"
    findings_latest: int | None = None
    findings_pushed_within: float | None = None
    findings_tag: str | None = None
    findings_max_age: float = 7
    moves_last_recorded_pull_time: bool = False
    max_in_flight: int = 32
    spool_folder: str | None = None
    destination: str = "duckdb"
    database: str = "ecr.duckdb"
    dataset: str = "aws_ecr"  # DuckDB cannot tell a schema "ecr" from the database that ecr.duckdb is


def resolve_settings(given: dict[str, Any]) -> RunSettings:
    """The settings, with what is given (not None) before what dlt's configuration says.

    Raises:
        ConfigurationError: a value has the wrong type.
    """
    explicit = {name: value for name, value in given.items() if value is not None}
    try:
        return resolve_configuration(RunSettings(), sections=("sources", "ecr"), explicit_value=explicit)
    except ConfigurationException as error:
        raise ConfigurationError(f"a setting in sources.ecr cannot be read: {masked(str(error))}") from error


def run(settings: RunSettings, progress: Collector) -> Outcome:
    """Loads what `settings` say and tells how it came out; first finishes what an interrupted run left.

    Raises:
        ConfigurationError: a setting, the credentials or the destination are unusable; nothing was read.
        CredentialsRejected: AWS does not accept the credentials; nothing could be loaded.
        LoadFailed: the destination failed; what was read waits, and the next run loads it first.
        KeyboardInterrupt: stopped; nothing is lost.
    """
    # Arrow's own pools keep a heap for each thread: with 32 threads twice the memory, at the same speed.
    pa.set_memory_pool(pa.system_memory_pool())
    source = ecr_source(**{name: value for name, value in settings.items() if name not in _OF_THE_DESTINATION})
    check_credentials(Access(tuple(settings.regions or ()), settings.profile, settings.endpoint_url))
    pipeline = open_pipeline(settings, progress)
    try:
        if pipeline.has_pending_data:
            # Not run(): it would drop them where the dataset does not exist yet.
            pipeline.normalize()
            pipeline.load()
        pipeline.run(source)
    except PipelineStepFailed as failure:
        raise _reason(failure) from failure
    finally:
        shutil.rmtree(spool_folder_of(pipeline, settings.spool_folder), ignore_errors=True)
    return read_outcome(pipeline)


def plan_run(settings: RunSettings) -> list[Cost]:
    """What `run` with these settings would cost; of the calls, it makes those that list repositories.

    Raises:
        ConfigurationError: a setting, the credentials or the destination are unusable.
        CredentialsRejected: AWS does not accept the credentials.
    """
    tables = catalog.select_tables(settings.tables or ())
    access = Access(
        tuple(settings.regions or ()),
        settings.profile,
        settings.endpoint_url,
        settings.registry_id,
        settings.max_in_flight,
    )
    check_access(access)
    without = catalog.FINDINGS_FROM.get(settings.findings_from, ())
    pipeline = open_pipeline(settings, NULL_COLLECTOR)
    return plan(access, tables, settings.repositories or (), without, Known(pipeline))


def open_pipeline(settings: RunSettings, progress: Collector) -> dlt.Pipeline:
    """The pipeline `ecr`, with its destination opened and its working folder belonging to that destination.

    Raises:
        DestinationUnusable: the destination cannot be opened, or rows for another one wait in the working folder.
    """
    database = Path(settings.database).absolute()
    if dlt.config.get("load.delete_completed_jobs") is None:
        dlt.config["load.delete_completed_jobs"] = True  # dlt would keep a copy of all rows of all runs
    destination = make_destination(settings.destination, database)
    pipeline = dlt.pipeline(PIPELINE_NAME, destination=destination, dataset_name=settings.dataset, progress=progress)
    check_destination(pipeline, database, parse_mode(settings.mode, settings.initial_value, settings.end_value))
    place = f"{settings.destination} {database if settings.destination == 'duckdb' else ''} {settings.dataset}"
    before = _local_value(pipeline)
    if before != place and pipeline.has_data:
        # dlt keeps cursors and mode in the working folder; those of another database are wrong here, and this one's
        # are restored from it.
        if before is None and pipeline.has_pending_data:
            return pipeline  # of a script with the same pipeline name
        if pipeline.has_pending_data:
            raise DestinationUnusable(
                f'rows that an interrupted run read for "{before}" wait to be loaded there: run for it first'
            )
        pipeline = pipeline.drop()
    pipeline.set_local_state_val(_DATABASE, place)
    return pipeline


def _local_value(pipeline: dlt.Pipeline) -> str | None:
    try:
        return str(pipeline.get_local_state_val(_DATABASE))
    except KeyError:
        return None


def _reason(failure: PipelineStepFailed) -> BaseException:
    causes = list(_causes(failure))
    for cause in causes:
        if isinstance(cause, (EcrSourceError, KeyboardInterrupt)):
            return cause
    text = " ".join(str(causes[-1]).split())
    return LoadFailed(
        f"cannot {failure.step} what was read: {masked(text)}; the next run goes on from here"
        ' ("dlt pipeline ecr abort-packages" gives up what waits)'
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
