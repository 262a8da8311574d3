"""The report as people get it: a file, or text on standard output, and the line that says what came of it."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from ecr_source.cli.output.query_report import exit_code_of
from ecr_source.cli.output.written_rows import check_form
from ecr_source.errors import visible
from ecr_source.loading.loaded.opened import open_loaded
from ecr_source.loading.settings.declared import Settings
from ecr_source.printing import print_line
from ecr_source.report.file import check_drawable, write_text
from ecr_source.report.narrowing import Narrowing
from ecr_source.report.report import Report, ask_report

HTML, MARKDOWN, JSON = "html", "markdown", "json"
FORMS = (HTML, MARKDOWN, JSON)
DEFAULT_OUTPUT = "report.html"


@dataclass(frozen=True)
class Request:
    """What the report is to be about, and where it is to go: None is `report.html`, or for text standard output."""

    output: str | None = None
    form: str = HTML
    title: str | None = None
    only: Narrowing = field(default_factory=Narrowing)
    opens: bool = False


def write_report(settings: Settings, request: Request) -> int:
    """Asks what was loaded, writes the report, and returns the exit code."""

    def ask() -> None:
        check_form(request.form, FORMS)
        request.only.check()
        written = _WRITERS[request.form]()
        with open_loaded(settings) as reader, _progress() as tell:
            report = ask_report(reader, request.only, request.title, tell)
            tell("writing")
            text = written(report)
        _deliver(text, report, request)

    return exit_code_of(settings, ask)


def _html() -> Callable[[Report], str]:
    check_drawable()
    from ecr_source.report.html_page import as_html

    return as_html


def _markdown() -> Callable[[Report], str]:
    from ecr_source.report.plain import as_markdown

    return as_markdown


def _json() -> Callable[[Report], str]:
    from ecr_source.report.plain import as_json

    return as_json


_WRITERS = {HTML: _html, MARKDOWN: _markdown, JSON: _json}


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Tells on standard error what is done, on a terminal in a line that goes when it is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield lambda text: status.update(visible(text).replace("[", "\\["))


def _deliver(text: str, report: Report, request: Request) -> None:
    if request.form != HTML and request.output is None:
        sys.stdout.write(text)
        return
    file = request.output or DEFAULT_OUTPUT
    write_text(text, file)
    size = len(text.encode())
    gap = f", {report.gap}" if report.gap else ""
    print_line(Console(), f"report: {file} ({size / 1_000:,.0f} kB{gap})")
    if request.opens:
        webbrowser.open(file if "://" in file else Path(file).absolute().as_uri())
