"""The vocabulary in which the tables are written down.

A path leads from a response, or from a row, to a member: `imageDetails[].imageScanStatus.status`. `[]` stands for the
items of a list, `{}` for the entries of a map (members `key` and `value`), and `policyText@policy` for the JSON
document inside of a text, as `ecr_source.catalog.documents` parses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias


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


@dataclass(frozen=True)
class AskAgain:
    """A call for each image is made again only when its answer may have changed; the rows of the others are kept.

    `record` names the table that has a row for every image that was asked. An image is asked again when `changed`, a
    column of the image, differs from the record's `listed_…`, and, if the answers expire, when the last one is older
    than an age. `bounded`: the run's bounds may leave images out.
    """

    record: str
    changed: str | None = None
    expires: bool = True
    bounded: bool = False


@dataclass(frozen=True)
class OnlyWhere:
    """An operation says something only where `operation` answers with `value` at `path`."""

    operation: Operation
    path: str
    value: str


@dataclass(frozen=True, eq=False)
class Operation:
    """A read operation of an AWS service, in botocore's names: `Operation("ecr", "DescribeRepositories")`.

    `page_size` goes out as `limit`, where `token` pages. `each` says what the operation is called for; without it, once
    for the whole registry. `names` is the request parameter that asks for single items instead of the listing,
    `names_per_call` how many it takes; where it is given, the paging parameters must not be. `parameters` are always
    sent, `preferred` unless the endpoint rejects them; `without_preferred` says what is missing then. `absent` maps
    error codes that mean "there is none" to the outcome they stand for. `failures` is the list in the response that
    names what could not be answered, with a `failureCode`. `instead` is the operation to read where this one is denied
    or unknown, or `only_where` does not hold. Of a listing `within` a table only the rows of its images count. In texts
    of `parameters`, `{registry_id}` is the registry that is asked. `sparse` responses leave out lists that are empty.
    """

    service: str
    name: str
    page_size: int | None = None
    token: str = "nextToken"  # noqa: S105 (no secret)
    limit: str = "maxResults"
    each: EachRow | EachValue | None = None
    names: str | None = None
    names_per_call: int = 100
    parameters: Mapping[str, object] = field(default_factory=dict)
    preferred: Mapping[str, object] = field(default_factory=dict)
    without_preferred: str = ""
    absent: Mapping[str, str] = field(default_factory=dict)
    failures: str | None = None
    instead: Operation | None = None
    within: Table | None = None
    only_where: OnlyWhere | None = None
    sparse: bool = False
    again: AskAgain | None = None

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"

    @property
    def parent(self) -> Table | None:
        """The table that must be complete before the operation is read: it is called for its rows, or within them."""
        return self.each.table if isinstance(self.each, EachRow) else self.within


@dataclass(frozen=True)
class Member:
    """A scalar member of the row, by its path: `encryptionConfiguration.kmsKey`; the row itself, if the path is empty.

    `resources[0].id` is the member of the first item of a list. `meaning` describes it better than botocore's model.
    """

    path: str
    meaning: str = field(default="", compare=False)


@dataclass(frozen=True)
class ArnField:
    """A part of the ARN at `path`; NULL where there is no ARN.

    `resource` is the repository, `digest` the image in it: `repository/team/api/sha256:…`.
    """

    path: str
    part: Literal["partition", "region", "resource", "digest"]
    meaning: str = field(default="", compare=False)


@dataclass(frozen=True)
class Namespace:
    """What stands before the last slash of the name at `path`; NULL where there is no slash."""

    path: str


@dataclass(frozen=True)
class Ordinal:
    """The position of the row among its siblings, from 0, after sorting them by content (the API promises no order)."""


@dataclass(frozen=True)
class OfScope:
    """The scope's `attribute`; where the row tells it too, by `told_by`, a value that differs is an error."""

    attribute: Literal["registry_id", "region"]
    told_by: Member | ArnField | None = None


@dataclass(frozen=True)
class Asked:
    """The parent table's `column` of the row that was asked about; `told_by` as in `OfScope`."""

    column: str
    told_by: Member | None = None
    meaning: str = field(default="", compare=False)


@dataclass(frozen=True)
class Constant:
    """The same value in every row; `meaning` is the column's description."""

    value: str
    meaning: str


@dataclass(frozen=True)
class CallOutcome:
    """What came of the call: `complete`, what `Operation.absent` says, or one of `NO_ANSWER`.

    Of an answered call, `names` translates the value at `path`, where it has a name for it.
    """

    path: str
    names: Mapping[str, str]


@dataclass(frozen=True)
class Count:
    """How many items the list at `path` has; 0 where there is no list."""

    path: str


@dataclass(frozen=True)
class OrZero:
    """The number at `path`; 0 where it is missing in a structure `within` that is there."""

    within: str
    path: str
    meaning: str


@dataclass(frozen=True)
class IsOneOf:
    """Whether the member at `path` is one of `values`; NULL where there is no such member."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Lookup:
    """`value` of that item of the list at `path` whose member `key` is one of `among`, the earlier the better.

    Of several with the same key the smallest value is taken, so that the order of the list does not matter.
    """

    path: str
    key: str
    among: tuple[str, ...]
    value: str
    meaning: str
    type: Literal["string", "float64"] = "string"


@dataclass(frozen=True)
class Joined:
    """The values of `sources` as one text, joined by `|`, NULL as nothing: a key where the API gives none."""

    sources: tuple[Source, ...]
    meaning: str


@dataclass(frozen=True)
class OfParent:
    """`source` evaluated on the item that the list of this row is a member of."""

    source: Source


Source: TypeAlias = (
    Member
    | ArnField
    | Namespace
    | Ordinal
    | OfScope
    | Asked
    | Constant
    | CallOutcome
    | Count
    | OrZero
    | IsOneOf
    | Lookup
    | Joined
    | OfParent
)

_LEVEL = re.compile(r"(.+?(?:\[\]|\{\}))(?:\.|$)")


@dataclass(frozen=True, eq=False)
class Filling:
    """How one operation fills a table: where its rows are in the response, and what each column is.

    `rows` is the path to the rows: `repositories[]`, `repositories[].imageTagMutabilityExclusionFilters[]` for the rows
    of a nested list; empty where the response itself is the row. A plain string as a column's source is a `Member`.
    `outer`: an item whose last list is empty is a row as well. `only_with`: rows without this member are none.
    `whatever_comes`: a call that was not answered makes a row too, with what was asked and the `CallOutcome`.
    """

    operation: Operation
    rows: str
    columns: Mapping[str, str | Source]
    outer: bool = False
    only_with: str | None = None
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
        return "repository_name" if self.operation.names or self.operation.instead else None

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

    `operation`, `rows`, `columns`, `outer` and `whatever_comes` are those of the first `Filling`; `also` are further
    ones, which fill the same columns. `cursor` is the column that incremental loading compares; a table without one
    appends what was read. `left_out` names members that no column holds, with the reason; every other member that no
    column names is kept in `unmodelled`. Columns in `volatile` do not make a new version of a row in history mode.
    """

    name: str
    description: str
    operation: Operation
    rows: str
    key: tuple[str, ...]
    columns: Mapping[str, str | Source]
    cursor: str | None = None
    outer: bool = False
    whatever_comes: bool = False
    also: tuple[Filling, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()

    @cached_property
    def fillings(self) -> tuple[Filling, ...]:
        """All ways in which the table is filled."""
        first = Filling(self.operation, self.rows, self.columns, outer=self.outer, whatever_comes=self.whatever_comes)
        return (first, *self.also)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations that fill the table, each once."""
        return tuple(dict.fromkeys(filling.operation for filling in self.fillings))

    @property
    def is_asked_again(self) -> bool:
        """Whether its rows come from calls for single images, which are made again only when needed."""
        return any(operation.again for operation in self.operations)

    def listed_key(self, filling: Filling) -> dict[str, Source]:
        """The key columns that tell the items of the first list apart, with their sources on such an item.

        For `repositories` and for the rows nested in it: `{"repository_name": Member("repositoryName")}`.
        """
        found: dict[str, Source] = {}
        for name in self.key:
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
    """A table that tells what a run did; its rows are only ever added."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: Mapping[str, RunColumn]
