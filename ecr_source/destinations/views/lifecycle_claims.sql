-- Which rule of its lifecycle policy does an image fall to, and when does that act? A row for each image of a
-- repository that has a policy, or may have: a part of views, not one of them.
--
-- may_hold: Whether it may hold images that it refers to: it is a manifest list, or nobody knows what it is, and not
--   archived.
-- storage_class: The one that it is in: standard, or archive.
-- policy_as_of: When the lifecycle policy was read; NULL where it was not.
-- rule_priority: The rule that it falls to, which is the first whose tags and storage class fit it, whether that acts
--   or not. NULL if none does.
-- action: What that rule does with what it acts on: expire, or transition to the archive.
-- acts_at: When that rule acts on it (UTC), which is now where it is due already; NULL where it does not as things
--   stand.
-- unknown: Why nobody knows what is done to it: policy_not_read, policy_not_understood, rule_not_understood, or
--   time_not_known, where its rule goes by a time that is not there. NULL where it is known.

-- The semantics are those of https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html and
-- https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
-- A prefix is compared as it stands; of a pattern only the asterisk means anything.
WITH patterns AS (
    SELECT
        registry_id,
        region,
        owner_name AS repository_name,
        rule_priority,
        match_type,
        match_value,
        replace(replace(replace(replace(match_value, '!', '!!'), '%', '!%'), '_', '!_'), '*', '%') AS like_pattern
    FROM lifecycle_policy_rule_tag_matches
    WHERE owner_type = 'repository'
),

pattern_counts AS (
    SELECT registry_id, region, repository_name, rule_priority, count(*) AS patterns
    FROM patterns
    GROUP BY registry_id, region, repository_name, rule_priority
),

-- What is not understood of a rule may be what keeps it from an image: it is taken to fit all.
rules AS NOT MATERIALIZED (
    SELECT
        lifecycle_policy_rules.registry_id,
        lifecycle_policy_rules.region,
        lifecycle_policy_rules.owner_name AS repository_name,
        lifecycle_policy_rules.rule_priority,
        lifecycle_policy_rules.tag_status,
        coalesce(lifecycle_policy_rules.storage_class, 'standard') AS storage_class,
        lifecycle_policy_rules.count_type,
        lifecycle_policy_rules.count_number,
        lifecycle_policy_rules.action_type,
        coalesce(pattern_counts.patterns, 0) AS patterns,
        coalesce(
            lifecycle_policy_rules.unknown_fields IS NULL
            AND (
                lifecycle_policy_rules.tag_status IN ('any', 'untagged')
                OR (lifecycle_policy_rules.tag_status = 'tagged' AND pattern_counts.patterns > 0)
            )
            AND coalesce(lifecycle_policy_rules.storage_class, 'standard') IN ('standard', 'archive')
            AND lifecycle_policy_rules.action_type IN ('expire', 'transition')
            AND lifecycle_policy_rules.count_number > 0
            AND (
                lifecycle_policy_rules.count_type = 'imageCountMoreThan'
                OR (
                    lifecycle_policy_rules.count_unit = 'days'
                    AND lifecycle_policy_rules.count_type IN (
                        'sinceImagePushed', 'sinceImagePulled', 'sinceImageTransitioned'
                    )
                )
            ),
            false
        ) AS is_understood
    FROM lifecycle_policy_rules
    LEFT JOIN pattern_counts
        ON pattern_counts.registry_id = lifecycle_policy_rules.registry_id
        AND pattern_counts.region = lifecycle_policy_rules.region
        AND pattern_counts.repository_name = lifecycle_policy_rules.owner_name
        AND pattern_counts.rule_priority = lifecycle_policy_rules.rule_priority
    WHERE lifecycle_policy_rules.owner_type = 'repository'
),

-- The times that rules go by, of an image that was restored from the archive those since then.
timed AS NOT MATERIALIZED (
    SELECT
        images.registry_id,
        images.region,
        images.repository_name,
        coalesce(lifecycle_policy_states.policy_state, 'not_read') AS policy_state,
        lifecycle_policy_states.policy_as_of,
        images.image_digest,
        images.image_tags,
        images.image_status,
        images.is_manifest_list,
        images.image_manifest_media_type,
        images.subject_manifest_digest,
        images.image_size_in_bytes,
        images.image_pushed_at,
        images.last_recorded_pull_time,
        images.last_archived_at,
        images.extracted_at,
        coalesce(images.tag_count, 0) = 0 AS is_untagged,
        CASE WHEN images.image_status = 'ARCHIVED' THEN 'archive' ELSE 'standard' END AS storage_class,
        coalesce(images.last_activated_at, images.image_pushed_at) AS pushed_at,
        CASE
            WHEN images.last_activated_at > images.last_recorded_pull_time THEN images.last_activated_at
            ELSE coalesce(images.last_recorded_pull_time, images.last_activated_at, images.image_pushed_at)
        END AS pulled_at,
        coalesce(images.last_activated_at, images.image_pushed_at, to_timestamp(0)) AS counted_at
    FROM images
    LEFT JOIN lifecycle_policy_states USING (registry_id, region, repository_name)
    WHERE coalesce(lifecycle_policy_states.policy_state, '') <> 'none'
),

-- All patterns or prefixes of a rule must be found among the tags of an image.
tagged AS (
    SELECT registry_id, region, repository_name, image_digest, rule_priority, rules.storage_class
    FROM (
        SELECT
            image_tags.registry_id,
            image_tags.region,
            image_tags.repository_name,
            image_tags.image_digest,
            patterns.rule_priority,
            count(DISTINCT patterns.match_value) AS patterns
        FROM image_tags
        JOIN patterns USING (registry_id, region, repository_name)
        WHERE
            CASE patterns.match_type
                WHEN 'prefix'
                    THEN substr(image_tags.image_tag, 1, length(patterns.match_value)) = patterns.match_value
                ELSE image_tags.image_tag LIKE patterns.like_pattern ESCAPE '!'
            END
        GROUP BY
            image_tags.registry_id,
            image_tags.region,
            image_tags.repository_name,
            image_tags.image_digest,
            patterns.rule_priority
    ) AS matched
    JOIN rules USING (registry_id, region, repository_name, rule_priority, patterns)
),

first_tagged AS (
    SELECT registry_id, region, repository_name, image_digest, storage_class, min(rule_priority) AS rule_priority
    FROM tagged
    GROUP BY registry_id, region, repository_name, image_digest, storage_class
),

first_of_any AS (
    SELECT
        registry_id,
        region,
        repository_name,
        storage_class,
        min(CASE WHEN tag_status = 'any' OR NOT is_understood THEN rule_priority END) AS rule_of_tagged,
        min(CASE WHEN tag_status IN ('any', 'untagged') OR NOT is_understood THEN rule_priority END)
            AS rule_of_untagged
    FROM rules
    GROUP BY registry_id, region, repository_name, storage_class
),

claimed AS (
    SELECT
        timed.*,
        CASE
            WHEN timed.policy_state = 'read'
                THEN least(
                    first_tagged.rule_priority,
                    CASE
                        WHEN timed.is_untagged THEN first_of_any.rule_of_untagged
                        ELSE first_of_any.rule_of_tagged
                    END
                )
        END AS rule_priority
    FROM timed
    LEFT JOIN first_tagged USING (registry_id, region, repository_name, image_digest, storage_class)
    LEFT JOIN first_of_any USING (registry_id, region, repository_name, storage_class)
),

-- A rule that keeps as many images as there are acts on none. Of an outer join Postgres knows how many rows there are at
-- least; an inner one by several columns it takes for a single row, and goes through all images for each.
exceeded AS NOT MATERIALIZED (
    SELECT rules.*
    FROM rules
    LEFT JOIN (
        SELECT registry_id, region, repository_name, storage_class, count(*) AS images
        FROM timed
        GROUP BY registry_id, region, repository_name, storage_class
    ) AS contents USING (registry_id, region, repository_name, storage_class)
    WHERE rules.count_type = 'imageCountMoreThan' AND rules.count_number < coalesce(contents.images, 0)
),

-- A rule that counts counts those, too, that have fallen to a rule before it. Where two were pushed at once, AWS does
-- not say which one goes.
counted AS (
    SELECT
        timed.registry_id,
        timed.region,
        timed.repository_name,
        timed.image_digest,
        timed.counted_at,
        exceeded.rule_priority,
        exceeded.count_number
    FROM timed
    JOIN exceeded USING (registry_id, region, repository_name, storage_class)
    WHERE exceeded.tag_status = 'any' OR (exceeded.tag_status = 'untagged' AND timed.is_untagged)
    UNION ALL
    SELECT
        timed.registry_id,
        timed.region,
        timed.repository_name,
        timed.image_digest,
        timed.counted_at,
        exceeded.rule_priority,
        exceeded.count_number
    FROM timed
    JOIN tagged USING (registry_id, region, repository_name, image_digest, storage_class)
    JOIN exceeded USING (registry_id, region, repository_name, storage_class, rule_priority)
),

last_kept AS (
    SELECT registry_id, region, repository_name, rule_priority, counted_at, image_digest
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY registry_id, region, repository_name, rule_priority
                ORDER BY counted_at DESC, image_digest
            ) AS position
        FROM counted
    ) AS positioned
    WHERE position = count_number
),

ruled AS (
    SELECT
        claimed.*,
        rules.action_type AS action,
        rules.is_understood,
        rules.count_type,
        -- So many days are more than two thousand years, and more might be beyond what a timestamp can be.
        least(rules.count_number, 1000000) AS count_number,
        CASE rules.count_type
            WHEN 'sinceImagePulled' THEN claimed.pulled_at
            WHEN 'sinceImageTransitioned' THEN claimed.last_archived_at
            ELSE claimed.pushed_at
        END AS since,
        last_kept.counted_at > claimed.counted_at
            OR (last_kept.counted_at = claimed.counted_at AND last_kept.image_digest < claimed.image_digest)
            AS is_beyond_count
    FROM claimed
    LEFT JOIN rules USING (registry_id, region, repository_name, rule_priority)
    LEFT JOIN last_kept USING (registry_id, region, repository_name, rule_priority)
)

SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    image_tags,
    image_status,
    is_manifest_list,
    storage_class = 'standard' AND (is_manifest_list OR image_manifest_media_type IS NULL) AS may_hold,
    subject_manifest_digest,
    image_size_in_bytes,
    image_pushed_at,
    last_recorded_pull_time,
    extracted_at,
    policy_as_of,
    storage_class,
    rule_priority,
    action,
    CASE
        WHEN is_understood AND since IS NOT NULL
            THEN CASE
                WHEN count_type <> 'imageCountMoreThan'
                    THEN greatest(now(), to_timestamp(extract(epoch FROM since) + count_number * 86400))
                WHEN is_beyond_count THEN now()
            END
    END AS acts_at,
    CASE
        WHEN policy_state <> 'read' THEN 'policy_' || policy_state
        WHEN NOT is_understood THEN 'rule_not_understood'
        WHEN rule_priority IS NOT NULL AND since IS NULL THEN 'time_not_known'
    END AS unknown
FROM ruled
