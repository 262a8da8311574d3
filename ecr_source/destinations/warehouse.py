"""A destination as the rest of the package knows it: the questions that databases answer differently."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, TypeAlias, cast

import dlt
import pyarrow as pa
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.destination import AnyDestination, Destination
from dlt.common.destination.capabilities import DestinationCapabilitiesContext, MergeStrategySelector
from dlt.common.destination.client import JobClientBase
from dlt.common.exceptions import MissingDependencyException
from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema.typing import TLoaderMergeStrategy, TTableFormat
from dlt.destinations.sql_client import SqlClientBase
from dlt.extract import DltResource

from ecr_source.catalog.table import RunTable, Table
from ecr_source.destinations.replacement import by_markers
from ecr_source.errors import ConfigurationError, DestinationUnusable
from ecr_source.extract.results import ScopeRead

SNAPSHOT = "snapshot"

_PACKAGES = {"delta": "deltalake", "iceberg": "pyiceberg"}
"""The table formats of a lake that can be chosen, and the package that writes each."""

SqlClient: TypeAlias = SqlClientBase[Any]


@dataclass(frozen=True)
class Warehouse:
    """A destination of dlt, with what holds where nothing more is known of it.

    It has no views, comments or indexes of ours, as nobody tried, and loads into it may come between each other.
    """

    destination: AnyDestination

    has_views: ClassVar[bool] = False
    """Whether views and comments are made in it."""
    comments_query: ClassVar[str] = ""
    """The tables and columns of a dataset with their comments, where some are written.

    It takes the name of the dataset twice. The name of the column is NULL for the table itself.
    """
    has_indexes: ClassVar[bool] = False
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

    @property
    def place(self) -> str:
        """Where it is, as dlt's configuration says: "warehouse:5432/analytics", "s3://lake/ecr".

        Empty where the configuration does not say: what is wrong with it is told when it is opened.
        """
        try:
            return self._configured_place()
        except (ConfigurationException, MissingDependencyException):
            return ""

    def check(self, pipeline: dlt.Pipeline) -> None:
        """Opens the destination of `pipeline`, so that what is wrong with it is said before anything is read.

        Raises:
            DestinationUnusable: with what is wrong, and what to do.
        """
        try:
            with pipeline.destination_client() as client:
                if not client.is_storage_initialized():
                    self.check_can_be_made(pipeline, client)
        except DestinationUnusable:
            raise
        except MissingDependencyException as error:
            packages = " ".join(f'"{package}"' for package in error.dependencies)
            raise DestinationUnusable(
                f"the destination {self.name} needs packages that are not installed: pip install {packages}"
            ) from error
        except Exception as error:  # each driver has its own
            raise DestinationUnusable(
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
    def loading_alone(self, pipeline: dlt.Pipeline) -> Iterator[None]:
        """While it lasts no other run loads into the dataset of `pipeline`, where something can keep them away.

        Raises:
            LockLost: what kept them away was lost meanwhile.
        """
        yield

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

    # What is asked and made in it beside the load

    @contextmanager
    def open_tables(self, pipeline: dlt.Pipeline) -> Iterator[SqlClient]:
        """The SQL client of the pipeline's dataset.

        Raises:
            SqlClientNotAvailable: dlt has none for it.
        """
        with pipeline.sql_client() as client:
            yield client

    def foreign_views(self, client: SqlClient) -> set[str]:
        """The views in the dataset of `client` that are not ours to replace."""
        return set()


class AskedOnce(Destination[Any, Any]):
    """A destination of dlt that works out its capabilities once for each naming convention.

    dlt asks for them some thirty times a load, and resolves the destination's whole configuration each time: 10 ms.
    """

    def capabilities(
        self, config: Any = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """As dlt's own has them."""
        if config is not None:
            return super().capabilities(config, naming)
        known: dict[str | None, DestinationCapabilitiesContext] = self.__dict__.setdefault("_known", {})
        convention = f"{naming.name()} {naming.max_length}" if naming else None
        if convention not in known:
            known[convention] = super().capabilities(None, naming)
        return known[convention].copy()


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something; its type, if none does."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
