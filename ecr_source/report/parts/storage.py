"""What is stored, what it costs, what is left over, and what the policies in force will free."""

from __future__ import annotations

from collections.abc import Sequence

from ecr_source.report.panel import (
    BYTES,
    DOLLARS,
    NUMBER,
    SHARE,
    UNKNOWN,
    Bars,
    Column,
    Panel,
    Part,
    Row,
    counted,
    total,
)
from ecr_source.report.shown import in_gigabytes

_NAMESPACE = "coalesce(nullif(regexp_replace(repository_name, '/?[^/]*$', ''), ''), '(none)')"
_UPPER_BOUND = "Sizes are upper bounds, because images of a repository share layers."


def _namespaces(rows: Sequence[Row]) -> str:
    if not rows:
        return "There is no repository"
    return (
        f"At most {in_gigabytes(total(rows, 'bytes_upper_bound'))} are stored, for at most"
        f" {total(rows, 'usd_per_month_upper_bound'):,.2f} USD a month"
    )


NAMESPACES = Panel(
    name="storage-by-namespace",
    question="Which namespaces store most?",
    query=f"""\
SELECT registry_id, region, {_NAMESPACE} AS namespace,
    count(*) AS repositories, sum(images) AS images, sum(untagged_images) AS untagged_images,
    sum(archived_images) AS archived_images, sum(bytes_upper_bound) AS bytes_upper_bound,
    sum(untagged_bytes_upper_bound) AS untagged_bytes_upper_bound,
    sum(archived_bytes_upper_bound) AS archived_bytes_upper_bound,
    sum(usd_per_month_upper_bound) AS usd_per_month_upper_bound,
    count(CASE WHEN images IS NULL THEN 1 END) AS unread_repositories
FROM {{ecr_storage}}
GROUP BY 1, 2, 3 ORDER BY coalesce(sum(bytes_upper_bound), 0) DESC, 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "namespace": Column("namespace"),
        "repositories": Column("repositories", NUMBER),
        "images": Column("images", NUMBER, UNKNOWN),
        "untagged_images": Column("untagged", NUMBER, UNKNOWN),
        "archived_images": Column("archived", NUMBER, UNKNOWN),
        "bytes_upper_bound": Column("GB at most", BYTES, UNKNOWN),
        "untagged_bytes_upper_bound": Column("GB untagged", BYTES, UNKNOWN),
        "usd_per_month_upper_bound": Column("USD a month at most", DOLLARS, UNKNOWN),
        "unread_repositories": Column("repositories not read", NUMBER),
    },
    finding=_namespaces,
    note=f"{_UPPER_BOUND} Prices are those of ecr_parameters, which are shown with their date at the end.",
    chart=Bars(category="namespace", segments={"bytes_upper_bound": "--plain"}, unit="GB at most"),
)


def _ages(rows: Sequence[Row]) -> str:
    if not rows:
        return "There is no image that can be run"
    unused = [row for row in rows if row["pulled"] in ("never", "over a year ago")]
    stored = in_gigabytes(total(unused, "bytes_upper_bound"))
    return f"{counted(total(unused, 'images'), 'image')} with no pull within a year, or ever: at most {stored}"


def _since(days: str, null: str) -> str:
    return f"""\
CASE
        WHEN {days} IS NULL THEN '{null}' WHEN {days} < 30 THEN 'within 30 days' WHEN {days} < 90 THEN 'within 90 days'
        WHEN {days} < 365 THEN 'within a year' ELSE 'over a year ago'
    END"""


AGES = Panel(
    name="images-by-age",
    question="How old are images, and when were they last pulled?",
    query=f"""\
SELECT {_since("days_since_push", "not told")} AS pushed,
    {_since("days_since_pull", "never")} AS pulled,
    count(*) AS images, sum(image_size_in_bytes) AS bytes_upper_bound,
    min(days_since_push) AS days_since_push
FROM {{ecr_stale_images}}
GROUP BY 1, 2 ORDER BY 5 DESC, 2""",
    columns={
        "pushed": Column("pushed"),
        "pulled": Column("last pulled"),
        "images": Column("images", NUMBER),
        "bytes_upper_bound": Column("GB at most", BYTES, UNKNOWN),
    },
    finding=_ages,
    note="ECR records a pull once in 24 hours, not those of Inspector, and not those of principals that an exclusion"
    " names: pull_time_caveat of ecr_stale_images says of each image what is known against it.",
)


def _kinds(rows: Sequence[Row]) -> str:
    if not rows:
        return "Nothing untagged, and nothing archived"
    untagged, archived = total(rows, "untagged_bytes_upper_bound"), total(rows, "archived_bytes_upper_bound")
    return f"At most {in_gigabytes(untagged)} are untagged, and {in_gigabytes(archived)} archived"


UNTAGGED = Panel(
    name="untagged-and-archived",
    question="Where do untagged and archived images lie?",
    query="""\
SELECT registry_id, region, repository_name, untagged_images, untagged_bytes_upper_bound, archived_images,
    archived_bytes_upper_bound, images
FROM {ecr_storage}
WHERE untagged_images > 0 OR archived_images > 0
ORDER BY untagged_bytes_upper_bound DESC, archived_bytes_upper_bound DESC, 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "untagged_images": Column("untagged", NUMBER),
        "untagged_bytes_upper_bound": Column("GB untagged", BYTES),
        "archived_images": Column("archived", NUMBER),
        "archived_bytes_upper_bound": Column("GB archived", BYTES),
        "images": Column("of images", NUMBER),
    },
    finding=_kinds,
    note="An untagged image may be one that an index names: is_left_over of ecr_untagged_images tells.",
    most=25,
)


def _duplicates(rows: Sequence[Row]) -> str:
    if not rows:
        return "No image is stored more than once"
    beyond = in_gigabytes(total(rows, "bytes_beyond_first_upper_bound"))
    return f"{counted(total(rows, 'digests'), 'image')} in more than one place: at most {beyond} beyond the first"


DUPLICATES = Panel(
    name="duplicates",
    question="How much is stored more than once?",
    query="""\
SELECT places, accounts, regions, count(*) AS digests,
    sum(bytes_beyond_first_upper_bound) AS bytes_beyond_first_upper_bound, min(where_it_is) AS for_example
FROM {ecr_duplicate_images}
WHERE NOT coalesce(is_manifest_list, false)
GROUP BY 1, 2, 3 ORDER BY 5 DESC, 1, 2, 3""",
    columns={
        "places": Column("places", NUMBER),
        "accounts": Column("accounts", NUMBER),
        "regions": Column("regions", NUMBER),
        "digests": Column("images", NUMBER),
        "bytes_beyond_first_upper_bound": Column("GB beyond the first at most", BYTES),
        "for_example": Column("for example"),
    },
    finding=_duplicates,
    note="Copies in other regions and accounts are often meant: replication makes them.",
    most=10,
    narrowed_by=(),
)


def _outlook(rows: Sequence[Row]) -> str:
    images = total(rows, "leaving_images")
    if not images:
        return "The lifecycle policies in force free nothing in the next 30 days, as far as is known"
    freed = in_gigabytes(total(rows, "leaving_bytes_upper_bound"))
    saved = total(rows, "usd_per_month_upper_bound")
    return (
        f"Policies in force expire {counted(images, 'image')} within 30 days: at most {freed}, {saved:,.2f} USD a month"
    )


OUTLOOK = Panel(
    name="lifecycle-outlook",
    question="What will the lifecycle policies in force free in 30 days?",
    query="""\
SELECT registry_id, region, repository_name, images,
    expiring_images + expiring_images_in_30_days AS leaving_images,
    expiring_bytes_upper_bound + expiring_bytes_in_30_days_upper_bound AS leaving_bytes_upper_bound,
    archiving_images + archiving_images_in_30_days AS archiving_images,
    usd_per_month_upper_bound, perhaps_held_images, unknown_images
FROM {ecr_lifecycle_outlook}
WHERE expiring_images + expiring_images_in_30_days + archiving_images + archiving_images_in_30_days + unknown_images > 0
ORDER BY 6 DESC, 7 DESC, 10 DESC, 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "images": Column("images", NUMBER),
        "leaving_images": Column("expire", NUMBER),
        "leaving_bytes_upper_bound": Column("GB freed at most", BYTES),
        "archiving_images": Column("to the archive", NUMBER),
        "usd_per_month_upper_bound": Column("USD a month saved at most", DOLLARS),
        "perhaps_held_images": Column("perhaps held by an index", NUMBER),
        "unknown_images": Column("unknown", NUMBER),
    },
    finding=_outlook,
    note="As if nothing were pushed, pulled or tagged until then. Repositories without a policy free nothing: control"
    " ECR.3 names them.",
    most=25,
)


def _quota(rows: Sequence[Row]) -> str:
    if not rows:
        return "No repository that was read has half of its quota of images"
    return f"{counted(len(rows), 'repository', 'repositories')} with more than half of the quota of images"


QUOTA = Panel(
    name="near-quota",
    question="Which repositories come near the quota of images?",
    query="""\
SELECT registry_id, region, repository_name, images, share_of_quota
FROM {ecr_storage}
WHERE share_of_quota >= 0.5
ORDER BY 5 DESC, 1, 2, 3""",
    columns={
        "registry_id": Column("account"),
        "region": Column("region"),
        "repository_name": Column("repository"),
        "images": Column("images", NUMBER),
        "share_of_quota": Column("of the quota", SHARE),
    },
    finding=_quota,
    most=25,
)

PART = Part("storage", "Cost and tidiness", (NAMESPACES, AGES, UNTAGGED, DUPLICATES, OUTLOOK, QUOTA))
