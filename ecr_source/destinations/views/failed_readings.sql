-- Which runs failed to read something? A row for each run, operation and what was asked for, in history mode: a part of
-- views, not one of them.
--
-- failed_at: When the run began that failed to read it.
-- failed_next_at: When the next one did; NULL if none has.
-- runs: How many have failed, this one included.

SELECT
    *,
    row_number() OVER one AS runs,
    lead(failed_at) OVER one AS failed_next_at
FROM (
    SELECT DISTINCT
        extraction_errors.registry_id,
        extraction_errors.region,
        extraction_errors.operation,
        extraction_errors.resource,
        extraction_scopes.valid_from AS failed_at
    FROM extraction_errors
    JOIN extraction_scopes
        ON extraction_scopes.run_id = extraction_errors.run_id
        AND extraction_scopes.registry_id = extraction_errors.registry_id
        AND extraction_scopes.region = extraction_errors.region
    WHERE
        extraction_errors.status IN ('denied', 'disabled', 'failed')
        AND extraction_scopes.valid_from IS NOT NULL
) AS errors
WINDOW one AS (PARTITION BY registry_id, region, operation, resource ORDER BY failed_at)
