"""Postgres as a destination: dlt's own, with the memory that history needs and without losing empty texts."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.common.configuration import configspec
from dlt.common.destination.client import JobClientBase
from dlt.common.typing import TSecretStrValue
from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration, PostgresCredentials
from dlt.extract import DltResource

from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.capabilities import AskedOnce
from ecr_source.destinations.postgres_lock import loading_alone
from ecr_source.destinations.reading import DatasetReader
from ecr_source.destinations.replacement import is_marker, scope_columns
from ecr_source.destinations.warehouse import RowAddress, SqlClient, Warehouse
from ecr_source.errors import ConfigurationError, DestinationUnusable
from ecr_source.extract.results import ScopeRead
from ecr_source.extract.rows.rewriting import rewrite

if TYPE_CHECKING:
    from ecr_source.destinations.postgres_client import ExactPostgresClient

WORK_MEM = "256MB"
"""What the connections of `postgres` may use for one sort or hash.

dlt's scd2 asks for the rows that are NOT IN the new ones: without the memory for all their hashes, Postgres looks
through the list for each row. 300,000 rows take ten minutes with the 4 MB that servers give, and seconds with this.
"""

_LEAST_WORK_MEM_MB = 64
"""Enough for 300,000 hashes."""

_OPTIONS = {
    "work_mem": WORK_MEM,
    # Of a machine that is gone Postgres would keep the sessions, and their locks, for two hours.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    # All rows of a cursor are fetched, not the first tenth for which Postgres would plan.
    "cursor_tuple_fraction": "1",
}
"""What the connections of `postgres` ask of the server, unless the connection string says otherwise."""

_CURSOR = "ecr_source_rows"
# Each row is 3 kB of Python objects until it is Arrow's.
_ROWS_AT_A_TIME = 2_000

_TABLES_IN_PARTS = """
SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND (relkind = 'p' OR EXISTS (SELECT FROM pg_inherits WHERE inhparent = pg_class.oid))
"""


_NUL, _INSTEAD = "\x00", "\u2400"


@configspec(init=False)
class _Credentials(PostgresCredentials):
    # Not needed where a password file, a certificate or the socket says who it is.
    password: TSecretStrValue | None = None  # type: ignore[assignment]  # dlt requires it
    host: str | None = None  # type: ignore[assignment]  # this too

    def get_query(self) -> dict[str, Any]:
        query = super().get_query()
        given = query.get("options", "")
        ours = [f"-c {name}={value}" for name, value in _OPTIONS.items() if name not in given]
        query["options"] = " ".join(filter(None, [given, *ours]))
        return query


@configspec
class _Configuration(PostgresClientConfiguration):
    destination_type: Final[str] = dataclasses.field(  # type: ignore[misc]  # final in dlt's
        default="ecr_source.postgres_destination.postgres", init=False, repr=False, compare=False
    )
    credentials: _Credentials = None  # type: ignore[assignment]  # as dlt declares it


class postgres(AskedOnce, dlt.destinations.postgres):  # noqa: N801 (dlt names a destination by its class)
    """dlt's Postgres destination, configured as that one is (`destination.postgres.credentials`).

    Its connections have `WORK_MEM`, and an empty text arrives as one: dlt's own makes it NULL.
    """

    __module__ = "ecr_source.postgres_destination"  # dlt keeps the name in its state, where other versions read it

    spec = _Configuration  # type: ignore[assignment]  # a property in dlt

    @property
    def client_class(self) -> type[ExactPostgresClient]:
        # Needs psycopg2, which whoever loads elsewhere has not.
        from ecr_source.destinations.postgres_client import ExactPostgresClient

        return ExactPostgresClient


class _WithoutNul:
    """Puts the picture of a NUL in the place of each, which Postgres cannot hold; AWS lets nobody name anything so."""

    def text(self, text: str) -> str:
        return text.replace(_NUL, _INSTEAD)

    def column(self, texts: pa.Array) -> pa.Array:
        if not pc.any(pc.match_substring(texts, _NUL)).as_py():
            return texts
        return pc.replace_substring(texts, _NUL, _INSTEAD)


class Postgres(Warehouse):
    """A Postgres database, loaded by `postgres` or by dlt's own destination."""

    # Only the owner of a table may comment on it.
    comments_query: ClassVar = """
SELECT relname, attname, description
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
CROSS JOIN LATERAL (
    SELECT NULL AS attname, 0 AS attnum
    UNION ALL SELECT attname, attnum FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0
) AS described
LEFT JOIN pg_description ON objoid = pg_class.oid AND classoid = 'pg_class'::regclass AND objsubid = attnum
WHERE nspname IN (%s, %s) AND relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')
"""
    has_views: ClassVar = True
    replaces_columns: ClassVar = False
    counts_rows: ClassVar = True
    views_query: ClassVar = """
SELECT relname, obj_description(pg_class.oid, 'pg_class'), pg_has_role(relowner, 'USAGE')
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %s AND relkind = 'v'
"""
    has_indexes: ClassVar = True
    row_address: ClassVar = RowAddress("ctid", "tid", "(0,0)")

    def check_can_be_made(self, pipeline: dlt.Pipeline, client: JobClientBase) -> None:
        """Checks that the role may make the dataset of `pipeline`.

        Raises:
            DestinationUnusable: it may not.
        """
        with pipeline.sql_client() as sql:
            _check_may_create(sql)

    def replaced_rows(self, table: Table | RunTable) -> str:
        """The condition of every destination, behind one for which Postgres takes the index on scopes.

        Of 1,000,000 rows in 100 scopes one scope is deleted in 40 ms; without it, which looks at each row, in 600.
        """
        staged = f"FROM {{staging_table}} WHERE {is_marker(table)}"
        narrowed = [f"{name} = ANY(ARRAY(SELECT DISTINCT {name} {staged}))" for name in scope_columns(table)]
        return f"({' AND '.join([*narrowed, super().replaced_rows(table)])})"

    def load_exactly(self, resource: DltResource) -> DltResource:
        """The same resource, loaded so that an empty text arrives as one, also by dlt's own destination."""
        if not self._is_ours:
            resource.apply_hints(file_format="insert_values")
        return resource

    @contextmanager
    def loading_alone(self, pipeline: dlt.Pipeline) -> Iterator[SqlClient]:
        """While it lasts no other run loads into the dataset of `pipeline`."""
        with loading_alone(pipeline) as client:
            yield client

    def check_memory_for_history(self, pipeline: dlt.Pipeline) -> None:
        """Checks that history has the memory that it needs, where another destination than ours is used.

        Raises:
            ConfigurationError: it has not.
        """
        if self._is_ours:
            return
        with pipeline.sql_client() as client:
            rows = client.execute_sql("SELECT pg_size_bytes(current_setting('work_mem')), current_setting('work_mem')")
        ((size, shown),) = rows or ()
        if size < _LEAST_WORK_MEM_MB * 1024 * 1024:
            raise ConfigurationError(
                f"history mode on Postgres needs a work_mem of {_LEAST_WORK_MEM_MB} MB, and the connection has {shown}:"
                f" use the destination ecr_source.postgres, or ALTER ROLE … SET work_mem = '{WORK_MEM}'"
            )

    def storable_read(self, read: ScopeRead) -> ScopeRead:
        """What came of a scope, without NUL in its texts."""
        return rewrite(read, _WithoutNul())

    def storable_names(self, names: pa.Array) -> pa.Array:
        """The names, of type string, without NUL."""
        return _WithoutNul().column(names)

    def parts_of(self, client: SqlClient, query: str, *values: str) -> Generator[Any]:
        """What a query returns, some rows at a time, which wait in the server: the driver would hold them all."""
        client.execute_sql(f"DECLARE {_CURSOR} NO SCROLL CURSOR WITH HOLD FOR {query}", *values)
        try:
            while True:
                with client.execute_query(f"FETCH {_ROWS_AT_A_TIME} FROM {_CURSOR}") as cursor:
                    parts = [*cursor.iter_arrow(_ROWS_AT_A_TIME)]
                if not parts:
                    return
                yield from parts
        finally:
            with suppress(Exception):  # where the connection was lost it is gone, and that is told already
                client.execute_sql(f"CLOSE {_CURSOR}")

    def tables_in_parts(self, client: SqlClient) -> set[str]:
        """Those with partitions, or with tables that inherit from them: each has its own `ctid`."""
        return {name for (name,) in client.execute_sql(_TABLES_IN_PARTS, client.dataset_name) or ()}

    @contextmanager
    def _reader(self, pipeline: dlt.Pipeline, parameters: Mapping[str, float]) -> Iterator[DatasetReader]:
        from ecr_source.destinations.reading.postgres_dataset import PostgresReader  # needs psycopg2

        with self.open_tables(pipeline) as client:
            yield PostgresReader(client)

    @property
    def _is_ours(self) -> bool:
        return isinstance(self.destination, postgres)


def _check_may_create(client: SqlClient) -> None:
    rows = client.execute_sql(
        "SELECT has_database_privilege(current_database(), 'CREATE'), current_user, current_database()"
    )
    ((may_create, role, database),) = rows or ()
    if not may_create:
        raise DestinationUnusable(
            f'the role "{role}" may neither use nor make the schema "{client.dataset_name}":'
            f' GRANT CREATE ON DATABASE "{database}" TO "{role}", or give the --dataset of a schema that it may use'
        )
