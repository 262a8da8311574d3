"""One load of a pipeline: what waits, what is read now, and then the views; alone where others load too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dlt
from dlt.destinations.exceptions import DatabaseException
from dlt.extract import DltSource

from ecr_source.destinations.comments import write_comments
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.indexes import create_indexes
from ecr_source.destinations.views import create_views
from ecr_source.extract.ledger import Outcome
from ecr_source.loading.resumption import note_loaded_jobs
from ecr_source.loading.source import read_outcome
from ecr_source.loading.working_folder import delete_what_no_run_needs

_LOGGER = logging.getLogger(__name__)


def load(pipeline: dlt.Pipeline, source: DltSource) -> Outcome:
    """Loads `source`, an `ecr_source`, and tells how it came out.

    Like `pipeline.run(source)`, but it first loads what an interrupted run left, loads alone where others load into the
    same dataset in Postgres, and then makes views, comments and indexes.

    Raises:
        PipelineStepFailed: dlt's error, of which the cause tells what failed; what was read waits in the pipeline's
            working folder.
    """
    finish(pipeline)
    pipeline.sync_destination()
    pipeline.extract(source)
    outcome = read_outcome(pipeline)
    pipeline.normalize()
    load_alone(pipeline)
    return outcome


def finish(pipeline: dlt.Pipeline) -> None:
    """Loads what an interrupted load left. Not by run(), which would drop it where the dataset does not exist yet."""
    delete_what_no_run_needs(Path(pipeline.working_dir))
    if pipeline.has_pending_data:
        note_loaded_jobs(pipeline)
        pipeline.normalize()
        load_alone(pipeline)


def load_alone(pipeline: dlt.Pipeline) -> None:
    """Loads what was normalised while no other does, and brings views, comments and indexes up to date.

    Raises:
        PipelineStepFailed, DestinationException: the destination failed.
        LockLost: another load may have come between.
    """
    destination = destination_of(pipeline)
    with destination.loading_alone(pipeline):
        pipeline.load()
        if destination.has_views:
            with _told_as_warning("open it for views"), pipeline.sql_client() as client:
                for complete in (create_views, write_comments, create_indexes):
                    with _told_as_warning(complete.__name__.replace("_", " ")):
                        complete(destination, client)


@contextmanager
def _told_as_warning(purpose: str) -> Iterator[None]:
    try:
        yield
    except DatabaseException as error:  # the rows are there all the same
        _LOGGER.warning("loaded, but it failed to %s: %s", purpose, " ".join(str(error).split()))
