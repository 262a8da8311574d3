"""Which repositories are asked for: those of some names, and those whose names match shell patterns."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.catalog.table import Operation
from ecr_source.errors import Gone

NO_MATCH = "NoRepositoryMatches"
"""The error code for a pattern, or a name beside one, that no repository of a listing matches."""


def is_pattern(name: str) -> bool:
    """Whether it stands for all names that it matches: no name of a repository has one of these characters."""
    return any(one in name for one in "*?[")


def matching(patterns: Iterable[str], names: Iterable[str]) -> dict[str, set[str]]:
    """Those of `names` that each pattern matches; one without wildcards matches itself only."""
    compared = list(names)
    matches = {pattern: re.compile(fnmatch.translate(pattern)).match for pattern in patterns}
    return {one: {name for name in compared if name == one or matches[one](name)} for one in matches}


def matching_any(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Those of `names` that one of the patterns matches, each once, sorted."""
    return sorted(set().union(*matching(patterns, names).values()))


def is_matched(patterns: Sequence[str], rows: pa.Table) -> pa.Array:
    """Whether the repository of a row matches one of the patterns."""
    names = rows["repository_name"]
    return pc.is_in(names, pa.array(matching_any(patterns, names.unique().to_pylist()), pa.string()))


def no_match(operation: Operation, pattern: str) -> Gone:
    """That none of the repositories that `operation` lists matches the pattern, or has the name."""
    text = f'no repository that could be listed is named "{pattern}"'
    if is_pattern(pattern):
        text = f'no repository that could be listed matches "{pattern}": a pattern has to match the whole name'
    return Gone(text, operation=str(operation), error_code=NO_MATCH, resource=pattern)


def with_pattern(error: Gone) -> Gone:
    """The same of a name that does not exist, and that a pattern might have been meant."""
    name = error.resource
    pattern = f"{name.rpartition('/')[0] or name}/*"
    text = f'{error}; a pattern such as "{pattern}" names all repositories that match it'
    return Gone(text, operation=error.operation, error_code=error.error_code, resource=name)
