"""What dlt extracts with now: its own `dlt.current.pipeline()` resolves the configuration anew whenever it is asked.

Asked for each table that took 75 ms, and the destination's capabilities 120 ms: together nearly half of a small run.
"""

from __future__ import annotations

import dlt
from dlt.common.configuration.container import Container
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.pipeline import PipelineContext


def current_pipeline() -> dlt.Pipeline:
    """The pipeline that extracts."""
    pipeline = Container()[PipelineContext].pipeline()
    assert isinstance(pipeline, dlt.Pipeline)
    return pipeline


def current_capabilities() -> DestinationCapabilitiesContext:
    """What its destination is capable of; dlt has asked when the extraction began."""
    return Container()[DestinationCapabilitiesContext]
