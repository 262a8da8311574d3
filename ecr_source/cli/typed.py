"""What is wrong with what was typed, as far as it can be told without dlt, which takes a second to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ecr_source import catalog
from ecr_source.aws.access import ALL_REGIONS, Access
from ecr_source.aws.regions import check_region
from ecr_source.aws.sessions import has_profiles, open_session
from ecr_source.loading.settings.declared import READS, Settings


def check_typed(command: str, given: Mapping[str, Any]) -> None:
    """Checks the tables and regions among the settings that were given and, if `command` calls AWS, for credentials.

    Raises:
        ConfigurationError: a table or a region is unknown; there are no credentials, whatever dlt's configuration says.
    """
    typed = Settings.of(given)
    catalog.select_tables(typed.tables or ())
    for region in {*(typed.regions or ()), *(typed.exclude_regions or ())} - {ALL_REGIONS}:
        check_region(region)
    # Without profiles dlt's configuration can name none, and nothing that finds credentials asks anybody for a code.
    if command in READS and not has_profiles():
        open_session(Access(profile=typed.profile))
