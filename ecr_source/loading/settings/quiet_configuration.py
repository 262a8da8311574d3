"""The settings of the destination without dlt, which takes a second to import, where its configuration is quiet."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ecr_source.loading.settings.declared import OF_THE_DESTINATION, Settings, declarations

_ROOTS = ("SOURCES__ECR__", "SOURCES__", "")
"""Below which of its sections dlt looks for a setting, in this order."""


def settings_without_dlt(given: Mapping[str, Any]) -> Settings | None:
    """What options and variables say of a DuckDB file; None, where dlt's configuration is to be asked.

    It is to be asked of another destination, and where a file of dlt's has a word on the destination, or where one is
    not as usual: then dlt says how to read it.
    """
    if not all(map(_is_quiet, _files())) or any(map(_is_for_dlt, os.environ)):
        return None
    told = {name: given.get(name) or _variable(name) for name in OF_THE_DESTINATION}
    settings = Settings.of(told)
    return settings if settings.destination == "duckdb" else None


def _variable(name: str) -> str | None:
    variables = (os.environ.get(f"{root}{name.upper()}") for root in _ROOTS)
    return next((value for value in variables if value is not None), None)


def _is_for_dlt(variable: str) -> bool:
    """Whether a variable is a setting that is unknown, or where else dlt is to look for settings."""
    name = variable.upper().removeprefix(_ROOTS[0])
    is_unknown = name != variable.upper() and (name.lower() not in declarations() or variable != variable.upper())
    return is_unknown or name.startswith("PROVIDERS__")


def _files() -> Iterator[Path]:
    """The files in which dlt may find settings, and those that say that there are others."""
    name = os.environ.get("DLT_CONFIG_FOLDER", ".dlt")
    folders = [
        Path(os.environ.get("DLT_PROJECT_DIR", "."), name),
        Path("~", name).expanduser(),
        *(Path(root, "dlt") for root in ("/var", os.environ.get("XDG_DATA_HOME", "/var"), tempfile.gettempdir())),
    ]
    return (folder / file for folder in folders for file in ("config.toml", "secrets.toml", ".workspace"))


def _is_quiet(file: Path) -> bool:
    """Whether a file, if there is one, says nothing of the destination and has nothing that would be refused."""
    try:
        root = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    sources = root.get("sources", {})
    sections = [root, sources, sources.get("ecr", {}) if isinstance(sources, dict) else {}]
    if file.name == ".workspace" or "providers" in root or not all(isinstance(one, dict) for one in sections):
        return False
    said = {name for section in sections for name, value in section.items() if not isinstance(value, dict)}
    own = {name for name, value in sections[-1].items() if not isinstance(value, dict)}
    return not said & OF_THE_DESTINATION and own <= declarations().keys()
