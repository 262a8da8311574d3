"""The settings that a dataset keeps from its first load on: its mode, its table format, and how accounts are masked."""

from __future__ import annotations

from collections.abc import Collection

import dlt

from ecr_source.destinations.lake import PARQUET
from ecr_source.errors import ConfigurationError
from ecr_source.extract.rows.pseudonyms import Pseudonyms
from ecr_source.loading.conversion import convert_to_history, is_converted, is_unconverted
from ecr_source.loading.current import current_destination, current_pipeline
from ecr_source.loading.loaded.dataset import Dataset, LastRun
from ecr_source.loading.modes import History, Snapshot

_CONVERTIBLE = (None, Snapshot.name)
"""The modes that are noted of a dataset whose tables may have been converted meanwhile, or may have to be."""

_NOBODY = "000000000000"
"""An account id that no account has; its pseudonym tells keys apart."""

DEMO_ACCOUNT = "000000003366"
"""The account of the demo's registry, by which its dataset is known; 3366 is "demo" on the keys of a telephone."""


def keep_settings(
    dataset: Dataset, *, own_mode: str | None, mode: str, table_format: str | None, mask_key: bytes | None
) -> None:
    """Checks the settings of this load against those of the first, which are kept in the state of the source.

    Raises:
        ConfigurationError: they differ, and rows of this load would make no sense beside those that are there.
    """
    keep_format(dataset, table_format)
    keep_mask(dataset, mask_key)
    keep_mode(dataset, own_mode, mode)


def forget_settings() -> None:
    """Forgets what was kept of the dataset that the pipeline loaded into before: another one says for itself."""
    for name in ("mode", "table_format", "mask"):
        dlt.current.source_state().pop(name, None)


def own_mode(dataset: Dataset, kept: str | None = None) -> str | None:
    """The mode that the dataset was loaded in, where `kept` is what the state of the source says; None if it is new."""
    noted = kept or _mode_of(dataset.last_run)
    if noted in _CONVERTIBLE and dataset.destination.row_address:
        with dataset.tables() as client:
            # By a pipeline of another name, or by a run that did not come to its end.
            if is_converted(client):
                return History.name
    return noted


def keep_mode(dataset: Dataset, own: str | None, mode: str) -> None:
    """A dataset keeps its own mode, that of its first load: tables of one mode make no sense to another.

    Only those of snapshot mode become tables of history mode, where that can be done.
    """
    is_convertible = mode == History.name and dataset.destination.row_address is not None
    if own not in (None, mode) and not (own == Snapshot.name and is_convertible):
        raise ConfigurationError(
            f'the dataset "{dataset.name}" was loaded in {own} mode and would be damaged by {mode} mode:'
            f" go on with {own} mode (--mode {own}), or load into another dataset"
        )
    if is_convertible and (kept_mode() or _mode_of(dataset.last_run)) in _CONVERTIBLE:
        with dataset.tables() as client:
            is_left = is_unconverted(client)
        if is_left:
            convert_to_history(current_pipeline())
    dlt.current.source_state()["mode"] = mode


def kept_mode() -> str | None:
    """The mode of the last load of this pipeline, as the state of the source has it; None if there was none."""
    kept: str | None = dlt.current.source_state().get("mode")
    return kept


def _mode_of(last: LastRun | None) -> str | None:
    return last.mode if last else None


def keep_format(dataset: Dataset, table_format: str | None) -> None:
    """A lake keeps the table format of its first load: rows of one format are out of sight beside those of another."""
    given = current_destination().format_called(table_format)
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


def keep_demo(dataset: Dataset, accounts: Collection[str]) -> None:
    """The demo's registry has its dataset alone: among other registries it would be taken for one of them.

    Raises:
        ConfigurationError: `accounts` are to be loaded beside the demo's, or that one beside others.
    """
    last = dataset.last_run
    if last is None or (last.registry_id == DEMO_ACCOUNT) == (DEMO_ACCOUNT in accounts):
        return
    what = "the demo's registry" if last.registry_id == DEMO_ACCOUNT else "registries that are not the demo's"
    raise ConfigurationError(
        f'the dataset "{dataset.name}" holds {what}, and what is loaded beside would be taken for the same:'
        " give another --database, or load into another dataset"
    )


def _mask_of(last: LastRun | None, mask: str) -> str:
    """`mask`, unless the last run masked accounts and this one does not, or the other way round."""
    if last is None or last.registry_id.isdigit() == (not mask):
        return mask
    return "" if mask else last.registry_id
