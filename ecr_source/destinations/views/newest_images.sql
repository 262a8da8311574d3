-- Which image of a repository is the newest one? A row for each repository that has an image that can be run, of
-- several that were pushed last the first by its digest: a part of views, not one of them.

-- The least of texts that begin with the microseconds from the push to the year 2255, of 16 digits before 2223: to look
-- for the time first and then for the digest asks for the images twice, and to number them all takes longer still.
-- Postgres takes the kind for a rare one, and would sort all images by it if it stood in a WHERE.
SELECT
    registry_id,
    region,
    repository_name,
    substr(
        min(
            CASE
                WHEN kind = 'image'
                    THEN CAST(
                        9000000000000000 - CAST(coalesce(extract(epoch FROM image_pushed_at), 0) * 1000000 AS BIGINT)
                        AS VARCHAR
                    ) || image_digest
            END
        ),
        17
    ) AS image_digest
FROM image_kinds
GROUP BY registry_id, region, repository_name
HAVING count(CASE WHEN kind = 'image' THEN 1 END) > 0
