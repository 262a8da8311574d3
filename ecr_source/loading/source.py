"""The dlt edge: one dlt resource per table, hints from the catalog, one walk for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

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
from ecr_source.extract.image_selection import Bounds
from ecr_source.extract.ledger import Outcome, error_rows, scope_rows
from ecr_source.extract.pseudonyms import mask_key
from ecr_source.loading.configuration import access_of
from ecr_source.loading.current import current_destination
from ecr_source.loading.modes import IncrementalAppend, Items, parse_mode
from ecr_source.loading.settings import Settings
from ecr_source.loading.shared_walk import OUTCOME, LoadWalk
from ecr_source.loading.unchanged import is_made

_Number = TypeVar("_Number", int, float)


if dlt.config.get("runtime.dlthub_telemetry") is None:
    # Off unless the user turns it on; dlt's own default is on, and has taken effect with its import.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    disable_anon_tracker()

provide_s3()


@dlt.source(name="ecr", section="ecr")
def ecr_source(
    regions: Sequence[str] | None = None,
    exclude_regions: Sequence[str] | None = None,
    profile: str | None = None,
    session: Session | None = None,
    endpoint_url: str | None = None,
    registry_id: str | None = None,
    role_arns: Sequence[str] | None = None,
    accounts: Sequence[str] | None = None,
    exclude_accounts: Sequence[str] | None = None,
    organization: bool = False,
    organizational_units: Sequence[str] | None = None,
    exclude_organizational_units: Sequence[str] | None = None,
    external_id: TSecretStrValue | None = None,
    role_session_name: str = "ecr-source",
    repositories: Sequence[str] | None = None,
    tables: Sequence[str] | None = None,
    mode: str = "snapshot",
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
    """Amazon ECR as dlt resources: one per table of the catalog, and three that tell how the run went.

    Every argument can come from dlt's configuration too (`sources.ecr.regions`, `SOURCES__ECR__REGIONS`). Nothing is
    called before a pipeline extracts, and a table that is not selected is not read. `session` and `scopes` are for
    programs: they cannot come from the configuration.

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
        external_id: handed to AssumeRole.
        role_session_name: the name of the session, which CloudTrail shows.
        repositories: read only these repositories; the rows of all others stay as they are.
        tables: the tables to load, by name or by group (repositories, images, policies, registry, findings,
            image_status, previews, manifests, public; all is all but manifests). The first four, if none is given.
        mode: how rows get into the tables. `snapshot`: afterwards the tables equal the registry. `incremental`: rows
            newer than the newest of the last run are appended. `history`: every change of a row closes one version of
            it and opens another (dlt's scd2). A dataset has one mode.
        initial_value: incremental mode only: load what was created from here on (ISO 8601), until there is a cursor.
        end_value: incremental mode only: load what was created before; exactly this window, and no cursor is kept.
        findings_from: who is asked for findings. `ecr`: each image is asked for its own. `inspector2`: where the
            registry scans ENHANCED, Inspector tells those of all images, a hundred a call; elsewhere, or where
            inspector2:ListFindings is denied, each image is asked.
        findings_latest: ask for the findings of the newest so many images of each repository only.
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
    load_mode = parse_mode(mode, initial_value, end_value, table_format)
    if repositories and isinstance(load_mode, IncrementalAppend):
        raise ConfigurationError(
            "single repositories cannot be read in incremental mode, whose cursor would pass over the others:"
            " use snapshot or history, or read them all"
        )
    walk = LoadWalk(
        access_of(settings, session),
        load_mode,
        names=tuple(repositories or ()),
        bounds=_bounds(settings),
        without=_without(settings),
        moves_last_recorded_pull_time=moves_last_recorded_pull_time,
        max_calls=_not_negative("calls", max_calls),
        max_seconds=_not_negative("seconds", max_seconds),
        masked_with=mask_key() if mask_accounts else None,
        spool_folder=spool_folder,
        scopes=tuple(scopes or ()),
        table_format=table_format,
    )
    yield from _resources(walk, catalog.select_tables(tables or ()))


def _not_negative(what: str, number: _Number | None) -> _Number | None:
    if number is not None and number < 0:
        raise ConfigurationError(f"a budget of {number} {what} is negative: give a number from 0 on")
    return number


def _bounds(settings: Settings) -> Bounds:
    latest, days, oldest = settings.findings_latest, settings.findings_pushed_within, settings.findings_max_age
    for name, value in (("latest", latest), ("pushed within", days), ("max age", oldest)):
        if value is not None and value < 0:
            raise ConfigurationError(f"findings {name} {value} is negative: give a number from 0 on")
    within = timedelta(days=days) if days is not None else None
    return Bounds(latest, within, settings.findings_tag, timedelta(days=oldest))


def _without(settings: Settings) -> Collection[Operation]:
    without = catalog.not_called(settings.findings_from)
    bounds = (settings.findings_latest, settings.findings_pushed_within, settings.findings_tag)
    if settings.findings_from != "ecr" and any(bound is not None for bound in bounds):
        raise ConfigurationError(
            f"bounds on images save calls for each image, which {settings.findings_from} does not need: leave them out"
        )
    return without


def _resources(walk: LoadWalk, selected: Sequence[Table]) -> Iterator[DltResource]:
    for table in catalog.TABLES:
        resource = dlt.resource(
            cast("Iterator[object]", _TableItems(walk, table)),  # dlt takes what can be iterated
            name=table.name,
            columns=dlt_columns(table),
            primary_key=table.key if walk.mode.unique_key else (),
            write_disposition=walk.mode.write_disposition,
            table_format=cast("TTableFormat", walk.table_format),
        )
        resource.selected = table in selected
        yield resource
    yield dlt.resource(
        cast("Iterator[object]", _RecordItems(walk)),
        name=catalog.EXTRACTION_IMAGES.name,
        columns=dlt_columns(catalog.EXTRACTION_IMAGES),
        primary_key=catalog.EXTRACTION_IMAGES.key if walk.mode.of_records.unique_key else (),
        write_disposition=walk.mode.of_records.write_disposition,
        table_format=cast("TTableFormat", walk.table_format),
    )
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
    table: Table

    def __iter__(self) -> Items:
        current_destination().load_exactly(dlt.current.resource())
        files = self.walk.files(self.table)
        # Where nothing could be read, a table is made all the same: a query on it says that there are no rows.
        if files or self.table.name not in dlt.current.source_schema().tables:
            yield from self.walk.mode.items(self.table, files)


@dataclass(frozen=True)
class _RecordItems:
    """The rows of the table that tells what images were asked."""

    walk: LoadWalk

    def __iter__(self) -> Items:
        current_destination().load_exactly(dlt.current.resource())
        if files := self.walk.files(catalog.EXTRACTION_IMAGES):
            yield from self.walk.mode.of_records.items(catalog.EXTRACTION_IMAGES, files)


@dataclass(frozen=True)
class _LedgerItems:
    """The rows of a table that tells of the walk itself."""

    walk: LoadWalk
    table: RunTable
    rows: Callable[[str, str, Outcome], pa.Table]

    def __iter__(self) -> Items:
        current_destination().load_exactly(dlt.current.resource())
        rows = self.rows(self.walk.load_id, self.walk.mode.name, self.walk.outcome())
        if rows.num_rows or not is_made(self.table):
            yield rows


def read_outcome(pipeline: dlt.Pipeline) -> Outcome:
    """How the last run of `pipeline` that extracted `ecr_source` came out, from dlt's trace.

    Raises:
        EcrSourceError: the trace does not tell, so that nobody takes silence for success.
    """
    trace = pipeline.last_trace if pipeline.config.enable_runtime_trace else None
    for step in reversed(trace.steps if trace else []):
        for loads in getattr(step.step_info, "metrics", {}).values():
            for resource in (resource for load in loads for resource in load.get("resource_metrics", {}).values()):
                if OUTCOME in resource.custom_metrics:
                    return Outcome.from_json(resource.custom_metrics[OUTCOME])
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
