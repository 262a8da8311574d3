"""Regions and partitions, as the installed botocore knows them. No ARN and no host name is assumed."""

from __future__ import annotations

from functools import cache

from ecr_source.catalog.model import shared_session
from ecr_source.errors import ConfigurationError
from ecr_source.nearest import nearest

# The region of a partition that is enabled in every account; of the others botocore's first one.
_ALWAYS_ENABLED = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}


def check_region(region: str) -> None:
    """Checks that botocore knows `region`, and ECR in it.

    Raises:
        ConfigurationError: it does not; with the region that was probably meant.
    """
    with_ecr = _regions("ecr")
    if region in with_ecr:
        return
    # EC2 is in every region, so its list is the list of regions.
    if region in _regions("ec2"):
        raise ConfigurationError(f'region "{region}" has no ECR endpoint in the installed botocore')
    if region in _regions_with_rules():
        return
    near = nearest(region, with_ecr)
    hint = f'did you mean "{near}"?' if near else "a newer region needs a newer boto3"
    raise ConfigurationError(f'unknown region "{region}": {hint}')


def regions_with_ecr(partition: str) -> list[str]:
    """The regions of `partition` with an ECR endpoint, those included that an account has to enable."""
    return [region for region, its in _regions("ecr").items() if its == partition]


def partition_of(region: str) -> str:
    """The partition of `region`, also of one that is newer than botocore."""
    return str(shared_session().get_partition_for_region(region))


def always_enabled(partition: str) -> str:
    """A region of `partition` that knows the credentials of every account."""
    return _ALWAYS_ENABLED.get(partition) or regions_with_ecr(partition)[0]


@cache
def _regions(service: str) -> dict[str, str]:
    """The regions with an endpoint of `service`, each with its partition."""
    session = shared_session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(service, partition)
    }


def _regions_with_rules() -> set[str]:
    """All regions that botocore's rules make endpoints for: its list of endpoints lacks the newest."""
    partitions = shared_session().get_data("partitions")["partitions"]
    return {region for partition in partitions for region in partition["regions"] if not region.endswith("-global")}
