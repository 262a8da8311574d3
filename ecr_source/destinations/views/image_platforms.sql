-- For which platform is an image? A row for each image that an index of its repository tells of: a part of views, not
-- one of them.
--
-- platform: The operating system and architecture, as linux/arm64/v8; of several that indexes tell, the first.

SELECT
    registry_id,
    region,
    repository_name,
    child_digest AS image_digest,
    min(concat_ws('/', os, architecture, variant)) AS platform
FROM image_manifest_children
GROUP BY registry_id, region, repository_name, child_digest
