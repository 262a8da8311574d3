"""dlt's schemas are in memory, and are read again when somebody else has written them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dlt
from dlt.common.schema.utils import new_table

from ecr_source.loading.schema_files import read_schemas_once
from tests.conftest import make_pipeline
from tests.warehouse import Warehouse


def test_a_schema_is_read_again_when_its_file_was_written(
    load: Callable[..., object], pipeline: dlt.Pipeline, warehouse: Warehouse, tmp_path: Path
) -> None:
    load()
    read_schemas_once(pipeline)
    assert "of_another_process" not in pipeline.default_schema.tables
    other = make_pipeline(tmp_path / "pipelines", warehouse)
    schema = other.default_schema
    schema.update_table(new_table("of_another_process", columns=[{"name": "number", "data_type": "bigint"}]))
    other._schema_storage.save_schema(schema)
    assert "of_another_process" in pipeline.default_schema.tables
