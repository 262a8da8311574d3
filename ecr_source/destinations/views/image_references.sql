-- Which images do ECS and Lambda name? A row for each image and each place that names it, or an index that it is in: a
-- part of views, not one of them.
--
-- told_by: ecs or lambda.
-- evidence: runs, or refers: a service or a function that would run it.
-- is_by_tag: Whether it is named by a tag alone, which may stand for another image when it runs.
-- is_unread_index: Whether it is an index whose images are not known; they are with --table image_manifest_children.

WITH named AS (
    SELECT
        'ecs' AS told_by,
        'runs' AS evidence,
        image_registry_id,
        image_region,
        image_repository_name,
        coalesce(image_tag, 'latest') AS image_tag,
        image_digest,
        cluster_arn,
        started_as AS ecs_group,
        task_definition_arn AS ecs_task_definition_arn,
        CAST(NULL AS VARCHAR) AS lambda_function_name,
        CAST(NULL AS VARCHAR) AS lambda_function_version,
        task_count AS running_unit_count,
        extracted_at
    FROM ecs_task_containers
    UNION ALL
    SELECT
        'ecs' AS told_by,
        'refers' AS evidence,
        image_registry_id,
        image_region,
        image_repository_name,
        coalesce(image_tag, 'latest') AS image_tag,
        image_digest,
        cluster_arn,
        'service:' || service_name AS ecs_group,
        task_definition_arn AS ecs_task_definition_arn,
        CAST(NULL AS VARCHAR) AS lambda_function_name,
        CAST(NULL AS VARCHAR) AS lambda_function_version,
        CAST(NULL AS BIGINT) AS running_unit_count,
        extracted_at
    FROM ecs_service_images
    UNION ALL
    SELECT
        'lambda' AS told_by,
        'refers' AS evidence,
        image_registry_id,
        image_region,
        image_repository_name,
        coalesce(image_tag, 'latest') AS image_tag,
        image_digest,
        CAST(NULL AS VARCHAR) AS cluster_arn,
        CAST(NULL AS VARCHAR) AS ecs_group,
        CAST(NULL AS VARCHAR) AS ecs_task_definition_arn,
        function_name AS lambda_function_name,
        function_version AS lambda_function_version,
        CAST(NULL AS BIGINT) AS running_unit_count,
        extracted_at
    FROM lambda_function_images
),

-- Inner joins, so that only as many images are looked up as are named.
digests AS (
    SELECT named.*, false AS is_by_tag, named.image_digest AS named_digest
    FROM named
    WHERE named.image_digest IS NOT NULL
    UNION ALL
    SELECT named.*, true AS is_by_tag, image_tags.image_digest AS named_digest
    FROM named
    JOIN image_tags
        ON image_tags.registry_id = named.image_registry_id
        AND image_tags.region = named.image_region
        AND image_tags.repository_name = named.image_repository_name
        AND image_tags.image_tag = named.image_tag
    WHERE named.image_digest IS NULL
),

found AS (
    SELECT digests.*, images.image_digest AS found_digest, images.is_manifest_list
    FROM digests
    JOIN images
        ON images.registry_id = digests.image_registry_id
        AND images.region = digests.image_region
        AND images.repository_name = digests.image_repository_name
        AND images.image_digest = digests.named_digest
)

SELECT
    found.told_by,
    found.evidence,
    found.image_registry_id AS registry_id,
    found.image_region AS region,
    found.image_repository_name AS repository_name,
    coalesce(image_manifest_children.child_digest, found.found_digest) AS image_digest,
    found.is_by_tag,
    coalesce(found.is_manifest_list, false) AND image_manifest_children.child_digest IS NULL AS is_unread_index,
    found.cluster_arn,
    found.ecs_group,
    found.ecs_task_definition_arn,
    found.lambda_function_name,
    found.lambda_function_version,
    found.running_unit_count,
    found.extracted_at
FROM found
LEFT JOIN image_manifest_children
    ON image_manifest_children.registry_id = found.image_registry_id
    AND image_manifest_children.region = found.image_region
    AND image_manifest_children.repository_name = found.image_repository_name
    AND image_manifest_children.image_digest = found.found_digest
    AND NOT image_manifest_children.is_attestation
