"""Which name was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

_LIKE_ENOUGH = 0.6
_SAME_WORD = 0.8


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that is most like `name`; None if none is like it.

    Words are compared before letters, as who forgets a word has the others right: `image_findings` is
    `image_scan_findings`, though `image_signings` differs in fewer letters.
    """
    found, likeness = None, (0.0, 0.0)
    for one in names:
        if (like := _likeness(name.lower(), one.lower())) > likeness:
            found, likeness = one, like
    return found if max(likeness) >= _LIKE_ENOUGH else None


def _likeness(name: str, other: str) -> tuple[float, float]:
    """The share of the words, and of the letters, that both have."""
    words, others = re.findall(r"[a-z0-9]+", name), re.findall(r"[a-z0-9]+", other)
    same = sum(bool(get_close_matches(word, others, 1, _SAME_WORD)) for word in words)
    letters = SequenceMatcher(None, name, other).ratio()
    return 2 * same / max(1, len(words) + len(others)), letters
