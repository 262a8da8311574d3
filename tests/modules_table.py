"""Writes the table of modules in CONTRIBUTING.md, from what each says of itself: `python -m tests.modules_table`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.test_structure import ORDER, modules

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"
_HEADER = "| module | one job |\n|---|---|\n"
_BEHIND = "\n## Add a table"


def page() -> str:
    """The page as it is to be."""
    above, _, rest = PAGE.read_text().partition(_BEHIND)
    rows = "\n".join(f"| `{module}` | {job} |" for module, job in _jobs())
    return f"{above.partition(_HEADER)[0]}{_HEADER}{rows}\n{_BEHIND}{rest}"


def _jobs() -> Iterator[tuple[str, str]]:
    paths = modules()
    for module in ORDER:
        docstring = ast.get_docstring(ast.parse(paths[module].read_text()))
        assert docstring, module
        yield module, docstring.partition("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
