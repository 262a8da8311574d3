"""The regions of AWS and their partitions, as botocore knows them."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.session
from botocore.exceptions import UnknownRegionError
from botocore.loaders import create_loader

# The regions of the partition aws that no account can disable.
ALWAYS_ENABLED = (
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
)


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def partition_of(region: str) -> str:
    """The partition of a region; of one that botocore does not know, "aws"."""
    try:
        return str(_session().get_partition_for_region(region))
    except UnknownRegionError:
        return "aws"


@cache
def _domains() -> dict[str, str]:
    partitions: list[dict[str, Any]] = create_loader().load_data("partitions")["partitions"]
    return {partition["id"]: partition["outputs"]["dnsSuffix"] for partition in partitions}


def domain_of(region: str) -> str:
    """The domain of the endpoints of a region: "amazonaws.com"."""
    return _domains()[partition_of(region)]


@cache
def regions_of(partition: str) -> tuple[str, ...]:
    """All regions of a partition."""
    return tuple(_session().get_available_regions("ec2", partition))
