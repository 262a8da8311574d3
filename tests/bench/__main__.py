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
    parser.add_argument("--only", action="append", choices=BY_NAME, help="write this section anew; repeatable")
    parser.add_argument("--rounds", type=int, help="by default 5 for repositories, else 3")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/performance.md")
    arguments = parser.parse_args()
    if arguments.only and page.is_measured_elsewhere(arguments.output):
        parser.error(f"{arguments.output} was measured on another machine or with other versions: write all of it anew")
    chosen = [BY_NAME[name] for name in arguments.only or SECTIONS]
    bodies = {section.title: section.measured(arguments.rounds or section.rounds) for section in chosen}
    titles = [section.title for section in SECTIONS.values()]
    page.write(arguments.output, titles, bodies, keep=bool(arguments.only))
    print("\n".join(bodies.values()))
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
