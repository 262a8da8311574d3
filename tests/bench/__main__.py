"""Measures this project, alone and beside the other ways, and writes docs/performance.md: `python -m tests.bench`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.bench import accounts, comparison, costs, empty_regions, growth, page, views
from tests.bench.process import ROOT

SECTIONS = {
    **empty_regions.SECTIONS,
    **comparison.SECTIONS,
    **costs.SECTIONS,
    **growth.SECTIONS,
    **accounts.SECTIONS,
    **views.SECTIONS,
}
BY_NAME = {**SECTIONS, **growth.ON_REQUEST}
"""Those above, and what is measured only when its name is said."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--only", action="append", choices=BY_NAME, help="measure this section anew; repeatable")
    what.add_argument("--page", action="store_true", help="measure nothing: write the page of the numbers anew")
    parser.add_argument("--rounds", type=int, help="by default those of each section, 1 to 5")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="the folder of the numbers and the page")
    arguments = parser.parse_args()
    titles = {section.title for section in SECTIONS.values()}
    measured = {title: numbers for title, numbers in page.known(arguments.output).items() if title in titles}
    for name in [] if arguments.page else arguments.only or SECTIONS:
        section = BY_NAME[name]
        measured[section.title] = section.measured(arguments.rounds or section.rounds)
        page.note(arguments.output, measured)
    for file, text in page.files(measured, SECTIONS.values()).items():
        (arguments.output / file).write_text(text)
    print(f"wrote {arguments.output / page.PAGE}")


if __name__ == "__main__":
    main()
