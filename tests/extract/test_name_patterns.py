"""Repositories are asked for by patterns of their names, too: what matches is read, and what vanished goes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from ecr_source.errors import ConfigurationError
from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.nightly import first_by_day
from tests.server.ecr_server import DENIED, EcrServer
from tests.warehouse import ON_EACH, POSTGRES_AT_NIGHT

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]
Ecr = Callable[..., subprocess.CompletedProcess[str]]

BOTH = ["eu-west-1", "us-east-1"]
IMAGES = "SELECT repository_name, image_digest FROM images ORDER BY ALL"
CURRENT = {"snapshot": "", "history": " WHERE _dlt_valid_to IS NULL"}


@pytest.fixture
def teams(server: EcrServer) -> EcrServer:
    """Two teams with two repositories each, and one of nobody; each with an image that was scanned."""
    for name in ("team-1/api", "team-1/web", "team-2/api", "team-2/web", "base"):
        push(server, name)
    return server


def push(server: EcrServer, name: str, region: str = "eu-west-1") -> None:
    registry = server.registry(region)
    registry.put(name)
    registry.put_image(name, f"sha256:{name}", ["latest"])
    registry.scan(name, f"sha256:{name}", [])


def read(query: Query) -> set[str]:
    return {name for (name,) in query("SELECT repository_name FROM images")}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["team-1/*"], {"team-1/api", "team-1/web"}),
        (["*/api", "base"], {"team-1/api", "team-2/api", "base"}),
        (["team-?/w[ae]b"], {"team-1/web", "team-2/web"}),
        (["*"], {"team-1/api", "team-1/web", "team-2/api", "team-2/web", "base"}),
    ],
)
def test_what_a_pattern_matches_is_read_and_nothing_else_is_asked(
    teams: EcrServer, load: Load, query: Query, asked: list[str], found: set[str]
) -> None:
    teams.page_size = 2
    outcome = load(tables=["images", "policies", "repositories"], repositories=asked)
    assert {table.status for table in outcome.tables} == {"selected"}
    assert read(query) == found
    assert {name for (name,) in query("SELECT repository_name FROM repositories")} == found
    assert {teams.calls[name] for name in ("DescribeImages", "GetRepositoryPolicy")} == {len(found)}
    assert teams.calls["DescribeRepositories"] == 3


@ON_EACH
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
def test_a_repository_that_matches_and_is_not_there_any_more_disappears_and_no_other_row_changes(
    teams: EcrServer, load: Load, query: Query, mode: str
) -> None:
    tables = ["repositories", "images", "findings"]
    load(mode=mode, tables=tables)
    for name in ("team-1/api", "team-2/api", "base"):
        del teams.registry().repositories[name]
    push(teams, "team-1/new")
    load(mode=mode, tables=tables, repositories=["team-1/*", "base", "team-2/web"])
    # That a repository of an exact name is not found may be a slip, so that its rows stay.
    expected = ["base", "team-1/new", "team-1/web", "team-2/api", "team-2/web"]
    for table in ("repositories", "images", "image_tags", "image_scans"):
        rows = query(f"SELECT repository_name FROM {table}{CURRENT[mode]} ORDER BY 1")
        assert [name for (name,) in rows] == expected, table
    assert query("SELECT DISTINCT repository_name FROM extraction_images ORDER BY 1") == [(one,) for one in expected]


def test_what_vanished_goes_from_a_table_whose_listing_was_never_loaded(
    teams: EcrServer, load: Load, query: Query
) -> None:
    load(tables=["images"])
    del teams.registry().repositories["team-1/api"]
    del teams.registry().repositories["team-1/web"]
    outcome = load(tables=["images"], repositories=["team-1/*"])
    assert read(query) == {"team-2/api", "team-2/web", "base"}
    assert [table.message for table in outcome.incomplete][:1] == [
        'no repository that could be listed matches "team-1/*": a pattern has to match the whole name'
    ]


def test_nothing_is_known_any_more_of_what_vanished_and_had_no_rows(teams: EcrServer, load: Load, query: Query) -> None:
    load(tables=["policies"])
    del teams.registry().repositories["team-1/api"]
    load(tables=["policies"], repositories=["team-1/*", "team-2/*"])
    told_of = query("SELECT DISTINCT repository_name FROM extraction_repositories ORDER BY 1")
    assert told_of == [("base",), ("team-1/web",), ("team-2/api",), ("team-2/web",)]


def test_a_listing_that_is_denied_removes_nothing(teams: EcrServer, load: Load, query: Query) -> None:
    load(tables=["images"])
    before = query(IMAGES)
    del teams.registry().repositories["team-1/api"]
    teams.fail(DENIED, operation="DescribeRepositories")
    load(tables=["images"], repositories=["team-1/*"])
    assert query(IMAGES) == before


@POSTGRES_AT_NIGHT
@pytest.mark.parametrize("mode", first_by_day("snapshot", "history"))
def test_a_pattern_need_not_match_in_every_region(teams: EcrServer, load: Load, query: Query, mode: str) -> None:
    push(teams, "team-3/api", "us-east-1")
    load(mode=mode, tables=["repositories", "images", "policies"], regions=BOTH)
    push(teams, "team-3/web", "us-east-1")
    outcome = load(
        mode=mode,
        tables=["repositories", "images", "policies", "registry", "findings", "public"],
        regions=BOTH,
        repositories=["team-3/*"],
    )
    assert not outcome.incomplete
    assert outcome.errors == ()
    assert read(query) == {"team-1/api", "team-1/web", "team-2/api", "team-2/web", "base", "team-3/api", "team-3/web"}


def test_a_pattern_that_matches_nowhere_is_told_once_and_the_others_load(
    teams: EcrServer, ecr: Ecr, query: Query
) -> None:
    names = ("--repository", "team-1/*", "--repository", "taem-2/*", "--repository", "team-2/appi")
    done = ecr("run", "--table", "images", "--region", BOTH[0], "--region", BOTH[1], *names)
    assert done.returncode == 1
    assert done.stdout.count('matches "taem-2/*": a pattern has to match the whole name; the same of team-2/appi') == 1
    assert read(query) == {"team-1/api", "team-1/web"}


def test_a_name_that_does_not_exist_says_that_patterns_do(teams: EcrServer, ecr: Ecr) -> None:
    for name in ("team-1", "team-1/appi"):
        assert 'a pattern such as "team-1/*"' in ecr("run", "--repository", name).stdout


def test_repositories_are_masked_and_found_by_their_own_names(
    server: EcrServer, load: Load, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_SOURCE_MASK_KEY", "a key that nobody guesses")
    for name in ("of-123456789012/api", "of-123456789012/web", "base"):
        push(server, name)
    load(tables=["images"], mask_accounts=True)
    del server.registry().repositories["of-123456789012/api"]
    load(tables=["images"], mask_accounts=True, repositories=["of-123456789012/*"])
    masked = [name for name in read(query) if name.startswith("of-x")]
    assert len(masked) == 1
    assert masked[0].endswith("/web")


def test_a_pattern_in_incremental_mode_is_refused(load: Load) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read in incremental mode"):
        load(mode="incremental", repositories=["team-1/*"])
