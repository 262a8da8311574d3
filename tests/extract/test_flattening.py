"""What becomes of the members of a response; botocore's own parser is the oracle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import botocore.session
import orjson
import pyarrow as pa
import pytest
from botocore.model import OperationModel
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from ecr_source.aws.decode import decode
from ecr_source.aws.scopes import Scope
from ecr_source.catalog.column import Member
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.catalog.tables.repository import REPOSITORIES, REPOSITORY_TAGS
from ecr_source.catalog.tables.repository import REPOSITORY_TAG_MUTABILITY_EXCLUSION_FILTERS as FILTERS
from ecr_source.errors import ForeignRow, MalformedResponse, MissingKey, NotWhole
from ecr_source.extract.ledger import Outcome
from ecr_source.extract.rows.flatten import flatten, listed_keys
from ecr_source.extract.rows.page import Page
from tests.conftest import Row
from tests.extract.mutations import LARGE
from tests.server.ecr_server import EcrServer

DESCRIBE_REPOSITORIES = botocore.session.get_session().get_service_model("ecr").operation_model("DescribeRepositories")
DESCRIBE_IMAGE_SCAN_FINDINGS = DESCRIBE_REPOSITORIES.service_model.operation_model("DescribeImageScanFindings")
GET_RESOURCES = (
    botocore.session.get_session().get_service_model("resourcegroupstaggingapi").operation_model("GetResources")
)
SCOPE = Scope("123456789012", "eu-west-1")
EXTRACTED_AT = datetime(2026, 11, 23, tzinfo=UTC)

Load = Callable[..., Outcome]
Query = Callable[[str], list[Row]]


def rows(response: dict[str, Any], table: Table = REPOSITORIES, scope: Scope = SCOPE) -> list[dict[str, Any]]:
    flat: list[dict[str, Any]] = tabulate(json.dumps(response).encode(), table, scope).to_pylist()
    return flat


def tabulate(body: bytes, table: Table, scope: Scope = SCOPE) -> pa.Table:
    (filling,) = table.fillings
    return flatten(page(body), table, filling, scope)


def page(body: bytes, operation: OperationModel = DESCRIBE_REPOSITORIES) -> Page:
    return Page(
        responses=decoded(body, operation),
        asked=pa.table({"number": [1]}),
        outcomes=pa.array(["complete"]),
        asked_at=pa.array([EXTRACTED_AT], TIMESTAMP),
        where="page 1 of ecr:DescribeRepositories in 123456789012/eu-west-1",
    )


def decoded(body: bytes, operation: OperationModel) -> pa.Table:
    """As a large response, which Arrow reads, and as a short one, which Python does: both must come to the same."""
    large, short = (rows_or_error(padded, operation) for padded in (body + b" " * LARGE, body))
    if isinstance(large, MalformedResponse):
        assert str(short) == str(large)
        raise large
    assert short == large
    return large


def rows_or_error(body: bytes, operation: OperationModel) -> pa.Table | MalformedResponse:
    try:
        return decode([body], operation)
    except MalformedResponse as error:
        return error


def row(**members: Any) -> dict[str, Any]:
    (only,) = rows({"repositories": [{"repositoryName": "api", **members}]})
    return only


# the oracle

text = st.text(max_size=20)
filters = st.lists(
    st.fixed_dictionaries({"filterType": st.just("WILDCARD"), "filter": text}),
    max_size=4,
    unique_by=lambda f: f["filter"],
)
repositories = st.lists(
    st.fixed_dictionaries(
        {"repositoryName": st.text(min_size=1, max_size=20)},
        optional={
            "registryId": st.just(SCOPE.registry_id),
            "repositoryArn": st.just("arn:aws:ecr:eu-west-1:123456789012:repository/api"),
            "repositoryUri": text | st.none(),
            "createdAt": st.floats(0, 4e9) | st.integers(0, 4_000_000_000) | st.none(),
            "imageTagMutability": st.sampled_from(["MUTABLE", "IMMUTABLE", "A_VALUE_OF_TOMORROW"]),
            "imageTagMutabilityExclusionFilters": filters | st.none(),
            "imageScanningConfiguration": st.fixed_dictionaries({}, optional={"scanOnPush": st.booleans()}) | st.none(),
            "encryptionConfiguration": st.fixed_dictionaries({}, optional={"encryptionType": text, "kmsKey": text}),
        },
    ),
    max_size=8,
    unique_by=lambda repository: str(repository["repositoryName"]),
)


def parsed_by_botocore(body: bytes) -> list[dict[str, Any]]:
    shape = DESCRIBE_REPOSITORIES.output_shape
    assert shape is not None
    response = create_parser("json").parse({"body": body, "headers": {}, "status_code": 200}, shape)
    parsed: list[dict[str, Any]] = response.get("repositories", [])
    return parsed


def at(item: dict[str, Any], path: str) -> Any:
    for step in path.split("."):
        item = item.get(step, {})
    return None if item == {} else item


@given(repositories)
def test_every_member_has_the_value_that_botocore_parses(listed: list[dict[str, Any]]) -> None:
    body = orjson.dumps({"repositories": listed})
    flat = tabulate(body, REPOSITORIES).to_pylist()
    expected = sorted(parsed_by_botocore(body), key=lambda item: str(item["repositoryName"]).encode())
    for column, source in REPOSITORIES.fillings[0].sources.items():
        if isinstance(source, Member):
            assert [one[column] for one in flat] == [at(item, source.path) for item in expected], column


@given(repositories)
def test_every_filter_that_botocore_parses_is_a_row(listed: list[dict[str, Any]]) -> None:
    body = orjson.dumps({"repositories": listed})
    assert sorted((one["repository_name"], one["filter"]) for one in tabulate(body, FILTERS).to_pylist()) == sorted(
        (item["repositoryName"], one["filter"])
        for item in parsed_by_botocore(body)
        for one in item.get("imageTagMutabilityExclusionFilters", [])
    )


@given(repositories, st.randoms(use_true_random=False))
def test_the_same_repositories_in_any_order_are_the_same_rows(listed: list[dict[str, Any]], order: Any) -> None:
    shuffled = order.sample(listed, len(listed))
    for item in shuffled:
        if item.get("imageTagMutabilityExclusionFilters"):
            filters = item["imageTagMutabilityExclusionFilters"]
            item["imageTagMutabilityExclusionFilters"] = order.sample(filters, len(filters))
    for table in (REPOSITORIES, FILTERS):
        one, other = (rows({"repositories": some}, table) for some in (listed, shuffled))
        assert sorted(map(repr, one)) == sorted(map(repr, other))


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    ),
    st.sampled_from(["", "repositories", "repositoryName", "createdAt", "encryptionConfiguration", "registryId"]),
)
def test_any_json_at_any_place_is_a_row_or_a_malformed_response(value: Any, place: str) -> None:
    item = {"repositoryName": "api", place: value} if place else value
    body = json.dumps({"repositories": value if place == "repositories" else [item]}).encode()
    for table in (REPOSITORIES, FILTERS):
        with suppress(MalformedResponse):
            assert tabulate(body, table).schema == arrow_schema(table)


# missing members


def test_the_three_members_of_the_documentations_example_are_a_row(server: EcrServer, load: Load, query: Query) -> None:
    server.accounts = dict.fromkeys(server.accounts, "012345678910")
    server.registry("us-west-2", "012345678910").repositories["ubuntu"] = {
        "registryId": "012345678910",
        "repositoryName": "ubuntu",
        "repositoryArn": "arn:aws:ecr:us-west-2:012345678910:repository/ubuntu",
    }
    load(regions=["us-west-2"])
    assert query("SELECT * EXCLUDE (extracted_at) FROM repositories") == [
        (
            "012345678910",
            "us-west-2",
            "ubuntu",
            "arn:aws:ecr:us-west-2:012345678910:repository/ubuntu",
            "aws",
            *[None] * 8,
        )
    ]


def test_a_missing_registry_id_and_region_are_the_scopes() -> None:
    assert (row()["registry_id"], row()["region"], row()["partition"]) == ("123456789012", "eu-west-1", None)


@pytest.mark.parametrize("name", [{}, {"repositoryName": None}])
def test_a_row_without_its_key_is_an_error_that_names_the_page(name: dict[str, None]) -> None:
    listed = [{"repositoryName": "api"}, {"repositoryUri": "u", **name}]
    with pytest.raises(
        MissingKey, match=r"page 1 of ecr:DescribeRepositories in 123456789012/eu-west-1: row 2 .* no repo"
    ):
        rows({"repositories": listed})


@pytest.mark.parametrize("arn", ["", "a text", "arn:aws:ecr"])
def test_a_text_that_is_no_arn_is_an_error_in_a_column_and_in_the_key_of_a_listing(arn: str) -> None:
    with pytest.raises(MalformedResponse, match="repositoryArn is not an ARN"):
        row(repositoryArn=arn)
    body = json.dumps({"ResourceTagMappingList": [{"ResourceARN": arn, "Tags": []}]}).encode()
    responses = page(body, GET_RESOURCES)
    with pytest.raises(MalformedResponse, match="ResourceARN is not an ARN"):
        listed_keys(responses, REPOSITORY_TAGS, REPOSITORY_TAGS.fillings[0])


def test_a_row_of_another_region_is_an_error() -> None:
    with pytest.raises(ForeignRow, match="a row is of region us-east-1"):
        row(repositoryArn="arn:aws:ecr:us-east-1:123456789012:repository/api")


@pytest.mark.parametrize("response", [{}, {"repositories": None}, {"message": "maintenance"}])
def test_a_response_without_the_list_is_not_an_empty_registry(response: dict[str, Any]) -> None:
    with pytest.raises(MalformedResponse, match="has no repositories"):
        rows(response)


def test_an_empty_list_has_no_rows() -> None:
    assert rows({"repositories": []}) == []


# bodies that are no JSON, which Arrow's reader would take, or end the process


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"5",
        b'{"repositories": []}\nnull',
        b'{"repositories": []} {"repositories": []}',
        b'\xef\xbb\xbf{"repositories": []}',
        b'{"repositories": [{"repositoryName": "a\xff"}]}',
        b'{"repositories": [{"repositoryName": "a\xed\xa0\x80"}]}',
        b'{"repositories": [{"repositoryName": "a\\ud800"}]}',
        b'{"repositories": [{"repositoryName": "a", "createdAt": NaN}]}',
        b'{"repositories": [{"repositoryName": "a", "createdAt": -Infinity}]}',
        b'{"repositories": [{"repositoryName": "a", "createdAt": 1e400}]}',
        b'{"repositories": ' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_one_json_object_is_not_whole(body: bytes) -> None:
    with pytest.raises(NotWhole):
        decode([body], DESCRIBE_REPOSITORIES)


@pytest.mark.parametrize("more", [{}, {"unknown": 1}])
def test_an_item_that_is_null_is_an_error_whatever_stands_beside_it(more: dict[str, int]) -> None:
    with pytest.raises(MalformedResponse, match=r"repositories\[0\] is null"):
        rows({"repositories": [None], **more})


def test_of_a_member_that_is_given_twice_the_last_counts() -> None:
    body = b'{"repositories": [{"repositoryName": "a", "repositoryUri": "first", "repositoryUri": "last"}]}'
    assert [one["repository_uri"] for one in tabulate(body, REPOSITORIES).to_pylist()] == ["last"]


# derived columns


@pytest.mark.parametrize(
    ("name", "namespace"), [("api", None), ("team/api", "team"), ("org/team/api", "org/team"), ("/api", None)]
)
def test_the_namespace_is_what_stands_before_the_last_slash(name: str, namespace: str | None) -> None:
    assert row(repositoryName=name)["namespace"] == namespace


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso-b"])
def test_the_partition_is_the_arns(partition: str) -> None:
    assert row(repositoryArn=f"arn:{partition}:ecr:eu-west-1:123456789012:repository/api")["partition"] == partition


def test_rows_of_a_nested_list_are_sorted_by_key() -> None:
    listed = [{"filterType": "WILDCARD", "filter": name} for name in ("dev*", "a*", "latest")]
    response = {"repositories": [{"repositoryName": "api", "imageTagMutabilityExclusionFilters": listed}]}
    assert [one["filter"] for one in rows(response, FILTERS)] == ["a*", "dev*", "latest"]


# timestamps


@pytest.mark.parametrize(
    "created_at",
    [
        1_700_000_000.123456,
        "2023-11-14T22:13:20.123456Z",
        "2023-11-14T22:13:20.123456+00:00",
        "2023-11-14T23:13:20.123456+01:00",
        "2023-11-14T22:13:20.123456",
    ],
)
def test_timestamps_are_utc_to_the_microsecond(created_at: float | str, timezone_of_the_machine: str) -> None:
    assert row(createdAt=created_at)["created_at"] == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC)


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Kathmandu"])
def timezone_of_the_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with monkeypatch.context() as machine:
        machine.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize(
    "created_at",
    ["soon", True, {}, [], 1e300, "", "12:30", "Tuesday", "9" * 40, "0001-01-01T00:00+14:00", -62_135_596_801],
)
def test_a_timestamp_that_is_none_is_an_error_that_names_the_member(created_at: object) -> None:
    with pytest.raises(MalformedResponse, match=r"createdAt|created_at"):
        row(createdAt=created_at)


@pytest.mark.parametrize(
    ("created_at", "year"), [(-62_135_596_800, 1), (-1.5, 1969), (253_402_300_799.5, 9999), (253_402_300_800, None)]
)
def test_timestamps_are_in_the_years_that_datetimes_have(created_at: float, year: int | None) -> None:
    if year is not None:
        assert row(createdAt=created_at)["created_at"].year == year
        return
    with pytest.raises(MalformedResponse, match="not in the years 1 to 9999"):
        row(createdAt=created_at)


def test_a_number_is_no_timestamp_and_may_be_a_large_integer() -> None:
    def score(value: object) -> object:
        finding = {"score": value, "ofTomorrow": 1}
        body = json.dumps({"imageScanFindings": {"enhancedFindings": [finding]}}).encode()
        (response,) = decode([body], DESCRIBE_IMAGE_SCAN_FINDINGS).to_pylist()
        return response["imageScanFindings"]["enhancedFindings"][0]["score"]

    assert score(2**63 - 1) == 2.0**63
    with pytest.raises(MalformedResponse, match="score is '2026-11-23T12:00:00Z', not a double"):
        score("2026-11-23T12:00:00Z")


def test_a_malformed_member_is_named_with_its_page(server: EcrServer, load: Load) -> None:
    server.registry().put("first")
    server.registry().put("second", encryptionConfiguration={"encryptionType": ["KMS"]})
    server.page_size = 1
    (outcome, _) = load().tables
    assert outcome.message == (
        "page 2 of ecr:DescribeRepositories in 123456789012/eu-west-1:"
        " repositories[0].encryptionConfiguration.encryptionType is ['KMS'], not a string"
    )


# members that the catalog does not name


def test_members_that_no_column_names_are_kept() -> None:
    kept = row(
        zTomorrow=[1, {"b": 2, "a": None}],
        encryptionConfiguration={"encryptionType": "KMS", "rotation": {"days": 90}},
    )
    assert kept["encryption_type"] == "KMS"
    assert json.loads(kept["unmodelled"]) == {
        "encryptionConfiguration": {"rotation": {"days": 90}},
        "zTomorrow": [1, {"b": 2, "a": None}],
    }


def test_a_member_that_nests_too_deep_to_be_kept_is_an_error_that_names_it() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(MalformedResponse, match="nests too deep to be kept: 'zTomorrow'"):
        row(zTomorrow=deep)


def test_a_member_that_is_called_unmodelled_is_kept_like_any_other() -> None:
    assert row(unmodelled="text")["unmodelled"] == '{"unmodelled":"text"}'


def test_members_of_nested_rows_that_no_column_names_are_kept_with_those_rows() -> None:
    response = {
        "repositories": [
            {
                "repositoryName": "api",
                "imageTagMutabilityExclusionFilters": [{"filterType": "REGEX", "filter": "x", "flags": "i"}],
            }
        ]
    }
    assert [one["unmodelled"] for one in rows(response, FILTERS)] == ['{"flags":"i"}']
    assert [one["unmodelled"] for one in rows(response)] == [None]


def test_unknown_members_and_enum_values_reach_the_database(server: EcrServer, load: Load, query: Query) -> None:
    server.registry().put("api", imageTagMutability="A_VALUE_OF_TOMORROW", newMember="kept")
    load()
    assert query("SELECT image_tag_mutability, unmodelled FROM repositories") == [
        ("A_VALUE_OF_TOMORROW", '{"newMember":"kept"}')
    ]


@pytest.mark.parametrize("table", [REPOSITORIES, FILTERS], ids=lambda table: table.name)
def test_tables_have_scalar_columns_only(table: Table) -> None:
    assert not any(pa.types.is_nested(field.type) for field in arrow_schema(table))
