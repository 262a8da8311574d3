"""README.md: its blocks, its commands, its sections."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def typed(block: str) -> list[str]:
    """The commands of a console block."""
    return [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]


def section(heading: str) -> str:
    """The lines of a section, without its heading."""
    return README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].strip()
