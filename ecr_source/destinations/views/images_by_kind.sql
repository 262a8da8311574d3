-- Which tags has an image, and is it the newest one? A row for each image: a part of views, not one of them.
--
-- image_tags: Its tags by name, with commas between; NULL if it has none.
-- is_newest: Whether no image of its repository that can be run was pushed after it.

-- The newest is looked for by its time and then by its digest: DuckDB takes longer to number all images.
WITH latest AS (
    SELECT registry_id, region, repository_name, max(coalesce(image_pushed_at, to_timestamp(0))) AS image_pushed_at
    FROM image_kinds
    WHERE kind = 'image'
    GROUP BY registry_id, region, repository_name
),

newest AS (
    SELECT
        image_kinds.registry_id,
        image_kinds.region,
        image_kinds.repository_name,
        min(image_kinds.image_digest) AS image_digest
    FROM image_kinds
    JOIN latest USING (registry_id, region, repository_name)
    WHERE image_kinds.kind = 'image'
        AND coalesce(image_kinds.image_pushed_at, to_timestamp(0)) = latest.image_pushed_at
    GROUP BY image_kinds.registry_id, image_kinds.region, image_kinds.repository_name
)

SELECT
    image_kinds.*,
    image_tag_lists.image_tags,
    coalesce(newest.image_digest = image_kinds.image_digest, false) AS is_newest
FROM image_kinds
LEFT JOIN image_tag_lists USING (registry_id, region, repository_name, image_digest)
LEFT JOIN newest USING (registry_id, region, repository_name)
