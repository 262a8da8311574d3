"""A view as a statement of its own, in which tables of a dataset stand where its SELECT names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import pyarrow as pa

from ecr_source import catalog
from ecr_source.catalog.schema import arrow_schema, column_descriptions
from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.views.definition import VERSIONS_OF, View, views
from ecr_source.destinations.views.dialect import DIALECT, Spelling, put_in, translated
from ecr_source.destinations.views.parameters import RELATION as PARAMETERS
from ecr_source.destinations.views.parameters import in_force, parameters_query

_TABLES: dict[str, Table | RunTable] = {table.name: table for table in catalog.TABLES}
_TABLES |= {table.name: table for table in catalog.RUN_TABLES}
_APPENDED_BY_EACH_RUN = {table.name for table in (catalog.EXTRACTION_SCOPES, catalog.EXTRACTION_ERRORS)}
_COMPOSED = "in line"
"""How a view is put together: another word has them all made anew."""
_LOADS = "_dlt_loads"
_ASKED_AGAIN = "tables_asked_again"
"""What a view can ask beside tables and views: `table_name`, of those that a call for each image fills."""

_LOADED = "loaded"

_TYPES = {
    pa.string(): "VARCHAR",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", "UTC"): "TIMESTAMPTZ",
}


@dataclass(frozen=True)
class Loaded:
    """What a dataset has.

    Attributes:
        tables: the tables in it, and whether they have versions, of which those without `_dlt_valid_to` hold.
        appends: whether a run adds rows to those that are there, so that the newest of a key holds.
        parameters: the values of parameters that settings override.
        in_place: what is taken for the tables and views of the same names.
    """

    dataset: str
    tables: Mapping[str, bool]
    appends: bool
    parameters: Mapping[str, float] = field(default_factory=dict)
    in_place: Mapping[str, View] = field(default_factory=dict)

    def missing(self, view: View) -> list[str]:
        """The tables that a view needs and that are not there; with `VERSIONS_OF`, those that have no versions."""
        needed = [*view.needs, *(name for name in view.named if name.startswith(VERSIONS_OF))]
        missing = [name for name in needed if not self._has(name)]
        return missing + [name for one in _named_views(view) for name in self.missing(one)]

    def _has(self, name: str) -> bool:
        if name in self.in_place:
            return True
        return bool(self.tables.get(name.removeprefix(VERSIONS_OF))) if VERSIONS_OF in name else name in self.tables

    def fingerprint(self, view: View) -> str:
        """Eight letters that differ where the query of the view does: told without translating it."""
        return sha256(repr(self._composed_of(view)).encode()).hexdigest()[:8]

    def _composed_of(self, view: View) -> list[object]:
        parts: list[object] = [_COMPOSED, self.dataset, self.appends, view]
        parts += map(self._told_by, filter(_is_known, view.named))
        return parts

    def _told_by(self, name: str) -> object:
        """What the rows of a name are made of."""
        if name in views():
            return self._composed_of(views()[name])
        if name == PARAMETERS:
            return in_force(self.parameters)
        table = name.removeprefix(VERSIONS_OF)
        return self.tables.get(table), tuple(_TABLES[table].columns) if table in _TABLES else ()

    def query(self, view: View, spelling: Spelling | None = None) -> str:
        """The SELECT of a view, which names nothing but tables of the dataset; as DuckDB takes it, if nothing is said.

        A table that is not there, and not needed, has no rows.
        """
        return self._query(view, spelling or Spelling(DIALECT, lambda table: f'"{self.dataset}"."{table}"'))

    def _query(self, view: View, as_: Spelling) -> str:
        # Each piece is translated for itself: most are in many views, and one view has another in it many times.
        relations = {name: self._relation(name, as_) for name in view.named if _is_known(name)}
        return put_in(translated(view.body, as_.dialect), relations)

    def _relation(self, name: str, as_: Spelling) -> str:
        """What stands behind a FROM: a table of the dataset, or a query."""
        if name in self.in_place:
            return f"({self._query(self.in_place[name], as_)})"
        if name in views():
            return f"({self._query(views()[name], as_)})"
        if name == PARAMETERS:
            return f"({translated(parameters_query(self.parameters), as_.dialect)})"
        if name == _ASKED_AGAIN:
            asked_again = (f"SELECT '{one.name}' AS table_name" for one in catalog.TABLES if one.is_asked_again)
            return f"({' UNION ALL '.join(asked_again)})"
        if name == _LOADS:
            return as_.table(name) if name in self.tables else f"({_loads_of_ledger(as_)})"
        if name.startswith(VERSIONS_OF):
            return as_.table(name.removeprefix(VERSIONS_OF))
        return self._rows_that_hold(name, as_)

    def _rows_that_hold(self, table: str, as_: Spelling) -> str:
        if table not in self.tables:
            return f"({translated(_empty(_TABLES[table]), as_.dialect)})"
        if self.tables[table]:
            return f"(SELECT * FROM {as_.table(table)} WHERE _dlt_valid_to IS NULL)"  # noqa: S608 (a name that is there)
        if not self.appends or table in _APPENDED_BY_EACH_RUN:
            return as_.table(table)
        newest = translated(_newest_loaded(_TABLES[table]), as_.dialect)
        return f"({put_in(newest, {_LOADED: as_.table(table)})})"


def column_meanings(view: View) -> dict[str, str]:
    """What columns mean that a view may have: its own, those of the views that it names, and those of tables."""
    return _meanings_of_tables(view) | _meanings_of_views(view)


def _meanings_of_tables(view: View) -> dict[str, str]:
    meanings: dict[str, str] = {}
    # Those of the run come first: what they tell of an image or a registry, its own tables tell better.
    for table in sorted(_named_tables(view), key=lambda table: isinstance(table, Table)):
        meanings |= column_descriptions(table)
    return meanings


def _meanings_of_views(view: View) -> dict[str, str]:
    meanings: dict[str, str] = {}
    for one in _named_views(view):
        meanings |= _meanings_of_views(one)
    return meanings | view.columns


def _loads_of_ledger(as_: Spelling) -> str:
    """The loads, where dlt keeps them in no table that can be asked: in a lake."""
    ledger = as_.table(catalog.EXTRACTION_SCOPES.name)
    return f"SELECT run_id AS load_id, max(finished_at) AS inserted_at FROM {ledger} GROUP BY run_id"  # noqa: S608


def _newest_loaded(table: Table | RunTable) -> str:
    newest = f"row_number() OVER (PARTITION BY {', '.join(table.key)} ORDER BY extracted_at DESC)"
    return f"SELECT * FROM (SELECT *, {newest} AS age FROM {_LOADED}) AS aged WHERE age = 1"  # noqa: S608


def _empty(table: Table | RunTable) -> str:
    columns = ", ".join(f"CAST(NULL AS {_TYPES[field.type]}) AS {field.name}" for field in arrow_schema(table))
    return f"SELECT {columns} WHERE false"


def _is_known(name: str) -> bool:
    return name in views() or name in (_LOADS, _ASKED_AGAIN, PARAMETERS) or name.removeprefix(VERSIONS_OF) in _TABLES


def _named_views(view: View) -> list[View]:
    return [views()[name] for name in view.named if name in views()]


def _named_tables(view: View) -> list[Table | RunTable]:
    """Those of the views that it names, then its own."""
    names = [name.removeprefix(VERSIONS_OF) for name in view.named]
    own = [_TABLES[name] for name in names if name in _TABLES]
    return [*(table for one in _named_views(view) for table in _named_tables(one)), *own]
