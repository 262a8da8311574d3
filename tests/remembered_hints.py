"""What dlt finds out about the type hints of its settings, found out once and not a thousand times a load.

A hint and what follows from it do not change while a process runs; to derive it anew, for each setting in each place
where that may stand, is a third of what a small load costs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from dlt.common import typing as hints
from dlt.common.configuration.providers import provider
from dlt.common.configuration.specs import base_configuration

_DERIVED: tuple[Callable[..., Any], ...] = (
    base_configuration.extract_inner_hint,
    base_configuration.is_base_configuration_inner_hint,
    base_configuration.is_context_inner_hint,
    base_configuration.is_hint_not_resolvable,
    base_configuration.is_secret_hint,
    hints.extract_inner_type,
    hints.is_optional_type,
    hints.is_union_type,
)
_COMPOSED: Callable[..., str] = provider.get_key_name


def _remembered(function: Callable[..., Any], key_of: Callable[[Any], Any]) -> Callable[..., Any]:
    found: dict[Any, tuple[tuple[Any, ...], Any]] = {}

    @wraps(function)
    def remembering(*arguments: Any, **options: Any) -> Any:
        key = (*map(key_of, arguments), *options.items())
        if key not in found:
            found[key] = arguments, function(*arguments, **options)
        return found[key][1]

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
