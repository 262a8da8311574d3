-- Which images were deleted, when, and may a lifecycle rule have done it? A row for each image that is gone, in history
-- mode only.
--
-- needs: extraction_scopes
-- image_tags: The tags that it had when it was seen last, with commas between; NULL if it had none.
-- deleted_after: When images were read last before that (UTC): it was deleted after it. NULL where that run failed to
--   read those of the repository, so that it is not known.
-- deleted_at: When the run began that found it gone (UTC).
-- days_since_push: Days from its push until then.
-- days_since_pull: Days from the last pull that was recorded until then; NULL if none was.
-- explanation: repository_deleted: its repository is gone, too. possibly_lifecycle: a rule fits that its repository has
--   now. no_rule_fits: none of these does, so that somebody deleted it, or an earlier rule. no_policy: its repository
--   has none now. unknown: the lifecycle policy of its repository was not read. CloudTrail knows for sure.
-- rule_priority: The first rule that fits; NULL where none does.
-- policy_as_of: When the lifecycle policy was read; NULL where it was not.

WITH last_versions AS (
    SELECT *
    FROM (
        SELECT
            versions_of_images.*,
            row_number() OVER (
                PARTITION BY registry_id, region, repository_name, image_digest ORDER BY _dlt_valid_from DESC
            ) AS position
        FROM versions_of_images
    ) AS versions
    WHERE position = 1
),

-- A rule that counts kept images pushed later: all that ever were, which are never too few.
last_seen AS (
    SELECT
        last_versions.*,
        count(*) OVER (PARTITION BY registry_id, region, repository_name ORDER BY image_pushed_at DESC) AS newest
    FROM last_versions
),

gone AS (
    SELECT
        last_seen.registry_id,
        last_seen.region,
        last_seen.repository_name,
        last_seen.image_digest,
        last_seen.image_size_in_bytes,
        last_seen.image_status,
        last_seen.is_manifest_list,
        last_seen.image_pushed_at,
        last_seen.last_recorded_pull_time,
        last_seen.last_archived_at,
        last_seen.newest,
        last_seen._dlt_valid_to AS deleted_at,
        repositories.repository_name IS NOT NULL AS has_repository
    FROM last_seen
    LEFT JOIN repositories USING (registry_id, region, repository_name)
    WHERE last_seen._dlt_valid_to IS NOT NULL
),

last_tags AS (
    SELECT
        gone.registry_id,
        gone.region,
        gone.repository_name,
        gone.image_digest,
        versions_of_image_tags.image_tag
    FROM gone
    JOIN versions_of_image_tags
        ON versions_of_image_tags.registry_id = gone.registry_id
        AND versions_of_image_tags.region = gone.region
        AND versions_of_image_tags.repository_name = gone.repository_name
        AND versions_of_image_tags.image_digest = gone.image_digest
        AND versions_of_image_tags._dlt_valid_to = gone.deleted_at
),

tags AS (
    SELECT registry_id, region, repository_name, image_digest, string_agg(image_tag, ', ' ORDER BY image_tag)
        AS image_tags
    FROM last_tags
    GROUP BY registry_id, region, repository_name, image_digest
),

rules AS (
    SELECT
        lifecycle_policy_rules.registry_id,
        lifecycle_policy_rules.region,
        lifecycle_policy_rules.owner_name AS repository_name,
        lifecycle_policy_rules.rule_priority,
        lifecycle_policy_rules.tag_status,
        lifecycle_policy_rules.storage_class,
        lifecycle_policy_rules.count_type,
        lifecycle_policy_rules.count_number,
        count(lifecycle_policy_rule_tag_matches.match_value) AS patterns
    FROM lifecycle_policy_rules
    LEFT JOIN lifecycle_policy_rule_tag_matches USING (owner_type, registry_id, region, owner_name, rule_priority)
    WHERE lifecycle_policy_rules.owner_type = 'repository' AND lifecycle_policy_rules.action_type = 'expire'
    GROUP BY
        lifecycle_policy_rules.registry_id,
        lifecycle_policy_rules.region,
        lifecycle_policy_rules.owner_name,
        lifecycle_policy_rules.rule_priority,
        lifecycle_policy_rules.tag_status,
        lifecycle_policy_rules.storage_class,
        lifecycle_policy_rules.count_type,
        lifecycle_policy_rules.count_number
),

-- All prefixes or patterns of a rule must be found among the tags of an image:
-- https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
matched AS (
    SELECT
        last_tags.registry_id,
        last_tags.region,
        last_tags.repository_name,
        last_tags.image_digest,
        lifecycle_policy_rule_tag_matches.rule_priority,
        count(DISTINCT lifecycle_policy_rule_tag_matches.match_value) AS patterns
    FROM last_tags
    JOIN lifecycle_policy_rule_tag_matches
        ON lifecycle_policy_rule_tag_matches.owner_type = 'repository'
        AND lifecycle_policy_rule_tag_matches.registry_id = last_tags.registry_id
        AND lifecycle_policy_rule_tag_matches.region = last_tags.region
        AND lifecycle_policy_rule_tag_matches.owner_name = last_tags.repository_name
    WHERE
        last_tags.image_tag LIKE replace(replace(match_value, '_', '!_'), '*', '%')
            || CASE WHEN match_type = 'prefix' THEN '%' ELSE '' END ESCAPE '!'
    GROUP BY
        last_tags.registry_id,
        last_tags.region,
        last_tags.repository_name,
        last_tags.image_digest,
        lifecycle_policy_rule_tag_matches.rule_priority
),

fitting AS (
    SELECT
        gone.registry_id,
        gone.region,
        gone.repository_name,
        gone.image_digest,
        min(rules.rule_priority) AS rule_priority
    FROM gone
    JOIN rules
        ON rules.registry_id = gone.registry_id
        AND rules.region = gone.region
        AND rules.repository_name = gone.repository_name
    LEFT JOIN tags
        ON tags.registry_id = gone.registry_id
        AND tags.region = gone.region
        AND tags.repository_name = gone.repository_name
        AND tags.image_digest = gone.image_digest
    LEFT JOIN matched
        ON matched.registry_id = gone.registry_id
        AND matched.region = gone.region
        AND matched.repository_name = gone.repository_name
        AND matched.image_digest = gone.image_digest
        AND matched.rule_priority = rules.rule_priority
    WHERE
        (
            rules.tag_status = 'any'
            OR (rules.tag_status = 'untagged' AND tags.image_tags IS NULL)
            OR (rules.tag_status = 'tagged' AND matched.patterns = rules.patterns)
        )
        AND (coalesce(rules.storage_class, 'standard') = 'archive')
            = (coalesce(gone.image_status, 'ACTIVE') = 'ARCHIVED')
        AND CASE rules.count_type
            WHEN 'imageCountMoreThan' THEN gone.newest > rules.count_number
            WHEN 'sinceImagePushed'
                THEN (extract(epoch FROM gone.deleted_at) - extract(epoch FROM gone.image_pushed_at)) / 86400
                    >= rules.count_number
            WHEN 'sinceImagePulled'
                THEN (
                    extract(epoch FROM gone.deleted_at)
                    - extract(epoch FROM coalesce(gone.last_recorded_pull_time, gone.image_pushed_at))
                ) / 86400 >= rules.count_number
            WHEN 'sinceImageTransitioned'
                THEN (extract(epoch FROM gone.deleted_at) - extract(epoch FROM gone.last_archived_at)) / 86400
                    >= rules.count_number
        END
    GROUP BY gone.registry_id, gone.region, gone.repository_name, gone.image_digest
),

policies_read AS (
    SELECT registry_id, region, repository_name, max(outcome) AS outcome, max(extracted_at) AS extracted_at
    FROM extraction_repositories
    WHERE operation = 'ecr:GetLifecyclePolicy'
    GROUP BY registry_id, region, repository_name
)

SELECT
    gone.registry_id,
    gone.region,
    gone.repository_name,
    gone.image_digest,
    tags.image_tags,
    gone.image_size_in_bytes,
    gone.is_manifest_list,
    gone.image_status,
    gone.image_pushed_at,
    gone.last_recorded_pull_time,
    CASE
        WHEN failed_readings.failed_at IS NULL OR failed_readings.failed_at < table_readings.read_before_at
            THEN table_readings.read_before_at
    END AS deleted_after,
    gone.deleted_at,
    CAST(floor((extract(epoch FROM gone.deleted_at) - extract(epoch FROM gone.image_pushed_at)) / 86400) AS BIGINT)
        AS days_since_push,
    CAST(
        floor((extract(epoch FROM gone.deleted_at) - extract(epoch FROM gone.last_recorded_pull_time)) / 86400)
        AS BIGINT
    ) AS days_since_pull,
    CASE
        WHEN NOT gone.has_repository THEN 'repository_deleted'
        WHEN policies_read.outcome IS NULL THEN 'unknown'
        WHEN policies_read.outcome = 'no_policy' THEN 'no_policy'
        WHEN lifecycle_policies.parse_error IS NOT NULL THEN 'unknown'
        WHEN fitting.rule_priority IS NOT NULL THEN 'possibly_lifecycle'
        ELSE 'no_rule_fits'
    END AS explanation,
    CASE WHEN gone.has_repository THEN fitting.rule_priority END AS rule_priority,
    policies_read.extracted_at AS policy_as_of
FROM gone
LEFT JOIN tags
    ON tags.registry_id = gone.registry_id
    AND tags.region = gone.region
    AND tags.repository_name = gone.repository_name
    AND tags.image_digest = gone.image_digest
LEFT JOIN fitting
    ON fitting.registry_id = gone.registry_id
    AND fitting.region = gone.region
    AND fitting.repository_name = gone.repository_name
    AND fitting.image_digest = gone.image_digest
LEFT JOIN lifecycle_policies
    ON lifecycle_policies.registry_id = gone.registry_id
    AND lifecycle_policies.region = gone.region
    AND lifecycle_policies.repository_name = gone.repository_name
LEFT JOIN policies_read
    ON policies_read.registry_id = gone.registry_id
    AND policies_read.region = gone.region
    AND policies_read.repository_name = gone.repository_name
LEFT JOIN table_readings
    ON table_readings.table_name = 'images'
    AND table_readings.registry_id = gone.registry_id
    AND table_readings.region = gone.region
    AND table_readings.valid_from = gone.deleted_at
LEFT JOIN failed_readings
    ON failed_readings.operation = 'ecr:DescribeImages'
    AND failed_readings.registry_id = gone.registry_id
    AND failed_readings.region = gone.region
    AND failed_readings.resource = gone.repository_name
    AND failed_readings.failed_at < gone.deleted_at
    AND (failed_readings.failed_next_at IS NULL OR failed_readings.failed_next_at >= gone.deleted_at)
