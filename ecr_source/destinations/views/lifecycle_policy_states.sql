-- Is the lifecycle policy of a repository known? A row for each repository that has images and a lifecycle policy, or
-- of which nobody knows whether it has one: a part of views, not one of them.
--
-- policy_state: read: its rules are there. not_understood: it has one that could not be read as one. not_read: nobody
--   knows whether it has one.
-- policy_as_of: When it was read; NULL where it was not.

WITH listed AS (
    SELECT DISTINCT registry_id, region, repository_name FROM images
),

rule_counts AS (
    SELECT registry_id, region, owner_name AS repository_name, count(*) AS rules
    FROM lifecycle_policy_rules
    WHERE owner_type = 'repository'
    GROUP BY registry_id, region, owner_name
),

asked AS (
    SELECT registry_id, region, repository_name, extracted_at
    FROM extraction_repositories
    WHERE operation = 'ecr:GetLifecyclePolicy'
)

SELECT
    listed.registry_id,
    listed.region,
    listed.repository_name,
    CASE
        WHEN lifecycle_policies.repository_name IS NULL THEN 'not_read'
        WHEN lifecycle_policies.parse_error IS NOT NULL THEN 'not_understood'
        WHEN coalesce(rule_counts.rules, 0) <> lifecycle_policies.rule_count THEN 'not_understood'
        ELSE 'read'
    END AS policy_state,
    coalesce(asked.extracted_at, lifecycle_policies.extracted_at) AS policy_as_of
FROM listed
LEFT JOIN lifecycle_policies USING (registry_id, region, repository_name)
LEFT JOIN rule_counts USING (registry_id, region, repository_name)
LEFT JOIN asked USING (registry_id, region, repository_name)
WHERE lifecycle_policies.repository_name IS NOT NULL OR asked.repository_name IS NULL
