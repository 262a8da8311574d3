"""Can I trust it: what was read, as of when, and what was not, and why."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.report.panel import ACCOUNT, LABEL, NUMBER, REGION, TIME, Column, Panel, Part, Row, counted, total


def _scopes(rows: Sequence[Row]) -> str:
    if not rows:
        return "No run has read anything"
    accounts = counted(len({row["registry_id"] for row in rows}), "account")
    regions = counted(len({row["region"] for row in rows}), "region")
    incomplete = [row for row in rows if row["incomplete_tables"]]
    if not incomplete:
        return f"All that was asked for was read, in {accounts} and {regions}"
    scopes = counted(len(rows), "registry", "registries")
    return f"Incomplete: something could not be read in {len(incomplete):,} of {scopes}"


SCOPES = Panel(
    name="scopes",
    question="Which accounts and regions were read, and as of when?",
    query="""\
SELECT registry_id, region,
    CASE
        WHEN count(CASE WHEN last_status IN ('partial', 'denied', 'disabled', 'failed', 'postponed') THEN 1 END) > 0
        THEN 'incomplete' ELSE 'complete'
    END AS state,
    min(answered_as_of) AS answered_as_of, max(last_started_at) AS last_started_at,
    count(CASE WHEN last_status <> 'skipped' THEN 1 END) AS tables,
    count(CASE WHEN last_status IN ('partial', 'denied', 'disabled', 'failed', 'postponed') THEN 1 END)
        AS incomplete_tables,
    count(CASE WHEN last_status IN ('bounded', 'selected') THEN 1 END) AS bounded_tables,
    count(CASE WHEN table_name = 'repositories' AND read_as_of IS NULL THEN 1 END) AS never_listed
FROM {ecr_freshness}
GROUP BY 1, 2 ORDER BY 7 DESC, 1, 2""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "state": Column("state", LABEL),
        "answered_as_of": Column("all there as of", TIME, "never"),
        "last_started_at": Column("last run", TIME),
        "tables": Column("tables", NUMBER),
        "incomplete_tables": Column("incomplete", NUMBER),
        "bounded_tables": Column("bounded on purpose", NUMBER),
    },
    finding=_scopes,
    note="What was never asked for is not here: the report knows the accounts and regions that runs were told to read."
    " A bound is one that somebody set, such as the findings of the newest image of each repository only.",
    most=200,
)


def never_listed(rows: Sequence[Row]) -> int:
    """Of how many registries nobody knows which repositories they have, of the rows of SCOPES."""
    return int(total(rows, "never_listed"))


def _gaps(rows: Sequence[Row]) -> str:
    if not rows:
        return "Nothing that was asked for is missing"
    tables = counted(total(rows, "tables"), "table")
    reasons = sorted({str(row["last_status"]) for row in rows})
    return f"{tables} are not complete: {', '.join(reasons)}" if total(rows, "tables") != 1 else f"{tables} is not"


GAPS = Panel(
    name="gaps",
    question="What is incomplete, and why?",
    query="""\
SELECT registry_id, region, last_status, count(*) AS tables,
    string_agg(table_name, ', ' ORDER BY table_name) AS table_names,
    max(last_excepted_repositories) AS excepted_repositories, max(last_images_failed) AS failed_images,
    max(last_note) AS note, min(complete_as_of) AS complete_as_of
FROM {ecr_freshness}
WHERE last_status IN ('partial', 'denied', 'disabled', 'failed', 'postponed')
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "last_status": Column("why", LABEL),
        "tables": Column("tables", NUMBER),
        "table_names": Column("which"),
        "excepted_repositories": Column("repositories left as they were", NUMBER),
        "failed_images": Column("images without an answer", NUMBER),
        "note": Column("note"),
        "complete_as_of": Column("complete as of", TIME, "never"),
    },
    finding=_gaps,
    note="These tables keep the rows of earlier runs, where there are any; what was never read is unknown in all that"
    " follows, and never fine.",
    most=200,
)


def _errors(rows: Sequence[Row]) -> str:
    if not rows:
        return "No run has met an error"
    return f"{counted(total(rows, 'errors'), 'error')} in {counted(len(rows), 'reading of a registry', 'readings')}"


ERRORS = Panel(
    name="errors",
    question="What happened where something could not be read?",
    query="""\
SELECT started_at, registry_id, region, errors, error_for_example
FROM {ecr_runs}
WHERE errors > 0
ORDER BY 1 DESC, 2, 3""",
    columns={
        "started_at": Column("began", TIME),
        "registry_id": Column("account"),
        "region": Column("region"),
        "errors": Column("errors", NUMBER),
        "error_for_example": Column("for example"),
    },
    finding=_errors,
    note="The table extraction_errors has each of them. ecr-source check says which permission is missing.",
    most=20,
    narrowed_by=(ACCOUNT, REGION),
)


def _bounds(rows: Sequence[Row]) -> str:
    left_out = total(rows, "left_out_images")
    if not rows:
        return "No bound leaves anything out"
    return f"Bounds leave out {counted(left_out, 'image')}" if left_out else "Some tables were read within bounds"


BOUNDS = Panel(
    name="bounds",
    question="What was left out on purpose?",
    query="""\
SELECT registry_id, region, table_name, last_status, last_images_asked + last_images_kept AS known_images,
    last_images_left_out AS left_out_images, last_note AS note
FROM {ecr_freshness}
WHERE last_status IN ('bounded', 'selected')
ORDER BY 6 DESC, 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "table_name": Column("table"),
        "last_status": Column("how", LABEL),
        "known_images": Column("images with an answer", NUMBER),
        "left_out_images": Column("images left out", NUMBER),
        "note": Column("note"),
    },
    finding=_bounds,
    note="By default the findings of the newest image of each repository are asked for;"
    " --table default,findings asks for those of all.",
    most=20,
)

PART = Part("trust", "Can I trust it?", (SCOPES, GAPS, ERRORS, BOUNDS))
