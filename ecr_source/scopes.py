"""Accounts × regions: which registries are read, and the clients that read them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial
from urllib.parse import urlsplit

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from ecr_source.catalog import GET_CALLER_IDENTITY
from ecr_source.catalog.model import botocore_session
from ecr_source.errors import ConfigurationError, CredentialsRejected, masked

# Seven attempts outlast about 25 s of throttling (botocore waits 0..1, 2, 4, 8, 16, 20 s in between) and end in under a
# minute on an endpoint that is dead: 7 × 6 s for one that never answers. The service answers a page of 1,000 in about a
# second. `standard` also has a quota: a client that retries more than it succeeds gets one attempt a call after about
# a hundred retries; the rate control of `rate` keeps it from getting there.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 7},
    connect_timeout=5,
    read_timeout=6,
    user_agent_extra="ecr-source",
)

_ALWAYS_ENABLED = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}

_REJECTED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@dataclass(frozen=True)
class Access:
    """How the registries are reached; what is None comes from boto3's own chain.

    `regions` empty means the session's region. `registry_id` names another account's registry. `endpoint_url` replaces
    the endpoints of all services. `max_in_flight` bounds the calls that a scope has under way.
    """

    regions: tuple[str, ...] = ()
    profile: str | None = None
    endpoint_url: str | None = None
    registry_id: str | None = None
    max_in_flight: int = 32


@dataclass(frozen=True)
class Scope:
    """One registry in one region: the unit of credentials, of rate limits, of failure and of replacement."""

    registry_id: str
    region: str

    def __str__(self) -> str:
        return f"{self.registry_id}/{self.region}"


PUBLIC_SERVICE = "ecr-public"
PUBLIC_REGION = "us-east-1"
PUBLIC_PARTITION = "aws"


@dataclass(frozen=True)
class Connection:
    """A scope and the clients that read it, by botocore's name of the service.

    `is_own_registry`: the registry is that of the credentials' account; some operations can tell of no other.
    """

    scope: Scope
    clients: Mapping[str, BaseClient]
    is_own_registry: bool = True


def check_access(access: Access) -> None:
    """Checks all that needs neither credentials nor a call.

    Raises:
        ConfigurationError: unknown region, region without ECR, malformed endpoint URL or registry id.
    """
    _check_endpoint_url(access.endpoint_url)
    if access.registry_id is not None and not re.fullmatch(r"[0-9]{12}", access.registry_id):
        raise ConfigurationError(f'registry id "{access.registry_id}" is not an AWS account id of twelve digits')
    for region in access.regions:
        _check_region(region)


def check_credentials(access: Access) -> tuple[str, ...]:
    """The regions to read; checks, without a call, that there are some, and credentials to read them.

    Raises:
        ConfigurationError: unknown profile, no region, no credentials.
    """
    session = _session(access)
    regions = access.regions or ((session.region_name,) if session.region_name else ())
    if not regions:
        raise ConfigurationError("no region: give --region, set AWS_DEFAULT_REGION, or set a region in the AWS profile")
    for region in regions:
        _check_region(region)
    _check_has_credentials(session)
    return tuple(dict.fromkeys(regions))


def connect(access: Access, services: Collection[str] = ("ecr",)) -> list[Connection]:
    """One connection per region of `access`, and one for public registries, with clients of these services.

    Asks sts:GetCallerIdentity once. Clients are made here, in the calling thread: boto3's sessions are not thread-safe,
    its clients are. Public registries are those of the credentials' account, asked in us-east-1, and exist in the
    partition aws only.

    Raises:
        ConfigurationError: as `check_credentials`; only public registries are asked for, where there are none.
        CredentialsRejected: AWS does not know the credentials, or they have expired, or STS cannot be reached.
    """
    regions = check_credentials(access)
    session = _session(access)
    account = _caller_account(session, access, regions[0])
    config = CLIENT_CONFIG.merge(Config(max_pool_connections=max(10, access.max_in_flight)))

    def clients(region: str, names: Collection[str]) -> dict[str, BaseClient]:
        make = partial(session.client, region_name=region, endpoint_url=access.endpoint_url, config=config)
        return {name: make(name) for name in names}

    private = sorted(set(services) - {PUBLIC_SERVICE})
    registry_id = access.registry_id or account
    connections = [
        Connection(Scope(registry_id, region), clients(region, private), is_own_registry=registry_id == account)
        for region in regions
        if private
    ]
    if PUBLIC_SERVICE in services and _regions("ecr")[regions[0]] == PUBLIC_PARTITION:
        connections.append(Connection(Scope(account, PUBLIC_REGION), clients(PUBLIC_REGION, [PUBLIC_SERVICE])))
    if not connections:
        raise ConfigurationError(
            f'public registries exist in the partition {PUBLIC_PARTITION} only, and "{regions[0]}" is in another:'
            " leave out the group public"
        )
    return connections


def _session(access: Access) -> boto3.Session:
    try:
        return boto3.Session(botocore_session=botocore_session(access.profile))
    except ProfileNotFound as error:
        raise ConfigurationError(f'no AWS profile "{access.profile}" in the AWS config files') from error
    except BotoCoreError as error:
        raise ConfigurationError(f"the AWS configuration cannot be read: {masked(str(error))}") from error


def _check_endpoint_url(url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        well_formed = False
    if well_formed and (parts.username or parts.password):
        raise ConfigurationError(
            "the endpoint URL holds a user name or password, which would end in logs: leave it out"
        )
    if not well_formed:
        raise ConfigurationError(f'endpoint URL "{masked(url)}" is not of the form http(s)://host[:port]')


def _check_region(region: str) -> None:
    with_ecr = _regions("ecr")
    if region in with_ecr:
        return
    # EC2 is in every region, so its list is the list of regions.
    if region in _regions("ec2"):
        raise ConfigurationError(f'region "{region}" has no ECR endpoint in the installed botocore')
    near = difflib.get_close_matches(region, with_ecr, n=1)
    hint = f'did you mean "{near[0]}"?' if near else "a newer region needs a newer boto3"
    raise ConfigurationError(f'unknown region "{region}": {hint}')


@cache
def _regions(service: str) -> dict[str, str]:
    """The regions with an endpoint of `service`, each with its partition, as botocore knows them."""
    session = botocore_session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions(service, partition)
    }


def _check_has_credentials(session: boto3.Session) -> None:
    try:
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise ConfigurationError(f"the AWS credentials cannot be read: {masked(str(error))}") from error
    if credentials is None:
        raise ConfigurationError(
            "no AWS credentials found: set AWS_PROFILE, or the AWS_* variables, or run `aws login`"
        )


def _caller_account(session: boto3.Session, access: Access, region: str) -> str:
    """The account of the credentials, asked in `region` or, where that rejects them, in the partition's first region.

    A region that is not enabled for the account rejects good credentials with the same code as bad ones; only bad ones
    are rejected everywhere.
    """
    always_enabled = _ALWAYS_ENABLED.get(_regions("ecr")[region], region)
    rejected: ClientError | None = None
    for candidate in dict.fromkeys([region, always_enabled]):
        client = session.client("sts", region_name=candidate, endpoint_url=access.endpoint_url, config=CLIENT_CONFIG)
        try:
            return str(client.get_caller_identity()["Account"])
        except ClientError as error:
            if error.response["Error"]["Code"] not in _REJECTED:
                raise CredentialsRejected(_sentence(candidate, error)) from error
            rejected = error
        except BotoCoreError as error:
            raise CredentialsRejected(_sentence(candidate, error)) from error
    assert rejected is not None
    raise CredentialsRejected(_sentence(region, rejected)) from rejected


def _sentence(region: str, error: ClientError | BotoCoreError) -> str:
    asked = f"cannot ask {GET_CALLER_IDENTITY} in {region} who the credentials belong to"
    if not isinstance(error, ClientError):
        return f"{asked}: {masked(str(error))}"
    code = error.response["Error"]["Code"]
    if "Expired" in code:
        return f"the AWS credentials have expired ({code}): get new ones and run again"
    if code in _REJECTED:
        return f"AWS does not accept the credentials ({code}): check the access key, secret key and session token"
    return f"{asked}: {code}: {masked(error.response['Error'].get('Message', ''))}"
