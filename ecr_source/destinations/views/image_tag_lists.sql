-- Which tags has an image? A row for each image that has some: a part of views, not one of them.
--
-- image_tags: Its tags by name, with commas between; NULL if it has none.

WITH counted AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        count(*) AS tags,
        min(image_tag) AS first_tag,
        max(image_tag) AS last_tag
    FROM image_tags
    GROUP BY registry_id, region, repository_name, image_digest
)

SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    CASE tags WHEN 1 THEN first_tag ELSE first_tag || ', ' || last_tag END AS image_tags
FROM counted
WHERE tags <= 2
UNION ALL
-- Putting tags in order is what takes longest, and most images have one or two.
SELECT
    image_tags.registry_id,
    image_tags.region,
    image_tags.repository_name,
    image_tags.image_digest,
    string_agg(image_tags.image_tag, ', ' ORDER BY image_tags.image_tag) AS image_tags
FROM image_tags
JOIN counted USING (registry_id, region, repository_name, image_digest)
WHERE counted.tags > 2
GROUP BY image_tags.registry_id, image_tags.region, image_tags.repository_name, image_tags.image_digest
