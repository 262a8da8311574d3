-- Which image of a repository is the newest one? A row for each repository that has an image that can be run, of
-- several that were pushed last the first by its digest: a part of views, not one of them.

-- The newest is looked for by its time and then by its digest: DuckDB takes longer to number all images.
WITH latest AS (
    SELECT registry_id, region, repository_name, max(coalesce(image_pushed_at, to_timestamp(0))) AS image_pushed_at
    FROM image_kinds
    WHERE kind = 'image'
    GROUP BY registry_id, region, repository_name
)

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
