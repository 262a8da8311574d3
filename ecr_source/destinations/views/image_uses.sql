-- Does an image run anywhere? A row for each image that Inspector, ECS or Lambda tells of: a part of views, not one of
-- them.
--
-- in_use: Whether something runs it, or refers to it. False only where Inspector covers it and sees it nowhere, and ECS
--   and Lambda were read completely, in each account and region whose images were, and name it nowhere. NULL where that
--   is not known, which is not to say that it is not used.
-- in_use_count: On how many ECS tasks and EKS pods Inspector saw it; NULL where it has not looked.
-- last_in_use_at: When Inspector saw it in use last; NULL where that is not known.
-- in_use_as_of: When that was read: the oldest of what it rests on. NULL where nobody says so.

WITH told AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        in_use_count,
        last_in_use_at,
        extracted_at,
        'usage' AS told_by
    FROM image_usage
    WHERE in_use_count IS NOT NULL OR last_in_use_at IS NOT NULL
    UNION ALL
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        in_use_count,
        last_in_use_at,
        extracted_at,
        'finding' AS told_by
    FROM image_scan_findings
    WHERE in_use_count IS NOT NULL OR last_in_use_at IS NOT NULL
    UNION ALL
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        NULL AS in_use_count,
        NULL AS last_in_use_at,
        extracted_at,
        'reference' AS told_by
    FROM image_references
),

counted AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        coalesce(max(CASE WHEN told_by = 'usage' THEN in_use_count END), max(in_use_count)) AS in_use_count,
        max(last_in_use_at) AS last_in_use_at,
        count(CASE WHEN told_by = 'reference' THEN 1 END) > 0 AS is_referred_to,
        coalesce(min(CASE WHEN told_by <> 'finding' THEN extracted_at END), min(extracted_at)) AS in_use_as_of
    FROM told
    GROUP BY registry_id, region, repository_name, image_digest
),

-- One of the images of these may be the one that runs.
with_unread_index AS (
    SELECT DISTINCT registry_id, region, repository_name
    FROM image_references
    WHERE is_unread_index
)

SELECT
    counted.registry_id,
    counted.region,
    counted.repository_name,
    counted.image_digest,
    counted.in_use_count,
    counted.last_in_use_at,
    counted.in_use_as_of,
    CASE
        WHEN counted.is_referred_to OR counted.in_use_count > 0 THEN true
        WHEN counted.in_use_count = 0
            AND (SELECT count(*) > 0 AND count(CASE WHEN NOT is_complete THEN 1 END) = 0 FROM usage_readings)
            AND with_unread_index.repository_name IS NULL
            THEN false
    END AS in_use
FROM counted
LEFT JOIN with_unread_index USING (registry_id, region, repository_name)
