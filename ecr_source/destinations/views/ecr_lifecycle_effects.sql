-- What does the lifecycle policy of its repository do to an image, and when? A row for each image of a repository that
-- has a policy, or of which nobody knows whether it has one.
--
-- needs: images, image_tags, lifecycle_policies, lifecycle_policy_rules, lifecycle_policy_rule_tag_matches
-- as_of: When the older one was read of the image and of the lifecycle policy.

SELECT
    lifecycle_decisions.registry_id,
    lifecycle_decisions.region,
    lifecycle_decisions.repository_name,
    lifecycle_decisions.image_digest,
    lifecycle_decisions.image_tags,
    lifecycle_decisions.image_status,
    lifecycle_decisions.is_manifest_list,
    lifecycle_decisions.image_size_in_bytes,
    lifecycle_decisions.image_pushed_at,
    lifecycle_decisions.last_recorded_pull_time,
    lifecycle_decisions.effect,
    lifecycle_decisions.reason,
    lifecycle_decisions.rule_priority,
    lifecycle_decisions.action,
    lifecycle_decisions.acts_at,
    lifecycle_decisions.days_until_action,
    lifecycle_decisions.is_held_by_index,
    lifecycle_decisions.bytes_upper_bound,
    image_uses.in_use,
    CASE
        WHEN lifecycle_decisions.policy_as_of < lifecycle_decisions.extracted_at THEN lifecycle_decisions.policy_as_of
        ELSE lifecycle_decisions.extracted_at
    END AS as_of
FROM lifecycle_decisions
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
