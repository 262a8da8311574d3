-- What does the lifecycle policy of its repository do to an image? A row for each image of a repository that has a
-- policy, or may have: a part of views, not one of them.
--
-- effect: acts_now, acts_later, stays (as things stand), or unknown.
-- reason: rule: the rule that it falls to acts on it. with_its_image: it goes with the image that it is attached to.
--   within_count: its rule keeps as many. index_stays: an index refers to it that stays. no_rule_fits: no rule has its
--   tags and storage class. What is unknown has policy_not_read, policy_not_understood, rule_not_understood or
--   time_not_known (of what its rule goes by).
-- rule_priority: The rule that it falls to, which is the first whose tags and storage class fit it, whether that acts
--   or not; of what goes with the image that it is attached to, the rule of that. NULL if none fits.
-- action: What is done to it, now or later: expire, or transition to the archive. NULL where nothing is as things
--   stand, or nobody knows.
-- acts_at: When that is due (UTC), which is now where it has been due before; ECR takes up to 24 hours more.
-- days_until_action: Days until then, 0 being now.
-- is_held_by_index: Whether an index refers to it that stays longer than the rule would let it. NULL where that is not
--   known, as its repository has an index that stays and whose manifest was not read, which takes the group manifests:
--   action is then what the rule says. Of indexes within indexes two levels are followed.
-- bytes_upper_bound: Its size, which its storage class is rid of with it, but for layers that it shares. 0 for a
--   manifest list, whose size is that of an image it refers to.
-- policy_as_of: When the lifecycle policy was read; NULL where it was not.

WITH claims AS (
    SELECT * FROM lifecycle_claims
),

-- "If an image is referenced by a manifest list, it cannot be expired or archived without the manifest list being
-- deleted or archived first." The join is an outer one for Postgres, as in lifecycle_claims.
referred AS NOT MATERIALIZED (
    SELECT registry_id, region, repository_name, image_digest, image_manifest_children.child_digest, claims.acts_at
    FROM image_manifest_children
    LEFT JOIN claims USING (registry_id, region, repository_name, image_digest)
    WHERE coalesce(claims.may_hold AND claims.unknown IS NULL, false)
),

held AS (
    SELECT
        registry_id,
        region,
        repository_name,
        child_digest AS image_digest,
        CASE WHEN count(acts_at) = count(*) THEN max(acts_at) END AS held_until
    FROM (
        SELECT registry_id, region, repository_name, child_digest, acts_at FROM referred
        UNION ALL
        SELECT within.registry_id, within.region, within.repository_name, within.child_digest, referred.acts_at
        FROM referred
        JOIN referred AS within
            ON within.registry_id = referred.registry_id
            AND within.region = referred.region
            AND within.repository_name = referred.repository_name
            AND within.image_digest = referred.child_digest
    ) AS levels
    GROUP BY registry_id, region, repository_name, child_digest
),

unread AS (
    SELECT
        claims.registry_id,
        claims.region,
        claims.repository_name,
        CASE WHEN count(claims.acts_at) = count(*) THEN max(claims.acts_at) END AS may_hold_until
    FROM claims
    LEFT JOIN image_manifests USING (registry_id, region, repository_name, image_digest)
    WHERE claims.may_hold
        AND (
            claims.unknown IS NOT NULL
            OR image_manifests.image_digest IS NULL
            OR image_manifests.parse_error IS NOT NULL
        )
    GROUP BY claims.registry_id, claims.region, claims.repository_name
),

by_rule AS NOT MATERIALIZED (
    SELECT
        claims.*,
        CASE
            WHEN held.image_digest IS NULL THEN claims.acts_at
            WHEN claims.acts_at < held.held_until THEN held.held_until
            WHEN held.held_until IS NOT NULL THEN claims.acts_at
        END AS goes_at,
        CASE
            WHEN claims.acts_at IS NULL THEN false
            WHEN held.image_digest IS NOT NULL AND (held.held_until IS NULL OR held.held_until > claims.acts_at)
                THEN true
            WHEN unread.repository_name IS NULL OR unread.may_hold_until <= claims.acts_at THEN false
        END AS is_held_by_index
    FROM claims
    LEFT JOIN held USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN unread USING (registry_id, region, repository_name)
),

-- "When reference artifacts are present in a repository, Amazon ECR lifecycle policies automatically expire or archive
-- those artifacts within 24 hours of the deletion or archival of the subject image."
attached AS NOT MATERIALIZED (
    SELECT registry_id, region, repository_name, image_digest, subject_manifest_digest
    FROM claims
    WHERE subject_manifest_digest IS NOT NULL
),

subjects AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        subject_manifest_digest AS subject_digest,
        1 AS distance
    FROM attached
    UNION ALL
    SELECT
        attached.registry_id,
        attached.region,
        attached.repository_name,
        attached.image_digest,
        within.subject_manifest_digest AS subject_digest,
        2 AS distance
    FROM attached
    JOIN attached AS within
        ON within.registry_id = attached.registry_id
        AND within.region = attached.region
        AND within.repository_name = attached.repository_name
        AND within.image_digest = attached.subject_manifest_digest
),

-- The first one that goes takes it along.
with_subjects AS (
    SELECT registry_id, region, repository_name, image_digest, rule_priority, action, goes_at
    FROM (
        SELECT
            subjects.registry_id,
            subjects.region,
            subjects.repository_name,
            subjects.image_digest,
            by_rule.rule_priority,
            by_rule.action,
            by_rule.goes_at,
            row_number() OVER (
                PARTITION BY subjects.registry_id, subjects.region, subjects.repository_name, subjects.image_digest
                ORDER BY by_rule.goes_at, subjects.distance
            ) AS position
        FROM subjects
        JOIN by_rule
            ON by_rule.registry_id = subjects.registry_id
            AND by_rule.region = subjects.region
            AND by_rule.repository_name = subjects.repository_name
            AND by_rule.image_digest = subjects.subject_digest
        WHERE by_rule.goes_at IS NOT NULL
    ) AS going
    WHERE position = 1
),

decided AS (
    SELECT
        by_rule.*,
        with_subjects.image_digest IS NOT NULL
            AND (by_rule.goes_at IS NULL OR with_subjects.goes_at < by_rule.goes_at) AS goes_with_subject,
        with_subjects.rule_priority AS rule_of_subject,
        with_subjects.action AS action_of_subject,
        with_subjects.goes_at AS subject_goes_at
    FROM by_rule
    LEFT JOIN with_subjects USING (registry_id, region, repository_name, image_digest)
),

told AS (
    SELECT
        decided.*,
        CASE WHEN goes_with_subject THEN subject_goes_at ELSE goes_at END AS done_at,
        CASE WHEN goes_with_subject THEN rule_of_subject ELSE rule_priority END AS rule_of_effect,
        CASE WHEN goes_with_subject THEN action_of_subject WHEN goes_at IS NOT NULL THEN action END AS done
    FROM decided
)

SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    image_tags,
    image_status,
    is_manifest_list,
    image_size_in_bytes,
    image_pushed_at,
    last_recorded_pull_time,
    CASE
        WHEN done_at <= now() THEN 'acts_now'
        WHEN done_at IS NOT NULL THEN 'acts_later'
        WHEN unknown IS NOT NULL THEN 'unknown'
        ELSE 'stays'
    END AS effect,
    CASE
        WHEN goes_with_subject THEN 'with_its_image'
        WHEN done_at IS NOT NULL THEN 'rule'
        WHEN unknown IS NOT NULL THEN unknown
        WHEN rule_priority IS NULL THEN 'no_rule_fits'
        WHEN is_held_by_index THEN 'index_stays'
        ELSE 'within_count'
    END AS reason,
    rule_of_effect AS rule_priority,
    done AS action,
    done_at AS acts_at,
    CAST(ceil((extract(epoch FROM done_at) - extract(epoch FROM now())) / 86400) AS BIGINT) AS days_until_action,
    storage_class,
    CASE WHEN goes_with_subject THEN false ELSE is_held_by_index END AS is_held_by_index,
    CASE WHEN is_manifest_list THEN 0 ELSE image_size_in_bytes END AS bytes_upper_bound,
    extracted_at,
    policy_as_of
FROM told
