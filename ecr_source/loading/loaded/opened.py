"""The dataset that runs have loaded, opened to be read: where the settings say that it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ecr_source.destinations.reading.duckdb_file import open_file

if TYPE_CHECKING:
    from ecr_source.destinations.reading import DatasetReader
    from ecr_source.loading.settings.declared import Settings


def open_loaded(settings: Settings) -> AbstractContextManager[DatasetReader]:
    """The dataset that `run` with these settings would load into.

    Raises:
        DestinationUnreachable: it cannot be opened now.
        ConfigurationError: it is not there, or a setting is wrong.
    """
    if settings.destination == "duckdb":
        return open_file(Path(settings.database).absolute(), settings.dataset)
    return _open_by_dlt(settings)


@contextmanager
def _open_by_dlt(settings: Settings) -> Iterator[DatasetReader]:
    import dlt

    from ecr_source.destinations.destination import destination_of, make_destination

    warehouse = destination_of(make_destination(settings.destination, Path(settings.database)))
    warehouse.check_dataset_name(settings.dataset)
    with TemporaryDirectory() as folder:  # not the one in which a run may be at work
        pipeline = dlt.pipeline(
            "ecr", pipelines_dir=folder, destination=warehouse.destination, dataset_name=settings.dataset
        )
        with warehouse.open_reader(pipeline, settings.parameters or {}) as reader:
            yield reader
