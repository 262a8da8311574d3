"""One run: settings, a pipeline, what an earlier run left, the load, and how it came out."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import dlt
from dlt.common.destination.exceptions import DestinationException
from dlt.common.runtime.collector import NULL_COLLECTOR
from dlt.common.runtime.collector_base import Collector
from dlt.extract import DltSource
from dlt.pipeline.exceptions import PipelineStepFailed

from ecr_source import catalog
from ecr_source.aws.access import Access
from ecr_source.aws.endpoints import endpoint_lines, foreign_endpoints
from ecr_source.aws.scopes import check_credentials, discover_scopes
from ecr_source.destinations.destination import destination_of, make_destination
from ecr_source.destinations.warehouse import Warehouse
from ecr_source.errors import DestinationUnusable, EcrSourceError
from ecr_source.extract.check import ScopeCheck, check
from ecr_source.extract.ledger import Outcome
from ecr_source.extract.rows.pseudonyms import Pseudonyms, mask_key
from ecr_source.extract.walk import Walk
from ecr_source.loading.load import finish, load
from ecr_source.loading.loaded.changes import Changes
from ecr_source.loading.loaded.dataset import Dataset
from ecr_source.loading.loaded.earlier_runs import EarlierRuns
from ecr_source.loading.modes import IncrementalAppend, Snapshot
from ecr_source.loading.plan import Plan, plan, told_as_unusable
from ecr_source.loading.schema_files import read_schemas_once
from ecr_source.loading.settings.configuration import access_of
from ecr_source.loading.settings.declared import NO_ARGUMENTS, Settings
from ecr_source.loading.shared_walk import check_side_effects, spool_folder_of
from ecr_source.loading.source import bounds_of, ecr_source, mode_of, operations_without, read_changes
from ecr_source.loading.working_folder import WorkingFolder, alone_in, place_of, read_into, working_folder

PIPELINE_NAME = "ecr"
_SOURCE = "ecr"
"""The name of the source, by which dlt keeps its state."""


class LoadFailed(EcrSourceError):
    """Rows were read, but the destination did not take them; they wait for the next run."""


@dataclass(frozen=True)
class Loaded:
    """How a run came out, and where it has loaded into.

    What it has `changed`, and how many tables have rows there, if that is known.
    """

    outcome: Outcome
    changed: Changes | None
    place: str
    tables_with_rows: int | None


def run(settings: Settings, progress: Collector) -> Loaded:
    """Loads what `settings` say and tells how it came out; first finishes what interrupted runs left.

    Raises:
        ConfigurationError: a setting, the credentials or the destination are unusable; nothing was read.
        CredentialsRejected: AWS does not accept the credentials; nothing could be loaded.
        LoadFailed: the destination failed; what was read waits, and the next run loads it first.
        KeyboardInterrupt: stopped; nothing is lost.
    """
    source = _source(settings)
    warehouse = _warehouse(settings)
    if settings.mode is not None:
        mode = mode_of(settings, settings.mode)
        warehouse.check_merge(mode.name, mode.strategy, settings.table_format)
    check_credentials(access_of(settings))
    # Runs into one destination may overlap; a DuckDB file is one process's, and a cursor one run's.
    shared = warehouse.may_be_shared and settings.mode != IncrementalAppend.name
    place = place_of(warehouse, settings.dataset)
    with working_folder(place, shared=shared) as folder, _told_as_load_failed(folder), warehouse.kept_open():
        for left in folder.left_behind():
            finish(_open_pipeline(warehouse, settings.dataset, progress, left), settings.parameters)
            left.delete()
        pipeline = _open_pipeline(warehouse, settings.dataset, progress, folder)
        try:
            takes_own_mode = shared and settings.mode is None
            with alone_in(place) if takes_own_mode and _is_incremental(pipeline) else nullcontext():
                outcome = load(pipeline, source, parameters=settings.parameters)
            return Loaded(outcome, read_changes(pipeline), warehouse.place, _tables_with_rows(pipeline, warehouse))
        finally:
            shutil.rmtree(spool_folder_of(pipeline, settings.spool_folder), ignore_errors=True)


def _is_incremental(pipeline: dlt.Pipeline) -> bool:
    """Whether the dataset is; it is asked where earlier runs with this working folder do not tell, for 20 ms."""
    kept: str | None = pipeline.state.get("sources", {}).get(_SOURCE, {}).get("mode")
    if kept is None:
        last = Dataset(pipeline).last_run
        kept = last.mode if last else None
    return kept == IncrementalAppend.name


def foreign_endpoint_lines(settings: Settings) -> list[str]:
    """Sentences that name the endpoints which `run` would ask, and `plan_run`, and which are not AWS's own.

    Raises:
        ConfigurationError: unknown table.
    """
    without = catalog.not_called(settings.findings_from)
    operations = catalog.operations_of(catalog.select_tables(settings.tables or ()), without)
    services = {"sts", *(operation.service for operation in operations)}
    access = Access(profile=settings.profile, endpoint_url=settings.endpoint_url)
    return endpoint_lines(foreign_endpoints(access, services), services)


def plan_run(settings: Settings) -> Plan:
    """What `run` with these settings would cost now, as `plan`.

    Raises:
        ConfigurationError: a setting, the credentials or the destination are unusable.
        CredentialsRejected: AWS does not accept the credentials.
        OrganizationUnreadable: the organization does not tell its accounts.
    """
    _source(settings)  # a run with these settings is refused here as it would be there
    tables = catalog.select_tables(settings.tables or ())
    check_side_effects(tables, allowed=settings.moves_last_recorded_pull_time)
    access, without = access_of(settings), operations_without(settings)
    pseudonyms = Pseudonyms(mask_key(), ()) if settings.mask_accounts else None
    warehouse = _warehouse(settings)
    with working_folder(place_of(warehouse, settings.dataset), shared=True) as folder:
        pipeline = _open_pipeline(warehouse, settings.dataset, NULL_COLLECTOR, folder)
        dataset = Dataset(pipeline)
        if settings.mode is None:
            with told_as_unusable(dataset):
                last = dataset.last_run
            mode_of(settings, last.mode if last else Snapshot.name)
        scopes = discover_scopes(access, {operation.service for operation in catalog.operations_of(tables, without)})
        earlier = EarlierRuns(dataset, pseudonyms)
        with TemporaryDirectory(dir=folder.path) as spool_folder:
            walk = Walk(
                tables=tables,
                folder=Path(spool_folder),
                names=settings.repositories or (),
                bounds=bounds_of(settings, tables),
                earlier=earlier,
                without=without,
                max_in_flight=settings.max_in_flight,
            )
            return plan(walk, scopes, dataset, earlier)


def check_run(settings: Settings) -> list[ScopeCheck]:
    """What `run` with these settings would be allowed to read.

    Raises:
        ConfigurationError: a setting or the credentials are unusable.
        CredentialsRejected: AWS does not accept the credentials.
        OrganizationUnreadable: the organization does not tell its accounts.
    """
    tables = catalog.select_tables(settings.tables or ())
    check_side_effects(tables, allowed=settings.moves_last_recorded_pull_time)
    without = catalog.not_called(settings.findings_from)
    return check(access_of(settings), tables, without, settings.repositories or ())


def _source(settings: Settings) -> DltSource:
    return ecr_source(**{name: value for name, value in vars(settings).items() if name not in NO_ARGUMENTS})


def _open_pipeline(warehouse: Warehouse, dataset: str, progress: Collector, folder: WorkingFolder) -> dlt.Pipeline:
    """The pipeline `ecr` in its working folder, with its destination opened.

    Raises:
        ConfigurationError: the dataset would have another name in the destination.
        DestinationUnusable: the destination cannot be opened, or rows for another one wait in the working folder.
    """
    if dlt.config.get("load.delete_completed_jobs") is None:
        dlt.config["load.delete_completed_jobs"] = True  # dlt would keep a copy of all rows of all runs
    warehouse.check_dataset_name(dataset)
    _leave_other_place(folder)
    pipeline = dlt.pipeline(
        PIPELINE_NAME,
        pipelines_dir=str(folder.path),
        destination=warehouse.destination,
        dataset_name=dataset,
        progress=progress,
    )
    read_schemas_once(pipeline)
    warehouse.check(pipeline)
    return pipeline


def _tables_with_rows(pipeline: dlt.Pipeline, warehouse: Warehouse) -> int | None:
    if not warehouse.counts_rows:  # elsewhere it takes as long as a load
        return None
    made = pipeline.default_schema.tables
    return Dataset(pipeline).tables_with_rows([table for table in catalog.TABLES if table.name in made])


def _leave_other_place(folder: WorkingFolder) -> None:
    """Forgets what dlt keeps of another database in the working folder: its cursors and its mode are wrong here.

    Those of this one are restored from it.
    """
    pipeline = dlt.pipeline(PIPELINE_NAME, pipelines_dir=str(folder.path))
    before = read_into(pipeline)
    if before == folder.place or not pipeline.has_data:
        return
    if not pipeline.has_pending_data:
        pipeline.deactivate()
        shutil.rmtree(pipeline.working_dir)  # drop() would keep the other destination, and dlt warn of it
        return
    there = f'for "{before}" wait to be loaded there' if before else "wait to be loaded, and nothing says where"
    raise DestinationUnusable(f'rows that an interrupted run read {there}: run for it first, or "{_give_up(folder)}"')


def _give_up(folder: WorkingFolder) -> str:
    """The command that gives up what waits to be loaded."""
    # Without -y dlt asks, and where there is no terminal it takes that for a no and ends with 0.
    return f"dlt -y pipeline --pipelines-dir {folder.path} {PIPELINE_NAME} abort-packages"


def _warehouse(settings: Settings) -> Warehouse:
    """Where is loaded into; dlt takes 60 ms to make it."""
    return destination_of(make_destination(settings.destination, Path(settings.database).absolute()))


@contextmanager
def _told_as_load_failed(folder: WorkingFolder) -> Iterator[None]:
    """Tells of what went wrong between dlt and the destination in one sentence, or raises what caused it."""
    try:
        yield
    except (PipelineStepFailed, DestinationException) as failure:
        causes = list(_causes(failure))
        for cause in causes:
            if isinstance(cause, (EcrSourceError, KeyboardInterrupt)):
                raise cause from failure
        step = failure.step if isinstance(failure, PipelineStepFailed) else "load"
        reason = " ".join(str(causes[-1]).split()).rstrip(".")
        raise LoadFailed(
            f"cannot {step} what was read: {reason}; the next run goes on from here"
            f' ("{_give_up(folder)}" gives up what waits)'
        ) from failure


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
