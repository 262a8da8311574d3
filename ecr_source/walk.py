"""The walk over the scopes: each from its listing to its last row, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from ecr_source.api import Api, Page, Usage
from ecr_source.arrow import flatten, listed_keys
from ecr_source.catalog.table import Operation, Table
from ecr_source.errors import CallFailed, Gone, Interrupted, LoopingToken, MalformedResponse, TokenRejected
from ecr_source.scopes import Connection, Scope
from ecr_source.spool import ListingSpool, TableFile

SCOPES_AT_A_TIME = 8

Observer: TypeAlias = Callable[[Scope, Table, int], None]
"""Is told of rows as they are read: the scope, the table and how many. Called from several threads."""


@dataclass(frozen=True)
class ReadError:
    """Something that could not be read: a row of `extraction_errors`."""

    operation: str
    resource: str
    error_code: str
    message: str
    status: str


@dataclass(frozen=True)
class TableRead:
    """How the reading of one table in one scope ended: a row of `extraction_scopes`.

    `file` is None unless the table was read to its end.
    """

    table: Table
    status: str
    file: TableFile | None
    usage: Usage
    started_at: datetime
    finished_at: datetime

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.file.rows if self.file else 0


@dataclass(frozen=True)
class ScopeRead:
    """What came of one scope."""

    scope: Scope
    tables: list[TableRead]
    errors: list[ReadError]


@dataclass(frozen=True)
class Walk:
    """What to read, and where the rows wait.

    `names` asks for single repositories instead of the whole listing; `stopped` ends the reading at the next page.
    """

    tables: Sequence[Table]
    folder: Path
    names: Sequence[str] = ()
    observe: Observer = lambda scope, table, rows: None
    stopped: threading.Event = field(default_factory=threading.Event)

    def read(self, connections: Sequence[Connection]) -> list[ScopeRead]:
        """Reads all scopes, at most `SCOPES_AT_A_TIME` at once; what fails in one does not touch the others."""
        with ThreadPoolExecutor(min(SCOPES_AT_A_TIME, len(connections)), "scope") as pool:
            try:
                return list(pool.map(self._read_scope, connections))
            except BaseException:
                self.stopped.set()
                raise

    def _read_scope(self, connection: Connection) -> ScopeRead:
        api = Api(connection)
        read = ScopeRead(connection.scope, [], [])
        for operation in dict.fromkeys(table.operation for table in self.tables):
            tables = [table for table in self.tables if table.operation == operation]
            tables_read, errors = self._read_operation(api, operation, tables)
            read.tables.extend(tables_read)
            read.errors.extend(errors)
        return read

    def _read_operation(
        self, api: Api, operation: Operation, tables: list[Table]
    ) -> tuple[list[TableRead], list[ReadError]]:
        started_at = datetime.now(UTC)
        files: dict[Table, TableFile] = {}
        errors: list[ReadError] = []
        try:
            if self.names:
                files, errors = self._read_named(api, operation, tables, started_at)
                status = "partial" if files else "failed"
            else:
                files = self._read_listing(api, operation, tables, started_at)
                status = "complete"
        except CallFailed as error:
            status = error.status
            errors = [_read_error(error)]
        except (LoopingToken, MalformedResponse, TokenRejected) as error:
            status = "failed"
            errors = [ReadError(str(operation), "", type(error).__name__, str(error), status)]
        finished_at = datetime.now(UTC)
        # The calls are the first table's; the others come with its responses.
        usages = [api.usage_of(operation)] + [Usage()] * (len(tables) - 1)
        return [
            TableRead(table, status, files.get(table), usage, started_at, finished_at)
            for table, usage in zip(tables, usages, strict=True)
        ], errors

    def _read_listing(
        self, api: Api, operation: Operation, tables: list[Table], extracted_at: datetime
    ) -> dict[Table, TableFile]:
        try:
            return self._spool(api.pages(operation), api.scope, tables, extracted_at).complete()
        except TokenRejected:
            return self._spool(api.pages(operation), api.scope, tables, extracted_at).complete()

    def _read_named(
        self, api: Api, operation: Operation, tables: list[Table], extracted_at: datetime
    ) -> tuple[dict[Table, TableFile], list[ReadError]]:
        missing: list[Gone] = []
        named: list[str] = []

        def found() -> Iterator[Page]:
            for answer in api.named(operation, self.names):
                if isinstance(answer, Gone):
                    missing.append(answer)
                else:
                    named.extend(listed_keys(answer, tables[0]).column(0).to_pylist())
                    yield answer

        spool = self._spool(found(), api.scope, tables, extracted_at)
        return spool.complete(tuple(named)) if named else {}, [_read_error(error) for error in missing]

    def _spool(self, pages: Iterator[Page], scope: Scope, tables: list[Table], extracted_at: datetime) -> ListingSpool:
        spool = ListingSpool(self.folder, scope, tables)
        try:
            for page in _one_ahead(pages):
                if self.stopped.is_set():
                    raise Interrupted(f"stopped while reading {scope}")
                rows = {table: flatten(page, table, scope, extracted_at) for table in tables}
                spool.add(listed_keys(page, tables[0]), rows)
                for table in tables:
                    self.observe(scope, table, rows[table].num_rows)
        except BaseException:
            spool.drop()
            raise
        return spool


def _one_ahead(pages: Iterator[Page]) -> Iterator[Page]:
    """The pages, each read while the one before it is worked on."""
    with ThreadPoolExecutor(1, "page") as pool:
        following = pool.submit(next, pages, None)
        while (page := following.result()) is not None:
            following = pool.submit(next, pages, None)
            yield page


def _read_error(error: CallFailed) -> ReadError:
    return ReadError(error.operation, error.resource, error.error_code, str(error), error.status)
