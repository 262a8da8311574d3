"""What dlt finds out again and again while a process runs, found out once: it is half of what a small load costs.

Type hints of its settings, and what follows from them, do not change; nor does a schema whose file is as it was, nor
the YAML that its trace has of the columns of a table.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import SimpleNamespace
from typing import Any

from dlt.common import typing as hints
from dlt.common.configuration.providers import provider
from dlt.common.configuration.specs import base_configuration
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


def _replace(function: Callable[..., Any], by: Callable[..., Any]) -> None:
    """In every module of dlt that has imported it."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "dlt"]:
        for name in [name for name, value in vars(module).items() if value is function]:
            setattr(module, name, by)


for _function in _DERIVED:
    # By identity, while it is kept: unions of the same types in another order are equal, and are not the same hint.
    _replace(_function, _remembered(_function, id))
_replace(_COMPOSED, _remembered(_COMPOSED, str))
vars(extract)["yaml"] = SimpleNamespace(dump=_remembered(vars(extract)["yaml"].dump, repr))


vars(sys.modules["dlt.pipeline.pipeline"])["LiveSchemaStorage"] = lambda config, makedirs: SchemaFiles(
    LiveSchemaStorage(config, makedirs)
)
