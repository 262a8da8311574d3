-- Which repositories pass the controls of AWS Security Hub and of good housekeeping, which fail, and of which is it
-- not known? A row for each control and repository; for each control and registry, where it is the registry that is
-- judged.
--
-- needs: repositories
-- region: The region of the registry; NULL for public repositories.
-- repository_name: The repository; NULL where the registry is judged.
-- control: ECR.1 to ECR.5 are Security Hub's (ECR.4 is of public repositories); the others are this project's.
-- title: What it asks for.
-- source: Whose control it is.
-- status: pass, fail, or unknown: what it needs was not read, or ECR does not tell it.
-- evidence: What it is judged by.
-- as_of: When that was read; NULL if it was never.

WITH controls AS (
    SELECT control, title, source
    FROM (
        VALUES
            ('ECR.1', 'ECR private repositories should have image scanning configured', 'AWS Security Hub'),
            ('ECR.2', 'ECR private repositories should have tag immutability configured', 'AWS Security Hub'),
            ('ECR.3', 'ECR repositories should have at least one lifecycle policy configured', 'AWS Security Hub'),
            ('ECR.5', 'ECR repositories should be encrypted with customer managed AWS KMS keys', 'AWS Security Hub'),
            ('kms_encrypted', 'The repository is encrypted with a KMS key', 'ecr-source'),
            ('tagged', 'The repository has resource tags', 'ecr-source'),
            ('tagged_images_expire', 'A lifecycle rule expires whatever is tagged, by number or age', 'ecr-source'),
            ('untagged_images_expire', 'A lifecycle rule expires untagged images', 'ecr-source')
    ) AS listed (control, title, source)
),

public_tags AS (
    SELECT
        registry_id,
        repository_name,
        string_agg(tag_key, ', ' ORDER BY tag_key) AS tag_keys
    FROM public_repository_tags
    WHERE tag_key NOT LIKE 'aws:%'
    GROUP BY registry_id, repository_name
),

registries AS (
    SELECT
        registry_id,
        region,
        max(CASE WHEN table_name = 'registry_replications' THEN complete_as_of END) AS complete_as_of
    FROM ecr_freshness
    WHERE table_name NOT LIKE 'public_%'
    GROUP BY registry_id, region
),

destinations AS (
    SELECT
        registry_id,
        region,
        string_agg(destination, ', ' ORDER BY destination) AS destinations
    FROM (
        SELECT DISTINCT registry_id, region, destination_registry_id || '/' || destination_region AS destination
        FROM replication_rule_destinations
    ) AS named
    GROUP BY registry_id, region
)

SELECT
    registry_id,
    region,
    repository_name,
    control,
    title,
    source,
    CASE control
        WHEN 'ECR.1' THEN CASE
            WHEN scan_frequency IN ('SCAN_ON_PUSH', 'CONTINUOUS_SCAN') THEN 'pass'
            WHEN scan_frequency IS NOT NULL THEN 'fail'
            ELSE 'unknown'
        END
        -- Security Hub passes IMMUTABLE, and nothing that has exceptions.
        -- https://docs.aws.amazon.com/securityhub/latest/userguide/ecr-controls.html
        WHEN 'ECR.2' THEN CASE
            WHEN image_tag_mutability = 'IMMUTABLE' THEN 'pass'
            WHEN image_tag_mutability IS NOT NULL THEN 'fail'
            ELSE 'unknown'
        END
        WHEN 'ECR.3' THEN CASE lifecycle_policy WHEN 'yes' THEN 'pass' WHEN 'no' THEN 'fail' ELSE 'unknown' END
        -- The default key of AWS, aws/ecr, comes with an ARN as any other; but another account's it cannot be.
        -- https://docs.aws.amazon.com/config/latest/developerguide/ecr-repository-cmk-encryption-enabled.html
        WHEN 'ECR.5' THEN CASE
            WHEN encryption_type = 'AES256' OR kms_key LIKE '%alias/aws/ecr' THEN 'fail'
            WHEN kms_key LIKE '%alias/%' THEN 'pass'
            WHEN kms_key LIKE 'arn:%:kms:%' AND kms_key NOT LIKE '%:' || registry_id || ':%' THEN 'pass'
            ELSE 'unknown'
        END
        WHEN 'kms_encrypted' THEN CASE
            WHEN encryption_type LIKE 'KMS%' THEN 'pass'
            WHEN encryption_type IS NOT NULL THEN 'fail'
            ELSE 'unknown'
        END
        WHEN 'tagged' THEN CASE WHEN tag_count > 0 THEN 'pass' WHEN tag_count = 0 THEN 'fail' ELSE 'unknown' END
        WHEN 'tagged_images_expire' THEN CASE
            WHEN has_tagged_cap THEN 'pass'
            WHEN NOT has_tagged_cap THEN 'fail'
            ELSE 'unknown'
        END
        ELSE CASE WHEN has_untagged_rule THEN 'pass' WHEN NOT has_untagged_rule THEN 'fail' ELSE 'unknown' END
    END AS status,
    CASE
        WHEN control = 'ECR.1' THEN coalesce(scan_frequency, 'the scanning configuration was not read')
        WHEN control = 'ECR.2' THEN coalesce(tag_mutability, 'ECR does not say')
        WHEN control IN ('ECR.5', 'kms_encrypted') THEN CASE
            WHEN encryption_type IS NULL THEN 'ECR does not say'
            WHEN kms_key IS NULL THEN encryption_type
            WHEN control = 'ECR.5' AND kms_key LIKE 'arn:%:' || registry_id || ':key/%'
                THEN encryption_type || ' with ' || kms_key || '; whose key that is, only kms:DescribeKey tells'
            ELSE encryption_type || ' with ' || kms_key
        END
        WHEN control = 'tagged' THEN CASE
            WHEN tags IS NULL THEN 'the tags were not read'
            WHEN tags = '' THEN 'no tags'
            WHEN tag_count = 0 THEN 'none but ' || tags
            ELSE tags
        END
        WHEN lifecycle_policy = 'unknown' THEN 'the lifecycle policy was not read'
        WHEN lifecycle_policy = 'no' THEN 'no lifecycle policy'
        WHEN control = 'ECR.3'
            THEN coalesce('lifecycle rules: ' || CAST(lifecycle_rule_count AS VARCHAR), 'a lifecycle policy')
        WHEN has_tagged_cap IS NULL THEN 'the rules of the lifecycle policy are not known'
        WHEN control = 'tagged_images_expire' AND NOT has_tagged_cap AND partial_tagged_caps > 0
            THEN 'only images with some tags expire'
        ELSE 'lifecycle rules: ' || CAST(lifecycle_rule_count AS VARCHAR)
    END AS evidence,
    CASE
        WHEN control = 'ECR.1' THEN scanning_as_of
        WHEN control IN ('ECR.2', 'ECR.5', 'kms_encrypted') THEN listed_as_of
        WHEN control = 'tagged' THEN tags_as_of
        ELSE lifecycle_as_of
    END AS as_of
FROM ecr_repository_settings
CROSS JOIN controls
UNION ALL
SELECT
    public_repositories.registry_id,
    NULL AS region,
    public_repositories.repository_name,
    'ECR.4' AS control,
    'ECR public repositories should be tagged' AS title,
    'AWS Security Hub' AS source,
    CASE
        WHEN asked.outcome IS NULL THEN 'unknown'
        WHEN public_tags.tag_keys IS NULL THEN 'fail'
        ELSE 'pass'
    END AS status,
    CASE WHEN asked.outcome IS NULL THEN 'the tags were not read' ELSE coalesce(public_tags.tag_keys, 'no tags') END
        AS evidence,
    asked.extracted_at AS as_of
FROM public_repositories
LEFT JOIN extraction_repositories AS asked
    ON asked.registry_id = public_repositories.registry_id
    AND asked.repository_name = public_repositories.repository_name
    AND asked.operation = 'ecr-public:ListTagsForResource'
LEFT JOIN public_tags
    ON public_tags.registry_id = public_repositories.registry_id
    AND public_tags.repository_name = public_repositories.repository_name
UNION ALL
SELECT
    registries.registry_id,
    registries.region,
    NULL AS repository_name,
    'replicated' AS control,
    'The registry replicates its images' AS title,
    'ecr-source' AS source,
    CASE
        WHEN registry_replications.replication_rule_count > 0 THEN 'pass'
        WHEN registry_replications.replication_rule_count = 0 THEN 'fail'
        ELSE 'unknown'
    END AS status,
    CASE
        WHEN registry_replications.replication_rule_count IS NULL THEN 'the replication rules were not read'
        WHEN registry_replications.replication_rule_count = 0 THEN 'no replication rules'
        ELSE coalesce('to ' || destinations.destinations, 'there are replication rules')
    END AS evidence,
    CASE
        WHEN registry_replications.replication_rule_count IS NOT NULL
            THEN greatest(registry_replications.extracted_at, registries.complete_as_of)
    END AS as_of
FROM registries
LEFT JOIN registry_replications USING (registry_id, region)
LEFT JOIN destinations USING (registry_id, region)
