-- Where does an image run? A row for each image that can be run and each place where Inspector saw it: a cluster, and in
-- it a task definition of ECS or a namespace of EKS. An image without a place has one row. Inspector looks at ECS and
-- EKS, not at Lambda.
--
-- needs: images, image_usage
-- image_tags: Its tags by name, with commas between; NULL if it has none.
-- in_use: Whether a task or a pod runs it; NULL where Inspector does not cover the image, or was not asked.
-- cluster_kind: ecs or eks.
-- cluster_name: What the cluster is called; NULL where no place is known.
-- eks_workloads: The workloads of the namespace that use it, with commas between: Deployment web, and the like.
-- running_unit_count: How many tasks or pods ran it there when the place was asked for last, which happens when
--   in_use_count changes, or after a week.
-- places_as_of: When the place was asked for.
-- as_of: When Inspector was asked how many run it; NULL where it does not cover the image.

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
        image_clusters.cluster_arn,
        split_part(image_clusters.cluster_arn, ':', 3) AS cluster_kind,
        split_part(image_clusters.cluster_arn, '/', 2) AS cluster_name,
        image_clusters.ecs_group,
        image_clusters.ecs_task_definition_arn,
        image_clusters.eks_namespace,
        workloads.eks_workloads,
        image_clusters.running_unit_count,
        image_clusters.stopped_unit_count,
        image_clusters.extracted_at
    FROM image_clusters
    LEFT JOIN workloads USING (registry_id, region, repository_name, image_digest, cluster_arn, eks_namespace)
)

SELECT
    image_kinds.registry_id,
    image_kinds.region,
    image_kinds.repository_name,
    image_kinds.image_digest,
    image_tag_lists.image_tags,
    image_kinds.image_pushed_at,
    image_kinds.days_since_push,
    image_uses.in_use,
    image_uses.in_use_count,
    image_uses.last_in_use_at,
    places.cluster_kind,
    places.cluster_name,
    places.cluster_arn,
    places.ecs_group,
    places.ecs_task_definition_arn,
    places.eks_namespace,
    places.eks_workloads,
    places.running_unit_count,
    places.stopped_unit_count,
    places.extracted_at AS places_as_of,
    image_uses.in_use_as_of AS as_of
FROM image_kinds
LEFT JOIN image_tag_lists USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
LEFT JOIN places USING (registry_id, region, repository_name, image_digest)
WHERE image_kinds.kind = 'image'
