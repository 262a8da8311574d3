"""Account ids and their pseudonyms: which texts are replaced, and what stays as it is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ecr_source.aws.scopes import Scope
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.tables.image import DESCRIBE_IMAGES, IMAGES
from ecr_source.errors import CallFailed, ConfigurationError
from ecr_source.extract.failures import Failures
from ecr_source.extract.ledger import Outcome
from ecr_source.extract.results import ScopeRead, TableRead
from ecr_source.extract.rows.pseudonyms import MASK_KEY, Pseudonyms, mask_key
from ecr_source.extract.rows.rewriting import rewrite, rewritten_batch
from ecr_source.extract.rows.spool import TableFile

KEY = b"0123456789abcdef"
ACCOUNT, OTHER_ACCOUNT, UNKNOWN_ACCOUNT = "123456789012", "210987654321", "999988887777"
KNOWN = (ACCOUNT, OTHER_ACCOUNT)
ESCAPES = r"%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[bfnrt]"
DIGEST = f"ab{ACCOUNT}cd".ljust(64, "e")

pseudonyms = Pseudonyms(KEY, KNOWN)
pseudonym, other_pseudonym, unknown_pseudonym = map(pseudonyms.text, (ACCOUNT, OTHER_ACCOUNT, UNKNOWN_ACCOUNT))


def accounts_in(text: str) -> list[str]:
    """The account ids in a text: what stands alone, and what is known, but for digests."""
    alone = re.findall(r"(?<![0-9A-Za-z])[0-9]{12}(?![0-9A-Za-z])", text)
    without_digests = re.sub(rf"({ESCAPES}|(?<![0-9A-Fa-f]))[0-9A-Fa-f]{{64}}(?![0-9A-Fa-f])", "", text)
    return alone + [account for account in KNOWN if account in without_digests]


# --- texts ---------------------------------------------------------------------------------------------------------


def test_a_pseudonym_is_an_x_and_eleven_hexadecimal_digits_of_the_keyed_hash() -> None:
    # echo -n 123456789012 | openssl dgst -sha256 -hmac 0123456789abcdef
    assert pseudonym == "x79433406328"


def test_an_id_has_one_pseudonym_for_each_key() -> None:
    assert Pseudonyms(KEY, ()).text(ACCOUNT) == pseudonym
    assert Pseudonyms(KEY[::-1], KNOWN).text(ACCOUNT) != pseudonym
    assert len({pseudonym, other_pseudonym, unknown_pseudonym}) == 3


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "arn:aws:iam::{}:root",
        "{}.dkr.ecr.eu-west-1.amazonaws.com/team/api@sha256:" + DIGEST,
        "arn%3Aaws%3Aiam%3A%3A{}%3Aroot",
        "twice%253A{}%253Aencoded",
        "a%20{}%20space",
        "100%{}",
        r"not JSON: \u003a{}\u003a",
        r"not JSON: \n{}\t",
        "owner_{}_team",
        "é{}ß",
        "{}/eu-west-1, {}/us-east-1",
        '{{"Principal": {{"AWS": "arn:aws:iam::{}:root"}}}}',
        '["{}", {{"{}": null}}]',
        '{{"broken": "{}',
    ],
)
def test_an_id_that_stands_alone_is_replaced(text: str) -> None:
    for account, replaced in ((ACCOUNT, pseudonym), (UNKNOWN_ACCOUNT, unknown_pseudonym)):
        assert pseudonyms.text(text.format(account, account)) == text.format(replaced, replaced)


@pytest.mark.parametrize("text", ["team{}", "{}x", "0{}", "{}0", "%3A{}abc", "v{}-1", "{}{}"])
def test_a_known_id_is_replaced_wherever_it_stands(text: str) -> None:
    assert pseudonyms.text(text.format(ACCOUNT, OTHER_ACCOUNT)) == text.format(pseudonym, other_pseudonym)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"sha256:{DIGEST}",
        f"sha256%3A{DIGEST}",
        f"not JSON: \\u003a{DIGEST}",
        f"sha256-{DIGEST.upper()}.sig",
        f"team{UNKNOWN_ACCOUNT}",
        f"{UNKNOWN_ACCOUNT}0",
        f"0x{UNKNOWN_ACCOUNT}",
        "12345678901",
        "1764012345.1234567",
        "2026-11-23T20:00:00.123456+00:00",
        "11111111-2222-3333-4444-55555555555a",
        "٠١٢٣٤٥٦٧٨٩٠١",
    ],
)
def test_what_is_no_id_stays(text: str) -> None:
    assert pseudonyms.text(text) == text


def test_a_tag_or_a_group_of_a_uuid_that_could_be_an_id_is_replaced() -> None:
    for text in ("202401011230", "11111111-2222-3333-4444-123412341234"):
        assert accounts_in(pseudonyms.text(text)) == []


def test_an_id_with_hyphens_becomes_another_text_than_the_id_without() -> None:
    with_hyphens = f"{pseudonym[:4]}-{pseudonym[4:8]}-{pseudonym[8:]}"
    assert pseudonyms.text("owner 1234-5678-9012") == f"owner {with_hyphens}"
    assert pseudonyms.text("1-1234-5678-9012") == "1-1234-5678-9012"


@pytest.mark.parametrize(
    ("document", "replaced"),
    [
        (f'{{"size":{ACCOUNT},"few":12}}', {"size": pseudonym, "few": 12}),
        (f"[-{ACCOUNT}, 1.{ACCOUNT}, 0{ACCOUNT[1:]}.5]", None),
        (f'[{{"id": {ACCOUNT}0}}, -1.5e10, true]', [{"id": f"{pseudonym}0"}, -1.5e10, True]),
        (f" [\n{ACCOUNT}\n]", [pseudonym]),
        (r'["\u0031\u0032\u0033456789012", "\ud800 123456789012 é"]', [pseudonym, f"\ud800 {pseudonym} é"]),
        (json.dumps({"v1": json.dumps({"size": int(ACCOUNT)})}), {"v1": json.dumps({"size": pseudonym})}),
    ],
)
def test_a_json_text_stays_one_and_means_the_same_but_for_ids(document: str, replaced: Any) -> None:
    text = pseudonyms.text(document)
    text.encode()
    assert accounts_in(text) == []
    if replaced is not None:
        assert json.loads(text) == replaced


def test_a_number_too_long_for_python_and_a_nesting_too_deep_are_no_failures() -> None:
    number = "9" * 5_000
    assert pseudonyms.text(f'{{"n": {number}, "id": {ACCOUNT}}}') == f'{{"n": {number}, "id": "{pseudonym}"}}'
    deep = "[" * 100_000 + f'"{ACCOUNT}"' + "]" * 100_000
    assert accounts_in(pseudonyms.text(deep)) == []


PIECES = st.one_of(
    st.sampled_from([*KNOWN, UNKNOWN_ACCOUNT, DIGEST, "1234-5678-9012", "x12345678901"]),
    st.sampled_from(["%3A", "%25", "%20", "\\u003a", "\\n", '"', "{", "}", "[", ":", "-", "_", "é", "a", "0", "9012"]),
    st.text(st.sampled_from("0123456789"), min_size=10, max_size=14),
    st.text(max_size=3),
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 10**13) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=10,
)


@given(TEXTS)
def test_no_id_survives_in_any_text(text: str) -> None:
    assert accounts_in(pseudonyms.text(text)) == []


@given(TEXTS)
def test_what_was_replaced_stays_as_it_is(text: str) -> None:
    once = pseudonyms.text(text)
    assert pseudonyms.text(once) == once


@given(TEXTS, TEXTS)
def test_different_texts_stay_different(one: str, other: str) -> None:
    """So that keys stay unique; JSON texts are not keys, and are equal where they mean the same."""
    assume(one != other and not any(text.lstrip().startswith(("{", "[")) for text in (one, other)))
    assert pseudonyms.text(one) != pseudonyms.text(other)


def leaves(value: Any) -> list[Any]:
    match value:
        case list():
            return [leaf for item in value for leaf in leaves(item)]
        case dict():
            return [leaf for key, item in value.items() for leaf in (key, *leaves(item))]
    return [value]


@given(st.lists(DOCUMENTS) | st.dictionaries(TEXTS, DOCUMENTS), st.booleans())
def test_any_json_text_stays_one_with_its_strings_replaced(document: Any, ascii_only: bool) -> None:
    before = leaves(document)
    text = pseudonyms.text(json.dumps(document, ensure_ascii=ascii_only))
    after = leaves(json.loads(text))
    assert len(before) == len(after)
    for value, replaced in zip(before, after, strict=True):
        if isinstance(value, str):
            assert replaced == pseudonyms.text(value)
        elif isinstance(replaced, str):
            assert accounts_in(str(value)) or any(account in str(value) for account in KNOWN)
            assert accounts_in(replaced) == []
        else:
            assert replaced == value


# --- columns and files ---------------------------------------------------------------------------------------------


@given(st.lists(TEXTS | st.none(), max_size=20))
def test_a_column_holds_what_each_of_its_texts_becomes(texts: list[str | None]) -> None:
    expected = [None if text is None else pseudonyms.text(text) for text in texts]
    assert pseudonyms.column(pa.array(texts, pa.string())).to_pylist() == expected


@pytest.mark.parametrize("spelled", [ACCOUNT, "1234-5678-9012", "".join(f"\\u003{digit}" for digit in ACCOUNT)])
def test_a_column_that_holds_an_id_in_one_spelling_only_is_replaced(spelled: str) -> None:
    (replaced,) = pseudonyms.column(pa.array([f'["{spelled}"]'])).to_pylist()
    assert json.loads(replaced)[0].replace("-", "") == pseudonym


def test_numbers_and_times_of_a_table_stay() -> None:
    rows = pa.table({"size": pa.array([int(ACCOUNT), None]), "account": [ACCOUNT, None]})
    (batch,) = rows.to_batches()
    replaced = rewritten_batch(batch, pseudonyms)
    assert replaced.schema == rows.schema
    assert replaced.to_pylist() == [{"size": int(ACCOUNT), "account": pseudonym}, {"size": None, "account": None}]


@pytest.mark.parametrize("before", [0, 13])
def test_a_message_is_cut_after_its_ids_are_replaced(before: int) -> None:
    scope = Scope(ACCOUNT, "eu-west-1")
    for length in range(600):
        arn = f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/api"
        told = f"{'x ' * before}{'n' * length} {arn} {'m' * (600 - length)} {ACCOUNT}"
        error = CallFailed(told, operation="ecr:DescribeImages", error_code="ServerException")
        failures = Failures(DESCRIBE_IMAGES)
        failures.note(error)
        tables = [TableRead.unread(IMAGES, "failed")]
        outcome = Outcome.of([rewrite(ScopeRead(scope, "given", tables, failures.errors), pseudonyms)])
        told_at_last = outcome.errors[0]["message"] + outcome.scopes[0]["message"]
        assert len(outcome.errors[0]["message"]) <= 500
        assert not any(ACCOUNT[start : start + 5] in told_at_last for start in range(8))


def test_a_file_is_replaced_with_all_that_is_said_of_it(tmp_path: Path) -> None:
    names = [f"api-{ACCOUNT}", "web"]
    columns = {"registry_id": ACCOUNT, "region": "eu-west-1", "image_digest": f"sha256:{DIGEST}", "tag_count": 1}
    path = tmp_path / "images.parquet"
    schema = arrow_schema(IMAGES)
    pq.write_table(pa.Table.from_pylist([columns | {"repository_name": name} for name in names], schema), path)
    constants = {"owner": ACCOUNT}
    scope, began_at = Scope(ACCOUNT, "eu-west-1"), datetime.now(UTC)
    file = TableFile(IMAGES, scope, path, 2, began_at, constants, "repository_name", None, tuple(names))

    replaced = rewrite(file, pseudonyms)

    assert replaced == TableFile(
        IMAGES,
        Scope(pseudonym, "eu-west-1"),
        replaced.path,
        2,
        began_at,
        {"owner": pseudonym},
        "repository_name",
        None,
        (f"api-{pseudonym}", "web"),
    )
    assert list(tmp_path.iterdir()) == [replaced.path]
    rows = pq.read_table(replaced.path)
    assert rows.schema == schema
    assert rows["registry_id"].to_pylist() == [pseudonym, pseudonym]
    assert rows["repository_name"].to_pylist() == [f"api-{pseudonym}", "web"]
    assert rows["image_digest"].to_pylist() == [f"sha256:{DIGEST}"] * 2
    assert rows["tag_count"].to_pylist() == [1, 1]


# --- the key -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "state"), [(None, "is not set"), ("fifteen-letters", "has 15 characters")])
def test_no_key_or_a_short_one_is_refused_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, key: str | None, state: str
) -> None:
    monkeypatch.delenv(MASK_KEY, raising=False)
    if key is not None:
        monkeypatch.setenv(MASK_KEY, key)
    with pytest.raises(ConfigurationError, match=f"{MASK_KEY} {state}") as refused:
        mask_key()
    assert key is None or key not in str(refused.value)


def test_the_key_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MASK_KEY, "0123456789abcdef")
    assert Pseudonyms(mask_key(), ()).text(ACCOUNT) == pseudonym
