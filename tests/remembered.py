"""What dlt finds out again and again while a process runs, found out once: it is half of what a small load costs.

Type hints of its settings, and what follows from them, do not change; nor does a schema whose file is as it was, nor
the YAML that its trace has of the columns of a table. What a caller gives is not looked up, and hints, which are
dictionaries and lists of what does not change, are copied as such.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

from dlt.common import typing as hints
from dlt.common.configuration.providers import provider
from dlt.common.configuration.specs import base_configuration
from dlt.common.destination import utils as destination_utils
from dlt.common.schema import utils as schema_utils
from dlt.common.storages.live_schema_storage import LiveSchemaStorage
from dlt.extract import extract
from typing_extensions import get_type_hints

from ecr_source.loading.schema_files import SchemaFiles

_DERIVED: tuple[Callable[..., Any], ...] = (
    base_configuration.extract_inner_hint,
    base_configuration.is_base_configuration_inner_hint,
    base_configuration.is_context_inner_hint,
    base_configuration.is_hint_not_resolvable,
    base_configuration.is_secret_hint,
    hints.extract_inner_type,
    hints.is_optional_type,
    hints.is_union_type,
    get_type_hints,
)
_PREPARED: Callable[..., Any] = destination_utils.prepare_load_table
_STRATEGY: Callable[..., Any] = destination_utils.resolve_merge_strategy
_COMPOSED: Callable[..., str] = provider.get_key_name


def _remembered(function: Callable[..., Any], key_of: Callable[[Any], Any]) -> Callable[..., Any]:
    found: dict[Any, tuple[Any, Any, Any]] = {}

    @wraps(function)
    def remembering(*arguments: Any, **options: Any) -> Any:
        key = (*map(key_of, arguments), *options, *map(key_of, options.values()))
        if key not in found:
            found[key] = function(*arguments, **options), arguments, options
        return found[key][0]

    return remembering


def _with_capabilities(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same, which resolves no configuration where all that it would tell is given."""
    given = inspect.unwrap(function)

    @wraps(function)
    def asking(tables: Any, table: Any, destination_capabilities: Any = hints.ConfigValue) -> Any:
        if destination_capabilities is hints.ConfigValue:
            return function(tables, table)
        return given(tables, table, destination_capabilities)

    return asking


def _copied(part: Any) -> Any:
    """A deep copy of hints."""
    if isinstance(part, dict):
        return {name: _copied(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_copied(value) for value in part]
    return part


def _replace(function: Callable[..., Any], by: Callable[..., Any]) -> None:
    """In every module of dlt that has imported it."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "dlt"]:
        for name in [name for name, value in vars(module).items() if value is function]:
            setattr(module, name, by)


for _function in _DERIVED:
    # By identity, while it is kept: unions of the same types in another order are equal, and are not the same hint.
    _replace(_function, _remembered(_function, id))
_replace(_COMPOSED, _remembered(_COMPOSED, str))
_replace(_PREPARED, _with_capabilities(_PREPARED))
_replace(_STRATEGY, _with_capabilities(_STRATEGY))
vars(schema_utils)["deepcopy"] = _copied
vars(extract)["yaml"] = SimpleNamespace(dump=_remembered(vars(extract)["yaml"].dump, repr))
vars(sys.modules["dlt.pipeline.pipeline"])["LiveSchemaStorage"] = lambda config, makedirs: SchemaFiles(
    LiveSchemaStorage(config, makedirs)
)
