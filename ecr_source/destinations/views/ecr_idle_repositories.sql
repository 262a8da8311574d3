-- Which repositories are empty, or had no push for long? A row for each repository, however busy it is: choose your own
-- number of days.
--
-- needs: repositories
-- created_at: When the repository was created.
-- is_empty: Whether it has no image; NULL where they were not read.
-- image_bytes_upper_bound: The sizes of its images together, manifest lists left out: no more than this is stored,
--   because images share layers. NULL where they were not read.
-- days_since_creation: Days since the repository was created: what is empty may be new.
-- as_of: When its images were read; where they were not, when the repository was listed.

SELECT
    repositories.registry_id,
    repositories.region,
    repositories.repository_name,
    repositories.created_at,
    repository_contents.images,
    repository_contents.archived_images,
    repository_contents.images = 0 AS is_empty,
    repository_contents.bytes_upper_bound AS image_bytes_upper_bound,
    repository_contents.last_pushed_at,
    repository_contents.days_since_push,
    CAST(floor((extract(epoch FROM now()) - extract(epoch FROM repositories.created_at)) / 86400) AS BIGINT)
        AS days_since_creation,
    repository_contents.last_pulled_at,
    repository_contents.days_since_pull,
    coalesce(repository_contents.images_as_of, repositories.extracted_at) AS as_of
FROM repositories
JOIN repository_contents USING (registry_id, region, repository_name)
