"""What README.md shows is what happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ecr_source import catalog
from ecr_source.aws.iam_policies import least_policy
from tests.conftest import ECR_SOURCE, environment
from tests.pages.readme import blocks, section, typed
from tests.postgres import Postgres
from tests.server.ecr_server import EcrServer
from tests.test_structure import PACKAGE, PACKAGES
from tests.warehouse import PostgresDatabase

ROOT = Path(__file__).parents[2]


def settled(text: str) -> str:
    """`text` without what differs from run to run: ports, seconds, and which scope is the first that has ended."""
    text = re.sub(r"(read )\d+ of (\d+: \S+/)(\S+)", r"\1\2REGION", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"\d+\.\d\d$", "SECONDS", text, flags=re.MULTILINE)


def test_the_demo_prints_what_the_readme_shows_and_can_be_run_again() -> None:
    command, installing, shown = blocks("console")[0].split("\n", 2)
    assert (command, installing) == ("$ make demo", "installing into .venv (once)")
    first, second = (
        settled(done.stderr + done.stdout)
        for done in (subprocess.run([ECR_SOURCE, "demo"], capture_output=True, text=True, check=True) for _ in range(2))
    )
    assert first == settled(shown)
    # The second run need not ask each image for its findings again; the answers are the same.
    assert second.partition("\n\n")[2] == first.partition("\n\n")[2]
    assert Path("ecr.duckdb").exists()


def test_the_python_of_the_readme_runs(server: EcrServer, database: Path) -> None:
    server.registry().put("api")
    for code in reversed(blocks("python")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(server, database), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_the_commands_that_load_a_warehouse_run_as_pasted(
    server: EcrServer, database: Path, postgres: Postgres
) -> None:
    for name in ("team-a/api", "team-a/web", "team-b/api"):
        server.registry().put(name)
    Path(".venv").symlink_to(Path(sys.executable).parents[1])
    (commands,) = blocks("console", section("Into a warehouse"))
    env = environment(server, database, {"WAREHOUSE_URL": postgres.new_database()})
    done = subprocess.run(["bash", "-ec", "\n".join(typed(commands))], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if "|" in line]
    assert rows == [["namespace", "count"], ["team-a", "2"], ["team-b", "1"]]


def test_the_page_on_postgres_runs(server: EcrServer, database: Path, postgres: Postgres) -> None:
    server.registry().put("api")
    page = (ROOT / "docs" / "postgres.md").read_text()
    installing, exporting, loading = typed(blocks("console", page)[0])
    assert (installing, exporting.partition("=")[0]) == (
        'pip install "ecr-source[postgres]"',
        "export DESTINATION__POSTGRES__CREDENTIALS",
    )
    (code,) = blocks("python", page)
    for command in (["bash", "-ec", loading], [sys.executable, "-c", code]):
        warehouse = PostgresDatabase(postgres, postgres.new_database())
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        env = environment(server, database, {**warehouse.settings, "PATH": path})
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert warehouse.query("SELECT repository_name FROM repositories") == [("api",)]


@pytest.mark.parametrize("heading", ["Into a warehouse", "In Airflow"])
def test_a_warehouse_and_airflow_take_ten_lines_each(heading: str) -> None:
    assert 0 < len(section(heading).splitlines()) <= 10


def test_the_least_policy_allows_what_the_tables_need() -> None:
    (policy,) = blocks("json")
    (statement,) = json.loads(policy)["Statement"]
    least = least_policy(catalog.select_tables(()))["Statement"]
    assert statement["Action"] == sorted(action for one in least for action in one["Action"])
    assert all((one["Effect"], one["Resource"]) == (statement["Effect"], statement["Resource"]) for one in least)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        *(f"docs/{page.name}" for page in ROOT.joinpath("docs").glob("*.md")),
    ],
)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / name).read_text()):
        assert target.startswith("https://") or (ROOT / name).parent.joinpath(target).exists(), target


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_picture_of_the_way_has_a_box_for_each_package_in_their_order() -> None:
    assert re.findall(r"^┌─ (\w+) ", CONTRIBUTING, re.MULTILINE) == [*PACKAGES, "root"]


def test_the_picture_of_the_way_names_a_module_of_each_package() -> None:
    opened = re.findall(r"│  (\S+)$", CONTRIBUTING, re.MULTILINE)
    assert [name.rpartition("/")[0].partition("/")[0] for name in opened] == [*PACKAGES, ""]
    assert [name for name in opened if not PACKAGE.joinpath(name).is_file()] == []


def test_the_files_that_contributing_names_are_there() -> None:
    named = set(re.findall(r"`([\w/]+/\w+\.py|ecr_source/[\w/]+/)`", CONTRIBUTING))
    assert len(named) > 10
    assert {name for name in named if not any((place / name).exists() for place in (ROOT, PACKAGE))} == set()
