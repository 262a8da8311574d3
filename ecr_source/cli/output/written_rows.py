"""The rows of an answer, printed or written into a file: as they come, but for a table, which has to be aligned."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import orjson
import pyarrow as pa
from rich.console import Console

from ecr_source.destinations.reading import Rows
from ecr_source.errors import ConfigurationError, visible
from ecr_source.printing import cell_text, print_grid, print_line

Writer: TypeAlias = Callable[[Rows, BinaryIO], None]

TABLE = "table"

_SHOWN = 1_000
"""How many rows of a table a terminal shows, where nobody says how many."""
_NARROW = 16
"""Columns of which each has so many characters can be read beside each other."""


def check_form(form: str, known: Sequence[str]) -> None:
    """Checks that it is one of the forms that a command knows.

    Raises:
        ConfigurationError: it is not.
    """
    if form not in known:
        raise ConfigurationError(f'unknown format "{form}": it is one of {", ".join(known)}')


def print_rows(rows: Rows, form: str, limit: int | None) -> None:
    """Prints the rows to standard output; what a terminal would act on is shown as its escape.

    Raises:
        ConfigurationError: they cannot have this form.
        BrokenPipeError: whoever reads has enough.
    """
    if form == TABLE:
        _print_table(rows, limit)
        return
    sink = _Visible() if sys.stdout.isatty() else sys.stdout.buffer
    WRITERS[form](_limited(rows, limit), sink)  # type: ignore[arg-type]  # a raw file is one for pyarrow too


def write_file(rows: Rows, file: Path, limit: int | None) -> None:
    """Writes the rows into a file, in place of one that is there: whole, or not at all.

    Raises:
        ConfigurationError: it cannot be written, or the rows cannot have its form.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with part.open("wb") as sink:
            WRITERS[file.suffix[1:]](_limited(rows, limit), sink)
        part.replace(file)
    except OSError as error:
        raise ConfigurationError(f'cannot write "{file}": {error.strerror or error}') from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _limited(rows: Rows, limit: int | None) -> Rows:
    return rows if limit is None else Rows(rows.schema, _first(rows.batches, limit))


def _first(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch[:limit]
        limit -= batch.num_rows
        if limit <= 0:
            return


# On a terminal


class _Visible(RawIOBase):
    """A terminal that gets lines in which foreign text can do no harm."""

    def writable(self) -> bool:
        return True

    def write(self, text: Any) -> int:
        sys.stdout.write("\n".join(map(visible, bytes(text).decode(errors="backslashreplace").split("\n"))))
        return len(text)


def _print_table(rows: Rows, limit: int | None) -> None:
    console = Console()
    most = limit if limit is not None or not console.is_terminal else _SHOWN
    batches = list(_limited(rows, None if most is None else most + 1).batches)
    found = [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]
    cells = [[_cell(value) for value in row] for row in found[:most]]
    names = rows.schema.names
    if console.is_terminal and not _fits(names, cells, console.width):
        for number, row in enumerate(cells, 1):
            print_grid(console, ("column", f"row {number:,}"), zip(names, map(cell_text, row), strict=True))
    else:
        print_grid(console, names, cells)
    if limit is None and len(found) > len(cells):
        print_line(Console(stderr=True), f"only the first {most:,} rows: --limit shows others, --output writes all")


def _fits(names: Sequence[str], cells: Sequence[Sequence[object]], width: int) -> bool:
    """Whether each column would have room to be read."""
    widths = [max(map(len, (name, *map(cell_text, column)))) for name, *column in zip(names, *cells, strict=True)]
    return sum(min(one, _NARROW) + 1 for one in widths) <= width


def _cell(value: object) -> object:
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return _json(value) if isinstance(value, (list, dict)) else value


# For programs


def _write_csv(rows: Rows, sink: BinaryIO) -> None:
    from pyarrow.csv import CSVWriter

    schema = pa.schema([field.with_type(_flat_type(field.type)) for field in rows.schema])
    with CSVWriter(sink, schema) as writer:
        for batch in rows.batches:
            writer.write_batch(pa.record_batch(list(map(_flat, batch.columns)), schema=schema))


def _write_json(rows: Rows, sink: BinaryIO) -> None:
    _check_names(rows)
    before = b"["
    for batch in rows.batches:
        if batch.num_rows:
            sink.write(before + _json(batch.to_pylist()).encode()[1:-1])
            before = b",\n"
    sink.write(b"[]\n" if before == b"[" else b"]\n")


def _write_markdown(rows: Rows, sink: BinaryIO) -> None:
    lines = [rows.schema.names, ["---"] * len(rows.schema)]
    sink.write("".join(map(_markdown_line, lines)).encode())
    for batch in rows.batches:
        columns = [column.to_pylist() for column in batch.columns]
        sink.write("".join(_markdown_line(map(_cell, row)) for row in zip(*columns, strict=True)).encode())


def _markdown_line(cells: Any) -> str:
    return f"| {' | '.join(_markdown(cell) for cell in cells)} |\n"


def _markdown(cell: object) -> str:
    """Text as it is, in which nothing is markup."""
    return re.sub(r"[\\`*\[\]<>|~&]", r"\\\g<0>", "" if cell is None else visible(str(cell)))


def _write_parquet(rows: Rows, sink: BinaryIO) -> None:
    from pyarrow.parquet import ParquetWriter

    _check_names(rows)
    with ParquetWriter(sink, rows.schema) as writer:
        for batch in rows.batches:
            writer.write_batch(batch)


WRITERS: dict[str, Writer] = {
    "csv": _write_csv,
    "json": _write_json,
    "markdown": _write_markdown,
    "parquet": _write_parquet,
}
FORMATS = (TABLE, "csv", "json", "markdown")
SUFFIXES = (".parquet", ".csv", ".json")


def _check_names(rows: Rows) -> None:
    names = rows.schema.names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigurationError(f'two columns are called "{twice}": give one another name, with AS')


def _flat_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(kind) or pa.types.is_interval(kind) else kind


def _flat(column: pa.Array) -> pa.Array:
    """A column as CSV can have it: lists and structs as JSON."""
    if _flat_type(column.type) == column.type:
        return column
    return pa.array([None if value is None else _json(value) for value in column.to_pylist()], pa.string())


def _json(value: object) -> str:
    return orjson.dumps(value, default=_as_json, option=orjson.OPT_NON_STR_KEYS).decode()


def _as_json(value: object) -> object:
    """What JSON has for a value of Arrow's that it does not have."""
    return _number(value) if isinstance(value, Decimal) else value.hex() if isinstance(value, bytes) else str(value)


def _number(value: Decimal) -> int | float:
    is_whole = value == value.to_integral_value() and not value.as_tuple().exponent
    return int(value) if is_whole and abs(value) < 2**63 else float(value)  # JSON has no longer ones for orjson
