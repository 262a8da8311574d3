"""Writes zensical.toml, by which `make docs` makes a site of docs/: `python -m tests.pages.site`.

It names each page in its place; what the site looks like is the same for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import indent

from ecr_source import catalog
from ecr_source.destinations.views.definition import views

FILE = Path(__file__).parents[2] / "zensical.toml"

_CONFIGURATION = """\
# `python -m tests.pages.site` writes this file.
[project]
site_name = "ecr-source"
site_description = "Amazon ECR as tables, in DuckDB or a warehouse."
docs_dir = "docs"
site_dir = "site"
nav = [
{nav}
]

[project.theme]
font = false # or each reader's browser would ask a server of Google's
features = ["content.code.copy", "navigation.indexes", "navigation.top", "search.highlight"]

[[project.theme.palette]]
media = "(prefers-color-scheme: light)"
scheme = "default"
toggle.icon = "lucide/sun"
toggle.name = "Dark"

[[project.theme.palette]]
media = "(prefers-color-scheme: dark)"
scheme = "slate"
toggle.icon = "lucide/moon"
toggle.name = "Light"
"""

_LOADED = ("destinations.md", "postgres.md", "lake.md")
_RUN = ("operations.md", "settings.md", "scale.md", "performance.md")


def configuration() -> str:
    """The file as it should be."""
    groups = [
        _section(group, [f"groups/{group}.md", *(f"tables/{table.name}.md" for table in tables)])
        for group, tables in catalog.GROUPS.items()
    ]
    of_the_run = _section("the run", [f"tables/{table.name}.md" for table in catalog.RUN_TABLES])
    parts = [
        '"README.md"',
        '"questions.md"',
        '"query.md"',
        '"report.md"',
        _section_of(
            "Views", ['"views.md"', *(f'"views/{one.name}.md"' for one in views().values() if not one.is_part)]
        ),
        _section_of("Tables", ['"tables.md"', *groups, of_the_run]),
        _section("Where it is loaded", _LOADED),
        _section("Runs", _RUN),
    ]
    return _CONFIGURATION.format(nav=indent(",\n".join(parts), "  "))


def _section(title: str, pages: Iterable[str]) -> str:
    return _section_of(title, [f'"{page}"' for page in pages])


def _section_of(title: str, items: Iterable[str]) -> str:
    lines = indent(",\n".join(items), "  ")
    return f'{{ "{title}" = [\n{lines}\n] }}'


if __name__ == "__main__":
    FILE.write_text(configuration())
