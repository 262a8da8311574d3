"""Names and texts that somebody else chose, as bad as they come: they are loaded as they are, and do nothing."""

from __future__ import annotations

import json
import os
import subprocess
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecr_source.errors import visible
from ecr_source.extract.ledger import Outcome
from tests.conftest import ECR_SOURCE, Row, environment
from tests.nightly import first_by_day
from tests.server.ecr_server import EcrServer, error
from tests.warehouse import POSTGRES_AT_NIGHT, PostgresDatabase, Warehouse

Ecr = Callable[..., subprocess.CompletedProcess[str]]
Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]

HOSTILE = [
    "'; DROP TABLE repositories; -- /* \\",
    '"quoted" \'quoted\' \\"escaped\\"\'',
    "{} {table} {0} {{ %s %(name)s %% $1 ? :name",
    "$(touch owned) `touch owned` | touch owned",
    "line\none\r\ntwo\ttab \n",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    "\u202egpj.exe\u2066\u200b\u2028end\x85 名前 é 🐳",
    "<script>alert(1)</script>&amp;[bold red]markup[/] https://[::1",
    "../../../owned",
    "--option",
    "x" * 256,
]
WITH_NUL = "before\x00after'; --"
NAMES = [*HOSTILE, WITH_NUL]
DENIED = {*HOSTILE[:7], WITH_NUL}
"""Their images cannot be read, so that they are named in the condition of what is replaced, and on the terminal."""

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.fixture
def hostile(server: EcrServer) -> EcrServer:
    """A registry in which everything that somebody may choose is hostile."""
    registry = server.registry()
    for name in NAMES:
        registry.put(name)
        registry.put_image(name, tags=[f"tag {name}"])
        registry.tags[name] = {f"key {name}": f"value {name}"}
        registry.policies[name] = json.dumps({"Statement": [{"Sid": name, "Effect": "Allow", "Action": name}]})
        registry.lifecycle_policies[name] = f"no JSON: {name}"
        registry.repository_creation_templates.append(
            {"prefix": name, "description": f"description {name}", "appliedFor": ["REPLICATION"], "createdAt": 1}
        )
        registry.pull_through_cache_rules.append({"ecrRepositoryPrefix": name, "upstreamRegistryUrl": name})
    return server


def deny(server: EcrServer) -> None:
    for name in DENIED:
        server.fail(error("AccessDeniedException", f"not you: {name}"), operation="DescribeImages", repository=name)


def loaded(query: Query, mode: str) -> dict[str, list[Any]]:
    """What the tables say now, as the names that it was made of."""
    current = "WHERE _dlt_valid_to IS NULL" if mode == "history" else ""
    columns = {
        "repositories": ["repository_name"],
        "images": ["repository_name"],
        "image_tags": ["repository_name", "image_tag"],
        "repository_tags": ["repository_name", "tag_key", "tag_value"],
        "policies": ["owner_name", "policy_text"],
        "lifecycle_policies": ["repository_name", "lifecycle_policy_text"],
        "repository_creation_templates": ["prefix", "description"],
        "pull_through_cache_rules": ["ecr_repository_prefix", "upstream_registry_url"],
    }
    return {
        table: sorted(query(f"SELECT {', '.join(names)} FROM {table} {current}")) for table, names in columns.items()
    }


def served(server: EcrServer) -> dict[str, list[Any]]:
    registry = server.registry()
    return {
        "repositories": sorted((name,) for name in NAMES),
        "images": sorted((name,) for name in NAMES),
        "image_tags": sorted((name, f"tag {name}") for name in NAMES),
        "repository_tags": sorted((name, f"key {name}", f"value {name}") for name in NAMES),
        "policies": sorted((name, registry.policies[name]) for name in NAMES),
        "lifecycle_policies": sorted((name, f"no JSON: {name}") for name in NAMES),
        "repository_creation_templates": sorted((name, f"description {name}") for name in NAMES),
        "pull_through_cache_rules": sorted((name, name) for name in NAMES),
    }


def as_held(warehouse: Warehouse, texts: Any) -> Any:
    """The texts, in whatever they are, as the warehouse holds them: Postgres holds no NUL."""
    match texts:
        case str() if isinstance(warehouse, PostgresDatabase):
            return texts.replace("\x00", "\u2400")
        case dict():
            return {name: as_held(warehouse, inner) for name, inner in texts.items()}
        case list():
            return sorted(as_held(warehouse, inner) for inner in texts)
        case tuple() | set():
            return type(texts)(as_held(warehouse, inner) for inner in texts)
    return texts


@POSTGRES_AT_NIGHT
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
def test_hostile_names_are_loaded_as_they_are_and_kept_while_they_are_denied(
    hostile: EcrServer, load: Load, query: Query, warehouse: Warehouse, mode: str
) -> None:
    tables = ["repositories", "images", "policies", "registry"]
    load(tables=tables, mode=mode).raise_on_incomplete()
    assert loaded(query, mode) == as_held(warehouse, served(hostile))
    assert sorted(query("SELECT sid FROM policy_statements")) == as_held(warehouse, [(name,) for name in NAMES])
    deny(hostile)
    assert load(tables=tables, mode=mode).incomplete
    assert loaded(query, mode) == as_held(warehouse, served(hostile))
    assert {name for (name,) in query("SELECT resource FROM extraction_errors")} == as_held(warehouse, DENIED)
    for name in NAMES:
        hostile.registry().delete_image(name, next(iter(hostile.registry().images_of(name))))
    load(tables=["images"], mode=mode)
    assert {name for (name,) in loaded(query, mode)["images"]} == as_held(warehouse, DENIED)


def test_hostile_names_can_be_asked_for(hostile: EcrServer, ecr: Ecr, query: Query) -> None:
    named = [f"--repository={name}" for name in HOSTILE]
    done = ecr("run", "--table", "images", *named)
    assert done.returncode == 0, done.stderr
    assert sorted(query("SELECT repository_name FROM images")) == sorted((name,) for name in HOSTILE)


@pytest.mark.parametrize("command", [["run", "--table", "images", "--repository=\x1b]0;gone\x07\u202e"], ["plan"]])
def test_hostile_names_do_nothing_to_a_terminal_or_a_folder(
    hostile: EcrServer, ecr: Ecr, tmp_path: Path, command: list[str]
) -> None:
    deny(hostile)
    if command == ["plan"]:
        hostile.fail(error("AccessDeniedException", f"not you: {' '.join(NAMES)}"))
    done = ecr(*command)
    assert done.returncode in (1, 3), done.stderr
    assert_harmless(done)
    shown = "\\x1b]0;owned\\x07\\x1b[2J\\x1b[31mred" if command == ["plan"] else "\\x1b]0;gone\\x07\\u202e"
    assert shown in done.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"ecr.duckdb", "ecr.duckdb.wal", "dlt"}
    assert not [path for path in [*tmp_path.rglob("*"), *tmp_path.parent.glob("*")] if "owned" in path.name]


def test_a_defect_that_names_what_is_hostile_is_printed_harmlessly(
    server: EcrServer, database: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        f"import ecr_source.loading.run\ndef crash(*_): raise ValueError({WITH_NUL + HOSTILE[5] + HOSTILE[6]!r})\n"
        "ecr_source.loading.run.make_destination = crash\n"
    )
    python_path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = environment(server, database, {"PYTHONPATH": python_path})
    done = subprocess.run([ECR_SOURCE, "run"], env=env, capture_output=True, text=True)
    assert done.returncode == 3
    assert_harmless(done)
    assert "Traceback" in done.stderr
    assert "\\x1b]0;owned" in done.stderr


def assert_harmless(done: subprocess.CompletedProcess[str]) -> None:
    printed = {character for character in done.stdout + done.stderr if unicodedata.category(character) in UNSEEN}
    assert printed <= {"\n"}


def test_what_is_escaped_can_still_be_read() -> None:
    assert visible("team/api é 名 🐳 \\x1b") == "team/api é 名 🐳 \\x1b"
    assert (
        visible("\x1b[2J\x00\x9b\u202e\u2028\U000e0001\ud800") == "\\x1b[2J\\x00\\x9b\\u202e\\u2028\\U000e0001\\ud800"
    )
