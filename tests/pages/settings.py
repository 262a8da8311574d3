"""Writes docs/settings.md, from the one declaration of the settings: `python -m tests.pages.settings`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ecr_source.loading.settings.declared import (
    NO_ARGUMENTS,
    OF_THE_DESTINATION,
    QUERY,
    REPORT,
    SIMULATE,
    Declaration,
    declarations,
)

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

_OTHERS = ("check", "iam-policy", QUERY, REPORT, SIMULATE)

_TOP = """\
# Settings

`python -m tests.pages.settings` writes this page. What is said first holds: an option of the command line or an
argument of `ecr_source(…)`; then the environment, `SOURCES__ECR__MAX_CALLS=1000`; then `.dlt/secrets.toml` and
`.dlt/config.toml`, `max_calls = 1000` below `[sources.ecr]`; then the default.

A list is `["eu-west-1", "us-east-1"]` or `"eu-west-1,us-east-1"`, and one value needs no brackets; its option repeats,
or takes commas. A role's name may have commas: they separate no roles. `--table` replaces the default tables;
`--table default,findings` adds to them.

A name there that is no setting is refused, and so is a setting that the run would ignore, such as bounds on findings
without findings; but not what is configured, where an option or an argument of one run makes it meaningless.

**Prices, quotas and thresholds** of the views are the rows of `ecr_parameters`. A number below
`[sources.ecr.parameters]` overrides one, `storage_price = 0.08`; so do `SOURCES__ECR__PARAMETERS__STORAGE_PRICE=0.08`,
`--parameter storage_price=0.08`, and `load(pipeline, source, parameters={"storage_price": 0.08})` in a program. They
are written into the views: of two people with different settings on one dataset the one has the say whose run was last,
and `query` shows what that one said. Only of a lake, which has no views, `query` reckons by its own configuration.

`run` and `plan` take every option; `check`, `iam-policy`, `query` and `report` those that mean something to them, and
refuse the others.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join([_TOP, *_table(), ""])


def _table() -> Iterator[str]:
    yield "| setting | option | default | meaning | also of |"
    yield "|---|---|---|---|---|"
    for declaration in declarations().values():
        setting = declaration.setting
        also = [
            f"`{command}`"
            for command in ("check", "iam-policy", QUERY, REPORT, SIMULATE)
            if command in setting.commands
        ]
        meaning = setting.meaning + _no_argument(declaration)
        cells = [f"`{declaration.name}`", f"`{declaration.option}`", _default(declaration), meaning, ", ".join(also)]
        yield f"| {' | '.join(cells)} |"


def _no_argument(declaration: Declaration) -> str:
    if declaration.name in OF_THE_DESTINATION:
        return " Not an argument: the pipeline says it."
    return " An argument of `load`." if declaration.name in NO_ARGUMENTS else ""


def _default(declaration: Declaration) -> str:
    if declaration.default is None:
        return declaration.setting.unset
    return f"`{str(declaration.default).lower()}`" if declaration.default is False else f"`{declaration.default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
