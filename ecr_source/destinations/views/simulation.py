"""A lifecycle policy that is not there yet, in place of those that were loaded: the same views judge by it."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.catalog.documents.shape import Object
from ecr_source.destinations.literals import literal
from ecr_source.destinations.views.definition import View
from ecr_source.destinations.views.dialect import DIALECT

_STATES = "lifecycle_policy_states"
_CHOSEN = "policy_state = 'read'"


def policy_in_place(lifecycle: Object, repositories: Sequence[str] | None) -> dict[str, View]:
    """What is to be taken for what was loaded of lifecycle policies: each of the repositories, or each, has this one.

    `lifecycle` is a policy as `read_lifecycle` has it.
    """
    bodies = {
        _STATES: _states(repositories),
        "lifecycle_policies": f"SELECT registry_id, region, repository_name FROM {_STATES} WHERE {_CHOSEN}",  # noqa: S608 (a name of ours)
        "lifecycle_policy_rules": _of_each_repository([_rule(rule) for rule in lifecycle["rules"]]),
        "lifecycle_policy_rule_tag_matches": _of_each_repository(
            [_match(rule, match) for rule in lifecycle["rules"] for match in rule["tagMatches"]] or [_NO_MATCH]
        ),
    }
    return {name: View(name, "", {}, (), body) for name, body in bodies.items()}


def _states(repositories: Sequence[str] | None) -> str:
    names = ", ".join(literal(name, DIALECT) for name in repositories or ())
    is_chosen = f"repository_name IN ({names})" if repositories is not None else "true"
    return (
        "SELECT DISTINCT registry_id, region, repository_name,"  # noqa: S608 (literals)
        f" CASE WHEN {is_chosen} THEN 'read' ELSE 'none' END AS policy_state,"
        " CAST(NULL AS TIMESTAMPTZ) AS policy_as_of FROM images"
    )


def _of_each_repository(selects: Sequence[str]) -> str:
    return (
        "SELECT 'repository' AS owner_type, states.registry_id, states.region, states.repository_name AS owner_name,"  # noqa: S608 (names of ours)
        f" document.* FROM {_STATES} AS states CROSS JOIN ({' UNION ALL '.join(selects)}) AS document"
        f" WHERE {_CHOSEN}"
    )


def _rule(rule: Object) -> str:
    columns = {
        "tag_status": rule["tagStatus"],
        "storage_class": rule["storageClass"],
        "count_type": rule["countType"],
        "count_unit": rule["countUnit"],
        "action_type": rule["actionType"],
        "unknown_fields": rule["unknownFields"],
    }
    texts = ", ".join(f"{_text(value)} AS {name}" for name, value in columns.items())
    numbers = f"{rule['rulePriority']} AS rule_priority, CAST({rule['countNumber']} AS BIGINT) AS count_number"
    return f"SELECT {numbers}, {texts}"


def _match(rule: Object, match: Object) -> str:
    texts = f"{_text(match['type'])} AS match_type, {_text(match['value'])} AS match_value"
    return f"SELECT {rule['rulePriority']} AS rule_priority, {texts}"


_NO_MATCH = (
    "SELECT 1 AS rule_priority, CAST(NULL AS VARCHAR) AS match_type, CAST(NULL AS VARCHAR) AS match_value WHERE false"
)


def _text(value: str | None) -> str:
    return "CAST(NULL AS VARCHAR)" if value is None else literal(value, DIALECT)
