"""What a report is about, where it is not about everything: accounts, regions, namespaces."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import astuple, dataclass

from ecr_source.errors import ConfigurationError
from ecr_source.report.panel import ACCOUNT, NAMESPACE, REGION

_NAME = re.compile(r"[\w./*-]+", re.ASCII)
"""What accounts, pseudonyms of accounts, regions and namespaces are called: nothing that SQL would read."""


@dataclass(frozen=True)
class Narrowing:
    """Only these; empty for all. A namespace is what stands before a slash in the names of repositories."""

    accounts: Sequence[str] = ()
    regions: Sequence[str] = ()
    namespaces: Sequence[str] = ()

    def check(self) -> None:
        """Checks the names.

        Raises:
            ConfigurationError: one is called as none can be.
        """
        for name in (name for names in astuple(self) for name in names):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(f'no account, region or namespace is called "{name}"')

    def __bool__(self) -> bool:
        return any(astuple(self))

    @property
    def kinds(self) -> set[str]:
        """By what it narrows."""
        return {kind for kind, names in self._named.items() if names}

    def relation(self, view: str, columns: Collection[str]) -> str:
        """The view as a query names it, with the rows of these alone, so far as its columns tell of whom they are."""
        conditions = " AND ".join(self._conditions(columns))
        return f"(SELECT * FROM {view} WHERE {conditions}) AS {view}" if conditions else view  # noqa: S608 (checked names)

    def _conditions(self, columns: Collection[str]) -> Iterator[str]:
        if self.accounts and "registry_id" in columns:
            yield f"registry_id IN ({', '.join(map(_quoted, self.accounts))})"
        if self.regions and "region" in columns:
            yield f"region IN ({', '.join(map(_quoted, self.regions))})"
        if self.namespaces and "repository_name" in columns:
            within = (f"starts_with(repository_name, {_quoted(f'{name}/')})" for name in self.namespaces)
            yield f"({' OR '.join(within)})"

    def __str__(self) -> str:
        """Such as "account 123456789012, namespace team-a"."""
        return ", ".join(f"{kind} {name}" for kind, names in self._named.items() for name in names)

    @property
    def _named(self) -> dict[str, Sequence[str]]:
        return {ACCOUNT: self.accounts, REGION: self.regions, NAMESPACE: self.namespaces}


def _quoted(name: str) -> str:
    return f"'{name}'"
