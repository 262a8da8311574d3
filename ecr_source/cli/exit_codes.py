"""How a command ends: its exit code and, where nothing came of it, one sentence."""

from __future__ import annotations

from rich.console import Console

from ecr_source.printing import print_line
from ecr_source.redaction import masked

COMPLETE, INCOMPLETE, UNUSABLE, NOTHING_LOADED, POSTPONED, STOPPED = 0, 1, 2, 3, 4, 130

HAVE_LOADED = {COMPLETE, INCOMPLETE, POSTPONED}
"""Those of a run that has read something, and loaded it."""


def refuse(reason: object, code: int) -> int:
    """Prints the one sentence that says why nothing came of it, and returns `code`."""
    print_line(Console(stderr=True), f"ecr-source: {masked(str(reason))}")
    return code
