"""The report as one HTML file, which asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ecr_source.report.chart import described, draw
from ecr_source.report.matrix import grid
from ecr_source.report.panel import DIGEST, LABEL, Answer
from ecr_source.report.report import Report
from ecr_source.report.shown import is_number, shown, sort_key

_ASSETS = files("ecr_source.report") / "assets"


def as_html(report: Report) -> str:
    """The whole page: style, script and charts are in it, and its policy allows no others."""
    environment = Environment(
        loader=PackageLoader("ecr_source.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_ASSETS.joinpath(name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return environment.get_template("report.html.jinja").render(
        report=report,
        narrowable=list(_narrowable(report)),
        style=Markup(style),  # noqa: S704 (our own)
        script=Markup(script),  # noqa: S704 (our own)
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none';"
        " form-action 'none'",
        grid=grid,
        chart=_chart,
        described=described,
        shown=shown,
        sort_key=sort_key,
        is_number=is_number,
        LABEL=LABEL,
        DIGEST=DIGEST,
    )


def _chart(answer: Answer) -> Markup:
    return Markup(draw(answer))  # noqa: S704 (Vega escapes what it draws)


def _hash(text: str) -> str:
    """A source of the policy: whatever has other bytes is not taken."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _narrowable(report: Report) -> Iterator[tuple[str, str, list[str]]]:
    """What rows can be filtered by: the label, the attribute, and the values in the report."""
    rows = [row for part in report.parts for answer in part.answers for row in answer.rows]
    for label, column in (("account", "registry_id"), ("region", "region")):
        yield label, label, sorted({str(row[column]) for row in rows if row.get(column)})
    names = {str(row["repository_name"]) for row in rows if row.get("repository_name")}
    spaces = {name.rpartition("/")[0] for name in names} | {str(row["namespace"]) for row in rows if "namespace" in row}
    yield "namespace", "namespace", sorted(spaces - {"", "(none)"})
