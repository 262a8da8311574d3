"""Listings, page by page."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from typing import Any

from tests.server.answers import AnswerError
from tests.server.registry import Item, given


class Pages:
    """How listings are paged, and what can be wrong with that."""

    def __init__(self) -> None:
        self.page_size: int | None = None
        self.empty_pages = False
        self.repeat_last_item = False
        self.loop_token = False
        self.reject_image_status_filter = False
        self.shuffle: random.Random | None = None

    @property
    def pages_plainly(self) -> bool:
        """Whether nothing was set that pages have to be taken apart for."""
        return not (self.empty_pages or self.repeat_last_item or self.loop_token or self.shuffle)

    def page_bounds(self, parameters: Item, default: int = 100) -> tuple[int, int]:
        """Where the page asked for starts and ends, when pages are plain."""
        start = _start(parameters["nextToken"]) if "nextToken" in parameters else 0
        return start, start + (self.page_size or parameters.get("maxResults", default))

    def page(
        self,
        member: str,
        items: Sequence[Any],
        parameters: Item,
        *,
        beside: Item | None = None,
        token: str = "nextToken",
        limit: str = "maxResults",
        default: int = 100,
        largest: int | None = None,
        last_token: str | None = None,
    ) -> Item:
        """One page of `items`: the token holds where the next one starts.

        `beside` are further members of every page, `token` and `limit` the names of the paging parameters, `default`
        and `largest` sizes of a page, and `last_token` is what AWS gives as token of the last page, if anything.
        """
        beside = beside or {}
        start = _start(parameters[token]) if parameters.get(token) else 0
        if self.empty_pages and start >= 0:
            return {**beside, member: [], token: next_token(-start - 1)}
        start = -start - 1 if start < 0 else start
        size = min(self.page_size or parameters.get(limit, default), largest or len(items) + 1)
        page = list(items[start : start + size])
        if self.repeat_last_item and start:
            page = [*items[start - 1 : start], *page]
        if self.loop_token:
            return {**beside, member: page, token: next_token(0)}
        following = next_token(start + size) if start + size < len(items) else last_token
        return given({**beside, member: page, token: following})


def shuffled(value: Any, order: random.Random, member: str = "") -> Any:
    """`value` with the elements of its lists in another order, except those of "rules": these are known by position."""
    if isinstance(value, dict):
        return {name: shuffled(inner, order, name) for name, inner in value.items()}
    if not isinstance(value, list):
        return value
    elements = [shuffled(inner, order) for inner in value]
    return elements if member == "rules" else order.sample(elements, len(elements))


def next_token(start: int) -> str:
    """The token of the page that starts there."""
    return base64.b64encode(f"start={start}".encode()).decode()


def _start(token: str) -> int:
    try:
        return int(base64.b64decode(token).decode().removeprefix("start="))
    except ValueError:
        raise AnswerError("InvalidParameterException", "Invalid token") from None
