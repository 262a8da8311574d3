"""The query of a view as another database takes it: in its SQL, with the names that dlt gives its tables there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecr_source.destinations.views.composition import DIALECT

if TYPE_CHECKING:
    from ecr_source.destinations.warehouse import SqlClient


def in_dialect(query: str, dialect: str | None, client: SqlClient | None = None) -> str:
    """A query in `DIALECT` as a database of another takes it, with the names that tables have for its `client`."""
    if dialect == DIALECT:
        return query
    import sqlglot  # half a second, where nothing has to be made
    from sqlglot import expressions as sql

    parsed = sqlglot.parse_one(query, dialect=DIALECT)
    if dialect != "postgres":  # the only other one that knows NOT MATERIALIZED
        for part in parsed.find_all(sql.CTE):
            part.set("materialized", None)
    for table in list(parsed.find_all(sql.Table)):
        if client is not None and table.db == client.dataset_name:
            called = sql.to_table(client.make_qualified_table_name(table.name), dialect=dialect)
            for level in ("this", "db", "catalog"):
                table.set(level, called.args.get(level))
    # It would warn of each place where NULLs may come in another order.
    return parsed.sql(dialect, unsupported_level=sqlglot.ErrorLevel.IGNORE)
