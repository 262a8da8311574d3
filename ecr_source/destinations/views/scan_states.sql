-- What is an image, and what is known of its scan? A row for each image: a part of views, not one of them.
--
-- listed_at: When it was listed.
-- scan_state: scanned. stale: scanned more than `stale_scan_after` days ago (ecr_parameters). pending: under way.
--   failed: the scan failed. unsupported: it cannot be scanned. archived: it is not scanned while it is. never_scanned:
--   ECR has no scan of it. left_out: a bound kept it from being asked. denied: asked, and refused. unanswered: asked,
--   and the call failed, or the budget was spent. not_asked: nobody asked. Only of scanned and stale are the counts
--   known.
-- scan_status: What ECR or Inspector calls the state of the scan.
-- scan_status_description: What they say of it.
-- scan_completed_at: When the scan was completed.
-- days_since_scan: Days since then.
-- critical_count: How many critical findings there are; NULL where that is not known.
-- high_count: How many high findings there are; NULL where that is not known.
-- medium_count: How many medium findings there are; NULL where that is not known.
-- low_count: How many low findings there are; NULL where that is not known.
-- as_of: When the answer was given that this is taken from; for not_asked, when the image was listed.

-- What came of asking where image_scans was not among what was asked for: what is in it says it itself.
WITH asked AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        max(outcome) AS outcome,
        max(extracted_at) AS extracted_at
    FROM extraction_images
    WHERE operation IN ('ecr:DescribeImageScanFindings', 'inspector2:ListCoverage')
        AND strpos(' ' || coalesce(for_tables, '') || ' ', ' image_scans ') = 0
    GROUP BY registry_id, region, repository_name, image_digest
),

-- Of basic scanning image_scans has the numbers, where it was asked for and ECR told them.
uncounted AS (
    SELECT registry_id, region, repository_name, image_digest
    FROM asked
    UNION
    SELECT registry_id, region, repository_name, image_digest
    FROM image_scans
    WHERE scan_status = 'COMPLETE' AND critical_count IS NULL
),

-- Of enhanced scanning a finding has a row for each package.
findings AS (
    SELECT registry_id, region, repository_name, image_digest, severity
    FROM image_scan_findings
    JOIN uncounted USING (registry_id, region, repository_name, image_digest)
    WHERE scan_kind = 'basic'
    UNION ALL
    SELECT registry_id, region, repository_name, image_digest, severity
    FROM (
        SELECT DISTINCT registry_id, region, repository_name, image_digest, finding_id, severity
        FROM image_scan_findings
        WHERE scan_kind <> 'basic'
    ) AS enhanced
),

-- Inspector tells of findings one by one, and of their numbers nowhere.
counted AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        count(CASE WHEN severity = 'CRITICAL' THEN 1 END) AS critical_count,
        count(CASE WHEN severity = 'HIGH' THEN 1 END) AS high_count,
        count(CASE WHEN severity = 'MEDIUM' THEN 1 END) AS medium_count,
        count(CASE WHEN severity = 'LOW' THEN 1 END) AS low_count
    FROM findings
    GROUP BY registry_id, region, repository_name, image_digest
),

told AS (
    SELECT
        image_kinds.registry_id,
        image_kinds.region,
        image_kinds.repository_name,
        image_kinds.image_digest,
        image_kinds.image_tags,
        image_kinds.kind,
        image_kinds.image_status,
        image_kinds.image_size_in_bytes,
        image_kinds.image_pushed_at,
        image_kinds.days_since_push,
        image_kinds.last_recorded_pull_time,
        image_kinds.days_since_pull,
        image_kinds.image_manifest_media_type,
        image_kinds.artifact_media_type,
        image_kinds.subject_manifest_digest,
        image_kinds.last_archived_at,
        image_kinds.extracted_at AS listed_at,
        coalesce(image_scans.scan_status, image_kinds.scan_status) AS scan_status,
        coalesce(image_scans.scan_status_description, image_kinds.scan_status_description) AS scan_status_description,
        coalesce(image_scans.scan_completed_at, image_kinds.scan_completed_at) AS scan_completed_at,
        CASE
            WHEN image_scans.fetch_outcome IN ('denied', 'call_failed', 'not_asked', 'left_out')
                AND image_kinds.scan_status = 'COMPLETE' THEN 'complete'
            WHEN image_scans.fetch_outcome = 'complete' AND image_scans.scan_status = 'INACTIVE'
                THEN CASE
                    WHEN image_scans.scan_status_description LIKE 'PENDING%' THEN 'pending'
                    WHEN image_scans.scan_status_description LIKE 'UNSUPPORTED%' THEN 'unsupported'
                    WHEN image_scans.scan_status_description = 'IMAGE_ARCHIVED' THEN 'archived'
                    WHEN image_scans.scan_completed_at IS NULL THEN 'never_scanned'
                    ELSE 'complete'
                END
            WHEN image_scans.fetch_outcome IS NOT NULL THEN image_scans.fetch_outcome
            WHEN image_kinds.scan_status = 'COMPLETE' THEN 'complete'
            WHEN image_kinds.scan_status = 'FAILED' THEN 'failed'
            WHEN image_kinds.scan_status IN ('PENDING', 'IN_PROGRESS') THEN 'pending'
            WHEN image_kinds.scan_status = 'UNSUPPORTED_IMAGE' THEN 'unsupported'
            WHEN image_kinds.image_status = 'ARCHIVED' THEN 'archived'
            ELSE coalesce(asked.outcome, 'not_asked')
        END AS outcome,
        coalesce(image_scans.critical_count, image_kinds.critical_count, counted.critical_count) AS critical_count,
        coalesce(image_scans.high_count, image_kinds.high_count, counted.high_count) AS high_count,
        coalesce(image_scans.medium_count, image_kinds.medium_count, counted.medium_count) AS medium_count,
        coalesce(image_scans.low_count, image_kinds.low_count, counted.low_count) AS low_count,
        coalesce(image_scans.extracted_at, asked.extracted_at, image_kinds.extracted_at) AS as_of
    FROM image_kinds
    LEFT JOIN image_scans USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN asked USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN counted USING (registry_id, region, repository_name, image_digest)
),

aged AS (
    SELECT
        *,
        CAST(floor((extract(epoch FROM now()) - extract(epoch FROM scan_completed_at)) / 86400) AS BIGINT)
            AS days_since_scan
    FROM told
)

SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    image_tags,
    kind,
    image_status,
    image_size_in_bytes,
    image_pushed_at,
    days_since_push,
    last_recorded_pull_time,
    days_since_pull,
    image_manifest_media_type,
    artifact_media_type,
    subject_manifest_digest,
    last_archived_at,
    listed_at,
    CASE
        WHEN outcome <> 'complete' THEN CASE outcome WHEN 'call_failed' THEN 'unanswered' ELSE outcome END
        -- Not a join, which Postgres would make for each image anew.
        WHEN days_since_scan > (SELECT max(value) FROM ecr_parameters WHERE name = 'stale_scan_after')
            AND coalesce(scan_status, '') <> 'ACTIVE' THEN 'stale'
        ELSE 'scanned'
    END AS scan_state,
    scan_status,
    scan_status_description,
    scan_completed_at,
    days_since_scan,
    CASE WHEN outcome = 'complete' THEN coalesce(critical_count, 0) END AS critical_count,
    CASE WHEN outcome = 'complete' THEN coalesce(high_count, 0) END AS high_count,
    CASE WHEN outcome = 'complete' THEN coalesce(medium_count, 0) END AS medium_count,
    CASE WHEN outcome = 'complete' THEN coalesce(low_count, 0) END AS low_count,
    as_of
FROM aged
