"""What is read → the IAM policies that allow it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from ecr_source import catalog
from ecr_source.aws.access import ACCOUNT_PLACE, account_of_role
from ecr_source.aws.scopes import ASSUME_ROLE, DESCRIBE_REGIONS, LIST_REGIONS
from ecr_source.catalog.table import Operation, Table
from ecr_source.errors import ConfigurationError

ACCOUNTS = (
    "organizations:ListAccounts",
    "organizations:ListAccountsForParent",
    "organizations:ListOrganizationalUnitsForParent",
)
"""What tells the accounts of an organization, and of its units."""

REGIONS = (LIST_REGIONS, DESCRIBE_REGIONS)
"""What tells the regions that are enabled for an account; each of the two is enough."""

_PRINCIPAL = re.compile(
    r"[0-9]{12}|arn:aws[a-z-]*:(?:iam::[0-9]{12}:(?:root|(?:user|role)/[\w+=,.@/-]+)"
    r"|sts::[0-9]{12}:assumed-role/[\w+=,.@/-]+)",
    re.ASCII,
)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)


class Statement(TypedDict):
    """A statement of a policy, in IAM's words."""

    Sid: str
    Effect: Literal["Allow"]
    Principal: NotRequired[Mapping[str, Sequence[str]]]
    Action: Sequence[str]
    Resource: NotRequired[str | Sequence[str]]
    Condition: NotRequired[Mapping[str, Mapping[str, str]]]


class Policy(TypedDict):
    """A policy document, in IAM's words."""

    Version: Literal["2012-10-17"]
    Statement: list[Statement]


def least_policy(tables: Iterable[Table], without: Collection[Operation] = (), *, all_regions: bool = False) -> Policy:
    """What the role, or the user, must be allowed whose credentials read `tables`: a statement for each group.

    An action stands in the first group that needs it. `without` are operations that are not called; `all_regions`: the
    regions that are enabled for the account are asked for. The resource is `*`: registries are listed, and what is in
    them is not known before.
    """
    groups: dict[str, list[Table]] = {}
    for table in tables:
        groups.setdefault(catalog.group_of(table), []).append(table)
    statements: list[Statement] = []
    allowed: set[str] = set()
    for group, members in groups.items():
        actions = catalog.actions_of(members, without) - allowed
        if actions:
            statements.append(_allow(group, actions))
        allowed |= actions
    if all_regions:
        statements.append(_allow("regions", REGIONS))
    return _policy(statements)


def trust_policy(principals: Sequence[str], external_id: str | None = None) -> Policy:
    """Who may assume the role that reads: `principals` are ARNs, or account ids.

    With an `external_id`, only who hands it to AssumeRole.

    Raises:
        ConfigurationError: there is no principal, or IAM would not take one of them, or the external id.
    """
    if not principals:
        raise ConfigurationError("nobody is trusted to assume the role: give --trusted-principal")
    for principal in principals:
        if not _PRINCIPAL.fullmatch(principal):
            raise ConfigurationError(
                f'trusted principal "{principal}" is neither an account id of twelve digits nor the ARN of an account,'
                " a user or a role, such as arn:aws:iam::123456789012:role/pipeline"
            )
    statement = Statement(
        Sid=_sid("trust"), Effect="Allow", Principal={"AWS": list(dict.fromkeys(principals))}, Action=[ASSUME_ROLE]
    )
    if external_id is not None:
        if not _EXTERNAL_ID.fullmatch(external_id):
            raise ConfigurationError("the external id is not 2 to 1,224 letters, digits or any of _+=,.@:/-")
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": external_id}}
    return _policy([statement])


def scope_policy(role_arns: Sequence[str] = (), *, organization: bool = False) -> Policy:
    """What the credentials that start a run must be allowed to reach its scopes, besides what they read themselves.

    `role_arns` are the roles to assume, `{account}` standing for any account; `organization`: its accounts are listed.

    Raises:
        ConfigurationError: an ARN is not that of a role.
    """
    for arn in role_arns:
        account_of_role(arn)
    statements: list[Statement] = []
    if role_arns:
        roles = sorted({arn.replace(ACCOUNT_PLACE, "*") for arn in role_arns})
        statements.append(_allow("roles", [ASSUME_ROLE], roles))
    if organization:
        statements.append(_allow("organization", ACCOUNTS))
    return _policy(statements)


def _policy(statements: list[Statement]) -> Policy:
    return Policy(Version="2012-10-17", Statement=statements)


def _allow(what: str, actions: Iterable[str], resource: str | Sequence[str] = "*") -> Statement:
    return Statement(Sid=_sid(what), Effect="Allow", Action=sorted(actions), Resource=resource)


def _sid(what: str) -> str:
    """A statement id, which takes letters and digits only: `EcrSourceImageStatus`."""
    return f"EcrSource{''.join(part.capitalize() for part in what.split('_'))}"
