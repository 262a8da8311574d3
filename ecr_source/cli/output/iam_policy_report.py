"""The IAM policies as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from ecr_source import catalog
from ecr_source.aws.access import ALL_REGIONS
from ecr_source.aws.iam_policies import Policy, least_policy, scope_policy, trust_policy
from ecr_source.cli.exit_codes import COMPLETE, UNUSABLE, refuse
from ecr_source.errors import ConfigurationError
from ecr_source.loading.settings.declared import Settings


def print_policies(settings: Settings, trusted_principals: Sequence[str]) -> int:
    """Prints one JSON object with a member for each policy, and returns the exit code. Calls nothing.

    `role_policy` is always there, `trust_policy` where somebody is trusted, `caller_policy` where there are roles to
    assume, or an organization to list.
    """
    policies: dict[str, Policy] = {}
    try:
        policies["role_policy"] = least_policy(
            catalog.select_tables(settings.tables or ()),
            catalog.not_called(settings.findings_from),
            all_regions=ALL_REGIONS in (settings.regions or ()),
        )
        if trusted_principals:
            policies["trust_policy"] = trust_policy(trusted_principals, settings.external_id)
        if settings.role_arns or settings.organization:
            policies["caller_policy"] = scope_policy(settings.role_arns or (), organization=settings.organization)
    except ConfigurationError as error:
        return refuse(error, UNUSABLE)
    print(orjson.dumps(policies, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 (what was asked for)
    return COMPLETE
