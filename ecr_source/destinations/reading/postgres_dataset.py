"""A dataset in Postgres that is read: in a transaction that may only read, over a cursor that the server keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import orjson
import psycopg2
import pyarrow as pa
import sqlglot
from sqlglot import TokenType

from ecr_source.destinations.reading import (
    ROWS_AT_A_TIME,
    Column,
    DatasetReader,
    Relation,
    Rows,
    no_dataset,
    only_reads,
)
from ecr_source.destinations.views.definition import without_mark
from ecr_source.errors import ConfigurationError, DestinationUnreachable

if TYPE_CHECKING:
    from ecr_source.destinations.warehouse import SqlClient

_RELATIONS = """
SELECT relname, relkind = 'v', coalesce(obj_description(pg_class.oid, 'pg_class'), '')
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND relkind IN ('r', 'p', 'v') AND NOT starts_with(relname, '_dlt')
ORDER BY relname COLLATE "C"
"""
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), coalesce(col_description(pg_class.oid, attnum), '')
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND relname = %s AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""

_CHANGES = {
    *("ALTER", "ANALYZE", "CALL", "COMMENT", "COPY", "CREATE", "DELETE", "DO", "DROP", "GRANT", "INSERT", "LOCK"),
    *("MERGE", "REFRESH", "REINDEX", "REVOKE", "TRUNCATE", "UPDATE", "VACUUM"),
}
"""The first words of statements that change something: errors of syntax to Postgres, which is to make a cursor."""
_PARTS = {"AS", "MATERIALIZED"}
"""The words before the parenthesis in which a part of a WITH stands."""
_READ_ONLY = "25006"
"""What it says of a question that changes something: read_only_sql_transaction."""

_TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(),
    17: pa.binary(),
    **dict.fromkeys((20, 21, 23, 26), pa.int64()),
    **dict.fromkeys((700, 701), pa.float64()),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
}
"""Arrow's types by the oid of Postgres's own, which never change; all others but `_NUMERIC` are text."""
_NUMERIC = 1700


class PostgresReader(DatasetReader):
    """A dataset over a connection of dlt's, which may only read from now on."""

    def __init__(self, client: SqlClient) -> None:
        super().__init__(client.dataset_name)
        self._connection = client.native_connection
        self._connection.set_session(readonly=True, autocommit=False)
        self._ask("SET TimeZone = 'UTC'")
        # Of the time that a view of a million images takes, compiling it is up to two thirds. A merge goes by account
        # and region, which an index has in order, and compares all images of an account with all of its repositories.
        # Of what a repository has Postgres expects a row, as if its columns had nothing to do with each other: it
        # loops over loops, for a minute where joining by hashes takes a second.
        self._ask(
            "SELECT set_config(name, 'off', false) FROM pg_settings"
            " WHERE name IN ('jit', 'enable_mergejoin', 'enable_nestloop')"
        )
        if not self._ask("SELECT FROM pg_namespace WHERE nspname = %s", self.dataset):
            raise no_dataset(self.dataset, "the database")

    def rows(self, statement: str) -> Rows:
        """What a statement returns for which Postgres takes a cursor: SELECT, WITH or VALUES."""
        _check_is_one(statement)
        rows = self._fetched(statement)
        description = next(rows)
        first = list(islice(rows, ROWS_AT_A_TIME))
        schema = pa.schema(
            [
                (column.name, _arrow_type(column.type_code, (row[index] for row in first)))
                for index, column in enumerate(description)
            ]
        )
        return Rows(schema, _batches(chain(first, rows), schema))

    def _fetched(self, statement: str) -> Iterator[Any]:
        """The description of the columns, then row by row."""
        with _told(), self._connection.cursor("query") as cursor:
            cursor.itersize = cursor.arraysize = ROWS_AT_A_TIME
            cursor.execute(statement)
            fetched = cursor.fetchmany()  # Postgres describes the columns with the first rows
            yield cursor.description
            while fetched:
                yield from fetched
                fetched = cursor.fetchmany()

    @property
    def _dialect(self) -> str:
        return "postgres"

    def relations(self) -> Sequence[Relation]:
        """With their comments."""
        rows = self._ask(_RELATIONS, self.dataset)
        return [Relation(name, is_view, without_mark(text)) for name, is_view, text in rows]

    def columns(self, relation: Relation) -> Sequence[Column]:
        """With their comments."""
        return [Column(*row) for row in self._ask(_COLUMNS, self.dataset, relation.name)]

    def _ask(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with _told(), self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description is not None else []
            return rows


class _told:  # noqa: N801 (a context)
    """Tells what psycopg2 raises in one sentence."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, psycopg2.Error):
            lines = [error.diag.message_primary or str(error), error.diag.message_detail, error.diag.message_hint]
            text = " ".join(" ".join(line.split()) for line in lines if line)
            if error.pgcode == _READ_ONLY:
                raise only_reads() from error
            is_lost = error.pgcode is None and isinstance(error, psycopg2.OperationalError)
            raise (DestinationUnreachable if is_lost else ConfigurationError)(text) from error


def _check_is_one(statement: str) -> None:
    """Checks that there is no second statement, which a transaction that may only read could end."""
    try:
        tokens = sqlglot.tokenize(statement, read="postgres")
    except sqlglot.errors.TokenError as error:
        raise ConfigurationError(f"the statement cannot be read: {error}") from error
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if not tokens or any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise ConfigurationError("one statement can be asked at a time")
    words = [token.text.upper() for token in tokens]
    parts = zip(words, words[1:], words[2:], strict=False)
    in_part = any(part[0] in _PARTS and part[1] == "(" and part[2] in _CHANGES for part in parts)
    # SELECT INTO makes a table; a name is never called so without quotes.
    if words[0] in _CHANGES or in_part or any(token.token_type == TokenType.INTO for token in tokens):
        raise only_reads()


def _arrow_type(oid: int, values: Iterator[Any]) -> pa.DataType:
    if oid == _NUMERIC:
        # sum() of whole numbers has no fraction, avg() has one in every row.
        return pa.float64() if any(value % 1 for value in values if value is not None) else pa.decimal128(38)
    return _TYPES.get(oid, pa.string())


def _batches(rows: Iterator[Sequence[Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while some := list(islice(rows, ROWS_AT_A_TIME)):
        columns = zip(*some, strict=True)
        arrays = [
            pa.array(map(_as_value(field.type), values), field.type)
            for field, values in zip(schema, columns, strict=True)
        ]
        yield pa.record_batch(arrays, schema=schema)


def _as_value(kind: pa.DataType) -> Callable[[Any], Any]:
    """How a value of psycopg2 becomes one for Arrow."""
    if pa.types.is_string(kind):
        return _text
    return _number if pa.types.is_floating(kind) else lambda value: value


def _number(value: float | Decimal | None) -> float | None:
    return None if value is None else float(value)


def _text(value: Any) -> str | None:
    """Text as it is; arrays and JSON documents, which psycopg2 has parsed, as JSON."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, default=str).decode() if isinstance(value, (list, dict)) else str(value)
