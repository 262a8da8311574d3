"""The questions of docs/questions.md: what people ask of ECR, and the query that answers, in DuckDB and Postgres."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """One question.

    Attributes:
        sql: at most three lines; its answer on the page has no time in it.
        loads: what has to be read beside the default tables.
        cannot_know: what the answer does not say.
    """

    question: str
    sql: str
    loads: str = ""
    cannot_know: str = ""

    @property
    def view(self) -> str:
        """The view that it asks."""
        return self.sql.partition("FROM ")[2].split()[0]


_FINDINGS = "`--table default,findings` for all images; by default the newest image of each repository is asked"
_HISTORY = "`--mode history`, and two runs at least"

QUESTIONS: dict[str, list[Asked]] = {
    "Security": [
        Asked(
            "Which images pushed in the last N days have critical or high findings with a fix?",
            """\
SELECT repository_name, image_tags, vulnerability_id, package_name, fixed_in_version FROM ecr_image_vulnerabilities
WHERE severity IN ('CRITICAL', 'HIGH') AND is_fixable AND days_since_push < 30
ORDER BY 1, 2, 3, 4, 5""",
            _FINDINGS,
            "Basic scanning does not always tell the fix: `is_fixable` is NULL there, which is not false.",
        ),
        Asked(
            "Where is this vulnerability, and does it run?",
            """\
SELECT registry_id, region, repository_name, image_tags, package_version, in_use FROM ecr_image_vulnerabilities
WHERE vulnerability_id = 'CVE-2025-1001'
ORDER BY 1, 2, 3, 4, 5, 6""",
            _FINDINGS,
            "`in_use` is true by what Inspector saw in ECS and EKS, or ECS and Lambda name. It is false only where"
            " `--table default,usage` could ask all three; else NULL. `ecr_images_in_use` says where.",
        ),
        Asked(
            "What does a scan say of the newest image of each repository?",
            """\
SELECT region, repository_name, image_state, image_tags, scan_state, critical_count, high_count
FROM ecr_latest_images
ORDER BY 1, 2, 3, 4, 5, 6, 7""",
        ),
        Asked(
            "Which images were never scanned, or failed, or cannot be?",
            """\
SELECT scan_state, count(*) AS images, min(repository_name) AS for_example FROM ecr_scan_coverage
WHERE scan_state <> 'scanned'
GROUP BY 1 ORDER BY 1""",
            _FINDINGS,
        ),
        Asked(
            "Which packages are vulnerable in most images, and what mends them?",
            """\
SELECT package_name, package_version, worst_severity, images, vulnerabilities, fixed_in_version
FROM ecr_vulnerable_packages
ORDER BY images DESC, package_name, package_version LIMIT 5""",
            _FINDINGS,
            "Basic scanning does not say when a finding was first seen: no age.",
        ),
        Asked(
            "Which repositories are public, or shared with other accounts or the organization?",
            """\
SELECT repository_name, reach, principal, may_pull, may_push, may_administer, is_conditional
FROM ecr_repository_access WHERE effect = 'Allow' AND reach NOT IN ('own_account', 'service')
ORDER BY 1, 2, 3, 4, 5, 6, 7""",
            cannot_know="What policies of the other account allow its own people.",
        ),
        Asked(
            "Who may replicate into a registry, or pull through it?",
            """\
SELECT kind, access, principal, reach, may_replicate, may_import_upstream, upstream_registry_url
FROM ecr_registry_access
ORDER BY 1, 2, 3, 4, 5, 6, 7""",
        ),
        Asked(
            "Which images have no signature, no SBOM, no provenance?",
            """\
SELECT repository_name, image_tags, signed, has_sbom, has_provenance FROM ecr_image_attestations
WHERE NOT signed OR NOT has_sbom OR NOT has_provenance
ORDER BY 1, 2, 3, 4, 5 LIMIT 5""",
            "`--table default,image_status,manifests --moves-last-recorded-pull-time`",
            "NULL is unknown: what could hide one was not read.",
        ),
    ],
    "Compliance": [
        Asked(
            "Which repositories let a tag be moved, and with which exceptions?",
            """\
SELECT region, repository_name, tag_mutability FROM ecr_repository_settings
WHERE image_tag_mutability <> 'IMMUTABLE'
ORDER BY 1, 2, 3""",
        ),
        Asked(
            "How is each repository scanned, by what is in force?",
            """\
SELECT region, repository_name, scan_type, scan_frequency FROM ecr_repository_settings
WHERE scan_frequency = 'MANUAL'
ORDER BY 1, 2, 3, 4""",
        ),
        Asked(
            "Which repositories are not encrypted with a key of one's own?",
            """\
SELECT region, repository_name, status, evidence FROM ecr_controls
WHERE control = 'ECR.5' AND status <> 'pass'
ORDER BY 1, 2, 3, 4""",
            cannot_know="Whether a key of the account is AWS's own: kms:DescribeKey would tell, which is not asked.",
        ),
        Asked(
            "Which repositories have no lifecycle policy, or none for untagged or tagged images?",
            """\
SELECT region, repository_name, control, evidence FROM ecr_controls
WHERE control IN ('ECR.3', 'untagged_images_expire', 'tagged_images_expire') AND status = 'fail'
ORDER BY 1, 2, 3, 4""",
        ),
        Asked(
            "Which repositories have no owner?",
            """\
SELECT region, repository_name, tags FROM ecr_repository_settings
WHERE coalesce(tags, '') NOT LIKE '%team=%' AND tags IS NOT NULL
ORDER BY 1, 2, 3""",
            cannot_know="`tags` is NULL where they were not read.",
        ),
        Asked(
            "Which registries replicate, and where to?",
            """\
SELECT registry_id, region, status, evidence FROM ecr_controls
WHERE repository_name IS NULL
ORDER BY 1, 2, 3, 4""",
        ),
        Asked(
            "Which images are there, as an inventory asks it?",
            """\
SELECT repository_name, kind, image_tags, image_status, scan_state, in_use FROM ecr_image_inventory
WHERE repository_name LIKE '%/api'
ORDER BY 1, 2, 3, 4, 5, 6""",
        ),
    ],
    "Cost": [
        Asked(
            "What is stored, and what does it cost a month?",
            """\
SELECT region, repository_name, images, archived_images, bytes_upper_bound, exact_bytes, usd_per_month_upper_bound
FROM ecr_storage
ORDER BY 1, 2, 3, 4, 5, 6, 7""",
            "`--table default,manifests --moves-last-recorded-pull-time` for `exact_bytes`",
            "Layers are shared: sums of image sizes are upper bounds.",
        ),
        Asked(
            "Which images are the biggest, and which grew?",
            """\
SELECT repository_name, image_tags, image_size_in_bytes, grew_by_bytes, grew_by_percent FROM ecr_image_growth
WHERE image_size_in_bytes > 0
ORDER BY image_size_in_bytes DESC, repository_name, image_tags LIMIT 4""",
        ),
        Asked(
            "What do the lifecycle policies delete or archive, and what does that free?",
            """\
SELECT repository_name, rule_priority, effect, reason, action, count(*) AS images,
    sum(bytes_upper_bound) AS bytes_upper_bound FROM ecr_lifecycle_effects
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5""",
            "`--table default,manifests --moves-last-recorded-pull-time` to know what indexes hold back",
            "What ECR leaves to itself: which of two images goes that were pushed at once. `ecr-source"
            " simulate-lifecycle POLICY.json` says the same of a policy that is not there yet: keep N, older than N"
            " days, not pulled for N.",
        ),
        Asked(
            "Which repositories come near the quota of images?",
            """\
SELECT region, repository_name, images, share_of_quota FROM ecr_storage
ORDER BY images DESC NULLS LAST, region, repository_name LIMIT 3""",
        ),
        Asked(
            "Which images are stored more than once?",
            """\
SELECT image_digest, places, regions, repository_names, bytes_beyond_first_upper_bound FROM ecr_duplicate_images
ORDER BY 1, 2, 3, 4, 5""",
        ),
    ],
    "Staleness": [
        Asked(
            "Which images were never pulled, or not for N days?",
            """\
SELECT repository_name, image_tags, never_pulled, days_since_pull > 90 AS not_for_long FROM ecr_stale_images
WHERE never_pulled OR days_since_pull > 90
ORDER BY 1, 2, 3, 4 LIMIT 5""",
            cannot_know="`pull_time_caveat` says which pulls did not count, such as those of excluded principals.",
        ),
        Asked(
            "Which repositories are empty, or had no push for N days?",
            """\
SELECT region, repository_name, images, is_empty FROM ecr_idle_repositories
WHERE is_empty OR days_since_push > 90
ORDER BY 1, 2, 3, 4""",
        ),
        Asked(
            "Which untagged images are left over?",
            """\
SELECT repository_name, kind, is_child_of_index, is_left_over, in_use FROM ecr_untagged_images
ORDER BY 1, 2, 3, 4, 5""",
            "`--table default,manifests --moves-last-recorded-pull-time` to know the children of indexes",
        ),
        Asked(
            "What is left of pull through caches?",
            """\
SELECT repository_name, upstream_registry_url, upstream_repository, images FROM ecr_pull_through_repositories
WHERE is_pull_through
ORDER BY 1, 2, 3, 4""",
        ),
        Asked(
            "What is vulnerable and in use?",
            """\
SELECT repository_name, image_tags, severity, count(*) AS findings FROM ecr_image_vulnerabilities
WHERE in_use AND status = 'ACTIVE'
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
            _FINDINGS,
            "An image without findings has no row here, though it may run.",
        ),
    ],
    "Drift and time": [
        Asked(
            "What changed since yesterday?",
            """\
SELECT table_name, repository_name, change, column_name, before, after FROM ecr_changes
WHERE changed_at > now() - INTERVAL '1 day'
ORDER BY 1, 2, 3, 4, 5, 6""",
            _HISTORY,
        ),
        Asked(
            "When was a tag moved to another image?",
            """\
SELECT region, repository_name, image_tag, previous_image_digest <> image_digest AS moved FROM ecr_tag_moves
WHERE previous_image_digest IS NOT NULL
ORDER BY 1, 2, 3, 4""",
            _HISTORY,
            "What happened between two runs: of several moves the last one is seen.",
        ),
        Asked(
            "Which images were deleted, and by what?",
            """\
SELECT repository_name, image_digest, image_tags, image_size_in_bytes, explanation FROM ecr_deleted_images
ORDER BY 1, 2, 3, 4, 5""",
            _HISTORY,
            "Who deleted it: CloudTrail tells. A lifecycle rule is named where it would have chosen the image.",
        ),
        Asked(
            "How many findings were opened and closed each week?",
            """\
SELECT severity, opened, closed, open_at_end FROM ecr_findings_opened_and_closed
ORDER BY 1, 2, 3, 4""",
            f"{_HISTORY}; `--table default,findings`",
        ),
        Asked(
            "Which repositories differ from the template they should have been made from?",
            """\
SELECT repository_name, template_prefix, setting, wanted, actual FROM ecr_template_drift
WHERE status = 'fail' AND setting IN ('tag_mutability', 'encryption_type')
ORDER BY 1, 2, 3, 4, 5""",
        ),
    ],
    "Trust in the data": [
        Asked(
            "Was everything read completely, and as of when?",
            """\
SELECT region, last_status, count(*) AS tables, sum(last_rows) AS rows FROM ecr_freshness
GROUP BY 1, 2 ORDER BY 1, 2""",
        ),
        Asked(
            "How many calls, retries and refusals did a run take?",
            """\
SELECT region, mode, calls > 0 AS has_calls, throttled, retried, errors FROM ecr_runs
ORDER BY run_id, region LIMIT 2""",
        ),
    ],
}

OF_OTHER_VIEWS = [
    Asked(
        "How many images are made from an image of ours, and how many from one that is not the newest?",
        """\
SELECT base_state, count(*) AS images, count(CASE WHEN NOT base_is_newest THEN 1 END) AS on_an_old_one
FROM ecr_base_images
GROUP BY 1 ORDER BY 1""",
        "`--table default,manifests --moves-last-recorded-pull-time`",
        "A base that is in no registry which was read.",
    ),
    Asked(
        "What do the lifecycle policies free now, and what in the next 30 days?",
        """\
SELECT region, repository_name, images, expiring_images, expiring_images_in_30_days, unknown_images
FROM ecr_lifecycle_outlook
ORDER BY 1, 2""",
    ),
    Asked(
        "Where does ECR's own preview of a lifecycle policy differ?",
        """\
SELECT repository_name, difference, previewed_action, action, count(*) AS images FROM ecr_lifecycle_preview_differences
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
        "`--table default,previews`",
    ),
    Asked(
        "What do the views take a price, a quota or a threshold to be?",
        """\
SELECT name, value, unit, source FROM ecr_parameters
ORDER BY 1""",
    ),
    Asked(
        "Where does each image run?",
        """\
SELECT repository_name, image_tags, told_by, evidence, coalesce(cluster_name, lambda_function_name) AS place, ecs_group
FROM ecr_images_in_use WHERE in_use
ORDER BY 1, 2, 3, 4, 5, 6""",
        cannot_know="What runs in EKS where Inspector does not look, or outside of ECS, EKS and Lambda. A task that is"
        " only started by a schedule is not seen while it does not run.",
    ),
    Asked(
        "Which critical findings with a fix run now, and in which cluster, service or namespace?",
        """\
SELECT repository_name, vulnerability_id, cluster_name, coalesce(ecs_group, eks_namespace) AS used_by
FROM ecr_images_in_use JOIN ecr_image_vulnerabilities USING (registry_id, region, repository_name, image_digest)
WHERE severity = 'CRITICAL' AND is_fixable AND evidence = 'runs' ORDER BY 1, 2, 3, 4""",
        "`--table default,findings,usage`",
    ),
    Asked(
        "What is old, has no tag, and nothing refers to it?",
        """\
SELECT repository_name, kind, image_digest, is_child_of_index FROM ecr_untagged_images
WHERE days_since_push > 90 AND NOT in_use
ORDER BY 1, 2, 3""",
        "`--table default,usage`; `manifests` too, to know the children of indexes",
    ),
    Asked(
        "Which statements deny something?",
        """\
SELECT owner_type, owner_name, principal, actions FROM ecr_policy_access
WHERE effect = 'Deny'
ORDER BY 1, 2, 3, 4""",
    ),
]
"""What the pages of those views ask that no question needs."""


def question(number: int) -> str:
    """The query of a question by its number on the page."""
    every = [one for questions in QUESTIONS.values() for one in questions]
    return every[number - 1].sql
