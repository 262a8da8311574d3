"""The registries of the demo, of which docs/questions.md asks: loaded as `ecr-source demo` does, into any database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from ecr_source.cli.demo import load_two_weeks
from ecr_source.destinations.reading import DatasetReader
from ecr_source.loading.loaded.opened import open_loaded
from ecr_source.loading.settings.configuration import resolve_settings
from tests.warehouse import DuckDbFile, Warehouse


@contextmanager
def asked_demo(warehouse: Warehouse | None = None) -> Iterator[DatasetReader]:
    """The dataset of the demo. Without a warehouse it is a DuckDB file."""
    with TemporaryDirectory() as folder, ExitStack() as opened:
        into = warehouse or DuckDbFile(Path(folder) / "demo.duckdb")
        with chdir(folder), patch.dict(os.environ, {"DLT_DATA_DIR": folder, **into.settings}):
            settings = resolve_settings({})
            with into.loading(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                assert load_two_weeks({"destination": settings.destination, "database": settings.database}) == 0
            reader = opened.enter_context(open_loaded(settings))
        yield reader
