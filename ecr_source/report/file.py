"""The report as a file, in a folder or a bucket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow.fs import FileSystem

from ecr_source.errors import ConfigurationError
from ecr_source.report.narrowing import Narrowing
from ecr_source.report.report import ask_report

if TYPE_CHECKING:
    import dlt


def write_report(
    pipeline: dlt.Pipeline,
    file: str,
    *,
    title: str | None = None,
    accounts: Sequence[str] = (),
    regions: Sequence[str] = (),
    namespaces: Sequence[str] = (),
) -> None:
    """Writes the report of the dataset of `pipeline` as one HTML file, as `ecr-source report` does.

    Args:
        pipeline: one that has loaded `ecr_source`, or has its destination and dataset.
        file: a path, or a URL that Arrow knows: `s3://bucket/report.html`, `gs://bucket/report.html`. The credentials
            are those that the machine has.
        title: its title, in place of the accounts and regions.
        accounts: only these.
        regions: only these.
        namespaces: only the repositories whose names begin with one of these and a slash.

    Raises:
        ConfigurationError: the extra `report` is not installed; there is no such dataset; the file cannot be written.
        DestinationUnreachable: the destination does not answer, or another process holds it.
    """
    from ecr_source.destinations.destination import destination_of

    check_drawable()
    only = Narrowing(accounts, regions, namespaces)
    only.check()
    with destination_of(pipeline).open_reader(pipeline, {}) as reader:
        report = ask_report(reader, only, title, lambda _: None)
    from ecr_source.report.html_page import as_html

    write_text(as_html(report), file)


def check_drawable() -> None:
    """Checks that a page can be made, before anything is asked.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ConfigurationError('the report as HTML needs its extra: pip install "ecr-source[report]"') from error


def write_text(text: str, file: str) -> None:
    """Writes the file in place of one that is there: whole, or not at all.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        if "://" in file:
            _write_object(text, file)
        else:
            _write_path(text, Path(file))
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f'cannot write "{file}": {reason}') from error


def _write_object(text: str, url: str) -> None:
    system, path = FileSystem.from_uri(url)
    with system.open_output_stream(path) as stream:
        stream.write(text.encode())


def _write_path(text: str, path: Path) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
