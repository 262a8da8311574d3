"""The rows of extraction_repositories: of which repositories an operation told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ecr_source.catalog import EXTRACTION_REPOSITORIES
from ecr_source.catalog.schema import arrow_schema
from ecr_source.extract.operations.questions import rows_of
from ecr_source.extract.operations.reading import Reading
from ecr_source.extract.rows.spool import TableFile
from ecr_source.statuses import COMPLETE

_SCHEMA = arrow_schema(EXTRACTION_REPOSITORIES)


def repositories_told_of(reading: Reading, listed: TableFile, folder: Path) -> TableFile:
    """A file with a row for each repository of `listed` that could be read, with the schema of the table."""
    excepted = sorted(reading.failures.repositories)
    names = rows_of(listed, ["repository_name"])["repository_name"].combine_chunks()
    names = names.filter(pc.invert(pc.is_in(names, pa.array(excepted, pa.string()))))
    scope, operation = reading.api.scope, str(reading.operation)
    path = folder / f"{scope.registry_id} {scope.region} {operation} repositories.parquet"
    if len(names):
        pq.write_table(_rows(reading, names.to_pylist()), path)
    return TableFile(
        EXTRACTION_REPOSITORIES,
        scope,
        path,
        len(names),
        reading.began_at,
        {"operation": operation},
        "repository_name",
        tuple(sorted(reading.named)) if reading.named is not None else None,
        tuple(excepted),
    )


def _rows(reading: Reading, names: Sequence[str]) -> pa.Table:
    same = [reading.api.scope.registry_id, reading.api.scope.region, str(reading.operation)]
    outcomes = [reading.outcomes.get(name, COMPLETE) for name in names]
    columns = [*([value] * len(names) for value in same), names, outcomes, [reading.started_at] * len(names)]
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)], _SCHEMA)
