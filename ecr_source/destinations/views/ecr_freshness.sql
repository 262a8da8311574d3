-- What is complete as of when: a row for each table in each scope that any run was to read.
-- complete_as_of: when the last reading began that was complete; the rows are no older than that.
-- last_*: how the last run that was to read it came out.
SELECT
    registry_id,
    region,
    table_name,
    complete_as_of,
    read_as_of,
    started_at AS last_started_at,
    status AS last_status,
    "rows" AS last_rows,
    excepted_repositories AS last_excepted_repositories,
    note AS last_note,
    mode,
    run_id AS last_run_id
FROM (
    SELECT
        *,
        max(CASE WHEN status = 'complete' THEN started_at END) OVER scope AS complete_as_of,
        max(CASE WHEN status IN ('complete', 'partial') THEN started_at END) OVER scope AS read_as_of,
        row_number() OVER (PARTITION BY registry_id, region, table_name ORDER BY started_at DESC) AS position
    FROM extraction_scopes
    WHERE status <> 'skipped'
    WINDOW scope AS (PARTITION BY registry_id, region, table_name)
) AS readings
WHERE position = 1
