"""Which controls pass, which fail, and of which nobody knows."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.report.panel import LABEL, NUMBER, TIME, Bars, Column, Panel, Part, Row, counted, total

_JUDGED = """\
    count(CASE WHEN status = 'fail' THEN 1 END) AS failing,
    count(CASE WHEN status = 'unknown' THEN 1 END) AS unknown,
    count(CASE WHEN status = 'pass' THEN 1 END) AS passing"""
_COLUMNS = {
    "failing": Column("fail", NUMBER),
    "unknown": Column("unknown", NUMBER),
    "passing": Column("pass", NUMBER),
}


def _controls(rows: Sequence[Row]) -> str:
    if not rows:
        return "There is no repository to judge"
    failing = [row for row in rows if row["failing"]]
    if not failing:
        unknown = total(rows, "unknown")
        return f"No control fails; {unknown:,} are unknown" if unknown else "All controls pass"
    times = total(failing, "failing")
    return f"{len(failing):,} of {counted(len(rows), 'control')} fail somewhere, {times:,} times in all"


BY_CONTROL = Panel(
    name="controls-by-control",
    question="Which controls fail, and how often?",
    query=f"""\
SELECT control, title, source,
{_JUDGED}
FROM {{ecr_controls}}
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 5 DESC, 1""",
    columns={"control": Column("control"), "title": Column("asks that"), "source": Column("whose")} | _COLUMNS,
    finding=_controls,
    note="ECR.1 to ECR.5 are AWS Security Hub's. unknown: what it needs was not read, or ECR does not tell it.",
    chart=Bars(
        category="control",
        segments={"failing": "--bad", "unknown": "--dim", "passing": "--good"},
        unit="repositories (or registries)",
    ),
)


def _accounts(rows: Sequence[Row]) -> str:
    failing = [row for row in rows if row["failing"]]
    if not failing:
        return "No account has a failing control"
    first = failing[0]
    return f"Most failing controls: {counted(first['failing'], 'one', 'of them')} in {first['registry_id']}"


BY_ACCOUNT = Panel(
    name="controls-by-account",
    question="Where do controls fail?",
    query=f"""\
SELECT registry_id, region,
{_JUDGED}
FROM {{ecr_controls}}
GROUP BY 1, 2 ORDER BY 3 DESC, 4 DESC, 1, 2""",
    columns={"registry_id": Column("account"), "region": Column("region", null="public")} | _COLUMNS,
    finding=_accounts,
)


def _failing(rows: Sequence[Row]) -> str:
    if not rows:
        return "Nothing fails"
    repositories = {(row["registry_id"], row["region"], row["repository_name"]) for row in rows}
    where = counted(len(repositories), "repository or registry", "repositories and registries")
    return f"{counted(len(rows), 'failing control')} in {where}"


FAILING = Panel(
    name="failing-controls",
    question="What fails, and by which evidence?",
    query="""\
SELECT control, registry_id, region, repository_name, evidence, as_of
FROM {ecr_controls}
WHERE status = 'fail'
ORDER BY 1, 2, 3, 4""",
    columns={
        "control": Column("control", LABEL),
        "registry_id": Column("account"),
        "region": Column("region", null="public"),
        "repository_name": Column("repository", null="the registry"),
        "evidence": Column("evidence"),
        "as_of": Column("as of", TIME, "never"),
    },
    finding=_failing,
    most=200,
)

PART = Part("controls", "Controls", (BY_CONTROL, BY_ACCOUNT, FAILING))
