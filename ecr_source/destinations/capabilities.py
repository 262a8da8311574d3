"""What dlt knows that a destination can do, worked out once."""

from __future__ import annotations

from typing import Any

from dlt.common.destination import Destination
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
