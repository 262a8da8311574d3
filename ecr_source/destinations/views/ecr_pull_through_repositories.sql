-- Which repositories does a pull through cache fill, and are they still pulled from? A row for each repository whose
-- name a pull-through cache rule takes, and for each one of a registry whose rules were not read.
--
-- needs: repositories
-- is_pull_through: true, or NULL where the rules of the registry were not read.
-- ecr_repository_prefix: The rule with the longest prefix that takes it; NULL where the rules were not read.
-- upstream_repository: Where its images come from.
-- image_bytes_upper_bound: The sizes of its images together, manifest lists left out: no more than this is stored,
--   because images share layers. NULL where they were not read.
-- last_pushed_at: When an image of it came from upstream last; NULL if there is none, or they were not read.
-- in_use: Whether an image of it runs anywhere that Inspector looks at; NULL where that is not known.
-- in_use_as_of: When the oldest of the findings was read that say so; NULL where none does.
-- as_of: When its images or the rules were read, whichever is older; NULL where one of them was not.

WITH rules_read AS (
    SELECT registry_id, region, complete_as_of FROM ecr_freshness
    WHERE table_name = 'pull_through_cache_rules' AND complete_as_of IS NOT NULL
),

-- A slash is assumed at the end of each prefix, and ROOT takes what no other rule takes:
-- https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-private-wildcards.html
taken AS (
    SELECT
        repositories.registry_id,
        repositories.region,
        repositories.repository_name,
        pull_through_cache_rules.ecr_repository_prefix,
        pull_through_cache_rules.upstream_registry_url,
        CASE
            WHEN pull_through_cache_rules.ecr_repository_prefix = 'ROOT' THEN repositories.repository_name
            WHEN coalesce(pull_through_cache_rules.upstream_repository_prefix, 'ROOT') = 'ROOT'
                THEN substr(repositories.repository_name, length(pull_through_cache_rules.ecr_repository_prefix) + 2)
            ELSE pull_through_cache_rules.upstream_repository_prefix
                || substr(repositories.repository_name, length(pull_through_cache_rules.ecr_repository_prefix) + 1)
        END AS upstream_name,
        row_number() OVER (
            PARTITION BY repositories.registry_id, repositories.region, repositories.repository_name
            ORDER BY
                CASE
                    WHEN pull_through_cache_rules.ecr_repository_prefix = 'ROOT' THEN 0
                    ELSE length(pull_through_cache_rules.ecr_repository_prefix)
                END DESC
        ) AS position
    FROM repositories
    JOIN pull_through_cache_rules
        ON pull_through_cache_rules.registry_id = repositories.registry_id
        AND pull_through_cache_rules.region = repositories.region
        AND (
            pull_through_cache_rules.ecr_repository_prefix = 'ROOT'
            OR substr(repositories.repository_name, 1, length(pull_through_cache_rules.ecr_repository_prefix) + 1)
                = pull_through_cache_rules.ecr_repository_prefix || '/'
        )
),

uses AS (
    SELECT
        registry_id,
        region,
        repository_name,
        max(in_use_count) > 0 AS in_use,
        min(in_use_as_of) AS in_use_as_of
    FROM image_uses
    GROUP BY registry_id, region, repository_name
)

SELECT
    repository_contents.registry_id,
    repository_contents.region,
    repository_contents.repository_name,
    CASE WHEN taken.repository_name IS NOT NULL THEN true END AS is_pull_through,
    taken.ecr_repository_prefix,
    taken.upstream_registry_url,
    taken.upstream_registry_url || '/' || taken.upstream_name AS upstream_repository,
    repository_contents.images,
    repository_contents.bytes_upper_bound AS image_bytes_upper_bound,
    repository_contents.last_pushed_at,
    repository_contents.days_since_push,
    repository_contents.last_pulled_at,
    repository_contents.days_since_pull,
    uses.in_use,
    uses.in_use_as_of,
    CASE
        WHEN repository_contents.images_as_of IS NOT NULL AND rules_read.complete_as_of IS NOT NULL
            THEN least(repository_contents.images_as_of, rules_read.complete_as_of)
    END AS as_of
FROM repository_contents
LEFT JOIN taken
    ON taken.registry_id = repository_contents.registry_id
    AND taken.region = repository_contents.region
    AND taken.repository_name = repository_contents.repository_name
    AND taken.position = 1
LEFT JOIN rules_read
    ON rules_read.registry_id = repository_contents.registry_id
    AND rules_read.region = repository_contents.region
LEFT JOIN uses
    ON uses.registry_id = repository_contents.registry_id
    AND uses.region = repository_contents.region
    AND uses.repository_name = repository_contents.repository_name
WHERE taken.repository_name IS NOT NULL OR rules_read.registry_id IS NULL
