"""What is to be asked of one operation: nothing, its listing, single items, or a call for each value or row."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import EachRow, EachValue, Operation
from ecr_source.extract.images.image_selection import IMAGE, Bounds, Earlier, image_names
from ecr_source.extract.images.portions import compact
from ecr_source.extract.name_patterns import is_pattern
from ecr_source.extract.rows.page import ParentRow
from ecr_source.extract.rows.spool import TableFile
from ecr_source.statuses import SKIPPED

_ROWS_AT_A_TIME = 10_000


@dataclass(frozen=True)
class Parents:
    """The rows that an operation is called for: those of `file`, of a table that was read with this `status`.

    Of it only the repositories of `named` were read, if any are, and those that are `excepted` were not. `tags` are the
    rows of image_tags, where images are chosen; `bounds` and `earlier` say which images are asked again.
    """

    status: str
    named: list[str] | None
    excepted: Collection[str]
    file: TableFile | None
    tags: TableFile | None
    bounds: Bounds
    earlier: Earlier


@dataclass(frozen=True)
class Nothing:
    """Nothing is asked: how that stands in the ledger, and what a person should know of it."""

    status: str
    note: str = ""


@dataclass(frozen=True)
class NothingThere:
    """Nothing is asked, since there is nothing to tell, and nothing is left of what earlier runs were told."""

    note: str


@dataclass(frozen=True)
class Listing:
    """The whole listing; where images are named, only rows of these count."""

    images: pa.StringArray | None = None


@dataclass(frozen=True)
class Named:
    """The items of these names."""

    names: Sequence[str]


@dataclass(frozen=True)
class Matching:
    """The items of the whole listing whose names match one of these shell patterns, or are one of them."""

    patterns: Sequence[str]


@dataclass(frozen=True)
class ForRows:
    """A call for each row of `file`, or for some at a time."""

    each: EachRow
    file: TableFile


Question: TypeAlias = Nothing | NothingThere | Listing | Named | Matching | EachValue | ForRows


def question_of(operation: Operation, names: Sequence[str] | None, parents: Parents | None) -> Question:
    """What to ask, for rows of the parent table, if there is one; of a listing only what `names` name, if they are
    given, or match."""
    if parents is not None:
        if parents.file is None:
            return Nothing(parents.status)
        if isinstance(operation.each, EachRow):
            return ForRows(operation.each, parents.file)
        return Listing(image_names(rows_of(parents.file, IMAGE)))
    if names is not None and not operation.names:
        return Nothing(SKIPPED, "only single repositories were asked for")
    if names is not None:
        return Matching(names) if any(map(is_pattern, names)) else Named(names)
    return operation.each if isinstance(operation.each, EachValue) else Listing()


def calls_for(each: EachRow, rows: Iterable[ParentRow]) -> Iterator[tuple[list[ParentRow], dict[str, Any]]]:
    """The rows of each call, and its parameters: as many rows as it takes, of those that follow one another."""
    scalars = {name: column for name, column in each.asked.items() if "[]" not in name}
    lists = {name: column for name, column in each.asked.items() if "[]" in name}
    for _, alike in groupby(rows, key=lambda row: [row[column] for column in scalars.values()]):
        while batch := list(islice(alike, each.at_a_time)):
            parameters: dict[str, Any] = {name: batch[0][column] for name, column in scalars.items()}
            yield batch, parameters | {name: [row[column] for row in batch] for name, column in lists.items()}


def count_calls(each: EachRow, rows: pa.Table) -> int:
    """How many calls `calls_for` makes for the rows, which have the columns that are asked."""
    scalars = [column for name, column in each.asked.items() if "[]" not in name]
    if each.at_a_time == 1 or not scalars:
        return math.ceil(int(rows.num_rows) / each.at_a_time)
    counts: list[int] = rows.group_by(scalars).aggregate([([], "count_all")])["count_all"].to_pylist()
    return sum(-(-count // each.at_a_time) for count in counts)


def halves(rows: list[ParentRow], parameters: dict[str, Any]) -> list[tuple[list[ParentRow], dict[str, Any]]]:
    """The two halves of a call, each with its parameters; none, if all its rows are of one repository."""
    if len({row.get("repository_name") for row in rows}) < 2:
        return []
    half = len(rows) // 2
    return [
        (rows[part], {name: value[part] if "[]" in name else value for name, value in parameters.items()})
        for part in (slice(half), slice(half, None))
    ]


def all_rows(file: TableFile, columns: Sequence[str]) -> Iterator[ParentRow]:
    """The rows as they come."""
    for batch in file.batches(_ROWS_AT_A_TIME, columns):
        yield from batch.to_pylist()


def rows_from(file: TableFile, columns: Sequence[str], first: str) -> Iterator[ParentRow]:
    """The rows in the order of their repositories' names, from `first` on, and then those before it."""
    rows = rows_of(file, columns).sort_by("repository_name")
    later = pc.greater_equal(rows["repository_name"], first)
    for part in (rows.filter(later), rows.filter(pc.invert(later))):
        yield from each_row(part)


def each_row(rows: pa.Table) -> Iterator[ParentRow]:
    """The rows of a table, some at a time in memory as Python objects."""
    for batch in rows.to_batches(_ROWS_AT_A_TIME):
        yield from batch.to_pylist()


def rows_of(file: TableFile, columns: Sequence[str]) -> pa.Table:
    """These columns of a file, each once."""
    schema = _schema(file, columns)
    return pa.Table.from_batches(file.batches(columns=schema.names), schema).combine_chunks()


def compact_rows_of(file: TableFile, columns: Sequence[str]) -> pa.Table:
    """These columns of a file, each once, with their texts `compact`."""
    schema = _schema(file, columns)
    batches = file.batches(_ROWS_AT_A_TIME, schema.names)
    rows = [pa.Table.from_batches([batch]).cast(compact(schema)) for batch in batches]
    return pa.concat_tables([compact(schema).empty_table(), *rows]).unify_dictionaries()


def _schema(file: TableFile, columns: Sequence[str]) -> pa.Schema:
    return pa.schema([arrow_schema(file.table).field(name) for name in dict.fromkeys(columns)])
