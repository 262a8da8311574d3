"""The way of the data goes one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ecr_source"

# A module imports from those above it only.
ORDER = [
    "errors",
    "catalog.table",
    "catalog.repository",
    "catalog.image",
    "catalog.registry",
    "catalog.policy",
    "catalog.findings",
    "catalog.image_status",
    "catalog.manifests",
    "catalog.public",
    "catalog.run",
    "catalog",
    "documents",
    "catalog.model",
    "catalog.schema",
    "catalog.coverage",
    "decode",
    "rate",
    "dispatch",
    "regions",
    "access",
    "sessions",
    "accounts",
    "scopes",
    "budget",
    "api",
    "arrow",
    "spool",
    "again",
    "answers",
    "failures",
    "reading",
    "walk",
    "ledger",
    "pseudonyms",
    "modes",
    "earlier",
    "source",
    "destination",
    "plan",
    "check",
    "permissions",
    "views",
    "working_folder",
    "run",
    "report",
    "report.progress",
    "report.tables",
    "report.run",
    "report.plan",
    "report.check",
    "report.permissions",
    "demo",
    "cli",
]
WITHOUT_DLT = ORDER[: ORDER.index("modes")]


def modules() -> dict[str, Path]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "__init__.py"
    }


def imported(path: Path) -> Iterator[str]:
    """What a module imports when it is imported itself: imports inside of functions and for types do not count."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "ecr_source":
            yield from (f"ecr_source.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_every_module_has_its_place_in_the_order() -> None:
    assert sorted(modules()) == sorted(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_from_those_before_it(module: str) -> None:
    for name in imported(modules()[module]):
        if name.startswith("ecr_source."):
            inner = name.removeprefix("ecr_source.")
            assert ORDER.index(inner) < ORDER.index(module), f"{module} imports {inner}"


@pytest.mark.parametrize("module", WITHOUT_DLT)
def test_what_stands_before_the_load_modes_knows_nothing_of_dlt(module: str) -> None:
    assert not any(name.partition(".")[0] == "dlt" for name in imported(modules()[module]))
