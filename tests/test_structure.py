"""The way of the data goes one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ecr_source"

# A module imports from those above it only.
ORDER = [
    "redaction",
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
    "documents.shape",
    "documents.policy",
    "documents.lifecycle",
    "documents.manifest",
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
    "endpoints",
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
    "literals",
    "storable",
    "cursor",
    "modes",
    "postgres_destination",
    "postgres_client",
    "postgres_lock",
    "s3",
    "lake",
    "earlier",
    "dataset",
    "load_walk",
    "settings",
    "source",
    "destination",
    "resumption",
    "plan",
    "check",
    "permissions",
    "views",
    "comments",
    "indexes",
    "working_folder",
    "loading",
    "distributed",
    "run",
    "report",
    "report.lines",
    "report.progress",
    "report.tables",
    "report.run",
    "report.plan",
    "report.check",
    "report.permissions",
    "demo",
    "cli",
]
WITHOUT_DLT = ORDER[: ORDER.index("cursor")]


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


@pytest.mark.parametrize("module", ORDER)
def test_nothing_in_the_package_knows_airflow(module: str) -> None:
    code = ast.walk(ast.parse(modules()[module].read_text()))
    names = [alias.name for node in code if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in code if isinstance(node, ast.ImportFrom)]
    assert not any(name.partition(".")[0] == "airflow" for name in names)


@pytest.mark.parametrize("module", WITHOUT_DLT)
def test_what_stands_before_the_load_modes_knows_nothing_of_dlt(module: str) -> None:
    assert not any(name.partition(".")[0] == "dlt" for name in imported(modules()[module]))


FORBIDDEN = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load"}
FORBIDDEN_MODULES = {"marshal", "pickle", "shelve", "subprocess", "telnetlib", "yaml"}
FORBIDDEN_ARGUMENTS = {("shell", True), ("verify", False)}


def dangers(tree: ast.AST) -> Iterator[str]:
    """What in the code could run foreign text, or trust anybody."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from {ast.unparse(node.func)} & FORBIDDEN
            given = {(one.arg, one.value.value) for one in node.keywords if isinstance(one.value, ast.Constant)}
            yield from (f"{name}={value!r}" for name, value in given & FORBIDDEN_ARGUMENTS)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from {name.partition(".")[0] for name in names} & FORBIDDEN_MODULES


@pytest.mark.parametrize("module", ORDER)
def test_a_module_runs_no_foreign_text_and_verifies_whom_it_asks(module: str) -> None:
    assert list(dangers(ast.parse(modules()[module].read_text()))) == []


@pytest.mark.parametrize(
    "code",
    ["eval(x)", "import pickle", "from subprocess import run", "os.system(x)", "run(x, shell=True)", "f(verify=False)"],
)
def test_what_could_run_foreign_text_is_found(code: str) -> None:
    assert len(list(dangers(ast.parse(code)))) == 1
