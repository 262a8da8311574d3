"""The settings that a dataset keeps from its first load on: its mode, its table format, and how accounts are masked."""

from __future__ import annotations

import dlt

from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.lake import PARQUET
from ecr_source.errors import ConfigurationError
from ecr_source.extract.pseudonyms import Pseudonyms
from ecr_source.loading.dataset import Dataset, LastRun

_NOBODY = "000000000000"
"""An account id that no account has; its pseudonym tells keys apart."""


def keep_settings(dataset: Dataset, *, mode: str, table_format: str | None, mask_key: bytes | None) -> None:
    """Checks the settings of this load against those of the first, which are kept in the state of the source.

    Raises:
        ConfigurationError: they differ, and rows of this load would make no sense beside those that are there.
    """
    keep_format(dataset, table_format)
    keep_mode(dataset, mode)
    keep_mask(dataset, mask_key)


def keep_mode(dataset: Dataset, mode: str) -> None:
    """A dataset keeps the mode of its first load: tables of one mode make no sense to another."""
    last = dataset.last_run
    before = dlt.current.source_state().setdefault("mode", last.mode if last else mode)
    if before != mode:
        raise ConfigurationError(
            f'the dataset "{dataset.name}" was loaded in {before} mode and would be damaged by {mode} mode:'
            f" go on with {before} mode, or load into another dataset"
        )


def keep_format(dataset: Dataset, table_format: str | None) -> None:
    """A lake keeps the table format of its first load: rows of one format are out of sight beside those of another."""
    given = destination_of(dlt.current.pipeline()).format_called(table_format)
    if given is None:
        return
    before = dlt.current.source_state().setdefault("table_format", dataset.table_format() or given)
    if before != given:
        go_on = "without --table-format" if before == PARQUET else f"with --table-format {before}"
        raise ConfigurationError(
            f'the dataset "{dataset.name}" was loaded as {before}, and its rows would be out of sight beside'
            f" {given}: go on {go_on}, or load into another dataset"
        )


def keep_mask(dataset: Dataset, key: bytes | None) -> None:
    """A dataset keeps the pseudonyms of its first load: rows under other names would stay beside the new ones."""
    mask = Pseudonyms(key, ()).text(_NOBODY) if key else ""
    before = dlt.current.source_state().setdefault("mask", _mask_of(dataset.last_run, mask))
    if before != mask:
        loaded = "with plain account ids" if not before else "with another mask key" if mask else "with masked accounts"
        raise ConfigurationError(
            f'the dataset "{dataset.name}" was loaded {loaded} and would hold every registry twice:'
            " go on as it was loaded, or load into another dataset"
        )


def _mask_of(last: LastRun | None, mask: str) -> str:
    """`mask`, unless the last run masked accounts and this one does not, or the other way round."""
    if last is None or last.registry_id.isdigit() == (not mask):
        return mask
    return "" if mask else last.registry_id
