"""An answer as people or programs see it: a question to what was loaded, its rows, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import pyarrow as pa
from rich.console import Console

from ecr_source.cli.exit_codes import COMPLETE, NOTHING_LOADED, STOPPED, UNUSABLE, refuse
from ecr_source.cli.invocation import loading_command
from ecr_source.cli.output.written_rows import FORMATS, SUFFIXES, TABLE, check_form, print_rows, write_file
from ecr_source.destinations.reading import DatasetReader, Relation, Rows
from ecr_source.destinations.views.view_questions import questions_of
from ecr_source.errors import ConfigurationError, DestinationUnreachable, NotLoaded
from ecr_source.loading.loaded.opened import open_loaded
from ecr_source.loading.settings.declared import Settings
from ecr_source.printing import print_line

_STDIN = "-"


@dataclass(frozen=True)
class Question:
    """What is asked: `text` is a name, a statement or `-`; or what there is, or what the columns of one are."""

    text: str | None
    lists: bool
    described: str | None


@dataclass(frozen=True)
class Answer:
    """How its rows are wanted; None where it was not said."""

    form: str | None
    output: Path | None
    limit: int | None


def query_and_report(settings: Settings, question: Question, answer: Answer) -> int:
    """Asks, prints or writes the rows, and returns the exit code."""

    def ask() -> None:
        _check(question, answer)
        with open_loaded(settings) as reader:
            _report(reader, question, answer)

    return exit_code_of(settings, ask)


def exit_code_of(settings: Settings, ask: Callable[[], None]) -> int:
    """What comes of `ask`, which prints what it is answered: 0, or the exit code of an error, which is told."""
    try:
        ask()
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has enough; Python would say so when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except DestinationUnreachable as error:
        return refuse(error, NOTHING_LOADED)
    except NotLoaded as error:
        return refuse(f"{error}: {loading_command(settings, error.options)}", UNUSABLE)
    except ConfigurationError as error:
        return refuse(error, UNUSABLE)
    except pa.ArrowException as error:
        return refuse(f"the rows cannot be written so: {error}; cast the column, or give another format", UNUSABLE)
    except KeyboardInterrupt:
        return refuse("stopped", STOPPED)
    return COMPLETE


def _check(question: Question, answer: Answer) -> None:
    asked = [question.text, question.lists or None, question.described]
    if len(asked) - asked.count(None) != 1:
        raise ConfigurationError("ask one thing: a name, a statement or -, or --list, or --describe NAME")
    if answer.output and answer.form:
        raise ConfigurationError("--format means nothing with --output, whose suffix says it: leave one out")
    check_form(answer.form or TABLE, FORMATS)
    if answer.output and answer.output.suffix not in SUFFIXES:
        raise ConfigurationError(
            f'"{answer.output}" has none of the suffixes {", ".join(SUFFIXES)}, which say the format'
        )


def _report(reader: DatasetReader, question: Question, answer: Answer) -> None:
    form = answer.form or TABLE
    if question.described is not None and not answer.output and form == TABLE:
        _print_described(reader.relation(question.described))
    rows = _rows(reader, question)
    if answer.output:
        write_file(rows, answer.output, answer.limit)
    else:
        print_rows(rows, form, answer.limit)


def _print_described(relation: Relation) -> None:
    console = Console()
    for text in (relation.description, *_queries_of(relation)):
        for line in text.splitlines():
            print_line(console, line)
        console.print()


def _queries_of(relation: Relation) -> list[str]:
    """What people ask of it, each query below its question."""
    if relation.is_view:
        return [asked.commented for asked in questions_of(relation.name)]
    from ecr_source.catalog.example_queries import example_queries  # the service model with it: no answer is to wait

    query = example_queries().get(relation.name)
    return [f"In DuckDB's SQL:\n{query}"] if query else []


def _rows(reader: DatasetReader, question: Question) -> Rows:
    if question.lists:
        there = [(one.name, "view" if one.is_view else "table", one.summary) for one in reader.relations()]
        unmade = [(name, "no view yet", f"{command} makes it") for name, command in reader.unmade_views().items()]
        return _of_texts(("name", "kind", "description"), sorted([*there, *unmade]))
    if question.described is not None:
        columns = reader.columns(reader.relation(question.described))
        return _of_texts(("column", "type", "description"), map(astuple, columns))
    text = (sys.stdin.read() if question.text == _STDIN else question.text or "").strip()
    name = text.removesuffix(";").rstrip()
    return reader.rows_of(reader.relation(name)) if name.isidentifier() else reader.rows(text)


def _of_texts(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Rows:
    schema = pa.schema([(name, pa.string()) for name in names])
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema)
    return Rows(schema, iter(table.to_batches()))
