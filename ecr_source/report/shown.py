"""A value as people read it, and as a program sorts by it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from ecr_source.errors import visible
from ecr_source.report.panel import BYTES, DIGEST, DOLLARS, NUMBER, SHARE, TIME, Column

BYTES_PER_GB = 2**30
"""As AWS counts the GB that it charges for."""
_DIGEST = len("sha256:") + 12


def in_gigabytes(number: int) -> str:
    """Such as "1,234 GB", "1.50 GB" or "<0.01 GB"."""
    gigabytes = number / BYTES_PER_GB
    if 0 < gigabytes < 0.01:
        return "<0.01 GB"
    return f"{gigabytes:,.0f} GB" if gigabytes >= 100 else f"{gigabytes:,.{1 if gigabytes >= 10 else 2}f} GB"


def shown(value: Any, column: Column) -> str:
    """What stands in a cell; foreign text with what cannot be seen, or turns it around, as its escape."""
    if value is None:
        return column.null
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.kind == BYTES:
        return in_gigabytes(value).removesuffix(" GB")
    if column.kind == DOLLARS:
        return f"{value:,.2f}"
    if column.kind == SHARE:
        return f"{value:.0%}"
    if column.kind == TIME and isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if column.kind == NUMBER:
        return _number(value)
    text = visible(str(value))
    return text if column.kind != DIGEST or len(text) <= _DIGEST else f"{text[:_DIGEST]}…"


def _number(value: Any) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, (float, Decimal)) else f"{value:,}"


def is_number(column: Column) -> bool:
    """Whether its values stand to the right, and are sorted by size."""
    return column.kind in (NUMBER, BYTES, DOLLARS, SHARE)


def sort_key(value: Any, column: Column) -> str:
    """By what a column of numbers or times is sorted; empty where it is the text that is shown."""
    if value is None:
        return "-1"
    if is_number(column):
        return f"{float(value):.6f}".rstrip("0").rstrip(".")
    return str(value) if column.kind == TIME else ""
