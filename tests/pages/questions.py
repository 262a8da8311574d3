"""Writes docs/questions.md, docs/views.md and a page for each view: `python -m tests.pages.questions`.

The questions with the answers of `asked_demo`; the views with the questions that ask them, and their columns. What no
question asks is answered by `asked_registry`, which has all tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import redirect_stdout
from io import StringIO

from ecr_source import catalog
from ecr_source.catalog.in_words import actions
from ecr_source.cli.output.written_rows import TABLE, print_rows
from ecr_source.destinations.reading import DatasetReader
from ecr_source.destinations.views.definition import VERSIONS_OF, View
from ecr_source.destinations.views.definition import views as all_views
from ecr_source.destinations.views.view_questions import ViewQuestion, questions, questions_of, questions_of_other_views
from tests.pages.asked_demo import asked_demo
from tests.pages.asked_registry import asked_registry
from tests.pages.folder import escaped, write

_QUESTIONS = """\
# Questions

`python -m tests.pages.questions` writes this page: the questions that people ask of ECR, each with a query and its
answer. The answers are those of the demo: `ecr-source demo` loads its two registries, as they were a week ago and as
they are today, into demo.duckdb, where `ecr-source query --database demo.duckdb "SELECT …"` asks for more.

A view is asked by `ecr-source query "SELECT …"`, or by any client of the database, after `USE aws_ecr` in DuckDB, or
`SET search_path = aws_ecr` in Postgres: both give these answers. [views.md](views.md) has the views with all their
columns. They are made with each run, for whatever tables there are: what was not loaded, or could not be read, is
*unknown* in them, never "fine". In history mode they see the rows that hold now.
"""

_VIEWS = """\
# Views

Each view has a page with the question that it answers, queries with their answers, and its columns. What
[questions.md](questions.md) asks, the demo's registries answer; the rest, those of the tests.
`python -m tests.pages.questions` writes them; `ecr-source query --describe NAME` prints the queries and the
columns of one. [questions.md](questions.md) has all that people ask.

A run makes them in the schema of the tables, in DuckDB and Postgres, and in the warehouses that
[destinations.md](destinations.md) names; in a lake `ecr-source query` knows them. A view
whose tables were never loaded is not made: asked for, it says which run makes it.
"""

_TABLES = {table.name for table in catalog.TABLES} | {table.name for table in catalog.RUN_TABLES}


def pages(demo: DatasetReader, registry: DatasetReader) -> dict[str, str]:
    """The pages by their paths in docs/; `demo` answers the questions, `registry` what else is asked of views."""
    whole = [view for view in all_views().values() if not view.is_part]
    return {"questions.md": questions_page(demo), "views.md": _index(whole)} | {
        f"views/{view.name}.md": _view_page(demo, registry, view) for view in whole
    }


def questions_page(reader: DatasetReader) -> str:
    parts, number = [_QUESTIONS], 0
    for topic, of_a_topic in questions().items():
        parts.append(f"## {topic}\n")
        for asked in of_a_topic:
            number += 1
            parts.append("\n".join(_asked(reader, number, asked)))
    return "\n".join(parts)


def _asked(reader: DatasetReader, number: int, asked: ViewQuestion) -> Iterator[str]:
    yield f"### {number}. {asked.question}\n"
    yield f"```sql\n{asked.sql}\n```\n"
    yield f"```text\n{answered(reader, asked.sql)}```\n"
    view = asked.view
    yield f"View: [{view}](views/{view}.md).{f' Needs {asked.needs}.' if asked.needs else ''}\n"
    if asked.cannot_know:
        yield f"*What it does not know.* {asked.cannot_know}\n"


def answered(reader: DatasetReader, sql: str) -> str:
    """The rows as `ecr-source query` prints them."""
    with redirect_stdout(StringIO()) as text:
        print_rows(reader.rows(sql), TABLE, None)
    return text.getvalue()


# --- the views --------------------------------------------------------------------------------------------------------


def _index(whole: Collection[View]) -> str:
    listed = (f"- [{view.name}](views/{view.name}.md): {_question_and_row(view)[0]}" for view in whole)
    return "\n".join([_VIEWS, *listed, ""])


def _question_and_row(view: View) -> tuple[str, str]:
    question, _, row = view.description.partition("? ")
    return f"{question}?", row


def _view_page(demo: DatasetReader, registry: DatasetReader, view: View) -> str:
    question, row = _question_and_row(view)
    asked = questions_of(view.name)
    parts = [
        f"# {view.name}",
        f"**{question}** {escaped(row)}",
        *("\n\n".join(_query(registry if one in questions_of_other_views() else demo, one)) for one in asked),
        "## What it needs",
        "\n".join(f"- {fact}" for fact in _needs(view)),
        "## Columns",
        _columns(registry, view),
        "[All views](../views.md)",
    ]
    return "\n\n".join(parts) + "\n"


def _query(reader: DatasetReader, asked: ViewQuestion) -> Iterator[str]:
    yield f"```sql\n-- {asked.question}\n{asked.sql}\n```"
    yield f"```text\n{answered(reader, asked.sql)}```"
    if asked.cannot_know:
        yield f"*What it does not know.* {asked.cannot_know}"


def _needs(view: View) -> Iterator[str]:
    """What has to be loaded, and allowed, that there are rows, and that nothing in them is unknown."""
    tables = [table for table in catalog.TABLES if table.name in view.needs]
    yield f"tables: {', '.join(map(_linked, view.needs)) or 'none'}"
    if tables:
        yield f"IAM actions: {actions(tables)}"
    others = _named_with_parts(view) & _TABLES - {*view.needs}
    if others:
        yield f"knows more where these are loaded: {', '.join(map(_linked, sorted(others)))}"
    if any(name.startswith(VERSIONS_OF) for name in view.named):
        yield "history mode: `--mode history`"


def _linked(table: str) -> str:
    return f"[{table}](../tables/{table}.md)"


def _named_with_parts(view: View) -> set[str]:
    parts = [all_views()[name] for name in view.named if name in all_views() and all_views()[name].is_part]
    return {name.removeprefix(VERSIONS_OF) for name in view.named}.union(*map(_named_with_parts, parts))


def _columns(reader: DatasetReader, view: View) -> str:
    rows = [(f"`{one.name}`", one.type, escaped(one.description)) for one in reader.columns(reader.relation(view.name))]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    with asked_demo() as demo, asked_registry() as registry:
        write(pages(demo, registry))
