"""Texts as a destination can hold them that has no NUL in a text, such as Postgres."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

NUL = "\x00"
INSTEAD = "\u2400"
"""The picture of a NUL, `␀`, stands in its place. AWS lets nobody name anything with either."""


class WithoutNul:
    """Puts `INSTEAD` in the place of each NUL (an `extract.rewriting.Rewriter`)."""

    def text(self, text: str) -> str:
        """`text` without NUL."""
        return text.replace(NUL, INSTEAD)

    def column(self, texts: pa.Array) -> pa.Array:
        """The texts, of type string, without NUL."""
        if not pc.any(pc.match_substring(texts, NUL)).as_py():
            return texts
        return pc.replace_substring(texts, NUL, INSTEAD)
