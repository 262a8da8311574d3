"""Postgres as a destination: dlt's own, with the memory that history needs and without losing empty texts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

import dlt
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue
from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration, PostgresCredentials
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltResource

from ecr_source.errors import ConfigurationError, DestinationUnusable

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
}
"""What the connections of `postgres` ask of the server, unless the connection string says otherwise."""


@configspec(init=False)
class _Credentials(PostgresCredentials):
    # Not needed where a password file, a certificate or the socket says who it is.
    password: TSecretStrValue | None = None  # type: ignore[assignment]
    host: str | None = None  # type: ignore[assignment]

    def get_query(self) -> dict[str, Any]:
        query = super().get_query()
        given = query.get("options", "")
        ours = [f"-c {name}={value}" for name, value in _OPTIONS.items() if name not in given]
        query["options"] = " ".join(filter(None, [given, *ours]))
        return query


@configspec
class _Configuration(PostgresClientConfiguration):
    destination_type: Final[str] = dataclasses.field(  # type: ignore[misc]
        default="ecr_source.postgres_destination.postgres", init=False, repr=False, compare=False
    )
    credentials: _Credentials = None  # type: ignore[assignment]


class postgres(dlt.destinations.postgres):  # noqa: N801 (dlt names a destination by its class)
    """dlt's Postgres destination, configured as that one is (`destination.postgres.credentials`).

    Its connections have `WORK_MEM`, and an empty text arrives as one: dlt's own makes it NULL.
    """

    spec = _Configuration  # type: ignore[assignment]

    @property
    def client_class(self) -> type[ExactPostgresClient]:
        # Needs psycopg2, which whoever loads elsewhere has not.
        from ecr_source.destinations.postgres_client import ExactPostgresClient

        return ExactPostgresClient


def is_postgres(pipeline: dlt.Pipeline) -> bool:
    """Whether `pipeline` loads into Postgres, by `postgres` or by dlt's own destination."""
    return isinstance(pipeline.destination, dlt.destinations.postgres)


def load_exactly(resource: DltResource, pipeline: dlt.Pipeline) -> DltResource:
    """The same resource, loaded by `pipeline` so that an empty text arrives as one, also by dlt's own destination."""
    if is_postgres(pipeline) and not isinstance(pipeline.destination, postgres):
        resource.apply_hints(file_format="insert_values")
    return resource


def check_memory(pipeline: dlt.Pipeline) -> None:
    """Checks that history has the memory that it needs on Postgres, where another destination than ours is used.

    Raises:
        ConfigurationError: it has not.
    """
    if not is_postgres(pipeline) or isinstance(pipeline.destination, postgres):
        return
    with pipeline.sql_client() as client:
        rows = client.execute_sql("SELECT pg_size_bytes(current_setting('work_mem')), current_setting('work_mem')")
    ((size, shown),) = rows or ()
    if size < _LEAST_WORK_MEM_MB * 1024 * 1024:
        raise ConfigurationError(
            f"history mode on Postgres needs a work_mem of {_LEAST_WORK_MEM_MB} MB, and the connection has {shown}: use"
            f" the destination ecr_source.postgres, or ALTER ROLE … SET work_mem = '{WORK_MEM}'"
        )


def check_may_create(client: SqlClientBase[Any]) -> None:
    """Checks that the role may make the dataset of `client`.

    Raises:
        DestinationUnusable: it may not.
    """
    rows = client.execute_sql(
        "SELECT has_database_privilege(current_database(), 'CREATE'), current_user, current_database()"
    )
    ((may_create, role, database),) = rows or ()
    if not may_create:
        raise DestinationUnusable(
            f'the role "{role}" may neither use nor make the schema "{client.dataset_name}":'
            f' GRANT CREATE ON DATABASE "{database}" TO "{role}", or give the --dataset of a schema that it may use'
        )
