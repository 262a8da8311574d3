"""Who outside of the account may pull, push or administer, and what registries let in."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.report.panel import LABEL, NUMBER, Column, Matrix, Panel, Part, Row, counted, total

_REPOSITORY = "registry_id || '/' || region || '/' || repository_name"


def _public(rows: Sequence[Row]) -> str:
    repositories = {(row["registry_id"], row["region"], row["repository_name"]) for row in rows}
    if not rows:
        return "No repository policy that was read is open to the world"
    verb = "is" if len(repositories) == 1 else "are"
    return f"{counted(len(repositories), 'repository', 'repositories')} {verb} open to the world"


PUBLIC = Panel(
    name="public",
    question="Which repositories are open to everybody?",
    query="""\
SELECT registry_id, region, repository_name, sid, may_pull, may_push, may_administer, is_conditional, condition,
    is_denied_elsewhere, actions
FROM {ecr_repository_access}
WHERE access = 'stated' AND effect = 'Allow' AND reach = 'public'
ORDER BY 1, 2, 3, 4""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "may_pull": Column("pull", LABEL),
        "may_push": Column("push", LABEL),
        "may_administer": Column("administer", LABEL),
        "condition": Column("only under this condition", null="none"),
        "sid": Column("statement", null="unnamed"),
        "actions": Column("actions"),
    },
    finding=_public,
    note="A condition may narrow it, and a Deny of the same policy may take it back. What registries allow is below.",
)


def _outsiders(rows: Sequence[Row]) -> str:
    if not rows:
        return "No repository policy that was read lets in anybody outside"
    pushers = [row for row in rows if row["push"]]
    let_in = counted(len(rows), "principal")
    return f"{let_in} from outside let in, of which {len(pushers):,} may push" if pushers else f"{let_in} may only pull"


OUTSIDERS = Panel(
    name="outsiders",
    question="Who outside may pull or push?",
    query=f"""\
SELECT principal, coalesce(reach, 'unknown') AS reach, principal_account_id,
    count(DISTINCT CASE WHEN may_pull THEN {_REPOSITORY} END) AS pull,
    count(DISTINCT CASE WHEN may_push THEN {_REPOSITORY} END) AS push,
    count(DISTINCT CASE WHEN may_administer THEN {_REPOSITORY} END) AS administer,
    count(DISTINCT CASE WHEN is_conditional THEN {_REPOSITORY} END) AS conditional,
    min(repository_name) AS for_example
FROM {{ecr_repository_access}}
WHERE access = 'stated' AND effect = 'Allow' AND coalesce(reach, 'unknown') NOT IN ('own_account', 'service')
GROUP BY 1, 2, 3 ORDER BY 5 DESC, 6 DESC, 4 DESC, 1, 2, 3""",
    columns={
        "principal": Column("principal", null="not told"),
        "reach": Column("reach", LABEL),
        "pull": Column("may pull from", NUMBER),
        "push": Column("may push to", NUMBER),
        "administer": Column("may administer", NUMBER),
        "conditional": Column("under a condition", NUMBER),
        "for_example": Column("for example"),
    },
    finding=_outsiders,
    note="Counted in repositories. What policies of the other account allow its own people is not known here.",
)


def _matrix(rows: Sequence[Row]) -> str:
    accounts = {row["principal_account_id"] for row in rows}
    if not rows:
        return "No repository is shared with another account"
    repositories = {(row["registry_id"], row["region"], row["repository_name"]) for row in rows}
    shared = counted(len(repositories), "repository", "repositories")
    return f"{shared} shared with {counted(len(accounts), 'other account')}"


MATRIX = Panel(
    name="shared-with",
    question="Which repository is shared with which account?",
    query="""\
SELECT registry_id, region, repository_name, principal_account_id,
    CASE
        WHEN count(CASE WHEN may_administer THEN 1 END) > 0 THEN 'administer'
        WHEN count(CASE WHEN may_push THEN 1 END) > 0 THEN 'push'
        WHEN count(CASE WHEN may_pull THEN 1 END) > 0 THEN 'pull'
        ELSE 'other'
    END AS may
FROM {ecr_repository_access}
WHERE access = 'stated' AND effect = 'Allow' AND reach = 'other_account' AND principal_account_id IS NOT NULL
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "principal_account_id": Column("shared with"),
        "may": Column("may", LABEL),
    },
    finding=_matrix,
    note="The most that a statement allows: administer, else push, else pull.",
    matrix=Matrix(rows=("registry_id", "region", "repository_name"), columns="principal_account_id", cell="may"),
    most=500,
)


def _registries(rows: Sequence[Row]) -> str:
    if not rows:
        return "No registry has a policy, replicates, or pulls through a cache"
    kinds = [row["kind"] for row in rows if row["access"] == "stated"]
    names = {"policy": "policy principal", "replication": "replication target", "pull_through": "pull-through rule"}
    told = [counted(kinds.count(kind), name) for kind, name in names.items() if kind in kinds]
    unknown = len(rows) - len(kinds)
    return ", ".join([*told, *([f"{counted(unknown, 'setting')} not known"] if unknown else [])])


REGISTRIES = Panel(
    name="registry-access",
    question="What do registries let in and hand on?",
    query="""\
SELECT registry_id, region, kind, access, reach, principal, policy_scope, may_replicate, may_import_upstream,
    destination_registry_id, destination_region, upstream_registry_url, ecr_repository_prefix
FROM {ecr_registry_access}
WHERE access <> 'none'
ORDER BY 1, 2, 3, 4, 5, 6, 10, 11, 12, 13""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "kind": Column("kind", LABEL),
        "access": Column("state", LABEL),
        "principal": Column("principal"),
        "reach": Column("reach", LABEL),
        "destination_registry_id": Column("copied to account"),
        "destination_region": Column("copied to region"),
        "upstream_registry_url": Column("fetched from"),
        "ecr_repository_prefix": Column("into prefix"),
    },
    finding=_registries,
)


def _unread(rows: Sequence[Row]) -> str:
    if not rows:
        return "Of every repository it is known who may use it"
    repositories = counted(total(rows, "repositories"), "repository", "repositories")
    return f"Of {repositories} it is not known who may use them"


UNREAD = Panel(
    name="unread-policies",
    question="Of which repositories is it not known who may use them?",
    query="""\
SELECT registry_id, region, access, count(*) AS repositories, min(repository_name) AS for_example
FROM {ecr_repository_access}
WHERE access IN ('unknown', 'unreadable')
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "access": Column("state", LABEL),
        "repositories": Column("repositories", NUMBER),
        "for_example": Column("for example"),
    },
    finding=_unread,
    note="unknown: the policy was not read. unreadable: it is no policy document.",
)

PART = Part("exposure", "Exposure", (PUBLIC, OUTSIDERS, MATRIX, REGISTRIES, UNREAD))
