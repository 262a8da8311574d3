"""`ecr-source` in processes that are forked from one that has imported it: each starts two seconds sooner."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

CONTEXT = multiprocessing.get_context("forkserver")
# The working directory and the environment are each process's own; `tests.forked` imports nothing that reads them.
CONTEXT.set_forkserver_preload(
    [
        *(
            "ecr_source.cli.commands",
            "ecr_source.cli.output.run_report",
            "ecr_source.destinations.postgres_client",
            "psycopg2",
            "tests.forked",
        ),
        # What dlt, typer and others import when they first need it.
        *(
            "dlt.common.libs.sql_alchemy_compat",
            "dlt.destinations.impl.duckdb.duck",
            "dlt.destinations.impl.postgres.postgres",
            "ecr_source.cli.output.plan_report",
            "pendulum.locales.en.locale",
            "pyarrow.acero",
            "pyarrow.csv",
            "pycurl",
            "pytz",
            "rich._emoji_codes",
            "typer._adapters",
        ),
        "tests.preloaded",
        "tests.whole.killed_load",
    ]
)

# Whenever a process starts, multiprocessing reads the exit codes of those that have ended, each of which can be read
# once: without turns a thread that waits for one would find nothing.
_IN_TURN = threading.Lock()


def start(process: BaseProcess) -> None:
    """Starts it, while other threads may wait for others."""
    with _IN_TURN:
        process.start()


def exit_code(process: BaseProcess, timeout: float | None = None) -> int | None:
    """Waits for its end; None if that has not come after so many seconds."""
    if not wait([process.sentinel], timeout):
        return None
    with _IN_TURN:
        process.join()
        return process.exitcode


class ForkedCommand:
    """`ecr-source` with these arguments, in a process of its own, which does not outlive the block.

    `errors` are the lines that it writes to standard error, until it ends.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        reading, writing = CONTEXT.Pipe(duplex=False)
        task = (list(arguments), dict(environment), str(Path.cwd()), writing)
        self._process = CONTEXT.Process(target=_command, args=task)
        start(self._process)
        writing.close()
        self.errors = os.fdopen(os.dup(reading.fileno()))
        reading.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.kill()
        exit_code(self._process)
        self.errors.close()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()

    def end(self) -> tuple[int, str]:
        """Waits for the end; the exit code, and the rest of standard error."""
        rest = self.errors.read()
        code = exit_code(self._process)
        assert code is not None
        return code, rest


def run_forked(
    arguments: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """`ecr-source` with these arguments to its end, as `subprocess.run` tells of it.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    with TemporaryDirectory() as outputs:
        written = [Path(outputs, name) for name in ("stdout", "stderr")]
        task = (list(arguments), dict(environment), str(Path.cwd()), *map(str, written))
        process = CONTEXT.Process(target=_command_to_its_end, args=task)
        start(process)
        code = exit_code(process, timeout)
        if code is None:
            process.kill()
            exit_code(process)
            raise subprocess.TimeoutExpired(["ecr-source", *arguments], timeout)
        stdout, stderr = (path.read_text() for path in written)
        return subprocess.CompletedProcess(["ecr-source", *arguments], code, stdout, stderr)


def _command(arguments: list[str], environment: dict[str, str], folder: str, errors: Connection) -> None:
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    errors.close()
    _type(arguments, environment, folder)


def _command_to_its_end(
    arguments: list[str], environment: dict[str, str], folder: str, stdout: str, stderr: str
) -> None:
    for number, path in enumerate((stdout, stderr), 1):
        with Path(path).open("w") as output:
            os.dup2(output.fileno(), number)
    _type(arguments, environment, folder)


def enter(environment: Mapping[str, str], folder: str) -> None:
    """Makes a forked process one that was started with this environment, in this folder."""
    from dlt.common.configuration.container import Container
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    Container()[PluggableRunContext].reload(folder)  # dlt looked for .dlt where it was imported


def _type(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    from ecr_source.cli import main

    enter(environment, folder)
    sys.argv = ["ecr-source", *arguments]
    main()
