"""Which accounts are read, and with which credentials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, SSLError

from ecr_source.aws.access import ACCOUNT_PLACE, account_of_role
from ecr_source.aws.endpoints import endpoint_of
from ecr_source.aws.error_codes import CALL_ERRORS, REJECTED_CODES, code_of, message_of
from ecr_source.aws.regions import always_enabled, partition_of
from ecr_source.aws.sessions import AccountSession
from ecr_source.catalog import GET_CALLER_IDENTITY
from ecr_source.errors import ConfigurationError, CredentialsRejected, OrganizationUnreadable


@dataclass(frozen=True)
class Caller:
    """Whose credentials these are: the account, and the ARN of the user or of the assumed role."""

    account_id: str
    arn: str


@dataclass(frozen=True)
class Account:
    """An account to read: with `session`, by way of the role `role_arn` if there is one."""

    account_id: str
    session: AccountSession
    role_arn: str | None = None


def identify(session: AccountSession, region: str) -> Caller:
    """Whose credentials these are, asked in `region` or, where that rejects them, in one that is always enabled.

    A region that is not enabled for the account rejects good credentials with the same code as bad ones; only bad ones
    are rejected everywhere.

    Raises:
        CredentialsRejected: AWS does not know the credentials, or they have expired, or STS cannot be reached.
    """
    rejected: ClientError | None = None
    for candidate in dict.fromkeys([region, always_enabled(partition_of(region))]):
        client = session.client("sts", candidate)
        try:
            identity = client.get_caller_identity()
            return Caller(str(identity["Account"]), str(identity["Arn"]))
        except ClientError as error:
            if code_of(error) not in REJECTED_CODES:
                raise CredentialsRejected(_sentence(candidate, endpoint_of(client), error)) from error
            rejected = error
        except CALL_ERRORS as error:
            raise CredentialsRejected(_sentence(candidate, endpoint_of(client), error)) from error
    assert rejected is not None
    raise CredentialsRejected(_sentence(region, endpoint_of(client), rejected)) from rejected


def accounts_to_read(session: AccountSession, caller: Caller, region: str) -> list[Account]:
    """The accounts that `session.access` names, each once, with the credentials that read it.

    The caller's own account is read with the caller's credentials, but where a role is named that is in it.

    Raises:
        ConfigurationError: no account is left.
        OrganizationUnreadable: the organization does not tell its accounts.
    """
    access = session.access
    if not access.role_arns:
        return [Account(caller.account_id, session)]
    named = {account_of_role(arn): arn for arn in access.role_arns if ACCOUNT_PLACE not in arn}
    by_pattern = [] if access.role_pattern is None else _accounts_of_the_pattern(session, region)
    roles: dict[str, str | None] = dict(named)
    for account_id in by_pattern:
        assumed = (access.role_pattern or "").replace(ACCOUNT_PLACE, account_id)
        roles.setdefault(account_id, None if account_id == caller.account_id else assumed)
    if not roles:
        raise ConfigurationError("no account is left to read: check what is included and excluded")
    return [
        Account(account_id, session.assuming(arn, region) if arn else session, arn) for account_id, arn in roles.items()
    ]


def inspector_account(session: AccountSession, caller: Caller, region: str) -> Account | None:
    """The account in which Amazon Inspector is asked about all others; None where each is asked about itself.

    Raises:
        ConfigurationError: nothing says how to read it.
    """
    account_id = session.access.inspector_account
    if account_id is None or account_id == caller.account_id:
        return Account(account_id, session) if account_id else None
    role_arn = session.access.role_in(account_id)
    if role_arn is None:
        raise ConfigurationError(
            f"Amazon Inspector is to be asked in {account_id}, and the credentials are of {caller.account_id}: give"
            f" --role-arn with a role of {account_id}, or with {ACCOUNT_PLACE} in it"
        )
    return Account(account_id, session.assuming(role_arn, region), role_arn)


def _accounts_of_the_pattern(session: AccountSession, region: str) -> list[str]:
    access = session.access
    if not access.organization:
        return list(access.accounts)
    try:
        active = _active_accounts(session, region)
    except CALL_ERRORS as error:
        reason = f"{code_of(error)}: {message_of(error)}" if isinstance(error, ClientError) else repr(error)
        raise OrganizationUnreadable(
            f"cannot list the accounts of the organization: {reason};"
            ' "ecr-source iam-policy --organization" prints what the credentials of the run need'
        ) from error
    wanted = [account for account in active if not access.accounts or account in access.accounts]
    if unknown := set(access.accounts) - set(active):
        raise ConfigurationError(
            f"not among the active accounts that were asked for: {', '.join(sorted(unknown))}; leave them out, or check"
            " the organization"
        )
    return [account for account in wanted if account not in access.exclude_accounts]


def _active_accounts(session: AccountSession, region: str) -> list[str]:
    """The active accounts of the organization, or of its units that are asked for, without those of excluded ones."""
    access = session.access
    client = session.client("organizations", always_enabled(partition_of(region)))
    if access.organizational_units:
        found = [account for unit in access.organizational_units for account in _of_unit(client, unit)]
    else:
        found = list(_pages(client, "list_accounts", "Accounts"))
    excluded = {one["Id"] for unit in access.exclude_organizational_units for one in _of_unit(client, unit)}
    # State took the place of Status in 2025; an older endpoint tells the latter only.
    active = [one["Id"] for one in found if (one.get("State") or one.get("Status")) == "ACTIVE"]
    return sorted(set(active) - excluded)


def _of_unit(client: Any, unit: str) -> Iterator[dict[str, Any]]:
    yield from _pages(client, "list_accounts_for_parent", "Accounts", ParentId=unit)
    for below in _pages(client, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=unit):
        yield from _of_unit(client, below["Id"])


def _pages(client: Any, operation: str, member: str, **parameters: str) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator(operation).paginate(**parameters):
        yield from page[member]


def _sentence(region: str, endpoint: str, error: Exception) -> str:
    asked = f"cannot ask {GET_CALLER_IDENTITY} in {region} who the credentials belong to"
    if not isinstance(error, ClientError):
        advice = "; set AWS_CA_BUNDLE to the certificates of its authority" if isinstance(error, SSLError) else ""
        return f"{asked}: {error}{advice}"
    code = code_of(error)
    if "Expired" in code:
        says = f", says {endpoint}" if endpoint else ""
        return f"the AWS credentials have expired ({code}{says}): get new ones and run again"
    if code in REJECTED_CODES:
        others = f", or the endpoint: {endpoint} is not AWS's" if endpoint else ""
        return (
            f"{endpoint or 'AWS'} does not accept the credentials ({code}): check the access key, secret key and"
            f" session token{others}"
        )
    return f"{asked}{f' ({endpoint})' if endpoint else ''}: {code}: {message_of(error)}"
