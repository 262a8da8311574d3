-- What does its lifecycle policy free in a repository, now and in the next 30 days? A row for each repository that has
-- a policy, or of which nobody knows whether it has one.
--
-- needs: images, image_tags, lifecycle_policies, lifecycle_policy_rules, lifecycle_policy_rule_tag_matches
-- images: How many images it has, archived ones and manifest lists among them.
-- expiring_images: How many images expire now, which takes ECR up to 24 hours.
-- expiring_bytes_upper_bound: Their sizes together: no more than this is freed, because images share layers, and a
--   manifest list has no bytes beside its images.
-- archiving_images: How many images move to the archive now.
-- archiving_bytes_upper_bound: Their sizes together, as of those that expire.
-- expiring_images_in_30_days: How many more expire in the next 30 days, if nothing is pushed, pulled or tagged.
-- expiring_bytes_in_30_days_upper_bound: Their sizes together.
-- archiving_images_in_30_days: How many more move to the archive in the next 30 days.
-- archiving_bytes_in_30_days_upper_bound: Their sizes together.
-- usd_per_month_upper_bound: What is saved each month after those 30 days, by storage_price and archive_price of
--   ecr_parameters.
-- perhaps_held_images: How many of all these stay if an index refers to them that stays: its manifest was not read,
--   which takes the group manifests.
-- unknown_images: Of how many images nobody knows what is done to them: ecr_lifecycle_effects has the reason.
-- as_of: When the oldest of all this was read.

WITH prices AS (
    SELECT
        max(CASE WHEN name = 'storage_price' THEN value END) AS storage_price,
        max(CASE WHEN name = 'archive_price' THEN value END) AS archive_price,
        max(CASE WHEN name = 'bytes_per_gb' THEN value END) AS bytes_per_gb
    FROM ecr_parameters
),

placed AS (
    SELECT
        *,
        CASE
            WHEN effect = 'acts_now' THEN action || ' now'
            WHEN effect = 'acts_later' AND days_until_action <= 30 THEN action || ' later'
        END AS place
    FROM lifecycle_decisions
),

summed AS (
    SELECT
        registry_id,
        region,
        repository_name,
        count(*) AS images,
        count(CASE WHEN place = 'expire now' THEN 1 END) AS expiring_images,
        sum(CASE WHEN place = 'expire now' THEN bytes_upper_bound ELSE 0 END) AS expiring_bytes,
        count(CASE WHEN place = 'transition now' THEN 1 END) AS archiving_images,
        sum(CASE WHEN place = 'transition now' THEN bytes_upper_bound ELSE 0 END) AS archiving_bytes,
        count(CASE WHEN place = 'expire later' THEN 1 END) AS expiring_images_later,
        sum(CASE WHEN place = 'expire later' THEN bytes_upper_bound ELSE 0 END) AS expiring_bytes_later,
        count(CASE WHEN place = 'transition later' THEN 1 END) AS archiving_images_later,
        sum(CASE WHEN place = 'transition later' THEN bytes_upper_bound ELSE 0 END) AS archiving_bytes_later,
        sum(
            CASE
                WHEN place IS NOT NULL AND action = 'expire' AND storage_class = 'standard' THEN bytes_upper_bound ELSE 0
            END
        ) AS leaving_standard,
        sum(
            CASE
                WHEN place IS NOT NULL AND action = 'expire' AND storage_class = 'archive' THEN bytes_upper_bound ELSE 0
            END
        ) AS leaving_archive,
        count(CASE WHEN place IS NOT NULL AND is_held_by_index IS NULL THEN 1 END) AS perhaps_held_images,
        count(CASE WHEN effect = 'unknown' THEN 1 END) AS unknown_images,
        min(CASE WHEN policy_as_of < extracted_at THEN policy_as_of ELSE extracted_at END) AS as_of
    FROM placed
    GROUP BY registry_id, region, repository_name
)

SELECT
    summed.registry_id,
    summed.region,
    summed.repository_name,
    summed.images,
    summed.expiring_images,
    CAST(summed.expiring_bytes AS BIGINT) AS expiring_bytes_upper_bound,
    summed.archiving_images,
    CAST(summed.archiving_bytes AS BIGINT) AS archiving_bytes_upper_bound,
    summed.expiring_images_later AS expiring_images_in_30_days,
    CAST(summed.expiring_bytes_later AS BIGINT) AS expiring_bytes_in_30_days_upper_bound,
    summed.archiving_images_later AS archiving_images_in_30_days,
    CAST(summed.archiving_bytes_later AS BIGINT) AS archiving_bytes_in_30_days_upper_bound,
    CAST(
        (
            summed.leaving_standard * prices.storage_price
            + summed.leaving_archive * prices.archive_price
            + (summed.archiving_bytes + summed.archiving_bytes_later) * (prices.storage_price - prices.archive_price)
        ) / prices.bytes_per_gb AS DOUBLE
    ) AS usd_per_month_upper_bound,
    summed.perhaps_held_images,
    summed.unknown_images,
    summed.as_of
FROM summed
CROSS JOIN prices
