-- Which images are stored more than once? A row for each digest that is in more than one repository, region or account.
--
-- needs: images
-- is_manifest_list: Whether it is an index: the images that it refers to have rows of their own, and it has no bytes.
-- places: In how many repositories it is, those of the same name in other regions and accounts counted as others.
-- accounts: In how many accounts it is.
-- regions: In how many regions it is.
-- repository_names: How many different names its repositories have.
-- archived_places: In how many repositories it is archived.
-- where_it_is: The places, as account/region/repository, with commas between.
-- first_pushed_at: When it was pushed to the first of them.
-- last_pushed_at: When it was pushed to the last of them.
-- image_size_in_bytes: Its size; of an index 0.
-- bytes_upper_bound: Its size, once for each place: no more than this is stored, because it shares layers with others.
-- bytes_beyond_first_upper_bound: The same without one place: what would be saved at most if it were stored once.
-- as_of: When the place was listed that was listed longest ago.

WITH several AS (
    SELECT image_digest
    FROM images
    GROUP BY image_digest
    HAVING count(*) > 1
)

SELECT
    images.image_digest,
    coalesce(max(CASE WHEN images.is_manifest_list THEN 1 END), 0) = 1 AS is_manifest_list,
    count(*) AS places,
    count(DISTINCT images.registry_id) AS accounts,
    count(DISTINCT images.region) AS regions,
    count(DISTINCT images.repository_name) AS repository_names,
    count(CASE WHEN images.image_status = 'ARCHIVED' THEN 1 END) AS archived_places,
    string_agg(
        images.registry_id || '/' || images.region || '/' || images.repository_name,
        ', ' ORDER BY images.registry_id || '/' || images.region || '/' || images.repository_name
    ) AS where_it_is,
    min(images.image_pushed_at) AS first_pushed_at,
    max(images.image_pushed_at) AS last_pushed_at,
    max(CASE WHEN images.is_manifest_list THEN 0 ELSE images.image_size_in_bytes END) AS image_size_in_bytes,
    CAST(sum(CASE WHEN images.is_manifest_list THEN 0 ELSE images.image_size_in_bytes END) AS BIGINT)
        AS bytes_upper_bound,
    CAST(
        sum(CASE WHEN images.is_manifest_list THEN 0 ELSE images.image_size_in_bytes END)
        - max(CASE WHEN images.is_manifest_list THEN 0 ELSE images.image_size_in_bytes END) AS BIGINT
    ) AS bytes_beyond_first_upper_bound,
    min(images.extracted_at) AS as_of
FROM images
JOIN several ON several.image_digest = images.image_digest
GROUP BY images.image_digest
