"""What a run has changed, as the line with which it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from ecr_source.loading.loaded.changes import Changes, Counted

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
}


def changes_line(changes: Changes, now: datetime) -> str:
    """Such as "changed since 3 h ago: repositories +3 −1, images +120 −80, settings of 2 repositories"."""
    newest, oldest = _age(now - changes.newest), _age(now - changes.oldest)
    since = f"{oldest} ago" if newest == oldest else f"{newest} to {oldest} ago"
    if parts := ", ".join(_parts(changes)):
        return f"changed since {since}: {parts}"
    compared = {"repositories": True, "images": changes.images, "settings": changes.settings is not None}
    names = " and ".join(", ".join(name for name, known in compared.items() if known).rsplit(", ", 1))
    return f"no change since {since} in {names}"


def _parts(changes: Changes) -> Iterator[str]:
    for name, counted in (("repositories", changes.repositories), ("images", changes.images)):
        if counted and (counted.added or counted.removed):
            yield f"{name} {_signed(counted)}"
    if count := changes.critical_findings:
        yield f"{count:,} new critical {'finding' if count == 1 else 'findings'}"
    if count := changes.settings or 0:
        yield f"settings of {count:,} {'repository' if count == 1 else 'repositories'}"


def _signed(counted: Counted) -> str:
    signed = {"+": counted.added, "−": counted.removed}
    return " ".join(f"{sign}{count:,}" for sign, count in signed.items() if count)


def _age(age: timedelta) -> str:
    """In the largest unit that there is at least one of."""
    name, unit = next(((name, unit) for name, unit in _UNITS.items() if age >= unit), ("s", timedelta(seconds=1)))
    return f"{age // unit} {name}"
