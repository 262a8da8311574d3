"""How long a page stays in memory."""

import weakref
from datetime import UTC, datetime

import pyarrow as pa

from ecr_source.catalog.schema import TIMESTAMP
from ecr_source.extract.rows.page import Page
from ecr_source.statuses import COMPLETE


def test_a_page_that_nobody_needs_any_more_is_gone_at_once() -> None:
    # In a circle of references it would stay until Python looks for these, and a first run took 1.2 GB, not 440 MB.
    asked_at = pa.array([datetime.now(UTC)], TIMESTAMP)
    page = Page(
        pa.table({"registryId": ["1"]}), pa.table({"nothing": [None]}), pa.array([COMPLETE]), asked_at, "a page"
    )
    assert page.answered().items.to_pylist() == [{"registryId": "1"}]
    seen = weakref.ref(page)
    del page
    assert seen() is None
