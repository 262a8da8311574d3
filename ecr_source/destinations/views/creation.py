"""The views as they get into a dataset: after a load those are made that are not there, or not as they should be."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from dlt.destinations.exceptions import DatabaseException

from ecr_source.catalog import EXTRACTION_SCOPES
from ecr_source.destinations.views.composition import Loaded, column_meanings
from ecr_source.destinations.views.definition import View, views
from ecr_source.destinations.views.dialect import Spelling
from ecr_source.destinations.warehouse import SqlClient, Warehouse

_LOGGER = logging.getLogger(__name__)

_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
_MODE = "SELECT mode FROM {} ORDER BY started_at DESC LIMIT 1"


def create_views(warehouse: Warehouse, client: SqlClient, parameters: Mapping[str, float]) -> None:
    """Makes the views in the dataset of `client` that are not as they should be, but those that lack a table.

    `parameters` are the values of `ecr_parameters` that are overridden.
    A view of another owner stays as it is, and so does one that the database does not let go, with a warning.
    """
    loaded = _loaded_into(warehouse, client, parameters)
    there = warehouse.stored_views(client)
    spelling = Spelling(warehouse.dialect, client.make_qualified_table_name)
    for view in views().values():
        if view.is_part:
            continue
        text, is_ours = there.get(view.name, ("", True))
        if not is_ours or loaded.missing(view):
            continue
        fingerprint = loaded.fingerprint(view)
        if fingerprint not in text:
            _replace(warehouse, client, view, loaded.query(view, spelling), fingerprint)


def _loaded_into(warehouse: Warehouse, client: SqlClient, parameters: Mapping[str, float]) -> Loaded:
    """The tables of the dataset of `client`, and how they were loaded."""
    tables, ledger = warehouse.stored_tables(client), EXTRACTION_SCOPES.name
    modes = client.execute_sql(_MODE.format(client.make_qualified_table_name(ledger))) if ledger in tables else ()
    return Loaded(client.dataset_name, tables, [mode for (mode,) in modes or ()] == ["incremental"], parameters)


def _replace(warehouse: Warehouse, client: SqlClient, view: View, query: str, fingerprint: str) -> None:
    name = client.make_qualified_table_name(view.name)
    statement = warehouse.view_statement(name, query, view.description, fingerprint)
    try:
        client.execute_sql(statement)
    except DatabaseException as error:
        if warehouse.replaces_columns:
            _LOGGER.warning("the view %s is not made: %s", view.name, " ".join(str(error).split()))
            return
        # Whom it was granted to is lost with it.
        if not _made_anew(client, name, statement):
            return
    if warehouse.comments_query:
        client.execute_sql("; ".join(_comments(client, view, f" [{fingerprint}]")))


def _made_anew(client: SqlClient, view: str, statement: str) -> bool:
    try:
        with client.begin_transaction():
            client.execute_sql(f"DROP VIEW IF EXISTS {view}")
            client.execute_sql(statement)
    except DatabaseException as error:  # something depends on it
        _LOGGER.warning("the view %s stays as it was: %s", view, " ".join(str(error).split()))
        return False
    return True


def _comments(client: SqlClient, view: View, mark: str) -> Iterator[str]:
    literal, name = client.capabilities.escape_literal, client.make_qualified_table_name(view.name)
    columns = client.execute_sql(_COLUMNS, client.dataset_name, view.name) or ()
    meanings = column_meanings(view)
    for (column,) in columns:
        if column in meanings:
            yield f"COMMENT ON COLUMN {name}.{client.escape_column_name(column)} IS {literal(meanings[column])}"
    yield f"COMMENT ON VIEW {name} IS {literal(view.description + mark)}"
