"""An organization: accounts in a tree of organizational units, as AWS Organizations lists them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.server.accounts import ACCOUNT, Caller
from tests.server.answers import AnswerError
from tests.server.pages import Pages
from tests.server.registry import Item

ORGANIZATION = "o-ab12cd34ef"
ROOT = "r-ab12"
JOINED_AT = 1_600_000_000.0
PAGE_SIZE = 20
HOMES = {"aws": "us-east-1", "aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-west-1"}


@dataclass(frozen=True)
class Unit:
    """An organizational unit; `parent` is the id of another one or of the root."""

    id: str
    name: str
    parent: str


@dataclass(frozen=True)
class Member:
    """An account of the organization; `parent` is the id of its unit or of the root."""

    account: str
    parent: str
    status: str
    name: str


class Organization:
    """The organization of the test account; there is none as long as it has no accounts."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.units: dict[str, Unit] = {}
        self.members: dict[str, Member] = {}

    def add(self, account: str, *, ou: str = "", status: str = "ACTIVE", name: str | None = None) -> None:
        """Puts an account into the unit with the path `ou` ("Workloads/Prod"), made if need be, or below the root."""
        self.members[account] = Member(account, self.unit(ou), status, name or f"account {account}")

    def unit(self, path: str) -> str:
        """The id of the unit with that path, which is made if need be; that of the root for no path."""
        parent = ROOT
        for name in filter(None, path.split("/")):
            children = {unit.name: unit.id for unit in self.units.values() if unit.parent == parent}
            if name not in children:
                children[name] = f"ou-{ROOT[2:]}-{11111111 + len(self.units)}"
                self.units[children[name]] = Unit(children[name], name, parent)
            parent = children[name]
        return parent

    def list_accounts(self, caller: Caller, parameters: Item) -> Item:
        return self._page("Accounts", [self._account(one, caller) for one in self.members.values()], caller, parameters)

    def list_roots(self, caller: Caller, parameters: Item) -> Item:
        root = {"Id": ROOT, "Arn": self._arn(caller, "root", ROOT), "Name": "Root", "PolicyTypes": []}
        return self._page("Roots", [root], caller, parameters)

    def list_organizational_units_for_parent(self, caller: Caller, parameters: Item) -> Item:
        parent = self._parent(parameters)
        units = [
            {
                "Id": unit.id,
                "Arn": self._arn(caller, "ou", unit.id),
                "Name": unit.name,
                "Path": self._path(unit.id),
            }
            for unit in self.units.values()
            if unit.parent == parent
        ]
        return self._page("OrganizationalUnits", units, caller, parameters)

    def list_accounts_for_parent(self, caller: Caller, parameters: Item) -> Item:
        parent = self._parent(parameters)
        accounts = [self._account(one, caller) for one in self.members.values() if one.parent == parent]
        return self._page("Accounts", accounts, caller, parameters)

    def _page(self, member: str, items: list[Item], caller: Caller, parameters: Item) -> Item:
        if caller.region != HOMES.get(caller.partition, caller.region):
            raise AnswerError("InvalidSignatureException", "Credential should be scoped to a valid region.", 403)
        if not self.members:
            raise AnswerError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")
        return self.pages.page(member, items, parameters, token="NextToken", limit="MaxResults", default=PAGE_SIZE)

    def _parent(self, parameters: Item) -> str:
        parent: str = parameters["ParentId"]
        if parent != ROOT and parent not in self.units:
            raise AnswerError("ParentNotFoundException", "You specified parent that doesn't exist.")
        return parent

    def _account(self, member: Member, caller: Caller) -> Item:
        return {
            "Id": member.account,
            "Arn": self._arn(caller, "account", member.account),
            "Email": f"{member.account}@example.com",
            "Name": member.name,
            "Status": member.status,
            "State": member.status,
            "Paths": [f"{self._path(member.parent)}{member.account}/"],
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": JOINED_AT,
        }

    def _path(self, parent: str) -> str:
        steps = [parent]
        while steps[0] in self.units:
            steps.insert(0, self.units[steps[0]].parent)
        return f"{ORGANIZATION}/{'/'.join(steps)}/"

    def _arn(self, caller: Caller, kind: str, name: str) -> str:
        return f"arn:{caller.partition}:organizations::{ACCOUNT}:{kind}/{ORGANIZATION}/{name}"
