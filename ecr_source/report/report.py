"""The report as it is asked of a dataset: each panel its question, each figure from what was answered."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from ecr_source.destinations.reading import DatasetReader
from ecr_source.errors import NotLoaded
from ecr_source.report.narrowing import Narrowing
from ecr_source.report.panel import Answer, Panel, Part, Row
from ecr_source.report.parts import PARTS, trust
from ecr_source.report.summary import Shown, summary


@dataclass(frozen=True)
class AnsweredPart:
    """A part, with the answers to its panels."""

    part: Part
    answers: Sequence[Answer]


@dataclass(frozen=True)
class Report:
    """All that a report says, before it has a form.

    `gap` says what is incomplete, and is empty where nothing is; `about` what the report is narrowed to.
    """

    title: str
    gap: str
    about: str
    dataset: str
    made_at: datetime
    version: str
    figures: Sequence[Shown]
    parts: Sequence[AnsweredPart]


def ask_report(reader: DatasetReader, narrowing: Narrowing, title: str | None, tell: Callable[[str], None]) -> Report:
    """Asks a dataset all questions of the report, and tells which one it is asking.

    Raises:
        ConfigurationError: the database refuses one.
    """
    asking = _Asking(reader, narrowing)
    panels = [panel for part in PARTS for panel in part.panels]
    parts, number = [], 0
    for part in PARTS:
        answers = []
        for panel in part.panels:
            number += 1
            tell(f"asking {number} of {len(panels)}: {panel.question}")
            answers.append(asking.answer(panel))
        parts.append(AnsweredPart(part, answers))
    scopes = asking.rows.get(trust.SCOPES.name, ())
    return Report(
        title or _title(scopes, narrowing.namespaces),
        _gap(scopes),
        str(narrowing),
        reader.dataset,
        datetime.now(UTC),
        version("ecr-source"),
        summary(asking.rows),
        parts,
    )


class _Asking:
    """The questions asked so far: `rows` are those of each panel that had an answer, by its name."""

    def __init__(self, reader: DatasetReader, narrowing: Narrowing) -> None:
        self.rows: dict[str, Sequence[Row]] = {}
        self._reader = reader
        self._narrowing = narrowing

    def answer(self, panel: Panel) -> Answer:
        if self._narrowing.kinds - {*panel.narrowed_by}:
            return Answer(panel, "", "Left out", missing="It cannot be narrowed: the report of everything has it.")
        try:
            query = self._query(panel)
        except NotLoaded as error:
            return Answer(panel, "", "Not loaded", missing=_how_to_load(error))
        rows = self._reader.records(query)
        self.rows[panel.name] = rows
        return Answer(panel, query, panel.finding(rows), rows[: panel.most], len(rows))

    def _query(self, panel: Panel) -> str:
        return panel.query.format_map({view: self._relation(view) for view in _views(panel.query)})

    def _relation(self, view: str) -> str:
        relation = self._reader.relation(view)
        if not self._narrowing:
            return view
        return self._narrowing.relation(view, [column.name for column in self._reader.columns(relation)])


def _views(query: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(query) if name]


def _how_to_load(error: NotLoaded) -> str:
    options = " ".join(error.options)
    return f"No run has read what it needs: ecr-source run {options} does.".replace(" run  does", " run does")


def _title(scopes: Sequence[Row], namespaces: Sequence[str]) -> str:
    accounts = sorted({str(row["registry_id"]) for row in scopes})
    regions = sorted({str(row["region"]) for row in scopes})
    if not scopes:
        return "Amazon ECR: nothing was read"
    of_accounts = accounts[0] if len(accounts) == 1 else f"{len(accounts):,} accounts"
    of_regions = regions[0] if len(regions) == 1 else f"{len(regions):,} regions"
    return ", ".join((f"Amazon ECR: {of_accounts}", of_regions, *namespaces))


def _gap(scopes: Sequence[Row]) -> str:
    incomplete = [row for row in scopes if row["incomplete_tables"]]
    if not incomplete:
        return ""
    return f"incomplete: {len(incomplete):,} of {len(scopes):,} registries"
