"""A load that makes the views, as `ecr-source run` does, and times that do not age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt
import pytest

from ecr_source import ecr_source
from ecr_source.extract.ledger import Outcome
from ecr_source.loading.load import load as load_with_views
from tests.server.ecr_server import EcrServer
from tests.warehouse import Warehouse

Load = Callable[..., Outcome]


def days_ago(days: float) -> float:
    """The time that was so many days ago, and an hour more, as the API has it."""
    return (datetime.now(UTC) - timedelta(days=days, hours=1)).timestamp()


@pytest.fixture
def load(server: EcrServer, warehouse: Warehouse, pipeline: dlt.Pipeline) -> Load:
    """Loads the registry in eu-west-1, or what the arguments of `ecr_source` say, and makes the views."""

    def loaded(**arguments: Any) -> Outcome:
        source = ecr_source(**{"regions": ["eu-west-1"], "endpoint_url": server.url} | arguments)
        with warehouse.loading():
            return load_with_views(pipeline, source)

    return loaded
