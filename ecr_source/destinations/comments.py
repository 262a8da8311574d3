"""What tables and columns mean, as comments in the destination: what a catalogue or a BI tool shows of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.sql_client import SqlClientBase

from ecr_source import catalog
from ecr_source.catalog.schema import column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.opening import is_duckdb
from ecr_source.destinations.postgres import is_postgres

# The tables, and the columns, of a dataset with their comments; the name of the column is NULL for the table itself.
_DUCKDB_COMMENTS = """
SELECT table_name, NULL, comment FROM duckdb_tables()
WHERE schema_name = %s AND database_name = current_database()
UNION ALL
SELECT table_name, column_name, comment FROM duckdb_columns()
WHERE schema_name = %s AND database_name = current_database()
"""
# Only the owner of a table may comment on it.
_POSTGRES_COMMENTS = """
SELECT relname, attname, description
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
CROSS JOIN LATERAL (
    SELECT NULL AS attname, 0 AS attnum
    UNION ALL SELECT attname, attnum FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0
) AS described
LEFT JOIN pg_description ON objoid = pg_class.oid AND classoid = 'pg_class'::regclass AND objsubid = attnum
WHERE nspname IN (%s, %s) AND relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')
"""


def write_comments(pipeline: dlt.Pipeline) -> None:
    """Comments on the tables in the dataset of `pipeline` and on their columns, where they say something else.

    Does nothing where the destination has no comments, or was not tried.
    """
    if is_duckdb(pipeline):
        listing = _DUCKDB_COMMENTS
    elif is_postgres(pipeline):
        listing = _POSTGRES_COMMENTS
    else:
        return
    try:
        with pipeline.sql_client() as client:
            statements = list(_statements(client, listing))
            if statements:
                client.execute_sql("; ".join(statements))
    except SqlClientNotAvailable:
        return


def _statements(client: SqlClientBase[Any], listing: str) -> Iterator[str]:
    dataset = client.dataset_name
    there = {(table, column): text for table, column, text in client.execute_sql(listing, dataset, dataset) or ()}
    tables: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]
    for table in tables:
        name = client.make_qualified_table_name(table.name)
        described: list[tuple[str | None, str]] = [(None, table.description), *column_descriptions(table).items()]
        for column, text in described:
            if there.get((table.name, column), text) == text:
                continue  # as it is, or not there
            what = f"COLUMN {name}.{client.escape_column_name(column)}" if column else f"TABLE {name}"
            yield f"COMMENT ON {what} IS {client.capabilities.escape_literal(text)}"
