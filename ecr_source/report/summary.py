"""In one look: the numbers at the top of the report, each taken from the panels that tell more of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ecr_source.report.panel import BYTES, DOLLARS, NUMBER, UNKNOWN, Column, Panel, Row, counted, total
from ecr_source.report.parts import controls, exposure, storage, trust, vulnerabilities, what_changed
from ecr_source.report.parts.trust import never_listed
from ecr_source.report.parts.vulnerabilities import of_severity, scanned_images
from ecr_source.report.shown import shown

Rows = Sequence[Row]


@dataclass(frozen=True)
class Figure:
    """A number of the summary, from the rows of `panels`, of which the first tells more of it.

    `value` is None where it is not known; `note` says what is not in it; `before`, of the rows of all panels by their
    names, what it was.
    """

    label: str
    panels: Sequence[Panel]
    value: Callable[..., Any]
    note: Callable[..., str] = lambda *_: ""
    kind: str = NUMBER
    unit: str = ""
    is_bad: bool = False
    before: Callable[[Mapping[str, Rows]], str] = lambda _: ""


@dataclass(frozen=True)
class Shown:
    """A number as it stands in the summary; `before` is what it was a week before, where that is known."""

    label: str
    value: Any
    text: str
    unit: str
    note: str
    before: str
    link: str
    is_bad: bool


def _of_storage(label: str, column: str, kind: str = NUMBER, unit: str = "") -> Figure:
    def value(rows: Rows, scopes: Rows) -> Any:
        is_told = any(row[column] is not None for row in rows) if rows else not never_listed(scopes)
        return total(rows, column) if is_told else None

    before = partial(_stored_a_week_before, column=column, kind=kind)
    return Figure(label, [storage.NAMESPACES, trust.SCOPES], value, _unread_images, kind, unit, before=before)


def _stored_a_week_before(rows: Mapping[str, Rows], column: str, kind: str) -> str:
    weeks = rows.get(what_changed.GROWTH.name, ())
    if len(weeks) < 2 or weeks[1].get(column) is None:
        return ""
    return f"{shown(weeks[1][column], Column(column, kind))} in the week of {weeks[1]['week']}"


def _unread_registries(_: Rows, scopes: Rows) -> str:
    registries = never_listed(scopes)
    return f"without {counted(registries, 'registry', 'registries')}, not read" if registries else ""


def _unread_images(rows: Rows, scopes: Rows) -> str:
    repositories = total(rows, "unread_repositories")
    if repositories and not never_listed(scopes):
        return f"without {counted(repositories, 'repository', 'repositories')}, not read"
    return _unread_registries(rows, scopes)


def _of_findings(label: str, column: str, before: Callable[[Mapping[str, Rows]], str] = lambda _: "") -> Figure:
    panels = [vulnerabilities.SEVERITIES, vulnerabilities.COVERAGE]

    def value(rows: Rows, coverage: Rows) -> int | None:
        return _found(rows, coverage, column)

    return Figure(label, panels, value, _scanned, is_bad=True, before=before)


def _found(rows: Rows, coverage: Rows, column: str) -> int | None:
    """How many there are; not known, where no image was scanned, or nobody looked for it."""
    is_told = not rows or any(row[column] is not None for row in rows)
    return of_severity(rows, column, "CRITICAL", "HIGH") if is_told and scanned_images(coverage) else None


def _scanned(_: Rows, coverage: Rows) -> str:
    scanned, images = scanned_images(coverage), total(coverage, "images")
    return "" if scanned == images else f"{scanned:,} of {counted(images, 'image')} scanned"


def _open(rows: Rows, unread: Rows, scopes: Rows) -> int | None:
    repositories = {(row["registry_id"], row["region"], row["repository_name"]) for row in rows}
    return len(repositories) if repositories or not (unread or never_listed(scopes)) else None


def _unread_policies(rows: Rows, unread: Rows, scopes: Rows) -> str:
    policies = total(unread, "repositories")
    if policies and not never_listed(scopes):
        return f"without {counted(policies, 'repository', 'repositories')} whose policy is not known"
    return _unread_registries(rows, scopes)


def _unknown_controls(rows: Rows) -> str:
    unknown = total(rows, "unknown")
    return f"and {unknown:,} unknown" if unknown else ""


def _open_a_week_before(rows: Mapping[str, Rows]) -> str:
    weeks = rows.get(vulnerabilities.WEEKS.name, ())
    if len(weeks) < 2:
        return ""
    return f"{weeks[1]['critical_open_at_end'] + weeks[1]['high_open_at_end']:,} in the week of {weeks[1]['week']}"


FIGURES = (
    replace(_of_storage("repositories", "repositories"), note=_unread_registries),
    _of_storage("images", "images"),
    _of_storage("stored at most", "bytes_upper_bound", BYTES, "GB"),
    _of_storage("a month at most", "usd_per_month_upper_bound", DOLLARS, "USD"),
    _of_findings("critical and high findings", "findings", _open_a_week_before),
    _of_findings("of these an update fixes", "fixable"),
    _of_findings("of these in use", "in_use"),
    Figure(
        "repositories open to the world",
        [exposure.PUBLIC, exposure.UNREAD, trust.SCOPES],
        _open,
        _unread_policies,
        is_bad=True,
    ),
    Figure(
        "failing controls",
        [controls.BY_CONTROL],
        lambda rows: total(rows, "failing"),
        _unknown_controls,
        is_bad=True,
    ),
)


def summary(rows: Mapping[str, Rows]) -> list[Shown]:
    """The figures, from the rows of the panels by their names; unknown, where a panel has no answer."""
    return [_shown(figure, rows) for figure in FIGURES]


def _shown(figure: Figure, rows: Mapping[str, Rows]) -> Shown:
    link = figure.panels[0].name
    if not all(panel.name in rows for panel in figure.panels):
        return Shown(figure.label, None, UNKNOWN, "", "not loaded", "", link, is_bad=False)
    given = [rows[panel.name] for panel in figure.panels]
    value = figure.value(*given)
    text = shown(value, Column(figure.label, figure.kind, UNKNOWN))
    unit = "" if value is None else figure.unit
    return Shown(
        figure.label, value, text, unit, figure.note(*given), figure.before(rows), link, bool(figure.is_bad and value)
    )
