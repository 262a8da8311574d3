"""What a dataset keeps from its first load on: its mode, and whether accounts are masked in it."""

from __future__ import annotations

import dlt
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from ecr_source import catalog
from ecr_source.destinations.lake import PARQUET, is_lake, loaded_format, open_tables
from ecr_source.errors import ConfigurationError
from ecr_source.extract.pseudonyms import Pseudonyms
from ecr_source.loading.current import current_pipeline

_NOBODY = "000000000000"
"""An account id that no account has; its pseudonym tells keys apart."""


def keep_mode(mode: str) -> None:
    """A dataset keeps the mode of its first load: tables of one mode make no sense to another."""
    state = dlt.current.source_state()
    pipeline = current_pipeline()
    before = state.setdefault("mode", _mode_of_the_last_run(pipeline) or mode)
    if before != mode:
        raise ConfigurationError(
            f'the dataset "{pipeline.dataset_name}" was loaded in {before} mode and would be damaged by {mode} mode:'
            f" go on with {before} mode, or load into another dataset"
        )


def keep_format(table_format: str | None) -> None:
    """A lake keeps the table format of its first load: rows of one format are out of sight beside those of another."""
    pipeline = current_pipeline()
    if not is_lake(pipeline.destination):
        return
    given = table_format or PARQUET
    loaded = loaded_format(pipeline, catalog.EXTRACTION_SCOPES.name)
    before = dlt.current.source_state().setdefault("table_format", loaded or given)
    if before != given:
        go_on = "without --table-format" if before == PARQUET else f"with --table-format {before}"
        raise ConfigurationError(
            f'the dataset "{pipeline.dataset_name}" was loaded as {before}, and its rows would be out of sight beside'
            f" {given}: go on {go_on}, or load into another dataset"
        )


def keep_mask(key: bytes | None) -> None:
    """A dataset keeps the pseudonyms of its first load: rows under other names would stay beside the new ones."""
    pipeline = current_pipeline()
    mask = Pseudonyms(key, ()).text(_NOBODY) if key else ""
    before = dlt.current.source_state().setdefault("mask", _mask_of_the_last_run(pipeline, mask))
    if before != mask:
        loaded = "with plain account ids" if not before else "with another mask key" if mask else "with masked accounts"
        raise ConfigurationError(
            f'the dataset "{pipeline.dataset_name}" was loaded {loaded} and would hold every registry twice:'
            " go on as it was loaded, or load into another dataset"
        )


def _mode_of_the_last_run(pipeline: dlt.Pipeline) -> str | None:
    return _of_the_last_run(pipeline, "mode")


def _mask_of_the_last_run(pipeline: dlt.Pipeline, mask: str) -> str:
    """`mask`, unless the last run masked accounts and this one does not, or the other way round."""
    registry_id = _of_the_last_run(pipeline, "registry_id")
    if registry_id is None or registry_id.isdigit() == (not mask):
        return mask
    return "" if mask else registry_id


def _of_the_last_run(pipeline: dlt.Pipeline, column: str) -> str | None:
    """What the dataset's own ledger says: dlt's state knows only the pipelines of this name."""
    try:
        with open_tables(pipeline) as client:
            ledger = client.make_qualified_table_name(catalog.EXTRACTION_SCOPES.name)
            sql = f"SELECT {column} FROM {ledger} ORDER BY started_at DESC LIMIT 1"  # noqa: S608 (names of ours)
            rows = client.execute_sql(sql)
    except (DatabaseUndefinedRelation, SqlClientNotAvailable):
        return None
    return str(rows[0][0]) if rows else None
