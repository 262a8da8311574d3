"""The report as text: Markdown for a chat or a pull request, JSON for a program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson

from ecr_source.report.matrix import grid
from ecr_source.report.panel import Answer, Column, Row
from ecr_source.report.report import Report
from ecr_source.report.shown import is_number, shown

_MOST = 10
"""Rows of a table in Markdown: a chat is no place for more."""


def as_markdown(report: Report) -> str:
    """The findings and the first rows of each panel that has some; the queries are in the other forms."""
    return "\n".join(_markdown(report)) + "\n"


def as_json(report: Report) -> str:
    """Everything, with the values as they are: numbers in bytes and not rounded, times in UTC."""
    document = {
        "title": report.title,
        "incomplete": report.gap or None,
        "only": report.about or None,
        "dataset": report.dataset,
        "made_at": report.made_at,
        "version": report.version,
        "summary": [
            {"label": one.label, "value": one.value, "before": one.before or None, "note": one.note or None}
            for one in report.figures
        ],
        "panels": [_panel(part.part.name, answer) for part in report.parts for answer in part.answers],
    }
    return orjson.dumps(document, default=_number, option=orjson.OPT_INDENT_2).decode() + "\n"


def _panel(part: str, answer: Answer) -> dict[str, Any]:
    return {
        "part": part,
        "name": answer.panel.name,
        "question": answer.panel.question,
        "finding": answer.finding,
        "missing": answer.missing or None,
        "query": answer.query or None,
        "rows": answer.rows,
        "total_rows": answer.total,
    }


def _number(value: object) -> object:
    """What orjson does not know of what databases answer."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"no JSON for {type(value)}")


def _markdown(report: Report) -> Iterator[str]:
    yield f"# {_escaped(report.title)}"
    yield ""
    if report.gap:
        yield f"**This report is {report.gap}.** What could not be read is unknown in it."
        yield ""
    only = f", of {_escaped(report.about)} only" if report.about else ""
    yield f"Made on {report.made_at:%Y-%m-%d %H:%M} UTC by ecr-source {report.version}{only}."
    yield ""
    yield from (
        f"- {one.label}: **{f'{one.text} {one.unit}'.strip()}** {' '.join((one.before, one.note)).strip()}".rstrip()
        for one in report.figures
    )
    for part in report.parts:
        yield from ("", f"## {part.part.title}")
        for answer in part.answers:
            yield from _answer(answer)


def _answer(answer: Answer) -> Iterator[str]:
    yield ""
    if not answer.rows:
        yield f"- {answer.panel.question} {_escaped(answer.finding)}. {_escaped(answer.missing)}".rstrip()
        return
    yield f"### {_escaped(answer.finding)}"
    yield ""
    table = grid(answer)
    yield from _table(table.columns, table.rows[:_MOST])
    if more := answer.total - min(_MOST, len(answer.rows)):
        yield from ("", f"And {more:,} more rows.")


def _table(columns: Mapping[str, Column], rows: Sequence[Row]) -> Iterator[str]:
    yield f"| {' | '.join(_escaped(column.label) for column in columns.values())} |"
    yield f"| {' | '.join('---:' if is_number(column) else '---' for column in columns.values())} |"
    for row in rows:
        yield f"| {' | '.join(_escaped(shown(row[name], column)) for name, column in columns.items())} |"


def _escaped(text: str) -> str:
    """Text as it is, in which nothing is markup."""
    return re.sub(r"[\\`*_\[\]<>|~&]", r"\\\g<0>", text)
