"""What came of a scope is rewritten whole: no field is forgotten, whoever adds one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ecr_source.aws.api import Usage
from ecr_source.aws.scopes import Scope
from ecr_source.catalog.schema import arrow_schema
from ecr_source.catalog.table import Table
from ecr_source.catalog.tables.repository import REPOSITORIES
from ecr_source.extract.results import ReadError, ScopeRead, TableRead
from ecr_source.extract.rows.rewriting import rewrite
from ecr_source.extract.rows.spool import TableFile

SEEN, INSTEAD = "secret", "public"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Replacing:
    """Replaces whole texts."""

    def text(self, text: str) -> str:
        return text.replace(SEEN, INSTEAD)

    def column(self, texts: pa.Array) -> pa.Array:
        return pa.array([None if text is None else self.text(text) for text in texts.to_pylist()], pa.string())


def told(value: object) -> Iterator[str]:
    """Every text in a result."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from told(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from told(one)
    elif is_dataclass(value) and not isinstance(value, (Table, type)):
        for field in fields(value):
            yield from told(getattr(value, field.name))


def test_every_text_of_a_result_is_rewritten_and_the_rows_of_its_files(tmp_path: Path) -> None:
    path = tmp_path / "repositories.parquet"
    row = {"registry_id": SEEN, "region": SEEN, "repository_name": SEEN, "repository_arn": f"arn:{SEEN}"}
    pq.write_table(pa.Table.from_pylist([row], arrow_schema(REPOSITORIES)), path)
    scope = Scope(SEEN, SEEN)
    file = TableFile(
        REPOSITORIES, scope, path, 1, datetime.now(UTC), {"owner": SEEN}, SEEN, (SEEN,), (SEEN, f"a-{SEEN}")
    )
    table = TableRead(
        table=REPOSITORIES,
        status=SEEN,
        files=[file],
        usage=Usage(),
        excepted_repositories=1,
        note=SEEN,
        started_at=NOW,
        finished_at=NOW,
        resumes_at=SEEN,
    )
    read = ScopeRead(scope, SEEN, [table], [ReadError(SEEN, SEEN, SEEN, f"cannot read {SEEN}", SEEN)])

    rewritten = rewrite(read, Replacing())

    texts = list(told(rewritten))
    assert len(texts) == len(list(told(read)))
    assert all(INSTEAD in text and SEEN not in text for text in texts)
    (stored,) = rewritten.tables[0].files
    (loaded,) = pq.read_table(stored.path).to_pylist()
    assert {name: loaded[name] for name in row} == {name: text.replace(SEEN, INSTEAD) for name, text in row.items()}
    assert list(tmp_path.iterdir()) == [stored.path]
