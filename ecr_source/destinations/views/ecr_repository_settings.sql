-- How is each repository set up: scanning, mutability, encryption, lifecycle, policy, tags? A row for each repository,
-- with what is in force and not what one of several calls says.
--
-- needs: repositories
-- tag_mutability: What may happen to a tag, the exceptions included: "IMMUTABLE but dev-*, latest". NULL if ECR does
--   not say.
-- scan_frequency: When its images are scanned, as the rules of the registry have it, which beat scan_on_push:
--   SCAN_ON_PUSH, CONTINUOUS_SCAN or MANUAL (not by itself). NULL where it is not known.
-- scan_on_push: The old setting of the repository, which counts only where no rule of the registry does.
-- scan_type: BASIC or ENHANCED, of the registry; NULL where it is not known.
-- lifecycle_policy: yes, no, or unknown.
-- lifecycle_rule_count: How many rules it has, 0 without a policy; NULL where that is not known.
-- has_untagged_rule: Whether a rule expires untagged images: one for untagged images or for any, in standard storage.
--   NULL where it is not known.
-- has_tagged_cap: Whether a rule expires whatever is tagged, by number or age: one for any image, or for the tag
--   pattern *. NULL where it is not known.
-- partial_tagged_caps: How many rules expire images with some tags only; NULL where that is not known.
-- repository_policy: yes, no, or unknown.
-- tags: Its resource tags by key, as "key=value, key=value"; empty if it has none, NULL where they are not known. A
--   text and not JSON, because databases have no JSON functions in common; repository_tags has a row for each.
-- tag_count: How many resource tags it has, without those of AWS (aws:…); NULL where that is not known.
-- image_count: How many images it has, with archived ones, indexes and what is attached to images; NULL where that is
--   not known.
-- as_of: When the oldest of what is known here was read.
-- listed_as_of: When the repository was listed.
-- scanning_as_of: When its scanning configuration was read; NULL if never.
-- lifecycle_as_of: When its lifecycle policy was asked for; NULL if never.
-- policy_as_of: When its policy was asked for; NULL if never.
-- tags_as_of: When its tags were read; NULL if never.
-- images_as_of: When its images were listed; NULL if never.

WITH asked AS (
    SELECT
        registry_id,
        region,
        repository_name,
        max(CASE WHEN operation = 'ecr:BatchGetRepositoryScanningConfiguration' THEN extracted_at END)
            AS scanning_as_of,
        max(CASE WHEN operation = 'ecr:GetLifecyclePolicy' THEN extracted_at END) AS lifecycle_as_of,
        max(CASE WHEN operation = 'ecr:GetLifecyclePolicy' THEN outcome END) AS lifecycle_outcome,
        max(CASE WHEN operation = 'ecr:GetRepositoryPolicy' THEN extracted_at END) AS policy_as_of,
        max(CASE WHEN operation = 'ecr:GetRepositoryPolicy' THEN outcome END) AS policy_outcome,
        max(
            CASE
                WHEN operation IN ('resourcegroupstaggingapi:GetResources', 'ecr:ListTagsForResource')
                    THEN extracted_at
            END
        ) AS tags_as_of
    FROM extraction_repositories
    GROUP BY registry_id, region, repository_name
),

exclusions AS (
    SELECT registry_id, region, repository_name, string_agg(filter, ', ' ORDER BY filter) AS filters
    FROM repository_tag_mutability_exclusion_filters
    GROUP BY registry_id, region, repository_name
),

every_tag AS (
    SELECT registry_id, region, owner_name, rule_priority
    FROM lifecycle_policy_rule_tag_matches
    WHERE owner_type = 'repository'
    GROUP BY registry_id, region, owner_name, rule_priority
    HAVING min(match_value) = '*' AND max(match_value) = '*'
),

rules AS (
    SELECT
        lifecycle_policy_rules.registry_id,
        lifecycle_policy_rules.region,
        lifecycle_policy_rules.owner_name AS repository_name,
        count(*) AS rule_count,
        max(
            CASE
                WHEN action_type = 'expire'
                    AND tag_status IN ('untagged', 'any')
                    AND coalesce(storage_class, 'standard') = 'standard' THEN 1
                ELSE 0
            END
        ) AS untagged_rules,
        max(
            CASE
                WHEN action_type = 'expire'
                    AND (tag_status = 'any' OR (tag_status = 'tagged' AND every_tag.rule_priority IS NOT NULL))
                    AND coalesce(storage_class, 'standard') = 'standard' THEN 1
                ELSE 0
            END
        ) AS tagged_caps,
        count(
            CASE
                WHEN action_type = 'expire' AND tag_status = 'tagged' AND every_tag.rule_priority IS NULL THEN 1
            END
        ) AS partial_tagged_caps
    FROM lifecycle_policy_rules
    LEFT JOIN every_tag USING (registry_id, region, owner_name, rule_priority)
    WHERE lifecycle_policy_rules.owner_type = 'repository'
    GROUP BY lifecycle_policy_rules.registry_id, lifecycle_policy_rules.region, lifecycle_policy_rules.owner_name
),

resource_tags AS (
    SELECT
        registry_id,
        region,
        repository_name,
        string_agg(tag_key || '=' || coalesce(tag_value, ''), ', ' ORDER BY tag_key) AS tags,
        count(CASE WHEN tag_key NOT LIKE 'aws:%' THEN 1 END) AS tag_count
    FROM repository_tags
    GROUP BY registry_id, region, repository_name
),

tables_read AS (
    SELECT
        registry_id,
        region,
        complete_as_of AS repositories_complete
    FROM ecr_freshness
    WHERE table_name = 'repositories'
),

told AS (
    SELECT
        repositories.registry_id,
        repositories.region,
        repositories.repository_name,
        repositories.namespace,
        repositories.created_at,
        repositories.image_tag_mutability,
        CASE repositories.image_tag_mutability
            WHEN 'IMMUTABLE_WITH_EXCLUSION' THEN 'IMMUTABLE but ' || coalesce(exclusions.filters, 'some')
            WHEN 'MUTABLE_WITH_EXCLUSION' THEN 'MUTABLE but ' || coalesce(exclusions.filters, 'some')
            ELSE repositories.image_tag_mutability
        END AS tag_mutability,
        repository_scanning_configurations.scan_frequency,
        repositories.scan_on_push,
        registry_scanning_configurations.scan_type,
        repositories.encryption_type,
        repositories.kms_key,
        CASE
            WHEN asked.lifecycle_outcome IS NULL THEN 'unknown'
            WHEN asked.lifecycle_outcome = 'no_policy' THEN 'no'
            ELSE 'yes'
        END AS lifecycle_policy,
        coalesce(lifecycle_policies.rule_count, rules.rule_count) AS rule_count,
        lifecycle_policies.parse_error IS NULL
            AND coalesce(rules.rule_count, 0) = coalesce(lifecycle_policies.rule_count, rules.rule_count)
            AS are_rules_known,
        coalesce(rules.untagged_rules, 0) AS untagged_rules,
        coalesce(rules.tagged_caps, 0) AS tagged_caps,
        coalesce(rules.partial_tagged_caps, 0) AS partial_tagged_caps,
        CASE
            WHEN asked.policy_outcome IS NULL THEN 'unknown'
            WHEN asked.policy_outcome = 'no_policy' THEN 'no'
            ELSE 'yes'
        END AS repository_policy,
        CASE WHEN asked.tags_as_of IS NOT NULL THEN coalesce(resource_tags.tags, '') END AS tags,
        CASE WHEN asked.tags_as_of IS NOT NULL THEN coalesce(resource_tags.tag_count, 0) END AS tag_count,
        repository_contents.images AS image_count,
        greatest(repositories.extracted_at, tables_read.repositories_complete) AS listed_as_of,
        asked.scanning_as_of,
        asked.lifecycle_as_of,
        asked.policy_as_of,
        asked.tags_as_of,
        repository_contents.images_as_of
    FROM repositories
    LEFT JOIN asked USING (registry_id, region, repository_name)
    LEFT JOIN exclusions USING (registry_id, region, repository_name)
    LEFT JOIN repository_scanning_configurations USING (registry_id, region, repository_name)
    LEFT JOIN lifecycle_policies USING (registry_id, region, repository_name)
    LEFT JOIN rules USING (registry_id, region, repository_name)
    LEFT JOIN resource_tags USING (registry_id, region, repository_name)
    LEFT JOIN repository_contents USING (registry_id, region, repository_name)
    LEFT JOIN registry_scanning_configurations USING (registry_id, region)
    LEFT JOIN tables_read USING (registry_id, region)
)

SELECT
    registry_id,
    region,
    repository_name,
    namespace,
    created_at,
    image_tag_mutability,
    tag_mutability,
    scan_frequency,
    scan_on_push,
    scan_type,
    encryption_type,
    kms_key,
    lifecycle_policy,
    CASE lifecycle_policy WHEN 'no' THEN 0 WHEN 'yes' THEN rule_count END AS lifecycle_rule_count,
    CASE
        WHEN lifecycle_policy = 'no' THEN false
        WHEN lifecycle_policy = 'yes' AND are_rules_known THEN untagged_rules = 1
    END AS has_untagged_rule,
    CASE
        WHEN lifecycle_policy = 'no' THEN false
        WHEN lifecycle_policy = 'yes' AND are_rules_known THEN tagged_caps = 1
    END AS has_tagged_cap,
    CASE
        WHEN lifecycle_policy = 'no' THEN 0
        WHEN lifecycle_policy = 'yes' AND are_rules_known THEN partial_tagged_caps
    END AS partial_tagged_caps,
    repository_policy,
    tags,
    tag_count,
    image_count,
    least(listed_as_of, scanning_as_of, lifecycle_as_of, policy_as_of, tags_as_of, images_as_of) AS as_of,
    listed_as_of,
    scanning_as_of,
    lifecycle_as_of,
    policy_as_of,
    tags_as_of,
    images_as_of
FROM told
