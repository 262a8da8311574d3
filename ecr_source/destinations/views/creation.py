"""The views as they get into a dataset: after a load those are made that are not there, or not as they should be."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from dlt.destinations.exceptions import DatabaseException

from ecr_source.catalog import EXTRACTION_SCOPES
from ecr_source.destinations.comments import comment
from ecr_source.destinations.views.composition import Loaded, column_meanings
from ecr_source.destinations.views.definition import View, views
from ecr_source.destinations.views.dialect import Spelling
from ecr_source.destinations.warehouse import SqlClient, Warehouse

_LOGGER = logging.getLogger(__name__)

_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = %s AND table_catalog = current_database()
"""
_MODE = "SELECT mode FROM {} ORDER BY started_at DESC LIMIT 1"


def create_views(warehouse: Warehouse, client: SqlClient, parameters: Mapping[str, float]) -> None:
    """Makes the views in the dataset of `client` that are not as they should be, but those that lack a table.

    `parameters` are the values of `ecr_parameters` that are overridden.
    A view of another owner stays as it is, and so does one that the database does not let go, with a warning.
    """
    loaded = _loaded_into(warehouse, client, parameters)
    there = warehouse.stored_views(client)
    spelling = Spelling(warehouse.dialect, client.make_qualified_table_name)
    made: dict[str, str] = {}
    for view in views().values():
        if view.is_part:
            continue
        text, is_ours = there.get(view.name, ("", True))
        if not is_ours or loaded.missing(view):
            continue
        fingerprint = loaded.fingerprint(view)
        if fingerprint not in text and _replace(warehouse, client, view, loaded.query(view, spelling), fingerprint):
            made[view.name] = fingerprint
    if warehouse.comments_query and made:
        comment(client, _comments(client, made))


def _loaded_into(warehouse: Warehouse, client: SqlClient, parameters: Mapping[str, float]) -> Loaded:
    """The tables of the dataset of `client`, and how they were loaded."""
    tables, ledger = warehouse.stored_tables(client), EXTRACTION_SCOPES.name
    modes = client.execute_sql(_MODE.format(client.make_qualified_table_name(ledger))) if ledger in tables else ()
    return Loaded(client.dataset_name, tables, [mode for (mode,) in modes or ()] == ["incremental"], parameters)


def _replace(warehouse: Warehouse, client: SqlClient, view: View, query: str, fingerprint: str) -> bool:
    """Makes the view, and tells whether it could be made."""
    name = client.make_qualified_table_name(view.name)
    statement = warehouse.view_statement(name, query, view.description, fingerprint)
    try:
        client.execute_sql(statement)
    except DatabaseException as error:
        if warehouse.replaces_columns:
            _LOGGER.warning("the view %s is not made: %s", view.name, " ".join(str(error).split()))
            return False
        # Whom it was granted to is lost with it.
        return _made_anew(client, name, statement)
    return True


def _made_anew(client: SqlClient, view: str, statement: str) -> bool:
    try:
        with client.begin_transaction():
            client.execute_sql(f"DROP VIEW IF EXISTS {view}")
            client.execute_sql(statement)
    except DatabaseException as error:  # something depends on it
        _LOGGER.warning("the view %s stays as it was: %s", view, " ".join(str(error).split()))
        return False
    return True


def _comments(client: SqlClient, fingerprints: Mapping[str, str]) -> Iterator[str]:
    """What the views of these names and their columns mean, and by which fingerprint each was made."""
    literal, column_named = client.capabilities.escape_literal, client.escape_column_name
    columns: dict[str, list[str]] = {}
    for view_name, column in client.execute_sql(_COLUMNS, client.dataset_name) or ():
        columns.setdefault(view_name, []).append(column)
    for view_name, fingerprint in fingerprints.items():
        view, name = views()[view_name], client.make_qualified_table_name(view_name)
        meanings = column_meanings(view)
        for column in columns.get(view_name, ()):
            if column in meanings:
                yield f"COMMENT ON COLUMN {name}.{column_named(column)} IS {literal(meanings[column])}"
        yield f"COMMENT ON VIEW {name} IS {literal(f'{view.description} [{fingerprint}]')}"
