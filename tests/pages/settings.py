"""Writes docs/settings.md, from the one declaration of the settings: `python -m tests.pages.settings`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ecr_source.loading.settings import OF_THE_DESTINATION, Declaration, declarations

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"

_TOP = """\
# Settings

`python -m tests.pages.settings` writes this page. What is said first holds: an option of the command line or an
argument of `ecr_source(…)`; then the environment, `SOURCES__ECR__MAX_CALLS=1000`; then `.dlt/secrets.toml` and
`.dlt/config.toml`, `max_calls = 1000` below `[sources.ecr]`; then the default. A list is `["eu-west-1", "us-east-1"]`.

`run` and `plan` take every option; `check` and `iam-policy` those that mean something to them, and refuse the others.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join([_TOP, *_table(), ""])


def _table() -> Iterator[str]:
    yield "| setting | option | default | meaning | also of |"
    yield "|---|---|---|---|---|"
    for declaration in declarations().values():
        setting = declaration.setting
        also = [f"`{command}`" for command in ("check", "iam-policy") if command in setting.commands]
        meaning = setting.meaning + (" Not an argument: the pipeline says it." if _is_of_pipeline(declaration) else "")
        cells = [f"`{declaration.name}`", f"`{declaration.option}`", _default(declaration), meaning, ", ".join(also)]
        yield f"| {' | '.join(cells)} |"


def _is_of_pipeline(declaration: Declaration) -> bool:
    return declaration.name in OF_THE_DESTINATION


def _default(declaration: Declaration) -> str:
    if declaration.default is None:
        return declaration.setting.unset
    return f"`{str(declaration.default).lower()}`" if declaration.default is False else f"`{declaration.default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
