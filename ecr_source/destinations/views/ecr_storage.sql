-- How much is stored, what does it cost a month, and which repositories come near the quota? A row for each repository.
--
-- needs: repositories
-- share_of_quota: How much of the quota `images_per_repository` (ecr_parameters) they are, 1 being all of it.
-- exact_bytes: The sizes of the layers and configurations of its images, each once; NULL unless the manifests of all
--   are there, which takes the group manifests. Layers that other repositories share are counted in each.
-- usd_per_month_upper_bound: What `bytes_upper_bound` costs, by the prices of ecr_parameters. That of archived images is
--   the mean of archive_price and archive_price_beyond for what all of the registry's take (upper bounds).
-- usd_per_month: What `exact_bytes` costs by these; a layer is archived if all of its images are.
-- as_of: When its images were read; NULL where they were not.

WITH undescribed AS (
    SELECT images.registry_id, images.region, images.repository_name, count(*) AS images
    FROM images
    LEFT JOIN image_manifests USING (registry_id, region, repository_name, image_digest)
    WHERE NOT coalesce(images.is_manifest_list, false)
        AND (image_manifests.image_digest IS NULL OR image_manifests.parse_error IS NOT NULL)
    GROUP BY images.registry_id, images.region, images.repository_name
),

named_blobs AS (
    SELECT registry_id, region, repository_name, image_digest, layer_digest AS digest, size_in_bytes FROM image_layers
    UNION ALL
    SELECT registry_id, region, repository_name, image_digest, config_digest AS digest, config_size_in_bytes
        AS size_in_bytes
    FROM image_manifests
    WHERE config_digest IS NOT NULL
),

blobs AS (
    SELECT
        images.registry_id,
        images.region,
        images.repository_name,
        max(named_blobs.size_in_bytes) AS size_in_bytes,
        max(CASE WHEN images.image_status = 'ARCHIVED' THEN 0 ELSE 1 END) AS active
    FROM named_blobs
    JOIN images USING (registry_id, region, repository_name, image_digest)
    GROUP BY images.registry_id, images.region, images.repository_name, named_blobs.digest
),

exact AS (
    SELECT
        registry_id,
        region,
        repository_name,
        sum(CASE WHEN active = 1 THEN size_in_bytes ELSE 0 END) AS active_bytes,
        sum(CASE WHEN active = 0 THEN size_in_bytes ELSE 0 END) AS archived_bytes,
        count(*) - count(size_in_bytes) AS without_size
    FROM blobs
    GROUP BY registry_id, region, repository_name
),

prices AS (
    SELECT
        max(CASE WHEN name = 'storage_price' THEN value END) AS storage_price,
        max(CASE WHEN name = 'archive_price' THEN value END) AS archive_price,
        max(CASE WHEN name = 'archive_price_beyond' THEN value END) AS archive_price_beyond,
        max(CASE WHEN name = 'archive_price_up_to' THEN value * 1024 END) AS archive_gb_up_to,
        nullif(max(CASE WHEN name = 'bytes_per_gb' THEN value END), 0) AS bytes_per_gb,
        nullif(max(CASE WHEN name = 'images_per_repository' THEN value END), 0) AS images_per_repository
    FROM ecr_parameters
),

archived AS (
    SELECT images.registry_id, images.region, sum(images.image_size_in_bytes) / max(prices.bytes_per_gb) AS gb
    FROM images
    CROSS JOIN prices
    WHERE images.image_status = 'ARCHIVED' AND NOT coalesce(images.is_manifest_list, false)
    GROUP BY images.registry_id, images.region
),

archive_prices AS (
    SELECT
        archived.registry_id,
        archived.region,
        (
            least(archived.gb, prices.archive_gb_up_to) * prices.archive_price
            + greatest(archived.gb - prices.archive_gb_up_to, 0) * prices.archive_price_beyond
        ) / nullif(archived.gb, 0) AS archive_price
    FROM archived
    CROSS JOIN prices
),

known AS (
    SELECT
        repository_contents.*,
        repository_contents.images IS NOT NULL
            AND undescribed.images IS NULL
            AND coalesce(exact.without_size, 0) = 0 AS is_exact,
        CAST(coalesce(exact.active_bytes, 0) AS BIGINT) AS exact_active_bytes,
        CAST(coalesce(exact.archived_bytes, 0) AS BIGINT) AS exact_archived_bytes,
        coalesce(archive_prices.archive_price, prices.archive_price) AS archive_price
    FROM repository_contents
    CROSS JOIN prices
    LEFT JOIN undescribed USING (registry_id, region, repository_name)
    LEFT JOIN exact USING (registry_id, region, repository_name)
    LEFT JOIN archive_prices USING (registry_id, region)
)

SELECT
    known.registry_id,
    known.region,
    known.repository_name,
    known.images,
    CAST(known.images AS DOUBLE) / prices.images_per_repository AS share_of_quota,
    known.manifest_lists,
    known.tagged_images,
    known.untagged_images,
    known.archived_images,
    known.tagged_bytes_upper_bound,
    known.untagged_bytes_upper_bound,
    known.archived_bytes_upper_bound,
    known.bytes_upper_bound,
    CASE WHEN known.is_exact THEN known.exact_active_bytes + known.exact_archived_bytes END AS exact_bytes,
    CAST(
        (
            (known.tagged_bytes_upper_bound + known.untagged_bytes_upper_bound) * prices.storage_price
            + known.archived_bytes_upper_bound * known.archive_price
        ) / prices.bytes_per_gb AS DOUBLE
    ) AS usd_per_month_upper_bound,
    CASE
        WHEN known.is_exact
            THEN CAST(
                (known.exact_active_bytes * prices.storage_price + known.exact_archived_bytes * known.archive_price)
                / prices.bytes_per_gb AS DOUBLE
            )
    END AS usd_per_month,
    known.last_pushed_at,
    known.days_since_push,
    known.images_as_of AS as_of
FROM known
CROSS JOIN prices
