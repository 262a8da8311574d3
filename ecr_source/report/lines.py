"""Lines for people, in which foreign text can do no harm."""

from __future__ import annotations

import unicodedata

from rich.console import Console

# Controls, marks that change the direction of text or are invisible, line separators, halves of surrogate pairs.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """`text` with each character that a terminal would act on, or not show, as its escape: `\\x1b`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(_escape(one) if unicodedata.category(one) in _UNSEEN else one for one in text)


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else repr(character)[1:-1]


def print_line(console: Console, line: str) -> None:
    """Prints `line` as one line, however long it is."""
    console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
