"""Credentials, and the clients that are made with them."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    Credentials,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.httpsession import get_cert_path
from botocore.session import Session as BotocoreSession

from ecr_source.aws.access import Access
from ecr_source.aws.error_codes import NOT_RENEWED
from ecr_source.catalog.model import botocore_session
from ecr_source.errors import ConfigurationError
from ecr_source.redaction import redact_secrets_of

# Seconds until an endpoint takes a connection, and between two bytes of an answer.
CONNECT_TIMEOUT = 5
READ_TIMEOUT = 6

# Seven attempts outlast about 25 s of throttling (botocore waits 0..1, 2, 4, 8, 16, 20 s in between) and end in under a
# minute on an endpoint that is dead: 7 × 6 s for one that never answers, after 6 s of libcurl's. The service answers a
# page of 1,000 in about a second. `standard` also has a quota: a client that retries more than it succeeds gets one
# attempt a call after about a hundred retries; the rate control of `rate` keeps it from getting there.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 7},
    connect_timeout=CONNECT_TIMEOUT,
    read_timeout=READ_TIMEOUT,
    user_agent_extra="ecr-source",
)

_MAKING_CLIENTS = threading.Lock()


@dataclass(frozen=True)
class AccountSession:
    """Credentials, and what clients are made with besides. Safe to use from several threads."""

    access: Access
    credentials: Credentials
    region: str | None

    def clients(self, region: str, services: Collection[str]) -> dict[str, BaseClient]:
        """A client of each of these services, by botocore's name of the service.

        Raises:
            ConfigurationError: the environment or the AWS config file has an endpoint URL that is none.
        """
        config = CLIENT_CONFIG.merge(Config(max_pool_connections=max(10, self.access.max_in_flight)))
        # A session takes 12 ms and makes one client at a time.
        with _MAKING_CLIENTS:
            make = partial(self._session.client, region_name=region, endpoint_url=self.access.endpoint_url)
            try:
                return {service: make(service, config=config) for service in services}
            except ValueError as error:
                raise ConfigurationError(
                    "the endpoint URL in AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_<SERVICE> or the AWS config file is not of"
                    f" the form http(s)://host[:port]: {error}"
                ) from error

    @property
    def ca_bundle(self) -> str:
        """The file of the certificates that clients trust."""
        return str(get_cert_path(self._botocore.get_config_variable("ca_bundle")))

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(botocore_session=self._botocore)

    @cached_property
    def _botocore(self) -> BotocoreSession:
        session = _botocore_session(self.access.profile)
        session.register_component("credential_provider", CredentialResolver([_Given(self.credentials)]))
        return session

    def client(self, service: str, region: str) -> Any:
        """A client of one service."""
        return self.clients(region, [service])[service]

    def assuming(self, role_arn: str, region: str) -> AccountSession:
        """The session of a role, assumed at the STS endpoint of `region` when it is first used, and again in time."""
        extra = {"RoleSessionName": self.access.role_session_name}
        if self.access.external_id is not None:
            extra["ExternalId"] = self.access.external_id
        make = partial(
            _botocore_session(self.access.profile).create_client,
            region_name=region,
            endpoint_url=self.access.endpoint_url,
            config=CLIENT_CONFIG,
        )
        fetcher = AssumeRoleCredentialFetcher(make, self.credentials, role_arn, extra, cache={})
        return replace(self, credentials=DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role"))


def has_profiles() -> bool:
    """Whether the AWS config files have a profile."""
    try:
        return bool(botocore_session().available_profiles)
    except BotoCoreError:
        return True  # they cannot be read; who opens a session is told so


def open_session(access: Access) -> AccountSession:
    """The session that was given, or that boto3's own chain finds, without a call where the chain makes none.

    Raises:
        ConfigurationError: unknown profile, no credentials, an AWS configuration that cannot be read.
    """
    try:
        session = access.session or boto3.Session(botocore_session=_botocore_session(access.profile))
        region = session.region_name
    except ProfileNotFound as error:
        # Not the one of `access`, where AWS_PROFILE names it.
        raise ConfigurationError(f'no AWS profile "{error.kwargs["profile"]}" in the AWS config files') from error
    except BotoCoreError as error:
        raise ConfigurationError(f"the AWS configuration cannot be read: {error}") from error
    return AccountSession(access, _credentials(session), region)


def _credentials(session: boto3.Session) -> Credentials:
    try:
        credentials = session.get_credentials()
    except (BotoCoreError, *NOT_RENEWED) as error:
        raise ConfigurationError(f"the AWS credentials cannot be read: {error}") from error
    if credentials is None:
        raise ConfigurationError(
            "no AWS credentials found: set AWS_PROFILE, or the AWS_* variables, or run `aws login`"
        )
    return credentials


class _Given(CredentialProvider):
    """Credentials that were found before, in the place of botocore's chain."""

    METHOD = "ecr-source"

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials


def _botocore_session(profile: str | None) -> BotocoreSession:
    """A new session, which tells its secrets to nobody."""
    session = botocore_session(profile)
    redact_secrets_of(session.get_component("event_emitter"))
    return session
