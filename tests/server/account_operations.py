"""The operations that ask about accounts, not about registries: those of sts, sso, organizations, ec2 and account."""

from __future__ import annotations

from collections.abc import Callable

from tests.server.accounts import Accounts, Caller
from tests.server.answers import AnswerError
from tests.server.organization import Organization
from tests.server.pages import Pages
from tests.server.regions import ALWAYS_ENABLED, domain_of, regions_of
from tests.server.registry import Item

AccountOperation = Callable[[Caller, Item], Item]


class AccountOperations:
    """What each operation answers, from what is known of the accounts."""

    def __init__(self, accounts: Accounts, organization: Organization, pages: Pages) -> None:
        self.accounts = accounts
        self.organization = organization
        self.pages = pages

    def table(self) -> dict[str, AccountOperation]:
        """All operations that are served, by the name under which their calls are counted."""
        return {
            "GetCallerIdentity": self.accounts.get_caller_identity,
            "sts:AssumeRole": self.accounts.assume_role,
            "sts:AssumeRoleWithWebIdentity": self.accounts.assume_role,
            "sso:GetRoleCredentials": self.accounts.get_role_credentials,
            "organizations:ListAccounts": self.organization.list_accounts,
            "organizations:ListRoots": self.organization.list_roots,
            "organizations:ListOrganizationalUnitsForParent": self.organization.list_organizational_units_for_parent,
            "organizations:ListAccountsForParent": self.organization.list_accounts_for_parent,
            "ec2:DescribeRegions": self.describe_regions,
            "account:ListRegions": self.list_regions,
        }

    def describe_regions(self, caller: Caller, parameters: Item) -> Item:
        """The regions that are enabled, or all; of the filters, `opt-in-status` is served."""
        wanted = {one["Name"]: one["Values"] for one in parameters.get("Filters", ())}
        if wanted.keys() - {"opt-in-status"}:
            raise AnswerError("InvalidParameterValue", f"The filters {sorted(wanted)} are not served")
        regions = [
            {
                "OptInStatus": status,
                "RegionName": region,
                "Endpoint": f"ec2.{region}.{domain_of(region)}",
            }
            for region, status in self._opted(caller).items()
            if (parameters.get("AllRegions") or status != "not-opted-in")
            and region in parameters.get("RegionNames", [region])
            and status in wanted.get("opt-in-status", [status])
        ]
        return {"Regions": regions}

    def list_regions(self, caller: Caller, parameters: Item) -> Item:
        statuses = {
            "opt-in-not-required": "ENABLED_BY_DEFAULT",
            "opted-in": "ENABLED",
            "not-opted-in": "DISABLED",
        }
        regions = [
            {"RegionName": region, "RegionOptStatus": statuses[status]}
            for region, status in self._opted(caller).items()
            if statuses[status] in parameters.get("RegionOptStatusContains", [statuses[status]])
        ]
        return self.pages.page("Regions", regions, parameters, token="NextToken", limit="MaxResults", default=50)

    def _opted(self, caller: Caller) -> dict[str, str]:
        """The status of all regions of the partition, those that are enabled first, in the words of EC2."""
        enabled = self.accounts.regions_enabled(caller.account, caller.partition)
        always = ALWAYS_ENABLED if caller.partition == "aws" else regions_of(caller.partition)
        others = [region for region in regions_of(caller.partition) if region not in enabled]
        return {
            **{region: "opt-in-not-required" if region in always else "opted-in" for region in enabled},
            **dict.fromkeys(others, "not-opted-in"),
        }
