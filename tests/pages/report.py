"""Writes docs/report.md, whose parts are those of the report: `python -m tests.pages.report`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ecr_source.report.parts import PARTS

PAGE = Path(__file__).parents[2] / "docs" / "report.md"

_TOP = """\
# Report

`python -m tests.pages.report` writes this page, `make pictures` its pictures.

```console
$ ecr-source report
$ ecr-source report --namespace team-a --title "Team A" --output team-a.html
$ ecr-source report --format markdown --region eu-west-1
```

One HTML file about everything that is loaded, to be read offline, printed, sent, or kept as evidence. It is asked where
`ecr-source run` loads, by the same settings: `--database`, `--destination` and `--dataset`, or what the configuration
says. Nothing is called, and nothing is changed. HTML needs the extra: `pip install "ecr-source[report]"`.

![The report on a desktop, in the light: what was read, and the numbers in one look](report-desktop.png)

- `--output FILE`: where it is written, `report.html` by default; a file that is there is replaced when all is written.
  `s3://bucket/report.html` is an object, written with the credentials of the machine.
- `--format html`, `markdown` or `json`: a page; text for a chat or a pull request; everything for a program. The last
  two go to standard output, unless a file is named.
- `--account`, `--region`, `--namespace`: only of these; each repeats, or takes commas. A namespace is what stands
  before a slash in the names of repositories. What would name others is left out.
- `--title TEXT`: in place of the accounts and regions; that something is incomplete is added to it all the same.
- `--open`: opens it in the browser.

In Python, `write_report(pipeline, "report.html")` does the same after a `load`; the [DAG](operations.md) for Airflow
writes one at its end where its parameter `report` says to.

**Each answer has its query beside it**, which `ecr-source query` answers with the same rows, and with those that the
page has no room for. **The file asks nobody**: style, script and charts are in it, and a Content-Security-Policy
forbids all else. Without JavaScript there is all to read; with it tables can be sorted and filtered, and queries
copied. Whatever a name holds is shown as text; accounts that were masked are masked in it.

**What was not read is unknown**, and never 0. Where something that was asked for could not be read, the title says so.

| exit code | |
|---|---|
| 0 | written |
| 2 | wrong usage; no such file or dataset; the report cannot be written |
| 3 | the database cannot be reached, or another process holds it |

**Seen**: DuckDB and Postgres. Elsewhere, a lake included, it is asked as `ecr-source query` asks.

![The report on a phone, in the dark: the numbers in one look, and findings by severity](report-phone.png)

## To go on asking

`make explore` opens `pipelines/ecr_explore.py`, a [marimo](https://marimo.io) notebook on the same dataset: choose a
view, sort and filter it, or ask in SQL. It needs the extra: `pip install "ecr-source[explore]"`. A DuckDB file is open
only while it answers, and nothing can be changed. dlt's own `dlt pipeline ecr show` reads the dataset of a pipeline of
that name that ran on this machine.

## What it says

In one look: repositories, images, GB and money a month; critical and high findings, those that an update fixes, those
in use; repositories open to the world; failing controls. Each leads to the part that tells more. In history mode what
there was a week before stands beside repositories, images, GB and findings.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join([_TOP, *_parts()])


def _parts() -> Iterator[str]:
    for part in PARTS:
        yield f"### {part.title}"
        yield ""
        for panel in part.panels:
            yield f"- **{panel.question}** {panel.note}".rstrip()
        yield ""


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
