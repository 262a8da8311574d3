"""The vocabulary in which the tables are written down: operations, and tables that they fill with columns.

Paths are those of `ecr_source.catalog.column`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import ClassVar, Literal

from ecr_source.catalog.column import (
    Alike,
    ArnField,
    Asked,
    CallOutcome,
    Constant,
    Joined,
    Member,
    OfParent,
    Ordinal,
    Source,
)


@dataclass(frozen=True)
class EachRow:
    """An operation is called for each row of `table`; `asked` maps request parameters to columns of that table.

    `{"repositoryName": "repository_name", "imageId.imageDigest": "image_digest"}`. A parameter that ends in `[]` takes
    the values of up to `at_a_time` rows in one call; the rows of one call agree in all other parameters.
    """

    table: Table
    asked: Mapping[str, str]
    at_a_time: int = 1


@dataclass(frozen=True)
class EachValue:
    """An operation is called for each of these values of `parameter`."""

    parameter: str
    values: tuple[str, ...]


_ANSWERED = CallOutcome("", {})
"""Every answer is final."""


@dataclass(frozen=True)
class AskAgain:
    """A call for each image, made again only where its answer may be another one; else the rows that are there stay.

    The table extraction_images has what came of the last call, as `outcome` tells it. An image is asked again when it
    was pushed again, when `changed`, a column of the parent table, is another one, and when the answer was none, or not
    final: `pending`, or that there is none yet, unless the image had been there for `settles_after`. Answers that
    `expire` are asked for again after the run's `max_age`; those that do not are what the digest stands for, whenever
    the image was pushed. Only images are asked whose number in the column `above_zero` is, if one is given. Where the
    operation is `bounded`, the run's bounds may leave images out.
    """

    outcome: CallOutcome = _ANSWERED
    changed: str | None = None
    expires: bool = True
    settles_after: timedelta | None = None
    above_zero: str | None = None
    bounded: bool = False


@dataclass(frozen=True)
class OnlyWhere:
    """An operation says something only where `operation` answers with `value` at `path`."""

    operation: Operation
    path: str
    value: str


@dataclass(frozen=True)
class Preferred:
    """Request parameters that are sent unless the endpoint rejects them; `without` says what is missing then."""

    parameters: Mapping[str, object]
    without: str


@dataclass(frozen=True, eq=False)
class Operation:
    """A read operation of an AWS service, in botocore's names: `Operation("ecr", "DescribeRepositories")`.

    `page_size` goes out as `limit`, where `token` pages, which goes back as `marker` where that is given. `each` says
    what the operation is called for; without it, once for the whole registry. `names` is the request parameter that
    asks for single items instead of the listing; where it is given, the paging parameters must not be. `parameters` are
    always sent; in their texts `{registry_id}` is the registry that is asked. `absent` maps error codes that mean
    "there is none" to the outcome they stand for. `failures` is the list in the response that names what could not be
    answered, with a `failureCode`. `instead` is the operation to read where this one is denied or unknown, or
    `only_where` does not hold. Of a listing `within` a table only the rows of its images count. `sparse` responses
    leave out lists that are empty. Of what a `secretive` one answers nothing is kept that no column names, as it may be
    a secret. A call for a row of the parent table is not made again, and the row that it gave stays, while both agree
    in the columns `kept_while`, until the row is older than the run's `max_age`.
    """

    service: str
    name: str
    page_size: int | None = None
    token: str = "nextToken"  # noqa: S105 (no secret)
    limit: str = "maxResults"
    marker: str = ""
    each: EachRow | EachValue | None = None
    names: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)
    preferred: Preferred | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    failures: str | None = None
    instead: Operation | None = None
    within: Table | None = None
    only_where: OnlyWhere | None = None
    sparse: bool = False
    secretive: bool = False
    kept_while: tuple[str, ...] = ()
    again: AskAgain | None = None

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"

    @property
    def sent_token(self) -> str:
        """The request parameter that asks for the next page."""
        return self.marker or self.token

    @property
    def parent(self) -> Table | None:
        """The table that must be complete before the operation is read: it is called for its rows, or within them."""
        return self.each.table if isinstance(self.each, EachRow) else self.within


_LEVEL = re.compile(r"(.+?(?:\[\]|\{\}))(?:\.|$)")


@dataclass(frozen=True, eq=False)
class Filling:
    """How one operation fills a table: where its rows are in the response, and what each column is.

    `rows` is the path to the rows: `repositories[]`, `repositories[].imageTagMutabilityExclusionFilters[]` for the rows
    of a nested list; empty where the response itself is the row. A plain string as a column's source is a `Member`.
    `outer`: an item whose last list is empty is a row as well. `only_with`: rows without this member are none;
    `only_having`: nor are those that have other values than these at these paths. `whatever_comes`: a call that was not
    answered makes a row too, with what was asked and the `CallOutcome`.
    """

    operation: Operation
    rows: str
    columns: Mapping[str, str | Source]
    outer: bool = False
    only_with: str | None = None
    only_having: Mapping[str, str] = field(default_factory=dict)
    whatever_comes: bool = False

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The columns' sources, plain strings read as members."""
        return {name: Member(source) if isinstance(source, str) else source for name, source in self.columns.items()}

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """The way to the rows, list by list: `("repositories[]", "imageTagMutabilityExclusionFilters[]")`."""
        return tuple(_LEVEL.findall(self.rows))

    def rows_above(self, levels: int) -> str:
        """The path to the items that the rows are in, so many levels up; the response is the highest."""
        return ".".join(self.levels[: len(self.levels) - levels])

    @property
    def constants(self) -> dict[str, str]:
        """The columns that have the same value in every row of this filling."""
        return {name: source.value for name, source in self.sources.items() if isinstance(source, Constant)}

    @property
    def repository_column(self) -> str | None:
        """The column that names the repository, where each row belongs to one that can be excepted."""
        each = self.operation.each
        if isinstance(each, EachRow) and "repository_name" in each.table.columns:
            return self.column_of("repository_name")
        return "repository_name" if self.operation.names or self.operation.instead or self.operation.within else None

    def column_of(self, asked: str) -> str:
        """The column that holds the parent's column `asked`; where none does, the one of that name."""
        sources = self.sources.items()
        return next((name for name, source in sources if isinstance(source, Asked) and source.column == asked), asked)

    @property
    def asked_columns(self) -> tuple[str, ...]:
        """The parent's columns that say what was asked."""
        return tuple(self.operation.each.asked.values()) if isinstance(self.operation.each, EachRow) else ()


@dataclass(frozen=True, eq=False)
class Table:
    """One table: what its rows are, its key, and which operation fills it from which members.

    `operation`, `rows`, `columns`, `outer`, `only_having` and `whatever_comes` are those of the first `Filling`; `also`
    are further ones, which fill the same columns. `cursor` is the column that incremental loading compares; a table
    without one appends what was read. `left_out` names members that no column holds, with the reason; every other
    member that no column names is kept in `unmodelled`. Columns in `volatile` do not make a new version of a row in
    history mode, and neither do those that were `added` after there was history, where they are NULL.
    """

    name: str
    description: str
    operation: Operation
    rows: str
    key: tuple[str, ...]
    columns: Mapping[str, str | Source]
    cursor: str | None = None
    outer: bool = False
    only_having: Mapping[str, str] = field(default_factory=dict)
    whatever_comes: bool = False
    also: tuple[Filling, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()

    marked_in: ClassVar = "unmodelled"
    """The column in which a marker among the staged rows says what it is."""

    @cached_property
    def fillings(self) -> tuple[Filling, ...]:
        """All ways in which the table is filled."""
        first = Filling(
            self.operation,
            self.rows,
            self.columns,
            outer=self.outer,
            only_having=self.only_having,
            whatever_comes=self.whatever_comes,
        )
        return (first, *self.also)

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """The operations that fill the table, each once."""
        return tuple(dict.fromkeys(filling.operation for filling in self.fillings))

    @cached_property
    def alike(self) -> str | None:
        """The column that counts the items which are one row; None where each item is a row of its own."""
        return next((name for name, source in self.columns.items() if isinstance(source, Alike)), None)

    @property
    def is_asked_again(self) -> bool:
        """Whether its rows come from calls for single images, which are made again only when needed."""
        return any(operation.again for operation in self.operations)

    @cached_property
    def replaced_by(self) -> tuple[tuple[str, ...], ...]:
        """The columns that name the rows which are replaced together, from coarse to fine.

        Those of a scope; where its repositories can be excepted, those of a repository; where images are asked again
        one by one, those of an image. What tells the rows of several operations apart counts to the scope.
        """
        told_apart = [name for name in self.key if all(name in filling.constants for filling in self.fillings)]
        scope = (*(name for name in ("registry_id", "region") if name in self.columns), *told_apart)
        repository = next((one.repository_column for one in self.fillings if one.repository_column), None)
        if repository is None:
            return (scope,)
        image = [filling.column_of("image_digest") for filling in self.fillings if filling.operation.again]
        return scope, (*scope, repository), *((*scope, repository, one) for one in image[:1])

    def listed_key(self, filling: Filling) -> dict[str, Source]:
        """The key columns that tell the items of the first list apart, with their sources on such an item.

        For `repositories` and for the rows nested in it: `{"repository_name": Member("repositoryName")}`. Empty where
        several items are one row.
        """
        found: dict[str, Source] = {}
        for name in () if self.alike else self.key:
            source: Source = filling.sources[name]
            for _ in filling.levels[1:]:
                source = source.source if isinstance(source, OfParent) else Ordinal()
            if isinstance(source, (Member, ArnField, Joined)):
                found[name] = source
        return found


@dataclass(frozen=True)
class RunColumn:
    """A column of a table that the run itself fills: its Arrow type by name (`string`, `int64`, `timestamp`)."""

    type: Literal["string", "int64", "timestamp"]
    description: str


@dataclass(frozen=True, eq=False)
class RunTable:
    """A table that tells what a run did. Its rows are only ever added, unless they are `replaced_by` some columns.

    `replaced_by` and `marked_in` are as those of `Table`.
    """

    name: str
    description: str
    key: tuple[str, ...]
    columns: Mapping[str, RunColumn]
    replaced_by: tuple[tuple[str, ...], ...] = ()
    marked_in: str = ""
