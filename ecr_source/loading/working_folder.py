"""Where a run keeps what it has not loaded yet: a folder that no other run uses meanwhile."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.common.storages import LoadStorage, NormalizeStorage, PackageStorage
from filelock import AcquireReturnProxy, FileLock, Timeout

from ecr_source.destinations.warehouse import Warehouse
from ecr_source.errors import DestinationUnusable

_BESIDE = "ecr-source"
_PLACE = "ecr_place"


@dataclass(frozen=True)
class WorkingFolder:
    """A folder for the pipeline's packages and state: dlt's own, or, beside a run that has that one, another."""

    path: Path
    place: str

    def left_behind(self) -> Iterator[WorkingFolder]:
        """The folders beside dlt's own of runs into the same destination that are over; locked while looked at."""
        for path in sorted(_folder_beside(self.place).parent.glob(f"{_name(self.place)}-*/")):
            if path != self.path and (lock := _locked(path)):
                with lock:
                    yield WorkingFolder(path, self.place)

    def delete(self) -> None:
        """Deletes the folder and all that is in it."""
        shutil.rmtree(self.path)


@contextmanager
def working_folder(place: str, *, shared: bool) -> Iterator[WorkingFolder]:
    """The folder of a run into the destination that `place` names.

    Locks end with the process, also when that is killed.

    Raises:
        DestinationUnusable: another run loads into it, and runs may not share it.
    """
    with ExitStack() as locks:
        if not shared:
            locks.enter_context(alone_in(place))
        for folder in _candidates(place):
            if lock := _locked(folder):
                locks.enter_context(lock)
                yield WorkingFolder(folder, place)
                return


def alone_in(place: str) -> AbstractContextManager[object]:
    """While it lasts no other run loads into the destination that `place` names, of those that may not share it.

    Raises:
        DestinationUnusable: another one does.
    """
    alone = _locked(_folder_beside(place))
    if alone is None:
        raise DestinationUnusable(f"another run loads into {place}: wait for its end, and run again")
    return alone


def place_of(destination: Warehouse, dataset: str) -> str:
    """What tells one place that rows are loaded into from another."""
    return " ".join(filter(None, (destination.name, destination.place, dataset)))


def note_place(pipeline: dlt.Pipeline, destination: Warehouse) -> None:
    """Notes beside the rows that `pipeline` extracts where they are to be loaded, which dlt does not."""
    pipeline.set_local_state_val(_PLACE, place_of(destination, pipeline.dataset_name))


def read_into(pipeline: dlt.Pipeline) -> str | None:
    """Where the rows were to be loaded that `pipeline` extracted last; None if nothing says so."""
    try:
        return str(pipeline.get_local_state_val(_PLACE))
    except KeyError:
        return None


def delete_what_no_run_needs(pipeline_folder: Path) -> None:
    """Deletes the rows in dlt's folder of a pipeline that a killed run left there and no other would ever load.

    What it extracted completely, or normalised, stays: that is still to be loaded.
    """
    # dlt extracts into a folder with a random name.
    for extraction in (pipeline_folder / "normalize").glob("*/"):
        if extraction.name != NormalizeStorage.EXTRACTED_FOLDER:
            shutil.rmtree(extraction)
    # What was normalised dlt deletes file by file; what a kill left of it can be normalised no more.
    for package in (pipeline_folder / "normalize" / NormalizeStorage.EXTRACTED_FOLDER).glob("*/"):
        normalized = pipeline_folder / "load" / LoadStorage.NORMALIZED_FOLDER / package.name
        if normalized.exists() or not (package / PackageStorage.SCHEMA_FILE_NAME).exists():
            shutil.rmtree(package)
    # After a load dlt deletes its copy of the rows, if told so; a run that was killed in between does not.
    if dlt.config.get("load.delete_completed_jobs", bool):
        for jobs in (pipeline_folder / "load" / LoadStorage.LOADED_FOLDER).glob("*/completed_jobs/"):
            shutil.rmtree(jobs)


def _candidates(place: str) -> Iterator[Path]:
    yield Path(get_dlt_pipelines_dir())
    for number in count(2):
        yield _folder_beside(place).with_name(f"{_name(place)}-{number}")


def _folder_beside(place: str) -> Path:
    return Path(get_dlt_pipelines_dir()) / _BESIDE / _name(place)


def _name(place: str) -> str:
    return hashlib.blake2b(place.encode(), digest_size=6).hexdigest()


def _locked(folder: Path) -> AcquireReturnProxy | None:
    """The lock of `folder`, taken; None if a run has it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(folder.with_name(f"{folder.name}.lock")).acquire(blocking=False)
    except Timeout:
        return None
