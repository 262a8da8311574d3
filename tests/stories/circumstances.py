"""What happens outside of the command line in a user story, by the words that say it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import duckdb

from ecr_source import catalog
from ecr_source.catalog.model import iam_action
from tests.forked import run_forked
from tests.server.accounts import ACCOUNT
from tests.server.ecr_server import EcrServer
from tests.server.registry import LIFECYCLE_POLICIES, basic_finding

Happening = Callable[..., None]


def bring_about(words: str, server: EcrServer) -> None:
    """Makes true what `words` say."""
    for pattern, happening in _CIRCUMSTANCES.items():
        if found := re.fullmatch(pattern, words):
            happening(server, *found.groups())
            return
    raise ValueError(f"no circumstance is called {words!r}")


def _repositories(server: EcrServer, count: str, images: str) -> None:
    """The first of them has a lifecycle policy, and the newest of its images was scanned."""
    registry = server.registry()
    for number in range(int(count)):
        name = f"team-{number % 2 + 1}/svc-{number + 1}"
        registry.put(name, 1_700_000_000 + number)
        for version in range(int(images)):
            digest = f"sha256:{number:032x}{version:032x}"
            registry.put_image(name, digest, [f"v{version + 1}"], 1_700_000_000 + version)
            if number == 0 and version == int(images) - 1:
                registry.scan(name, digest, [basic_finding("CVE-2026-0001", "openssl", "3.0.13", "CRITICAL")])
    registry.lifecycle_policies["team-1/svc-1"] = json.dumps(LIFECYCLE_POLICIES["team-a/web"])


def _denied(server: EcrServer, actions: str) -> None:
    all_actions = {iam_action(operation) for operation in catalog.operations_of(catalog.TABLES)}
    server.allowed[ACCOUNT] = all_actions - {*actions.replace(" and ", ", ").split(", ")}


def _allowed(server: EcrServer) -> None:
    server.allowed.clear()


def _deleted(server: EcrServer, name: str) -> None:
    del server.registry().repositories[name]


def _created(server: EcrServer, name: str) -> None:
    server.registry().put(name)


def _days_pass(_: EcrServer, days: str) -> None:
    """As if all that is in the database had been loaded so many days ago."""
    earlier = f"INTERVAL {days} DAY"
    with duckdb.connect("ecr.duckdb") as connection:
        times = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'aws_ecr'"
            " AND column_name IN ('extracted_at', 'started_at', 'finished_at', 'oldest_answer_at', 'inserted_at')"
            " AND table_name IN (SELECT table_name FROM duckdb_tables())"
        )
        for table, column in times.fetchall():
            connection.execute(f"UPDATE aws_ecr.{table} SET {column} = {column} - {earlier}")


def _configured(_: EcrServer, line: str) -> None:
    """In `.dlt/config.toml`, and nothing else there."""
    Path(".dlt").mkdir(exist_ok=True)
    Path(".dlt", "config.toml").write_text(f"[sources.ecr]\n{line}\n")


def _demo_was_run(_: EcrServer) -> None:
    assert run_forked(["demo"], os.environ, 120).returncode == 0


def _immutable(server: EcrServer, name: str) -> None:
    server.registry().repositories[name]["imageTagMutability"] = "IMMUTABLE"


_CIRCUMSTANCES: dict[str, Happening] = {
    r"(\d+) repositories of (\d+) images, of which one has a policy and a scanned image": _repositories,
    r"((?:\w+:\w+(?:, | and )?)+) (?:is|are) denied": _denied,
    r"all is allowed again": _allowed,
    r"the repository (\S+) is deleted": _deleted,
    r"the repository (\S+) is created": _created,
    r"(\d+) days? pass(?:es)?": _days_pass,
    r"config\.toml has `(.*)`": _configured,
    r"the demo was run": _demo_was_run,
    r"the tags of (\S+) become immutable": _immutable,
}
