"""The vocabulary in which the tables are written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Operation:
    """A read operation of an AWS service, in botocore's names: `Operation("ecr", "DescribeRepositories")`.

    `names` is the request parameter that asks for single items instead of the listing, `names_per_call` how many it
    takes; where it is given, the paging parameters must not be.
    """

    service: str
    name: str
    page_size: int | None = None
    names: str | None = None
    names_per_call: int = 100

    def __str__(self) -> str:
        return f"{self.service}:{self.name}"


@dataclass(frozen=True)
class Member:
    """A scalar member of the row, by its path: `encryptionConfiguration.kmsKey`."""

    path: str


@dataclass(frozen=True)
class ArnField:
    """The partition or the region inside the ARN at `path`; NULL where there is no ARN."""

    path: str
    field: Literal["partition", "region"]


@dataclass(frozen=True)
class Namespace:
    """What stands before the last slash of the name at `path`; NULL where there is no slash."""

    path: str


@dataclass(frozen=True)
class Ordinal:
    """The position of the row among its siblings, from 0, after sorting them by key (the API promises no order)."""


@dataclass(frozen=True)
class OfScope:
    """The scope's `attribute`; where the row tells it too, by `told_by`, a value that differs is an error."""

    attribute: Literal["registry_id", "region"]
    told_by: Member | ArnField | None = None


@dataclass(frozen=True)
class OfParent:
    """`source` evaluated on the row that the list of this row is a member of."""

    source: Member | OfScope


Source: TypeAlias = Member | ArnField | Namespace | Ordinal | OfScope | OfParent


@dataclass(frozen=True, eq=False)
class Table:
    """One table: which operation fills it, where its rows are in the response, and what each column is.

    `rows` is the path to the rows: `repositories[]`, or `repositories[].imageTagMutabilityExclusionFilters[]` for the
    rows of a nested list. A plain string as a column's source is a `Member`. `cursor` is the column that incremental
    loading compares. `left_out` names members that no column holds, with the reason; every other member that no column
    names is kept in `unmodelled`. Columns in `volatile` do not make a new version of a row in history mode.
    """

    name: str
    description: str
    operation: Operation
    rows: str
    key: tuple[str, ...]
    columns: Mapping[str, str | Source]
    cursor: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    volatile: frozenset[str] = frozenset()

    @property
    def sources(self) -> dict[str, Source]:
        """The columns' sources, plain strings read as members."""
        return {name: Member(source) if isinstance(source, str) else source for name, source in self.columns.items()}

    @property
    def steps(self) -> tuple[str, ...]:
        """The list members on the way to the rows: `("repositories", "imageTagMutabilityExclusionFilters")`."""
        return tuple(step.removesuffix("[]") for step in self.rows.split("."))

    @property
    def listed_key(self) -> dict[str, Source]:
        """The key columns that tell one item of the listing from another, with their sources on that item.

        For `repositories` and for the rows nested in it: `{"repository_name": Member("repositoryName")}`.
        """
        sources = self.sources
        if len(self.steps) == 1:
            found = {name: sources[name] for name in self.key}
        else:
            parents = {name: sources[name] for name in self.key}
            found = {name: parent.source for name, parent in parents.items() if isinstance(parent, OfParent)}
        return {name: source for name, source in found.items() if not isinstance(source, OfScope)}


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
