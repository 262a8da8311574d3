"""What changed: the registries' size, settings and policies, tags that moved, images that went; in history mode."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.report.panel import (
    ACCOUNT,
    BYTES,
    DIGEST,
    LABEL,
    NUMBER,
    REGION,
    TIME,
    UNKNOWN,
    Column,
    Panel,
    Part,
    Row,
    counted,
)
from ecr_source.report.shown import in_gigabytes


def _growth(rows: Sequence[Row]) -> str:
    if not rows:
        return "No run in history mode has listed images"
    last = rows[0]
    if last["images"] is None:
        return "The images were never listed"
    return f"{counted(last['images'], 'image')} and {in_gigabytes(last['bytes_upper_bound'])} at most"


GROWTH = Panel(
    name="growth-by-week",
    question="How much was there at the end of each week?",
    query="""\
SELECT week, sum(repositories) AS repositories, sum(images) AS images, sum(bytes_upper_bound) AS bytes_upper_bound
FROM {ecr_registry_growth}
GROUP BY 1 ORDER BY 1 DESC""",
    columns={
        "week": Column("week of"),
        "repositories": Column("repositories", NUMBER, UNKNOWN),
        "images": Column("images", NUMBER, UNKNOWN),
        "bytes_upper_bound": Column("GB at most", BYTES, UNKNOWN),
    },
    finding=_growth,
    note="Of the registries that were listed in the week. Layers are shared: sums of image sizes are upper bounds.",
    most=26,
    narrowed_by=(ACCOUNT, REGION),
)


def _settings(rows: Sequence[Row]) -> str:
    if not rows:
        return "No setting and no policy was seen to change"
    repositories = {(row["registry_id"], row["region"], row["repository_name"]) for row in rows}
    where = counted(len(repositories), "repository or registry", "repositories and registries")
    return f"{counted(len(rows), 'change')} in {where}"


SETTINGS = Panel(
    name="changed-settings",
    question="Which settings and policies changed?",
    query="""\
SELECT changed_at, registry_id, region, repository_name, table_name, item, change, column_name, before, after
FROM {ecr_changes}
ORDER BY 1 DESC, 2, 3, 4, 5, 6, 8""",
    columns={
        "changed_at": Column("found at", TIME),
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository", null="the registry"),
        "table_name": Column("table"),
        "item": Column("which"),
        "change": Column("change", LABEL),
        "column_name": Column("setting"),
        "before": Column("before", null="nothing"),
        "after": Column("after", null="nothing"),
    },
    finding=_settings,
    note="Seen between two runs: what changed there and back is not. Who did it, CloudTrail tells.",
)


def _tags(rows: Sequence[Row]) -> str:
    if not rows:
        return "No tag was seen to move"
    return f"{counted(len(rows), 'move')} of {counted(len({row['image_tag'] for row in rows}), 'tag')}"


TAGS = Panel(
    name="moved-tags",
    question="Which tags moved to another image?",
    query="""\
SELECT came_at, registry_id, region, repository_name, image_tag, previous_image_digest, image_digest
FROM {ecr_tag_moves}
WHERE previous_image_digest IS NOT NULL
ORDER BY 1 DESC, 2, 3, 4, 5""",
    columns={
        "came_at": Column("found at", TIME),
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "image_tag": Column("tag"),
        "previous_image_digest": Column("from", DIGEST),
        "image_digest": Column("to", DIGEST),
    },
    finding=_tags,
)


def _gone(rows: Sequence[Row]) -> str:
    if not rows:
        return "No image was seen to go"
    return f"{counted(len(rows), 'image')} gone"


GONE = Panel(
    name="deleted-images",
    question="Which images are gone?",
    query="""\
SELECT deleted_at, registry_id, region, repository_name, image_digest, image_tags, image_size_in_bytes, explanation,
    days_since_pull
FROM {ecr_deleted_images}
ORDER BY 1 DESC, 2, 3, 4, 5""",
    columns={
        "deleted_at": Column("found at", TIME),
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "image_tags": Column("tags", null="untagged"),
        "image_digest": Column("image", DIGEST),
        "image_size_in_bytes": Column("GB", BYTES),
        "explanation": Column("may have been", LABEL),
        "days_since_pull": Column("days since its last pull", NUMBER, "never pulled"),
    },
    finding=_gone,
    note="possibly_lifecycle: a rule of today fits. no_rule_fits: somebody deleted it, or an earlier rule.",
)

PART = Part("changes", "What changed", (GROWTH, SETTINGS, TAGS, GONE))
