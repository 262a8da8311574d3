"""How rows are grouped in the files in which they wait."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ecr_source.extract.rows.row_groups import RowGroups

SCHEMA = pa.schema([("name", pa.string())])
MEGABYTE = 1_000_000


def page(name: str, size: int) -> pa.Table:
    return pa.table({"name": [name * size]}, schema=SCHEMA)


@pytest.fixture
def row_groups(tmp_path: Path) -> RowGroups:
    return RowGroups(tmp_path / "rows.parquet", SCHEMA)


def test_rows_of_many_small_pages_share_a_row_group(row_groups: RowGroups) -> None:
    for name in "abc":
        row_groups.write(page(name, 1))
    row_groups.close()
    with pq.ParquetFile(row_groups.path) as file:
        assert file.num_row_groups == 1
        assert file.read()["name"].to_pylist() == ["a", "b", "c"]


def test_a_row_group_ends_when_it_is_large(row_groups: RowGroups) -> None:
    for name in "abcde":
        row_groups.write(page(name, 3 * MEGABYTE))
    row_groups.close()
    with pq.ParquetFile(row_groups.path) as file:
        assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [3, 2]
        assert [text[0] for text in file.read()["name"].to_pylist()] == [*"abcde"]


def test_without_rows_there_is_no_file(row_groups: RowGroups) -> None:
    row_groups.close()
    assert not row_groups.path.exists()


def test_dropped_rows_leave_no_file(row_groups: RowGroups) -> None:
    row_groups.write(page("a", 9 * MEGABYTE))
    row_groups.write(page("b", 1))
    row_groups.drop()
    assert not row_groups.path.exists()


def test_where_much_waits_for_many_files_row_groups_are_smaller(tmp_path: Path) -> None:
    others = [RowGroups(tmp_path / f"{number}.parquet", SCHEMA) for number in range(9)]
    for other in others:
        other.write(page("a", 7 * MEGABYTE))
    late = RowGroups(tmp_path / "late.parquet", SCHEMA)
    late.write(page("b", 2 * MEGABYTE))
    assert [path.name for path in tmp_path.iterdir()] == ["late.parquet"]
    others.clear()
    next_one = RowGroups(tmp_path / "next.parquet", SCHEMA)
    next_one.write(page("c", 2 * MEGABYTE))
    assert not next_one.path.exists()
    late.close()
