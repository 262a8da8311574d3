"""A notebook to go on asking: the views of what was loaded, and any question in SQL.

    make explore

It reads where `ecr-source run` loads: `.dlt/config.toml`, or the environment (`SOURCES__ECR__DATABASE`). Nothing can be
changed. It needs the extra: `pip install "ecr-source[explore]"`.
"""

import marimo

app = marimo.App(width="medium", app_title="Amazon ECR")


@app.cell
def _():
    import marimo as mo

    from ecr_source.errors import ConfigurationError
    from ecr_source.loading.loaded.opened import open_loaded
    from ecr_source.loading.settings.configuration import resolve_settings

    def asked(statement, most=10_000):
        """The first rows of an answer as a table of Arrow; the file is open no longer than that takes."""
        import pyarrow as pa

        with open_loaded(resolve_settings({})) as reader:
            rows = reader.rows(f"SELECT * FROM ({statement}) AS answer LIMIT {most}")
            return pa.Table.from_batches(rows.batches, rows.schema)

    with open_loaded(resolve_settings({})) as _reader:
        views = {f"{one.name}: {one.summary}": one.name for one in _reader.relations() if one.is_view}
    return ConfigurationError, asked, mo, views


@app.cell
def _(mo, views):
    view = mo.ui.dropdown(views, value=next(name for name in views if "ecr_freshness" in name), label="View")
    mo.vstack([mo.md("# Amazon ECR\n\nChoose a view, or ask in SQL below: its tables are the views and tables."), view])
    return (view,)


@app.cell
def _(asked, mo, view):
    mo.ui.table(asked(f"SELECT * FROM {view.value}"), selection=None, label=view.value)
    return


@app.cell
def _(mo):
    question = mo.ui.text_area(
        "SELECT registry_id, region, count(*) AS repositories\nFROM repositories GROUP BY 1, 2 ORDER BY 1, 2",
        label="Question",
        full_width=True,
    ).form(submit_button_label="Ask")
    question
    return (question,)


@app.cell
def _(ConfigurationError, asked, mo, question):
    mo.stop(question.value is None)
    try:
        _answer = mo.ui.table(asked(question.value.rstrip().removesuffix(";")), selection=None, label="Answer")
    except ConfigurationError as error:
        _answer = mo.callout(str(error), kind="danger")
    _answer
    return


if __name__ == "__main__":
    app.run()
