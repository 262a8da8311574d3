"""What a killed run had loaded without noting it, so that the next does not load it a second time, or stumbles."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import dlt
from dlt.common.schema import Schema
from dlt.common.storages import FileStorage, LoadStorage, PackageStorage
from dlt.common.storages.load_package import LoadJobInfo

from ecr_source.destinations.loaded_jobs import is_loaded


def take_over_schemas(pipeline: dlt.Pipeline) -> None:
    """Adds to the schema of the pipeline the tables and columns of the packages that wait to be normalized.

    dlt puts a package there, and saves the schema by which it normalizes it afterwards: a package of a run that was
    killed in between would never be loaded.
    """
    for load_id in pipeline.list_extracted_load_packages():
        extracted = pipeline.get_load_package_info(load_id).schema
        if extracted.name in pipeline.schemas:
            pipeline.schemas[extracted.name].update_schema(extracted)


def put_away_loaded_packages(pipeline: dlt.Pipeline) -> None:
    """Moves the packages that are loaded as a whole to those that are loaded.

    dlt writes into a package that it is complete, and moves it then; one that is complete, because a run was killed in
    between, it refuses to load or to move.
    """
    for load_id in pipeline.list_normalized_load_packages():
        normalized = Path(pipeline.get_load_package_info(load_id).package_path).parent
        storage = FileStorage(str(normalized.parent))
        if PackageStorage(FileStorage(str(normalized)), "normalized").is_package_completed(load_id):
            storage.rename_tree(f"{normalized.name}/{load_id}", f"{LoadStorage.LOADED_FOLDER}/{load_id}")


def note_loaded_jobs(pipeline: dlt.Pipeline) -> None:
    """Marks the jobs that were under way when a run was killed, and whose rows are in the destination.

    dlt notes that a job is done when the destination has committed it, and runs it again if a run was killed in
    between. The notes of jobs that the killed run had already put away are forgotten: dlt would report an error for
    each.
    """
    for load_id in pipeline.list_normalized_load_packages():
        package = pipeline.get_load_package_info(load_id)
        normalized = Path(package.package_path).parent
        storage = PackageStorage(FileStorage(str(normalized)), "normalized")
        noted = storage.list_pending_transitions(load_id)
        started = {Path(job.file_path).name: job for job in package.jobs["started_jobs"]}
        for name in set(noted) - set(started):
            storage.clear_pending_transition(load_id, name)
        for name, job in started.items():
            if name not in noted and _is_loaded(pipeline, package.schema, load_id, job):
                storage.save_pending_transition(load_id, name, "completed")


def _is_loaded(pipeline: dlt.Pipeline, schema: Schema, load_id: str, job: LoadJobInfo) -> bool:
    with pipeline.sql_client() as client, ExitStack() as stack:
        if schema.tables[job.job_file_info.table_name].get("write_disposition") == "merge":
            stack.enter_context(client.with_staging_dataset())
        return is_loaded(client, schema, load_id, Path(job.file_path))
