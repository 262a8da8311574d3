"""One load of a pipeline: what waits, what is read now, and then the views; alone where others load too."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import dlt
from dlt.destinations.exceptions import DatabaseException
from dlt.extract import DltSource

from ecr_source.destinations.comments import write_comments
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.indexes import create_indexes
from ecr_source.destinations.views.creation import create_views
from ecr_source.destinations.warehouse import SqlClient, Warehouse
from ecr_source.extract.ledger import Outcome
from ecr_source.extract.rows.row_groups import give_back_memory
from ecr_source.loading.conversion import drop_staging_without_versions, give_up_snapshot_of_history
from ecr_source.loading.loaded.resumption import (
    note_loaded_jobs,
    put_away_loaded_packages,
    take_over_schemas,
)
from ecr_source.loading.schema_files import read_schemas_once
from ecr_source.loading.settings.configuration import resolve_parameters
from ecr_source.loading.source import read_outcome
from ecr_source.loading.working_folder import delete_what_no_run_needs, note_place, read_into

_LOGGER = logging.getLogger(__name__)

# Fewer leave little garbage: to collect it takes 60 ms.
_MANY_ROWS = 50_000


def load(pipeline: dlt.Pipeline, source: DltSource, *, parameters: Mapping[str, float] | None = None) -> Outcome:
    """Loads `source`, an `ecr_source`, and tells how it came out.

    Like `pipeline.run(source)`, but it first loads what an interrupted run left, loads alone where others load into the
    same dataset in Postgres, and then makes views, comments and indexes. `parameters` are prices, quotas and thresholds
    of the views that are to have other values, `{"storage_price": 0.08}`, before those that dlt's configuration
    overrides in `sources.ecr.parameters`.

    Raises:
        ConfigurationError: there is no such parameter, or a value is no number.
        PipelineStepFailed: dlt's error, of which the cause tells what failed; what was read waits in the pipeline's
            working folder.
    """
    parameters = resolve_parameters(parameters or {})
    destination = destination_of(pipeline)
    read_schemas_once(pipeline)
    with destination.kept_open():
        finish(pipeline, parameters)
        pipeline.sync_destination()
        if read_into(pipeline) is None:  # dlt keeps what is noted while it extracts only after the rows are there
            note_place(pipeline, destination)
        pipeline.extract(source)
        outcome = read_outcome(pipeline)
        _give_back_memory_of(outcome)
        pipeline.normalize()
        _give_back_memory_of(outcome)
        load_alone(pipeline, parameters)
    return outcome


def _give_back_memory_of(outcome: Outcome) -> None:
    """Gives back what the step before took for the rows of a run, so that the next one does not come on top of it."""
    if sum(table.rows for table in outcome.tables) >= _MANY_ROWS:
        gc.collect()  # readings and writers are in reference cycles
    give_back_memory()


def finish(pipeline: dlt.Pipeline, parameters: Mapping[str, float] | None = None) -> None:
    """Loads what an interrupted load left. Not by run(), which would drop it where the dataset does not exist yet."""
    delete_what_no_run_needs(Path(pipeline.working_dir))
    if pipeline.has_pending_data:
        put_away_loaded_packages(pipeline)
        note_loaded_jobs(pipeline)
        take_over_schemas(pipeline)
        pipeline.normalize()
        load_alone(pipeline, parameters)


def load_alone(pipeline: dlt.Pipeline, parameters: Mapping[str, float] | None = None) -> None:
    """Loads what was normalised while no other does, and brings views, comments and indexes up to date.

    `parameters` are as in `load`.

    Raises:
        PipelineStepFailed, DestinationException: the destination failed.
        LockLost: another load may have come between.
        ConfigurationError: the dataset was converted to history mode, and what waited was read in snapshot mode.
    """
    destination = destination_of(pipeline)
    with destination.loading_alone(pipeline) as loading:
        if loading:
            give_up_snapshot_of_history(pipeline, loading)
            drop_staging_without_versions(loading)
        pipeline.load()
        if destination.has_views:
            views = partial(create_views, parameters=resolve_parameters(parameters or {}))
            steps: dict[str, Callable[[Warehouse, SqlClient], None]] = {
                "create views": views,
                "write comments": write_comments,
                "create indexes": create_indexes,
            }
            with _told_as_warning("open it for views"), pipeline.sql_client() as client:
                for purpose, complete in steps.items():
                    with _told_as_warning(purpose):
                        complete(destination, client)


@contextmanager
def _told_as_warning(purpose: str) -> Iterator[None]:
    try:
        yield
    except DatabaseException as error:  # the rows are there all the same
        _LOGGER.warning("loaded, but it failed to %s: %s", purpose, " ".join(str(error).split()))
