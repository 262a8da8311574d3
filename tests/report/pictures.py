"""Makes the pictures in docs/: `make pictures`. They are of the registries of a company that there is not."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ecr_source.destinations.reading.duckdb_file import open_file
from ecr_source.report.html_page import as_html
from ecr_source.report.narrowing import Narrowing
from ecr_source.report.report import ask_report
from tests.browser import chromium
from tests.report.company import REGIONS, fill
from tests.report.registry import load_into
from tests.server.ecr_server import serving
from tests.warehouse import DATASET, DuckDbFile

DOCS = Path(__file__).parents[2] / "docs"
PICTURES: dict[str, tuple[str, int, int, Literal["light", "dark"]]] = {
    "report-desktop.png": ("", 1200, 1640, "light"),
    "report-phone.png": ("#summary", 390, 1300, "dark"),
}


def main() -> None:
    """Loads the company, writes its report, and takes the pictures of it."""
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(_report(Path(folder)), encoding="utf-8")
        with chromium() as browser:
            for name, (part, width, height, scheme) in PICTURES.items():
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                tab = context.new_page()
                tab.goto(f"{page.as_uri()}{part}")
                tab.screenshot(path=DOCS / name)
                context.close()


def _report(folder: Path) -> str:
    file = DuckDbFile(folder / "ecr.duckdb")
    with serving() as server:
        fill(server)
        load_into(file, server, folder, regions=REGIONS, tables=["default", "findings"])
    with open_file(file.path, DATASET) as reader:
        return as_html(ask_report(reader, Narrowing(), None, lambda _: None))


if __name__ == "__main__":
    main()
