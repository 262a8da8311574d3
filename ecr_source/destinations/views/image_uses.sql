-- Does an image run anywhere? A row for each image that Inspector tells of: a part of views, not one of them.
--
-- in_use: Whether it runs somewhere; NULL where Inspector has not looked, which is not to say that it does not.
-- in_use_count: On how many ECS tasks and EKS pods Inspector saw it; NULL where it has not looked.
-- last_in_use_at: When Inspector saw it in use last; NULL where that is not known.
-- in_use_as_of: When that was read: image_usage, or, for an image that it does not have, the oldest of its findings;
--   NULL where nobody says so.

WITH told AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        in_use_count,
        last_in_use_at,
        extracted_at,
        true AS is_of_all_images
    FROM image_usage
    UNION ALL
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        in_use_count,
        last_in_use_at,
        extracted_at,
        false AS is_of_all_images
    FROM image_scan_findings
),

counted AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        coalesce(max(CASE WHEN is_of_all_images THEN in_use_count END), max(in_use_count)) AS in_use_count,
        max(last_in_use_at) AS last_in_use_at,
        coalesce(min(CASE WHEN is_of_all_images THEN extracted_at END), min(extracted_at)) AS in_use_as_of
    FROM told
    WHERE in_use_count IS NOT NULL OR last_in_use_at IS NOT NULL
    GROUP BY registry_id, region, repository_name, image_digest
)

SELECT *, in_use_count > 0 AS in_use
FROM counted
