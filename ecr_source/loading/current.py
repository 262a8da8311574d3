"""What dlt extracts with now: its own `dlt.current.pipeline()` resolves the configuration anew whenever it is asked.

Asked for each table that took 75 ms, and the destination's capabilities 120 ms: together nearly half of a small run.
"""

from __future__ import annotations

from functools import lru_cache

import dlt
from dlt.common.configuration.container import Container
from dlt.common.destination import AnyDestination
from dlt.common.pipeline import PipelineContext

from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.warehouse import Warehouse


def current_pipeline() -> dlt.Pipeline:
    """The pipeline that extracts."""
    pipeline = Container()[PipelineContext].pipeline()
    assert isinstance(pipeline, dlt.Pipeline)
    return pipeline


def current_destination() -> Warehouse:
    """Where it loads."""
    return _known(current_pipeline().destination)


@lru_cache(maxsize=1)
def _known(destination: AnyDestination) -> Warehouse:
    return destination_of(destination)
