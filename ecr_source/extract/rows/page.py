"""A page: decoded responses with what was asked, and the items in their lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.catalog.documents import parse_documents
from ecr_source.statuses import COMPLETE

ParentRow: TypeAlias = dict[str, Any]
"""A row of the table that an operation is called for."""


@dataclass(frozen=True)
class Page:
    """Responses of one operation, a row each: what was asked, what came of it, and when it was asked.

    `asked` has columns of the operation's parent table; `asked_at` is `timestamp[us, UTC]`. Where the outcome is not
    `complete`, the response has no members. `where` names the page for a person.
    """

    responses: pa.Table
    asked: pa.Table
    outcomes: pa.StringArray
    asked_at: pa.TimestampArray
    where: str
    documents: dict[tuple[str, int], pa.StructArray] = field(default_factory=dict)

    @cached_property
    def items(self) -> pa.StructArray:
        """The responses as the items of the first level."""
        array = self.responses.to_struct_array()
        return array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()  # which copies

    def answered(self) -> Page:
        """The page without the calls that were not answered."""
        complete = pc.equal(self.outcomes, COMPLETE)
        if pc.all(complete).as_py() is not False:
            return self
        responses, asked = self.responses.filter(complete), self.asked.filter(complete)
        times = self.asked_at.filter(complete)
        return Page(responses, asked, self.outcomes.filter(complete), times, self.where)


@dataclass(frozen=True)
class Level:
    """The items of one level of lists; the first level is the responses. `parents` are positions one level above."""

    items: pa.Array
    parents: pa.Int64Array
    path: str


def member_at(page: Page, level: Level, path: str) -> pa.Array:
    """The member at `path` of each item; NULL where it, or a structure on the way, is missing."""
    items = level.items
    steps: list[str] = []
    for step in filter(None, path.split(".")):
        name, _, kind = step.partition("@")
        steps.append(name.removesuffix("[0]"))
        if name.endswith("[0]"):
            items, steps = _first_items(pc.struct_field(items, steps)), []
        if kind:
            place = (f"{level.path}.{path.partition('@')[0]}", len(items))
            if place not in page.documents:
                page.documents[place] = parse_documents(kind, pc.struct_field(items, steps))
            items, steps = page.documents[place], []
    return pc.struct_field(items, steps) if steps else items


def _first_items(lists: pa.ListArray) -> pa.Array:
    parents = pc.list_parent_indices(lists)
    return lists.flatten().take(pc.index_in(pa.arange(0, len(lists)).cast(parents.type), parents))
