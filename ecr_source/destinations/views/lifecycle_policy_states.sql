-- Is the lifecycle policy of a repository known? A row for each repository that has one, or was asked for it: a part of
-- views, not one of them.
--
-- policy_state: read: its rules are there. not_understood: it has one that could not be read as one. none: it has none.
--   Of a repository without a row nobody knows whether it has one.
-- policy_as_of: When it was read.

WITH rule_counts AS (
    SELECT registry_id, region, owner_name AS repository_name, count(*) AS rules
    FROM lifecycle_policy_rules
    WHERE owner_type = 'repository'
    GROUP BY registry_id, region, owner_name
),

written AS (
    SELECT
        lifecycle_policies.registry_id,
        lifecycle_policies.region,
        lifecycle_policies.repository_name,
        lifecycle_policies.extracted_at,
        CASE
            WHEN lifecycle_policies.parse_error IS NOT NULL THEN 'not_understood'
            WHEN coalesce(rule_counts.rules, 0) <> lifecycle_policies.rule_count THEN 'not_understood'
            ELSE 'read'
        END AS policy_state
    FROM lifecycle_policies
    LEFT JOIN rule_counts USING (registry_id, region, repository_name)
),

asked AS (
    SELECT registry_id, region, repository_name, extracted_at
    FROM extraction_repositories
    WHERE operation = 'ecr:GetLifecyclePolicy'
)

SELECT
    registry_id,
    region,
    repository_name,
    coalesce(written.policy_state, 'none') AS policy_state,
    coalesce(asked.extracted_at, written.extracted_at) AS policy_as_of
FROM written
FULL JOIN asked USING (registry_id, region, repository_name)
