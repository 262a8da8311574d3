"""The rows that are there before a load, of the scopes that it has read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

import pyarrow as pa

from ecr_source.catalog import EXTRACTION_IMAGES, EXTRACTION_REPOSITORIES, EXTRACTION_SCOPES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import RunTable, Table
from ecr_source.catalog.tables.image import IMAGE_KEY
from ecr_source.catalog.tables.repository import REPOSITORIES
from ecr_source.destinations.replacement import scope_columns
from ecr_source.loading.loaded.dataset import Dataset
from ecr_source.statuses import COMPLETE, NO_ANSWER

_LISTED_AT = f"""
SELECT registry_id, region, max(started_at) FROM {{table}}
WHERE table_name = '{REPOSITORIES.name}' AND status = '{COMPLETE}' GROUP BY registry_id, region
"""  # noqa: S608 (words of ours)

_TOLD_AT = ["operation", "registry_id", "region", "repository_name"]


@dataclass(frozen=True)
class RowsBefore:
    """What a dataset, which is open, has of some scopes; each is an account and a region."""

    dataset: Dataset
    scopes: Collection[tuple[str, str]]

    def are_only_of(self, scopes: Collection[tuple[str, str]]) -> bool:
        """Whether no rows are told but those of these scopes."""
        return all(both in scopes for both in product(*self._accounts_and_regions))

    @property
    def _accounts_and_regions(self) -> list[list[str]]:
        return [sorted({scope[index] for scope in self.scopes}) for index in range(2)]

    def listed_at(self) -> dict[tuple[str, str], datetime]:
        """When all repositories of a scope were listed last; without those of which they never were."""
        with self.dataset.tables() as client:
            table = client.make_qualified_table_name(EXTRACTION_SCOPES.name)
            rows = client.execute_sql(_LISTED_AT.format(table=table)) or ()
        return {(account, region): at for account, region, at in rows if (account, region) in self.scopes}

    def told_at(self) -> pa.Table:
        """When each operation told of each repository last: rows of extraction_repositories."""
        names = [*_TOLD_AT, "extracted_at"]
        return self._rows(
            EXTRACTION_REPOSITORIES,
            f"SELECT {', '.join(_TOLD_AT)}, max(extracted_at) AS extracted_at FROM {{table}} WHERE {{scopes}}"  # noqa: S608 (names of ours)
            f" GROUP BY {', '.join(_TOLD_AT)}",
            names,
        )

    def answered_images(self, operation: str) -> pa.Table:
        """The images of which the operation has told something."""
        unanswered = ", ".join(f"'{outcome}'" for outcome in NO_ANSWER)
        statement = (
            f"SELECT {', '.join(IMAGE_KEY)} FROM {{table}}"  # noqa: S608 (names of ours)
            f" WHERE {{scopes}} AND operation = %s AND outcome NOT IN ({unanswered})"
        )
        return self._rows(EXTRACTION_IMAGES, statement, IMAGE_KEY, operation)

    def of(self, table: Table, columns: Sequence[str], **equal: str) -> pa.Table:
        """These columns of the rows that are there now, where other columns are `equal` to something."""
        conditions = ["{scopes}", *self.dataset.of_versions, *(f"{name} = %s" for name in equal)]
        names = ", ".join(columns)
        statement = f"SELECT {names} FROM {{table}} WHERE {' AND '.join(conditions)}"  # noqa: S608 (names of ours)
        return self._rows(table, statement, columns, *equal.values())

    def _rows(self, table: Table | RunTable, statement: str, columns: Sequence[str], *values: str) -> pa.Table:
        schema = pa.schema([arrow_schema(table).field(name) for name in columns])
        # By lists of each column, which databases look up: these may name more scopes, but few that are not read too.
        accounts_and_regions = self._accounts_and_regions
        scopes = " AND ".join(
            f"{name} IN ({', '.join(['%s'] * len(among))})"
            for name, among in zip(scope_columns(table), accounts_and_regions, strict=True)
        )
        in_scopes = [value for among in accounts_and_regions for value in among]
        with self.dataset.tables() as client:
            asked = statement.format(table=client.make_qualified_table_name(table.name), scopes=scopes)
            return self.dataset.fetch(client, asked, schema, *in_scopes, *values)
