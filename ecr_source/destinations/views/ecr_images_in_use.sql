-- Where does an image run, and what would run it? A row for each image that can be run, each place, and who tells of it:
-- Inspector of clusters of ECS and EKS, ECS of its tasks and services, Lambda of its functions. An image without a place
-- has one row.
--
-- needs: images, image_usage
-- told_by: inspector, ecs or lambda; NULL where no place is known.
-- evidence: runs: a task or a pod has it. refers: a service or a function has it, and would run it.
-- is_by_tag: Whether the place names it by a tag alone, which may stand for another image when it runs.
-- cluster_kind: ecs or eks.
-- cluster_name: What the cluster is called; NULL where the place is in none.
-- eks_workloads: The workloads of the namespace that use it, with commas between: Deployment web, and the like.
-- lambda_function_name: The function; NULL where the place is none.
-- lambda_function_version: The version of the function: $LATEST, or a number.
-- running_unit_count: How many tasks or pods ran it there when the place was asked for last. Inspector is asked for it
--   when in_use_count changes, or after a week.
-- places_as_of: When the place was asked for.
-- as_of: When in_use was read: the oldest of what it rests on; NULL where nobody tells of the image.

WITH workloads AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        cluster_arn,
        eks_namespace,
        string_agg(workload_type || ' ' || workload_name, ', ' ORDER BY workload_type, workload_name) AS eks_workloads
    FROM image_cluster_workloads
    GROUP BY registry_id, region, repository_name, image_digest, cluster_arn, eks_namespace
),

places AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        'inspector' AS told_by,
        'runs' AS evidence,
        false AS is_by_tag,
        image_clusters.cluster_arn,
        image_clusters.ecs_group,
        image_clusters.ecs_task_definition_arn,
        image_clusters.eks_namespace,
        workloads.eks_workloads,
        CAST(NULL AS VARCHAR) AS lambda_function_name,
        CAST(NULL AS VARCHAR) AS lambda_function_version,
        image_clusters.running_unit_count,
        image_clusters.stopped_unit_count,
        image_clusters.extracted_at
    FROM image_clusters
    LEFT JOIN workloads USING (registry_id, region, repository_name, image_digest, cluster_arn, eks_namespace)
    UNION ALL
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        told_by,
        evidence,
        is_by_tag,
        cluster_arn,
        ecs_group,
        ecs_task_definition_arn,
        CAST(NULL AS VARCHAR) AS eks_namespace,
        CAST(NULL AS VARCHAR) AS eks_workloads,
        lambda_function_name,
        lambda_function_version,
        running_unit_count,
        CAST(NULL AS BIGINT) AS stopped_unit_count,
        extracted_at
    FROM image_references
)

SELECT
    image_kinds.registry_id,
    image_kinds.region,
    image_kinds.repository_name,
    image_kinds.image_digest,
    image_kinds.image_tags,
    image_kinds.image_pushed_at,
    image_kinds.days_since_push,
    image_uses.in_use,
    image_uses.in_use_count,
    image_uses.last_in_use_at,
    places.told_by,
    places.evidence,
    places.is_by_tag,
    split_part(places.cluster_arn, ':', 3) AS cluster_kind,
    split_part(places.cluster_arn, '/', 2) AS cluster_name,
    places.cluster_arn,
    places.ecs_group,
    places.ecs_task_definition_arn,
    places.eks_namespace,
    places.eks_workloads,
    places.lambda_function_name,
    places.lambda_function_version,
    places.running_unit_count,
    places.stopped_unit_count,
    places.extracted_at AS places_as_of,
    image_uses.in_use_as_of AS as_of
FROM image_kinds
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
LEFT JOIN places USING (registry_id, region, repository_name, image_digest)
WHERE image_kinds.kind = 'image'
