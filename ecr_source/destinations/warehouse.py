"""A destination as the rest of the package knows it: the questions that databases answer differently."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, TypeAlias, cast

import dlt
import pyarrow as pa
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination import AnyDestination
from dlt.common.destination.capabilities import DestinationCapabilitiesContext, MergeStrategySelector
from dlt.common.destination.client import JobClientBase
from dlt.common.exceptions import MissingDependencyException
from dlt.common.schema import Schema
from dlt.common.schema.typing import TLoaderMergeStrategy, TTableFormat
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltResource

from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.reading import DatasetReader, no_dataset
from ecr_source.destinations.reading.sql import SqlReader
from ecr_source.destinations.replacement import by_markers
from ecr_source.errors import ConfigurationError, DestinationUnreachable, DestinationUnusable
from ecr_source.extract.results import ScopeRead

SNAPSHOT = "snapshot"
_SCHEMA = "ecr"
"""dlt's schema of the tables, by which its configuration may say how names are changed."""

_PACKAGES = {"delta": "deltalake", "iceberg": "pyiceberg"}
"""The table formats of a lake that can be chosen, and the package that writes each."""

ROWS_AT_A_TIME = 10_000
"""Of a driver whose rows are Python objects no more are in memory at once."""

SqlClient: TypeAlias = SqlClientBase[Any]


@dataclass(frozen=True)
class RowAddress:
    """The column by which a database finds a row of any table, its type, and a value that is before all others."""

    column: str
    type: str
    before_all: str


@dataclass(frozen=True)
class Warehouse:
    """A destination of dlt, with what holds where nothing more is known of it.

    It has no views, comments or indexes of ours, and loads into it may come between each other.
    """

    destination: AnyDestination

    has_views: ClassVar[bool] = False
    """Whether views and comments are made in it."""
    comments_query: ClassVar[str] = ""
    """The tables and columns of a dataset with their comments, where some are written.

    It takes the name of the dataset twice. The name of the column is NULL for the table itself.
    """
    tables_query: ClassVar[str] = """
SELECT table_name, max(CASE WHEN column_name = '_dlt_valid_to' THEN 1 ELSE 0 END)
FROM information_schema.columns WHERE table_schema = %s GROUP BY table_name
"""
    """The tables of a dataset, and whether they have versions; it takes the dataset's name."""
    views_query: ClassVar[str] = ""
    """The views of a dataset with their comments, and whether they are ours to replace; it takes the dataset's name."""
    replaces_columns: ClassVar[bool] = True
    """Whether a view can take the place of one with other columns."""
    counts_rows: ClassVar[bool] = False
    """Whether the rows of its tables are counted in no time."""
    has_indexes: ClassVar[bool] = False
    row_address: ClassVar[RowAddress | None] = None
    """How its rows are found when a dataset is converted to history mode; None where that is not done."""
    may_be_shared: ClassVar[bool] = True
    """Whether more than one run can have it open."""

    @cached_property
    def _capabilities(self) -> DestinationCapabilitiesContext:
        return self.destination.capabilities()

    # How it is opened

    @property
    def name(self) -> str:
        """Its name in dlt's configuration."""
        return self.destination.destination_name

    @cached_property
    def place(self) -> str:
        """Where it is, as dlt's configuration says: "warehouse:5432/analytics", "s3://lake/ecr".

        Empty where the configuration does not say: what is wrong with it is told when it is opened.
        """
        try:
            return self._configured_place()
        except (ConfigurationException, MissingDependencyException):
            return ""

    def check_dataset_name(self, dataset: str) -> None:
        """Checks that the dataset is called so in the destination, and not as dlt would change it.

        Raises:
            ConfigurationError: it is not; with the name that it would get.
        """
        with Container().injectable_context(self._capabilities):
            called = Schema(_SCHEMA).naming.normalize_table_identifier(dataset)
        if called != dataset and self._changes_names():
            raise ConfigurationError(
                f'dlt would call the dataset "{dataset}" "{called}" in {self.name}: give --dataset {called}'
            )

    def _changes_names(self) -> bool:
        """Whether dlt changes the name of a dataset, which `enable_dataset_name_normalization` forbids."""
        configuration = self.destination.configuration(self.destination.spec(), accept_partial=True)
        return bool(getattr(configuration, "enable_dataset_name_normalization", False))

    def check(self, pipeline: dlt.Pipeline) -> None:
        """Opens the destination of `pipeline`, so that what is wrong with it is said before anything is read.

        Raises:
            DestinationUnusable: with what is wrong, and what to do.
        """
        with self._told_as_unusable(), pipeline.destination_client() as client:
            if not client.is_storage_initialized():
                self.check_can_be_made(pipeline, client)

    @contextmanager
    def open_reader(self, pipeline: dlt.Pipeline, parameters: Mapping[str, float]) -> Iterator[DatasetReader]:
        """The dataset of `pipeline`, to be read only.

        `parameters` are the values of `ecr_parameters` that are overridden, where views come with a question.

        Raises:
            DestinationUnreachable: it cannot be opened.
            ConfigurationError: there is no such dataset.
        """
        with ExitStack() as stack:
            with self._told_as_unusable():
                reader = stack.enter_context(self._reader(pipeline, parameters))
            yield reader

    @contextmanager
    def _reader(self, pipeline: dlt.Pipeline, parameters: Mapping[str, float]) -> Iterator[DatasetReader]:
        with pipeline.destination_client() as client:
            if not client.is_storage_initialized():
                raise no_dataset(pipeline.dataset_name, f"the destination {self.name}")
        with self.open_tables(pipeline) as tables:
            yield SqlReader(pipeline, tables, _SCHEMA, parameters)

    @contextmanager
    def _told_as_unusable(self) -> Iterator[None]:
        """Tells what opens it what is wrong, and what to do."""
        try:
            yield
        except ConfigurationError:
            raise
        except MissingDependencyException as error:
            packages = " ".join(f'"{package}"' for package in error.dependencies)
            raise DestinationUnusable(
                f"the destination {self.name} needs packages that are not installed: pip install {packages}"
            ) from error
        except Exception as error:  # each driver has its own
            raise DestinationUnreachable(
                f"cannot open the destination {self.name}: {first_line(error)};"
                " check that it runs and what .dlt/secrets.toml or the environment say of it"
            ) from error

    def check_can_be_made(self, pipeline: dlt.Pipeline, client: JobClientBase) -> None:
        """Checks that the dataset, which is not there yet, can be made where nobody is asked before the load.

        Raises:
            DestinationUnusable: it cannot.
        """

    def _configured_place(self) -> str:
        return self.destination.configuration(self.destination.spec(), accept_partial=True).data_location() or ""

    # How rows get into its tables

    @property
    def dialect(self) -> str | None:
        """Its SQL, by sqlglot's name of it."""
        return self._capabilities.sqlglot_dialect

    def replaced_rows(self, table: Table | RunTable) -> str:
        """The condition on the rows of `table` that markers among the staged rows name, as dlt's hint takes it."""
        return by_markers(table, self.dialect)

    def check_merge(self, mode: str, strategy: str | None, table_format: str | None) -> None:
        """Checks that its tables merge by `strategy`, as the load mode needs: dlt would append.

        Raises:
            ConfigurationError: there is no such table format.
            DestinationUnusable: with what to use instead.
        """
        if table_format is not None:
            if table_format not in _PACKAGES:
                raise ConfigurationError(f'unknown table format "{table_format}": it is one of {", ".join(_PACKAGES)}')
            self.check_table_format(table_format)
            if find_spec(_PACKAGES[table_format]) is None:
                raise DestinationUnusable(
                    f'{table_format} tables need packages that are not installed: pip install "ecr-source[lake]"'
                )
        if strategy is None or strategy in self._strategies(table_format):
            return
        cannot = "replace rows" if mode == SNAPSHOT else "keep versions"
        raise DestinationUnusable(
            f"{self.tables_called(table_format)} cannot {cannot} ({strategy}), which {mode} mode needs:"
            f" use {self.instead_of(mode)}"
        )

    def check_table_format(self, table_format: str) -> None:
        """Checks that it can have tables of this format.

        Raises:
            DestinationUnusable: it has its own.
        """
        raise DestinationUnusable(
            f"{table_format} tables are a lake's, and the destination {self.name} has its own:"
            " leave the table format out, or use the destination filesystem"
        )

    def tables_called(self, table_format: str | None) -> str:
        """What a message calls the tables of this format."""
        return f"the destination {self.name}"

    def instead_of(self, mode: str) -> str:
        """What can be used where its tables cannot be loaded in this mode."""
        return "--mode incremental, or another destination"

    def supports(self, strategy: str) -> bool:
        """Whether dlt has this way of merging for it."""
        return strategy in (self._capabilities.supported_merge_strategies or ())

    def replaces_by_key_with(self, table_format: str | None) -> Literal["upsert", "delete-insert"]:
        """The way of merging that replaces rows by a key of several columns."""
        # In Athena dlt deletes by a key of one column only.
        return "upsert" if self.dialect == "athena" else "delete-insert"

    def table_format_of(self, pipeline: dlt.Pipeline, table: str) -> str | None:
        """The format of a table that is there, where it has several; None if there is no such table."""
        return None

    def format_called(self, table_format: str | None) -> str | None:
        """The name of the format that tables get; None where it has its own, which nobody can choose."""
        return None

    def load_exactly(self, resource: DltResource) -> DltResource:
        """The same resource, loaded so that an empty text arrives as one."""
        return resource

    @contextmanager
    def loading_alone(self, pipeline: dlt.Pipeline) -> Iterator[SqlClient | None]:
        """While it lasts no other run loads into the dataset of `pipeline`, where something can keep them away.

        It is the SQL client of the dataset, where rows have a `row_address`.

        Raises:
            LockLost: what kept them away was lost meanwhile.
        """
        yield None

    def check_memory_for_history(self, pipeline: dlt.Pipeline) -> None:
        """Checks that it has the memory that dlt's scd2 needs.

        Raises:
            ConfigurationError: it has not.
        """

    def storable_read(self, read: ScopeRead) -> ScopeRead:
        """What came of a scope, in texts that it can hold."""
        return read

    def storable_names(self, names: pa.Array) -> pa.Array:
        """The names, of type string, as it can hold them."""
        return names

    def _strategies(self, table_format: str | None) -> Collection[str]:
        """The ways of merging into tables of the format that it makes, as it is configured."""
        capabilities = self._capabilities
        strategies = cast("Sequence[TLoaderMergeStrategy] | None", capabilities.supported_merge_strategies)
        selector = cast("MergeStrategySelector | None", capabilities.merge_strategies_selector)
        if selector is None or strategies is None:
            return strategies or ()
        # Athena merges into Iceberg tables only.
        made = cast("TTableFormat | None", table_format or capabilities.preferred_table_format)
        return selector(strategies, table_schema={"table_format": made or "native"})

    def tables_in_parts(self, client: SqlClient) -> set[str]:
        """The tables in the dataset of `client` whose rows have an address in a part of the table only."""
        return set()

    # What is asked and made in it beside the load

    def stored_tables(self, client: SqlClient) -> dict[str, bool]:
        """The tables of a dataset, and whether they have versions."""
        rows = client.execute_sql(self.tables_query, client.dataset_name) or ()
        return {name: bool(has_versions) for name, has_versions in rows}

    def stored_views(self, client: SqlClient) -> dict[str, tuple[str, bool]]:
        """The views of a dataset with a text that has their fingerprints, and whether they are ours to replace."""
        rows = client.execute_sql(self.views_query, client.dataset_name) or ()
        return {name: (comment or "", is_ours) for name, comment, is_ours in rows}

    def parts_of(self, client: SqlClient, query: str, *values: str) -> Generator[Any]:
        """What a query returns, some rows of it at a time, as the driver hands them over to Arrow."""
        with client.execute_query(query, *values) as cursor:
            yield from cursor.iter_arrow(ROWS_AT_A_TIME)

    def view_statement(self, name: str, query: str, description: str, fingerprint: str) -> str:
        """What makes a view of a query, or puts it into the place of the one that is there."""
        return f"CREATE OR REPLACE VIEW {name} AS {query}"

    def kept_open(self) -> AbstractContextManager[object]:
        """While it lasts, what takes long to open stays open between one question and the next."""
        return nullcontext()

    def closed_meanwhile(self) -> AbstractContextManager[object]:
        """While it lasts, others may open it in spite of `kept_open`."""
        return nullcontext()

    @contextmanager
    def open_tables(self, pipeline: dlt.Pipeline) -> Iterator[SqlClient]:
        """The SQL client of the pipeline's dataset.

        Raises:
            SqlClientNotAvailable: dlt has none for it.
        """
        with pipeline.sql_client() as client:
            yield client


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something; its type, if none does."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
