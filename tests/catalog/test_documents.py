"""What becomes of JSON documents inside of responses; generated policies carry the rows that they must become."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_source.catalog import documents
from ecr_source.catalog.documents import DOCUMENTS, Document, parse_documents

Json = Any
Struct = dict[str, Any]

KINDS = pytest.mark.parametrize("kind", DOCUMENTS)


def parsed(kind: str, document: Json) -> Struct:
    return read(kind, json.dumps(document))


def read(kind: str, text: str) -> Struct:
    (struct,) = parse_documents(kind, pa.array([text], pa.string())).to_pylist()
    assert isinstance(struct, dict)
    return struct


def statement(**members: Json) -> Struct:
    """The one statement of a policy, an Allow unless told otherwise."""
    policy = parsed("policy", {"Statement": {"Effect": "Allow", **members}})
    assert policy["parseError"] is None
    (only,) = policy["statements"]
    assert isinstance(only, dict)
    return only


def principals(element: Json) -> list[tuple[str, str, str | None]]:
    return [(one["type"], one["principal"], one["accountId"]) for one in statement(Principal=element)["principals"]]


def conditions(condition: Json) -> list[tuple[str, str, int, str]]:
    return [tuple(one.values()) for one in statement(Condition=condition)["conditions"]]


def error(kind: str, document: Json) -> str:
    struct = parsed(kind, document)
    assert not any(value for name, value in struct.items() if name != "parseError")
    return str(struct["parseError"])


def rule(**members: Json) -> Struct:
    lifecycle = parsed("lifecycle", {"rules": [{"rulePriority": 1, **members}]})
    assert lifecycle["parseError"] is None
    (only,) = lifecycle["rules"]
    assert isinstance(only, dict)
    return only


# one struct per text


@KINDS
def test_a_null_text_is_a_null_struct(kind: str) -> None:
    texts = pa.array(["", None, "{}", None, ""], pa.string())
    assert [struct is None for struct in parse_documents(kind, texts).to_pylist()] == [False, True, False, True, False]


@KINDS
@pytest.mark.parametrize("texts", [[], [None], ["{}"], ["", "{}", ""]])
def test_the_type_is_the_declared_one_with_its_descriptions(kind: str, texts: list[str | None]) -> None:
    structs = parse_documents(kind, pa.array(texts, pa.string()))
    assert structs.type.equals(DOCUMENTS[kind].type, check_metadata=True)
    assert len(structs) == len(texts)


def test_structs_stand_in_the_order_of_their_texts() -> None:
    ids = ["b", "a", "b", "c", "a"]
    texts = pa.array([json.dumps({"Id": id_, "Statement": []}) for id_ in ids])
    assert [struct["id"] for struct in parse_documents("policy", texts).to_pylist()] == ids
    assert [struct["id"] for struct in parse_documents("policy", texts.slice(1, 3)).to_pylist()] == ids[1:4]


def test_a_text_that_many_share_is_parsed_once() -> None:
    policy = DOCUMENTS["policy"]
    parse = mock.Mock(wraps=policy.parse)
    with mock.patch.object(documents, "DOCUMENTS", {"policy": Document(policy.type, parse)}):
        parse_documents("policy", pa.array(['{"Statement": []}', None, "{}"] * 100))
    assert parse.call_count == 2


@KINDS
def test_every_field_has_a_description_that_is_a_sentence(kind: str) -> None:
    for field in fields(DOCUMENTS[kind].type):
        description = field.metadata[b"description"].decode()
        assert description.endswith("."), field
        assert description[0].isupper() or description[0].isdigit() or field.name == "type", field


def fields(type_: pa.DataType) -> Iterator[pa.Field]:
    for index in range(type_.num_fields):
        yield type_.field(index)
        yield from fields(type_.field(index).type)


# texts that are no such document


@KINDS
@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "NaN", '{"a": NaN}', '{"a": 1e999}', '"\\ud800"', "\ufeff{}", "{}{}", "[" * 100_000, "\x00"],
)
def test_a_text_that_is_not_json_is_a_fact(kind: str, text: str) -> None:
    assert read(kind, text)["parseError"].startswith("the text is not JSON: ")


@KINDS
@pytest.mark.parametrize("text", ["null", "[]", "5", '"{}"', "[" * 1000 + "]" * 1000])
def test_a_document_that_is_no_object_is_a_fact(kind: str, text: str) -> None:
    assert read(kind, text)["parseError"].endswith("not an object")


@KINDS
def test_a_lone_surrogate_is_no_crash(kind: str) -> None:
    assert "surrogates" in DOCUMENTS[kind].parse('{"Id": "\ud800"}')["parseError"]


def test_of_a_member_that_is_given_twice_the_last_counts() -> None:
    assert read("policy", '{"Id": "first", "Id": "last", "Statement": []}')["id"] == "last"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({}, "Statement is missing"),
        ({"Statement": "Allow"}, "Statement is 'Allow', not a list"),
        ({"Statement": [{"Effect": "Deny"}, 5]}, "Statement[1] is 5, not an object"),
        ({"Statement": [None]}, "Statement[0] is None, not an object"),
        ({"Statement": [], "Id": 5}, "Id is 5, not a string"),
        ({"Statement": {}}, "Statement.Effect is missing"),
        ({"Statement": {"Effect": "allow"}}, "Statement.Effect is 'allow', not Allow or Deny"),
        (
            {"Statement": [{"Effect": "Deny"}, {"Effect": "Deny", "Action": 5}]},
            "Statement[1].Action is 5, not a string or a list of strings",
        ),
        (
            {"Statement": {"Effect": "Deny", "NotResource": ["a", None]}},
            "Statement.NotResource is ['a', None], not a string or a list of strings",
        ),
        (
            {"Statement": [{"Effect": "Deny", "Action": [], "NotAction": []}]},
            "Statement[0].Action stands beside Statement[0].NotAction, which excludes it",
        ),
        (
            {"Statement": {"Effect": "Allow", "Principal": "123456789012"}},
            "Statement.Principal is '123456789012', not \"*\" or an object",
        ),
        ({"Statement": {"Effect": "Allow", "Principal": False}}, 'Statement.Principal is False, not "*" or an object'),
        (
            {"Statement": {"Effect": "Allow", "NotPrincipal": {"AWS": 123456789012}}},
            "Statement.NotPrincipal.AWS is 123456789012, not a string or a list of strings",
        ),
        ({"Statement": {"Effect": "Deny", "Condition": []}}, "Statement.Condition is [], not an object"),
        (
            {"Statement": {"Effect": "Deny", "Condition": {"Bool": "x"}}},
            "Statement.Condition.Bool is 'x', not an object",
        ),
        (
            {"Statement": {"Effect": "Deny", "Condition": {"Bool": {"aws:x": [[]]}}}},
            "Statement.Condition.Bool.aws:x is [], not a string, a boolean, a 64-bit number or a list of them",
        ),
    ],
)
def test_an_error_of_a_policy_names_the_place(policy: Json, message: str) -> None:
    assert error("policy", policy) == message


def test_a_long_value_is_shortened_in_the_error() -> None:
    assert len(error("policy", {"Statement": "x" * 10_000})) < 100


def test_a_member_that_nests_too_deep_to_be_kept_is_a_fact() -> None:
    nested: Json = []
    for _ in range(300):
        nested = [nested]
    assert error("policy", {"Statement": {"Effect": "Deny", "tomorrow": nested}}).startswith(
        "Statement has a member that nests too deep to be kept"
    )


# policies


def test_a_statement_object_is_a_list_of_one() -> None:
    one = {"Sid": "pull", "Effect": "Allow", "Principal": "*", "Action": "ecr:*"}
    assert parsed("policy", {"Statement": one}) == parsed("policy", {"Statement": [one]})


def test_a_policy_has_its_version_id_and_statements_in_order() -> None:
    policy = parsed(
        "policy",
        {
            "Version": "2012-10-17",
            "Id": "p",
            "Statement": [{"Sid": "z", "Effect": "Deny"}, {"Sid": "a", "Effect": "Allow"}],
        },
    )
    assert (policy["parseError"], policy["version"], policy["id"], policy["statementCount"]) == (
        None,
        "2012-10-17",
        "p",
        2,
    )
    assert [(one["index"], one["sid"], one["effect"]) for one in policy["statements"]] == [
        (0, "z", "Deny"),
        (1, "a", "Allow"),
    ]


@pytest.mark.parametrize(
    ("element", "column"), [("Action", "action"), ("Resource", "resource"), ("NotAction", "action")]
)
def test_a_string_is_a_list_of_one(element: str, column: str) -> None:
    expected = [{"negated": element.startswith("Not"), column: "ecr:*"}]
    assert statement(**{element: "ecr:*"})[f"{column}s"] == expected
    assert statement(**{element: ["ecr:*"]})[f"{column}s"] == expected


def test_strings_of_a_list_are_sorted_and_each_is_there_once() -> None:
    assert statement(NotResource=["b", "a", "b"])["resources"] == [
        {"negated": True, "resource": "a"},
        {"negated": True, "resource": "b"},
    ]


def test_a_member_that_is_null_counts_as_absent() -> None:
    assert statement(Sid=None, Principal=None, Action=None, Condition=None) == statement()


def test_the_principal_everybody_has_its_own_type() -> None:
    assert principals("*") == [("*", "*", None)]


@pytest.mark.parametrize(
    ("principal", "account_id"),
    [
        ("arn:aws:iam::123456789012:root", "123456789012"),
        ("arn:aws-cn:iam::123456789012:role/path/ci", "123456789012"),
        ("arn:aws:sts::123456789012:assumed-role/ci/session", "123456789012"),
        ("123456789012", "123456789012"),
        ("1234567890123", None),
        ("123456789012\n", None),
        ("١٢٣٤٥٦٧٨٩٠١٢", None),
        ("AIDACKCEVSQ6C2EXAMPLE", None),
        ("arn:aws:iam::*:root", None),
        ("*", None),
    ],
)
def test_the_account_of_a_principal_is_its_arns_or_itself(principal: str, account_id: str | None) -> None:
    assert principals({"AWS": principal}) == [("AWS", principal, account_id)]


def test_a_map_of_principals_is_a_row_per_type_and_principal() -> None:
    assert principals(
        {
            "Service": ["lambda.amazonaws.com", "codebuild.amazonaws.com"],
            "Federated": ["cognito-identity.amazonaws.com", "arn:aws:iam::123456789012:oidc-provider/x"],
            "CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be",
            "AWS": ["*"],
        }
    ) == [
        ("AWS", "*", None),
        ("CanonicalUser", "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", None),
        ("Federated", "arn:aws:iam::123456789012:oidc-provider/x", "123456789012"),
        ("Federated", "cognito-identity.amazonaws.com", None),
        ("Service", "codebuild.amazonaws.com", None),
        ("Service", "lambda.amazonaws.com", None),
    ]


def test_a_not_principal_is_negated() -> None:
    (only,) = statement(NotPrincipal={"AWS": "123456789012"})["principals"]
    assert (only["negated"], only["principal"]) == (True, "123456789012")


SOME_CONDITION = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}


@pytest.mark.parametrize(
    ("members", "public"),
    [
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["123456789012", "*"]}}, True),
        ({"NotPrincipal": {"AWS": "123456789012"}}, True),
        ({"Principal": "*", "Condition": {}}, True),
        ({"Principal": "*", "Condition": {"StringEquals": {}}}, True),
        ({"Principal": "*", "Condition": SOME_CONDITION}, False),
        ({"NotPrincipal": {"AWS": "123456789012"}, "Condition": SOME_CONDITION}, False),
        ({"Principal": "*", "Effect": "Deny"}, False),
        ({"NotPrincipal": {"AWS": "123456789012"}, "Effect": "Deny"}, False),
        ({"Principal": {"AWS": "123456789012"}}, False),
        ({"Principal": {"Service": "*"}}, False),
        ({}, False),
    ],
)
def test_a_statement_is_public_if_it_allows_everybody_without_condition(members: Json, public: bool) -> None:
    assert statement(**members)["isPublic"] is public


def test_a_condition_is_a_row_per_value() -> None:
    condition = {
        "StringLike": {"aws:sourceArn": ["arn:b", "arn:a", "arn:b"]},
        "Bool": {"aws:SecureTransport": True, "aws:ViaAWSService": "false"},
        "NumericLessThan": {"aws:MultiFactorAuthAge": [5, 10.5]},
        "Null": {"aws:TokenIssueTime": []},
    }
    assert conditions(condition) == [
        ("Bool", "aws:SecureTransport", 0, "true"),
        ("Bool", "aws:ViaAWSService", 0, "false"),
        ("NumericLessThan", "aws:MultiFactorAuthAge", 0, "10.5"),
        ("NumericLessThan", "aws:MultiFactorAuthAge", 1, "5"),
        ("StringLike", "aws:sourceArn", 0, "arn:a"),
        ("StringLike", "aws:sourceArn", 1, "arn:b"),
    ]


def test_the_text_of_a_condition_is_its_json_in_order() -> None:
    condition = {"StringLike": {"b": ["z", "y"], "a": "x"}, "Bool": {"c": True}}
    text = '{"Bool":{"c":true},"StringLike":{"a":"x","b":["y","z"]}}'
    assert statement(Condition=condition)["conditionText"] == text


@pytest.mark.parametrize("members", [{}, {"Condition": {}}])
def test_no_condition_has_no_text(members: Json) -> None:
    assert statement(**members)["conditionText"] is None


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, 1e300])
def test_a_number_that_would_be_read_as_another_is_an_error(value: float) -> None:
    assert "64-bit" in error("policy", {"Statement": {"Effect": "Deny", "Condition": {"NumericEquals": {"k": value}}}})


def test_members_that_the_grammar_does_not_have_are_kept() -> None:
    kept = statement(tomorrow={"b": None, "a": [1]}, action="ecr:*", Action="ecr:*")
    assert kept["unknownFields"] == '{"action":"ecr:*","tomorrow":{"a":[1],"b":null}}'
    assert statement()["unknownFields"] is None


# generated policies

names = st.text(max_size=8)
accounts = st.from_regex(r"[0-9]{12}", fullmatch=True)
aws_principals = (
    st.just(("*", None))
    | accounts.map(lambda account: (account, account))
    | st.tuples(st.sampled_from(["aws", "aws-us-gov"]), accounts, st.sampled_from(["root", "role/a:b", "user/ü"])).map(
        lambda arn: (f"arn:{arn[0]}:iam::{arn[1]}:{arn[2]}", arn[1])
    )
)
services = st.sampled_from(["ecr.amazonaws.com", "lambda.amazonaws.com", "*"]).map(lambda name: (name, None))
sets_of_principals: st.SearchStrategy[dict[str, set[tuple[str, str | None]]]] = st.fixed_dictionaries(
    {}, optional={"AWS": st.sets(aws_principals, max_size=3), "Service": st.sets(services, max_size=3)}
)
condition_values = st.sets(
    st.tuples(names, names).map(lambda pair: (json.dumps(pair[0]), pair[0]))
    | st.booleans().map(lambda value: (json.dumps(value), json.dumps(value)))
    | st.integers(1 - 2**63, 2**63 - 1).map(lambda value: (str(value), str(value))),
    max_size=3,
)
condition_maps = st.dictionaries(names, st.dictionaries(names, condition_values, max_size=2), max_size=2)


@st.composite
def spelled(draw: st.DrawFn, values: list[Json]) -> Json:
    """A set of values as IAM's grammar lets one write it."""
    if len(values) == 1 and draw(st.booleans()):
        return values[0]
    repeated = values + (draw(st.lists(st.sampled_from(values), max_size=2)) if values else [])
    return draw(st.permutations(repeated))


@st.composite
def statements(draw: st.DrawFn) -> tuple[Struct, Struct]:
    """A statement as written, and the struct that it must become, without its index."""
    effect = draw(st.sampled_from(["Allow", "Deny"]))
    written: Struct = {"Effect": effect}
    expected: Struct = {"effect": effect, "sid": draw(st.none() | names), "unknownFields": None}
    if expected["sid"] is not None:
        written["Sid"] = expected["sid"]
    for element in ("Action", "Resource"):
        negation, values = draw(st.sampled_from(["", "Not"])), draw(st.none() | st.sets(names, max_size=3))
        expected[f"{element.lower()}s"] = [
            {"negated": negation == "Not", element.lower(): value} for value in sorted(values or ())
        ]
        if values is not None:
            written[negation + element] = draw(spelled(sorted(values)))
    written_principals, expected["principals"] = draw(elements_of_principals())
    written |= written_principals
    written_condition, expected["conditions"] = draw(elements_of_conditions())
    written |= written_condition
    named = {(one["type"], one["principal"]) for one in expected["principals"]}
    expected["isPublic"] = (
        effect == "Allow"
        and ("NotPrincipal" in written or bool(named & {("*", "*"), ("AWS", "*")}))
        and not any(written.get("Condition", {}).values())
    )
    order = draw(st.permutations(list(written)))
    return {name: written[name] for name in order}, expected


@st.composite
def elements_of_principals(draw: st.DrawFn) -> tuple[Struct, list[Struct]]:
    element = draw(st.sampled_from(["Principal", "NotPrincipal", None]))
    if element is None:
        return {}, []
    everybody: dict[str, set[tuple[str, str | None]]] = {"*": {("*", None)}}
    by_type = draw(st.just(everybody) | sets_of_principals)
    rows = [
        {"negated": element == "NotPrincipal", "type": type_, "principal": principal, "accountId": account}
        for type_, some in by_type.items()
        for principal, account in some
    ]
    written = {type_: draw(spelled(sorted(principal for principal, _ in some))) for type_, some in by_type.items()}
    return {element: "*" if "*" in by_type else written}, sorted(rows, key=lambda row: (row["type"], row["principal"]))


@st.composite
def elements_of_conditions(draw: st.DrawFn) -> tuple[Struct, list[Struct]]:
    condition = draw(st.none() | condition_maps)
    if condition is None:
        return {}, []
    written = {
        operator: {
            key: draw(spelled([json.loads(as_json) for as_json, _ in sorted(values)])) for key, values in keys.items()
        }
        for operator, keys in condition.items()
    }
    rows = [
        {"operator": operator, "key": key, "ordinal": ordinal, "value": value}
        for operator in sorted(condition)
        for key in sorted(condition[operator])
        for ordinal, value in enumerate(sorted({text for _, text in condition[operator][key]}))
    ]
    return {"Condition": written}, rows


@st.composite
def policies(draw: st.DrawFn) -> tuple[Struct, Struct]:
    """A policy as written, and the struct that it must become."""
    listed = draw(st.lists(statements(), max_size=3))
    written = [one for one, _ in listed]
    version, id_ = draw(st.none() | st.just("2012-10-17")), draw(st.none() | names)
    policy = {
        "Version": version,
        "Id": id_,
        "Statement": written[0] if len(written) == 1 and draw(st.booleans()) else written,
    }
    expected = {
        "parseError": None,
        "version": version,
        "id": id_,
        "statementCount": len(listed),
        "statements": [{"index": index, **struct} for index, (_, struct) in enumerate(listed)],
    }
    return policy, expected


@given(policies())
def test_a_policy_of_any_shape_is_the_rows_that_it_means(policy: tuple[Struct, Struct]) -> None:
    written, expected = policy
    struct = parsed("policy", written)
    for one in struct["statements"]:
        text = one.pop("conditionText")
        assert (text is None) == (not one["conditions"] and not json.loads(text or "{}"))
    assert struct == expected


@given(policies(), st.randoms(use_true_random=False))
def test_equal_policies_in_another_order_are_equal_structs(policy: tuple[Struct, Struct], order: random.Random) -> None:
    written, _ = policy
    assert parsed("policy", written) == parsed("policy", in_another_order(written, order, keep=("Statement",)))


def in_another_order(value: Json, order: random.Random, keep: tuple[str, ...] = (), name: str = "") -> Json:
    """The same JSON, its members and lists shuffled, but for the lists named in `keep`."""
    if isinstance(value, dict):
        shuffled = order.sample(list(value.items()), len(value))
        return {key: in_another_order(member, order, keep, key) for key, member in shuffled}
    if isinstance(value, list):
        items = value if name in keep else order.sample(value, len(value))
        return [in_another_order(item, order, keep) for item in items]
    return value


# lifecycle policies


def test_a_lifecycle_rule_is_one_row_of_scalars() -> None:
    assert rule(
        description="expire old ones",
        selection={
            "tagStatus": "tagged",
            "tagPatternList": ["prod*", "*-rc", "prod*"],
            "tagPrefixList": ["dev"],
            "storageClass": "standard",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": 14,
        },
        action={"type": "transition", "targetStorageClass": "archive"},
    ) == {
        "rulePriority": 1,
        "description": "expire old ones",
        "tagStatus": "tagged",
        "storageClass": "standard",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 14,
        "actionType": "transition",
        "actionTargetStorageClass": "archive",
        "unknownFields": None,
        "tagMatches": [
            {"type": "pattern", "value": "*-rc"},
            {"type": "pattern", "value": "prod*"},
            {"type": "prefix", "value": "dev"},
        ],
    }


def test_a_rule_needs_a_priority_only() -> None:
    assert {name for name, value in rule().items() if value} == {"rulePriority"}


def test_rules_are_sorted_by_priority() -> None:
    lifecycle = parsed("lifecycle", {"rules": [{"rulePriority": 20}, {"rulePriority": 3}]})
    assert lifecycle["ruleCount"] == 2
    assert [one["rulePriority"] for one in lifecycle["rules"]] == [3, 20]


def test_members_of_a_rule_that_no_field_holds_are_kept_where_they_stood() -> None:
    kept = rule(enabled=True, selection={"countType": "x", "region": "eu"}, action={"type": "expire", "dryRun": True})
    assert kept["unknownFields"] == '{"action":{"dryRun":true},"enabled":true,"selection":{"region":"eu"}}'


@pytest.mark.parametrize(
    ("lifecycle", "message"),
    [
        ({}, "rules is missing"),
        ({"rules": {}}, "rules is {}, not a list"),
        ({"rules": ["x"]}, "rules[0] is 'x', not an object"),
        ({"rules": [{}]}, "rules[0].rulePriority is missing"),
        ({"rules": [{"rulePriority": "1"}]}, "rules[0].rulePriority is '1', not a 64-bit integer"),
        ({"rules": [{"rulePriority": True}]}, "rules[0].rulePriority is True, not a 64-bit integer"),
        ({"rules": [{"rulePriority": 2**63}]}, f"rules[0].rulePriority is {2**63}, not a 64-bit integer"),
        (
            {"rules": [{"rulePriority": 7}, {"rulePriority": 7}]},
            "rules[1].rulePriority is 7, as that of a rule before it",
        ),
        ({"rules": [{"rulePriority": 1, "selection": []}]}, "rules[0].selection is [], not an object"),
        (
            {"rules": [{"rulePriority": 1, "selection": {"countNumber": 1.5}}]},
            "rules[0].selection.countNumber is 1.5, not a 64-bit integer",
        ),
        (
            {"rules": [{"rulePriority": 1, "selection": {"tagPrefixList": [1]}}]},
            "rules[0].selection.tagPrefixList is [1], not a string or a list of strings",
        ),
        ({"rules": [{"rulePriority": 1, "action": {"type": 1}}]}, "rules[0].action.type is 1, not a string"),
    ],
)
def test_an_error_of_a_lifecycle_policy_names_the_place(lifecycle: Json, message: str) -> None:
    assert error("lifecycle", lifecycle) == message


lifecycles = st.lists(
    st.fixed_dictionaries(
        {"rulePriority": st.integers(1, 999)},
        optional={
            "description": names,
            "selection": st.dictionaries(
                st.sampled_from(["tagPatternList", "tagPrefixList", "tomorrow"]), st.lists(names), max_size=3
            ),
        },
    ),
    max_size=4,
    unique_by=lambda one: repr(one["rulePriority"]),
)


@given(lifecycles, st.randoms(use_true_random=False))
def test_equal_lifecycle_policies_in_another_order_are_equal_structs(rules: list[Json], order: random.Random) -> None:
    document = {"rules": rules}
    assert parsed("lifecycle", document) == parsed("lifecycle", in_another_order(document, order, keep=("tomorrow",)))


# manifests

DOCKER = "application/vnd.docker.distribution.manifest"
OCI = "application/vnd.oci.image"


def descriptor(name: str, size: int = 10, **members: Json) -> Struct:
    return {"digest": f"sha256:{name}", "mediaType": "application/octet-stream", "size": size, **members}


@pytest.mark.parametrize("media_type", [f"{DOCKER}.v2+json", f"{OCI}.manifest.v1+json", None])
def test_an_image_manifest_has_its_configuration_and_layers(media_type: str | None) -> None:
    manifest = parsed(
        "manifest",
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor("config", 7),
            "layers": [descriptor("base", 100), descriptor("empty", 1), descriptor("empty", 1)],
        },
    )
    assert manifest == {
        "parseError": None,
        "schemaVersion": 2,
        "mediaType": media_type,
        "artifactType": None,
        "configDigest": "sha256:config",
        "configMediaType": "application/octet-stream",
        "configSize": 7,
        "subjectDigest": None,
        "layerCount": 3,
        "totalLayerSize": 102,
        "layers": [
            {"index": 0, **descriptor("base", 100)},
            {"index": 1, **descriptor("empty", 1)},
            {"index": 2, **descriptor("empty", 1)},
        ],
        "children": [],
        "annotations": [],
    }


def test_an_artifact_has_its_type_subject_and_annotations() -> None:
    manifest = parsed(
        "manifest",
        {
            "schemaVersion": 2,
            "artifactType": "application/vnd.cncf.notary.signature",
            "layers": None,
            "subject": descriptor("signed"),
            "annotations": {"b": "2", "a": "1"},
        },
    )
    assert (manifest["artifactType"], manifest["subjectDigest"]) == (
        "application/vnd.cncf.notary.signature",
        "sha256:signed",
    )
    assert manifest["annotations"] == [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]
    assert (manifest["layerCount"], manifest["totalLayerSize"]) == (0, 0)


def test_layers_of_docker_schema_1_have_no_size() -> None:
    manifest = parsed(
        "manifest",
        {
            "schemaVersion": 1,
            "name": "api",
            "tag": "v1",
            "fsLayers": [{"blobSum": "sha256:top"}, {"blobSum": "sha256:base"}],
        },
    )
    assert (manifest["schemaVersion"], manifest["layerCount"], manifest["totalLayerSize"]) == (1, 2, None)
    assert manifest["layers"] == [
        {"index": 0, "digest": "sha256:top", "mediaType": None, "size": None},
        {"index": 1, "digest": "sha256:base", "mediaType": None, "size": None},
    ]


@pytest.mark.parametrize("media_type", [f"{DOCKER}.list.v2+json", f"{OCI}.index.v1+json"])
def test_a_manifest_list_or_index_has_children_and_no_layers(media_type: str) -> None:
    platform = {"architecture": "arm", "os": "windows", "os.version": "10.0", "variant": "v7", "os.features": ["x"]}
    attestation = {
        "vnd.docker.reference.digest": "sha256:image",
        "vnd.docker.reference.type": "attestation-manifest",
    }
    manifest = parsed(
        "manifest",
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "manifests": [
                descriptor("image", platform=platform),
                descriptor("proof", annotations=attestation, platform={"architecture": "unknown", "os": "unknown"}),
                descriptor("chart", artifactType="application/vnd.cncf.helm"),
            ],
        },
    )
    assert (manifest["layerCount"], manifest["totalLayerSize"], manifest["layers"]) == (None, None, [])
    nothing = dict.fromkeys(["artifactType", "architecture", "os", "osVersion", "variant"])
    assert manifest["children"] == [
        {
            **descriptor("image"),
            **nothing,
            "architecture": "arm",
            "os": "windows",
            "osVersion": "10.0",
            "variant": "v7",
            "isAttestation": False,
        },
        {**descriptor("proof"), **nothing, "architecture": "unknown", "os": "unknown", "isAttestation": True},
        {**descriptor("chart"), **nothing, "artifactType": "application/vnd.cncf.helm", "isAttestation": False},
    ]


def test_the_total_size_is_unknown_if_a_layers_is() -> None:
    layers = [descriptor("a"), {"digest": "sha256:b"}]
    assert parsed("manifest", {"schemaVersion": 2, "layers": layers})["totalLayerSize"] is None


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({}, "schemaVersion is missing"),
        ({"schemaVersion": "2"}, "schemaVersion is '2', not a 64-bit integer"),
        ({"schemaVersion": 2**64}, "schemaVersion is 1.8446744073709552e+19, not a 64-bit integer"),
        ({"schemaVersion": 2, "config": "x"}, "config is 'x', not an object"),
        ({"schemaVersion": 2, "layers": [{}]}, "layers[0].digest is missing"),
        (
            {"schemaVersion": 2, "layers": [descriptor("a", size=2**63)]},
            f"layers[0].size is {2**63}, not a 64-bit integer",
        ),
        (
            {"schemaVersion": 2, "layers": [descriptor("a", size=2**62)] * 2},
            f"the sum of the layers' sizes is {2**63}, not a 64-bit integer",
        ),
        ({"schemaVersion": 1, "fsLayers": [{"blobSum": 1}]}, "fsLayers[0].blobSum is 1, not a string"),
        (
            {"schemaVersion": 2, "manifests": [descriptor("a", platform={"os": 1})]},
            "manifests[0].platform.os is 1, not a string",
        ),
        (
            {"schemaVersion": 2, "manifests": [descriptor("a", annotations={"k": 1})]},
            "manifests[0].annotations.k is 1, not a string",
        ),
    ],
)
def test_an_error_of_a_manifest_names_the_place(manifest: Json, message: str) -> None:
    assert error("manifest", manifest) == message


# whatever the text

known_names = st.sampled_from(
    re.findall(
        r"\w+",
        "Statement Effect Principal NotPrincipal AWS Action NotAction Resource Condition Sid Id Version StringEquals"
        " rules rulePriority selection action type tagPatternList countNumber schemaVersion config layers fsLayers"
        " blobSum digest size manifests platform subject annotations",
    )
)
any_scalar = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["*", "Allow", "Deny", ""])
    | st.text(max_size=5)
)
any_json = st.recursive(
    any_scalar,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(known_names | st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
MANIFEST = {
    "schemaVersion": 2,
    "config": descriptor("c"),
    "layers": [descriptor("l")],
    "manifests": [descriptor("m", platform={"os": "linux"}, annotations={"k": "v"})],
    "subject": descriptor("s"),
    "annotations": {"k": "v"},
}


def assert_struct(kind: str, text: str) -> None:
    type_ = DOCUMENTS[kind].type
    structs = pa.array([DOCUMENTS[kind].parse(text)], type_)
    structs.validate(full=True)
    lists = [field.name for field in type_ if pa.types.is_list(field.type)]
    (struct,) = structs.to_pylist()
    if struct["parseError"] is None:
        assert all(isinstance(struct[name], list) for name in lists)
    else:
        assert struct == {name: [] if name in lists else None for name in struct} | {"parseError": struct["parseError"]}


@KINDS
@given(st.text(st.characters()) | st.text(st.characters(categories=["Cs"])) | st.text('{}[]",:0123456789eE+-\\u null'))
def test_any_text_is_a_struct(kind: str, text: str) -> None:
    assert_struct(kind, text)


@KINDS
@given(any_json)
def test_any_json_is_a_struct(kind: str, value: Json) -> None:
    assert_struct(kind, json.dumps(value))


@given(
    policies().map(lambda policy: ("policy", policy[0]))
    | lifecycles.map(lambda rules: ("lifecycle", {"rules": rules}))
    | st.just(("manifest", MANIFEST)),
    any_json,
    st.randoms(use_true_random=False),
)
def test_a_document_with_one_part_replaced_is_a_struct(
    document: tuple[str, Json], value: Json, order: random.Random
) -> None:
    kind, written = document
    assert_struct(kind, json.dumps(with_one_part_replaced(written, value, order)))


def with_one_part_replaced(document: Json, value: Json, order: random.Random) -> Json:
    if not document or not isinstance(document, dict | list) or order.random() < 0.2:
        return value
    copy = document.copy()
    place = order.choice(list(document) if isinstance(document, dict) else range(len(document)))
    copy[place] = with_one_part_replaced(document[place], value, order)
    return copy
