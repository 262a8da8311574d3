"""What a run would cost: calls and seconds of each group in each scope, from the listing of repositories alone."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dlt.destinations.exceptions import DatabaseException

from ecr_source import catalog
from ecr_source.aws.access import Access
from ecr_source.aws.api import Api
from ecr_source.aws.scopes import Found, Scope, Unreachable, discover_scopes
from ecr_source.catalog.table import EachRow, EachValue, Operation, Table
from ecr_source.catalog.tables.image import IMAGES
from ecr_source.catalog.tables.public import DESCRIBE_REPOSITORIES as DESCRIBE_PUBLIC_REPOSITORIES
from ecr_source.catalog.tables.public import PUBLIC_REPOSITORIES
from ecr_source.catalog.tables.repository import DESCRIBE_REPOSITORIES, REPOSITORIES
from ecr_source.errors import CallFailed, DestinationUnusable, as_sentence
from ecr_source.loading.dataset import Dataset

_LISTINGS = {REPOSITORIES: DESCRIBE_REPOSITORIES, PUBLIC_REPOSITORIES: DESCRIBE_PUBLIC_REPOSITORIES}


@dataclass(frozen=True)
class Cost:
    """What one group costs in one scope: at most so many calls, and seconds at the rate seen.

    None where it is not known: how many images there are, before they were loaded once; `note` says so, or why the
    scope could not be asked.
    """

    scope: str
    group: str
    calls: int | None
    seconds: float | None
    note: str = ""
    unreadable: bool = False


@dataclass(frozen=True)
class Known:
    """What a dataset tells of earlier runs."""

    dataset: Dataset

    def images(self, scope: Scope) -> int | None:
        """How many images the scope had when they were loaded last; None if they never were."""
        with self._told_as_unusable(IMAGES.name):
            return self.dataset.images(scope)

    def calls_a_second(self, scope: Scope) -> float | None:
        """The rate of the calls of the last runs in the scope; None if there were few, or none."""
        with self._told_as_unusable(catalog.EXTRACTION_SCOPES.name):
            return self.dataset.calls_a_second(scope)

    @contextmanager
    def _told_as_unusable(self, table: str) -> Iterator[None]:
        try:
            yield
        except DatabaseException as error:
            raise DestinationUnusable(
                f"cannot read {table} in {self.dataset.name}: {' '.join(str(error).split())}"
            ) from error


def plan(
    access: Access, tables: Sequence[Table], names: Sequence[str], without: Collection[Operation], known: Known
) -> list[Cost]:
    """The cost of the groups of `tables` in each scope, read `without` these operations.

    Of the calls it makes those that list repositories.

    Raises:
        ConfigurationError, CredentialsRejected, OrganizationUnreadable: as `discover_scopes`.
    """
    services = {operation.service for operation in catalog.operations_of(tables, without)}
    costs = []
    for found in discover_scopes(access, services):
        mine = [table for table in tables if table.operation.service in found.services]
        costs += _plan_scope(found, _operations_by_group(mine, without), names, known, access.max_in_flight)
    return costs


def _plan_scope(
    found: Found,
    groups: dict[str, list[Operation]],
    names: Sequence[str],
    known: Known,
    max_in_flight: int,
) -> list[Cost]:
    scope = str(found.scope)
    started = time.monotonic()
    if isinstance(found, Unreachable):
        return [Cost(scope, group, None, None, as_sentence(str(found.error)), unreadable=True) for group in groups]
    connection = found.connect()
    api = Api(connection)
    try:
        counts = {parent: len(names) or _count(api, parent) for parent in _listed(groups)}
    except CallFailed as error:
        return [Cost(scope, group, None, None, as_sentence(str(error)), unreadable=True) for group in groups]
    finally:
        connection.close()
    calls = sum(usage.calls for usage in api.usage.values())
    seen = known.calls_a_second(found.scope) or max_in_flight * max(1, calls) / (time.monotonic() - started)
    images = known.images(found.scope)
    if images is not None:
        counts[IMAGES] = images
    return [_cost(scope, group, operations, counts, seen) for group, operations in groups.items()]


def _operations_by_group(tables: Sequence[Table], without: Collection[Operation]) -> dict[str, list[Operation]]:
    """Each operation in the group that needs it first; not those that only stand in for another."""
    groups: dict[str, list[Operation]] = {catalog.group_of(table): [] for table in tables}
    seen: set[Operation] = set()
    for table in tables:
        operations = catalog.operations_of([table], without)
        seen.update(operation.instead for operation in operations if operation.instead)
        groups[catalog.group_of(table)] += [operation for operation in operations if operation not in seen]
        seen.update(operations)
    return groups


def _cost(scope: str, group: str, operations: Sequence[Operation], counts: dict[Table, int], seen: float) -> Cost:
    calls = [calls_of(operation, counts) for operation in operations]
    told = [count for count in calls if count is not None]
    if len(told) < len(calls):
        return Cost(scope, group, None, None, "one call an image or more: load the group images once to know how many")
    return Cost(scope, group, sum(told), sum(told) / seen)


def calls_of(operation: Operation, counts: dict[Table, int]) -> int | None:
    """How often `operation` is called where the tables have so many rows, at most; None where that is not known."""
    match operation.each:
        case EachValue(_, values):
            return len(values)
        case EachRow(table, _, at_a_time):
            count = counts.get(table, None if table is IMAGES else 0)
            return None if count is None else math.ceil(count / at_a_time)
    return max(1, math.ceil(_rows_listed(operation, counts) / (operation.page_size or 1)))


def _rows_listed(operation: Operation, counts: dict[Table, int]) -> int:
    """How many rows a listing has at most; where that is not known it is taken for one page."""
    if operation.instead and isinstance(operation.instead.each, EachRow):
        return counts.get(operation.instead.each.table, 0)
    return next((counts.get(table, 0) for table, listing in _LISTINGS.items() if listing is operation), 1)


def _listed(groups: dict[str, list[Operation]]) -> list[Table]:
    """The tables of repositories, private or public, that the operations are called for or that they list."""
    operations = {operation for group in groups.values() for operation in group}
    parents = {operation.parent for operation in operations}
    return [table for table, listing in _LISTINGS.items() if listing in operations or table in parents]


def _count(api: Api, table: Table) -> int:
    (member,) = (level.removesuffix("[]") for level in table.fillings[0].levels)
    return sum(len(response.member(member) or ()) for response in api.pages(_LISTINGS[table]))
