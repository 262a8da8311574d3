"""The SQL of the views as another database takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

DIALECT = "duckdb"
"""In which the views are written."""


@dataclass(frozen=True)
class Spelling:
    """How a database is asked.

    Attributes:
        dialect: its SQL, by sqlglot's name of it.
        table: what it calls a table of the dataset, by the table's name.
    """

    dialect: str | None
    table: Callable[[str], str]

    @property
    def in_line(self) -> str:
        """What stands before a query that is put in wherever its name stands, and not worked out once for all."""
        return "AS NOT MATERIALIZED" if self.dialect in (DIALECT, "postgres") else "AS"


@cache
def translated(select: str, dialect: str | None) -> str:
    """A SELECT in `DIALECT` as a database of another takes it, the names in it being what they are."""
    if dialect == DIALECT:
        return select
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
