"""What each run derives from the catalog and reads of botocore's data, derived and read before it is forked."""

from __future__ import annotations

import tests.remembered  # noqa: F401  # for what it does
from ecr_source import catalog
from ecr_source.catalog.model import botocore_session, shared_session
from ecr_source.catalog.schema import arrow_schema
from ecr_source.loading.settings.declared import declarations

for _table in (*catalog.TABLES, *catalog.RUN_TABLES):
    arrow_schema(_table)
for _service in {_operation.service for _operation in catalog.operations_of(catalog.TABLES)} | {"sts"}:
    botocore_session().create_client(
        _service, region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
declarations()
shared_session.cache_clear()  # it has read the environment, which is each process's own
