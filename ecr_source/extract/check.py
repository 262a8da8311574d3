"""What a run would be allowed to read: one page of each operation in each scope, and nothing is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
from ecr_source.extract.name_patterns import is_matched, is_pattern, matching, no_match, with_pattern
from ecr_source.extract.rows.flatten import flatten
from ecr_source.extract.rows.page import Page
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
    error_code: str = ""

    @property
    def action(self) -> str:
        """The IAM action that allows it."""
        return iam_action(self.operation)


@dataclass(frozen=True)
class ScopeCheck:
    """What came of one scope: who asked, and each operation; without any, `message` says why it is unreachable.

    Of the names and patterns that were asked for its repositories match those `matched`, and of the `unmatched`, each
    with a sentence, it has none.
    """

    scope: Scope
    caller: str
    region_from: str
    operations: Sequence[OperationCheck]
    message: str = ""
    matched: frozenset[str] = frozenset()
    unmatched: Mapping[str, str] = field(default_factory=dict)

    def of(self, table: Table, without: Collection[Operation]) -> list[OperationCheck]:
        """The operations that fill `table`; not one that failed, where another stands in for it."""
        checks = {check.operation: check for check in self.operations}
        needed = [checks[operation] for operation in catalog.operations_of([table], without) if operation in checks]
        return [check for check in needed if check.status == ALLOWED or not self._is_replaced(check, checks)]

    def _is_replaced(self, check: OperationCheck, checks: Mapping[Operation, OperationCheck]) -> bool:
        instead = check.operation.instead
        return instead is not None and instead in checks and checks[instead].status in (ALLOWED, NOT_CHECKED)


def check(
    access: Access, tables: Sequence[Table], without: Collection[Operation], names: Sequence[str] = ()
) -> list[ScopeCheck]:
    """What reading `tables` in all scopes of `access` would be allowed, asked of the first repository and image.

    Where there are `names`, of the first repository that has one or matches one, and nothing that is not of single
    repositories. What one scope has is not unmatched in the others.

    Raises:
        ConfigurationError, CredentialsRejected, OrganizationUnreadable: as `discover_scopes`.
    """
    operations = catalog.operations_of(tables, without)
    found = discover_scopes(access, {operation.service for operation in operations})
    with ThreadPoolExecutor(min(_SCOPES_AT_A_TIME, len(found)), "scope") as pool:
        checks = list(pool.map(partial(_check_scope, operations, names), found))
    matched = frozenset[str]().union(*(one.matched for one in checks))
    return [
        replace(one, unmatched={name: text for name, text in one.unmatched.items() if name not in matched})
        for one in checks
    ]


def _check_scope(operations: Sequence[Operation], names: Sequence[str], found: Found) -> ScopeCheck:
    if isinstance(found, Unreachable):
        return ScopeCheck(found.scope, "", found.region_from, [], as_sentence(str(found.error)))
    connection = found.connect()
    try:
        caller = identify(found.account.session, found.scope.region).arn
        mine = [operation for operation in operations if operation.service in found.services]
        asked = _Asked(Api(connection), names)
        checks = list(asked.check([one for one in mine if not names or _listing(one).names]))
        return ScopeCheck(found.scope, caller, found.region_from, checks, "", frozenset(asked.matched), asked.unmatched)
    except EcrSourceError as error:
        return ScopeCheck(found.scope, "", found.region_from, [], as_sentence(str(error)))
    finally:
        connection.close()


def _listing(operation: Operation) -> Operation:
    """The listing that the rows hang on which the operation is called for; itself, where there are none."""
    while operation.parent:
        operation = operation.parent.operation
    return operation


@dataclass
class _Asked:
    """What is asked of one scope, and which of the names its repositories match."""

    api: Api
    names: Sequence[str]
    matched: set[str] = field(default_factory=set)
    unmatched: dict[str, str] = field(default_factory=dict)

    def check(self, operations: Sequence[Operation]) -> Iterator[OperationCheck]:
        """Each operation, asked of the first row of what it is called for."""
        parents = {operation.parent for operation in operations if operation.parent}
        known: dict[Table, list[Row]] = {}
        for operation in operations:
            parent = None if operation.within else operation.parent
            rows = known.get(parent, []) if parent else [{}]
            if not self.api.can_ask(operation) or not rows:
                yield OperationCheck(operation, NOT_CHECKED)
                continue
            if self.names and operation.names:
                table = next(table for table in catalog.TABLES if table.operation is operation)
                checked, known[table] = self._named(table)
                yield checked
                continue
            checked, response = _ask(self.api, operation, _asked(operation, rows[0]))
            yield checked
            for table in parents:
                if response and table.operation is operation:
                    known[table] = _first_rows(self.api, table, rows, response)

    def _named(self, table: Table) -> tuple[OperationCheck, list[Row]]:
        """The first rows of the repositories that are asked for, listed as a run lists them."""
        operation, rows = table.operation, list[Row]()
        listed = any(map(is_pattern, self.names))
        answers = self.api.pages(operation) if listed else self.api.named(operation, self.names)
        try:
            for answer in answers:
                if isinstance(answer, Gone):
                    self.unmatched[answer.resource] = as_sentence(str(with_pattern(answer)))
                    continue
                page = _flattened(self.api, table, {}, answer)
                found = matching(self.names, page["repository_name"].to_pylist())
                self.matched |= {name for name, repositories in found.items() if repositories}
                rows += page.filter(is_matched(self.names, page)).slice(0, _ROWS_TRIED).to_pylist()
                if self.matched == {*self.names}:
                    break
        except EcrSourceError as error:
            return _refused(operation, error), rows[:_ROWS_TRIED]
        for name in {*self.names} - self.matched - self.unmatched.keys():
            self.unmatched[name] = as_sentence(str(no_match(operation, name)))
        return OperationCheck(operation, ALLOWED), rows[:_ROWS_TRIED]


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
    except EcrSourceError as error:
        return _refused(operation, error), None


def _refused(operation: Operation, error: EcrSourceError) -> OperationCheck:
    sentence = as_sentence(str(error))
    if isinstance(error, CallFailed):
        return OperationCheck(operation, error.status, sentence, error.error_code)
    return OperationCheck(operation, FAILED, sentence, type(error).__name__)


def _asked(operation: Operation, row: Row) -> dict[str, object]:
    """The request parameters for the first row, or the first value, that `operation` is called for."""
    match operation.each:
        case EachValue(parameter, values):
            return {parameter: values[0]}
        case EachRow(_, asked, _) if row:
            return {name: [row[column]] if "[]" in name else row[column] for name, column in asked.items()}
    return {}


def _rows(api: Api, table: Table, asked: Row, response: Response) -> list[Row]:
    """The first rows of `table` in one response, asked for with a row of its parent table."""
    rows: list[Row] = _flattened(api, table, asked, response).slice(0, _ROWS_TRIED).to_pylist()
    return rows


def _flattened(api: Api, table: Table, asked: Row, response: Response) -> pa.Table:
    parent = table.operation.parent
    schema = arrow_schema(parent) if parent else pa.schema([("nothing", pa.null())])
    page = Page(
        responses=api.decode(table.operation, [response]),
        asked=pa.Table.from_pylist([asked], schema=schema),
        outcomes=pa.array([COMPLETE], pa.string()),
        asked_at=pa.array([datetime.now(UTC)], TIMESTAMP),
        where=f"{table.operation} in {api.scope}",
    )
    told = [filling for filling in table.fillings if filling.operation is table.operation]
    return pa.concat_tables(flatten(page, table, filling, api.scope) for filling in told)
