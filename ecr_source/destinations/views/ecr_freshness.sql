-- What is complete as of when? A row for each table in each scope that any run was to read. What a run has read counts
-- when its load is complete.
--
-- needs: extraction_scopes
-- answered_as_of: When the last reading began that read all that it was asked for. Too long ago is reason to worry.
-- complete_as_of: The table has all that was in the scope at this time; no row is older. Where images are asked one by
--   one, it is the time of the oldest answer that stands. A run that was asked for less than all does not move it.
-- read_as_of: When the reading began that was loaded last, whatever it was asked for and could not read.
-- last_started_at: When the last run began that was to read it.
-- last_status: How that run came out.
-- last_rows: How many rows it read.
-- last_excepted_repositories: How many repositories it could not read, which keep the rows of earlier runs.
-- last_images_asked: How many images it asked; NULL where no call is made for each image.
-- last_images_kept: How many images it did not ask, because their earlier answer stands.
-- last_images_left_out: How many images it did not ask, because a bound leaves them out.
-- last_images_failed: How many images gave it no answer.
-- last_note: What to know of how it was read; NULL if there is nothing.
-- mode: Its load mode.
-- last_run_id: The run.

-- Tables of single images are loaded together, or none is: none, where one was loaded before that was read later.
WITH runs AS (
    SELECT
        run_id,
        registry_id,
        region,
        min(started_at) AS began_at,
        max(max(CASE WHEN is_of_images AND status IN ('complete', 'bounded') THEN started_at END)) OVER (
            PARTITION BY registry_id, region ORDER BY max(loaded_at)
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS images_before
    FROM loaded_readings
    GROUP BY run_id, registry_id, region
),

readings AS (
    SELECT
        loaded_readings.*,
        status IN ('complete', 'bounded', 'selected', 'partial')
            AND NOT (is_of_images AND coalesce(images_before > began_at, false)) AS counts
    FROM loaded_readings
    JOIN runs USING (run_id, registry_id, region)
)

SELECT
    registry_id,
    region,
    table_name,
    answered_as_of,
    complete_as_of,
    greatest(answered_as_of, last_loaded) AS read_as_of,
    started_at AS last_started_at,
    status AS last_status,
    "rows" AS last_rows,
    excepted_repositories AS last_excepted_repositories,
    images_asked AS last_images_asked,
    images_kept AS last_images_kept,
    images_left_out AS last_images_left_out,
    images_failed AS last_images_failed,
    note AS last_note,
    mode,
    run_id AS last_run_id
FROM (
    SELECT
        *,
        max(CASE WHEN counts AND status <> 'partial' THEN started_at END) OVER one AS answered_as_of,
        max(CASE WHEN counts AND status = 'complete' THEN least(started_at, oldest_answer_at) END)
            OVER one AS complete_as_of,
        first_value(CASE WHEN counts THEN started_at END) OVER (
            PARTITION BY registry_id, region, table_name
            ORDER BY CASE WHEN counts THEN 0 ELSE 1 END, loaded_at DESC
        ) AS last_loaded,
        row_number() OVER (PARTITION BY registry_id, region, table_name ORDER BY started_at DESC) AS position
    FROM readings
    WINDOW one AS (PARTITION BY registry_id, region, table_name)
) AS counted
WHERE position = 1
