-- Which images were never pulled, or not for long? A row for each image that can be run (no manifest lists, signatures
-- or other attachments), however new it is: choose your own number of days.
--
-- needs: images
-- image_tags: Its tags by name, with commas between; NULL if it has none. Images that an index refers to often have
--   none.
-- never_pulled: Whether ECR has recorded no pull of it.
-- pull_time_caveat: Why the time of the last pull may say too little or too much; NULL if nothing is known against it.
--   ECR refreshes it at least once in 24 hours, and never records the pulls of Amazon Inspector.
-- as_of: When the image was listed.

WITH excluded AS (
    SELECT registry_id, region, count(*) AS principals
    FROM pull_time_update_exclusions
    GROUP BY registry_id, region
),

exclusions_read AS (
    SELECT registry_id, region FROM ecr_freshness
    WHERE table_name = 'pull_time_update_exclusions' AND complete_as_of IS NOT NULL
)

SELECT
    image_kinds.registry_id,
    image_kinds.region,
    image_kinds.repository_name,
    image_kinds.image_digest,
    image_kinds.image_tags,
    image_kinds.image_size_in_bytes,
    image_kinds.image_status,
    image_kinds.image_pushed_at,
    image_kinds.days_since_push,
    image_kinds.last_recorded_pull_time,
    image_kinds.last_recorded_pull_time IS NULL AS never_pulled,
    image_kinds.days_since_pull,
    nullif(
        concat_ws(
            '; ',
            -- https://github.com/aws/containers-roadmap/issues/2390
            CASE
                WHEN image_manifests.image_digest IS NOT NULL
                    THEN 'its manifest was read, for the group manifests, which counts as a pull'
            END,
            CASE
                WHEN exclusions_read.registry_id IS NULL
                    THEN 'pulls by some principals may not count: pull_time_update_exclusions was not read'
                WHEN excluded.principals > 0 THEN 'pulls by principals of pull_time_update_exclusions do not count'
            END
        ),
        ''
    ) AS pull_time_caveat,
    image_uses.in_use_count,
    image_uses.last_in_use_at,
    image_uses.in_use,
    image_uses.in_use_as_of,
    image_kinds.extracted_at AS as_of
FROM image_kinds
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_manifests USING (registry_id, region, repository_name, image_digest)
LEFT JOIN excluded USING (registry_id, region)
LEFT JOIN exclusions_read USING (registry_id, region)
WHERE image_kinds.kind = 'image'
