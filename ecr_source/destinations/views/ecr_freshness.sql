-- What is complete as of when: a row for each table in each scope that any run was to read. What a run has read counts
-- when its load is complete.
-- complete_as_of: when the last reading began that was complete; the rows are no older than that.
-- read_as_of: the same, or when the reading began that was loaded last, though it was not complete.
-- last_*: how the last run that was to read it came out.
WITH loaded AS (
    SELECT
        extraction_scopes.*,
        coalesce(inserted_at, finished_at) AS loaded_at,
        table_name IN ({tables_of_images}) AS is_of_images
    FROM extraction_scopes
    LEFT JOIN _dlt_loads ON load_id = run_id
    -- Where many tasks load one run, its id is not dlt's, and the ledger is written when all have ended.
    WHERE extraction_scopes.status <> 'skipped' AND (load_id IS NOT NULL OR run_id NOT SIMILAR TO '[0-9]+[.][0-9]+')
),

-- Tables of single images are loaded together, or none is: none, where one was loaded before that was read later.
runs AS (
    SELECT
        run_id,
        registry_id,
        region,
        min(started_at) AS began_at,
        max(max(CASE WHEN is_of_images AND status = 'complete' THEN started_at END)) OVER (
            PARTITION BY registry_id, region ORDER BY max(loaded_at)
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS images_before
    FROM loaded
    GROUP BY run_id, registry_id, region
),

readings AS (
    SELECT
        loaded.*,
        status IN ('complete', 'partial') AND NOT (is_of_images AND coalesce(images_before > began_at, false)) AS counts
    FROM loaded
    JOIN runs USING (run_id, registry_id, region)
)

SELECT
    registry_id,
    region,
    table_name,
    complete_as_of,
    greatest(complete_as_of, last_loaded) AS read_as_of,
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
        max(CASE WHEN counts AND status = 'complete' THEN started_at END) OVER one AS complete_as_of,
        first_value(CASE WHEN counts THEN started_at END) OVER (
            PARTITION BY registry_id, region, table_name
            ORDER BY CASE WHEN counts THEN 0 ELSE 1 END, loaded_at DESC
        ) AS last_loaded,
        row_number() OVER (PARTITION BY registry_id, region, table_name ORDER BY started_at DESC) AS position
    FROM readings
    WINDOW one AS (PARTITION BY registry_id, region, table_name)
) AS counted
WHERE position = 1
