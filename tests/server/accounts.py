"""Whose a call is: accounts, the access keys of their users and roles, and the regions that they have enabled."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.server.answers import AnswerError
from tests.server.protocols import Call
from tests.server.regions import ALWAYS_ENABLED, partition_of, regions_of
from tests.server.registry import Item

ACCOUNT = "123456789012"
ACCESS_KEY = "AKIATESTTESTTESTTEST"


@dataclass(frozen=True)
class Caller:
    """Who calls, and the region that is called."""

    account: str
    arn: str
    user_id: str
    region: str

    @property
    def partition(self) -> str:
        return partition_of(self.region)


@dataclass(frozen=True)
class Role:
    """A role that can be assumed; its keys live for `seconds`, or for `calls` calls of services other than sts."""

    arn: str
    external_id: str | None
    calls: float
    seconds: float

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


@dataclass(frozen=True)
class AssumedRole:
    """That a role was assumed: with what, and where that was asked for."""

    arn: str
    external_id: str | None
    session_name: str
    region: str


@dataclass
class TemporaryKey:
    """The access key of an assumed role."""

    role: Role
    session_name: str
    session_token: str
    expires_at: float
    calls_left: float

    @property
    def expired(self) -> bool:
        return self.calls_left <= 0 or self.expires_at <= time.time()

    @property
    def arn(self) -> str:
        account = self.role.arn.replace(":iam:", ":sts:").partition(":role/")[0]
        return f"{account}:assumed-role/{self.role.arn.rpartition('/')[2]}/{self.session_name}"


class Accounts:
    """The accounts that there are and the keys that open them.

    `accounts` has the account of each access key of a user, `enabled_regions` the regions that accounts have enabled
    (by default those that all have), `allowed` the IAM actions that accounts allow (by default all), and `assumed` is
    the record of the roles that were assumed.
    """

    def __init__(self) -> None:
        self.accounts = {ACCESS_KEY: ACCOUNT}
        self.expired_keys: set[str] = set()
        self.disabled_regions: set[str] = set()
        self.enabled_regions: dict[str, list[str]] = {}
        self.allowed: dict[str, set[str]] = {}
        self.assumed: list[AssumedRole] = []
        self._roles: dict[str, Role] = {}
        self._temporary: dict[str, TemporaryKey] = {}

    def add_role(
        self, arn: str, *, external_id: str | None = None, calls: int | None = None, seconds: float = 3600
    ) -> None:
        """From now on every known access key may assume the role.

        Its temporary keys expire after `seconds`, and after `calls` calls of services other than sts.
        """
        self._roles[arn] = Role(arn, external_id, float("inf") if calls is None else calls, seconds)

    def remove_role(self, arn: str) -> None:
        """From now on nobody may assume the role."""
        del self._roles[arn]

    def account_of(self, access_key: str) -> str | None:
        """The account of an access key, if it is known."""
        key = self._temporary.get(access_key)
        return key.role.account if key else self.accounts.get(access_key)

    def regions_enabled(self, account: str, partition: str) -> list[str]:
        """The regions of the partition that the account has enabled."""
        default = ALWAYS_ENABLED if partition == "aws" else regions_of(partition)
        return [region for region in self.enabled_regions.get(account, default) if partition_of(region) == partition]

    def authenticated(self, call: Call) -> Caller:
        """Who calls.

        Raises:
            AnswerError: the key is unknown, has expired, or lacks its session token; the region is disabled.
        """
        if not call.access_key:
            return Caller("", "", "", call.region)
        account, key = self.account_of(call.access_key), self._temporary.get(call.access_key)
        stolen = key is not None and key.session_token != call.session_token
        if account is None or stolen or self._is_disabled(call.region, account):
            raise AnswerError("UnrecognizedClientException", "The security token included in the request is invalid.")
        if call.access_key in self.expired_keys or (key is not None and key.expired):
            raise AnswerError("ExpiredTokenException", "The security token included in the request is expired")
        if key is None:
            return Caller(account, f"arn:{partition_of(call.region)}:iam::{account}:user/reader", "AIDA", call.region)
        if call.service != "sts":
            key.calls_left -= 1
        return Caller(account, key.arn, f"AROA:{key.session_name}", call.region)

    def _is_disabled(self, region: str, account: str) -> bool:
        if region in self.disabled_regions:
            return True
        # Accounts that nothing was said about may call everywhere.
        can_be_disabled = partition_of(region) == "aws" and region not in ALWAYS_ENABLED
        return can_be_disabled and region not in self.enabled_regions.get(account, [region])

    def get_caller_identity(self, caller: Caller, parameters: Item) -> Item:
        return {"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn}

    def assume_role(self, caller: Caller, parameters: Item) -> Item:
        role, external_id = self._roles.get(parameters["RoleArn"]), parameters.get("ExternalId")
        if role is None or role.external_id not in (None, external_id):
            sentence = f"User: {{user}} is not authorized to perform: {{action}} on resource: {parameters['RoleArn']}"
            raise AnswerError("AccessDeniedException", sentence)
        name = parameters["RoleSessionName"]
        access_key, key = self._issue(role, external_id, name, caller.region)
        return {
            "Credentials": {
                "AccessKeyId": access_key,
                "SecretAccessKey": "secret",
                "SessionToken": key.session_token,
                "Expiration": key.expires_at,
            },
            "AssumedRoleUser": {"AssumedRoleId": f"AROA:{name}", "Arn": key.arn},
        }

    def get_role_credentials(self, caller: Caller, parameters: Item) -> Item:
        """What IAM Identity Center gives who is signed in, for a role that was added."""
        role = self._roles.get(f"arn:aws:iam::{parameters['accountId']}:role/{parameters['roleName']}")
        if role is None:
            raise AnswerError("ForbiddenException", "No access", 403)
        access_key, key = self._issue(role, None, "reader", caller.region)
        return {
            "roleCredentials": {
                "accessKeyId": access_key,
                "secretAccessKey": "secret",
                "sessionToken": key.session_token,
                "expiration": int(key.expires_at * 1000),
            }
        }

    def _issue(self, role: Role, external_id: str | None, name: str, region: str) -> tuple[str, TemporaryKey]:
        """A new key of the role, and its id."""
        self.assumed.append(AssumedRole(role.arn, external_id, name, region))
        number = len(self.assumed)
        access_key = f"ASIATEST{number:012}"
        key = TemporaryKey(role, name, f"token of {number}", time.time() + role.seconds, role.calls)
        self._temporary[access_key] = key
        return access_key, key
