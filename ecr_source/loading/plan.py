"""What a run would cost now: calls and seconds of each group in each scope, by what is loaded of earlier runs."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from dlt.destinations.exceptions import DatabaseException

from ecr_source import catalog
from ecr_source.aws.api import Api
from ecr_source.aws.dispatch import Calls
from ecr_source.aws.scopes import Found, Target, Unreachable
from ecr_source.catalog.table import Operation, Table
from ecr_source.errors import DestinationUnusable, as_sentence
from ecr_source.extract.forecast import Forecast, ScopeForecast
from ecr_source.extract.walk import Walk, errors_without_matched
from ecr_source.loading.loaded.dataset import Dataset
from ecr_source.loading.loaded.earlier_runs import EarlierRuns


@dataclass(frozen=True)
class Cost:
    """What one group costs in one scope: calls, and seconds at the rate seen; None where the scope cannot be asked.

    `note` says why it cannot, or why it may be more: earlier runs have not told how much there is.
    """

    scope: str
    group: str
    calls: int | None
    seconds: float | None
    note: str = ""
    is_least: bool = False

    @property
    def unreadable(self) -> bool:
        """Whether the scope cannot be asked."""
        return self.calls is None


@dataclass(frozen=True)
class Plan:
    """What a run would cost; `messages` are of repositories that were asked for and that no scope has."""

    costs: list[Cost] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


def plan(walk: Walk, scopes: Sequence[Found], dataset: Dataset, earlier: EarlierRuns) -> Plan:
    """What the walk over these scopes would cost, where `dataset` is what it loads into, and tells of `earlier` runs.

    Of the calls it makes those that list repositories, and those that say who can tell findings.

    Raises:
        DestinationUnusable: what is loaded cannot be read.
    """
    costs: list[Cost] = []
    forecasts: list[Forecast] = []
    with told_as_unusable(dataset), dataset.opened(), Calls(walk.max_in_flight) as calls:
        earlier.ask_of_scopes()
        for found in scopes:
            groups = _operations_by_group(walk.tables_of(found), walk.without)
            if isinstance(found, Unreachable):
                costs += [_unreadable(found, group, str(found.error)) for group in groups]
                continue
            forecast, calls_a_second = _forecast(walk, calls, found)
            seen = earlier.calls_a_second(found.scope) or calls_a_second
            costs += [_cost(found, group, operations, forecast, seen) for group, operations in groups.items()]
            forecasts.append(forecast)
    errors = errors_without_matched([(forecast.errors, forecast.matched) for forecast in forecasts])
    return Plan(costs, list(dict.fromkeys(as_sentence(error.message) for some in errors for error in some)))


@contextmanager
def told_as_unusable(dataset: Dataset) -> Iterator[None]:
    """Tells of what goes wrong when what is loaded is looked at in one sentence."""
    try:
        yield
    except DatabaseException as error:
        reason = " ".join(str(error).split())
        raise DestinationUnusable(f"cannot read what is loaded in {dataset.name}: {reason}") from error


def _forecast(walk: Walk, calls: Calls, target: Target) -> tuple[Forecast, float]:
    """The forecast of a scope, and how many calls a second were seen when its repositories were listed."""
    connection = target.connect()
    api = Api(connection)
    started = time.monotonic()
    try:
        forecast = ScopeForecast(walk, api, calls, target.region_from).forecast()
    finally:
        connection.close()
    made = sum(usage.calls for usage in api.usage.values())
    return forecast, walk.max_in_flight * max(1, made) / (time.monotonic() - started)


def _operations_by_group(tables: Sequence[Table], without: Collection[Operation]) -> dict[str, list[Operation]]:
    """Each operation in the group that needs it first, where an outcome counts its calls too."""
    groups: dict[str, list[Operation]] = {catalog.group_of(table): [] for table in tables}
    seen: set[Operation] = set()
    for table in tables:
        operations = catalog.operations_of([table], without)
        groups[catalog.group_of(table)] += [operation for operation in operations if operation not in seen]
        seen.update(operations)
    return groups


def _unreadable(found: Found, group: str, reason: str) -> Cost:
    return Cost(str(found.scope), group, None, None, as_sentence(reason))


def _cost(found: Found, group: str, operations: Sequence[Operation], forecast: Forecast, seen: float) -> Cost:
    if reason := next(filter(None, map(forecast.why_unknown, operations)), ""):
        return _unreadable(found, group, reason)
    counts = [count for count in forecast.counts if count.operation in operations]
    calls = sum(count.calls for count in counts)
    unknown = dict.fromkeys(count.unknown for count in counts if count.unknown)
    note = f"at least; more: {' and '.join(unknown)}" if unknown else ""
    return Cost(str(found.scope), group, calls, calls / seen, note, is_least=bool(unknown))
