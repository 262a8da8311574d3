"""One run in many tasks, maybe on many machines: find its scopes, load each somewhere, write one ledger for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import dlt
import pyarrow as pa
from boto3 import Session
from dlt.common.schema.typing import TTableFormat, TWriteDispositionConfig
from dlt.extract import DltResource

from ecr_source import catalog
from ecr_source.aws.scopes import Scope, ScopeSetting, discover_scopes
from ecr_source.catalog.table import Table
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.literals import literal
from ecr_source.errors import CallFailed
from ecr_source.extract.ledger import NOT_LOADED, Outcome, error_rows, scope_rows
from ecr_source.extract.results import ReadError, ScopeRead, TableRead
from ecr_source.extract.rows.pseudonyms import Pseudonyms, mask_key
from ecr_source.extract.rows.rewriting import rewrite
from ecr_source.loading.load import load, load_alone
from ecr_source.loading.loaded.dataset import Dataset
from ecr_source.loading.modes import Items, Snapshot
from ecr_source.loading.settings.configuration import access_of, resolve_settings
from ecr_source.loading.settings.kept_settings import own_mode
from ecr_source.loading.source import dlt_columns, ecr_source


def find_scopes(session: Session | None = None, **arguments: Any) -> list[ScopeSetting]:
    """The scopes that `ecr_source` with these arguments reads, as values for JSON: `ecr_source(scopes=[…])` reads some.

    Raises:
        ConfigurationError: an argument is wrong, there are no credentials, or no scope is left.
        CredentialsRejected: AWS does not accept the credentials.
        OrganizationUnreadable: the organization does not tell its accounts.
    """
    settings = resolve_settings(arguments)
    tables = catalog.select_tables(settings.tables or ())
    operations = catalog.operations_of(tables, catalog.not_called(settings.findings_from))
    found = discover_scopes(access_of(settings, session), {operation.service for operation in operations})
    return [one.setting for one in found]


def find_mode(pipeline: dlt.Pipeline, **arguments: Any) -> str:
    """The mode in which `load_scopes` with these arguments loads: where they name none, that of the pipeline's dataset.

    Raises:
        ConfigurationError: an argument is wrong.
    """
    settings = resolve_settings(arguments)
    if settings.mode is not None:
        return settings.mode
    dataset = Dataset(pipeline)
    with dataset.opened():
        return own_mode(dataset) or Snapshot.name


def load_scopes(
    pipeline: dlt.Pipeline, scopes: Sequence[ScopeSetting], session: Session | None = None, **arguments: Any
) -> Outcome:
    """Loads some of the scopes that `find_scopes` told for the same arguments, but for the two tables of the ledger.

    Tasks that do so may run at the same time, on several machines, each with a pipeline of its own name and folder. On
    Postgres they load one after the other; nothing keeps them apart in other destinations.

    Raises:
        ConfigurationError: an argument is wrong, or `scopes` are none that `find_scopes` told.
        PipelineStepFailed: dlt's error, of which the cause tells what failed.
    """
    # A schema of its own: in Delta tables the condition by which dlt replaces the scopes is part of it, and each change
    # is a version.
    source = ecr_source.clone(name=pipeline.pipeline_name, section="ecr")
    resources = source(scopes=scopes, session=session, **arguments)
    tables = resources.selected_resources.keys() - {catalog.EXTRACTION_SCOPES.name, catalog.EXTRACTION_ERRORS.name}
    return load(pipeline, resources.with_resources(*tables))


def write_ledger(
    pipeline: dlt.Pipeline,
    run_id: str,
    outcomes: Iterable[Outcome],
    lost: Sequence[ScopeSetting] = (),
    **arguments: Any,
) -> Outcome:
    """Writes `extraction_scopes` and `extraction_errors` of a run whose scopes were loaded by `load_scopes`.

    `lost` are the scopes of tasks that ended without an outcome; `arguments` those of `ecr_source`. Where rows can be
    replaced, those of `run_id` are, so that it can be written again.

    Returns:
        The outcome of all.
    """
    settings = resolve_settings(arguments)
    tables = catalog.select_tables(settings.tables or ())
    reads = [_not_read(scope, tables) for scope in lost]
    if settings.mask_accounts:
        pseudonyms = Pseudonyms(mask_key(), {read.scope.registry_id for read in reads})
        reads = [rewrite(read, pseudonyms) for read in reads]
    outcome = Outcome.of_all([*outcomes, Outcome.of(reads)])
    pipeline.sync_destination()
    mode = find_mode(pipeline, **arguments)
    pipeline.extract(_ledger(pipeline, run_id, mode, outcome, settings.table_format))
    pipeline.normalize()
    load_alone(pipeline)
    return outcome


@dlt.source(name="ecr_ledger", section="ecr")
def _ledger(
    pipeline: dlt.Pipeline, run_id: str, mode: str, outcome: Outcome, table_format: str | None
) -> Iterator[DltResource]:
    for table, rows in ((catalog.EXTRACTION_SCOPES, scope_rows), (catalog.EXTRACTION_ERRORS, error_rows)):
        resource = dlt.resource(
            _replacing_rows_of(pipeline, run_id, rows(run_id, mode, outcome)),
            name=table.name,
            columns=dlt_columns(table),
            primary_key=table.key,
            write_disposition=_disposition(pipeline),
            table_format=cast("TTableFormat", table_format),
        )
        yield destination_of(pipeline).load_exactly(resource)


def _replacing_rows_of(pipeline: dlt.Pipeline, run_id: str, rows: pa.Table) -> Items:
    """The rows, which replace all of the run: also where there is none any more, such as an error."""
    condition = f"(run_id = {literal(run_id, destination_of(pipeline).dialect)})"
    hints = dlt.mark.make_hints(additional_table_hints={"x-merge-destination-scope": condition})
    yield dlt.mark.with_hints(rows, hints)


def _disposition(pipeline: dlt.Pipeline) -> TWriteDispositionConfig:
    snapshot = Snapshot()
    return snapshot.write_disposition if destination_of(pipeline).supports(snapshot.strategy) else "append"


def _not_read(setting: ScopeSetting, tables: Sequence[Table]) -> ScopeRead:
    scope = Scope(setting["registry_id"], setting["region"])
    message = f"cannot load {scope}: its task ended without an outcome; its log says why, and its rows may be of before"
    failed = ReadError(NOT_LOADED, "", "NoOutcome", message, CallFailed.status)
    mine = [table for table in tables if table.operation.service in setting["services"]]
    reads = [TableRead.unread(table, CallFailed.status) for table in mine]
    return ScopeRead(scope, setting["region_from"], reads, [failed])
