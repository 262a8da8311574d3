-- Which untagged images are left over? A row for each image without a tag, and what is known of why it is there.
--
-- needs: images
-- is_child_of_index: Whether an index of its repository refers to it. NULL where that is not known: its repository has
--   an index whose manifest was not read, which takes the group manifests.
-- index_tags: The tags of the indexes that refer to it, with commas between; NULL if none is known that has a tag.
-- is_subject_there: Whether the image is there that it is attached to; NULL if it is no attachment.
-- is_left_over: Whether it has no tag, no index refers to it, and no image is there that it is attached to; NULL where
--   that is not known. It may still be in use by its digest.
-- as_of: When it was listed; where its index's manifest told of it, no later than that was read.

WITH children AS (
    SELECT
        image_manifest_children.registry_id,
        image_manifest_children.region,
        image_manifest_children.repository_name,
        image_manifest_children.child_digest AS image_digest,
        min(image_manifest_children.extracted_at) AS extracted_at,
        string_agg(DISTINCT image_tags.image_tag, ', ' ORDER BY image_tags.image_tag) AS index_tags
    FROM image_manifest_children
    JOIN images USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN image_tags USING (registry_id, region, repository_name, image_digest)
    GROUP BY
        image_manifest_children.registry_id,
        image_manifest_children.region,
        image_manifest_children.repository_name,
        image_manifest_children.child_digest
),

unread AS (
    SELECT DISTINCT images.registry_id, images.region, images.repository_name
    FROM images
    LEFT JOIN image_manifests USING (registry_id, region, repository_name, image_digest)
    WHERE (images.is_manifest_list OR images.image_manifest_media_type IS NULL)
        AND (image_manifests.image_digest IS NULL OR image_manifests.parse_error IS NOT NULL)
),

untagged AS (
    SELECT
        image_kinds.registry_id,
        image_kinds.region,
        image_kinds.repository_name,
        image_kinds.image_digest,
        image_kinds.kind,
        CASE WHEN children.image_digest IS NOT NULL THEN true WHEN unread.repository_name IS NULL THEN false END
            AS is_child_of_index,
        children.index_tags,
        CASE WHEN image_kinds.subject_manifest_digest IS NOT NULL THEN subjects.image_digest IS NOT NULL END
            AS is_subject_there,
        image_kinds.image_size_in_bytes,
        image_kinds.image_status,
        image_kinds.image_pushed_at,
        image_kinds.days_since_push,
        image_kinds.last_recorded_pull_time,
        image_kinds.days_since_pull,
        image_uses.in_use,
        image_uses.in_use_count,
        image_uses.in_use_as_of,
        least(image_kinds.extracted_at, children.extracted_at) AS as_of
    FROM image_kinds
    LEFT JOIN children USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN unread USING (registry_id, region, repository_name)
    LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN images AS subjects
        ON subjects.registry_id = image_kinds.registry_id
        AND subjects.region = image_kinds.region
        AND subjects.repository_name = image_kinds.repository_name
        AND subjects.image_digest = image_kinds.subject_manifest_digest
    WHERE coalesce(image_kinds.tag_count, 0) = 0
)

SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    kind,
    is_child_of_index,
    index_tags,
    is_subject_there,
    CASE
        WHEN is_child_of_index OR is_subject_there THEN false
        WHEN is_child_of_index IS NOT NULL THEN true
    END AS is_left_over,
    image_size_in_bytes,
    image_status,
    image_pushed_at,
    days_since_push,
    last_recorded_pull_time,
    days_since_pull,
    in_use_count,
    in_use,
    in_use_as_of,
    as_of
FROM untagged
