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


def rows_of_groups(written: RowGroups) -> list[int]:
    metadata = pq.read_metadata(written.path)
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


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
        row_groups.write(page(name, 700_000))
    row_groups.close()
    assert rows_of_groups(row_groups) == [3, 2]
    assert [text[0] for text in pq.read_table(row_groups.path)["name"].to_pylist()] == [*"abcde"]


def test_the_row_groups_of_a_large_file_are_larger_than_its_first(row_groups: RowGroups) -> None:
    for _ in range(120):
        row_groups.write(page("a", MEGABYTE))
    row_groups.close()
    *rows, _ = rows_of_groups(row_groups)
    assert rows == sorted(rows)
    assert (rows[0], rows[-1]) == (2, 8)


def test_without_rows_there_is_no_file(row_groups: RowGroups) -> None:
    row_groups.close()
    assert not row_groups.path.exists()


def test_dropped_rows_leave_no_file(row_groups: RowGroups) -> None:
    row_groups.write(page("a", 9 * MEGABYTE))
    row_groups.write(page("b", 1))
    row_groups.drop()
    assert not row_groups.path.exists()


def test_where_much_waits_for_many_files_row_groups_are_smaller(tmp_path: Path) -> None:
    others = [RowGroups(tmp_path / f"{number}.parquet", SCHEMA) for number in range(33)]
    for other in others:
        other.write(page("a", 1_900_000))
    late = RowGroups(tmp_path / "late.parquet", SCHEMA)
    late.write(page("b", 1_900_000))
    assert [path.name for path in tmp_path.iterdir()] == ["late.parquet"]
    others.clear()
    next_one = RowGroups(tmp_path / "next.parquet", SCHEMA)
    next_one.write(page("c", 1_900_000))
    assert not next_one.path.exists()
    late.close()
