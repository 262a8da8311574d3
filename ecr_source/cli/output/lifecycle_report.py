"""What a lifecycle policy would do to what was loaded, as people or programs see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console

from ecr_source.catalog.documents.lifecycle_refusals import read_new_lifecycle
from ecr_source.catalog.documents.shape import Malformed, Object
from ecr_source.cli.output.query_report import exit_code_of
from ecr_source.cli.output.written_rows import TABLE, check_form, print_rows
from ecr_source.destinations.reading import DatasetReader, Rows
from ecr_source.destinations.views.definition import View
from ecr_source.destinations.views.simulation import policy_in_place
from ecr_source.errors import ConfigurationError, NotLoaded
from ecr_source.extract.name_patterns import matching_any
from ecr_source.loading.loaded.opened import open_loaded
from ecr_source.loading.settings.declared import Settings
from ecr_source.printing import print_line

_FORMS = (TABLE, "json", "csv")
_OF_IMAGE = [
    *("registry_id", "region", "repository_name", "image_digest", "image_tags", "image_size_in_bytes"),
    *("rule_priority", "action"),
]
_NAMED = 3
"""So many repositories are named of those that are not in the answer."""
_ORDER = [(name, "ascending") for name in ("registry_id", "region", "repository_name")]


def simulate_and_report(settings: Settings, policy: Path, *, images: bool, form: str) -> int:
    """Judges what was loaded by the policy, prints what it would do, and returns the exit code."""

    def ask() -> None:
        check_form(form, _FORMS)
        lifecycle = _read(policy)
        with open_loaded(settings) as reader:
            in_place = policy_in_place(lifecycle, _repositories(reader, settings.repositories))
            (_report_images if images else _report_repositories)(reader, in_place, settings.parameters or {}, form)
            _name_unread(_unread(reader, settings.repositories))

    return exit_code_of(settings, ask)


def _read(policy: Path) -> Object:
    try:
        return read_new_lifecycle(policy.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f'cannot read "{policy}": {getattr(error, "strerror", None) or error}') from error
    except Malformed as error:
        raise ConfigurationError(f'ECR would refuse the lifecycle policy in "{policy}": {error}') from error


def _repositories(reader: DatasetReader, patterns: Sequence[str] | None) -> list[str] | None:
    """Those of the repositories with images that one of the patterns matches; None for all."""
    if not patterns:
        return None
    reader.relation("images")
    listed = _table(reader.rows("SELECT DISTINCT repository_name FROM images"))
    if matched := matching_any(patterns, listed["repository_name"].to_pylist()):
        return matched
    raise ConfigurationError(f'no repository with images was loaded that matches "{patterns[0]}"')


def _unread(reader: DatasetReader, patterns: Sequence[str] | None) -> list[str]:
    """Those of the repositories, by account and region, whose images could not be read."""
    try:
        reader.relation("ecr_storage")
    except NotLoaded:
        return []
    listed = _table(
        reader.rows(
            "SELECT registry_id, region, repository_name FROM ecr_storage WHERE images IS NULL ORDER BY 1, 2, 3"
        )
    )
    names = listed["repository_name"].to_pylist()
    chosen = set(matching_any(patterns, names)) if patterns else {*names}
    return ["/".join(row.values()) for row in listed.to_pylist() if row["repository_name"] in chosen]


def _report_repositories(
    reader: DatasetReader, in_place: Mapping[str, View], parameters: Mapping[str, float], form: str
) -> None:
    rows = _table(reader.rows_with("ecr_lifecycle_outlook", in_place, parameters)).sort_by(_ORDER)
    print_rows(Rows(rows.schema, iter(rows.to_batches())), form, None)
    _note(pc.sum(rows["perhaps_held_images"]).as_py(), pc.sum(rows["unknown_images"]).as_py())


def _report_images(
    reader: DatasetReader, in_place: Mapping[str, View], parameters: Mapping[str, float], form: str
) -> None:
    every = reader.rows_with("ecr_lifecycle_effects", in_place, parameters)
    unknown, batches = 0, []
    for batch in every.batches:  # most images stay
        batches.append(batch.filter(pc.equal(batch["effect"], "acts_now")))
        unknown += pc.sum(pc.equal(batch["effect"], "unknown")).as_py() or 0
    acted_on = pa.Table.from_batches(batches, every.schema)
    rows = acted_on.sort_by([*_ORDER, ("image_pushed_at", "ascending"), ("image_digest", "ascending")])
    chosen = rows.select(_OF_IMAGE)
    print_rows(Rows(chosen.schema, iter(chosen.to_batches())), form, None)
    _note(rows["is_held_by_index"].null_count, unknown)


def _note(perhaps_held: int | None, unknown: int | None) -> None:
    """Says on standard error what is not known."""
    console = Console(stderr=True)
    if perhaps_held:
        print_line(
            console,
            f"{perhaps_held:,} of these images stay if an index refers to them that stays: its manifest was not read,"
            " --table manifests reads it",
        )
    if unknown:
        print_line(console, f"of {unknown:,} images more it is not known when they were pushed, pulled or archived")


def _name_unread(repositories: Sequence[str]) -> None:
    if not repositories:
        return
    more = f" and {len(repositories) - _NAMED:,} more" if len(repositories) > _NAMED else ""
    named = ", ".join(repositories[:_NAMED]) + more
    print_line(Console(stderr=True), f"not judged, because their images could not be read: {named}")


def _table(rows: Rows) -> pa.Table:
    return pa.Table.from_batches(rows.batches, rows.schema)
