"""How it was made: the runs that read all this, and the prices and thresholds that it is judged by."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.report.panel import LABEL, NUMBER, TIME, Column, Panel, Part, Row, counted, total


def _runs(rows: Sequence[Row]) -> str:
    if not rows:
        return "No run is known"
    runs = counted(len({row["run_id"] for row in rows}), "run")
    return (
        f"The last {runs} took {counted(total(rows, 'calls'), 'call')}, {total(rows, 'throttled'):,} of them throttled"
    )


RUNS = Panel(
    name="runs",
    question="Which runs read this, and at what cost?",
    query="""\
SELECT started_at, run_id, registry_id, region, mode, seconds, rows_read, calls, throttled, retried, errors
FROM {ecr_runs}
ORDER BY 1 DESC, 3, 4""",
    columns={
        "started_at": Column("began", TIME),
        "run_id": Column("run"),
        "registry_id": Column("account"),
        "region": Column("region"),
        "mode": Column("mode", LABEL),
        "seconds": Column("seconds", NUMBER),
        "rows_read": Column("rows", NUMBER),
        "calls": Column("calls", NUMBER),
        "throttled": Column("throttled", NUMBER),
        "retried": Column("retried", NUMBER),
        "errors": Column("errors", NUMBER),
    },
    finding=_runs,
    most=20,
)


def _parameters(rows: Sequence[Row]) -> str:
    return f"Judged by {counted(len(rows), 'price, quota or threshold', 'prices, quotas and thresholds')}"


PARAMETERS = Panel(
    name="parameters",
    question="Which prices, quotas and thresholds were used?",
    query="""\
SELECT name, value, unit, looked_up_on, source
FROM {ecr_parameters}
ORDER BY 1""",
    columns={
        "name": Column("name"),
        "value": Column("value", NUMBER),
        "unit": Column("unit"),
        "looked_up_on": Column("looked up on", null="a choice"),
        "source": Column("source"),
    },
    finding=_parameters,
    note="A setting of sources.ecr.parameters, or --parameter of run, gives another.",
)

PART = Part("provenance", "How it was made", (RUNS, PARAMETERS))
