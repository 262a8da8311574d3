"""The dlt edge: one dlt resource per table, hints from the catalog, one walk for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast

import dlt
import pyarrow as pa
from boto3 import Session
from dlt.common.libs.pyarrow import py_arrow_to_table_schema_columns
from dlt.common.runtime.anon_tracker import disable_anon_tracker
from dlt.common.schema.typing import TTableFormat, TTableSchemaColumns
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from ecr_source import catalog
from ecr_source.aws.scopes import ScopeSetting
from ecr_source.catalog.schema import arrow_schema, column_descriptions
from ecr_source.catalog.table import Operation, RunTable, Table
from ecr_source.destinations.s3 import provide_s3
from ecr_source.errors import ConfigurationError, EcrSourceError
from ecr_source.extract.images.image_selection import Bounds
from ecr_source.extract.ledger import Outcome, error_rows, scope_rows
from ecr_source.extract.rows.pseudonyms import mask_key
from ecr_source.loading.current import current_destination
from ecr_source.loading.loaded.changes import Changes
from ecr_source.loading.loaded.unchanged import is_made
from ecr_source.loading.modes import Appended, IncrementalAppend, Items, Mode, parse_mode
from ecr_source.loading.settings.configuration import access_of, check_configuration
from ecr_source.loading.settings.declared import Settings
from ecr_source.loading.shared_walk import CHANGES, OUTCOME, LoadWalk

_Number = TypeVar("_Number", int, float)


if dlt.config.get("runtime.dlthub_telemetry") is None:
    # Off unless the user turns it on; dlt's own default is on, and has taken effect with its import.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    disable_anon_tracker()

provide_s3()


@dlt.source(name="ecr", section="ecr")
def ecr_source(
    regions: str | Sequence[str] | None = None,
    exclude_regions: str | Sequence[str] | None = None,
    profile: str | None = None,
    session: Session | None = None,
    endpoint_url: str | None = None,
    registry_id: str | None = None,
    role_arns: str | Sequence[str] | None = None,
    accounts: str | Sequence[str] | None = None,
    exclude_accounts: str | Sequence[str] | None = None,
    organization: bool = False,
    organizational_units: str | Sequence[str] | None = None,
    exclude_organizational_units: str | Sequence[str] | None = None,
    inspector_account: str | None = None,
    external_id: TSecretStrValue | None = None,
    role_session_name: str = "ecr-source",
    repositories: str | Sequence[str] | None = None,
    tables: str | Sequence[str] | None = None,
    mode: str | None = None,
    initial_value: str | datetime | None = None,
    end_value: str | datetime | None = None,
    findings_from: str = "ecr",
    findings_latest: int | None = None,
    findings_pushed_within: float | None = None,
    findings_tag: str | None = None,
    findings_max_age: float = 7,
    moves_last_recorded_pull_time: bool = False,
    mask_accounts: bool = False,
    max_in_flight: int = 32,
    max_calls: int | None = None,
    max_seconds: float | None = None,
    spool_folder: str | None = None,
    scopes: Sequence[ScopeSetting] | None = None,
    table_format: str | None = None,
) -> Iterator[DltResource]:
    """Amazon ECR as dlt resources: one per table of the catalog, and four that tell how the run went.

    Every argument can come from dlt's configuration too (`sources.ecr.regions`, `SOURCES__ECR__REGIONS`). Nothing is
    called before a pipeline extracts, and a table that is not selected is not read. `session` and `scopes` are for
    programs: they cannot come from the configuration. A list of one can be a plain text, and one with commas is more:
    `tables="images,findings"`.

    Args:
        regions: the regions to read, `all` being those that are enabled for the account; the session's region, if none
            is given.
        exclude_regions: regions not to read.
        profile: an AWS profile; boto3's credential chain decides, if none is given.
        session: a boto3 session, in the place of boto3's credential chain.
        endpoint_url: the endpoint of all services, instead of AWS's own.
        registry_id: another account's registry, by its account id.
        role_arns: roles to assume, each reading its own account. One may have `{account}` in the place of the account
            and stands for each of `accounts`, or of the `organization`; the caller's own account is read without it.
        accounts: the accounts that such a role stands for.
        exclude_accounts: accounts of the organization not to read.
        organization: read all active accounts of the caller's organization, or those of `accounts`.
        organizational_units: read only the accounts in these units, and those below them, by their ids.
        exclude_organizational_units: do not read the accounts in these units, nor those below them.
        inspector_account: ask Amazon Inspector in this account, its delegated administrator, about all accounts.
        external_id: handed to AssumeRole.
        role_session_name: the name of the session, which CloudTrail shows.
        repositories: read only the repositories of these names, or that match these shell patterns (`team-1/*`); the
            rows of all others stay as they are.
        tables: the tables to load, by name or by group (repositories, images, policies, registry, findings,
            image_status, usage, previews, manifests, public; default is the first five, all is all but manifests). The
            default ones, if none is given.
        mode: how rows get into the tables. `snapshot`: afterwards the tables equal the registry. `incremental`: rows
            newer than the newest of the last run are appended. `history`: every change of a row closes one version of
            it and opens another (dlt's scd2). A dataset has one mode, which is taken if none is given (`snapshot` for
            a new one), but one of `snapshot` becomes one of `history` when it is asked for, in DuckDB and Postgres.
        initial_value: incremental mode only: load what was created from here on (ISO 8601), until there is a cursor.
        end_value: incremental mode only: load what was created before; exactly this window, and no cursor is kept.
        findings_from: who is asked for findings. `ecr`: each image is asked for its own. `inspector2`: where the
            registry scans ENHANCED, Inspector tells those of all images, a hundred a call; elsewhere, or where
            inspector2:ListFindings is denied, each image is asked.
        findings_latest: ask for the findings of the newest so many images of each repository only, indexes and what is
            attached to an image aside. Of one, where `tables` do not name findings; else of all.
        findings_pushed_within: ask for the findings of images pushed within so many days only.
        findings_tag: ask for the findings of images with a tag that matches this shell pattern only.
        findings_max_age: ask again for what an image was asked longer ago than so many days.
        moves_last_recorded_pull_time: allows the group manifests, whose reading counts as a pull of each image, which
            lifecycle rules may act on.
        mask_accounts: put stable pseudonyms in place of account ids, in all that is loaded; the environment variable
            ECR_SOURCE_MASK_KEY holds the key. A dataset is masked from its first load on, with one key.
        max_in_flight: the most calls under way at once, in all scopes together.
        max_calls: make at most so many calls; what they do not reach is read first by the next run.
        max_seconds: start no call later than so many seconds after reading began; the same holds.
        spool_folder: where rows wait until their listing is complete; the pipeline's working folder, if none is given.
        scopes: read exactly these, of those that `find_scopes` told for the same accounts, regions and tables.
        table_format: `delta` or `iceberg`, for the destination filesystem; plain Parquet files, if none is given.

    Raises:
        ConfigurationError: an argument is wrong, there is no key to mask accounts with, or the dataset was loaded in
            another mode or masked otherwise.
        CredentialsRejected: AWS does not accept the credentials.
        OrganizationUnreadable: the organization does not tell its accounts.

    A scope (account and region) that cannot be read raises nothing: its rows stay as they are, and the table
    `extraction_scopes` and `read_outcome` tell.
    """
    settings = Settings.of(locals())
    check_configuration()
    if mode is not None:
        mode_of(settings, mode)  # refused here, and not when the first rows are asked for
    tables_chosen = catalog.select_tables(settings.tables or ())
    bounds_of(settings, tables_chosen)  # this too
    walk = LoadWalk(
        access_of(settings, session),
        mode,
        partial(mode_of, settings),
        names=tuple(settings.repositories or ()),
        bounds_for=partial(bounds_of, settings),
        without=operations_without(settings),
        moves_last_recorded_pull_time=moves_last_recorded_pull_time,
        max_calls=_not_negative("calls", max_calls),
        max_seconds=_not_negative("seconds", max_seconds),
        masked_with=mask_key() if mask_accounts else None,
        spool_folder=spool_folder,
        scopes=tuple(scopes or ()),
        table_format=table_format,
    )
    yield from _resources(walk, tables_chosen)


def _not_negative(what: str, number: _Number | None) -> _Number | None:
    if number is not None and number < 0:
        raise ConfigurationError(f"a budget of {number} {what} is negative: give a number from 0 on")
    return number


def mode_of(settings: Settings, name: str) -> Mode:
    """The load mode of this name, with what the settings say of it.

    Raises:
        ConfigurationError: there is none, or they say what does not belong to it.
    """
    mode = parse_mode(name, settings.initial_value, settings.end_value, settings.table_format)
    if settings.repositories and isinstance(mode, IncrementalAppend):
        raise ConfigurationError(
            "single repositories cannot be read in incremental mode, whose cursor would pass over the others:"
            " use snapshot or history, or read them all"
        )
    return mode


def bounds_of(settings: Settings, tables: Sequence[Table]) -> Bounds:
    """Which images are asked for their findings, where these tables are read.

    Raises:
        ConfigurationError: a bound is negative.
    """
    latest, days, oldest = _latest(settings, tables), settings.findings_pushed_within, settings.findings_max_age
    for name, value in (("latest", latest), ("pushed within", days), ("max age", oldest)):
        if value is not None and value < 0:
            raise ConfigurationError(f"findings {name} {value} is negative: give a number from 0 on")
    within = timedelta(days=days) if days is not None else None
    return Bounds(latest, within, settings.findings_tag, timedelta(days=oldest))


def _latest(settings: Settings, tables: Sequence[Table]) -> int | None:
    """So many of the newest images of a repository are asked for their findings: one, where nobody has chosen any."""
    bounds = (settings.findings_latest, settings.findings_pushed_within, settings.findings_tag)
    names = settings.tables or ()
    is_chosen = catalog.are_findings_chosen(names) or {*tables} != {*catalog.select_tables(names)}
    return settings.findings_latest if is_chosen or any(bound is not None for bound in bounds) else 1


def operations_without(settings: Settings) -> Collection[Operation]:
    """The operations that are not called.

    Raises:
        ConfigurationError: findings cannot be read from there, or not with bounds.
    """
    without = catalog.not_called(settings.findings_from)
    bounds = (settings.findings_latest, settings.findings_pushed_within, settings.findings_tag)
    if settings.findings_from != "ecr" and any(bound is not None for bound in bounds):
        raise ConfigurationError(
            f"bounds on images save calls for each image, which {settings.findings_from} does not need: leave them out"
        )
    return without


def _resources(walk: LoadWalk, selected: Sequence[Table]) -> Iterator[DltResource]:
    tables: list[Table | RunTable] = [*catalog.TABLES, *catalog.RECORD_TABLES]
    for table in tables:
        resource = dlt.resource(
            cast("Iterator[object]", _TableItems(walk, table)),  # dlt takes what can be iterated
            name=table.name,
            table_format=cast("TTableFormat", walk.table_format),
        )
        resource.selected = table in selected or isinstance(table, RunTable)
        yield resource
    for run_table, rows in ((catalog.EXTRACTION_SCOPES, scope_rows), (catalog.EXTRACTION_ERRORS, error_rows)):
        yield dlt.resource(
            cast("Iterator[object]", _LedgerItems(walk, run_table, rows)),
            name=run_table.name,
            columns=dlt_columns(run_table),
            primary_key=run_table.key,
            write_disposition="append",
            table_format=cast("TTableFormat", walk.table_format),
        )


# Of a function dlt works out how it is configured: 5 ms for each of 71 resources that nobody configures.
@dataclass(frozen=True)
class _TableItems:
    """The rows of a table in a walk, each time they are asked for."""

    walk: LoadWalk
    table: Table | RunTable

    def __iter__(self) -> Items:
        files = self.walk.files(self.table)
        # Where nothing could be read, a table is made all the same: a query on it says that there are no rows.
        if not files and is_made(self.table):
            return
        mode = self.walk.mode
        if isinstance(self.table, RunTable):
            _load_as(mode.of_records, self.table)
            yield from mode.of_records.items(self.table, files)
        else:
            _load_as(mode, self.table)
            yield from mode.items(self.table, files)


def _load_as(mode: Mode | Appended, table: Table | RunTable) -> None:
    """Says of the resource that extracts `table` how its rows are loaded: before a walk began the mode is not known."""
    resource = current_destination().load_exactly(dlt.current.resource())
    resource.apply_hints(
        columns=dlt_columns(table),
        primary_key=table.key if mode.unique_key else (),
        write_disposition=mode.write_disposition,
    )


@dataclass(frozen=True)
class _LedgerItems:
    """The rows of a table that tells of the walk itself."""

    walk: LoadWalk
    table: RunTable
    rows: Callable[[str, str, Outcome], pa.Table]

    def __iter__(self) -> Items:
        current_destination().load_exactly(dlt.current.resource())
        outcome = self.walk.outcome()
        rows = self.rows(self.walk.load_id, self.walk.mode.name, outcome)
        if rows.num_rows or not is_made(self.table):
            yield rows


def read_outcome(pipeline: dlt.Pipeline) -> Outcome:
    """How the last run of `pipeline` that extracted `ecr_source` came out, from dlt's trace.

    Raises:
        EcrSourceError: the trace does not tell, so that nobody takes silence for success.
    """
    return Outcome.from_json(_last_metrics(pipeline)[OUTCOME])


def read_changes(pipeline: dlt.Pipeline) -> Changes | None:
    """What that run has changed; None where nothing was there before, or the destination is not asked for it.

    Raises:
        EcrSourceError: the trace does not tell.
    """
    changes = _last_metrics(pipeline).get(CHANGES)
    return Changes.from_json(changes) if changes else None


def _last_metrics(pipeline: dlt.Pipeline) -> Mapping[str, Any]:
    """What the walk of the last run noted in dlt's trace."""
    trace = pipeline.last_trace if pipeline.config.enable_runtime_trace else None
    for step in reversed(trace.steps if trace else []):
        for loads in getattr(step.step_info, "metrics", {}).values():
            for resource in (resource for load in loads for resource in load.get("resource_metrics", {}).values()):
                if OUTCOME in resource.custom_metrics:
                    metrics: Mapping[str, Any] = resource.custom_metrics
                    return metrics
    raise EcrSourceError(
        f'the trace of pipeline "{pipeline.pipeline_name}" has no run of ecr_source:'
        " turn dlt's enable_runtime_trace on, or look into the table extraction_scopes"
    )


def dlt_columns(table: Table | RunTable) -> TTableSchemaColumns:
    """dlt's column hints: the Arrow schema's own, so that nothing differs, and the descriptions."""
    columns = py_arrow_to_table_schema_columns(arrow_schema(table))
    for name, description in column_descriptions(table).items():
        columns[name]["description"] = description
    return columns
