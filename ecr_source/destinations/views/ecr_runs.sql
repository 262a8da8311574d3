-- How did each run go, and how many calls, retries and refusals did it take? A row for each run in each scope.
--
-- needs: extraction_scopes
-- started_at: When reading began in the scope (UTC).
-- finished_at: When reading ended in the scope (UTC).
-- seconds: Seconds between the two. Scopes are read side by side: their sum is more than the run took.
-- loaded_at: When the load was complete that has what was read; NULL where many tasks loaded it, or it was not
--   completed.
-- complete_tables: How many tables were read to the end.
-- bounded_tables: How many were read to the end, but for images that a bound left out.
-- selected_tables: Of how many the repositories were read that were asked for by name, and no others.
-- partial_tables: How many were read but for something that could not be read, or that the budget did not reach.
-- denied_tables: How many could not be read, because access was denied.
-- disabled_tables: How many could not be read, because the region is not enabled.
-- failed_tables: How many could not be read for another reason.
-- not_offered_tables: How many the region does not offer.
-- postponed_tables: How many the budget did not reach.
-- skipped_tables: How many nobody asked for.
-- rows_read: Rows read, of all tables.
-- calls: Requests sent, retries included.
-- throttled: Requests that the service refused because of their rate.
-- retried: Requests that repeated an earlier one.
-- errors: How many things could not be read (extraction_errors has each); what was gone is not counted.
-- gone: How many things were not there any more when they were read.
-- error_for_example: What happened to one of them; NULL if there is none.

WITH errors AS (
    SELECT
        run_id,
        registry_id,
        region,
        count(CASE WHEN status IN ('denied', 'disabled', 'failed') THEN 1 END) AS errors,
        count(CASE WHEN status = 'gone' THEN 1 END) AS gone,
        min(CASE WHEN status IN ('denied', 'disabled', 'failed') THEN message END) AS error_for_example
    FROM extraction_errors
    GROUP BY run_id, registry_id, region
),

scopes AS (
    SELECT
        run_id,
        registry_id,
        region,
        max(mode) AS mode,
        min(CASE WHEN status <> 'skipped' THEN started_at END) AS started_at,
        max(CASE WHEN status <> 'skipped' THEN finished_at END) AS finished_at,
        count(CASE WHEN status = 'complete' THEN 1 END) AS complete_tables,
        count(CASE WHEN status = 'bounded' THEN 1 END) AS bounded_tables,
        count(CASE WHEN status = 'selected' THEN 1 END) AS selected_tables,
        count(CASE WHEN status = 'partial' THEN 1 END) AS partial_tables,
        count(CASE WHEN status = 'denied' THEN 1 END) AS denied_tables,
        count(CASE WHEN status = 'disabled' THEN 1 END) AS disabled_tables,
        count(CASE WHEN status = 'failed' THEN 1 END) AS failed_tables,
        count(CASE WHEN status = 'not_offered' THEN 1 END) AS not_offered_tables,
        count(CASE WHEN status = 'postponed' THEN 1 END) AS postponed_tables,
        count(CASE WHEN status = 'skipped' THEN 1 END) AS skipped_tables,
        CAST(sum("rows") AS BIGINT) AS rows_read,
        CAST(sum(calls) AS BIGINT) AS calls,
        CAST(sum(throttled) AS BIGINT) AS throttled,
        CAST(sum(retried) AS BIGINT) AS retried
    FROM extraction_scopes
    GROUP BY run_id, registry_id, region
)

SELECT
    scopes.run_id,
    scopes.registry_id,
    scopes.region,
    scopes.mode,
    scopes.started_at,
    scopes.finished_at,
    CAST(extract(epoch FROM scopes.finished_at) - extract(epoch FROM scopes.started_at) AS DOUBLE) AS seconds,
    _dlt_loads.inserted_at AS loaded_at,
    scopes.complete_tables,
    scopes.bounded_tables,
    scopes.selected_tables,
    scopes.partial_tables,
    scopes.denied_tables,
    scopes.disabled_tables,
    scopes.failed_tables,
    scopes.not_offered_tables,
    scopes.postponed_tables,
    scopes.skipped_tables,
    scopes.rows_read,
    scopes.calls,
    scopes.throttled,
    scopes.retried,
    coalesce(errors.errors, 0) AS errors,
    coalesce(errors.gone, 0) AS gone,
    errors.error_for_example
FROM scopes
LEFT JOIN _dlt_loads ON _dlt_loads.load_id = scopes.run_id
LEFT JOIN errors
    ON errors.run_id = scopes.run_id AND errors.registry_id = scopes.registry_id AND errors.region = scopes.region
