-- How much bigger is an image than the one before it, and which are the biggest? A row for each image that can be run
-- (no manifest lists, signatures or other attachments), beside the one pushed before it to its repository.
--
-- needs: images
-- platform: The operating system and architecture that an index of its repository tells of it, as linux/arm64/v8; it is
--   compared with the one before it of the same platform. NULL where no index is known to tell.
-- image_size_in_bytes: Its size, compressed. What it shares with others is counted.
-- previous_image_digest: The image before it; NULL if it is the first one that is still there.
-- previous_image_tags: Its tags.
-- previous_image_pushed_at: When it was pushed.
-- previous_image_size_in_bytes: Its size.
-- grew_by_bytes: How much bigger it is than the one before it; less than 0 if it is smaller. NULL if there is none.
-- grew_by_percent: The same in percent of the one before it, with one decimal.
-- as_of: When the image was listed.

WITH runnable AS (
    SELECT
        image_kinds.registry_id,
        image_kinds.region,
        image_kinds.repository_name,
        image_kinds.image_digest,
        image_kinds.image_tags,
        image_platforms.platform,
        image_kinds.image_status,
        image_kinds.image_pushed_at,
        image_kinds.image_size_in_bytes,
        image_kinds.extracted_at AS as_of
    FROM image_kinds
    LEFT JOIN image_platforms USING (registry_id, region, repository_name, image_digest)
    WHERE image_kinds.kind = 'image' AND image_kinds.image_pushed_at IS NOT NULL
),

compared AS (
    SELECT
        *,
        lag(image_digest) OVER one AS previous_image_digest,
        lag(image_tags) OVER one AS previous_image_tags,
        lag(image_pushed_at) OVER one AS previous_image_pushed_at,
        lag(image_size_in_bytes) OVER one AS previous_image_size_in_bytes
    FROM runnable
    WINDOW one AS (
        PARTITION BY registry_id, region, repository_name, platform ORDER BY image_pushed_at, image_digest
    )
)

SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    image_tags,
    platform,
    image_status,
    image_pushed_at,
    image_size_in_bytes,
    previous_image_digest,
    previous_image_tags,
    previous_image_pushed_at,
    previous_image_size_in_bytes,
    image_size_in_bytes - previous_image_size_in_bytes AS grew_by_bytes,
    CAST(
        CAST(
            100.0 * (image_size_in_bytes - previous_image_size_in_bytes)
            / nullif(previous_image_size_in_bytes, 0) AS DECIMAL(18, 1)
        ) AS DOUBLE
    ) AS grew_by_percent,
    as_of
FROM compared
