"""What a column is filled from: a member of the response, a part of it, or what was asked.

A path leads from a response, or from a row, to a member: `imageDetails[].imageScanStatus.status`. `[]` stands for the
items of a list, `{}` for the entries of a map (members `key` and `value`), and `policyText@policy` for the JSON
document inside of a text, as `ecr_source.catalog.documents` parses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ecr_source.statuses import COMPLETE


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
class ImageReference:
    """A part of what a container is told to run, at `path`: `registry/repository:tag@digest`; NULL where it has none.

    Of a registry of ECR `registry_id` and `region` are what its name tells:
    `123456789012.dkr.ecr.eu-west-1.amazonaws.com`, in any partition, dual-stack and FIPS ones too. Of any other,
    `repository_name` is what follows the registry.
    """

    path: str
    part: Literal["registry", "registry_id", "region", "repository_name", "tag", "digest"]
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

    Of an answered call, `names` translates the value at `path`, where it has a name for it. A path to the members of a
    list, `statuses[].status`, stands for the first of them that has a name; if the list is empty, it is `none`.
    """

    path: str
    names: Mapping[str, str]
    none: str = COMPLETE


@dataclass(frozen=True)
class Count:
    """How many items the list at `path` has; 0 where there is no list."""

    path: str


@dataclass(frozen=True)
class Listed:
    """The texts in the list at `path` as one, sorted and joined by `, `; NULL where there is none."""

    path: str
    meaning: str


@dataclass(frozen=True)
class OrZero:
    """The number at `path`; 0 where it is missing in a structure `within` that is there."""

    within: str
    path: str
    meaning: str


@dataclass(frozen=True)
class Alike:
    """How many items agree in the key of the row, which they are together."""

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
    | ImageReference
    | Namespace
    | Ordinal
    | OfScope
    | Asked
    | Constant
    | CallOutcome
    | Count
    | Listed
    | Alike
    | OrZero
    | IsOneOf
    | Lookup
    | Joined
    | OfParent
)
