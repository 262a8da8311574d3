-- Which repositories differ from the creation template of their name? A row for each setting of a repository that is
-- not as its template has it, or of which that is not known; what is as it should be has none, nor what the template
-- does not set. One row for a registry whose templates were not read.
--
-- needs: repositories
-- repository_name: The repository; NULL where nobody could read the templates of the registry.
-- template_prefix: The template: of those whose prefix the name begins with, the longest; ROOT, where there is no
--   other.
-- applied_for: The occasions on which the template applies, with commas between. A repository that somebody created by
--   hand never had it.
-- setting: tag_mutability, encryption_type, kms_key, lifecycle_policy, repository_policy, or "tag KEY" for each of the
--   tags that the template gives.
-- wanted: What the template says; of policies, their rules and statements in short.
-- actual: What the repository has; NULL if it has none, or that is not known.
-- status: fail: it differs. unknown: one of the two was not read.
-- created_at: When the repository was created.
-- template_updated_at: When the template was changed last.
-- is_older_than_template: Whether the repository was created before that. A template changes nothing that is there.
-- as_of: When the older of the two was read; NULL if one never was.

WITH templates_read AS (
    SELECT
        registry_id,
        region,
        max(CASE WHEN table_name = 'repository_creation_templates' THEN complete_as_of END) AS complete_as_of
    FROM ecr_freshness
    WHERE table_name NOT LIKE 'public_%'
    GROUP BY registry_id, region
),

exclusions AS (
    SELECT registry_id, region, prefix, string_agg(filter, ', ' ORDER BY filter) AS filters
    FROM repository_creation_template_exclusion_filters
    GROUP BY registry_id, region, prefix
),

occasions AS (
    SELECT registry_id, region, prefix, string_agg(applied_for, ', ' ORDER BY applied_for) AS applied_for
    FROM repository_creation_template_applied_for
    GROUP BY registry_id, region, prefix
),

matches AS (
    SELECT
        owner_type,
        registry_id,
        region,
        owner_name,
        rule_priority,
        string_agg(match_type || ' ' || match_value, ' and ' ORDER BY match_type, match_value) AS matches
    FROM lifecycle_policy_rule_tag_matches
    GROUP BY owner_type, registry_id, region, owner_name, rule_priority
),

rules AS (
    SELECT
        lifecycle_policy_rules.owner_type,
        lifecycle_policy_rules.registry_id,
        lifecycle_policy_rules.region,
        lifecycle_policy_rules.owner_name,
        count(*) AS rule_count,
        string_agg(
            CAST(rule_priority AS VARCHAR)
            || coalesce(' ' || tag_status, '')
            || coalesce(' ' || matches.matches, '')
            || CASE WHEN storage_class <> 'standard' THEN ' in ' || storage_class ELSE '' END
            || coalesce(' ' || count_type, '')
            || coalesce(' ' || CAST(count_number AS VARCHAR), '')
            || coalesce(' ' || count_unit, '')
            || coalesce(': ' || action_type, '')
            || coalesce(' to ' || action_target_storage_class, ''),
            '; ' ORDER BY rule_priority
        ) AS rules
    FROM lifecycle_policy_rules
    LEFT JOIN matches USING (owner_type, registry_id, region, owner_name, rule_priority)
    GROUP BY
        lifecycle_policy_rules.owner_type,
        lifecycle_policy_rules.registry_id,
        lifecycle_policy_rules.region,
        lifecycle_policy_rules.owner_name
),

statements AS (
    SELECT
        owner_type,
        registry_id,
        region,
        owner_name,
        string_agg(statement, '; ' ORDER BY statement) AS statements
    FROM (
        SELECT
            owner_type,
            registry_id,
            region,
            owner_name,
            effect
            || CASE WHEN negated THEN ' all but ' ELSE ' ' END
            || principal
            || ': '
            || actions
            || coalesce(' on ' || resources, '')
            || coalesce(' if ' || condition, '') AS statement
        FROM ecr_policy_access
        WHERE owner_type IN ('repository', 'template')
    ) AS written
    GROUP BY owner_type, registry_id, region, owner_name
),

templates AS (
    SELECT
        repository_creation_templates.registry_id,
        repository_creation_templates.region,
        repository_creation_templates.prefix,
        occasions.applied_for,
        CASE
            WHEN repository_creation_templates.image_tag_mutability LIKE '%EXCLUSION'
                THEN replace(repository_creation_templates.image_tag_mutability, '_WITH_EXCLUSION', ' but ')
                    || coalesce(exclusions.filters, 'some')
            ELSE repository_creation_templates.image_tag_mutability
        END AS wanted_mutability,
        repository_creation_templates.encryption_type AS wanted_encryption,
        repository_creation_templates.kms_key AS wanted_key,
        repository_creation_templates.lifecycle_policy_text IS NOT NULL AS wants_lifecycle,
        rules.rules AS wanted_rules,
        repository_creation_templates.repository_policy_text IS NOT NULL AS wants_policy,
        statements.statements AS wanted_statements,
        coalesce(repository_creation_templates.updated_at, repository_creation_templates.created_at) AS updated_at,
        greatest(repository_creation_templates.extracted_at, templates_read.complete_as_of) AS read_at
    FROM repository_creation_templates
    LEFT JOIN templates_read USING (registry_id, region)
    LEFT JOIN exclusions USING (registry_id, region, prefix)
    LEFT JOIN occasions USING (registry_id, region, prefix)
    LEFT JOIN rules
        ON rules.registry_id = repository_creation_templates.registry_id
        AND rules.region = repository_creation_templates.region
        AND rules.owner_name = repository_creation_templates.prefix
        AND rules.owner_type = 'template'
    LEFT JOIN statements
        ON statements.registry_id = repository_creation_templates.registry_id
        AND statements.region = repository_creation_templates.region
        AND statements.owner_name = repository_creation_templates.prefix
        AND statements.owner_type = 'template'
),

-- "There is always an assumed / applied to the end of the prefix."
-- https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepositoryCreationTemplate.html
fitting AS (
    SELECT
        repositories.repository_name,
        templates.*,
        row_number() OVER (
            PARTITION BY repositories.registry_id, repositories.region, repositories.repository_name
            ORDER BY CASE WHEN templates.prefix = 'ROOT' THEN 0 ELSE length(templates.prefix) END DESC
        ) AS position
    FROM repositories
    JOIN templates
        ON templates.registry_id = repositories.registry_id
        AND templates.region = repositories.region
        AND (
            templates.prefix = 'ROOT'
            OR substr(repositories.repository_name, 1, length(rtrim(templates.prefix, '/')) + 1)
            = rtrim(templates.prefix, '/') || '/'
        )
),

-- From the repositories, with and without a template: of few fitting ones Postgres expects one, and compares with all.
compared AS (
    SELECT
        ecr_repository_settings.registry_id,
        ecr_repository_settings.region,
        ecr_repository_settings.repository_name,
        fitting.prefix,
        fitting.applied_for,
        fitting.updated_at,
        fitting.read_at,
        fitting.wanted_mutability,
        fitting.wanted_encryption,
        fitting.wanted_key,
        fitting.wants_lifecycle,
        fitting.wanted_rules,
        fitting.wants_policy,
        fitting.wanted_statements,
        ecr_repository_settings.created_at,
        ecr_repository_settings.tag_mutability,
        ecr_repository_settings.encryption_type,
        ecr_repository_settings.kms_key,
        ecr_repository_settings.lifecycle_policy,
        CASE WHEN actual_rules.rule_count = ecr_repository_settings.lifecycle_rule_count THEN actual_rules.rules END
            AS actual_rules,
        ecr_repository_settings.repository_policy,
        actual_statements.statements AS actual_statements,
        ecr_repository_settings.tags,
        ecr_repository_settings.listed_as_of,
        ecr_repository_settings.lifecycle_as_of,
        ecr_repository_settings.policy_as_of,
        ecr_repository_settings.tags_as_of
    FROM ecr_repository_settings
    LEFT JOIN fitting
        ON fitting.registry_id = ecr_repository_settings.registry_id
        AND fitting.region = ecr_repository_settings.region
        AND fitting.repository_name = ecr_repository_settings.repository_name
        AND fitting.position = 1
    LEFT JOIN rules AS actual_rules
        ON actual_rules.registry_id = ecr_repository_settings.registry_id
        AND actual_rules.region = ecr_repository_settings.region
        AND actual_rules.owner_name = ecr_repository_settings.repository_name
        AND actual_rules.owner_type = 'repository'
    LEFT JOIN statements AS actual_statements
        ON actual_statements.registry_id = ecr_repository_settings.registry_id
        AND actual_statements.region = ecr_repository_settings.region
        AND actual_statements.owner_name = ecr_repository_settings.repository_name
        AND actual_statements.owner_type = 'repository'
),

each_setting AS (
    SELECT
        compared.*,
        'tag_mutability' AS setting,
        wanted_mutability AS wanted,
        tag_mutability AS actual,
        tag_mutability IS NOT NULL
            AND wanted_mutability NOT LIKE '% but some'
            AND tag_mutability NOT LIKE '% but some' AS is_known,
        listed_as_of AS actual_as_of
    FROM compared
    WHERE wanted_mutability IS NOT NULL
    UNION ALL
    SELECT
        compared.*,
        'encryption_type' AS setting,
        wanted_encryption AS wanted,
        encryption_type AS actual,
        encryption_type IS NOT NULL AS is_known,
        listed_as_of AS actual_as_of
    FROM compared
    WHERE wanted_encryption IS NOT NULL
    UNION ALL
    SELECT
        compared.*,
        'kms_key' AS setting,
        wanted_key AS wanted,
        kms_key AS actual,
        encryption_type IS NOT NULL AS is_known,
        listed_as_of AS actual_as_of
    FROM compared
    WHERE wanted_key IS NOT NULL
    UNION ALL
    SELECT
        compared.*,
        'lifecycle_policy' AS setting,
        wanted_rules AS wanted,
        actual_rules AS actual,
        lifecycle_policy = 'no' OR (wanted_rules IS NOT NULL AND actual_rules IS NOT NULL) AS is_known,
        lifecycle_as_of AS actual_as_of
    FROM compared
    WHERE wants_lifecycle
    UNION ALL
    SELECT
        compared.*,
        'repository_policy' AS setting,
        wanted_statements AS wanted,
        CASE WHEN repository_policy = 'yes' THEN actual_statements END AS actual,
        repository_policy = 'no' OR (wanted_statements IS NOT NULL AND actual_statements IS NOT NULL) AS is_known,
        policy_as_of AS actual_as_of
    FROM compared
    WHERE wants_policy
    UNION ALL
    SELECT
        compared.*,
        'tag ' || repository_creation_template_resource_tags.tag_key AS setting,
        repository_creation_template_resource_tags.tag_value AS wanted,
        repository_tags.tag_value AS actual,
        compared.tags IS NOT NULL AS is_known,
        compared.tags_as_of AS actual_as_of
    FROM compared
    JOIN repository_creation_template_resource_tags USING (registry_id, region, prefix)
    LEFT JOIN repository_tags
        ON repository_tags.registry_id = compared.registry_id
        AND repository_tags.region = compared.region
        AND repository_tags.repository_name = compared.repository_name
        AND repository_tags.tag_key = repository_creation_template_resource_tags.tag_key
)

SELECT
    registry_id,
    region,
    repository_name,
    prefix AS template_prefix,
    applied_for,
    setting,
    wanted,
    actual,
    CASE WHEN is_known THEN 'fail' ELSE 'unknown' END AS status,
    created_at,
    updated_at AS template_updated_at,
    created_at < updated_at AS is_older_than_template,
    CASE WHEN actual_as_of IS NOT NULL THEN least(read_at, actual_as_of) END AS as_of
FROM each_setting
WHERE NOT is_known OR actual IS NULL OR actual <> coalesce(wanted, '')
UNION ALL
SELECT
    registry_id,
    region,
    NULL AS repository_name,
    NULL AS template_prefix,
    NULL AS applied_for,
    NULL AS setting,
    NULL AS wanted,
    NULL AS actual,
    'unknown' AS status,
    NULL AS created_at,
    NULL AS template_updated_at,
    NULL AS is_older_than_template,
    NULL AS as_of
FROM templates_read
WHERE complete_as_of IS NULL
