-- Which rule of its lifecycle policy does an image fall to, and when does that act? A row for each image of a
-- repository that has a policy, or may have: a part of views, not one of them.
--
-- repository_number: The repository, by its number in lifecycle_repositories.
-- stored_in: The storage class that it is in: standard, or archive.
-- rule_priority: The rule that it falls to, which is the first whose tags and storage class fit it, whether that acts
--   or not. NULL if none does.
-- action: What that rule does with what it acts on: expire, or transition to the archive.
-- acts_at: When that rule acts on it (UTC), which is now where it is due already; NULL where it does not as things
--   stand.
-- unknown: Why nobody knows what is done to it: policy_not_read, policy_not_understood, rule_not_understood, or
--   time_not_known, where its rule goes by a time that is not there. NULL where it is known.

-- The semantics are those of https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html and
-- https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
WITH numbered AS (
    SELECT * FROM lifecycle_repositories
),

-- A prefix is compared as it stands; of a pattern only the asterisk means anything.
patterns AS (
    SELECT
        numbered.repository_number,
        numbered.registry_id,
        numbered.region,
        numbered.repository_name,
        lifecycle_policy_rule_tag_matches.rule_priority,
        lifecycle_policy_rule_tag_matches.match_type,
        lifecycle_policy_rule_tag_matches.match_value,
        replace(replace(replace(replace(match_value, '!', '!!'), '%', '!%'), '_', '!_'), '*', '%') AS like_pattern
    FROM lifecycle_policy_rule_tag_matches
    JOIN numbered
        ON numbered.registry_id = lifecycle_policy_rule_tag_matches.registry_id
        AND numbered.region = lifecycle_policy_rule_tag_matches.region
        AND numbered.repository_name = lifecycle_policy_rule_tag_matches.owner_name
    WHERE lifecycle_policy_rule_tag_matches.owner_type = 'repository'
),

pattern_counts AS (
    SELECT repository_number, rule_priority, count(*) AS patterns
    FROM patterns
    GROUP BY repository_number, rule_priority
),

-- What is not understood of a rule may be what keeps it from an image: it is taken to fit all.
rules AS (
    SELECT
        numbered.repository_number,
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
    JOIN numbered
        ON numbered.registry_id = lifecycle_policy_rules.registry_id
        AND numbered.region = lifecycle_policy_rules.region
        AND numbered.repository_name = lifecycle_policy_rules.owner_name
    LEFT JOIN pattern_counts
        ON pattern_counts.repository_number = numbered.repository_number
        AND pattern_counts.rule_priority = lifecycle_policy_rules.rule_priority
    WHERE lifecycle_policy_rules.owner_type = 'repository' AND numbered.policy_state = 'read'
),

-- The times that rules go by, of an image that was restored from the archive those since then.
timed AS (
    SELECT
        numbered.repository_number,
        numbered.policy_state,
        images.image_digest,
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
        CASE WHEN images.image_status = 'ARCHIVED' THEN 'archive' ELSE 'standard' END AS stored_in,
        coalesce(images.last_activated_at, images.image_pushed_at) AS pushed_at,
        CASE
            WHEN images.last_activated_at > images.last_recorded_pull_time THEN images.last_activated_at
            ELSE coalesce(images.last_recorded_pull_time, images.last_activated_at, images.image_pushed_at)
        END AS pulled_at,
        coalesce(images.last_activated_at, images.image_pushed_at, to_timestamp(0)) AS counted_at
    FROM images
    JOIN numbered USING (registry_id, region, repository_name)
),

-- All patterns or prefixes of a rule must be found among the tags of an image.
tagged AS (
    SELECT
        matched.repository_number,
        matched.image_digest,
        matched.rule_priority
    FROM (
        SELECT
            patterns.repository_number,
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
        GROUP BY patterns.repository_number, image_tags.image_digest, patterns.rule_priority
    ) AS matched
    JOIN rules
        ON rules.repository_number = matched.repository_number
        AND rules.rule_priority = matched.rule_priority
        AND rules.patterns = matched.patterns
),

first_tagged AS (
    SELECT
        tagged.repository_number,
        tagged.image_digest,
        rules.storage_class,
        min(tagged.rule_priority) AS rule_priority
    FROM tagged
    JOIN rules USING (repository_number, rule_priority)
    GROUP BY tagged.repository_number, tagged.image_digest, rules.storage_class
),

first_of_any AS (
    SELECT
        repository_number,
        storage_class,
        min(CASE WHEN tag_status = 'any' OR NOT is_understood THEN rule_priority END) AS rule_of_tagged,
        min(CASE WHEN tag_status IN ('any', 'untagged') OR NOT is_understood THEN rule_priority END)
            AS rule_of_untagged
    FROM rules
    GROUP BY repository_number, storage_class
),

claimed AS (
    SELECT
        timed.*,
        CASE
            WHEN first_tagged.rule_priority IS NULL THEN of_any.rule_priority
            WHEN of_any.rule_priority IS NULL THEN first_tagged.rule_priority
            ELSE least(first_tagged.rule_priority, of_any.rule_priority)
        END AS rule_priority
    FROM timed
    LEFT JOIN first_tagged
        ON first_tagged.repository_number = timed.repository_number
        AND first_tagged.image_digest = timed.image_digest
        AND first_tagged.storage_class = timed.stored_in
    LEFT JOIN (
        SELECT repository_number, storage_class, true AS is_untagged, rule_of_untagged AS rule_priority
        FROM first_of_any
        UNION ALL
        SELECT repository_number, storage_class, false AS is_untagged, rule_of_tagged AS rule_priority
        FROM first_of_any
    ) AS of_any
        ON of_any.repository_number = timed.repository_number
        AND of_any.storage_class = timed.stored_in
        AND of_any.is_untagged = timed.is_untagged
),

-- A rule that counts counts those, too, that have fallen to a rule before it. Where two were pushed at once, AWS does
-- not say which one goes.
counted AS (
    SELECT
        timed.repository_number,
        rules.rule_priority,
        rules.count_number,
        timed.counted_at,
        timed.image_digest
    FROM timed
    JOIN rules
        ON rules.repository_number = timed.repository_number
        AND rules.storage_class = timed.stored_in
        AND (rules.tag_status = 'any' OR (rules.tag_status = 'untagged' AND timed.is_untagged))
    WHERE rules.count_type = 'imageCountMoreThan'
    UNION ALL
    SELECT
        timed.repository_number,
        rules.rule_priority,
        rules.count_number,
        timed.counted_at,
        timed.image_digest
    FROM tagged
    JOIN rules USING (repository_number, rule_priority)
    JOIN timed
        ON timed.repository_number = tagged.repository_number
        AND timed.image_digest = tagged.image_digest
        AND timed.stored_in = rules.storage_class
    WHERE rules.count_type = 'imageCountMoreThan'
),

last_kept AS (
    SELECT repository_number, rule_priority, counted_at, image_digest
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY repository_number, rule_priority ORDER BY counted_at DESC, image_digest
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
    LEFT JOIN rules USING (repository_number, rule_priority)
    LEFT JOIN last_kept USING (repository_number, rule_priority)
)

SELECT
    repository_number,
    image_digest,
    image_status,
    is_manifest_list,
    image_manifest_media_type,
    subject_manifest_digest,
    image_size_in_bytes,
    image_pushed_at,
    last_recorded_pull_time,
    extracted_at,
    stored_in,
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
