"""The way of the data goes one way."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ecr_source"

PACKAGES = ["catalog", "aws", "extract", "destinations", "loading", "report", "cli"]
"""A package imports from those before it only. What lies beside them, in the root, all may import."""

ALIASES = {"source", "postgres_destination"}
"""Names that modules had before: nothing in the package imports them."""

MODULES_AT_A_GLANCE = 15

WITHOUT_DLT = {"", "catalog", "aws", "extract"}


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
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ecr_source"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


MODULES = sorted(modules())


def package_of(module: str) -> str:
    """The package that a module is in; empty in the root."""
    package = module.partition(".")[0]
    return package if package in PACKAGES else ""


def imported_modules(module: str) -> set[str]:
    """The modules of the project that a module imports."""
    names = {name.removeprefix("ecr_source.") for name in imported(modules()[module]) if name.startswith("ecr_source.")}
    return {name if name in MODULES else name.rpartition(".")[0] for name in names}


def test_there_are_no_other_packages() -> None:
    assert {package.parent.name for package in PACKAGE.glob("*/__init__.py")} == set(PACKAGES)


@pytest.mark.parametrize("module", sorted(set(MODULES) - ALIASES))
def test_a_module_imports_only_from_packages_before_its_own(module: str) -> None:
    allowed = ["", *PACKAGES][: PACKAGES.index(package_of(module)) + 2] if package_of(module) else [""]
    assert {name for name in imported_modules(module) if package_of(name) not in allowed} == set()
    assert not imported_modules(module) & ALIASES


@pytest.mark.parametrize("folder", sorted({str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py")}))
def test_a_folder_is_read_at_a_glance(folder: str) -> None:
    assert len([*(PACKAGE / folder).glob("[!_]*.py")]) <= MODULES_AT_A_GLANCE


def test_no_two_modules_have_one_name() -> None:
    named = Counter(path.stem for name, path in modules().items() if path.name != "__init__.py" and name not in ALIASES)
    assert [name for name, times in named.items() if times > 1] == []


def test_modules_do_not_import_in_circles() -> None:
    TopologicalSorter({module: imported_modules(module) for module in MODULES}).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_nothing_in_the_package_knows_airflow(module: str) -> None:
    code = ast.walk(ast.parse(modules()[module].read_text()))
    names = [alias.name for node in code if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in code if isinstance(node, ast.ImportFrom)]
    assert not any(name.partition(".")[0] == "airflow" for name in names)


@pytest.mark.parametrize(
    "module", [name for name in MODULES if package_of(name) in WITHOUT_DLT and name not in ALIASES]
)
def test_what_stands_before_the_destinations_knows_nothing_of_dlt(module: str) -> None:
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


@pytest.mark.parametrize("module", MODULES)
def test_a_module_runs_no_foreign_text_and_verifies_whom_it_asks(module: str) -> None:
    assert list(dangers(ast.parse(modules()[module].read_text()))) == []


@pytest.mark.parametrize(
    "code",
    ["eval(x)", "import pickle", "from subprocess import run", "os.system(x)", "run(x, shell=True)", "f(verify=False)"],
)
def test_what_could_run_foreign_text_is_found(code: str) -> None:
    assert len(list(dangers(ast.parse(code)))) == 1
