-- Which tags has an image, and is it the newest one? A row for each image: a part of views, not one of them.
--
-- image_tags: Its tags by name, with commas between; NULL if it has none.
-- is_newest: Whether no image of its repository that can be run was pushed after it.

SELECT
    image_kinds.*,
    image_tag_lists.image_tags,
    newest_images.image_digest IS NOT NULL AS is_newest
FROM image_kinds
LEFT JOIN image_tag_lists USING (registry_id, region, repository_name, image_digest)
LEFT JOIN newest_images USING (registry_id, region, repository_name, image_digest)
