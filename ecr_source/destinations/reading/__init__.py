"""How a dataset is asked, with no way to change it; a DuckDB file without dlt, which takes a second to import."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ecr_source.destinations.views.definition import VERSIONS_OF, View, views
from ecr_source.destinations.views.dialect import Spelling
from ecr_source.errors import ConfigurationError, NotLoaded
from ecr_source.nearest import nearest

if TYPE_CHECKING:
    from ecr_source.destinations.views.composition import Loaded

ROWS_AT_A_TIME = 10_000

_VERSIONED = (
    "SELECT table_name FROM information_schema.columns WHERE table_schema = '{}' AND column_name = '_dlt_valid_to'"
)
_MODE = "SELECT mode FROM extraction_scopes ORDER BY started_at DESC LIMIT 1"


@dataclass(frozen=True)
class Rows:
    """The rows that a statement returns, in batches of `schema`, each read when it is asked for."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Relation:
    """A table or a view, and what its rows are; empty where nobody says."""

    name: str
    is_view: bool
    description: str

    @property
    def summary(self) -> str:
        """The first sentence of its description: the question that a view answers, or what a row of a table is."""
        return re.split(r"(?<=[.?!]) ", self.description, maxsplit=1)[0]


@dataclass(frozen=True)
class Column:
    """A column, with its type as the database calls it."""

    name: str
    type: str
    description: str


class DatasetReader(ABC):
    """A dataset that is open, in which names without a schema are its own. Times are in UTC.

    What a statement has wrong is a ConfigurationError with the database's own message, also while rows are read.
    """

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset

    @abstractmethod
    def rows(self, statement: str) -> Rows:
        """What one statement returns.

        Raises:
            ConfigurationError: the database refuses it, or it would change something.
        """

    def records(self, statement: str) -> list[dict[str, Any]]:
        """All rows that one statement returns, which are few, each by the names of its columns."""
        return [row for batch in self.rows(statement).batches for row in batch.to_pylist()]

    @abstractmethod
    def relations(self) -> Sequence[Relation]:
        """Its tables and views, by name, but not those that dlt keeps for itself."""

    def unmade_views(self) -> dict[str, str]:
        """The views of ours that it does not have, each with the command that makes it."""
        there = {relation.name for relation in self.relations()}
        return {
            view.name: " ".join(["ecr-source run", *_what_makes(view, there)])
            for view in views().values()
            if not view.is_part and view.name not in there
        }

    @abstractmethod
    def columns(self, relation: Relation) -> Sequence[Column]:
        """The columns of a table or view."""

    def quoted(self, name: str) -> str:
        """A name as a statement has it."""
        return f'"{name}"'

    def rows_of(self, relation: Relation) -> Rows:
        """All rows of a table or view."""
        return self.rows(f"SELECT * FROM {self.quoted(relation.name)}")  # noqa: S608 (a name that is there)

    def rows_with(self, name: str, in_place: Mapping[str, View], parameters: Mapping[str, float]) -> Rows:
        """What the view of this name would return if `in_place` were the tables and views of the same names.

        `parameters` are the values of `ecr_parameters` that are overridden.

        Raises:
            ConfigurationError: a table is not there that the view needs, with what loads it.
        """
        view, loaded = views()[name], replace(self._loaded, in_place=in_place, parameters=parameters)
        if missing := loaded.missing(view):
            none = f'the dataset {self.dataset} has no table "{missing[0]}": load it'
            raise NotLoaded(none, _that_load(list(dict.fromkeys(missing))))
        return self.rows(loaded.query(view, self._spelling))

    @property
    @abstractmethod
    def _dialect(self) -> str | None:
        """Its SQL, by sqlglot's name of it."""

    @property
    def _spelling(self) -> Spelling:
        return Spelling(self._dialect, lambda table: f'"{self.dataset}"."{table}"')

    @property
    def _loaded(self) -> Loaded:
        from ecr_source.destinations.views.composition import Loaded

        name = self.dataset.replace("'", "''")
        versioned = {*_first_column(self.rows(_VERSIONED.format(name)))}
        tables = {one.name: one.name in versioned for one in self.relations() if not one.is_view}
        modes = _first_column(self.rows(_MODE)) if "extraction_scopes" in tables else []
        return Loaded(self.dataset, tables, appends=modes == ["incremental"])

    def relation(self, name: str) -> Relation:
        """The table or view of this name.

        Raises:
            ConfigurationError: there is none, with the nearest name, or with what loads it.
        """
        relations = {relation.name: relation for relation in self.relations()}
        if name in relations:
            return relations[name]
        if (view := views().get(name)) and not view.is_part:
            wanted = _what_makes(view, relations)
            raise NotLoaded(f"the dataset {self.dataset} has no view {name} yet: load what it needs", wanted)
        raise _no_table(name, self.dataset, relations)


def _first_column(rows: Rows) -> list[str]:
    return [value for batch in rows.batches for value in batch.column(0).to_pylist()]


def only_reads() -> ConfigurationError:
    """The error of a statement that would change something, in whichever database."""
    return ConfigurationError("query only reads, and nothing was changed: ask by SELECT or WITH")


def no_dataset(dataset: str, place: str) -> NotLoaded:
    """The error that says so."""
    return NotLoaded(f'{place} has no dataset "{dataset}": give another --dataset, or load it')


def _what_makes(view: View, there: Collection[str]) -> list[str]:
    """The options of a run that makes the view."""
    missing = [name for name in view.needs if name not in there]
    if missing:
        return _that_load(missing)
    of_versions = any(name.startswith(VERSIONS_OF) for name in view.named)
    return ["--mode", "history"] if of_versions else []


def _that_load(tables: Sequence[str]) -> list[str]:
    """The options of a run that loads these tables."""
    return ["--table", ",".join(tables), *_allowing(tables)]


def _allowing(tables: Sequence[str]) -> list[str]:
    """The option without which a run refuses to load these tables."""
    from ecr_source import catalog  # it reads the service model, for which no answer is to wait

    have_side_effect = any(table.name in tables for table in catalog.GROUPS[catalog.MANIFESTS])
    return ["--moves-last-recorded-pull-time"] if have_side_effect else []


def _no_table(name: str, dataset: str, there: dict[str, Relation]) -> ConfigurationError:
    from ecr_source import catalog  # it reads the service model, for which no answer is to wait

    none = f'the dataset {dataset} has no table "{name}"'
    group = next((catalog.group_of(table) for table in catalog.TABLES if table.name == name), None)
    if group:
        return NotLoaded(f"{none}: load it", ["--table", group, *_allowing([name])])
    near = nearest(name, there)
    hint = f'did you mean "{near}"?' if near else '"ecr-source query --list" has those that are there'
    return ConfigurationError(f"{none}; {hint}")
