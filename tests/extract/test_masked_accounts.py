"""`--mask-accounts`: no account id leaves, and all else is as without it."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.common.versioned_state import decompress_state
from dlt.pipeline.exceptions import PipelineStepFailed

from ecr_source import catalog, ecr_source
from ecr_source.catalog.table import Table
from ecr_source.extract.ledger import Outcome
from ecr_source.extract.rows.pseudonyms import MASK_KEY, Pseudonyms
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import ACCOUNT, DENIED, EcrServer, basic_finding, serving
from tests.warehouse import DuckDbFile
from tests.whole.registry_changes import REGION, complete, furnish, image_of
from tests.whole.test_promises import EVERYTHING, Contents, Database, columns_of, opened, registry_contents

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]

KEY = "a secret of the company"
MODES = {
    "snapshot": EVERYTHING,
    "history": ["images", "findings", "pull_through_cache_rules"],
    "incremental": ["images", "findings", "pull_through_cache_rules"],
}
"""What each mode loads; that the texts of all tables are replaced does not depend on it."""

NAMES = [f"{ACCOUNT}/api", f"team{ACCOUNT}"]
"""Repositories with an account id in their name, alone and between letters."""


@dataclass(frozen=True)
class Masked:
    """A database after a load of everything, and one in which a repository and a table could not be read.

    `served` are the ids in all that the registries told; `texts` all that the database and dlt's trace hold, by place.
    """

    served: set[str]
    texts: dict[str, list[str]]
    first: Contents
    second: Contents
    versions: tuple[Counter[str], Counter[str]]
    calls: Counter[str]
    errors: list[dict[str, Any]]
    files: list[Path]


def accounts_in(text: str) -> set[str]:
    alone = re.findall(r"(?<![0-9A-Za-z])[0-9]{12}(?![0-9A-Za-z])", text)
    return {*alone, *([ACCOUNT] if ACCOUNT in text else [])}


def fill(server: EcrServer) -> None:
    registry = server.registry(REGION)
    registry.maximal()
    complete(registry)
    for name in NAMES:
        furnish(registry, name, 0)


def listen(server: EcrServer, served: set[str]) -> None:
    """Collects the ids in all that `server` tells from now on."""
    answer = server.answer

    def heard(*asked: Any) -> Any:
        told = answer(*asked)
        served.update(accounts_in(told.body.decode()))
        return told

    server.answer = heard  # type: ignore[method-assign,assignment]


def texts_of(path: Path) -> dict[str, list[str]]:
    """Every column of every table of all schemas, as texts."""
    texts = {}
    with duckdb.connect(path, read_only=True) as connection:
        columns = "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
        for schema, table, column in connection.execute(columns).fetchall():
            sql = f'SELECT DISTINCT "{column}"::VARCHAR FROM {schema}.{table} WHERE "{column}" IS NOT NULL'
            values = [value for (value,) in connection.execute(sql).fetchall()]
            if (table, column) == ("_dlt_pipeline_state", "state"):
                values = [str(decompress_state(value)) for value in values]
            texts[f"{schema}.{table}.{column}"] = values
    return texts


def versions_of(database: Database) -> Counter[str]:
    contents = database.rows({table.name: columns_of(table) for table in catalog.TABLES})
    return Counter({name: len(rows) for name, rows in contents.items()})


def play(folder: Path, mode: str) -> Masked:
    served: set[str] = set()
    path = folder / "ecr.duckdb"
    arguments: dict[str, Any] = {"mode": mode, "tables": MODES[mode], "findings_max_age": 7, "mask_accounts": True}
    with (
        serving() as server,
        opened(server, folder, DuckDbFile(path), **arguments) as database,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(MASK_KEY, KEY)
        listen(server, served)
        fill(server)
        database.load()
        first, versions = database.contents(), versions_of(database)
        for operation in ("DescribeImages", "GetRepositoryPolicy", "DescribeImageScanFindings"):
            server.fail(DENIED, operation=operation, repository=NAMES[0])
        server.fail(DENIED, operation="DescribePullThroughCacheRules")
        before = server.calls.copy()
        database.load()
        trace = database.pipeline.last_trace
        assert trace is not None
        texts = texts_of(path) | {"trace": [str(trace.asdict())]}
        return Masked(
            served,
            texts,
            first,
            database.contents(),
            (versions, versions_of(database)),
            server.calls - before,
            database.ledger("extraction_errors"),
            [path for path in folder.rglob("*") if path.is_file()],
        )


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Masked]]:
    """A mode's, played in a process of its own when it is first asked for."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield cache(lambda mode: pool.submit(play, tmp_path_factory.mktemp(mode), mode).result())


@pytest.fixture(scope="module")
def unmasked(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    folder = tmp_path_factory.mktemp("unmasked")
    with serving() as server, opened(server, folder):
        fill(server)
        return registry_contents(server, folder / "walk")


each_mode = pytest.mark.parametrize("mode", first_by_day("snapshot", "history", "incremental"))


@each_mode
def test_no_account_id_survives_in_any_column_of_any_table(loads: Callable[[str], Masked], mode: str) -> None:
    masked = loads(mode)
    assert masked.served >= ({ACCOUNT, "210987654321"} if mode == "snapshot" else {ACCOUNT})
    assert masked.texts["aws_ecr._dlt_pipeline_state.state"]
    found = {
        place: ids
        for place, texts in masked.texts.items()
        if (ids := {account for text in texts for account in masked.served if account in text})
    }
    assert found == {}


@each_mode
def test_the_key_is_in_no_file(loads: Callable[[str], Masked], mode: str) -> None:
    files = loads(mode).files
    assert any(path.suffix == ".duckdb" for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert [place for place, texts in loads(mode).texts.items() if any(KEY in text for text in texts)] == []


def shared_keys(one: Table, other: Table) -> list[str]:
    return [name for name in one.key if name in other.key and name.endswith(("_id", "region", "_name", "_digest"))]


def joined(contents: Contents, one: Table, other: Table, columns: list[str]) -> int:
    """How many rows the join of two tables on these columns has."""
    ones, others = (
        Counter(tuple(row[name] for name in columns) for row in contents[table.name]) for table in (one, other)
    )
    return sum(count * others[key] for key, count in ones.items())


def test_every_join_gives_as_many_rows_as_without(loads: Callable[[str], Masked], unmasked: Contents) -> None:
    masked = loads("snapshot").first
    pairs = [(one, other, shared_keys(one, other)) for one, other in combinations(catalog.TABLES, 2)]
    before = {f"{one.name} {other.name}": joined(unmasked, one, other, shared) for one, other, shared in pairs}
    after = {f"{one.name} {other.name}": joined(masked, one, other, shared) for one, other, shared in pairs}
    assert after == before
    assert {name: len(rows) for name, rows in masked.items()} == {name: len(rows) for name, rows in unmasked.items()}


@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
def test_what_is_unchanged_or_could_not_be_read_stays_as_it_was(loads: Callable[[str], Masked], mode: str) -> None:
    masked = loads(mode)
    assert masked.first["image_scan_findings"]
    assert {name: rows for name, rows in masked.second.items() if rows != masked.first[name]} == {}
    assert masked.versions[0] == masked.versions[1]


@pytest.mark.nightly
def test_cursors_go_on(loads: Callable[[str], Masked]) -> None:
    masked = loads("incremental")
    assert masked.first["images"]
    for name, cursor in [(table.name, table.cursor) for table in catalog.TABLES if table.cursor]:
        first, second = (
            [row for row in contents[name] if row[cursor] is not None] for contents in (masked.first, masked.second)
        )
        assert second == first


@each_mode
def test_findings_are_not_asked_again(loads: Callable[[str], Masked], mode: str) -> None:
    masked = loads(mode)
    outcomes = Counter(row["fetch_outcome"] for row in masked.first["image_scans"])
    unfinished = outcomes["pending"] + outcomes["never_scanned"]
    assert masked.calls["DescribeImageScanFindings"] == unfinished < outcomes.total()


@each_mode
def test_errors_name_repositories_as_the_tables_do(loads: Callable[[str], Masked], mode: str) -> None:
    pseudonym = Pseudonyms(KEY.encode(), ()).text(ACCOUNT)
    errors = {(row["operation"], row["resource"], row["status"]) for row in loads(mode).errors}
    assert ("ecr:DescribeImages", f"{pseudonym}/api", "denied") in errors
    assert ("ecr:DescribePullThroughCacheRules", "", "denied") in errors
    assert all(pseudonym in row["message"] for row in loads(mode).errors)


def test_a_repository_that_a_name_hides_keeps_its_findings_and_loses_them_when_it_is_deleted(
    server: EcrServer, load: Load, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MASK_KEY, KEY)
    registry = server.registry()
    finding = basic_finding("CVE-1", "openssl", "1.1")
    for name in NAMES:
        registry.put(name)
        registry.scan(name, registry.put_image(name, image_of(name, "app"))["imageDigest"], [finding])
    findings = "SELECT repository_name FROM image_scan_findings ORDER BY ALL"
    load(tables=["findings"], mask_accounts=True)
    before = query(findings)
    server.fail(DENIED, operation="DescribeImageScanFindings", repository=NAMES[0])
    load(tables=["findings"], mask_accounts=True, findings_max_age=0)
    assert query(findings) == before
    assert len(before) == 2
    del registry.repositories[NAMES[1]]
    load(tables=["findings"], mask_accounts=True)
    assert query(findings) == [row for row in before if "/" in row[0]]


# --- one key for a dataset -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "then", "sentence"),
    [
        (None, KEY, "with plain account ids"),
        (KEY, None, "with masked accounts"),
        (KEY, KEY[::-1], "with another mask key"),
    ],
)
def test_a_dataset_keeps_the_pseudonyms_of_its_first_load(
    load: Load, server: EcrServer, monkeypatch: pytest.MonkeyPatch, first: str | None,
    then: str | None, sentence: str,
) -> None:  # fmt: skip
    server.registry().put("api")
    monkeypatch.setenv(MASK_KEY, first or KEY)
    load(mask_accounts=first is not None)
    monkeypatch.setenv(MASK_KEY, then or KEY)
    with pytest.raises(PipelineStepFailed, match=sentence):
        load(mask_accounts=then is not None)


@pytest.mark.parametrize("masked_first", [False, True])
def test_another_pipeline_learns_from_the_dataset_whether_it_is_masked(
    load: Load, server: EcrServer, database: Path, monkeypatch: pytest.MonkeyPatch, masked_first: bool
) -> None:
    server.registry().put("api")
    monkeypatch.setenv(MASK_KEY, KEY)
    load(mask_accounts=masked_first)
    other = dlt.pipeline("other", destination=dlt.destinations.duckdb(str(database)), dataset_name="aws_ecr")
    source = partial(ecr_source, regions=[REGION], endpoint_url=server.url, tables=["repositories"])
    with pytest.raises(PipelineStepFailed, match="twice"):
        other.run(source(mask_accounts=not masked_first))
    other.run(source(mask_accounts=masked_first))


def test_the_command_masks_and_plans_with_what_it_loaded(
    ecr: Callable[..., subprocess.CompletedProcess[str]], server: EcrServer, query: Query
) -> None:
    registry = server.registry()
    registry.put("api")
    registry.put_image("api")
    arguments = ("run", "--table", "images", "--table", "findings", "--mask-accounts")
    refused = ecr(*arguments)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 2)
    assert f"{MASK_KEY} is not set" in refused.stderr
    done = ecr(*arguments, env={MASK_KEY: KEY})
    assert (done.returncode, accounts_in(done.stdout + done.stderr)) == (0, set())
    assert query("SELECT registry_id FROM images") == [(Pseudonyms(KEY.encode(), ()).text(ACCOUNT),)]
    planned = ecr(*arguments, "--dry-run", env={MASK_KEY: KEY})
    assert planned.returncode == 0
    assert "at least" not in planned.stdout
