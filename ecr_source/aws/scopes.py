"""Accounts × regions: which registries are read, and the clients that read them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias, TypedDict

from botocore.client import BaseClient

from ecr_source.aws.access import ALL_REGIONS, Access
from ecr_source.aws.accounts import Account, Caller, accounts_to_read, identify, inspector_account
from ecr_source.aws.error_codes import CALL_ERRORS, DENIED_CODES, code_of, message_of
from ecr_source.aws.libcurl import Libcurl
from ecr_source.aws.regions import always_enabled, check_region, partition_of, regions_with_ecr
from ecr_source.aws.sessions import AccountSession, open_session
from ecr_source.errors import CallFailed, ConfigurationError, Denied

INSPECTOR_SERVICE = "inspector2"
PUBLIC_SERVICE = "ecr-public"
PUBLIC_REGION = "us-east-1"
PUBLIC_PARTITION = "aws"

ASSUME_ROLE = "sts:AssumeRole"
LIST_REGIONS = "account:ListRegions"
DESCRIBE_REGIONS = "ec2:DescribeRegions"

# Where a region came from: a column of `extraction_scopes`.
GIVEN = "given"
FROM_BOTOCORE = "botocore"

_ACCOUNTS_AT_A_TIME = 16


@dataclass(frozen=True)
class Scope:
    """One registry in one region: the unit of credentials, of rate limits, of failure and of replacement.

    Of an account whose regions are not known, because its role cannot be assumed, `region` is `all`.
    """

    registry_id: str
    region: str

    def __str__(self) -> str:
        return f"{self.registry_id}/{self.region}"


class ScopeSetting(TypedDict):
    """A scope as plain values, for a task on another machine: `ecr_source(scopes=[…])` reads it there.

    `services` are those that are asked in it, by botocore's names; `role_arn` the role that reads it, None where the
    credentials of the run do; `region_from` who told the region.
    """

    registry_id: str
    region: str
    services: list[str]
    role_arn: str | None
    region_from: str
    is_own_registry: bool


@dataclass(frozen=True)
class Connection:
    """A scope and the clients that read it, by botocore's name of the service.

    `is_own_registry`: the registry is that of the credentials' account; some operations can tell of no other.
    """

    scope: Scope
    clients: Mapping[str, BaseClient]
    is_own_registry: bool = True
    libcurl: Libcurl = field(default_factory=Libcurl)

    def close(self) -> None:
        """Closes what is held open."""
        self.libcurl.close()
        for client in self.clients.values():
            client.close()


@dataclass(frozen=True)
class Target:
    """A scope that can be read, with clients of `services`; `region_from` says who told the region.

    Amazon Inspector is asked in the account `inspector`, where that is given.
    """

    scope: Scope
    account: Account
    services: tuple[str, ...]
    region_from: str = GIVEN
    is_own_registry: bool = True
    inspector: Account | None = None

    @property
    def setting(self) -> ScopeSetting:
        """The scope as plain values."""
        return _setting(self, self.account.role_arn, is_own_registry=self.is_own_registry)

    def connect(self) -> Connection:
        """Makes the clients, without a call."""
        elsewhere = {INSPECTOR_SERVICE}.intersection(self.services) if self.inspector else set[str]()
        clients = self.account.session.clients(self.scope.region, {*self.services} - elsewhere)
        if self.inspector and elsewhere:
            clients |= self.inspector.session.clients(self.scope.region, elsewhere)
        return Connection(self.scope, clients, self.is_own_registry, Libcurl(self.account.session.ca_bundle))


@dataclass(frozen=True)
class Unreachable:
    """A scope that cannot be read, because its role cannot be assumed."""

    scope: Scope
    services: tuple[str, ...]
    error: CallFailed
    role_arn: str | None
    region_from: str = GIVEN

    @property
    def setting(self) -> ScopeSetting:
        """The scope as plain values."""
        return _setting(self, self.role_arn, is_own_registry=True)


Found: TypeAlias = Target | Unreachable


def _setting(found: Found, role_arn: str | None, *, is_own_registry: bool) -> ScopeSetting:
    return ScopeSetting(
        registry_id=found.scope.registry_id,
        region=found.scope.region,
        services=list(found.services),
        role_arn=role_arn,
        region_from=found.region_from,
        is_own_registry=is_own_registry,
    )


def check_credentials(access: Access) -> AccountSession:
    """The session to begin with; checks, without a call, that there are credentials, and a region to read.

    Raises:
        ConfigurationError: unknown profile, no region, no credentials.
    """
    session = open_session(access)
    if not access.regions and not session.region:
        raise ConfigurationError("no region: give --region, set AWS_DEFAULT_REGION, or set a region in the AWS profile")
    if not access.regions and session.region:
        check_region(session.region)
    return session


def discover_scopes(access: Access, services: Collection[str] = ("ecr",)) -> list[Found]:
    """The scopes of `access`, each account's in the order of its regions, and one for its public registries.

    Asks who the credentials belong to, assumes the roles, and asks for accounts and regions where that is wanted.
    Public registries are asked in us-east-1, and exist in the partition aws only.

    Raises:
        ConfigurationError: as `check_credentials`; no account or region is left; only public registries are asked for,
            where there are none.
        CredentialsRejected: AWS does not know the credentials, or they have expired, or STS cannot be reached.
        OrganizationUnreadable: the organization does not tell its accounts.
    """
    session = check_credentials(access)
    first = first_region(access, session)
    caller = identify(session, first)
    accounts = accounts_to_read(session, caller, first)
    find = partial(_scopes_of_account, access, caller, sorted(services), first)
    with ThreadPoolExecutor(min(_ACCOUNTS_AT_A_TIME, len(accounts)), "account") as pool:
        found = [scope for scopes in pool.map(find, accounts) for scope in scopes]
    found = _asking_inspector(found, _inspector(session, caller, first))
    if not found:
        raise ConfigurationError(
            f'public registries exist in the partition {PUBLIC_PARTITION} only, and "{first}" is in another: leave out'
            " the group public"
        )
    return found


def open_scopes(access: Access, settings: Sequence[ScopeSetting]) -> list[Found]:
    """The scopes that `discover_scopes` found before, maybe on another machine; each role is assumed anew.

    Raises:
        ConfigurationError: unknown profile, no credentials, a setting that `discover_scopes` did not make.
        CredentialsRejected: AWS does not know the credentials, or they have expired, or STS cannot be reached.
    """
    session = open_session(access)
    sessions: dict[str | None, AccountSession] = {None: session}
    found: list[Found] = []
    for setting in settings:
        scope, role_arn, services, region_from, own = _parsed(setting)
        # Where the account's regions are not known yet, any region's STS has to do.
        first = scope.region if scope.region != ALL_REGIONS else first_region(access, session)
        if not found:
            caller = identify(session, first)
        if role_arn not in sessions:
            sessions[role_arn] = session.assuming(str(role_arn), first)
        account = Account(scope.registry_id, sessions[role_arn], role_arn)
        if scope.region == ALL_REGIONS:
            found += _scopes_of_account(access, caller, services, first, account)
        elif failed := _why_not_assumed(account):
            found.append(Unreachable(scope, services, failed, role_arn, region_from))
        else:
            found.append(Target(scope, account, services, region_from, own))
    return _asking_inspector(found, _inspector(session, caller, first)) if settings else []


def _inspector(session: AccountSession, caller: Caller, region: str) -> Account | None:
    account = inspector_account(session, caller, region)
    if account and (failed := _why_not_assumed(account)):
        raise ConfigurationError(f"Amazon Inspector cannot be asked in {account.account_id}: {failed}") from failed
    return account


def _asking_inspector(found: Sequence[Found], inspector: Account | None) -> list[Found]:
    """The scopes, where Amazon Inspector is asked in that account."""
    return [replace(one, inspector=inspector) if isinstance(one, Target) else one for one in found]


def _parsed(setting: ScopeSetting) -> tuple[Scope, str | None, tuple[str, ...], str, bool]:
    try:
        scope = Scope(setting["registry_id"], setting["region"])
        services = tuple(setting["services"])
        return scope, setting["role_arn"], services, setting["region_from"], setting["is_own_registry"]
    except (KeyError, TypeError) as error:
        raise ConfigurationError(f"{setting!r} is no scope that find_scopes told: hand on what it returns") from error


def first_region(access: Access, session: AccountSession) -> str:
    """The region whose STS is asked first: one that is read."""
    named = [region for region in access.regions if region != ALL_REGIONS]
    return named[0] if named else session.region or always_enabled(PUBLIC_PARTITION)


def _scopes_of_account(
    access: Access, caller: Caller, services: Sequence[str], first: str, account: Account
) -> list[Found]:
    """The scopes of one account; none of them can be read if its role cannot be assumed."""
    private = tuple(service for service in services if service != PUBLIC_SERVICE)
    public = PUBLIC_SERVICE in services and partition_of(first) == PUBLIC_PARTITION
    registry_id = access.registry_id or account.account_id
    wanted = list(access.regions) or [first]
    if failed := _why_not_assumed(account):
        asked = [(region, private) for region in wanted if private]
        asked += [(PUBLIC_REGION, (PUBLIC_SERVICE,))] if public else []
        return [
            Unreachable(Scope(registry_id, region), asked_services, failed, account.role_arn)
            for region, asked_services in asked
        ]
    own = account.role_arn is not None or registry_id == caller.account_id
    scopes: list[Found] = [
        Target(Scope(registry_id, region), account, private, region_from, own)
        for region, region_from in _regions(access, account, wanted, first)
        if private
    ]
    if public:
        scopes.append(Target(Scope(account.account_id, PUBLIC_REGION), account, (PUBLIC_SERVICE,)))
    return scopes


def _regions(access: Access, account: Account, wanted: Sequence[str], first: str) -> Iterator[tuple[str, str]]:
    """The regions to read, each once, and who told them.

    Raises:
        ConfigurationError: none is left.
    """
    told = dict.fromkeys((region for region in wanted if region != ALL_REGIONS), GIVEN)
    if ALL_REGIONS in wanted:
        regions, region_from = enabled_regions(account, first)
        for region in regions:
            told.setdefault(region, region_from)
    left = {region: who for region, who in told.items() if region not in access.exclude_regions}
    if not left:
        raise ConfigurationError("no region is left to read: check what is included and excluded")
    yield from left.items()


def enabled_regions(account: Account, first: str) -> tuple[list[str], str]:
    """The regions that are enabled for the account, and who told them: Account, EC2, or else botocore's list.

    Account Management is asked first, because it is enough for most, and EC2's model takes a second to load.
    """
    partition = partition_of(first)
    start = always_enabled(partition)
    try:
        pages = account.session.client("account", start).get_paginator("list_regions")
        listed = pages.paginate(RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"])
        return sorted(region["RegionName"] for page in listed for region in page["Regions"]), LIST_REGIONS
    except CALL_ERRORS:
        pass  # many may ask only one of the two
    try:
        described = account.session.client("ec2", start).describe_regions(AllRegions=False)
        return sorted(region["RegionName"] for region in described["Regions"]), DESCRIBE_REGIONS
    except CALL_ERRORS:
        return regions_with_ecr(partition), FROM_BOTOCORE


def _why_not_assumed(account: Account) -> CallFailed | None:
    """None, if the account's credentials can be had."""
    try:
        account.session.credentials.get_frozen_credentials()
    except CALL_ERRORS as error:
        return _not_assumed(account, error)
    return None


def _not_assumed(account: Account, error: Exception) -> CallFailed:
    code = code_of(error)
    if code not in DENIED_CODES:
        return CallFailed(f"cannot assume {account.role_arn}: {error}", operation=ASSUME_ROLE, error_code=code)
    return Denied(
        f"cannot assume {account.role_arn}: access denied; allow {ASSUME_ROLE} in the caller's policy and in the role's"
        f' trust policy, "ecr-source iam-policy" prints both ({message_of(error)})',
        operation=ASSUME_ROLE,
        error_code=code,
    )
