-- Which image is the newest of its repository? A row for each image: a part of views, not one of them.
--
-- is_newest: Whether no image of its repository that can be run was pushed after it.

SELECT
    image_kinds.*,
    newest_images.image_digest IS NOT NULL AS is_newest
FROM image_kinds
LEFT JOIN newest_images USING (registry_id, region, repository_name, image_digest)
