"""`ecr-source query`: what was loaded is asked, and cannot be changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import dlt
import duckdb
import pytest
from dlt.common.runtime.run_context import RunContext, switched_run_context
from pyarrow import parquet

from ecr_source import ecr_source, load
from ecr_source.destinations.destination import make_destination
from ecr_source.loading.settings.configuration import resolve_settings
from ecr_source.loading.settings.declared import OF_THE_DESTINATION
from ecr_source.loading.settings.quiet_configuration import settings_without_dlt
from tests.cli.terminal import shown_on_terminal
from tests.conftest import ECR_SOURCE, environment, isolate, make_pipeline, new_warehouse
from tests.forked import run_forked
from tests.server.ecr_server import EcrServer, serving
from tests.warehouse import DESTINATIONS, DuckDbFile, PostgresDatabase, Warehouse

Ask = Callable[..., subprocess.CompletedProcess[str]]
Loaded = TypeVar("Loaded", bound=Warehouse)

UNUSABLE, UNREACHABLE = 2, 3
ONLY_READS = "query only reads, and nothing was changed: ask by SELECT or WITH"
HOSTILE = "team/\x1b]0;owned\x07|\u202e\n*x*"
URIS = "SELECT repository_name, repository_uri FROM repositories WHERE region = 'eu-west-1' ORDER BY 1"


@pytest.fixture(scope="module")
def server() -> Iterator[EcrServer]:
    with serving() as running:
        running.registry("eu-west-1").put("team/api")
        running.registry("eu-west-1").put("team/web", repositoryUri=HOSTILE)
        yield running


@pytest.fixture(scope="module")
def database_file(server: EcrServer, tmp_path_factory: pytest.TempPathFactory) -> DuckDbFile:
    """A DuckDB file with two repositories."""
    folder = tmp_path_factory.mktemp("duckdb")
    return loaded_from(server, DuckDbFile(folder / "ecr.duckdb"), folder)


@pytest.fixture(scope="module", params=DESTINATIONS)
def loaded(request: pytest.FixtureRequest, server: EcrServer, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The file, and a Postgres database with the same."""
    if request.param == "duckdb":
        return cast("Warehouse", request.getfixturevalue("database_file"))
    folder = tmp_path_factory.mktemp(request.param)
    return loaded_from(server, new_warehouse(request, request.param, folder), folder)


def loaded_from(server: EcrServer, warehouse: Loaded, folder: Path) -> Loaded:
    with pytest.MonkeyPatch.context() as patch:
        isolate(patch, folder)
        source = ecr_source(regions=["eu-west-1"], endpoint_url=server.url, tables=["repositories"])
        assert not load(make_pipeline(folder / "pipelines", warehouse), source).incomplete
    return warehouse


@pytest.fixture
def ask(server: EcrServer, loaded: Warehouse) -> Ask:
    """Asks each database."""
    return asking(environment(server, loaded))


@pytest.fixture
def ask_file(server: EcrServer, database_file: DuckDbFile) -> Ask:
    """Asks the DuckDB file: what is said of formats and usage does not differ by database."""
    return asking(environment(server, database_file))


def asking(env: dict[str, str]) -> Ask:
    def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_forked(("query", *arguments), env, timeout=60)

    return asked


def refused(done: subprocess.CompletedProcess[str], code: int = UNUSABLE) -> str:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix("ecr-source: ")


def test_a_view_a_table_and_a_statement_are_answered(ask: Ask) -> None:
    lines = ask("ecr_freshness").stdout.splitlines()
    assert lines[0].split()[:3] == ["registry_id", "region", "table_name"]
    assert {line.split()[2] for line in lines[1:]} >= {"repositories", "repository_tags"}
    assert "  team/api  " in ask("repositories").stdout
    assert "  team/api  " in ask("repositories;").stdout  # as a client of the database has it
    done = ask("SELECT namespace, count(*) AS repositories FROM repositories GROUP BY 1")
    assert (done.stdout, done.stderr) == ("namespace  repositories\nteam                  2\n", "")


def test_each_format_holds_the_same_rows(ask: Ask, tmp_path: Path) -> None:
    rows = [
        {"repository_name": "team/api", "repository_uri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/api"},
        {"repository_name": "team/web", "repository_uri": HOSTILE},
    ]
    assert json.loads(ask(URIS, "--format", "json").stdout) == rows
    for name in ("rows.json", "rows.parquet", "rows.csv"):
        assert ask(URIS, "--output", name).returncode == 0
    assert json.loads((tmp_path / "rows.json").read_text()) == rows
    assert parquet.read_table(tmp_path / "rows.parquet").to_pylist() == rows
    columns = "columns = {'repository_name': 'VARCHAR', 'repository_uri': 'VARCHAR'}"
    assert duckdb.sql(f"FROM read_csv('rows.csv', header = true, {columns})").fetchall() == [
        tuple(row.values()) for row in rows
    ]
    assert (tmp_path / "rows.csv").read_text() == ask(URIS, "--format", "csv").stdout
    assert sorted(path.name for path in tmp_path.glob("*rows*")) == ["rows.csv", "rows.json", "rows.parquet"]


def test_numbers_and_times_are_the_same_from_every_database(ask: Ask) -> None:
    statement = (
        "SELECT sum(n) AS total, avg(n) AS mean, min(d) AS day, min(t) AS since, bool_and(n > 0) AS yes, max(m) AS m"
        " FROM (SELECT 1 AS n, DATE '2026-01-02' AS d, TIMESTAMPTZ '2026-01-02 03:00:00+02' AS t, NULL AS m"
        " UNION ALL SELECT 2, NULL, NULL, NULL) AS rows"
    )
    answer = {
        "total": 3,
        "mean": 1.5,
        "day": "2026-01-02",
        "since": "2026-01-02T01:00:00+00:00",
        "yes": True,
        "m": None,
    }
    assert json.loads(ask(statement, "--format", "json").stdout) == [answer]
    assert json.loads(ask(f"SELECT * FROM ({statement}) AS none WHERE false", "--format", "json").stdout) == []


def test_a_limit_is_kept_over_many_rows(ask: Ask) -> None:
    many = "SELECT a.n + 1000 * b.n AS n FROM {0} AS a(n), {0} AS b(n) ORDER BY 1"
    done = ask(many.format("generate_series(0, 999)"), "--format", "csv", "--limit", "20001")
    assert done.stdout.splitlines() == ['"n"', *map(str, range(20_001))]


def test_the_views_and_tables_are_listed_with_what_they_answer(ask: Ask) -> None:
    listed = {row["name"]: row for row in json.loads(ask("--list", "--format", "json").stdout)}
    assert listed["ecr_freshness"]["kind"] == "view"
    assert listed["ecr_freshness"]["description"] == "What is complete as of when?"
    assert not any(". " in row["description"] for row in listed.values())
    assert (listed["repositories"]["kind"], listed["repositories"]["description"]) == (
        "table",
        "One row per repository of a private registry.",
    )
    assert not any(name.startswith("_dlt") for name in listed)


def test_a_table_and_a_view_are_described(ask: Ask) -> None:
    done = ask("--describe", "repositories")
    assert done.stdout.startswith("One row per repository of a private registry.\n")
    assert any(
        re.match(r"created_at +timestamp.* with time zone +The date and time", line)
        for line in done.stdout.splitlines()
    )
    view = ask("--describe", "ecr_freshness").stdout
    assert view.startswith("What is complete as of when? A row for each table")
    assert re.search(r"\ncomplete_as_of +timestamp.* +The table has all that was in the scope", view)


@pytest.mark.parametrize("name", ["ecr_freshness", "ecr_storage"])
def test_what_is_described_can_be_asked_by_the_queries_that_are_printed(ask: Ask, name: str) -> None:
    _, *queries, _ = ask("--describe", name).stdout.split("\n\n")
    assert queries
    for query in queries:
        assert re.match(r"-- [A-Z].*\?\n", query)
        assert ask("--", query).stdout


def test_the_query_of_a_table_is_in_duckdbs_sql(ask: Ask, database_file: DuckDbFile) -> None:
    _, query, _ = ask("--describe", "repositories").stdout.split("\n\n")
    heading, question, statement = query.split("\n", 2)
    assert (heading, question) == ("In DuckDB's SQL:", "-- How is each repository encrypted, and with which key?")
    assert len(database_file.query(statement)) == 2


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM repositories",
        "DROP TABLE repositories",
        "INSERT INTO repositories SELECT * FROM repositories",
        "UPDATE repositories SET region = ''",
        "CREATE TABLE copied AS SELECT * FROM repositories",
        "COPY (SELECT 1) TO 'written.csv'",
        "COPY repositories TO 'written.csv'",
    ],
)
def test_a_statement_that_would_change_something_is_refused(
    ask: Ask, loaded: Warehouse, change: str, tmp_path: Path
) -> None:
    assert refused(ask(change)) == ONLY_READS
    assert loaded.query("SELECT count(*) FROM repositories") == [(2,)]
    assert not (tmp_path / "written.csv").exists()


CHANGES: dict[type[Warehouse], list[str]] = {
    DuckDbFile: ["ATTACH 'other.duckdb'", "INSTALL httpfs", "CREATE VIEW named AS SELECT 1"],
    PostgresDatabase: [
        "SELECT * INTO copied FROM repositories",
        "SELECT * FROM repositories FOR UPDATE",
        "WITH gone AS (DELETE FROM repositories RETURNING *) SELECT * FROM gone",
    ],
}


def test_what_would_change_something_in_one_database_only_is_refused_there(ask: Ask, loaded: Warehouse) -> None:
    assert {refused(ask(change)) for change in CHANGES[type(loaded)]} == {ONLY_READS}


@pytest.mark.parametrize(
    "change",
    [
        "SELECT 1; COMMIT; DELETE FROM repositories; COMMIT",
        "WITH gone AS (DELETE FROM repositories RETURNING *) SELECT * FROM gone",
    ],
)
def test_a_change_among_questions_is_refused(ask: Ask, loaded: Warehouse, change: str, tmp_path: Path) -> None:
    assert refused(ask(change))
    assert loaded.query("SELECT count(*) FROM repositories") == [(2,)]
    assert not (tmp_path / "written.csv").exists()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["repositoris"], 'has no table "repositoris"; did you mean "repositories"?'),
        (
            ["image_layers"],
            'has no table "image_layers": load it: ecr-source run --region REGION --table manifests'
            " --moves-last-recorded-pull-time",
        ),
        (["--describe", "nothing_like_it"], '"ecr-source query --list" has those that are there'),
        (["SELECT nam FROM repositories"], "nam"),
        (["SELEC 1"], "SELEC"),
        (["SELECT * FROM nowhere"], "nowhere"),
        ([""], "statement"),
        (
            ["repositories", "--dataset", "elsewhere"],
            'has no dataset "elsewhere": give another --dataset, or load it: ',
        ),
    ],
)
def test_what_is_not_there_is_told_in_one_sentence(ask: Ask, asked: list[str], said: str) -> None:
    assert said in refused(ask(*asked))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "ask one thing"),
        (["repositories", "--list"], "ask one thing"),
        (["repositories", "--format", "xml"], 'unknown format "xml": it is one of table, csv, json, markdown'),
        (["repositories", "--output", "rows.xlsx"], '"rows.xlsx" has none of the suffixes .parquet, .csv, .json'),
        (["repositories", "--output", "rows.csv", "--format", "csv"], "--format means nothing with --output"),
        (["repositories", "--output", "no/folder/rows.csv"], 'cannot write "no/folder/rows.csv": No such file'),
        (["SELECT 1 AS a, 2 AS a", "--format", "json"], 'two columns are called "a": give one another name, with AS'),
        (["repositories", "--region", "eu-west-1"], "--region means nothing to query: leave it out"),
        (
            ["repositories", "--database", "none.duckdb"],
            'none.duckdb": give another --database, or load it: ecr-source run --region REGION --database none.duckdb',
        ),
        (
            ["repositories", "--database", "empty.duckdb"],
            'empty.duckdb" is empty: give another --database, or load it: ',
        ),
    ],
)
def test_wrong_usage_is_told_in_one_sentence(ask_file: Ask, asked: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty.duckdb").touch()
    assert said in refused(ask_file(*asked))
    assert [path.name for path in tmp_path.iterdir() if "rows" in path.name] == []


def test_a_file_that_another_process_holds_is_told(ask_file: Ask, tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "held.duckdb"):
        said = refused(ask_file("repositories", "--database", "held.duckdb"), UNREACHABLE)
    assert 'held.duckdb": another process holds it open; close that one, or wait for it' in said


def test_a_server_that_does_not_answer_is_told(server: EcrServer, postgres: object) -> None:
    nobody = {
        "SOURCES__ECR__DESTINATION": "postgres",
        "SOURCES__ECR__DATABASE": None,
        "DESTINATION__POSTGRES__CREDENTIALS": "postgresql://me:hunter2@127.0.0.1:1/none",
    }
    env = environment(server, DuckDbFile(Path("unused")), nobody)
    said = refused(run_forked(("query", "repositories"), env, timeout=60), UNREACHABLE)
    assert said.startswith("cannot open the destination postgres: ")
    assert "hunter2" not in said


def test_a_statement_comes_from_standard_input_too(server: EcrServer, loaded: Warehouse) -> None:
    done = subprocess.run(
        [ECR_SOURCE, "query", "-", "--format", "csv"],
        env=environment(server, loaded),
        input="-- how many?\nSELECT count(*) AS many FROM repositories;\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '"many"\n2\n', "")


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_who_has_read_enough_may_go(server: EcrServer, database_file: DuckDbFile, form: str) -> None:
    many = "SELECT repeat('x', 100) AS x FROM range(50000)"
    command = f'set -o pipefail; "{ECR_SOURCE}" query "{many}" --format {form} | head -1'
    done = subprocess.run(
        ["bash", "-c", command], env=environment(server, database_file), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("form", ["table", "csv", "json", "markdown"])
def test_a_terminal_shows_foreign_text_as_harmless(server: EcrServer, database_file: DuckDbFile, form: str) -> None:
    shown = on_terminal([URIS, "--format", form], environment(server, database_file), 120)
    assert "team/web" in shown
    assert "0;owned" in shown
    assert {"\x1b", "\x07", "\u202e"} & set(shown) == set()


@pytest.mark.parametrize("columns", [60, 200])
def test_a_table_fits_the_terminal(server: EcrServer, database_file: DuckDbFile, columns: int) -> None:
    shown = on_terminal(["repositories"], environment(server, database_file), columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert "…" not in shown
    assert ("row 2" in shown) == (columns == 60)


def test_a_terminal_shows_a_thousand_rows_and_says_so(server: EcrServer, database_file: DuckDbFile) -> None:
    shown = on_terminal(["SELECT 7777 AS n FROM range(1001)"], environment(server, database_file), 80)
    assert shown.count("7,777") == 1_000
    assert "only the first 1,000 rows: --limit shows others, --output writes all" in shown
    shown = on_terminal(
        ["SELECT 7777 AS n FROM range(1001)", "--limit", "1001"], environment(server, database_file), 80
    )
    assert (shown.count("7,777"), "only the first" in shown) == (1_001, False)


def on_terminal(arguments: list[str], env: dict[str, str], columns: int) -> str:
    size = {"COLUMNS": str(columns), "LINES": "25"}  # rich takes both or none, where the terminal is a dumb one
    return shown_on_terminal([ECR_SOURCE, "query", *arguments], env | {"TERM": "dumb"} | size)


@pytest.mark.parametrize(
    ("configured", "modules"),
    [
        ("", "[]"),
        ('[runtime]\ndlthub_telemetry = false\n[sources.ecr]\nregions = ["eu-west-1"]\n', "[]"),
        ('[sources.ecr]\ndataset = "aws_ecr"\n', "['botocore', 'dlt']"),
    ],
)
def test_dlt_is_waited_for_only_where_its_configuration_has_a_say(
    database_file: DuckDbFile, tmp_path: Path, configured: str, modules: str
) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(configured)
    asked = [
        "query",
        "SELECT count(*) AS n FROM repositories",
        "--format",
        "csv",
        "--database",
        str(database_file.path),
    ]
    code = (
        f"import sys; from ecr_source.cli.commands import app; app({asked}, standalone_mode=False);"
        " print(sorted({'dlt', 'botocore'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ['"n"', "2", modules]


@pytest.mark.parametrize(
    ("file", "variables", "is_quiet"),
    [
        ('[sources.ecr]\nregions = "eu-west-1"', {"SOURCES__ECR__DATASET": "a", "SOURCES__DATASET": "b"}, True),
        ("[runtime]", {"DATASET": "a", "SOURCES__ECR__DATABASE": "b.duckdb"}, True),
        ('[sources.ecr]\ndataset = "a"', {}, False),
        ('[sources]\ndataset = "a"', {"DATASET": "b"}, False),
        ('dataset = "a"', {"SOURCES__DATABASE": "b.duckdb"}, False),
        ('[sources.ecr]\ndatabse = "a"', {}, False),
        ("", {"SOURCES__ECR__DATABSE": "b.duckdb"}, False),
        ("", {"SOURCES__ECR__DESTINATION": "postgres"}, False),
        ("[sources", {}, False),
    ],
)
def test_what_is_resolved_without_dlt_is_what_dlt_would_say(
    file: str, variables: dict[str, str], is_quiet: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(file)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    resolved = settings_without_dlt({"database": None})
    assert (resolved is not None) == is_quiet
    if resolved:
        with switched_run_context(RunContext(str(tmp_path))):
            told = resolve_settings({})
        assert {name: getattr(resolved, name) for name in OF_THE_DESTINATION} == {
            name: getattr(told, name) for name in OF_THE_DESTINATION
        }


def test_a_lake_is_asked_and_not_changed(server: EcrServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "lake"))
    into = make_destination("filesystem", tmp_path)
    pipeline = dlt.pipeline("ecr", pipelines_dir=str(tmp_path / "dlt"), destination=into, dataset_name="aws_ecr")
    arguments: dict[str, Any] = {"regions": ["eu-west-1"], "endpoint_url": server.url, "tables": ["repositories"]}
    load(pipeline, ecr_source(mode="incremental", **arguments))
    lake = {"SOURCES__ECR__DESTINATION": "filesystem", "SOURCES__ECR__DATABASE": None}
    ask = asking(environment(server, DuckDbFile(Path("unused")), lake))
    many = "WITH names AS (SELECT repository_name FROM repositories) SELECT count(*) AS many FROM names"
    assert ask(many, "--format", "csv").stdout == '"many"\n2\n'
    assert "  team/api  " in ask("repositories").stdout
    assert "One row per repository of a private registry." in ask("--list").stdout
    assert "created_at " in ask("--describe", "repositories").stdout
    # Nobody makes views there; what a question names of them comes with it.
    settings = "SELECT repository_name, lifecycle_policy FROM ecr_repository_settings ORDER BY 1 LIMIT 1"
    done = ask(settings, "--format", "csv")
    assert done.stderr == ""
    assert done.stdout == '"repository_name","lifecycle_policy"\n"team/api","unknown"\n'
    assert "  team/api  " in ask("ecr_repository_settings", "--format", "markdown").stdout.replace("|", " ")
    assert "lifecycle_policy " in ask("--describe", "ecr_repository_settings").stdout
    assert "--table images" in refused(ask("ecr_latest_images"))
    for change in ("DELETE FROM repositories", "COPY (SELECT 1) TO 'written.csv'"):
        assert refused(ask(change)) == ONLY_READS
    assert "one statement can be asked at a time" in refused(ask(f"{many}; {many}"))
    assert "nowhere" in refused(ask("SELECT * FROM nowhere"))
    assert 'no dataset "elsewhere"' in refused(ask("repositories", "--dataset", "elsewhere"))
