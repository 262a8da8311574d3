"""What is vulnerable, what an update would mend, and what nobody has looked at."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.report.panel import LABEL, NUMBER, UNKNOWN, Bars, Column, Panel, Part, Row, counted, total

_WORST_FIRST = """\
CASE severity WHEN 'CRITICAL' THEN 1 WHEN 'HIGH' THEN 2 WHEN 'MEDIUM' THEN 3 WHEN 'LOW' THEN 4 ELSE 5 END"""
_IN_USE = "CASE WHEN count(in_use) > 0 THEN count(CASE WHEN in_use THEN 1 END) END"
"""How many are in use, as far as anybody looked; NULL where nobody did."""
_REPOSITORY = "registry_id || '/' || region || '/' || repository_name"


def of_severity(rows: Sequence[Row], column: str, *severities: str) -> int:
    """The sum of a column, of the rows of some severities."""
    return int(total([row for row in rows if row["severity"] in severities], column))


def _severities(rows: Sequence[Row]) -> str:
    if not rows:
        return "No open finding in what was scanned"
    critical = of_severity(rows, "findings", "CRITICAL", "HIGH")
    fixable = of_severity(rows, "fixable", "CRITICAL", "HIGH")
    if not critical:
        return f"{counted(total(rows, 'findings'), 'open finding')}, none of them critical or high"
    return f"{counted(critical, 'critical or high finding')}, of which an update fixes {fixable:,}"


SEVERITIES = Panel(
    name="severities",
    question="How bad are the findings, and can they be fixed?",
    query=f"""\
SELECT severity, count(*) AS findings,
    count(CASE WHEN is_fixable THEN 1 END) AS fixable,
    count(CASE WHEN NOT is_fixable THEN 1 END) AS not_fixable,
    count(CASE WHEN is_fixable IS NULL THEN 1 END) AS fix_not_told,
    count(CASE WHEN is_exploitable THEN 1 END) AS exploitable,
    {_IN_USE} AS in_use
FROM {{ecr_image_vulnerabilities}}
WHERE status = 'ACTIVE'
GROUP BY severity ORDER BY {_WORST_FIRST}, severity""",
    columns={
        "severity": Column("severity", LABEL, "not told"),
        "findings": Column("findings", NUMBER),
        "fixable": Column("an update fixes", NUMBER),
        "not_fixable": Column("no fix yet", NUMBER),
        "fix_not_told": Column("fix not told", NUMBER),
        "exploitable": Column("exploit known", NUMBER),
        "in_use": Column("in use", NUMBER, UNKNOWN),
    },
    finding=_severities,
    note="A finding is one of a vulnerability, a package and an image. In use is what Inspector has seen in ECS"
    " and EKS. Basic scanning does not always tell the fix. What was not scanned is below.",
    chart=Bars(
        category="severity",
        segments={"fixable": "--bad", "not_fixable": "--warn", "fix_not_told": "--dim"},
        unit="open findings",
    ),
)


def _packages(rows: Sequence[Row]) -> str:
    if not rows:
        return "No package has a finding that an update is known to fix"
    first = rows[0]
    images = counted(first["images"], "image")
    return f"Update {first['package_name']} first: it mends {counted(first['findings'], 'finding')} in {images}"


PACKAGES = Panel(
    name="packages",
    question="Which packages should be updated first?",
    query=f"""\
SELECT package_name, package_version, max(fixed_in_version) AS fixed_in_version,
    count(DISTINCT image_digest) AS images, count(DISTINCT {_REPOSITORY}) AS repositories, count(*) AS findings,
    count(CASE WHEN severity = 'CRITICAL' THEN 1 END) AS critical,
    count(CASE WHEN severity = 'HIGH' THEN 1 END) AS high,
    {_IN_USE} AS in_use
FROM {{ecr_image_vulnerabilities}}
WHERE status = 'ACTIVE' AND is_fixable
GROUP BY 1, 2 ORDER BY 7 DESC, 8 DESC, 4 DESC, 1, 2""",
    columns={
        "package_name": Column("package", null="not told"),
        "package_version": Column("version"),
        "fixed_in_version": Column("fixed in"),
        "images": Column("images", NUMBER),
        "repositories": Column("repositories", NUMBER),
        "findings": Column("findings it mends", NUMBER),
        "critical": Column("critical", NUMBER),
        "high": Column("high", NUMBER),
        "in_use": Column("in use", NUMBER, UNKNOWN),
    },
    finding=_packages,
    note="Ordered by the critical findings that an update mends, then by the high ones. Where several versions fix"
    " several vulnerabilities, the last one by name is shown: ecr_vulnerable_packages has all.",
    most=25,
)


def _repositories(rows: Sequence[Row]) -> str:
    affected = [row for row in rows if row["critical"]]
    if not rows:
        return "No repository has an open finding"
    if not affected:
        return f"{counted(len(rows), 'repository', 'repositories')} with findings, none with critical ones"
    return f"{counted(len(affected), 'repository', 'repositories')} with critical findings, the worst first"


REPOSITORIES = Panel(
    name="vulnerable-repositories",
    question="Which repositories are the most vulnerable?",
    query=f"""\
SELECT registry_id, region, repository_name,
    count(CASE WHEN severity = 'CRITICAL' THEN 1 END) AS critical,
    count(CASE WHEN severity = 'HIGH' THEN 1 END) AS high,
    count(CASE WHEN severity IN ('CRITICAL', 'HIGH') AND is_fixable THEN 1 END) AS fixable,
    count(*) AS findings, count(DISTINCT image_digest) AS images,
    {_IN_USE} AS in_use
FROM {{ecr_image_vulnerabilities}}
WHERE status = 'ACTIVE'
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 5 DESC, 7 DESC, 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "critical": Column("critical", NUMBER),
        "high": Column("high", NUMBER),
        "fixable": Column("of these fixable", NUMBER),
        "findings": Column("all findings", NUMBER),
        "images": Column("images", NUMBER),
        "in_use": Column("in use", NUMBER, UNKNOWN),
    },
    finding=_repositories,
)

_SCANNED = ("scanned", "stale")


def scanned_images(rows: Sequence[Row]) -> int:
    """How many images have a scan, of the rows of COVERAGE."""
    return int(total([row for row in rows if row["scan_state"] in _SCANNED], "images"))


def _coverage(rows: Sequence[Row]) -> str:
    images = total(rows, "images")
    if not images:
        return "There is no image to scan"
    scanned = scanned_images(rows)
    if scanned == images:
        return f"All {counted(images, 'image')} were scanned"
    return f"{scanned:,} of {counted(images, 'image')} were scanned: what is in the others is not known"


COVERAGE = Panel(
    name="scan-coverage",
    question="How many images were scanned at all?",
    query=f"""\
SELECT scan_state, count(*) AS images, count(DISTINCT {_REPOSITORY}) AS repositories
FROM {{ecr_scan_coverage}}
GROUP BY 1 ORDER BY 2 DESC, 1""",
    columns={
        "scan_state": Column("state of the scan", LABEL, UNKNOWN),
        "images": Column("images", NUMBER),
        "repositories": Column("repositories", NUMBER),
    },
    finding=_coverage,
    note="stale: scanned too long ago. unsupported: it cannot be scanned, as indexes and signatures cannot. left_out: a"
    " bound of the run kept it from being asked. not_asked, denied, unanswered: nobody asked, or in vain.",
    chart=Bars(category="scan_state", segments={"images": "--plain"}, unit="images"),
)


def _weeks(rows: Sequence[Row]) -> str:
    if not rows:
        return "No run in history mode has read findings"
    last = rows[0]
    changed = f"{last['opened']:,} opened and {last['closed']:,} closed"
    return f"{changed} in the week of {last['week']}: {counted(last['open_at_end'], 'finding')} open"


WEEKS = Panel(
    name="findings-by-week",
    question="How many findings were opened and closed each week?",
    query="""\
SELECT week, sum(opened) AS opened, sum(closed) AS closed, sum(open_at_end) AS open_at_end,
    sum(CASE WHEN severity = 'CRITICAL' THEN open_at_end ELSE 0 END) AS critical_open_at_end,
    sum(CASE WHEN severity = 'HIGH' THEN open_at_end ELSE 0 END) AS high_open_at_end
FROM {ecr_findings_opened_and_closed}
GROUP BY 1 ORDER BY 1 DESC""",
    columns={
        "week": Column("week of"),
        "opened": Column("opened", NUMBER),
        "closed": Column("closed", NUMBER),
        "open_at_end": Column("open at its end", NUMBER),
        "critical_open_at_end": Column("critical", NUMBER),
        "high_open_at_end": Column("high", NUMBER),
    },
    finding=_weeks,
    note="An image's findings are those of its last answer: what came and went between two runs is not seen.",
    chart=Bars(category="week", segments={"opened": "--bad", "closed": "--good"}, unit="findings"),
    most=26,
)

PART = Part("vulnerabilities", "Vulnerabilities", (SEVERITIES, PACKAGES, REPOSITORIES, COVERAGE, WEEKS))
