-- How did the registries grow? A row for each registry and week in which a run listed its repositories or images, in
-- history mode only.
--
-- needs: extraction_scopes
-- week: The Monday on which the week begins (UTC).
-- repositories: How many repositories there were at the end of the week, or now, if it is not over; NULL where they were
--   never listed.
-- images: How many images, manifest lists and attachments among them; NULL where they were never listed.
-- bytes_upper_bound: The sizes of the images together, manifest lists aside: no more than this was stored, because
--   images share layers.
-- as_of: When they were listed last in that week; NULL where no more is known than that something had gone.

WITH changes AS (
    SELECT
        registry_id,
        region,
        _dlt_valid_from AS changed_at,
        1 AS repositories,
        CAST(NULL AS BIGINT) AS images,
        CAST(NULL AS BIGINT) AS bytes,
        CAST(NULL AS TIMESTAMPTZ) AS as_of
    FROM versions_of_repositories
    UNION ALL
    SELECT
        registry_id,
        region,
        _dlt_valid_to AS changed_at,
        -1 AS repositories,
        NULL AS images,
        NULL AS bytes,
        NULL AS as_of
    FROM versions_of_repositories
    WHERE _dlt_valid_to IS NOT NULL
    UNION ALL
    SELECT
        registry_id,
        region,
        _dlt_valid_from AS changed_at,
        NULL AS repositories,
        1 AS images,
        CASE WHEN is_manifest_list THEN 0 ELSE image_size_in_bytes END AS bytes,
        NULL AS as_of
    FROM versions_of_images
    UNION ALL
    SELECT
        registry_id,
        region,
        _dlt_valid_to AS changed_at,
        NULL AS repositories,
        -1 AS images,
        CASE WHEN is_manifest_list THEN 0 ELSE -image_size_in_bytes END AS bytes,
        NULL AS as_of
    FROM versions_of_images
    WHERE _dlt_valid_to IS NOT NULL
    UNION ALL
    SELECT
        registry_id,
        region,
        valid_from AS changed_at,
        CASE WHEN table_name = 'repositories' THEN 0 END AS repositories,
        CASE WHEN table_name = 'images' THEN 0 END AS images,
        CASE WHEN table_name = 'images' THEN 0 END AS bytes,
        valid_from AS as_of
    FROM extraction_scopes
    WHERE
        table_name IN ('repositories', 'images')
        AND valid_from IS NOT NULL
        AND status IN ('complete', 'bounded', 'selected', 'partial')
),

weeks AS (
    SELECT
        registry_id,
        region,
        CAST(date_trunc('week', changed_at AT TIME ZONE 'UTC') AS DATE) AS week,
        sum(repositories) AS repositories,
        sum(images) AS images,
        sum(bytes) AS bytes,
        max(as_of) AS as_of
    FROM changes
    GROUP BY registry_id, region, 3
)

SELECT
    registry_id,
    region,
    week,
    CAST(
        sum(repositories) OVER (
            PARTITION BY registry_id, region ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS BIGINT
    ) AS repositories,
    CAST(
        sum(images) OVER (
            PARTITION BY registry_id, region ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS BIGINT
    ) AS images,
    CAST(
        sum(bytes) OVER (
            PARTITION BY registry_id, region ORDER BY week ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS BIGINT
    ) AS bytes_upper_bound,
    as_of
FROM weeks
