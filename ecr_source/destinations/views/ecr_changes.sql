-- What changed in the settings, and when? A row for each column that a run found changed, and for each row that it
-- found added or removed, of repositories, their settings and policies, and of the settings of registries. In history
-- mode only.
--
-- needs: extraction_scopes
-- table_name: The table.
-- repository_name: The repository; NULL where it is a setting of the registry.
-- item: Which of several: the key of a tag, a filter, the number of a rule, a prefix; NULL where there is only one.
-- change: changed, added or removed. What is there when it is read for the first time is not added.
-- column_name: The column that changed; NULL where the row was added or removed.
-- before: What it was, as text; of a row that was removed, what it said. NULL where it was nothing, or was not there.
-- after: What it is since then; of a row that was added, what it says. NULL where it is nothing, or is not there.
-- changed_after: When it was read last before that (UTC): the change was made after it. NULL where that run failed to
--   read this one, so that it is not known.
-- changed_at: When the run began that found it changed (UTC).

WITH told (
    table_name, operation, registry_id, region, repository_name, item, column_name, told, valid_from, valid_to
) AS (
    SELECT
        'repositories', 'ecr:DescribeRepositories',
        registry_id, region, repository_name,
        '',
        column_name, CASE column_name
            WHEN 'created_at' THEN CAST(created_at AS VARCHAR)
            WHEN 'image_tag_mutability' THEN image_tag_mutability
            WHEN 'scan_on_push' THEN CAST(scan_on_push AS VARCHAR)
            WHEN 'encryption_type' THEN encryption_type
            WHEN 'kms_key' THEN kms_key
            ELSE repository_arn
        END,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repositories
    CROSS JOIN (VALUES 
        (''), ('created_at'), ('image_tag_mutability'), ('scan_on_push'), ('encryption_type'), ('kms_key')
    ) AS named (column_name)
    UNION ALL
    SELECT
        'repository_tag_mutability_exclusion_filters', 'ecr:DescribeRepositories',
        registry_id, region, repository_name,
        filter_type || ' ' || filter,
        '', filter,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_tag_mutability_exclusion_filters
    UNION ALL
    SELECT
        'repository_tags', 'ecr:ListTagsForResource',
        registry_id, region, repository_name,
        tag_key,
        column_name, tag_value,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_tags
    CROSS JOIN (VALUES (''), ('tag_value')) AS named (column_name)
    UNION ALL
    SELECT
        'repository_scanning_configurations', 'ecr:BatchGetRepositoryScanningConfiguration',
        registry_id, region, repository_name,
        '',
        column_name, scan_frequency,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_scanning_configurations
    CROSS JOIN (VALUES (''), ('scan_frequency')) AS named (column_name)
    UNION ALL
    SELECT
        'repository_scanning_filters', 'ecr:BatchGetRepositoryScanningConfiguration',
        registry_id, region, repository_name,
        filter_type || ' ' || filter,
        '', filter,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_scanning_filters
    UNION ALL
    SELECT
        'policies', CASE owner_type
            WHEN 'repository' THEN 'ecr:GetRepositoryPolicy'
            WHEN 'registry' THEN 'ecr:GetRegistryPolicy'
            ELSE 'ecr:DescribeRepositoryCreationTemplates'
        END,
        registry_id, region, CASE WHEN owner_type = 'repository' THEN owner_name END,
        CASE WHEN owner_type = 'template' THEN owner_name ELSE '' END,
        column_name, policy_text,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_policies
    CROSS JOIN (VALUES (''), ('policy_text')) AS named (column_name)
    UNION ALL
    SELECT
        'lifecycle_policies', 'ecr:GetLifecyclePolicy',
        registry_id, region, repository_name,
        '',
        column_name, lifecycle_policy_text,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_lifecycle_policies
    CROSS JOIN (VALUES (''), ('lifecycle_policy_text')) AS named (column_name)
    UNION ALL
    SELECT
        'registry_account_settings', 'ecr:GetAccountSetting',
        registry_id, region, CAST(NULL AS VARCHAR),
        setting_name,
        column_name, setting_value,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_registry_account_settings
    CROSS JOIN (VALUES (''), ('setting_value')) AS named (column_name)
    UNION ALL
    SELECT
        'replication_rules', 'ecr:DescribeRegistry',
        registry_id, region, CAST(NULL AS VARCHAR),
        'rule ' || rule_index,
        column_name, CAST(delete_replication_enabled AS VARCHAR),
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_replication_rules
    CROSS JOIN (VALUES (''), ('delete_replication_enabled')) AS named (column_name)
    UNION ALL
    SELECT
        'replication_rule_destinations', 'ecr:DescribeRegistry',
        registry_id, region, CAST(NULL AS VARCHAR),
        'rule ' || rule_index || ' to ' || destination_registry_id || '/' || destination_region,
        '', destination_registry_id || '/' || destination_region,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_replication_rule_destinations
    UNION ALL
    SELECT
        'replication_rule_filters', 'ecr:DescribeRegistry',
        registry_id, region, CAST(NULL AS VARCHAR),
        'rule ' || rule_index || ' ' || filter_type || ' ' || filter,
        '', filter,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_replication_rule_filters
    UNION ALL
    SELECT
        'registry_scanning_configurations', 'ecr:GetRegistryScanningConfiguration',
        registry_id, region, CAST(NULL AS VARCHAR),
        '',
        column_name, scan_type,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_registry_scanning_configurations
    CROSS JOIN (VALUES (''), ('scan_type')) AS named (column_name)
    UNION ALL
    SELECT
        'registry_scanning_rules', 'ecr:GetRegistryScanningConfiguration',
        registry_id, region, CAST(NULL AS VARCHAR),
        'rule ' || rule_index,
        column_name, scan_frequency,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_registry_scanning_rules
    CROSS JOIN (VALUES (''), ('scan_frequency')) AS named (column_name)
    UNION ALL
    SELECT
        'registry_scanning_rule_filters', 'ecr:GetRegistryScanningConfiguration',
        registry_id, region, CAST(NULL AS VARCHAR),
        'rule ' || rule_index || ' ' || filter_type || ' ' || filter,
        '', filter,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_registry_scanning_rule_filters
    UNION ALL
    SELECT
        'signing_rules', 'ecr:GetSigningConfiguration',
        registry_id, region, CAST(NULL AS VARCHAR),
        'rule ' || rule_index,
        column_name, signing_profile_arn,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_signing_rules
    CROSS JOIN (VALUES (''), ('signing_profile_arn')) AS named (column_name)
    UNION ALL
    SELECT
        'signing_rule_filters', 'ecr:GetSigningConfiguration',
        registry_id, region, CAST(NULL AS VARCHAR),
        'rule ' || rule_index || ' ' || filter_type || ' ' || filter,
        '', filter,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_signing_rule_filters
    UNION ALL
    SELECT
        'pull_through_cache_rules', 'ecr:DescribePullThroughCacheRules',
        registry_id, region, CAST(NULL AS VARCHAR),
        ecr_repository_prefix,
        column_name, CASE column_name
            WHEN 'upstream_registry_url' THEN upstream_registry_url
            WHEN 'upstream_repository_prefix' THEN upstream_repository_prefix
            WHEN 'credential_arn' THEN credential_arn
            WHEN 'custom_role_arn' THEN custom_role_arn
            ELSE upstream_registry_url
        END,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_pull_through_cache_rules
    CROSS JOIN (VALUES 
        (''), ('upstream_registry_url'), ('upstream_repository_prefix'), ('credential_arn'), ('custom_role_arn')
    ) AS named (column_name)
    UNION ALL
    SELECT
        'repository_creation_templates', 'ecr:DescribeRepositoryCreationTemplates',
        registry_id, region, CAST(NULL AS VARCHAR),
        prefix,
        column_name, CASE column_name
            WHEN 'image_tag_mutability' THEN image_tag_mutability
            WHEN 'encryption_type' THEN encryption_type
            WHEN 'kms_key' THEN kms_key
            WHEN 'lifecycle_policy_text' THEN lifecycle_policy_text
            WHEN 'custom_role_arn' THEN custom_role_arn
            ELSE description
        END,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_creation_templates
    CROSS JOIN (VALUES 
        (''), ('image_tag_mutability'), ('encryption_type'), ('kms_key'), ('lifecycle_policy_text'), ('custom_role_arn')
    ) AS named (column_name)
    UNION ALL
    SELECT
        'repository_creation_template_exclusion_filters', 'ecr:DescribeRepositoryCreationTemplates',
        registry_id, region, CAST(NULL AS VARCHAR),
        prefix || ' ' || filter_type || ' ' || filter,
        '', filter,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_creation_template_exclusion_filters
    UNION ALL
    SELECT
        'repository_creation_template_resource_tags', 'ecr:DescribeRepositoryCreationTemplates',
        registry_id, region, CAST(NULL AS VARCHAR),
        prefix || ' ' || tag_key,
        column_name, tag_value,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_creation_template_resource_tags
    CROSS JOIN (VALUES (''), ('tag_value')) AS named (column_name)
    UNION ALL
    SELECT
        'repository_creation_template_applied_for', 'ecr:DescribeRepositoryCreationTemplates',
        registry_id, region, CAST(NULL AS VARCHAR),
        prefix || ' ' || applied_for,
        '', applied_for,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_repository_creation_template_applied_for
    UNION ALL
    SELECT
        'pull_time_update_exclusions', 'ecr:ListPullTimeUpdateExclusions',
        registry_id, region, CAST(NULL AS VARCHAR),
        principal_arn,
        '', principal_arn,
        _dlt_valid_from, _dlt_valid_to
    FROM versions_of_pull_time_update_exclusions
),

-- The versions of a value, one after the other: one that follows the last without a gap took its place.
ordered AS (
    SELECT
        *,
        lag(told) OVER one AS told_before,
        lag(valid_to) OVER one AS valid_before_to,
        lead(valid_from) OVER one AS valid_after_from
    FROM told
    WINDOW one AS (
        PARTITION BY table_name, registry_id, region, repository_name, item, column_name ORDER BY valid_from
    )
),

changes AS (
    SELECT
        table_name, operation, registry_id, region, repository_name, item, column_name,
        'changed' AS change, told_before AS before, told AS after, valid_from AS changed_at
    FROM ordered
    WHERE column_name <> '' AND valid_before_to = valid_from AND told IS DISTINCT FROM told_before
    UNION ALL
    SELECT
        table_name, operation, registry_id, region, repository_name, item, column_name,
        'added' AS change, NULL AS before, told AS after, valid_from AS changed_at
    FROM ordered
    WHERE column_name = '' AND (valid_before_to IS NULL OR valid_before_to <> valid_from)
    UNION ALL
    SELECT
        table_name, operation, registry_id, region, repository_name, item, column_name,
        'removed' AS change, told AS before, NULL AS after, valid_to AS changed_at
    FROM ordered
    WHERE column_name = '' AND valid_to IS NOT NULL AND (valid_after_from IS NULL OR valid_after_from <> valid_to)
)

SELECT
    changes.registry_id,
    changes.region,
    changes.table_name,
    changes.repository_name,
    nullif(changes.item, '') AS item,
    changes.change,
    nullif(changes.column_name, '') AS column_name,
    changes.before,
    changes.after,
    CASE
        WHEN failed_readings.failed_at IS NULL OR failed_readings.failed_at < table_readings.read_before_at
            THEN table_readings.read_before_at
    END AS changed_after,
    changes.changed_at
FROM changes
LEFT JOIN table_readings
    ON table_readings.table_name = changes.table_name
    AND table_readings.registry_id = changes.registry_id
    AND table_readings.region = changes.region
    AND table_readings.valid_from = changes.changed_at
LEFT JOIN failed_readings
    ON failed_readings.registry_id = changes.registry_id
    AND failed_readings.region = changes.region
    AND failed_readings.operation = changes.operation
    AND failed_readings.resource = coalesce(changes.repository_name, '')
    AND failed_readings.failed_at < changes.changed_at
    AND (failed_readings.failed_next_at IS NULL OR failed_readings.failed_next_at >= changes.changed_at)
-- Where every run before has failed to read it, what is new may have been there long before.
WHERE changes.change <> 'added' OR table_readings.readings_before > coalesce(failed_readings.runs, 0)
