"""Indexes on the tables in Postgres, where a measurement says that they are worth what they cost."""

from __future__ import annotations

from ecr_source import catalog
from ecr_source.catalog.schema import arrow_schema
from ecr_source.destinations.warehouse import SqlClient, Warehouse

_SCOPE = ("registry_id", "region")
"""By them a run deletes or retires what it replaces, and reads what it knows already.

With 1,000,000 images in 200 scopes, reading one scope takes 5 ms instead of 109, deleting it 15 instead of 114; it adds
2 ms to the insertion of 1,000 rows. Nothing that the views ask is faster with any index: they read all of a table.
"""

_LEDGER = ("started_at",)
"""By it a run finds how the dataset was loaded last: at once, instead of by a look through the whole ledger."""

# The tables without the index; only the owner of a table may make one.
_MISSING = """
SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_indexes WHERE schemaname = nspname AND indexname = relname || %s)
"""
_SUFFIX = "_by_ecr_source"


def create_indexes(warehouse: Warehouse, client: SqlClient) -> None:
    """Makes the indexes that are missing in the dataset of `client`, where they are worth what they cost."""
    if not warehouse.has_indexes:
        return
    columns: dict[str, tuple[str, ...]] = {
        table.name: _SCOPE for table in catalog.TABLES if set(_SCOPE) <= set(arrow_schema(table).names)
    }
    columns |= {table.name: _SCOPE for table in catalog.RECORD_TABLES}
    columns[catalog.EXTRACTION_SCOPES.name] = _LEDGER
    missing = client.execute_sql(_MISSING, client.dataset_name, _SUFFIX) or ()
    for (table,) in missing:
        if table in columns:
            name = client.escape_column_name(table + _SUFFIX)
            on = f"{client.make_qualified_table_name(table)} ({', '.join(columns[table])})"
            client.execute_sql(f"CREATE INDEX IF NOT EXISTS {name} ON {on}")
