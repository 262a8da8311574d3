"""How far the reading of a scope is: calls made, those that are known to come, and what the service grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ecr_source.aws.api import Usage
from ecr_source.aws.rate import Rate
from ecr_source.aws.scopes import Scope
from ecr_source.extract.results import overall_status


@dataclass(frozen=True)
class Reached:
    """How far the calls of some operations are.

    `made` are answered, of those that are `known` so far, which are all where the listings are complete that they hang
    on. `refused` were repeated. `seconds_left` are those of the slowest operation, by what the service `granted` it in
    the last second; None where it granted nothing. `status` is empty until the last of them has ended.
    """

    made: int = 0
    known: int = 0
    are_all_known: bool = True
    refused: int = 0
    granted: float = 0
    seconds_left: float | None = 0
    status: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing is to come."""
        return bool(self.status)


@dataclass(frozen=True)
class ScopeReached:
    """How far a scope is that is being read: the operations of each group of tables."""

    scope: Scope
    groups: dict[str, Reached]


def reached_so_far(usage: Usage, rate: Rate, *, to_begin: int, are_all_begun: bool, are_counted: bool) -> Reached:
    """How far the calls of one operation are that has not ended.

    `to_begin` more will begin; all have, where `are_all_begun`. They `are_counted` before, where a row each is asked.
    """
    announced, unanswered = rate.begun()
    made = max(0, usage.calls - usage.retried - unanswered)
    to_come = unanswered + announced + to_begin
    granted = rate.granted_a_second()
    return Reached(
        made,
        made + to_come,
        are_all_known=are_counted or (are_all_begun and not (announced or unanswered)),
        refused=usage.throttled,
        granted=granted,
        seconds_left=to_come / granted if granted else None,
    )


def in_all(parts: Sequence[Reached]) -> Reached:
    """How far all of them are together."""
    left = [part.seconds_left for part in parts if not part.has_ended]
    return Reached(
        sum(part.made for part in parts),
        sum(part.known for part in parts),
        all(part.are_all_known for part in parts),
        sum(part.refused for part in parts),
        sum(part.granted for part in parts if not part.has_ended),
        None if None in left else max((seconds for seconds in left if seconds is not None), default=0),
        overall_status([part.status for part in parts]) if all(part.has_ended for part in parts) else "",
    )
