"""Warehouses in a cloud, in which views are made as dlt's client and sqlglot know how."""

from __future__ import annotations

from typing import Any, ClassVar

from ecr_source.destinations.duckdb import DuckDb
from ecr_source.destinations.warehouse import SqlClient, Warehouse

_COMMENT = {
    "bigquery": "OPTIONS (description = {})",
    "databricks": "COMMENT {}",
    "snowflake": "COMMENT = {}",
}
"""What says in the statement that makes a view what it is, by sqlglot's names of the dialects; Redshift has no such."""


class MotherDuck(Warehouse):
    """DuckDB in a cloud, with what a DuckDB file says of its views and comments."""

    has_views: ClassVar = True
    comments_query: ClassVar = DuckDb.comments_query
    tables_query: ClassVar = DuckDb.tables_query
    views_query: ClassVar = DuckDb.views_query


class CloudWarehouse(Warehouse):
    """Snowflake, BigQuery or Databricks, and what Redshift has in common with them.

    Which views are as they should be is told by what the warehouse keeps of their text: not all have comments on them.
    """

    has_views: ClassVar = True

    def stored_tables(self, client: SqlClient) -> dict[str, bool]:
        """The tables of a dataset, and whether they have versions."""
        columns = _information(client, "COLUMNS", "lower(table_name), lower(column_name)")
        with_versions = {table for table, column in columns if column == "_dlt_valid_to"}
        return {table: table in with_versions for table, _ in columns}

    def stored_views(self, client: SqlClient) -> dict[str, tuple[str, bool]]:
        """The views of a dataset with their text, all of them ours to replace: nothing tells whose they are."""
        texts = _information(client, "VIEWS", "lower(table_name), lower(view_definition)")
        return {name: (text or "", True) for name, text in texts}

    def view_statement(self, name: str, query: str, description: str, fingerprint: str) -> str:
        """What makes the view, with its fingerprint in its text, and its description where the dialect has a place."""
        from sqlglot import expressions as sql  # half a second, where nothing has to be made

        marked = f"SELECT * FROM ({query}) AS made_{fingerprint}"  # noqa: S608 (a query of ours)
        comment = _COMMENT.get(self.dialect or "", "").format(sql.Literal.string(description).sql(self.dialect))
        return f"CREATE OR REPLACE VIEW {name} {comment} AS {marked}"


class Redshift(CloudWarehouse):
    """Redshift, where a view takes the place of one with the same columns only, as in Postgres."""

    replaces_columns: ClassVar = False


def _information(client: SqlClient, relation: str, columns: str) -> list[tuple[Any, ...]]:
    """Columns of a relation of the information schema, in which dlt's client knows where the dataset is."""
    source = client._qualify_info_schema_table_name(relation)
    _, schema, _ = client._get_information_schema_components()
    asked = f"SELECT {columns} FROM {source} WHERE table_schema = %s"  # noqa: S608 (names of dlt's)
    return [tuple(row) for row in client.execute_sql(asked, schema) or ()]
