"""Texts that somebody else chose, as SQL that says the same to every warehouse."""

from __future__ import annotations

import re

# What SQL's dialects and dlt do not agree on inside of quotes: dlt splits statements at semicolons and at what Python
# takes for a line end, and formats them by braces; drivers format by percent signs; a quote is doubled in some
# dialects and escaped in others, where a backslash then is no character of its own; DuckDB's parser ends at NUL.
_BY_CODE = re.compile(r"([;'\\{}%\x00-\x1f\x7f-\x9f\u2028\u2029])")

_OF_BYTES = {
    "clickhouse": "unhex('{}')",  # has no chr(); char() takes bytes
    "databricks": "decode(unhex('{}'), 'UTF-8')",  # chr() knows the first 256 characters
    "redshift": "from_varbyte(from_hex('{}'), 'utf-8')",  # chr() knows ASCII
}


def literal(text: str, dialect: str | None) -> str:
    """An expression with the value `text`, in sqlglot's `dialect`.

    It has no semicolon, line end, brace or percent sign, and no quote or backslash inside of quotes.
    """
    parts = [part for part in _BY_CODE.split(text) if part] or [""]
    written = [_by_code(part, dialect) if _BY_CODE.fullmatch(part) else f"'{part}'" for part in parts]
    return f"({' || '.join(written)})" if len(written) > 1 else written[0]


def _by_code(character: str, dialect: str | None) -> str:
    if dialect in _OF_BYTES and (dialect == "clickhouse" or not character.isascii()):
        return _OF_BYTES[dialect].format(character.encode().hex())
    return f"chr({ord(character)})"
