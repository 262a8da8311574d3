"""Any dataset that dlt has an SQL client for, a lake included, and of which nothing more is known.

Nothing there keeps a statement from changing it, so that only what sqlglot takes for a question is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import dlt
import orjson
import pyarrow as pa
import sqlglot
from dlt.common.destination.client import WithStateSync
from dlt.common.destination.dataset import DBApiCursor
from dlt.destinations.exceptions import DatabaseException
from sqlglot import expressions as sql

from ecr_source import catalog
from ecr_source.catalog.schema import column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.reading import ROWS_AT_A_TIME, Column, DatasetReader, Relation, Rows, only_reads
from ecr_source.destinations.views.composition import Loaded, column_meanings
from ecr_source.destinations.views.definition import views
from ecr_source.destinations.views.dialect import Spelling
from ecr_source.errors import ConfigurationError

if TYPE_CHECKING:
    from ecr_source.destinations.warehouse import SqlClient

_KNOWN: list[Table | RunTable] = [*catalog.TABLES, *catalog.RUN_TABLES]
_TABLES = {table.name: table for table in _KNOWN}

_CHANGES = (sql.DDL, sql.DML, sql.Into, sql.Command)


class SqlReader(DatasetReader):
    """A dataset that is asked over dlt's client; its tables are those of the schema that dlt keeps in it.

    `parameters` are the values of `ecr_parameters` that are overridden.
    """

    def __init__(self, pipeline: dlt.Pipeline, client: SqlClient, schema: str, parameters: Mapping[str, float]) -> None:
        super().__init__(client.dataset_name)
        self._parameters = parameters
        self._pipeline = pipeline
        self._client = client
        self._schema = schema

    def rows(self, statement: str) -> Rows:
        """What a SELECT returns, which may name views: they come with it, as nobody makes them there."""
        question = parsed_question(statement, self._dialect)
        own = {part.alias for part in question.find_all(sql.CTE)}
        named = {table.name for table in question.find_all(sql.Table) if not table.db} - own
        for view in (views()[name] for name in named & {*self._views}):
            query = self._loaded.query(view, self._spelling)
            question = question.with_(view.name, as_=sqlglot.parse_one(query, dialect=self._dialect))
        tables = self._tables_of(question.sql(self._dialect) if named & {*self._views} else statement)
        schema = next(tables).schema
        return Rows(schema, (batch for table in tables for batch in table.cast(schema).to_batches()))

    def _tables_of(self, statement: str) -> Iterator[pa.Table]:
        """An empty table with the columns, then the rows; drivers may take each part's types from its values."""
        try:
            with self._client.execute_query(statement) as cursor:
                parts = self._parts(cursor)
                first = next(parts, None)
                yield _typed(first) if first is not None else _without_rows(cursor)
                yield from chain([first] if first is not None else [], parts)
        except DatabaseException as error:
            raise ConfigurationError(" ".join(str(error).partition("\nLINE ")[0].split())) from error

    def _parts(self, cursor: DBApiCursor) -> Iterator[pa.Table]:
        for part in cursor.iter_arrow(chunk_size=ROWS_AT_A_TIME):
            yield pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part

    def relations(self) -> Sequence[Relation]:
        """The tables that have been loaded, and the views that can be asked of them."""
        tables = [
            Relation(name, is_view=False, description=_TABLES[name].description if name in _TABLES else "")
            for name in self._stored_tables
        ]
        asked = [Relation(name, is_view=True, description=views()[name].description) for name in self._views]
        return sorted([*tables, *asked], key=lambda relation: relation.name)

    def columns(self, relation: Relation) -> Sequence[Column]:
        """With dlt's names of the types, of a table; with Arrow's, of a view."""
        if relation.is_view:
            schema = self.rows(f"SELECT * FROM {relation.name} LIMIT 0").schema  # noqa: S608 (a name of ours)
            meanings = column_meanings(views()[relation.name])
            return [Column(field.name, str(field.type), meanings.get(field.name, "")) for field in schema]
        columns = self._stored_tables[relation.name]["columns"].values()
        described = column_descriptions(_TABLES[relation.name]) if relation.name in _TABLES else {}
        return [Column(one["name"], one.get("data_type", ""), described.get(one["name"], "")) for one in columns]

    def quoted(self, name: str) -> str:
        """A name as a statement of this database has it."""
        if name in self._views:
            return name
        return str(self._client.make_qualified_table_name(name))

    @property
    def _dialect(self) -> str | None:
        return self._client.capabilities.sqlglot_dialect

    @property
    def _spelling(self) -> Spelling:
        return Spelling(self._dialect, self._client.make_qualified_table_name)

    @cached_property
    def _loaded(self) -> Loaded:
        tables = {name: "_dlt_valid_to" in table["columns"] for name, table in self._stored_tables.items()}
        appends = any(
            self._stored_tables.get(one.name, {}).get("write_disposition") == "append" for one in catalog.TABLES
        )
        return Loaded(self.dataset, tables, appends, self._parameters)

    @cached_property
    def _views(self) -> list[str]:
        return [view.name for view in views().values() if not view.is_part and not self._loaded.missing(view)]

    @cached_property
    def _stored_tables(self) -> dict[str, Any]:
        with self._pipeline.destination_client() as client:
            assert isinstance(client, WithStateSync)
            stored = client.get_stored_schema(self._schema)
        tables = orjson.loads(stored.schema)["tables"] if stored else {}
        return {
            name: table
            for name, table in tables.items()
            if not name.startswith("_dlt") and table.get("x-normalizer", {}).get("seen-data")
        }


def _typed(table: pa.Table) -> pa.Table:
    """No rows, and texts where no row says what a column has."""
    fields = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in table.schema]
    return pa.schema(fields).empty_table()


def _without_rows(cursor: DBApiCursor) -> pa.Table:
    return pa.schema([(column[0], pa.string()) for column in cursor.description or ()]).empty_table()


def parsed_question(statement: str, dialect: str | None) -> sql.Query:
    """The one statement, which only asks.

    Raises:
        ConfigurationError: it is not, or sqlglot cannot read it.
    """
    try:
        statements = [one for one in sqlglot.parse(statement, dialect=dialect) if one]
    except sqlglot.errors.SqlglotError as error:
        described = getattr(error, "errors", None) or [{"description": str(error)}]
        raise ConfigurationError(f"the statement cannot be read: {described[0]['description']}") from error
    if len(statements) != 1:
        raise ConfigurationError("one statement can be asked at a time")
    if not isinstance(statements[0], sql.Query) or statements[0].find(*_CHANGES):
        raise only_reads()
    return statements[0]
