"""What a run would be allowed to read: one page of each operation in each scope, and nothing is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

import pyarrow as pa

from ecr_source import catalog
from ecr_source.aws.access import Access
from ecr_source.aws.accounts import identify
from ecr_source.aws.api import Api
from ecr_source.aws.response import Response
from ecr_source.aws.scopes import Found, Scope, Unreachable, discover_scopes
from ecr_source.catalog.model import iam_action
from ecr_source.catalog.schema import TIMESTAMP, arrow_schema
from ecr_source.catalog.table import EachRow, EachValue, Operation, Table
from ecr_source.errors import Absent, CallFailed, EcrSourceError, Gone, as_sentence
from ecr_source.extract.flatten import flatten
from ecr_source.extract.page import Page
from ecr_source.statuses import ALLOWED, COMPLETE, FAILED, NOT_CHECKED

_SCOPES_AT_A_TIME = 8
# The first repository may have no image, and without one nothing can be asked about images.
_ROWS_TRIED = 10

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class OperationCheck:
    """What came of one operation: allowed, denied, disabled, failed or not asked; `message` says why it is not."""

    operation: Operation
    status: str
    message: str = ""

    @property
    def action(self) -> str:
        """The IAM action that allows it."""
        return iam_action(self.operation)


@dataclass(frozen=True)
class ScopeCheck:
    """What came of one scope: who asked, and each operation; without any, `message` says why it is unreachable."""

    scope: Scope
    caller: str
    region_from: str
    operations: Sequence[OperationCheck]
    message: str = ""

    def of(self, table: Table, without: Collection[Operation]) -> list[OperationCheck]:
        """The operations that fill `table`; not one that failed, where another stands in for it."""
        checks = {check.operation: check for check in self.operations}
        needed = [checks[operation] for operation in catalog.operations_of([table], without) if operation in checks]
        return [check for check in needed if check.status == ALLOWED or not self._is_replaced(check, checks)]

    def _is_replaced(self, check: OperationCheck, checks: Mapping[Operation, OperationCheck]) -> bool:
        instead = check.operation.instead
        return instead is not None and instead in checks and checks[instead].status in (ALLOWED, NOT_CHECKED)


def check(access: Access, tables: Sequence[Table], without: Collection[Operation]) -> list[ScopeCheck]:
    """What reading `tables` in all scopes of `access` would be allowed, asked of the first repository and image.

    Raises:
        ConfigurationError, CredentialsRejected, OrganizationUnreadable: as `discover_scopes`.
    """
    operations = catalog.operations_of(tables, without)
    found = discover_scopes(access, {operation.service for operation in operations})
    with ThreadPoolExecutor(min(_SCOPES_AT_A_TIME, len(found)), "scope") as pool:
        return list(pool.map(partial(_check_scope, operations), found))


def _check_scope(operations: Sequence[Operation], found: Found) -> ScopeCheck:
    if isinstance(found, Unreachable):
        return ScopeCheck(found.scope, "", found.region_from, [], as_sentence(str(found.error)))
    connection = found.connect()
    try:
        caller = identify(found.account.session, found.scope.region).arn
        mine = [operation for operation in operations if operation.service in found.services]
        return ScopeCheck(found.scope, caller, found.region_from, list(_check_operations(Api(connection), mine)))
    except EcrSourceError as error:
        return ScopeCheck(found.scope, "", found.region_from, [], as_sentence(str(error)))
    finally:
        connection.close()


def _check_operations(api: Api, operations: Sequence[Operation]) -> Iterator[OperationCheck]:
    parents = {operation.parent for operation in operations if operation.parent}
    known: dict[Table, list[Row]] = {}
    for operation in operations:
        parent = None if operation.within else operation.parent
        rows = known.get(parent, []) if parent else [{}]
        if not api.can_ask(operation) or not rows:
            yield OperationCheck(operation, NOT_CHECKED)
            continue
        checked, response = _ask(api, operation, _asked(operation, rows[0]))
        yield checked
        for table in parents:
            if response and table.operation is operation:
                known[table] = _first_rows(api, table, rows, response)


def _first_rows(api: Api, table: Table, asked: Sequence[Row], response: Response) -> list[Row]:
    """The first rows of `table`: of the response, else of those to the next of `asked`, which may have some."""
    rows = _rows(api, table, asked[0], response)
    for row in asked[1:] if not rows else ():
        _, following = _ask(api, table.operation, _asked(table.operation, row))
        rows = _rows(api, table, row, following) if following else []
        if rows:
            break
    return rows


def _ask(api: Api, operation: Operation, asked: Mapping[str, object]) -> tuple[OperationCheck, Response | None]:
    try:
        return OperationCheck(operation, ALLOWED), next(api.pages(operation, asked))
    except (Absent, Gone):
        return OperationCheck(operation, ALLOWED), None
    except CallFailed as error:
        return OperationCheck(operation, error.status, as_sentence(str(error))), None
    except EcrSourceError as error:
        return OperationCheck(operation, FAILED, as_sentence(str(error))), None


def _asked(operation: Operation, row: Row) -> dict[str, object]:
    """The request parameters for the first row, or the first value, that `operation` is called for."""
    match operation.each:
        case EachValue(parameter, values):
            return {parameter: values[0]}
        case EachRow(_, asked, _) if row:
            return {name: [row[column]] if "[]" in name else row[column] for name, column in asked.items()}
    return {}


def _rows(api: Api, table: Table, asked: Row, response: Response) -> list[Row]:
    """The rows of `table` in one response, asked for with a row of its parent table."""
    parent = table.operation.parent
    schema = arrow_schema(parent) if parent else pa.schema([("nothing", pa.null())])
    page = Page(
        responses=api.decode(table.operation, [response]),
        asked=pa.Table.from_pylist([asked], schema=schema),
        outcomes=pa.array([COMPLETE], pa.string()),
        asked_at=pa.array([datetime.now(UTC)], TIMESTAMP),
        where=f"{table.operation} in {api.scope}",
    )
    rows: list[Row] = flatten(page, table, table.fillings[0], api.scope).slice(0, _ROWS_TRIED).to_pylist()
    return rows
