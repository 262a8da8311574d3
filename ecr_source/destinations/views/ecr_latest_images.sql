-- What does a scan say of the newest image of each repository? A row for each repository, with the counts by severity,
-- or with why there are none.
--
-- needs: repositories, images
-- image_state: there: the repository has an image that can be run. none: all was read, and there is none. unknown: its
--   images could not be read, or were not asked for.
-- image_digest: The newest image that can be run, which no index, signature or chart is; NULL if there is none.
-- days_since_push: Days since it was pushed.
-- scan_state: What came of scanning it, as in ecr_scan_coverage; NULL if there is no image.
-- as_of: When the answer was given that the scan is taken from; without an image, when the images were listed.

SELECT
    repositories.registry_id,
    repositories.region,
    repositories.repository_name,
    CASE
        WHEN newest_images.image_digest IS NOT NULL THEN 'there'
        WHEN image_listings.images_as_of IS NOT NULL THEN 'none'
        ELSE 'unknown'
    END AS image_state,
    newest_images.image_digest,
    scan_states.image_tags,
    scan_states.image_status,
    scan_states.image_size_in_bytes,
    scan_states.image_pushed_at,
    scan_states.days_since_push,
    scan_states.last_recorded_pull_time,
    scan_states.scan_state,
    scan_states.scan_completed_at,
    scan_states.critical_count,
    scan_states.high_count,
    scan_states.medium_count,
    scan_states.low_count,
    image_uses.in_use,
    coalesce(scan_states.as_of, image_listings.images_as_of) AS as_of
FROM repositories
LEFT JOIN image_listings USING (registry_id, region, repository_name)
LEFT JOIN newest_images USING (registry_id, region, repository_name)
LEFT JOIN scan_states USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
