"""Registries into a warehouse by Airflow 3: a task for each scope, and a last one that says what is missing.

Copy it into the DAGs folder; every worker needs `ecr-source` with the destination's extra, and Airflow's amazon
provider. AWS credentials come from the connection `aws_conn_id`, those of the destination from `destination_conn_id`
or, without one, from dlt's own configuration (the environment, or Airflow's variable `dlt_secrets_toml`). In
incremental mode a run loads its data interval, so that `airflow backfill create` loads each once; a run without an
interval is refused.

dlt's own helper for Airflow (`PipelineTasksGroup`) is not used: it makes a task of each table, and all tables of a
scope come from one walk.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypedDict

from airflow.sdk import BaseHook, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable

if TYPE_CHECKING:
    import dlt

    from ecr_source.aws.scopes import ScopeSetting

SCHEDULE = CronDataIntervalTimetable("@daily", timezone="UTC")
FIRST_DAY = datetime(2026, 1, 1)  # in the timetable's zone; no earlier interval can be filled
TASKS_AT_ONCE = 8
LONGEST_LABEL = 250
"""What Airflow's database holds of the name of a mapped task."""

PARAMS = {
    "settings": Param({}, type="object", title="Arguments of ecr_source: regions, role_arns, organization, tables, …"),
    "mode": Param(None, enum=[None, "snapshot", "incremental", "history"], title="The dataset's own, if none is given"),
    "aws_conn_id": Param("aws_default", type="string", title="Airflow connection with the AWS credentials"),
    "destination": Param("postgres", type="string", title="dlt destination"),
    "destination_conn_id": Param(
        None, type=["null", "string"], title="Airflow connection to it, if it has a URL; else dlt's configuration"
    ),
    "dataset": Param("aws_ecr", type="string", title="Schema of the tables"),
    "report": Param(
        None, type=["null", "string"], title="Where to write a report at the end: a path, or s3://bucket/…"
    ),
    "scopes_per_task": Param(1, type="integer", minimum=1, title="More, where there are thousands of scopes"),
}


class Batch(TypedDict):
    """What one task loads."""

    number: int
    scopes: list[ScopeSetting]


@dag(
    dag_id="ecr",
    schedule=SCHEDULE,
    start_date=FIRST_DAY,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args={"retries": 3},
    doc_md=__doc__,
    tags=["ecr"],
)
def ecr() -> None:
    """Find the scopes, load each, write the ledger."""

    @task
    def find() -> list[Batch]:
        """The scopes, in batches of `scopes_per_task`."""
        from ecr_source import find_scopes

        context = get_current_context()
        params = context["params"]
        with _no_second_try():
            if context.get("data_interval_start") is None:
                _check_window(params)
            scopes = find_scopes(**_aws(params) | _settings(params))
        # Postgres has a lock that tasks take turns by; into any other destination one task loads all scopes.
        size = params["scopes_per_task"] if params["destination"] == "postgres" else len(scopes)
        return [
            Batch(number=number, scopes=scopes[start : start + size])
            for number, start in enumerate(range(0, len(scopes), size))
        ]

    @task(
        max_active_tis_per_dagrun=TASKS_AT_ONCE,
        map_index_template="{{ scopes }}",
        multiple_outputs=False,
        show_return_value_in_logs=False,
    )
    def load(batch: Batch) -> dict[str, Any]:
        """Loads the scopes of a batch; an ordinary run of a pipeline, that can be cleared and run again alone."""
        from ecr_source import load_scopes

        context = get_current_context()
        context["scopes"] = _label(batch)
        params = context["params"]
        with _no_second_try(), _pipeline(_pipeline_name(batch), params) as pipeline:
            outcome = load_scopes(pipeline, batch["scopes"], **_aws(params) | _settings(params))
        failed = [table.message for table in outcome.tables if table.status == "failed"]
        if failed and context["ti"].try_number <= context["ti"].max_tries:
            raise AirflowException(f"tried again, because it may pass: {failed[0]}")
        return {"number": batch["number"], "outcome": outcome.as_json()}

    @task(trigger_rule="all_done")
    def write_ledger(batches: list[Batch] | None, loads: Any) -> None:
        """Writes what came of all scopes, and the report; fails if one of them is incomplete, and names it."""
        from ecr_source import Outcome, write_report
        from ecr_source import write_ledger as write
        from ecr_source.errors import IncompleteRun

        if batches is None:
            raise AirflowFailException("nothing was loaded: the scopes could not be found, see the log of that task")
        context = get_current_context()
        params = context["params"]
        outcomes = {loaded["number"]: Outcome.from_json(loaded["outcome"]) for loaded in loads or ()}
        lost = [scope for batch in batches if batch["number"] not in outcomes for scope in batch["scopes"]]
        with _pipeline("ecr_ledger", params) as pipeline:
            outcome = write(pipeline, context["run_id"], outcomes.values(), lost, **_settings(params))
            if params["report"]:
                write_report(pipeline, params["report"])
        try:
            outcome.raise_on_incomplete()
        except IncompleteRun as incomplete:
            raise AirflowFailException(str(incomplete)) from incomplete

    batches = find()
    write_ledger(batches, load.expand(batch=batches))


def _settings(params: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `ecr_source`, but for those that say how AWS is reached."""
    return {"mode": params["mode"], **params["settings"]}


def _aws(params: dict[str, Any]) -> dict[str, Any]:
    """How AWS is reached: by Airflow's connection; without `aws_default`, by what boto3 finds on the worker."""
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    conn_id = params["aws_conn_id"]
    if conn_id != AwsBaseHook.default_conn_name:
        BaseHook.get_connection(conn_id)  # the hook would go on without one that does not exist
    hook = AwsBaseHook(aws_conn_id=conn_id, client_type="ecr")
    return {"session": hook.get_session(), "endpoint_url": hook.conn_config.endpoint_url}


def _check_window(params: dict[str, Any]) -> None:
    """Checks that a run without a data interval needs none."""
    from ecr_source import find_mode
    from ecr_source.errors import ConfigurationError

    if "end_value" in params["settings"]:
        return
    with _pipeline("ecr_ledger", params) as pipeline:
        mode = find_mode(pipeline, **_settings(params))
    if mode == "incremental":
        raise ConfigurationError(
            "a run in incremental mode loads its data interval, and this one has none: trigger it with --logical-date,"
            " backfill it, or give initial_value and end_value in settings"
        )


@contextmanager
def _no_second_try() -> Iterator[None]:
    """What is wrong with the settings is so at each try."""
    from ecr_source.errors import ConfigurationError

    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ConfigurationError):
                raise AirflowFailException(str(cause)) from error
            cause = cause.__cause__
        raise


@contextmanager
def _pipeline(name: str, params: dict[str, Any]) -> Iterator[dlt.Pipeline]:
    """A pipeline in a folder of its own; what it must know of earlier runs is in the destination."""
    import dlt

    with TemporaryDirectory(prefix="ecr-source-") as folder:
        yield dlt.pipeline(name, pipelines_dir=folder, destination=_destination(params), dataset_name=params["dataset"])


def _destination(params: dict[str, Any]) -> Any:
    from dlt.common.destination import Destination

    from ecr_source import postgres

    conn_id, name = params["destination_conn_id"], params["destination"]
    if name == "postgres":
        return postgres() if conn_id is None else postgres(_postgres_credentials(conn_id))
    return Destination.from_reference(name, BaseHook.get_connection(conn_id).get_uri() if conn_id else None)


def _postgres_credentials(conn_id: str) -> dict[str, Any]:
    """The connection as PostgresHook reads it: what it knows of the extra is its own, all else is libpq's."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    connection = BaseHook.get_connection(conn_id)
    extra = connection.extra_dejson
    if extra.get("iam"):
        raise AirflowFailException(f"the connection {conn_id} has iam, whose tokens expire while scopes are read")
    return {
        "host": connection.host,
        "port": connection.port or 5432,
        "username": connection.login,
        "password": connection.password,
        "database": connection.schema,
        "query": {name: str(extra[name]) for name in extra.keys() - PostgresHook.ignored_extra_options},
    }


def _label(batch: Batch) -> str:
    """What Airflow shows of a mapped task: its scopes, or, where these are too many, the first."""
    first, *others = (f"{scope['registry_id']}/{scope['region']}" for scope in batch["scopes"])
    label = ", ".join([first, *others])
    return label if len(label) <= LONGEST_LABEL else f"{first} and {len(others)} more"


def _pipeline_name(batch: Batch) -> str:
    """dlt keeps state by the name of the pipeline: one for each scope, or batch."""
    if len(batch["scopes"]) > 1:
        return f"ecr_batch_{batch['number']}"
    (scope,) = batch["scopes"]
    return f"ecr_{scope['registry_id']}_{scope['region']}".replace("-", "_")


ecr()
