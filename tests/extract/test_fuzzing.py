"""Any one response replaced by a mutated one: a clear error or the right rows, never a crash, a hang or half a scope.

By default 100 cases, and 3,000 others in `make test-nightly`; `ECR_SOURCE_FUZZ=10000` runs so many, and
`ECR_SOURCE_FUZZ_FIRST=4711` begins with that seed, so that `ECR_SOURCE_FUZZ=1 ECR_SOURCE_FUZZ_FIRST=4711` runs alone
one that failed. A seed says all of a case: which operation, which of its responses, what is done to it, and what else
is read.

Of a member that is given twice the last one counts, as for Python's json module and botocore. A lone surrogate, or what
else is no UTF-8, is an error: no database holds it.
"""

from __future__ import annotations

import faulthandler
import json
import math
import os
import random
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa
import pytest
from botocore.config import Config

from ecr_source import catalog, ecr_source
from ecr_source.aws import rate, scopes, sessions
from ecr_source.aws.access import Access
from ecr_source.catalog.model import botocore_session, is_paginated
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import EachRow, Operation, Table
from ecr_source.catalog.tables.image import IMAGES
from ecr_source.errors import as_sentence
from ecr_source.extract.results import ScopeRead, TableRead
from ecr_source.extract.walk import Walk
from tests.conftest import make_pipeline
from tests.extract import oracle
from tests.extract.mutations import Mutation, mutate
from tests.extract.oracle import Row, Unreadable
from tests.nightly import at_night
from tests.server import protocols
from tests.server.ecr_server import ACCESS_KEY, ACCOUNT, DENIED, Answer, EcrServer, Item
from tests.server.faults import Fault

CASES = int(os.environ.get("ECR_SOURCE_FUZZ", "100"))
FIRST = int(os.environ.get("ECR_SOURCE_FUZZ_FIRST", "0"))
AT_A_TIME = 25
LOADED_EVERY = 200
"""One case of so many is loaded into DuckDB."""
HANGS_AFTER = 120
"""Seconds after which a case, which takes a tenth of one, has gone astray."""

LONGEST_MESSAGE = 500
_REPR = re.compile(r"<\w[\w.]* object|<class|0x[0-9a-f]{8}|Traceback|botocore\.|pyarrow|orjson|\w+Error\(")

Rows: TypeAlias = list[Row]
Asked: TypeAlias = list[Row]

REGION = "eu-west-1"
ERRORS = ("ForeignRow", "LoopingToken", "MalformedResponse", "MissingKey", "NotWhole")
NOT_FOUND = ("REPOSITORY_NOT_FOUND", "RepositoryNotFoundException", "ImageNotFound")

BY_ECR = catalog.FINDINGS_FROM["ecr"]
TABLES = [*catalog.TABLES, *catalog.LISTINGS]
OPERATIONS = catalog.operations_of(TABLES)
WEIGHTS = [0.4 if operation.parent is IMAGES else 1 for operation in OPERATIONS]
"""What is asked for each image takes a dozen calls, and is mutated more rarely."""
STANDS_IN_FOR = {operation.instead: operation for operation in OPERATIONS if operation.instead}


@pytest.mark.parametrize(("first", "cases"), [(FIRST, CASES), at_night(1_000_000, 3_000)])
def test_a_mutated_response_is_a_clear_error_or_the_right_rows(tmp_path: Path, first: int, cases: int) -> None:
    seeds = range(first, first + cases)
    parts = [seeds[start : start + AT_A_TIME] for start in range(0, cases, AT_A_TIME)]
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=start, initargs=(tmp_path,)) as pool:
        try:
            for counted, failed in pool.map(run, parts):
                outcomes += counted
                failures += failed
        except BrokenProcessPool:
            pytest.fail("the process crashed, or hung, in\n" + "\n".join(under_way(tmp_path)), pytrace=False)
    print(*(f"{count:6} {outcome}" for outcome, count in outcomes.most_common()), sep="\n")
    if failures:
        failed_seeds = ", ".join(failure.partition(":")[0].removeprefix("seed ") for failure in failures)
        pytest.fail("\n\n".join([f"{len(failures)} of {cases}: {failed_seeds}", *failures[:10]]), pytrace=False)
    assert outcomes.total() == cases
    if cases >= 100:
        assert cases / 10 < outcomes["the right rows"] < cases / 2, "the mutations break too much, or too little"


def under_way(folder: Path) -> list[str]:
    """The cases that processes were at when they ended."""
    return [path.read_text() for path in folder.glob("*/case")]


# --- the processes that run cases

_benches: list[Bench] = []

# To make a session takes as long as to read a small registry. boto3 adds to a session each time, so it is not for ever.
_session_of_part = cache(botocore_session)


def start(folder: Path) -> None:
    """Makes the bench of this process; it ends with the process."""
    bench = Bench(folder / str(os.getpid()))
    _benches.append(bench)


def run(seeds: Sequence[int]) -> tuple[Counter[str], list[str]]:
    """What came of these cases, and the failures in words."""
    (bench,) = _benches
    outcomes: Counter[str] = Counter()
    failures = []
    _session_of_part.cache_clear()
    for seed in seeds:
        case = Case.of(seed, bench)
        (bench.folder / "case").write_text(str(case))
        faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
        try:
            outcomes[case.check()] += 1
        except Exception as error:
            failures.append(f"{case}\n{type(error).__name__}: {error}"[:2000])
        finally:
            faulthandler.cancel_dump_traceback_later()
    (bench.folder / "case").unlink()
    return outcomes, failures


# --- the registry that is read, and what it should become


@dataclass(frozen=True)
class Call:
    """One call of an operation."""

    operation: Operation
    parameters: Item

    def __str__(self) -> str:
        return f"{self.operation} {json.dumps(self.parameters)}"


@dataclass
class Replaced(Fault):
    """The answer to one call, however often it is made."""

    call: Call | None = None

    def takes(self, call: protocols.Call) -> bool:
        assert self.call is not None
        return call.name == self.operation and call.parameters == self.call.parameters


def name_of(operation: Operation) -> str:
    """The name by which the server knows it."""
    return f"{operation.service}:{operation.name}" if operation.service == "ecr-public" else operation.name


class Bench:
    """A server with a registry that has everything, what its operations are asked, and what that becomes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        # What is broken stays so: trying again only takes time.
        once = Config(retries={"mode": "standard", "total_max_attempts": 1})
        sessions.CLIENT_CONFIG = sessions.CLIENT_CONFIG.merge(once)
        sessions.botocore_session = _session_of_part  # type: ignore[attr-defined]  # what the module imports
        rate._FIRST_RATE, rate._FIRST_BURST = 10_000.0, 1_000.0
        self.server = EcrServer()
        self.server.start()
        self.server.registry().maximal()
        self.server.page_size = 3
        self._walks = 0
        self._calls: dict[Operation, list[Call]] = {}
        self._answered: dict[Operation, dict[Table, Rows]] = {}
        reads = self.read(TABLES, BY_ECR).tables
        self.rows: dict[Table, Rows] = {read.table: rows_of(read) for read in reads}
        self._calls |= {operation: made for operation in OPERATIONS if (made := self._made(operation))}

    def read(self, tables: Sequence[Table], without: Collection[Operation]) -> ScopeRead:
        """What the package makes of the registry."""
        services = {operation.service for operation in catalog.operations_of(tables, without)}
        found = scopes.discover_scopes(Access((REGION,), endpoint_url=self.server.url), services)
        self._walks += 1
        shutil.rmtree(self.folder / f"{self._walks - 10}", ignore_errors=True)
        walk = Walk(tables, self.folder / f"{self._walks}", without=without)
        reads = walk.read(found)
        return ScopeRead(
            reads[0].scope,
            reads[0].region_from,
            [table_read for read in reads for table_read in read.tables],
            [error for read in reads for error in read.errors],
        )

    @contextmanager
    def only(self, operation: Operation) -> Iterator[None]:
        """The server as it must be for `operation` to be called."""
        preferred = STANDS_IN_FOR.get(operation)
        if preferred is not None and preferred not in BY_ECR:
            self.server.fail(DENIED, operation=name_of(preferred))
        try:
            yield
        finally:
            self.server.recover()

    def calls(self, operation: Operation) -> list[Call]:
        """The calls of `operation` that a walk makes."""
        if operation not in self._calls:
            self.server.requests.clear()
            with self.only(operation):
                self.read(tables_of(operation), without(operation))
            self._calls[operation] = self._made(operation)
        return self._calls[operation]

    def _made(self, operation: Operation) -> list[Call]:
        made = [parameters for name, _, parameters in self.server.requests if name == name_of(operation)]
        # What says whether another operation tells something is asked for each of those.
        return [Call(operation, one) for position, one in enumerate(made) if one not in made[:position]]

    def first_calls(self, operation: Operation) -> list[Call]:
        """Those calls that begin a listing, or are all of one."""
        return [call for call in self.calls(operation) if operation.sent_token not in call.parameters]

    def answer(self, call: Call) -> Answer:
        """What the server answers now."""
        service = {"resourcegroupstaggingapi": "tagging"}.get(call.operation.service, call.operation.service)
        region = "us-east-1" if service == "ecr-public" else REGION
        asked = protocols.Call(service, call.operation.name, region, ACCESS_KEY, None, call.parameters)
        return self.server.answer(asked)

    def answered(self, operation: Operation) -> dict[Table, Rows]:
        """The rows that `operation` gives to its tables where nothing is replaced."""
        if operation not in self._answered:
            self._answered[operation] = Expected.of(operation, self).rows
        return self._answered[operation]

    def asked(self, call: Call) -> Asked:
        """The rows of the parent table that `call` was made for."""
        each = call.operation.each
        if not isinstance(each, EachRow):
            return []
        wanted = {column: _at(call.parameters, path) for path, column in each.asked.items()}
        return [
            row
            for row in self.rows[each.table]
            if all(
                row[name] in value if isinstance(value, list) else row[name] == value for name, value in wanted.items()
            )
        ]


def _at(parameters: Item, path: str) -> Any:
    name, _, inner = path.partition(".")
    if name.endswith("[]"):
        return [item[inner] if inner else item for item in parameters[name.removesuffix("[]")]]
    return _at(parameters[name], inner) if inner else parameters[name]


def tables_of(operation: Operation) -> list[Table]:
    return [table for table in TABLES if operation in table.operations]


def without(operation: Operation) -> Collection[Operation]:
    return () if operation in BY_ECR else BY_ECR


def batches_of(read: TableRead) -> Iterator[pa.RecordBatch]:
    for file in read.files:
        yield from file.batches()


def rows_of(read: TableRead) -> Rows:
    """The rows that were read; timestamps as datetimes, JSON parsed."""
    left_out = ["extracted_at", *oracle.positions_of(read.table)]
    table = pa.Table.from_batches(batches_of(read), arrow_schema(read.table))
    rows: Rows = table.drop_columns(left_out).to_pylist()
    return [row | {"unmodelled": row["unmodelled"] and json.loads(row["unmodelled"])} for row in rows]


def kept_of(read: TableRead, before: Rows) -> Rows:
    """Of the rows there were before those of images that the files do not stand for."""
    kept: Rows = []
    for file in read.files:
        images = file.kept_images.to_pylist() if file.kept_images is not None else []
        names = {tuple(image.values()) for image in images}
        column = read.table.replaced_by[-1][-1]
        kept += [row for row in before if (row["repository_name"], row[column]) in names] if names else []
    return kept


def in_order(rows: Rows) -> list[str]:
    return sorted(repr(sorted((name, _plain(value)) for name, value in row.items())) for row in rows)


def _plain(value: Any) -> Any:
    """The same for the same value: times in UTC, whole numbers as integers."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return sorted((name, _plain(member)) for name, member in value.items())
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass
class Expected:
    """What an operation should become, by the oracle.

    `lost` are the rows of the parent table that could not be asked for; `failed`, if anything could not be read.
    """

    rows: dict[Table, Rows]
    lost: Asked
    failed: str

    @classmethod
    def of(cls, operation: Operation, bench: Bench) -> Expected:
        """What the answers that the server gives now should become."""
        answers: list[oracle.Answer] = []
        lost: Asked = []
        failed = ""
        for call in bench.first_calls(operation):
            asked = bench.asked(call)
            try:
                answer = answer_of(call, asked, bench)
                rows_of_answers(operation, [answer])
                answers += answers_of_each(operation, answer, asked)
                lost += excepted_by(answer, asked)
            except Unreadable as error:
                failed = str(error) or "unreadable"
                lost += asked
                answers += [oracle.Answer(row, [{}], "call_failed") for row in asked if operation.again]
        if failed and not any("repository_name" in row for row in lost):
            answers = []
        rows = rows_of_answers(operation, answers)
        if operation.within:
            images = {(row["repository_name"], row["image_digest"]) for row in bench.rows[operation.within]}
            for found in rows.values():
                found[:] = [row for row in found if (row["repository_name"], row["image_digest"]) in images]
        if operation.again and lost:
            for table, found in rows.items():
                found += rows_of_images(table, operation, lost, bench)
        return cls(rows, lost, failed or ("failures" if lost else ""))


def answers_of_each(operation: Operation, answer: oracle.Answer, asked: Asked) -> list[oracle.Answer]:
    """The answer to each call that was made with these parameters: rows of the parent can differ in other columns."""
    each = operation.each
    is_of_one = isinstance(each, EachRow) and each.at_a_time == 1
    return [replace(answer, asked=row) for row in asked] if is_of_one and asked else [answer]


def rows_of_images(table: Table, operation: Operation, lost: Asked, bench: Bench) -> Rows:
    """The rows that must stay, because their images were not read."""
    filling = [filling for filling in table.fillings if filling.operation is operation][-1]
    if filling.whatever_comes:
        return []
    images = {(row["repository_name"], row.get("image_digest")) for row in lost}
    digest = filling.column_of("image_digest")
    return [row for row in bench.rows[table] if (row["repository_name"], row[digest]) in images]


def rows_of_answers(operation: Operation, answers: Sequence[oracle.Answer]) -> dict[Table, Rows]:
    scope = scopes.Scope(ACCOUNT, "us-east-1" if operation.service == "ecr-public" else REGION)
    return {
        table: [
            row
            for filling in table.fillings
            if filling.operation is operation
            for row in oracle.rows(table, filling, answers, scope)
        ]
        for table in tables_of(operation)
    }


def answer_of(call: Call, asked: Asked, bench: Bench) -> oracle.Answer:
    """All pages of one listing, as the oracle reads them."""
    operation = call.operation
    first: Row = asked[0] if asked else {}
    pages: list[Item] = []
    seen: set[str] = set()
    while True:
        answer = bench.answer(call)
        if answer.status >= 300:
            outcome = operation.absent.get(error_code(answer.body))
            if outcome is None:
                raise Unreadable("an error")
            return oracle.Answer(first, [{}], outcome)
        pages.append(oracle.members(answer.body, operation.service, operation.name))
        token = pages[-1].get(operation.token) if is_paginated(operation) else None
        if not token:
            return oracle.Answer(first, pages)
        if token in seen:
            raise Unreadable("a token that repeats")
        seen.add(token)
        call = Call(operation, call.parameters | {operation.sent_token: token})


def error_code(body: bytes) -> str:
    """The code of an AWS error; empty for anything else."""
    try:
        code = oracle.loaded(body).get("__type")
    except Unreadable:
        return ""
    return code if isinstance(code, str) else ""


def excepted_by(answer: oracle.Answer, asked: Asked) -> Asked:
    """The rows of the parent table of which the answer says that it cannot answer for them."""
    failures = [failure for page in answer.pages for failure in page.get("failures") or ()]
    told = [one for one in failures if one.get("failureCode") not in NOT_FOUND]
    return [
        {
            "repository_name": one.get("repositoryName") or asked[0]["repository_name"],
            "image_digest": (one.get("imageId") or {}).get("imageDigest"),
        }
        for one in told
    ]


# --- one case


@dataclass(frozen=True)
class Case:
    """A call whose answer is replaced, and what else is read: a table below, and one that has nothing to do with it."""

    seed: int
    bench: Bench
    call: Call
    mutation: Mutation
    status: int
    below: tuple[Table, ...]
    beside: tuple[Table, ...]

    @classmethod
    def of(cls, seed: int, bench: Bench) -> Case:
        """The case that `seed` says."""
        dice = random.Random(seed)
        (operation,) = dice.choices(OPERATIONS, WEIGHTS)
        call = dice.choice(bench.calls(operation))
        with bench.only(operation):
            answer = bench.answer(call)
        depends = [table for table in catalog.TABLES if operation in chain(table)]
        below = [table for table in depends if all(is_below(other, operation) for other in table.operations)]
        beside = [table for table in catalog.TABLES if table not in depends and len(chain(table)) < 3]
        return cls(
            seed,
            bench,
            call,
            mutate(answer.body, dice),
            answer.status if dice.random() < 0.95 else dice.choice((200, 400, 403, 500)),
            tuple(dice.sample(below, min(len(below), dice.random() < 0.2))),
            tuple(dice.sample(beside, dice.random() < 0.25)),
        )

    def __str__(self) -> str:
        shown = self.mutation.body if len(self.mutation.body) < 3000 else self.mutation.body.replace(b" " * 100, b"")
        return (
            f"seed {self.seed}: {self.call}: {'; '.join(self.mutation.changes)}"
            f" (status {self.status}, with {', '.join(table.name for table in self.below + self.beside) or 'nothing'}):"
            f" {shown[:700]!r}"
        )

    @property
    def operation(self) -> Operation:
        return self.call.operation

    def check(self) -> str:
        """Reads the registry with the answer replaced; says what came of it."""
        body = Answer(self.status, self.mutation.body)
        with self.bench.only(self.operation):
            fault = Replaced(body, math.inf, 0, name_of(self.operation), None, call=self.call)
            self.bench.server.faults.append(fault)
            expected = Expected.of(self.operation, self.bench)
            own = tables_of(self.operation)
            read = self.bench.read([*own, *self.below, *self.beside], without(self.operation))
        reads = {table_read.table: table_read for table_read in read.tables}
        for error in read.errors:
            check_message(as_sentence(error.message))
        for table in self.beside:
            check_unchanged(reads[table], self.bench.rows[table])
        outcome = self._check_own([reads[table] for table in own], expected, read)
        if self.seed % LOADED_EVERY == 0:
            loaded = [table for table in (*own, *self.below, *self.beside) if table not in catalog.LISTINGS]
            self._check_loaded(fault, [reads[table] for table in loaded])
        for table in self.below:
            self._check_below(reads[table], [reads[one] for one in own], expected)
        return outcome

    def _check_loaded(self, fault: Replaced, reads: list[TableRead]) -> None:
        """The same into DuckDB, end to end: the tables there have the rows that were read."""
        folder = self.bench.folder / f"seed {self.seed}"
        pipeline = make_pipeline(folder, self.bench.folder / f"{self.seed}.duckdb")
        source = ecr_source(
            regions=[REGION],
            endpoint_url=self.bench.server.url,
            tables=[table_read.table.name for table_read in reads],
            findings_from="ecr" if without(self.operation) else "inspector2",
            moves_last_recorded_pull_time=True,
        )
        names = [table_read.table.name for table_read in reads]
        with self.bench.only(self.operation):
            self.bench.server.faults.append(fault)
            pipeline.run(source.with_resources(*names, *(table.name for table in catalog.RUN_TABLES)))
        with duckdb.connect(self.bench.folder / f"{self.seed}.duckdb") as connection:
            connection.execute("USE aws_ecr")
            loaded = dict(connection.execute("SELECT table_name, rows FROM extraction_scopes").fetchall())
            there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
            counted = {
                name: len(connection.execute(f'SELECT * FROM "{name}"').fetchall()) if name in there else 0
                for name in names
            }
            for (message,) in connection.execute("SELECT message FROM extraction_errors").fetchall():
                check_message(message)
        assert counted == loaded, f"{counted} in DuckDB, {loaded} in the ledger"
        wanted = {table_read.table.name: table_read.rows for table_read in reads if not self.operation.again}
        assert counted | wanted == counted, f"{counted} in DuckDB, {wanted} read"

    def _check_own(self, reads: list[TableRead], expected: Expected, read: ScopeRead) -> str:
        replaced = expected.failed and self.operation.instead
        for table_read in reads:
            table = table_read.table
            wanted = [row for other in others_of(table, self.operation) for row in self.bench.answered(other)[table]]
            if replaced and replaced in table.operations:
                wanted += self.bench.answered(replaced)[table]
            elif not replaced:
                wanted += expected.rows[table]
            why = f"{expected.failed or 'readable'}; {read.errors}"
            assert_same(table_read, wanted, why, self.bench.rows[table])
            if not expected.failed or replaced:
                assert table_read.status == "complete", f"{table.name} is {table_read.status}: {read.errors}"
            else:
                assert table_read.status != "complete", f"{table.name} is complete in spite of: {expected.failed}"
        errors = [error for error in read.errors if error.operation == str(self.operation)]
        if replaced:
            return "another operation read instead"
        assert bool(errors) == bool(expected.failed), f"{expected.failed or 'readable'}: {errors}"
        self._check_excepted(reads, expected)
        return self._outcome(expected, errors[0].error_code if errors else "")

    def _check_excepted(self, reads: list[TableRead], expected: Expected) -> None:
        """Exactly the repositories concerned keep their rows."""
        if self.operation.again:
            return
        names = {row["repository_name"] for row in expected.lost if "repository_name" in row}
        for table_read in reads:
            files = {name for file in table_read.files for name in file.excepted}
            assert table_read.excepted_repositories == len(names), f"{table_read.excepted_repositories} not {names}"
            assert files == names or not table_read.files, f"{files} not {names}"

    def _check_below(self, read: TableRead, own: list[TableRead], expected: Expected) -> None:
        if not expected.failed:
            if all(in_order(rows_of(one)) == in_order(self.bench.rows[one.table]) for one in own):
                check_unchanged(read, self.bench.rows[read.table])
        elif not expected.lost:
            assert not read.files, f"{read.table.name} was read below what failed"
            assert read.status == own[0].status
        else:
            names = {row.get("repository_name") for row in expected.lost}
            wanted = [row for row in self.bench.rows[read.table] if row.get("repository_name") not in names]
            kept = [row for row in rows_of(read) if row.get("repository_name") not in names]
            assert in_order(kept) == in_order(wanted), f"{read.table.name} lost rows of other repositories"

    def _outcome(self, expected: Expected, error_code: str) -> str:
        if not expected.failed:
            return "the right rows"
        what = "all" if not expected.lost else "an image" if self.operation.again else "a repository"
        return f"{what} excepted: {error_code if error_code in ERRORS else 'an error answer'}"


def others_of(table: Table, operation: Operation) -> list[Operation]:
    """The operations that fill `table` too, where `operation` is called and can be read."""
    not_called = {*without(operation), *STANDS_IN_FOR, STANDS_IN_FOR.get(operation), operation}
    return [other for other in table.operations if other not in not_called]


def is_below(operation: Operation, above: Operation) -> bool:
    """Whether it is called for rows that `above` gives."""
    parents = operation.parent.operations if operation.parent else ()
    return any(parent is above or is_below(parent, above) for parent in parents)


def chain(table: Table) -> list[Operation]:
    return catalog.operations_of([table])


def check_unchanged(read: TableRead, wanted: Rows) -> None:
    assert read.status == "complete", f"{read.table.name}, which has nothing to do with it, is {read.status}"
    assert_same(read, wanted, "nothing to do with it", wanted)


def assert_same(read: TableRead, wanted: Rows, why: str, before: Rows) -> None:
    found, rows = in_order(rows_of(read) + kept_of(read, before)), in_order(wanted)
    if found != rows:
        wrong = [row for row in found if row not in rows][:2]
        missing = [row for row in rows if row not in found][:2]
        raise AssertionError(
            f"{read.table.name} ({why[:300]}): {len(found)} rows, not {len(rows)}\n"
            f"  wrong: {wrong}\n  missing: {missing}"
        )


def check_message(message: str) -> None:
    """One sentence for a person."""
    assert 20 < len(message) <= LONGEST_MESSAGE, f"{len(message)} characters: {message[:300]!r}"
    odd = {character for character in message if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")}
    assert not odd, f"{odd} in {message!r}"
    assert not _REPR.search(message), f"internals in {message!r}"
