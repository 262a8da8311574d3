"""A chart as SVG, drawn by Vega-Lite, in the colours of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ecr_source.errors import visible
from ecr_source.report.panel import BYTES, Answer, Bars, Row
from ecr_source.report.shown import BYTES_PER_GB, shown

_WIDTH = 420
_LONGEST_LABEL = 32
_CHARACTER = 7.5
"""The width of a character, at most: which font a reader has, nobody knows here."""

# Colours are variables of the style sheet: SVG hands them on, so that a chart is right in the light and in the dark.
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "mark": {"aria": False},  # the figure has a text of its own
    "axis": {
        "aria": False,
        "labelColor": "var(--text)",
        "titleColor": "var(--text)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "gridColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 240,
    },
    "legend": {
        "aria": False,
        "labelColor": "var(--text)",
        "labelFontSize": 12,
        "labelLimit": 240,
        "orient": "top",
        "title": None,
        "symbolType": "square",
    },
}


def draw(answer: Answer) -> str:
    """The chart of an answer, whose panel has one, as an SVG element.

    Raises:
        ImportError: the extra `report` is not installed.
    """
    import vl_convert

    assert answer.panel.chart is not None
    svg: str = vl_convert.vegalite_to_svg(_specification(answer, answer.panel.chart))
    return svg


def described(answer: Answer) -> str:
    """What the chart shows, in words."""
    assert answer.panel.chart is not None
    bars = answer.panel.chart
    labels = ", ".join(answer.panel.columns[name].label for name in bars.segments)
    return f"{answer.finding}. Bars of {bars.unit}: {labels}, by {answer.panel.columns[bars.category].label}."


def _specification(answer: Answer, bars: Bars) -> dict[str, Any]:
    columns = answer.panel.columns
    colours = {columns[name].label: f"var({colour})" for name, colour in _seen(answer, bars).items()}
    segments = list(_segments(answer, bars))
    axis = {"minExtent": _CHARACTER * max(len(one["category"]) for one in segments)}
    category = {"field": "category", "type": "nominal", "sort": None, "title": None, "axis": axis}
    bar = {
        "mark": {"type": "bar", "stroke": "var(--page)", "strokeWidth": 1},
        "encoding": {
            "x": {
                "field": "value",
                "type": "quantitative",
                "title": bars.unit,
                "axis": {"tickCount": 5, "format": "~s"},
            },
            "color": {
                "field": "segment",
                "type": "nominal",
                "scale": {"domain": list(colours), "range": list(colours.values())},
                "legend": {} if len(colours) > 1 else None,
            },
            "order": {"field": "position"},
        },
    }
    # The numbers beside the bars, so that no colour is needed to read them.
    text = {
        "mark": {"type": "text", "align": "left", "dx": 4, "color": "var(--text)", "fontSize": 12},
        "encoding": {"x": {"field": "end", "type": "quantitative"}, "text": {"field": "text"}},
        "transform": [{"filter": "datum.text != ''"}],
    }
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "config": _CONFIG,
        "data": {"values": segments},
        "width": _WIDTH,
        "padding": {"left": 5, "top": 5, "bottom": 5, "right": _CHARACTER * max(len(one["text"]) for one in segments)},
        "height": {"step": 28},
        "encoding": {"y": category},
        "layer": [bar, text],
    }


def _seen(answer: Answer, bars: Bars) -> Mapping[str, str]:
    """The segments that any bar has, with their colours."""
    there = {name: colour for name, colour in bars.segments.items() if any(row[name] for row in answer.rows)}
    return there or bars.segments


def _segments(answer: Answer, bars: Bars) -> Iterator[dict[str, Any]]:
    """A row for each segment of each bar; the last one has the numbers of all, and where they stand."""
    is_bytes = any(answer.panel.columns[name].kind == BYTES for name in bars.segments)
    unit = BYTES_PER_GB if is_bytes else 1
    for row, category in _categories(answer.rows[: bars.most], bars):
        values = {name: float(row[name] or 0) for name in _seen(answer, bars)}
        last = list(values)[-1]
        for position, (name, value) in enumerate(values.items()):
            yield {
                "category": category,
                "segment": answer.panel.columns[name].label,
                "position": position,
                "value": value / unit,
                "end": sum(values.values()) / unit,
                "text": _told(answer, values) if name == last else "",
            }


def _told(answer: Answer, values: Mapping[str, float]) -> str:
    """The numbers of a bar, with the names of its segments where it has several."""
    columns = answer.panel.columns
    if len(values) == 1:
        (name,) = values
        return shown(values[name], columns[name])
    return ", ".join(f"{shown(one, columns[name])} {columns[name].label}" for name, one in values.items() if one)


def _categories(rows: Sequence[Row], bars: Bars) -> Iterator[tuple[Row, str]]:
    seen: dict[str, int] = {}
    for row in rows:
        text = visible(str("not told" if row[bars.category] is None else row[bars.category]))
        short = text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 1]}…"
        seen[short] = seen.get(short, 0) + 1
        yield row, short if seen[short] == 1 else f"{short} ({seen[short]})"
