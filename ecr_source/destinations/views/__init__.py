"""Views over the tables: the questions people ask, each a `.sql` file beside this one, made after every load."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.resources import files

from dlt.destinations.exceptions import DatabaseTerminalException, DatabaseTransientException, DatabaseUndefinedRelation

from ecr_source.catalog import TABLES
from ecr_source.destinations.warehouse import SqlClient, Warehouse

_LOGGER = logging.getLogger(__name__)


def create_views(warehouse: Warehouse, client: SqlClient) -> None:
    """Makes the views anew in the dataset of `client`, but those of tables that are not there yet.

    A view of another owner stays as it is, and so does one that the database does not let go, with a warning.
    """
    foreign = warehouse.foreign_views(client)
    for name, query in view_queries():
        if name not in foreign:
            _replace(client, name, query)


def _replace(client: SqlClient, name: str, query: str) -> None:
    view = client.make_qualified_table_name(name)
    try:
        client.execute_sql(f"CREATE OR REPLACE VIEW {view} AS {query}")
    except DatabaseUndefinedRelation:
        return
    except DatabaseTerminalException:
        # Postgres replaces a view by one with the same columns only. Whom it was granted to is lost with it.
        _make_anew(client, view, query)


def _make_anew(client: SqlClient, view: str, query: str) -> None:
    try:
        with client.begin_transaction():
            client.execute_sql(f"DROP VIEW {view}")
            client.execute_sql(f"CREATE VIEW {view} AS {query}")
    except (DatabaseTerminalException, DatabaseTransientException) as error:  # something depends on it
        _LOGGER.warning("the view %s stays as it was: %s", view, " ".join(str(error).split()))


def view_queries() -> Iterator[tuple[str, str]]:
    """The name and the query of each view."""
    of_images = ", ".join(f"'{table.name}'" for table in TABLES if table.is_asked_again)
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield file.name.removesuffix(".sql"), file.read_text().replace("{tables_of_images}", of_images)
