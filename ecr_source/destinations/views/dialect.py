"""The SQL of the views as a database takes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from ecr_source.destinations.views.definition import RELATION

DIALECT = "duckdb"
"""In which the views are written."""

_NOT_MATERIALIZED = re.compile(r"(\w+) AS NOT MATERIALIZED \(")
_PARENTHESES = re.compile(r"--[^\n]*|'[^']*'|[()]")


@dataclass(frozen=True)
class Spelling:
    """How a database is asked.

    Attributes:
        dialect: its SQL, by sqlglot's name of it.
        table: what it calls a table of the dataset, by the table's name.
    """

    dialect: str | None
    table: Callable[[str], str]


def put_in(select: str, relations: Mapping[str, str]) -> str:
    """The SELECT with tables or queries in the place of their names behind FROM and JOIN."""

    def put(found: re.Match[str]) -> str:
        keyword, name, alias = found.groups()
        return f"{keyword} {relations[name]}{alias or f' AS {name}'}" if name in relations else found[0]

    return RELATION.sub(put, select)


def _in_line(select: str) -> str:
    """The SELECT with what is NOT MATERIALIZED put in wherever its name stands, in which another part follows it."""
    while found := _NOT_MATERIALIZED.search(select):
        end = _closing(select, found.end())
        rest = select[: found.start()] + select[end + 1 :].lstrip(",")
        select = put_in(rest, {found[1]: f"({select[found.end() : end]})"})
    return select


def _closing(select: str, start: int) -> int:
    """Where the parenthesis closes that was opened before `start`."""
    depth = 1
    for found in _PARENTHESES.finditer(select, start):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if not depth:
            return found.start()
    raise ValueError(f"a parenthesis is not closed: {select[start:]}")


@cache
def translated(select: str, dialect: str | None) -> str:
    """A SELECT in `DIALECT` as a database of another takes it, the names in it being what they are."""
    if dialect == DIALECT:
        # Of a view that it stores DuckDB 1.5 forgets the words, and then works such a part out for all repositories
        # where one is asked for: its files are for older versions, too, which do not know them.
        return _in_line(select)
    import sqlglot  # half a second, where nothing has to be made
    from sqlglot import expressions as sql

    parsed = sqlglot.parse_one(select, dialect=DIALECT)
    if dialect != "postgres":  # the only other one that knows NOT MATERIALIZED
        for part in parsed.find_all(sql.CTE):
            part.set("materialized", None)
    else:  # its EXTRACT gives a numeric, with which it reckons several times as long as with a double
        for taken in list(parsed.find_all(sql.Extract)):
            taken.replace(sql.func("date_part", sql.Literal.string(taken.name), taken.expression))
    # It would warn of each place where NULLs may come in another order.
    return parsed.sql(dialect, unsupported_level=sqlglot.ErrorLevel.IGNORE)
