"""The tables that say what a run read, and what it could not read."""

from __future__ import annotations

from ecr_source.catalog.table import RunColumn, RunTable

EXTRACTION_SCOPES = RunTable(
    name="extraction_scopes",
    description="One row per run, table and scope: what was read, how completely, and what it cost.",
    key=("run_id", "table_name", "registry_id", "region"),
    columns={
        "run_id": RunColumn("string", "The run: dlt's load id, as in `_dlt_loads.load_id`."),
        "table_name": RunColumn("string", "The table that was read."),
        "registry_id": RunColumn("string", "The account id of the registry that was asked."),
        "region": RunColumn(
            "string",
            "The region that was asked; all, where the account's role could not be assumed to tell its regions.",
        ),
        "region_from": RunColumn(
            "string",
            "Who told the region: given, the settings; account:ListRegions or ec2:DescribeRegions, those enabled for"
            " the account; botocore, its list of all regions, because neither could be asked.",
        ),
        "mode": RunColumn("string", "The load mode of the run: snapshot, incremental or history."),
        "status": RunColumn(
            "string",
            "complete: read to the end. bounded: the same, but a bound left images out. selected: the repositories that"
            " were asked for by name, all of them, and no others. partial: all but what could not be read, or the"
            " budget did not reach. denied, disabled, failed: not read, and the rows of earlier runs are kept"
            " (where several calls fill a table, this is of the one that most of its rows are of)."
            " not_offered: the region does not have the operation; asked again after a week. postponed: the budget was"
            " spent before; the next run begins with what was not read for longest. skipped: not asked for.",
        ),
        "rows": RunColumn("int64", "Rows read."),
        "calls": RunColumn(
            "int64", "Requests sent, retries included; 0 for a table that comes with another table's response."
        ),
        "throttled": RunColumn("int64", "Requests that the service refused because of their rate."),
        "retried": RunColumn("int64", "Requests that repeated an earlier one."),
        "excepted_repositories": RunColumn(
            "int64", "Repositories that could not be read and keep the rows of earlier runs."
        ),
        "images_asked": RunColumn(
            "int64", "Images that were asked in this run; NULL where no call is made for each image."
        ),
        "images_kept": RunColumn("int64", "Images whose earlier answer stands, so that they were not asked."),
        "images_left_out": RunColumn("int64", "Images that were not asked, because a bound leaves them out."),
        "images_failed": RunColumn("int64", "Images that got no answer: denied, failed, or not reached by the budget."),
        "oldest_answer_at": RunColumn(
            "timestamp", "When the oldest of the answers was given that stand after this run (UTC)."
        ),
        "resumes_at": RunColumn(
            "string", "The repository with which the next run goes on, where the budget ended; else NULL."
        ),
        "note": RunColumn("string", "What to know of how it was read; NULL if there is nothing."),
        "started_at": RunColumn("timestamp", "When reading began (UTC)."),
        "finished_at": RunColumn("timestamp", "When reading ended (UTC)."),
        "valid_from": RunColumn(
            "timestamp",
            "When the run began (UTC), in history mode: what `_dlt_valid_from` is in the rows that it opened, and"
            " `_dlt_valid_to` in those that it closed. NULL in other modes.",
        ),
    },
)

EXTRACTION_ERRORS = RunTable(
    name="extraction_errors",
    description="One row per thing that could not be read: what was asked, and what came back.",
    key=("run_id", "registry_id", "region", "operation", "resource", "ordinal"),
    columns={
        "run_id": RunColumn("string", "The run: dlt's load id, as in `_dlt_loads.load_id`."),
        "registry_id": RunColumn("string", "The account id of the registry that was asked."),
        "region": RunColumn("string", "The region that was asked."),
        "operation": RunColumn("string", "The operation that was called, with its service: ecr:DescribeRepositories."),
        "resource": RunColumn("string", "The repository that was asked for; empty where the whole registry was."),
        "ordinal": RunColumn("int64", "Position among the errors of the scope, from 0."),
        "error_code": RunColumn("string", "The service's error code, or the name of the network error."),
        "message": RunColumn("string", "What happened, without secrets."),
        "status": RunColumn("string", "denied, disabled, not_offered, gone or failed."),
    },
)

_REPOSITORY_ASKED = ("registry_id", "region", "operation", "repository_name")

EXTRACTION_REPOSITORIES = RunTable(
    name="extraction_repositories",
    description="One row per repository and operation that told of it: what the tables say of it was read, and when."
    " A repository without a row is one of which nothing is known, whatever tables have no row of it.",
    key=_REPOSITORY_ASKED,
    replaced_by=(_REPOSITORY_ASKED[:3], _REPOSITORY_ASKED),
    marked_in="outcome",
    columns={
        "registry_id": RunColumn("string", "The account id of the registry."),
        "region": RunColumn("string", "The region of the registry."),
        "operation": RunColumn("string", "The operation that told, with its service: ecr:GetLifecyclePolicy."),
        "repository_name": RunColumn("string", "The repository."),
        "outcome": RunColumn(
            "string",
            "What came of it. complete: what was told is in the tables, which may be no row. no_policy, no_preview,"
            " no_catalog_data: there is none.",
        ),
        "extracted_at": RunColumn("timestamp", "When reading began (UTC)."),
    },
)

_IMAGE_ASKED = ("registry_id", "region", "operation", "repository_name", "image_digest")

EXTRACTION_IMAGES = RunTable(
    name="extraction_images",
    description="One row per image and operation that is called for each image: what came of the last call.",
    key=_IMAGE_ASKED,
    replaced_by=(_IMAGE_ASKED[:3], _IMAGE_ASKED[:4], _IMAGE_ASKED),
    marked_in="outcome",
    columns={
        "registry_id": RunColumn("string", "The account id of the registry."),
        "region": RunColumn("string", "The region of the registry."),
        "operation": RunColumn(
            "string", "The operation that was called, with its service: ecr:DescribeImageScanFindings."
        ),
        "repository_name": RunColumn("string", "The repository of the image."),
        "image_digest": RunColumn("string", "The digest of the image."),
        "outcome": RunColumn(
            "string",
            "What came of it. complete, unsupported, failed, archived: an answer that stands until it is too old or the"
            " image changes. pending, never_scanned, not_replicated, not_signed: asked again by the next run, as are"
            " denied and call_failed. left_out, not_asked: not called, because of a bound or of the budget. gone: the"
            " image is not listed any more. unknown, of the repository *: others may have told of images that are not"
            " noted here.",
        ),
        "for_tables": RunColumn(
            "string", "The tables that got the answer, by name, with spaces between; another one is asked for again."
        ),
        "image_pushed_at": RunColumn("timestamp", "What images.image_pushed_at was when the image was asked."),
        "scan_completed_at": RunColumn("timestamp", "What images.scan_completed_at was when the image was asked."),
        "in_use_count": RunColumn("int64", "What image_usage.in_use_count was when the image was asked."),
        "extracted_at": RunColumn("timestamp", "When it was asked (UTC)."),
    },
)
