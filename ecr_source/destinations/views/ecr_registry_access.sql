-- Who may replicate into a registry or pull through it, where does it replicate to, and from where does it pull? A row
-- for each principal of each statement of a registry's policy, each destination of its replication rules, and each of
-- its pull-through cache rules; and one for each of the three that it has none of, or of which nothing is known.
--
-- needs: extraction_scopes
-- kind: policy: who may do what in this registry. replication: where its images are copied to. pull_through: from
--   where it fetches images when they are pulled.
-- access: stated: the row is of a statement or a rule. none: it was read, and there is none. unreadable: the policy is
--   no policy document. unknown: it could not be read, or was not. The other columns are NULL but for stated.
-- policy_scope: V1: the policy is about replication, import and creation only. V2: about all calls, so that it may
--   open every repository. NULL but for policies, and where the setting was not read.
-- reach: How far a statement goes (ecr_policy_access); of a destination, own_account or other_account.
-- rule_index: Which of the replication rules, from 0.
-- destination_registry_id: The account that images are copied to.
-- destination_region: The region that images are copied to.
-- repository_filters: Of which repositories, as prefixes with commas between; NULL: of all.
-- as_of: When it was read completely; NULL if it was never.

WITH registries AS (
    SELECT DISTINCT registry_id, region FROM ecr_freshness WHERE table_name NOT LIKE 'public_%'
),

-- Where repositories could not be read, the tables of policies are partial, although the registry's policy was read.
read_beside_exceptions AS (
    SELECT extraction_scopes.registry_id, extraction_scopes.region, max(extraction_scopes.started_at) AS started_at
    FROM extraction_scopes
    LEFT JOIN extraction_errors
        ON extraction_errors.run_id = extraction_scopes.run_id
        AND extraction_errors.registry_id = extraction_scopes.registry_id
        AND extraction_errors.region = extraction_scopes.region
        AND extraction_errors.operation = 'ecr:GetRegistryPolicy'
    WHERE extraction_scopes.table_name = 'policy_statements'
        AND extraction_scopes.status = 'partial'
        AND extraction_scopes.excepted_repositories > 0
        AND extraction_scopes.resumes_at IS NULL
        AND extraction_errors.run_id IS NULL
    GROUP BY extraction_scopes.registry_id, extraction_scopes.region
),

readings AS (
    SELECT
        registries.registry_id,
        registries.region,
        greatest(
            max(CASE WHEN ecr_freshness.table_name = 'policy_statements' THEN complete_as_of END),
            max(read_beside_exceptions.started_at)
        ) AS policy_as_of,
        max(CASE WHEN ecr_freshness.table_name = 'replication_rule_destinations' THEN complete_as_of END)
            AS replication_as_of,
        max(CASE WHEN ecr_freshness.table_name = 'pull_through_cache_rules' THEN complete_as_of END) AS cache_as_of
    FROM registries
    JOIN ecr_freshness USING (registry_id, region)
    LEFT JOIN read_beside_exceptions USING (registry_id, region)
    GROUP BY registries.registry_id, registries.region
),

filters AS (
    SELECT registry_id, region, rule_index, string_agg(filter, ', ' ORDER BY filter) AS repository_filters
    FROM replication_rule_filters
    GROUP BY registry_id, region, rule_index
),

scopes_of_policies AS (
    SELECT registry_id, region, setting_value
    FROM registry_account_settings
    WHERE setting_name = 'REGISTRY_POLICY_SCOPE'
)

SELECT
    readings.registry_id,
    readings.region,
    'policy' AS kind,
    CASE
        WHEN statement_index IS NOT NULL THEN 'stated'
        WHEN policies.parse_error IS NOT NULL THEN 'unreadable'
        WHEN policy_as_of IS NOT NULL THEN 'none'
        ELSE 'unknown'
    END AS access,
    scopes_of_policies.setting_value AS policy_scope,
    effect,
    principal,
    principal_type,
    principal_account_id,
    reach,
    negated,
    may_replicate,
    may_import_upstream,
    may_create_repository,
    may_pull,
    may_push,
    may_administer,
    actions,
    resources,
    is_conditional,
    condition,
    is_denied_elsewhere,
    sid,
    statement_index,
    CAST(NULL AS BIGINT) AS rule_index,
    CAST(NULL AS VARCHAR) AS destination_registry_id,
    CAST(NULL AS VARCHAR) AS destination_region,
    CAST(NULL AS VARCHAR) AS repository_filters,
    CAST(NULL AS BOOLEAN) AS delete_replication_enabled,
    CAST(NULL AS VARCHAR) AS ecr_repository_prefix,
    CAST(NULL AS VARCHAR) AS upstream_registry,
    CAST(NULL AS VARCHAR) AS upstream_registry_url,
    CAST(NULL AS VARCHAR) AS upstream_repository_prefix,
    CAST(NULL AS VARCHAR) AS credential_arn,
    CAST(NULL AS VARCHAR) AS custom_role_arn,
    policy_as_of AS as_of
FROM readings
LEFT JOIN scopes_of_policies USING (registry_id, region)
LEFT JOIN policies
    ON policies.registry_id = readings.registry_id
    AND policies.region = readings.region
    AND policies.owner_type = 'registry'
LEFT JOIN ecr_policy_access
    ON ecr_policy_access.registry_id = readings.registry_id
    AND ecr_policy_access.region = readings.region
    AND ecr_policy_access.owner_type = 'registry'
UNION ALL
SELECT
    readings.registry_id,
    readings.region,
    'replication' AS kind,
    CASE
        WHEN replication_rule_destinations.rule_index IS NOT NULL THEN 'stated'
        WHEN replication_as_of IS NOT NULL THEN 'none'
        ELSE 'unknown'
    END AS access,
    NULL AS policy_scope,
    NULL AS effect,
    NULL AS principal,
    NULL AS principal_type,
    NULL AS principal_account_id,
    CASE
        WHEN destination_registry_id = readings.registry_id THEN 'own_account'
        WHEN destination_registry_id IS NOT NULL THEN 'other_account'
    END AS reach,
    NULL AS negated,
    NULL AS may_replicate,
    NULL AS may_import_upstream,
    NULL AS may_create_repository,
    NULL AS may_pull,
    NULL AS may_push,
    NULL AS may_administer,
    NULL AS actions,
    NULL AS resources,
    NULL AS is_conditional,
    NULL AS condition,
    NULL AS is_denied_elsewhere,
    NULL AS sid,
    NULL AS statement_index,
    replication_rule_destinations.rule_index,
    destination_registry_id,
    destination_region,
    filters.repository_filters,
    replication_rules.delete_replication_enabled,
    NULL AS ecr_repository_prefix,
    NULL AS upstream_registry,
    NULL AS upstream_registry_url,
    NULL AS upstream_repository_prefix,
    NULL AS credential_arn,
    NULL AS custom_role_arn,
    replication_as_of AS as_of
FROM readings
LEFT JOIN replication_rule_destinations USING (registry_id, region)
LEFT JOIN replication_rules
    ON replication_rules.registry_id = readings.registry_id
    AND replication_rules.region = readings.region
    AND replication_rules.rule_index = replication_rule_destinations.rule_index
LEFT JOIN filters
    ON filters.registry_id = readings.registry_id
    AND filters.region = readings.region
    AND filters.rule_index = replication_rule_destinations.rule_index
UNION ALL
SELECT
    readings.registry_id,
    readings.region,
    'pull_through' AS kind,
    CASE
        WHEN pull_through_cache_rules.ecr_repository_prefix IS NOT NULL THEN 'stated'
        WHEN cache_as_of IS NOT NULL THEN 'none'
        ELSE 'unknown'
    END AS access,
    NULL AS policy_scope,
    NULL AS effect,
    NULL AS principal,
    NULL AS principal_type,
    NULL AS principal_account_id,
    NULL AS reach,
    NULL AS negated,
    NULL AS may_replicate,
    NULL AS may_import_upstream,
    NULL AS may_create_repository,
    NULL AS may_pull,
    NULL AS may_push,
    NULL AS may_administer,
    NULL AS actions,
    NULL AS resources,
    NULL AS is_conditional,
    NULL AS condition,
    NULL AS is_denied_elsewhere,
    NULL AS sid,
    NULL AS statement_index,
    NULL AS rule_index,
    NULL AS destination_registry_id,
    NULL AS destination_region,
    NULL AS repository_filters,
    NULL AS delete_replication_enabled,
    pull_through_cache_rules.ecr_repository_prefix,
    upstream_registry,
    upstream_registry_url,
    upstream_repository_prefix,
    credential_arn,
    custom_role_arn,
    cache_as_of AS as_of
FROM readings
LEFT JOIN pull_through_cache_rules USING (registry_id, region)
