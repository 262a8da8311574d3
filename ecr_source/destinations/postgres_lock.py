"""One load at a time into a dataset in Postgres, wherever the others run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.sql_client import SqlClientBase

from ecr_source.errors import EcrSourceError

_LOGGER = logging.getLogger(__name__)

# The connection waits for the others, and then for the end of its own load: limits of the role or the server would end
# it, and with it the lock.
_WITHOUT_LIMITS = """
SELECT set_config(name, '0', false) FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout')
"""
_IS_LOCKED = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"


class LockLost(EcrSourceError):
    """Nothing kept other loads away any more while this one loaded."""


@contextmanager
def loading_alone(pipeline: dlt.Pipeline) -> Iterator[SqlClientBase[Any]]:
    """While it lasts no other run loads into the dataset of `pipeline`; its SQL client, without limits of time.

    dlt merges by way of a second dataset, whose tables all runs share: two that load at once would mix their rows.

    Raises:
        LockLost: the connection that holds the lock was lost meanwhile.
    """
    with pipeline.sql_client() as client:
        _lock(client)
        yield client
        _check_locked(client)


def _lock(client: SqlClientBase[Any]) -> None:
    # Released by the end of the connection, also when the process is killed.
    name = f"ecr-source {client.dataset_name}"
    client.execute_sql(_WITHOUT_LIMITS)
    ((is_free,),) = client.execute_sql("SELECT pg_try_advisory_lock(hashtext(%s))", name) or ()
    if not is_free:
        _LOGGER.info("waiting for the end of another load into %s", client.dataset_name)
        client.execute_sql("SELECT pg_advisory_lock(hashtext(%s))", name)


def _check_locked(client: SqlClientBase[Any]) -> None:
    try:
        ((locks,),) = client.execute_sql(_IS_LOCKED) or ()
    except DatabaseException as error:
        raise _lost(client.dataset_name) from error
    if not locks:
        raise _lost(client.dataset_name)


def _lost(dataset: str) -> LockLost:
    return LockLost(
        f'the connection that kept other loads out of "{dataset}" was lost: if one loaded meanwhile, rows of both may'
        " be mixed; run again"
    )
