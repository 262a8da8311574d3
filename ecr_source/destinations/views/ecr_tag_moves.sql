-- When did a tag come to an image, and was it taken from another? A row for each time that a tag was seen to come to a
-- digest, in history mode only.
--
-- needs: extraction_scopes
-- image_digest: The image that the tag came to.
-- previous_image_digest: The image that it was taken from in the same moment: the tag was overwritten. NULL if it was
--   on none, or that is not known.
-- next_image_digest: The image that it went to when it left this one; NULL if it is still there, or went to none.
-- current_image_digest: The image that has the tag now; NULL if there is none.
-- is_first_known: Whether it was there when the tags were read for the first time: it may have come long before.
-- came_after: When tags were read last before that (UTC): the tag came after it. NULL where that run failed to read
--   those of the repository, so that it is not known.
-- came_at: When the run began that found it there (UTC).
-- left_at: When the run began that found it gone (UTC); NULL if it is still there.

WITH ordered AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_tag,
        image_digest,
        _dlt_valid_from AS valid_from,
        _dlt_valid_to AS valid_to,
        lag(image_digest) OVER one AS digest_before,
        lag(_dlt_valid_to) OVER one AS valid_before_to
    FROM versions_of_image_tags
    WINDOW one AS (PARTITION BY registry_id, region, repository_name, image_tag ORDER BY _dlt_valid_from, _dlt_valid_to)
),

-- An image that was pushed again has a new version of its tag, which did not move.
numbered AS (
    SELECT
        *,
        sum(CASE WHEN digest_before = image_digest AND valid_before_to = valid_from THEN 0 ELSE 1 END) OVER (
            PARTITION BY registry_id, region, repository_name, image_tag ORDER BY valid_from, valid_to
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS stay
    FROM ordered
),

stays AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_tag,
        stay,
        max(image_digest) AS image_digest,
        min(valid_from) AS came_at,
        CASE WHEN count(valid_to) = count(*) THEN max(valid_to) END AS left_at
    FROM numbered
    GROUP BY registry_id, region, repository_name, image_tag, stay
),

neighbours AS (
    SELECT
        *,
        lag(image_digest) OVER one AS digest_before,
        lag(left_at) OVER one AS left_before_at,
        lead(image_digest) OVER one AS digest_after,
        lead(came_at) OVER one AS came_after_at,
        first_value(CASE WHEN left_at IS NULL THEN image_digest END) OVER (
            PARTITION BY registry_id, region, repository_name, image_tag ORDER BY stay DESC
        ) AS current_image_digest
    FROM stays
    WINDOW one AS (PARTITION BY registry_id, region, repository_name, image_tag ORDER BY stay)
)

SELECT
    neighbours.registry_id,
    neighbours.region,
    neighbours.repository_name,
    neighbours.image_tag,
    neighbours.image_digest,
    CASE WHEN neighbours.left_before_at = neighbours.came_at THEN neighbours.digest_before END AS previous_image_digest,
    CASE WHEN neighbours.came_after_at = neighbours.left_at THEN neighbours.digest_after END AS next_image_digest,
    neighbours.current_image_digest,
    coalesce(table_readings.readings_before, 0) <= coalesce(failed_readings.runs, 0)
        AND neighbours.left_before_at IS NULL AS is_first_known,
    CASE
        WHEN failed_readings.failed_at IS NULL OR failed_readings.failed_at < table_readings.read_before_at
            THEN table_readings.read_before_at
    END AS came_after,
    neighbours.came_at,
    neighbours.left_at
FROM neighbours
LEFT JOIN table_readings
    ON table_readings.table_name = 'image_tags'
    AND table_readings.registry_id = neighbours.registry_id
    AND table_readings.region = neighbours.region
    AND table_readings.valid_from = neighbours.came_at
LEFT JOIN failed_readings
    ON failed_readings.operation = 'ecr:DescribeImages'
    AND failed_readings.registry_id = neighbours.registry_id
    AND failed_readings.region = neighbours.region
    AND failed_readings.resource = neighbours.repository_name
    AND failed_readings.failed_at < neighbours.came_at
    AND (failed_readings.failed_next_at IS NULL OR failed_readings.failed_next_at >= neighbours.came_at)
