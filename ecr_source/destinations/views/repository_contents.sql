-- What images has a repository? A row for each repository, all NULL where they were not read: a part of views, not one
-- of them.
--
-- images: How many images it has, archived ones, manifest lists and attachments among them; NULL where they were not
--   read.
-- manifest_lists: How many of the images are manifest lists, whose size is that of an image they refer to: they have no
--   bytes here.
-- tagged_images: How many of the images have a tag, archived ones aside.
-- untagged_images: How many have none, archived ones aside. Images that only an index refers to are among them.
-- archived_images: How many are archived; NULL where they were not read.
-- tagged_bytes_upper_bound: The sizes of the tagged images together: no more than this is stored, because images share
--   layers. An image whose size is not told counts as 0.
-- untagged_bytes_upper_bound: The same of the untagged ones.
-- archived_bytes_upper_bound: The same of the archived ones.
-- bytes_upper_bound: The same of all.
-- last_pushed_at: When the newest of the images that are there was pushed; NULL if there is none, or they were not
--   read.
-- days_since_push: Days since then.
-- last_pulled_at: When ECR last recorded a pull of an image that is there; NULL if it recorded none, or they were not
--   read.
-- days_since_pull: Days since then.
-- images_as_of: When its images were read; NULL where they were not.

WITH sized AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_pushed_at,
        last_recorded_pull_time,
        is_manifest_list,
        CASE WHEN image_status = 'ARCHIVED' THEN 'archived' WHEN tag_count > 0 THEN 'tagged' ELSE 'untagged' END
            AS place,
        CASE WHEN is_manifest_list THEN 0 ELSE coalesce(image_size_in_bytes, 0) END AS bytes
    FROM images
),

counted AS (
    SELECT
        registry_id,
        region,
        repository_name,
        count(*) AS images,
        count(CASE WHEN is_manifest_list THEN 1 END) AS manifest_lists,
        count(CASE WHEN place = 'tagged' THEN 1 END) AS tagged_images,
        count(CASE WHEN place = 'untagged' THEN 1 END) AS untagged_images,
        count(CASE WHEN place = 'archived' THEN 1 END) AS archived_images,
        sum(CASE WHEN place = 'tagged' THEN bytes ELSE 0 END) AS tagged_bytes,
        sum(CASE WHEN place = 'untagged' THEN bytes ELSE 0 END) AS untagged_bytes,
        sum(CASE WHEN place = 'archived' THEN bytes ELSE 0 END) AS archived_bytes,
        sum(bytes) AS bytes,
        max(image_pushed_at) AS last_pushed_at,
        max(last_recorded_pull_time) AS last_pulled_at
    FROM sized
    GROUP BY registry_id, region, repository_name
),

known AS (
    SELECT
        image_listings.registry_id,
        image_listings.region,
        image_listings.repository_name,
        image_listings.images_as_of,
        coalesce(counted.images, 0) AS images,
        coalesce(counted.manifest_lists, 0) AS manifest_lists,
        coalesce(counted.tagged_images, 0) AS tagged_images,
        coalesce(counted.untagged_images, 0) AS untagged_images,
        coalesce(counted.archived_images, 0) AS archived_images,
        CAST(coalesce(counted.tagged_bytes, 0) AS BIGINT) AS tagged_bytes_upper_bound,
        CAST(coalesce(counted.untagged_bytes, 0) AS BIGINT) AS untagged_bytes_upper_bound,
        CAST(coalesce(counted.archived_bytes, 0) AS BIGINT) AS archived_bytes_upper_bound,
        CAST(coalesce(counted.bytes, 0) AS BIGINT) AS bytes_upper_bound,
        counted.last_pushed_at,
        counted.last_pulled_at
    FROM image_listings
    LEFT JOIN counted USING (registry_id, region, repository_name)
)

SELECT
    repositories.registry_id,
    repositories.region,
    repositories.repository_name,
    known.images,
    known.manifest_lists,
    known.tagged_images,
    known.untagged_images,
    known.archived_images,
    known.tagged_bytes_upper_bound,
    known.untagged_bytes_upper_bound,
    known.archived_bytes_upper_bound,
    known.bytes_upper_bound,
    known.last_pushed_at,
    CAST(floor((extract(epoch FROM now()) - extract(epoch FROM known.last_pushed_at)) / 86400) AS BIGINT)
        AS days_since_push,
    known.last_pulled_at,
    CAST(floor((extract(epoch FROM now()) - extract(epoch FROM known.last_pulled_at)) / 86400) AS BIGINT)
        AS days_since_pull,
    known.images_as_of
FROM repositories
LEFT JOIN known USING (registry_id, region, repository_name)
