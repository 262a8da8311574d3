"""What tables and columns mean, as comments in the destination: what a catalogue or a BI tool shows of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ecr_source import catalog
from ecr_source.catalog.schema import column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.warehouse import SqlClient, Warehouse

VERSION_COLUMNS = {
    "_dlt_valid_from": "When the run began that opened this version of the row (UTC), as in"
    " extraction_scopes.valid_from; when it was read, if the dataset was loaded in snapshot mode then.",
    "_dlt_valid_to": "When the run began that closed this version of the row (UTC); NULL: it holds.",
    "row_version": "A hash of what the row says.",
}
"""What the columns mean that tables have in history mode beside their own."""


def write_comments(warehouse: Warehouse, client: SqlClient) -> None:
    """Comments on the tables in the dataset of `client` and on their columns, where they say something else."""
    if not warehouse.comments_query:
        return
    comment(client, _statements(client, warehouse.comments_query))


def comment(client: SqlClient, statements: Iterable[str]) -> None:
    """Executes the statements as one transaction: DuckDB takes twice as long to commit each, and syncs the file."""
    if joined := "; ".join(statements):
        with client.begin_transaction():
            client.execute_sql(joined)


def _statements(client: SqlClient, listing: str) -> Iterator[str]:
    dataset = client.dataset_name
    there = {(table, column): text for table, column, text in client.execute_sql(listing, dataset, dataset) or ()}
    tables: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]
    made = {table for table, _ in there}
    # What the columns of others mean may stand in a model that nothing else has read: 0.1 s.
    for table in [table for table in tables if table.name in made]:
        name = client.make_qualified_table_name(table.name)
        versions = VERSION_COLUMNS if isinstance(table, Table) else {}
        described: list[tuple[str | None, str]] = [
            *[(None, table.description), *column_descriptions(table).items(), *versions.items()]
        ]
        for column, text in described:
            if there.get((table.name, column), text) == text:
                continue  # as it is, or not there
            what = f"COLUMN {name}.{client.escape_column_name(column)}" if column else f"TABLE {name}"
            yield f"COMMENT ON {what} IS {client.capabilities.escape_literal(text)}"
