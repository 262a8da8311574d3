"""Views over the tables: the questions people ask, each a `.sql` file beside this one, made after every load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files

import dlt
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation

_DESTINATIONS = {"duckdb", "postgres"}
"""Where the views were seen to work."""


def create_views(pipeline: dlt.Pipeline) -> None:
    """Makes the views anew in the dataset of `pipeline`, but those of tables that are not there yet.

    Does nothing where the destination has no views.
    """
    if pipeline.destination.destination_name not in _DESTINATIONS:
        return
    try:
        with pipeline.sql_client() as client:
            for name, query in view_queries():
                view = client.make_qualified_table_name(name)
                with suppress(DatabaseUndefinedRelation):
                    client.execute_sql(f"CREATE OR REPLACE VIEW {view} AS {query}")
    except SqlClientNotAvailable:
        return


def view_queries() -> Iterator[tuple[str, str]]:
    """The name and the query of each view."""
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            yield file.name.removesuffix(".sql"), file.read_text()
