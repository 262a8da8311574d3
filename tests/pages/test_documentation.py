"""What README.md shows is what happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from ecr_source import catalog
from ecr_source.aws.iam_policies import least_policy
from ecr_source.extract.ledger import Outcome
from tests.conftest import Row, environment
from tests.forked import run_forked
from tests.pages.readme import blocks, section, typed
from tests.postgres import Postgres
from tests.server.ecr_server import EcrServer
from tests.server.registry import LIFECYCLE_POLICIES, enhanced_finding, package
from tests.test_structure import PACKAGE, PACKAGES
from tests.warehouse import PostgresDatabase

ROOT = Path(__file__).parents[2]


def settled(text: str) -> str:
    """`text` without what differs from run to run: ports, seconds, sizes, and which scope is the first that ended."""
    text = re.sub(r"^(reading |loading .*: ).*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^read \d+ of ", "read N of ", text, flags=re.MULTILINE)
    text = re.sub(r"(read .*\n)+", lambda lines: "".join(sorted(lines[0].splitlines(keepends=True))), text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"changed since .* ago", "changed since SECONDS ago", text)
    text = re.sub(r"\(\d+ kB\)", "(SIZE)", text)
    return re.sub(r"(?<=  )\d+\.\d\d(?=  |$)", "SECONDS", text, flags=re.MULTILINE)


def test_the_demo_prints_what_the_readme_shows_and_can_be_run_again() -> None:
    command, installing, shown = blocks("console")[0].split("\n", 2)
    assert (command, installing) == ("$ make demo", "installing into .venv (once)")
    Path(".venv").symlink_to(Path(sys.executable).parents[1])
    demo = (".venv/bin/ecr-source", "demo")
    first = subprocess.run(demo, capture_output=True, text=True, check=True)
    assert settled(first.stderr + first.stdout) == settled(shown)
    second = run_forked(demo[1:], os.environ, timeout=120)  # typed without the folder, which it leaves out too
    assert settled(second.stderr + second.stdout) == settled(shown).replace(".venv/bin/", "")
    assert [path.name for path in Path().glob("*.duckdb")] == ["demo.duckdb"]


def test_the_python_of_the_readme_runs(server: EcrServer, database: Path) -> None:
    server.registry().put("api")
    for code in reversed(blocks("python")):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(server, database), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def test_one_s_own_account_answers_the_questions_of_the_readme_as_pasted(server: EcrServer, tmp_path: Path) -> None:
    for region in ("eu-west-1", "us-east-1"):
        registry = server.registry(region)
        registry.put("team/api")
        old, new = (
            registry.put_image("team/api", tags=[tag], pushed_at=1_700_000_000 + age)["imageDigest"]
            for age, tag in enumerate(("old", "new"))
        )
        for digest, name in ((old, "CVE-2026-1"), (new, "CVE-2026-2")):
            found = [
                enhanced_finding(cve, [package("curl", "8.0", fixedInVersion=fixed)], "CRITICAL")
                for cve, fixed in ((name, "8.1"), (f"{name}-unfixed", "NotAvailable"))
            ]
            registry.scan("team/api", digest, enhanced=found)
    server.registry("us-east-1").policies["team/api"] = json.dumps(
        {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}
    )
    server.registry("us-east-1").lifecycle_policies["team/api"] = json.dumps(LIFECYCLE_POLICIES["team-a/web"])
    Path(".venv").symlink_to(Path(sys.executable).parents[1])
    running, asking = blocks("console", section("Your own account"))[:2]
    env = os.environ | {"AWS_ENDPOINT_URL": server.url}
    pasted = "\n".join((running, asking)).replace("$ ", "")
    done = subprocess.run(["bash", "-ec", pasted], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.partition("next: ")[2].splitlines()[1:]
    assert [line.split() for line in answers] == [
        ["repository_name", "vulnerability_id", "package_name", "fixed_in_version"],
        *[["team/api", "CVE-2026-2", "curl", "8.1"]] * 2,
        ["region", "repository_name"],
        ["us-east-1", "team/api"],
        ["region", "repository_name"],
        ["eu-west-1", "team/api"],
    ]


def test_what_changed_is_answered_as_the_readme_asks_it(
    server: EcrServer, load: Callable[..., Outcome], query: Callable[[str], list[Row]]
) -> None:
    registry = server.registry()
    registry.put("api")
    registry.put_image("api", "sha256:old", ["v1"])
    registry.policies["api"] = json.dumps({"Statement": [{"Sid": "All", "Effect": "Allow", "Principal": "*"}]})
    load(mode="history", tables=["images", "policies"])
    registry.put_image("api", "sha256:new", ["v1"])
    del registry.policies["api"]
    load(mode="history", tables=["images", "policies"])
    (block,) = blocks("sql")
    moved, gone = (query(statement) for statement in block.split(";") if statement.strip())
    assert moved == [("eu-west-1", "api", "v1", "sha256:new")]
    assert gone == [("eu-west-1", "api", "All", "Allow")]


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
    least = least_policy(catalog.select_tables(()), catalog.not_called("ecr"))["Statement"]
    assert statement["Action"] == sorted(action for one in least for action in one["Action"])
    assert all((one["Effect"], one["Resource"]) == (statement["Effect"], statement["Resource"]) for one in least)


def linked(page: Path) -> Iterator[tuple[str, str]]:
    """The links of a page to what is here: the path, empty for the page itself, and the heading."""
    without_code = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", without_code):
        if not target.startswith("https://"):
            path, _, heading = target.partition("#")
            yield path, heading


@cache
def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower() for heading in headings}


DOCS = ROOT / "docs"


@pytest.mark.parametrize("folder", [ROOT, DOCS, *(path for path in DOCS.iterdir() if path.is_dir())], ids=str)
def test_links_lead_somewhere(folder: Path) -> None:
    for page in folder.glob("*.md"):
        for path, heading in linked(page):
            target = (folder / path).resolve() if path else page
            assert target.exists(), f"{page}: {path}"
            assert not heading or heading in anchors(target), f"{page}: {path}#{heading}"
            assert DOCS not in page.parents or DOCS in target.parents, f"{page}: {path} is not in the site"


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
