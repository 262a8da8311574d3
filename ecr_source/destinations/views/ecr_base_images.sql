-- Which images stand on an old base? A row for each image that can be run (no manifest lists, signatures or other
-- attachments), with the image of ours whose layers it begins with.
--
-- needs: images, image_layers
-- layer_count: How many layers it has; NULL where its manifest was not read.
-- base_state: found: its layers begin with all layers of another image, of which it has more. none: with those of no
--   image whose manifest was read. unknown: its own was not read, which takes the group manifests.
-- base_registry_id: The account of the base: of all images with whose layers it begins, the one with most. Where several
--   have the same layers, one of its own registry, and then of the repository that had them first; of several there, the
--   newest.
-- base_region: The region of the base.
-- base_repository_name: The repository of the base, which can be its own.
-- base_image_digest: The base.
-- base_image_tags: The tags of the base.
-- base_layer_count: How many layers the base has.
-- base_image_pushed_at: When the base was pushed.
-- base_is_newest: Whether no image that can be run was pushed to the repository of the base after it, of its platform
--   where an index of the repository tells which.
-- newer_base_images: How many were.
-- newest_base_image_digest: The newest of them; the base itself if it is.
-- newest_base_image_pushed_at: When that was pushed.
-- days_behind_newest_base: Days from the push of the base to that of the newest.
-- as_of: When the image was listed.

-- With each layer, all layers up to it, by half of each digest: 16 bytes, which no two layers share.
WITH beginnings AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        layer_index + 1 AS layers,
        count(*) OVER (PARTITION BY image_digest, repository_name, region, registry_id) AS layer_count,
        -- The key is written so that what differs comes first: Postgres sorts by it.
        string_agg(substr(layer_digest, 8, 32), '') OVER (
            PARTITION BY image_digest, repository_name, region, registry_id ORDER BY layer_index
        ) AS beginning
    FROM image_layers
),

wholes AS (
    SELECT registry_id, region, repository_name, image_digest, layer_count, beginning
    FROM beginnings
    WHERE layers = layer_count
),

-- Of the beginnings of an image that are images, the longest: texts that begin alike are ordered by their length.
longest AS (
    SELECT
        beginnings.registry_id,
        beginnings.region,
        beginnings.repository_name,
        beginnings.image_digest,
        max(beginnings.beginning) AS beginning
    FROM beginnings
    JOIN (SELECT DISTINCT beginning FROM wholes) AS whole USING (beginning)
    WHERE beginnings.layers < beginnings.layer_count
    GROUP BY beginnings.registry_id, beginnings.region, beginnings.repository_name, beginnings.image_digest
),

bases AS (
    SELECT wholes.*
    FROM wholes
    JOIN (SELECT DISTINCT beginning FROM longest) AS used USING (beginning)
),

pushes AS (
    SELECT
        images_by_kind.registry_id,
        images_by_kind.region,
        images_by_kind.repository_name,
        images_by_kind.image_digest,
        images_by_kind.image_tags,
        images_by_kind.image_pushed_at,
        rank() OVER newest_first - 1 AS newer_images,
        first_value(images_by_kind.image_digest) OVER newest_first AS newest_image_digest,
        first_value(images_by_kind.image_pushed_at) OVER newest_first AS newest_image_pushed_at
    FROM images_by_kind
    JOIN (SELECT DISTINCT registry_id, region, repository_name FROM bases) AS used
        USING (registry_id, region, repository_name)
    LEFT JOIN image_platforms USING (registry_id, region, repository_name, image_digest)
    WHERE images_by_kind.kind = 'image' AND images_by_kind.image_pushed_at IS NOT NULL
    WINDOW newest_first AS (
        PARTITION BY
            images_by_kind.registry_id,
            images_by_kind.region,
            images_by_kind.repository_name,
            image_platforms.platform
        ORDER BY images_by_kind.image_pushed_at DESC
    )
),

pushed_bases AS (
    SELECT
        pushes.*,
        bases.layer_count,
        bases.beginning,
        min(pushes.image_pushed_at) OVER (
            PARTITION BY bases.beginning, pushes.registry_id, pushes.region, pushes.repository_name
        ) AS first_pushed_at
    FROM bases
    JOIN pushes USING (registry_id, region, repository_name, image_digest)
),

numbered AS (
    SELECT
        *,
        row_number() OVER (
            ORDER BY first_pushed_at, registry_id, region, repository_name, image_pushed_at DESC, image_digest
        ) AS place
    FROM pushed_bases
),

firsts AS (
    SELECT beginning, registry_id, region, min(place) AS place
    FROM numbered
    GROUP BY beginning, registry_id, region
),

-- One join by one column: Postgres takes the bases for a single row, and would go through them all for each image.
found AS (
    SELECT
        longest.registry_id,
        longest.region,
        longest.repository_name,
        longest.image_digest,
        coalesce(
            min(CASE WHEN firsts.registry_id = longest.registry_id AND firsts.region = longest.region THEN place END),
            min(firsts.place)
        ) AS place
    FROM longest
    JOIN firsts ON firsts.beginning = longest.beginning
    GROUP BY longest.registry_id, longest.region, longest.repository_name, longest.image_digest
)

SELECT
    images_by_kind.registry_id,
    images_by_kind.region,
    images_by_kind.repository_name,
    images_by_kind.image_digest,
    images_by_kind.image_tags,
    images_by_kind.image_pushed_at,
    images_by_kind.days_since_push,
    images_by_kind.is_newest,
    coalesce(wholes.layer_count, image_manifests.layer_count) AS layer_count,
    CASE
        WHEN numbered.image_digest IS NOT NULL THEN 'found'
        WHEN coalesce(wholes.layer_count, image_manifests.layer_count) IS NOT NULL THEN 'none'
        ELSE 'unknown'
    END AS base_state,
    numbered.registry_id AS base_registry_id,
    numbered.region AS base_region,
    numbered.repository_name AS base_repository_name,
    numbered.image_digest AS base_image_digest,
    numbered.image_tags AS base_image_tags,
    numbered.layer_count AS base_layer_count,
    numbered.image_pushed_at AS base_image_pushed_at,
    numbered.newer_images = 0 AS base_is_newest,
    numbered.newer_images AS newer_base_images,
    numbered.newest_image_digest AS newest_base_image_digest,
    numbered.newest_image_pushed_at AS newest_base_image_pushed_at,
    CAST(
        floor(
            (extract(epoch FROM numbered.newest_image_pushed_at) - extract(epoch FROM numbered.image_pushed_at)) / 86400
        ) AS BIGINT
    ) AS days_behind_newest_base,
    image_uses.in_use,
    images_by_kind.extracted_at AS as_of
FROM images_by_kind
LEFT JOIN wholes USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_manifests USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
LEFT JOIN found USING (registry_id, region, repository_name, image_digest)
LEFT JOIN numbered ON numbered.place = found.place
WHERE images_by_kind.kind = 'image'
