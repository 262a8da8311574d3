"""What takes too long for every run, and is tested by `make test-nightly`."""

from __future__ import annotations

from typing import Any

import pytest


def at_night(*values: Any) -> Any:
    """A set of parameters, as `pytest.param`, that is tested at night only."""
    return pytest.param(*values, marks=pytest.mark.nightly)


def first_by_day(*values: Any) -> list[Any]:
    """Values of one parameter of which each run takes the first, and the night all."""
    return [values[0], *map(at_night, values[1:])]
