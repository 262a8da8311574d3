"""A load in a process of its own, which is killed at one of the things that it does to the files of its pipeline."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import dlt

from ecr_source import ecr_source
from ecr_source.loading.load import finish, load
from tests.forked import CONTEXT, enter, exit_code, start
from tests.newer_catalog import newer_catalog
from tests.warehouse import DATASET, Warehouse

_DEEDS = {"open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree"}
"""What Python tells its audit hooks of files: between two of them a load changes nothing that outlives it, but rows."""

_SECONDS = 120


@dataclass(frozen=True)
class KilledLoad:
    """Loads what an `ecr_source` of these `arguments` reads or, without any, what waits in the pipeline's `folder`."""

    folder: Path
    warehouse: Warehouse
    arguments: Mapping[str, Any] | None
    by_newer_version: bool = False

    def until(self, deed: int | str) -> bool:
        """Whether it was killed, at the deed of this number, or before it moves something to such a place, or had ended
        before."""
        process = CONTEXT.Process(target=_load, args=(self, deed, dict(os.environ), str(Path.cwd())))
        start(process)
        code = exit_code(process, _SECONDS)
        assert code in {0, -signal.SIGKILL}, code
        return code != 0


def _load(what: KilledLoad, deed: int | str, environment: Mapping[str, str], working_folder: str) -> None:
    enter(environment, working_folder)
    pipeline = dlt.pipeline(
        "ecr", pipelines_dir=str(what.folder), destination=what.warehouse.destination, dataset_name=DATASET
    )
    deeds = count(1)

    def is_it(event: str, told: tuple[Any, ...]) -> bool:
        if isinstance(deed, str):
            return event == "os.rename" and deed in str(told[1])
        return event in _DEEDS and str(told[0]).startswith(str(what.folder)) and next(deeds) == deed

    def look(event: str, told: tuple[Any, ...]) -> None:
        if is_it(event, told):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)
    with newer_catalog() if what.by_newer_version else nullcontext():
        if what.arguments is None:
            finish(pipeline)
        else:
            load(pipeline, ecr_source(**what.arguments))
