"""What makes a version of a row in history mode: a package with a column more closes no row of one without it."""

from __future__ import annotations

import json
from pathlib import Path

from ecr_source import catalog

COLUMNS = Path(__file__).with_name("row_versions.json")
"""The columns whose values make the version of a row, by table, in order. What was released once stays as it is."""


def test_a_column_that_is_new_to_a_table_is_said_to_be_added() -> None:
    hashed = {
        table.name: [name for name in table.columns if name not in table.volatile | table.added]
        for table in catalog.TABLES
    }
    recorded = json.loads(COLUMNS.read_text())
    assert {name: columns for name, columns in hashed.items() if name in recorded} == recorded
