"""One walk for all tables of a load: the first dlt resource that asks starts it."""

from __future__ import annotations

import shutil
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import dlt
from dlt.common.runtime.collector_base import Collector
from dlt.destinations.exceptions import DestinationConnectionError

from ecr_source import catalog
from ecr_source.aws.access import Access
from ecr_source.aws.budget import Budget
from ecr_source.aws.scopes import Found, Scope, ScopeSetting, discover_scopes, open_scopes
from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.errors import ConfigurationError
from ecr_source.extract.images.image_selection import Bounds
from ecr_source.extract.ledger import Outcome, group_of_name
from ecr_source.extract.reached import ScopeReached
from ecr_source.extract.results import ScopeRead
from ecr_source.extract.rows.pseudonyms import Pseudonyms
from ecr_source.extract.rows.rewriting import rewrite
from ecr_source.extract.rows.row_groups import give_back_memory
from ecr_source.extract.rows.spool import TableFile
from ecr_source.extract.scope_walk import Observer
from ecr_source.extract.walk import Walk
from ecr_source.loading.current import current_destination, current_pipeline
from ecr_source.loading.loaded.changes import changes_of
from ecr_source.loading.loaded.dataset import Dataset
from ecr_source.loading.loaded.earlier_runs import EarlierRuns
from ecr_source.loading.loaded.unchanged import changing_files
from ecr_source.loading.modes import History, Mode, Snapshot
from ecr_source.loading.settings.kept_settings import forget_settings, keep_demo, keep_settings, kept_mode, own_mode
from ecr_source.loading.working_folder import note_place, place_of, read_into
from ecr_source.redaction import mask_exception

_READING = "reading "
"""What the names of the counters start with that tell dlt's collector of rows read, one for each scope and group."""

SCOPES = "scopes"
"""The name of the counter of scopes: its total is told once, and each that ended with its name and its status."""

OUTCOME = "ecr_outcome"
"""The name under which how it came out is a metric of the resource that started the walk."""

CHANGES = "ecr_changes"
"""The name under which what it changes is another one."""


@dataclass
class LoadWalk:
    """The one walk of a load that fills all its tables; the first resource that asks starts it."""

    access: Access
    mode_name: str | None
    mode_called: Callable[[str], Mode]
    names: tuple[str, ...]
    bounds_for: Callable[[Sequence[Table]], Bounds]
    without: Collection[Operation]
    moves_last_recorded_pull_time: bool
    max_calls: int | None
    max_seconds: float | None
    masked_with: bytes | None
    spool_folder: str | None
    table_format: str | None = None
    scopes: tuple[ScopeSetting, ...] = ()
    _load_id: str | None = None
    _mode: Mode | None = None
    _dataset: Dataset | None = None
    _reads: list[ScopeRead] = field(default_factory=list)
    _outcome: Outcome | None = None
    _files: Mapping[Table | RunTable, Sequence[TableFile]] = field(default_factory=dict)

    @property
    def load_id(self) -> str:
        """dlt's id of the load package that is being extracted."""
        return dlt.current.load_package_state()["load_id"]

    @property
    def mode(self) -> Mode:
        """The load mode: the dataset's own, where none was asked for, so that it is known once the walk has begun."""
        assert self._mode
        return self._mode

    def reads(self) -> list[ScopeRead]:
        """What came of each scope in this load."""
        if self._load_id != self.load_id:
            self._reads = self._walk()
            self._load_id = self.load_id
            # dlt's scd2 takes the time that the id of the load package is.
            began_at = datetime.fromtimestamp(float(self.load_id), UTC)
            self._outcome = Outcome.of(self._reads, began_at if isinstance(self.mode, History) else None)
            dlt.current.resource_metrics()[OUTCOME] = self._outcome.as_json()
            self._compare()
        return self._reads

    def outcome(self) -> Outcome:
        """How this load came out."""
        self.reads()
        assert self._outcome
        return self._outcome

    def files(self, table: Table | RunTable) -> Sequence[TableFile]:
        """The rows of `table`, files for each scope and operation; none where they would change nothing."""
        self.reads()
        return self._files.get(table, ())

    def _compare(self) -> None:
        """Looks for what the rows that were read change."""
        assert self._dataset
        with ExitStack() as stack:
            # A task of many reads some scopes of a run, at whose end nobody asks it what has changed.
            if not self.scopes and self._dataset.last_run and self._dataset.destination.has_views:
                with suppress(DestinationConnectionError):  # somebody else has it open: each question says so
                    stack.enter_context(self._dataset.opened())
                if changes := changes_of(self._dataset, self.mode, self._reads):
                    dlt.current.resource_metrics()[CHANGES] = changes.as_json()
            self._files = changing_files(self._dataset, self.mode, self._reads)

    def _walk(self) -> list[ScopeRead]:
        pipeline = current_pipeline()
        destination = current_destination()
        if read_into(pipeline) not in (None, place_of(destination, pipeline.dataset_name)):
            forget_settings()
        note_place(pipeline, destination)
        selected = dlt.current.source().selected_resources
        tables = [table for table in catalog.TABLES if table.name in selected]
        check_side_effects(tables, allowed=self.moves_last_recorded_pull_time)
        dataset = self._dataset = Dataset(pipeline)
        with dataset.opened():
            own = own_mode(dataset, kept_mode())
            mode = self._mode = self.mode_called(self.mode_name or own or Snapshot.name)
            destination.check_merge(mode.name, mode.strategy, self.table_format)
            if isinstance(mode, History):
                destination.check_memory_for_history(pipeline)
            keep_settings(
                dataset, own_mode=own, mode=mode.name, table_format=self.table_format, mask_key=self.masked_with
            )
            earlier = EarlierRuns(dataset)
            earlier.ask_of_scopes()
            if any(table.is_asked_again for table in tables):
                earlier.ask_of_images()
        if not tables:
            return []
        with destination.closed_meanwhile():
            return self._read(tables, dataset, earlier)

    def _read(self, tables: Sequence[Table], dataset: Dataset, earlier: EarlierRuns) -> list[ScopeRead]:
        """Reads the tables in all scopes."""
        pipeline, destination = current_pipeline(), current_destination()
        folder = spool_folder_of(pipeline, self.spool_folder)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            found = self._find({operation.service for operation in catalog.operations_of(tables, self.without)})
            keep_demo(dataset, {one.scope.registry_id for one in found})
            pseudonyms = self._pseudonyms(found)
            walk = Walk(
                tables=tables,
                folder=folder,
                names=self.names,
                bounds=self.bounds_for(tables),
                earlier=earlier.masked(pseudonyms),
                without=self.without,
                max_in_flight=self.access.max_in_flight,
                budget=Budget(self.max_calls, self.max_seconds),
                observer=_Progress(pipeline.collector, pseudonyms),
            )
            reads = walk.read(found)
            give_back_memory()
            masked = [rewrite(read, pseudonyms) for read in reads] if pseudonyms else reads
            return [destination.storable_read(read) for read in masked]
        except BaseException as error:
            mask_exception(error)
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _find(self, services: Collection[str]) -> list[Found]:
        return open_scopes(self.access, self.scopes) if self.scopes else discover_scopes(self.access, services)

    def _pseudonyms(self, found: Sequence[Found]) -> Pseudonyms | None:
        if self.masked_with is None:
            return None
        return Pseudonyms(self.masked_with, {one.scope.registry_id for one in found})


class ReadingCollector(Collector):
    """A collector that is told more than counters of how far the scopes are that are being read."""

    @abstractmethod
    def rows_read(self, scope: Scope, table: str, rows: int) -> None:
        """So many more rows of a table have been read in a scope."""

    @abstractmethod
    def going_on(self, scopes: Sequence[ScopeReached]) -> None:
        """So far are these scopes now."""


@dataclass(frozen=True)
class _Progress(Observer):
    """Tells dlt's collector how the walk goes on, as counters: `scopes`, and one for each scope and group of tables."""

    collector: Collector
    pseudonyms: Pseudonyms | None

    def scopes_found(self, count: int) -> None:
        self.collector.update(SCOPES, inc=0, total=count)

    def rows_read(self, scope: Scope, table: Table, rows: int) -> None:
        if isinstance(self.collector, ReadingCollector):
            self.collector.rows_read(self._shown(scope), table.name, rows)
        else:
            self.collector.update(f"{_READING}{self._shown(scope)} {group_of_name(table.name)}", rows)

    def going_on(self, scopes: Sequence[ScopeReached]) -> None:
        if isinstance(self.collector, ReadingCollector):
            self.collector.going_on([replace(one, scope=self._shown(one.scope)) for one in scopes])

    def scope_ended(self, read: ScopeRead) -> None:
        self.collector.update(SCOPES, inc=1, message=str(self._shown(read.scope)), label=read.status)

    def _shown(self, scope: Scope) -> Scope:
        return self.pseudonyms.scope(scope) if self.pseudonyms else scope


def check_side_effects(tables: Sequence[Table], *, allowed: bool) -> None:
    """Checks that nothing counts as a pull unless that is `allowed`.

    Raises:
        ConfigurationError: reading one of `tables` does.
    """
    pulled = [table.name for table in tables if catalog.group_of(table) == catalog.MANIFESTS]
    if pulled and not allowed:
        raise ConfigurationError(
            f"reading {pulled[0]} counts as a pull of every image and moves last_recorded_pull_time, which lifecycle"
            " rules may act on: allow it by --moves-last-recorded-pull-time, or leave out the group manifests"
        )


def spool_folder_of(pipeline: dlt.Pipeline, folder: str | Path | None) -> Path:
    """Where the rows of a run of `pipeline` wait, below `folder`; it is empty before a run and afterwards."""
    # By default beside dlt's packages, so that a hard link hands a file over.
    return Path(folder or pipeline.working_dir) / f"{pipeline.pipeline_name}_spool"
