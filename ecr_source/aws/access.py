"""What is read, and how it is reached: the settings of accounts and regions, checked before the first call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ecr_source.aws.regions import check_region, partition_of
from ecr_source.errors import ConfigurationError

if TYPE_CHECKING:
    import boto3

ALL_REGIONS = "all"
"""Stands for the regions that are enabled for the account."""

ACCOUNT_PLACE = "{account}"
"""Stands in a role's ARN for the account."""

_ACCOUNT = re.compile(r"[0-9]{12}")
_UNIT = re.compile(r"(ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32})")
_ROLE = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}|\{account\}):role/[\w+=,.@/-]+", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")


@dataclass(frozen=True)
class Access:
    """How the registries are reached; what is None comes from boto3's own chain.

    `regions` empty means the session's region, `all` in it those that are enabled for the account. Without `role_arns`
    the account of the credentials is read, `registry_id` naming another account's registry. `role_arns` are assumed;
    one with `{account}` in it in each of `accounts`, or in each account of the `organization`, which `accounts` and
    `organizational_units` narrow. Amazon Inspector is asked in `inspector_account`, if that is given, about all
    accounts. `endpoint_url` replaces the endpoints of all services. `max_in_flight` bounds the calls that are under
    way. `session` takes the place of boto3's chain, and of the profile.
    """

    regions: tuple[str, ...] = ()
    exclude_regions: tuple[str, ...] = ()
    profile: str | None = None
    endpoint_url: str | None = None
    registry_id: str | None = None
    role_arns: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    exclude_accounts: tuple[str, ...] = ()
    organization: bool = False
    organizational_units: tuple[str, ...] = ()
    exclude_organizational_units: tuple[str, ...] = ()
    inspector_account: str | None = None
    external_id: str | None = None
    role_session_name: str = "ecr-source"
    max_in_flight: int = 32
    session: boto3.Session | None = None

    def role_in(self, account_id: str) -> str | None:
        """The role that is to be assumed in an account; None if none is named for it."""
        named = next((arn for arn in self.role_arns if account_of_role(arn) == account_id), None)
        return named or (self.role_pattern.replace(ACCOUNT_PLACE, account_id) if self.role_pattern else None)

    @property
    def role_pattern(self) -> str | None:
        """The role to assume in each account, `{account}` standing for the account."""
        return next((arn for arn in self.role_arns if ACCOUNT_PLACE in arn), None)


def check_access(access: Access) -> None:
    """Checks all that needs neither credentials nor a call.

    Raises:
        ConfigurationError: with what is wrong, and what to do.
    """
    _check_endpoint_url(access.endpoint_url)
    if access.session is not None and access.profile is not None:
        raise ConfigurationError("a session and a profile are two sources of credentials: give one of them")
    for region in {*access.regions, *access.exclude_regions} - {ALL_REGIONS}:
        check_region(region)
    if access.max_in_flight < 1:
        raise ConfigurationError(f"{access.max_in_flight} calls in flight read nothing: give at least 1")
    for what, ids in (
        ("registry id", [access.registry_id] if access.registry_id else []),
        ("account", [*access.accounts, *access.exclude_accounts]),
        ("Inspector account", [access.inspector_account] if access.inspector_account else []),
    ):
        for one in ids:
            if not _ACCOUNT.fullmatch(one):
                raise ConfigurationError(f'{what} "{one}" is not an AWS account id of twelve digits')
    for unit in (*access.organizational_units, *access.exclude_organizational_units):
        if not _UNIT.fullmatch(unit):
            raise ConfigurationError(
                f'organizational unit "{unit}" is not an id such as ou-ab12-34567890: "aws organizations'
                ' list-organizational-units-for-parent" tells them'
            )
    _check_roles(access)
    _check_accounts(access)


def account_of_role(arn: str) -> str:
    """The account that the role is in, or `{account}`.

    Raises:
        ConfigurationError: it is not the ARN of a role.
    """
    match = _ROLE.fullmatch(arn)
    if match is None:
        raise ConfigurationError(
            f'role ARN "{arn}" is not of the form arn:aws:iam::123456789012:role/name, where {ACCOUNT_PLACE} may'
            " stand for the account"
        )
    return match[1]


def _check_roles(access: Access) -> None:
    accounts: dict[str, str] = {}
    for arn in access.role_arns:
        account = account_of_role(arn)
        if account in accounts:
            raise ConfigurationError(
                f'two roles, "{accounts[account]}" and "{arn}", would read the same account: give one for each account'
            )
        accounts[account] = arn
        _check_partition(arn, access)
    if access.role_arns and access.registry_id:
        raise ConfigurationError(
            "a role reads the registry of its own account: leave out the registry id, or the role ARN"
        )
    if access.external_id is not None and not access.role_arns:
        raise ConfigurationError("an external id is handed to AssumeRole: give a role ARN, or leave it out")
    if not _SESSION_NAME.fullmatch(access.role_session_name):
        raise ConfigurationError(
            f'role session name "{access.role_session_name}" is not 2 to 64 letters, digits or any of _+=,.@-'
        )


def _check_partition(arn: str, access: Access) -> None:
    partition = arn.split(":")[1]
    for region in access.regions:
        if region != ALL_REGIONS and partition_of(region) != partition:
            raise ConfigurationError(
                f'the role "{arn}" is in the partition {partition}, and the region "{region}" in'
                f" {partition_of(region)}: credentials of one are nothing to the other"
            )


def _check_accounts(access: Access) -> None:
    of_organization = (
        access.organizational_units or access.exclude_organizational_units or access.exclude_accounts
    ) and not access.organization
    if of_organization:
        raise ConfigurationError("units and excluded accounts narrow an organization: add --organization")
    if (access.accounts or access.organization) and access.role_pattern is None:
        raise ConfigurationError(
            f"which role is to be assumed in each account: give --role-arn with {ACCOUNT_PLACE} in the place of the"
            f" account, such as arn:aws:iam::{ACCOUNT_PLACE}:role/ecr-reader"
        )
    if access.role_pattern and not (access.accounts or access.organization):
        raise ConfigurationError(
            f'which accounts does "{access.role_pattern}" stand for: give --account for each, or --organization'
        )


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
        raise ConfigurationError(f'endpoint URL "{url}" is not of the form http(s)://host[:port]')
