-- Is all read that ECS and Lambda could say of an image? A row for each scope whose images were ever read: a part of views,
-- not one of them.
--
-- is_complete: Whether the last run that was to ask ECS and Lambda there read all.

WITH last_readings AS (
    SELECT
        registry_id,
        region,
        table_name,
        status,
        row_number() OVER (PARTITION BY registry_id, region, table_name ORDER BY started_at DESC) AS position
    FROM loaded_readings
    WHERE table_name IN ('images', 'ecs_task_containers', 'ecs_service_images', 'lambda_function_images')
)

SELECT
    registry_id,
    region,
    count(CASE WHEN table_name <> 'images' AND status = 'complete' THEN 1 END) = 3 AS is_complete
FROM last_readings
WHERE position = 1
GROUP BY registry_id, region
HAVING count(CASE WHEN table_name = 'images' THEN 1 END) > 0
