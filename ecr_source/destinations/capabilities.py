"""What dlt knows that a destination can do, worked out once."""

from __future__ import annotations

from functools import cache
from typing import Any

from dlt.common.destination import AnyDestination, Destination
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.normalizers.naming import NamingConvention


class AskedOnce(Destination[Any, Any]):
    """A destination of dlt that works out its capabilities once for each naming convention.

    dlt asks for them some thirty times a load, and resolves the destination's whole configuration each time: 10 ms.
    """

    def capabilities(
        self, config: Any = None, naming: NamingConvention | None = None
    ) -> DestinationCapabilitiesContext:
        """As dlt's own has them."""
        if config is not None:
            return super().capabilities(config, naming)
        known: dict[str | None, DestinationCapabilitiesContext] = self.__dict__.setdefault("_known", {})
        convention = f"{naming.name()} {naming.max_length}" if naming else None
        if convention not in known:
            known[convention] = super().capabilities(None, naming)
        return known[convention].copy()


def asked_once(destination: Destination[Any, Any]) -> AnyDestination:
    """The destination, which works out its capabilities once from now on."""
    if not isinstance(destination, AskedOnce):
        destination.__class__ = _asked_once(type(destination))
    return destination


@cache
def _asked_once(dlts: type[Destination[Any, Any]]) -> type[Destination[Any, Any]]:
    # dlt knows a destination by the module and the name of its class.
    names = {"__module__": dlts.__module__, "__qualname__": dlts.__qualname__}
    return type(dlts.__name__, (AskedOnce, dlts), names)
