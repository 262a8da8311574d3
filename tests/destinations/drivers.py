"""Stand-ins for the drivers of warehouses that are not installed, so that dlt can say what SQL it would send."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

DRIVERS = ("snowflake", "google", "databricks", "pyathena", "clickhouse_driver", "clickhouse_connect")


class _AnyClass(type):
    """A class with every attribute, which are such classes too."""

    def __getattr__(cls, name: str) -> Any:
        return _made(name)


def _made(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    members = {"__init__": lambda *_, **__: None, "__getattr__": lambda _, inner: _made(inner)}
    return _AnyClass(name, (Exception,), members)


class _Module(ModuleType):
    __version__ = "2026.1.0"

    def __getattr__(self, name: str) -> Any:
        return _made(name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a module of any name below those drivers that are not installed."""

    def __init__(self) -> None:
        self._missing = {name for name in DRIVERS if importlib.util.find_spec(name) is None}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self._missing:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """A module without anything in it has everything."""


def replace_missing_drivers() -> None:
    """From now on, in this process, the drivers that are not installed can be imported, and do nothing."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
