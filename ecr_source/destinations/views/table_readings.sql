-- When was a table read, and when before that? A row for each run that read it, in history mode: a part of views, not
-- one of them.
--
-- readings_before: How many runs had read it before.
-- read_before_at: When the last of these began (UTC); NULL if there is none.

SELECT
    table_name,
    registry_id,
    region,
    valid_from,
    count(CASE WHEN is_read THEN 1 END) OVER (
        PARTITION BY table_name, registry_id, region ORDER BY valid_from
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS readings_before,
    max(CASE WHEN is_read THEN valid_from END) OVER (
        PARTITION BY table_name, registry_id, region ORDER BY valid_from
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS read_before_at
FROM (
    SELECT *, status IN ('complete', 'bounded', 'partial') AS is_read FROM extraction_scopes
) AS scopes
WHERE valid_from IS NOT NULL
