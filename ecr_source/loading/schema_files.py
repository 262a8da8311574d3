"""The schemas that dlt keeps in a pipeline's working folder, each read again only after its file was written."""

from __future__ import annotations

from pathlib import Path

import dlt
from dlt.common.schema import Schema
from dlt.common.storages.live_schema_storage import LiveSchemaStorage


def read_schemas_once(pipeline: dlt.Pipeline) -> None:
    """From now on `pipeline` has its schemas in memory, as long as their files are as they were.

    dlt reads, parses and checks the file whenever it asks for a schema, twenty times a run: a fifteenth of the time of
    a run in which nothing changed.
    """
    if not isinstance(pipeline._schema_storage, SchemaFiles):
        pipeline._schema_storage = SchemaFiles(pipeline._schema_storage)


class SchemaFiles(LiveSchemaStorage):
    """The same schemas as another storage of dlt has, read again only when their files have changed."""

    def __init__(self, storage: LiveSchemaStorage) -> None:
        super().__init__(storage.config)
        self.live_schemas = storage.live_schemas
        self._read: dict[str, tuple[int, ...]] = {}

    def __getitem__(self, name: str) -> Schema:
        """The schema of this name.

        Raises:
            SchemaNotFoundError: there is none.
        """
        live = self.live_schemas.get(name)
        if live is not None and self._is_as_read(live):
            return live
        found = super().__getitem__(name)
        self._read[name] = self._seen(found)
        return found

    def _is_as_read(self, schema: Schema) -> bool:
        if self.config.import_schema_path:  # then there is a second file
            return False
        return not schema.is_modified and self._read.get(schema.name) == self._seen(schema)

    def _seen(self, schema: Schema) -> tuple[int, ...]:
        """What is another when the schema, or its file, is."""
        try:
            file = Path(self.storage.make_full_path(self._file_name_in_store(schema.name, "json"))).stat()
        except FileNotFoundError:
            return ()
        return id(schema), file.st_ino, file.st_size, file.st_mtime_ns
