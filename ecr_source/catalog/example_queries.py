"""What people ask of each table, in DuckDB's SQL."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def example_queries() -> dict[str, str]:
    """The query by the name of its table; its first line is the question, as a comment."""
    return tomllib.loads(files(__package__).joinpath("example_queries.toml").read_text())
