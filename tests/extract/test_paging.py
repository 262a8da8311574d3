"""How a listing is read, page by page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ecr_source.extract.ledger import Outcome
from tests.conftest import Row
from tests.server.ecr_server import BROKEN, Answer, EcrServer, error
from tests.server.registry import enhanced_finding, package

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]


def names(query: Query) -> list[str]:
    return [name for (name,) in query("SELECT repository_name FROM repositories ORDER BY ALL")]


@pytest.fixture
def seven(server: EcrServer) -> list[str]:
    """Seven repositories on the server."""
    for number in range(7):
        server.registry().put(f"team/r{number}", created_at=1_700_000_000 + number)
    return sorted(server.registry().repositories)


def test_pages_are_followed_until_there_is_no_token(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    server.page_size = 2
    load()
    assert names(query) == seven
    assert server.calls["DescribeRepositories"] == 4


def test_the_largest_page_is_asked_for(server: EcrServer, seven: list[str], load: Load) -> None:
    load()
    assert [
        parameters["maxResults"] for operation, _, parameters in server.requests if operation != "GetCallerIdentity"
    ] == [1000]


def test_empty_pages_with_a_token_are_followed(server: EcrServer, seven: list[str], load: Load, query: Query) -> None:
    server.page_size, server.empty_pages = 3, True
    load()
    assert names(query) == seven


def test_a_token_that_repeats_fails_the_scope_instead_of_looping(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    server.page_size, server.loop_token = 3, True
    (outcome, _) = load().tables
    assert outcome.status == "failed"
    assert "nextToken of an earlier page" in outcome.message
    assert server.calls["DescribeRepositories"] <= 3


def test_a_rejected_token_restarts_the_listing_once(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    server.page_size = 3
    server.fail(error("InvalidParameterException", "Invalid token"), times=1, after=2)
    assert not load().incomplete
    assert names(query) == seven
    assert server.calls["DescribeRepositories"] == 3 + 3


def test_pages_read_before_a_rejected_token_are_dropped(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    server.page_size = 3
    server.fail(error("InvalidParameterException", "Invalid token"), times=1, after=1)

    def delete(operation: str, call: int) -> None:
        if operation == "DescribeRepositories" and call == 3:
            del server.registry().repositories["team/r0"]

    server.before_answer = delete
    load()
    assert names(query) == seven[1:]


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("DescribeImages", "InvalidParameterException"),
        ("GetResources", "PaginationTokenExpiredException"),
        ("ListFindings", "ValidationException"),
    ],
)
def test_a_token_that_expires_begins_any_listing_anew_once(
    server: EcrServer, load: Load, query: Query, operation: str, code: str
) -> None:
    registry = server.registry()
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": []}
    registry.put("api")
    registry.put("web")
    for number in range(7):
        digest = registry.put_image("api", tags=[f"v{number}"])["imageDigest"]
        registry.scan("api", digest, enhanced=[enhanced_finding(f"CVE-{number}", [package("openssl", "1.1")])])
    server.page_size = 1 if operation == "GetResources" else 3
    server.fail(error(code, "the token has expired"), times=1, after=1, operation=operation)
    outcome = load(tables=["repositories", "images", "findings"], findings_from="inspector2")
    assert not outcome.incomplete
    assert query("SELECT count(*) FROM images") == query("SELECT count(*) FROM image_scan_findings") == [(7,)]
    assert query("SELECT DISTINCT note FROM extraction_scopes WHERE table_name = 'repository_tags'") == [(None,)]


def test_a_token_rejected_twice_fails_the_scope(server: EcrServer, seven: list[str], load: Load) -> None:
    server.page_size = 3
    server.fail(error("InvalidParameterException", "Invalid token"), times=1, after=1)
    server.fail(error("InvalidParameterException", "Invalid token"), times=1, after=2)
    (outcome, _) = load().tables
    assert outcome.status == "failed"
    assert "rejected the nextToken" in outcome.message


def test_a_repository_on_two_pages_counts_once_as_the_later_page_has_it(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    def change(operation: str, call: int) -> None:
        if operation == "DescribeRepositories" and call == 2:
            server.registry().put(
                "team/r2",
                imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "new*"}],
            )

    server.registry().put("team/r2", imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "old*"}])
    server.page_size, server.repeat_last_item, server.before_answer = 3, True, change
    outcome = load()
    assert outcome.tables[0].rows == 7
    assert names(query) == seven
    assert query("SELECT image_tag_mutability FROM repositories WHERE repository_name = 'team/r2'") == [
        ("IMMUTABLE_WITH_EXCLUSION",)
    ]
    assert query("SELECT filter FROM repository_tag_mutability_exclusion_filters") == [("new*",)]


def test_filters_that_the_later_sighting_lacks_are_dropped(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    def change(operation: str, call: int) -> None:
        if operation == "DescribeRepositories" and call == 2:
            server.registry().put("team/r2")

    server.registry().put("team/r2", imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "old*"}])
    server.page_size, server.repeat_last_item, server.before_answer = 3, True, change
    load()
    assert query("SELECT filter FROM repository_tag_mutability_exclusion_filters") == []


def test_a_repository_twice_on_one_page_counts_once(server: EcrServer, load: Load, query: Query) -> None:
    server.registry().put("team/api", imageTagMutability="MUTABLE")
    server.registry().repositories["again"] = server.registry().put("team/api", imageTagMutability="IMMUTABLE")
    load()
    assert query("SELECT repository_name, image_tag_mutability FROM repositories") == [("team/api", "IMMUTABLE")]


def test_names_are_asked_for_by_the_hundred_without_paging_parameters(
    server: EcrServer, load: Load, query: Query
) -> None:
    server.registry().fill(250)
    wanted = sorted(server.registry().repositories)
    load(repositories=wanted)
    asked = [parameters for operation, _, parameters in server.requests if operation == "DescribeRepositories"]
    assert [len(parameters["repositoryNames"]) for parameters in asked] == [100, 100, 50]
    assert all(parameters.keys() == {"registryId", "repositoryNames"} for parameters in asked)
    assert names(query) == wanted


def test_a_name_that_does_not_exist_is_reported_and_the_others_load(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    outcome = load(repositories=["team/r1", "team/typo", "team/r5", "team/gone"])
    assert names(query) == ["team/r1", "team/r5"]
    assert [table.status for table in outcome.tables] == ["partial", "partial"]
    assert query("SELECT resource, status, error_code FROM extraction_errors ORDER BY ALL") == [
        ("team/gone", "gone", "RepositoryNotFoundException"),
        ("team/typo", "gone", "RepositoryNotFoundException"),
    ]


def test_loading_by_name_changes_no_other_row(server: EcrServer, seven: list[str], load: Load, query: Query) -> None:
    load()
    del server.registry().repositories["team/r0"]
    server.registry().put("team/r1", imageTagMutability="IMMUTABLE")
    load(repositories=["team/r1", "team/r0"])
    assert names(query) == seven
    assert query("SELECT repository_name FROM repositories WHERE image_tag_mutability = 'IMMUTABLE'") == [("team/r1",)]


def test_another_accounts_registry_can_be_read(server: EcrServer, load: Load, query: Query) -> None:
    server.registry(account="210987654321").put("theirs")
    server.registry().put("ours")
    load(registry_id="210987654321")
    assert query("SELECT registry_id, repository_name FROM repositories") == [("210987654321", "theirs")]


def test_the_calls_in_the_ledger_are_the_calls_that_the_service_saw(
    server: EcrServer, seven: list[str], load: Load, query: Query
) -> None:
    server.page_size = 2
    server.fail(BROKEN, times=2, after=1)
    load()
    assert query("SELECT sum(calls), sum(retried) FROM extraction_scopes") == [
        (server.calls["DescribeRepositories"], 2)
    ]


# errors that are none of AWS


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html>\n<body>Blocked\x00</body>\n</html>",
        b'{"__type": 5, "message": ["x"]}',
        b'{"__type": "\xff"}',
        b'{"message": ' + b"[" * 100_000,
        b'{"message": "' + b"x" * 1_000_000 + b'"}',
    ],
    ids=lambda body: repr(body[:20]),
)
def test_an_error_of_any_shape_is_one_sentence(server: EcrServer, load: Load, query: Query, body: bytes) -> None:
    server.fail(Answer(403, body))
    load()
    ((status, message),) = query("SELECT status, message FROM extraction_errors")
    assert status == "failed"
    assert message.startswith("cannot call ecr:DescribeRepositories in 123456789012/eu-west-1: ")
    assert len(message) <= 500
    assert message.isprintable()
