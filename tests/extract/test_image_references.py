"""What a container is told to run is taken apart into registry, account, region, repository, tag and digest."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecr_source.catalog.column import ImageReference
from ecr_source.extract.rows.column_values import of_items
from ecr_source.extract.rows.page import Level, Page

PARTS = get_args(get_type_hints(ImageReference)["part"])
DIGEST = "sha256:" + 64 * "0"
ACCOUNT = "123456789012"

name_parts = st.from_regex(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*", fullmatch=True)
repositories = st.lists(name_parts, min_size=1, max_size=4).map("/".join)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)
digests = st.sampled_from([DIGEST, "sha512:" + 128 * "f"])
accounts = st.from_regex(r"[0-9]{12}", fullmatch=True)
regions = st.sampled_from(["eu-west-1", "us-gov-east-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1"])
others = st.sampled_from(["public.ecr.aws", "ghcr.io", "localhost", "localhost:5000", "registry:5000", "10.0.0.1:443"])
HOSTS = (
    "{account}.dkr.ecr.{region}.amazonaws.com",
    "{account}.dkr.ecr.{region}.amazonaws.com.cn",
    "{account}.dkr.ecr-fips.{region}.amazonaws.com",
    "{account}.dkr-ecr.{region}.on.aws",
    "{account}.dkr-ecr-fips.{region}.on.aws",
    "{account}.dkr.ecr.{region}.amazonaws.eu",
    "{account}.dkr.ecr.{region}.c2s.ic.gov",
)


def parts_of(*references: str | None) -> list[dict[str, Any]]:
    """The parts of each reference that it has."""
    items = Level(pa.array(references, pa.string()), pa.arange(0, len(references)), "")
    nothing = pa.table({})
    page = Page(nothing, nothing, pa.array([], pa.string()), pa.array([], pa.timestamp("us", "UTC")), "here")
    columns = {part: of_items(ImageReference("", part), page, items).to_pylist() for part in PARTS}
    rows = zip(*columns.values(), strict=True)
    return [{part: value for part, value in zip(columns, row, strict=True) if value is not None} for row in rows]


@st.composite
def written(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A reference, and its parts."""
    parts: dict[str, str] = {"repository_name": draw(repositories)}
    match draw(st.sampled_from(["ecr", "other", "none"])):
        case "ecr":
            parts |= {"registry_id": draw(accounts), "region": draw(regions)}
            host = draw(st.sampled_from(HOSTS))
            parts["registry"] = host.format(account=parts["registry_id"], region=parts["region"])
        case "other":
            parts["registry"] = draw(others)
        case "none" if "." in parts["repository_name"].partition("/")[0] or parts["repository_name"] == "localhost":
            parts["registry"] = "docker.io"  # or the first part of the name would be taken for a registry
    text = f"{parts['registry']}/" if "registry" in parts else ""
    text += parts["repository_name"]
    if draw(st.booleans()):
        parts["tag"] = draw(tags)
        text += f":{parts['tag']}"
    if draw(st.booleans()):
        parts["digest"] = draw(digests)
        text += f"@{parts['digest']}"
    return text, parts


@given(st.lists(written(), min_size=1, max_size=5))
def test_the_parts_are_those_that_it_was_put_together_of(references: list[tuple[str, dict[str, str]]]) -> None:
    assert parts_of(*(text for text, _ in references)) == [parts for _, parts in references]


@given(st.lists(st.none() | st.text(max_size=40)))
def test_any_text_at_all_is_taken_apart_or_has_no_parts(references: list[str | None]) -> None:
    assert len(parts_of(*references)) == len(references)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("ubuntu", {"repository_name": "ubuntu"}),
        ("library/ubuntu:24.04", {"repository_name": "library/ubuntu", "tag": "24.04"}),
        ("public.ecr.aws/a/b:1", {"registry": "public.ecr.aws", "repository_name": "a/b", "tag": "1"}),
        ("registry:5000/a", {"registry": "registry:5000", "repository_name": "a"}),
        (
            f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/docker-hub/library/nginx@{DIGEST}",
            {
                "registry": f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "registry_id": ACCOUNT,
                "region": "cn-north-1",
                "repository_name": "docker-hub/library/nginx",
                "digest": DIGEST,
            },
        ),
        ("", {}),
        (None, {}),
    ],
)
def test_what_people_write(reference: str | None, parts: dict[str, str]) -> None:
    assert parts_of(reference) == [parts]
