"""What tables and columns mean, as comments in the destination: what a catalogue or a BI tool shows of them."""

from __future__ import annotations

from collections.abc import Iterator

from ecr_source import catalog
from ecr_source.catalog.schema import column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.warehouse import SqlClient, Warehouse


def write_comments(warehouse: Warehouse, client: SqlClient) -> None:
    """Comments on the tables in the dataset of `client` and on their columns, where they say something else."""
    statements = list(_statements(client, warehouse.comments_query))
    if statements:
        client.execute_sql("; ".join(statements))


def _statements(client: SqlClient, listing: str) -> Iterator[str]:
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
