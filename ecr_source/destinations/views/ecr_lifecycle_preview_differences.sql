-- Where does ECR's own preview of a lifecycle policy differ from ecr_lifecycle_effects? A row for each image on which
-- one of the two acts now, of the repositories that have a preview.
--
-- needs: images, image_tags, lifecycle_policies, lifecycle_policy_rules, lifecycle_policy_rule_tag_matches,
--   lifecycle_policy_previews, lifecycle_policy_preview_results
-- difference: none, only_in_preview, only_in_effects, action (not the same), rule (the same action by another rule), or
--   not_comparable: the preview is not complete, or of another policy than the repository has, or nobody knows what
--   that does to the image.
-- preview_status: COMPLETE, or what else ECR says of the preview.
-- is_of_policy: Whether the preview is of the very text that the repository has.
-- previewed_action: What ECR's preview does to the image: expire, or transition; NULL if nothing.
-- previewed_rule_priority: The rule by which it does.
-- action: What ecr_lifecycle_effects has done to it now; NULL if nothing.
-- rule_priority: The rule by which that is done; NULL if nothing is.
-- effect: As in ecr_lifecycle_effects; NULL if that does not have the image.
-- previewed_as_of: When the preview was read, which may have been made long before.
-- as_of: When the older one was read of the image and of the lifecycle policy.

WITH previews AS (
    SELECT
        lifecycle_policy_previews.registry_id,
        lifecycle_policy_previews.region,
        lifecycle_policy_previews.repository_name,
        lifecycle_policy_previews.status AS preview_status,
        lifecycle_policy_previews.extracted_at AS previewed_as_of,
        coalesce(
            lifecycle_policy_previews.lifecycle_policy_text = lifecycle_policies.lifecycle_policy_text, false
        ) AS is_of_policy
    FROM lifecycle_policy_previews
    LEFT JOIN lifecycle_policies USING (registry_id, region, repository_name)
),

previewed AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        lower(action_type) AS previewed_action,
        applied_rule_priority AS previewed_rule_priority
    FROM lifecycle_policy_preview_results
),

acted_on AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        effect,
        CASE WHEN effect = 'acts_now' THEN action END AS action,
        CASE WHEN effect = 'acts_now' THEN rule_priority END AS rule_priority,
        as_of
    FROM ecr_lifecycle_effects
),

beside AS (
    SELECT
        coalesce(previewed.registry_id, acted_on.registry_id) AS registry_id,
        coalesce(previewed.region, acted_on.region) AS region,
        coalesce(previewed.repository_name, acted_on.repository_name) AS repository_name,
        coalesce(previewed.image_digest, acted_on.image_digest) AS image_digest,
        previewed.previewed_action,
        previewed.previewed_rule_priority,
        acted_on.action,
        acted_on.rule_priority,
        acted_on.effect,
        acted_on.as_of
    FROM previewed
    FULL JOIN acted_on
        ON acted_on.registry_id = previewed.registry_id
        AND acted_on.region = previewed.region
        AND acted_on.repository_name = previewed.repository_name
        AND acted_on.image_digest = previewed.image_digest
    WHERE previewed.previewed_action IS NOT NULL OR acted_on.action IS NOT NULL
)

SELECT
    beside.registry_id,
    beside.region,
    beside.repository_name,
    beside.image_digest,
    CASE
        WHEN previews.preview_status <> 'COMPLETE' OR NOT previews.is_of_policy THEN 'not_comparable'
        WHEN beside.effect IS NULL OR beside.effect = 'unknown' THEN 'not_comparable'
        WHEN beside.action IS NULL THEN 'only_in_preview'
        WHEN beside.previewed_action IS NULL THEN 'only_in_effects'
        WHEN beside.action <> beside.previewed_action THEN 'action'
        WHEN beside.rule_priority <> beside.previewed_rule_priority THEN 'rule'
        ELSE 'none'
    END AS difference,
    previews.preview_status,
    previews.is_of_policy,
    beside.previewed_action,
    beside.previewed_rule_priority,
    beside.action,
    beside.rule_priority,
    beside.effect,
    previews.previewed_as_of,
    beside.as_of
FROM beside
JOIN previews USING (registry_id, region, repository_name)
