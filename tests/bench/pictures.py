"""The pictures of docs/performance.md: lines over a size, drawn by Vega-Lite as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import vl_convert

_WIDTH, _HEIGHT = 560, 300
_CONFIG: dict[str, Any] = {
    "background": "white",  # where the page is dark, too
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "gridColor": "#e4e4e4"},
    "header": {"labelFontSize": 12, "title": None},
    "legend": {"labelFontSize": 12, "labelLimit": 280, "columnPadding": 30, "orient": "top", "title": None},
    "range": {"category": ["#0b66c3", "#c2571a", "#2e8540", "#7b4fa3", "#767676", "#b8860b"]},
}


@dataclass(frozen=True)
class Picture:
    """A line for each value of the columns `by`, over the column `x`; a panel for each value of `panels`."""

    file: str
    meaning: str
    x: str
    y: str
    by: Sequence[str]
    panels: str | None = None
    panel_text: str = "{}"
    x_scale: Literal["log", "linear"] = "log"
    y_scale: Literal["log", "linear"] = "log"
    y_format: str = "~s"

    def drawn(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """The picture of the rows that have a number for it."""
        points = [self._point(row) for row in rows if row[self.y] is not None]
        lines = list(dict.fromkeys(point["line"] for point in points))
        sizes = sorted({point["x"] for point in points})
        panels = list(dict.fromkeys(point["panel"] for point in points))
        axis = {"values": sizes, "format": ",", "labelOverlap": False}
        encoding: dict[str, Any] = {
            "x": {"field": "x", "type": "quantitative", "title": self.x, "axis": axis, "scale": {"type": self.x_scale}},
            "y": {
                "field": "y",
                "type": "quantitative",
                "title": self.y,
                "axis": {"format": self.y_format},
                "scale": {"type": self.y_scale},
            },
            "color": {
                "field": "line",
                "type": "nominal",
                "sort": lines,
                "legend": {"columns": 3} if len(lines) > 1 else None,
            },
        }
        if self.panels:
            encoding["column"] = {"field": "panel", "type": "nominal", "sort": panels}
        svg: str = vl_convert.vegalite_to_svg(
            {
                "data": {"values": points},
                "mark": {"type": "line", "point": {"size": 45}},
                "width": _WIDTH // len(panels),
                "height": _HEIGHT,
                "encoding": encoding,
                "config": _CONFIG,
            }
        )
        return svg + "\n"

    def _point(self, row: Mapping[str, Any]) -> dict[str, Any]:
        panel = self.panel_text.format(row[self.panels]) if self.panels else ""
        y = row[self.y][0] if isinstance(row[self.y], list) else row[self.y]
        return {"x": row[self.x], "y": y, "line": ", ".join(str(row[name]) for name in self.by), "panel": panel}
