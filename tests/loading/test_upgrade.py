"""What users and datasets still name as versions before did."""

from __future__ import annotations

from pathlib import Path

import dlt
from dlt.common.destination import Destination

from ecr_source import ecr_source, postgres, read_outcome
from ecr_source.destinations.destination import destination_of
from ecr_source.destinations.postgres import Postgres
from ecr_source.postgres_destination import postgres as postgres_by_its_first_name
from ecr_source.source import ecr_source as source_by_its_first_name
from ecr_source.source import read_outcome as outcome_by_its_first_name

KEPT = "ecr_source.postgres_destination.postgres"
"""The destination in dlt's state of a pipeline, as a version wrote it whose module had this name."""


def test_the_destination_that_dlt_keeps_in_the_state_of_datasets_is_found() -> None:
    found = Destination.from_reference(KEPT, credentials="postgresql://nobody@localhost/none")
    assert isinstance(found, postgres)


def test_a_pipeline_finds_its_destination_by_the_name_in_its_state(tmp_path: Path) -> None:
    pipeline = dlt.pipeline("before", pipelines_dir=str(tmp_path), destination=KEPT)
    assert isinstance(pipeline.destination, postgres)
    assert isinstance(destination_of(pipeline), Postgres)


def test_what_was_imported_by_its_first_name_is_the_same() -> None:
    assert source_by_its_first_name is ecr_source
    assert outcome_by_its_first_name is read_outcome
    assert postgres_by_its_first_name is postgres


def test_the_state_goes_on_to_have_the_name_that_the_version_before_knows() -> None:
    assert postgres("postgresql://nobody@localhost/none").destination_type == KEPT
