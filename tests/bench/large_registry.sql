-- A registry as it lies in DuckDB after a load of the default groups, and of the manifests of its indexes: two accounts
-- in two regions, repositories of very different sizes, a tenth of the images signed or attached to others.
--
-- Variables: `repositories`, `images`, `findings`, `now`.
--
-- Images come in tens. In half of the tens there are an index, its two children, a signature of it by a tag, and an
-- SBOM that is attached to an image; all others are images. What is in both regions is told by `source`.

CREATE TEMP TABLE scopes AS
SELECT
    scope,
    CASE WHEN scope < 2 THEN '111111111111' ELSE '222222222222' END AS registry_id,
    CASE WHEN scope % 2 = 0 THEN 'eu-west-1' ELSE 'us-east-1' END AS region
FROM range(4) AS numbers (scope);

CREATE TEMP TABLE numbered_repositories AS
SELECT scopes.*, number, 'team-' || number % 97 || '/service-' || number AS repository_name
FROM range(getvariable('repositories') // 4) AS numbers (number)
CROSS JOIN scopes;

-- Of the square of a random number: the first repository has a hundred times as many images as the last.
CREATE TEMP TABLE numbered_images AS
WITH tens AS (
    SELECT
        image,
        image % 10 AS place,
        image // 20 AS pair,
        image // 10 % 2 AS half,
        (image // 20) % 2 AS account,
        (image // 40) % 2 = 0 AS has_index,
        (image // 80) % 5 = 0 AS is_replicated,
        CAST(
            (getvariable('repositories') // 4) * power((hash(image // 20) % 1000000) / 1000000.0, 2) AS BIGINT
        ) AS number
    FROM range(getvariable('images')) AS numbers (image)
),

digests AS (
    SELECT
        *,
        'sha256:' || sha256(
            CASE WHEN is_replicated THEN 'both ' || pair || ' ' || place ELSE 'one ' || image END
        ) AS image_digest
    FROM tens
)

SELECT
    numbered_repositories.registry_id,
    numbered_repositories.region,
    numbered_repositories.repository_name,
    digests.image_digest,
    image,
    place,
    CASE
        WHEN NOT has_index OR place > 4 THEN 'image'
        WHEN place = 0 THEN 'index'
        WHEN place < 3 THEN 'child'
        WHEN place = 3 THEN 'signature'
        ELSE 'sbom'
    END AS is_a,
    digests.image // 10 AS ten,
    getvariable('now') - to_minutes(CAST(hash(pair) % 1000000 + place AS BIGINT)) AS image_pushed_at,
    hash(digests.image) % 100 AS percent
FROM digests
JOIN numbered_repositories
    ON numbered_repositories.number = least(digests.number, getvariable('repositories') // 4 - 1)
    AND numbered_repositories.scope = 2 * digests.account + digests.half
ORDER BY ALL;

INSERT INTO aws_ecr.repositories BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    'arn:aws:ecr:' || region || ':' || registry_id || ':repository/' || repository_name AS repository_arn,
    'aws' AS partition,
    'team-' || number % 97 AS namespace,
    registry_id || '.dkr.ecr.' || region || '.amazonaws.com/' || repository_name AS repository_uri,
    getvariable('now') - INTERVAL 3 YEARS AS created_at,
    CASE number % 3 WHEN 0 THEN 'MUTABLE' WHEN 1 THEN 'IMMUTABLE' ELSE 'IMMUTABLE_WITH_EXCLUSION' END
        AS image_tag_mutability,
    number % 2 = 0 AS scan_on_push,
    CASE number % 4 WHEN 0 THEN 'KMS' ELSE 'AES256' END AS encryption_type,
    CASE number % 4 WHEN 0 THEN 'arn:aws:kms:' || region || ':' || registry_id || ':key/' || md5('key') END AS kms_key,
    getvariable('now') AS extracted_at
FROM numbered_repositories;

INSERT INTO aws_ecr.repository_tag_mutability_exclusion_filters BY NAME
SELECT registry_id, region, repository_name, 'WILDCARD' AS filter_type, filter, getvariable('now') AS extracted_at
FROM numbered_repositories
CROSS JOIN (VALUES ('dev-*'), ('latest')) AS filters (filter)
WHERE number % 3 = 2;

INSERT INTO aws_ecr.repository_tags BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    tag_key,
    CASE tag_key WHEN 'team' THEN 'team-' || number % 97 ELSE 'cost-' || number % 11 END AS tag_value,
    getvariable('now') AS extracted_at
FROM numbered_repositories
CROSS JOIN (VALUES ('team'), ('cost-centre')) AS tags (tag_key)
WHERE number % 5 > 0;

INSERT INTO aws_ecr.repository_scanning_configurations BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    number % 2 = 0 AS scan_on_push,
    CASE WHEN registry_id < '2' THEN 'SCAN_ON_PUSH' ELSE 'CONTINUOUS_SCAN' END AS scan_frequency,
    getvariable('now') AS extracted_at
FROM numbered_repositories;

INSERT INTO aws_ecr.images BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    CASE is_a WHEN 'index' THEN 0 WHEN 'signature' THEN 1000 ELSE 20000000 + hash(image, 'size') % 400000000 END
        AS image_size_in_bytes,
    image_pushed_at,
    CASE
        WHEN is_a IN ('child', 'sbom') OR place = 9 THEN 0
        WHEN is_a = 'image' AND place = 8 THEN CASE ten % 5 WHEN 0 THEN 3 ELSE 2 END
        ELSE 1
    END AS tag_count,
    CASE is_a
        WHEN 'index' THEN 'application/vnd.oci.image.index.v1+json'
        ELSE 'application/vnd.oci.image.manifest.v1+json'
    END AS image_manifest_media_type,
    CASE
        WHEN is_a = 'sbom' THEN 'application/spdx+json'
        WHEN is_a <> 'index' THEN 'application/vnd.oci.image.config.v1+json'
    END AS artifact_media_type,
    is_a = 'index' AS is_manifest_list,
    CASE WHEN is_a = 'sbom' THEN lead(image_digest) OVER (ORDER BY image) END AS subject_manifest_digest,
    CASE WHEN percent < 70 THEN image_pushed_at + to_hours(CAST(percent AS BIGINT)) END AS last_recorded_pull_time,
    CASE WHEN percent >= 95 THEN 'ARCHIVED' ELSE 'ACTIVE' END AS image_status,
    getvariable('now') AS extracted_at
FROM numbered_images
ORDER BY registry_id, region, repository_name, image;

INSERT INTO aws_ecr.image_tags BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    image_pushed_at,
    getvariable('now') AS extracted_at,
    CASE
        WHEN is_a = 'signature'
            THEN replace(lag(image_digest, 3) OVER (ORDER BY image, tag_number), ':', '-') || '.sig'
        ELSE 'v' || ten || '.' || place || '.' || tag_number
    END AS image_tag
FROM numbered_images
JOIN range(3) AS tags (tag_number)
    ON tag_number = 0 OR (is_a = 'image' AND place = 8 AND (tag_number = 1 OR ten % 5 = 0))
-- What has no tag is in the window, but not in the table.
QUALIFY is_a NOT IN ('child', 'sbom') AND place <> 9
ORDER BY registry_id, region, repository_name, image;

UPDATE aws_ecr.images
SET image_tags = lists.image_tags
FROM (
    SELECT repository_name, region, registry_id, image_digest,
        string_agg(image_tag, ', ' ORDER BY image_tag) AS image_tags
    FROM aws_ecr.image_tags
    GROUP BY ALL
) AS lists
WHERE lists.registry_id = images.registry_id
    AND lists.region = images.region
    AND lists.repository_name = images.repository_name
    AND lists.image_digest = images.image_digest;

INSERT INTO aws_ecr.image_manifest_children BY NAME
SELECT
    children.registry_id,
    children.region,
    children.repository_name,
    indexes.image_digest,
    children.image_digest AS child_digest,
    'application/vnd.oci.image.manifest.v1+json' AS media_type,
    CASE children.place WHEN 1 THEN 'amd64' ELSE 'arm64' END AS architecture,
    'linux' AS os,
    false AS is_attestation,
    getvariable('now') AS extracted_at
FROM numbered_images AS children
JOIN numbered_images AS indexes ON indexes.ten = children.ten AND indexes.is_a = 'index'
WHERE children.is_a = 'child'
ORDER BY ALL;

INSERT INTO aws_ecr.image_manifests BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    'application/vnd.oci.image.index.v1+json' AS manifest_media_type,
    2 AS schema_version,
    getvariable('now') AS extracted_at
FROM numbered_images
WHERE is_a = 'index'
ORDER BY ALL;

INSERT INTO aws_ecr.image_scans BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    CASE
        WHEN is_a IN ('image', 'child') AND percent < 95 THEN 'complete'
        WHEN is_a IN ('image', 'child') THEN 'archived'
        ELSE 'unsupported'
    END AS fetch_outcome,
    CASE
        WHEN is_a NOT IN ('image', 'child') THEN 'UNSUPPORTED_IMAGE'
        WHEN registry_id < '2' THEN 'COMPLETE'
        ELSE 'ACTIVE'
    END AS scan_status,
    CASE WHEN is_a IN ('image', 'child') THEN image_pushed_at + INTERVAL 5 MINUTES END AS scan_completed_at,
    CASE WHEN is_a IN ('image', 'child') AND registry_id < '2' THEN percent % 3 END AS critical_count,
    CASE WHEN is_a IN ('image', 'child') AND registry_id < '2' THEN percent % 7 END AS high_count,
    CASE WHEN is_a IN ('image', 'child') AND registry_id < '2' THEN percent % 11 END AS medium_count,
    CASE WHEN is_a IN ('image', 'child') AND registry_id < '2' THEN percent % 13 END AS low_count,
    getvariable('now') AS extracted_at
FROM numbered_images
ORDER BY registry_id, region, repository_name, image;

-- Six places of ten have findings, of a vulnerability in one package and of the next in another.
CREATE TEMP TABLE numbered_findings AS
SELECT *, (image * 7 + finding * 2503) % 5000 AS vulnerability
FROM (
    SELECT
        finding,
        CAST(finding % (getvariable('images') * 6 // 10) AS BIGINT) AS nth,
        nth // 6 * 10 + [1, 2, 5, 6, 7, 8][nth % 6 + 1] AS image
    FROM range(getvariable('findings')) AS numbers (finding)
) AS numbered;

INSERT INTO aws_ecr.image_scan_findings BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    'finding-' || finding AS finding_id,
    CASE WHEN registry_id < '2' THEN '' ELSE 'package-' || vulnerability % 500 END AS package_id,
    CASE WHEN registry_id < '2' THEN 'basic' ELSE 'enhanced' END AS scan_kind,
    'CVE-' || 2019 + vulnerability % 7 || '-' || 10000 + vulnerability AS vulnerability_id,
    ['CRITICAL', 'HIGH', 'HIGH', 'MEDIUM', 'MEDIUM', 'MEDIUM', 'LOW', 'LOW', 'INFORMATIONAL', 'UNTRIAGED'][
        vulnerability % 10 + 1
    ] AS severity,
    'CVE-' || 2019 + vulnerability % 7 || '-' || 10000 + vulnerability || ' - package-' || vulnerability % 500 AS title,
    repeat('What an attacker may do with it, and where. ', 5) || vulnerability AS description,
    'https://nvd.nist.gov/vuln/detail/CVE-' || 2019 + vulnerability % 7 || '-' || 10000 + vulnerability AS uri,
    'package-' || vulnerability % 500 AS package_name,
    '1.' || vulnerability % 4 || '.' || image % 5 AS package_version,
    CASE WHEN vulnerability % 4 > 0 THEN '1.' || vulnerability % 4 || '.9' ELSE 'NotAvailable' END AS fixed_in_version,
    CASE WHEN registry_id > '2' THEN 'OS' END AS package_manager,
    CASE WHEN registry_id > '2' THEN 'YES' END AS fix_available,
    CASE WHEN registry_id > '2' THEN CASE WHEN vulnerability % 20 = 0 THEN 'YES' ELSE 'NO' END END AS exploit_available,
    vulnerability % 100 / 10.0 AS cvss3_score,
    CASE WHEN registry_id > '2' THEN CASE WHEN vulnerability % 50 = 0 THEN 'SUPPRESSED' ELSE 'ACTIVE' END END AS status,
    CASE WHEN registry_id > '2' THEN image_pushed_at + INTERVAL 5 MINUTES END AS first_observed_at,
    CASE WHEN registry_id > '2' THEN CASE WHEN percent < 20 THEN percent ELSE 0 END END AS in_use_count,
    CASE WHEN registry_id > '2' AND percent < 20 THEN getvariable('now') - INTERVAL 1 HOUR END AS last_in_use_at,
    getvariable('now') AS extracted_at
FROM numbered_findings
JOIN numbered_images USING (image)
ORDER BY registry_id, region, repository_name, image, finding;

INSERT INTO aws_ecr.extraction_images BY NAME
SELECT
    registry_id,
    region,
    CASE WHEN registry_id < '2' THEN 'ecr:DescribeImageScanFindings' ELSE 'inspector2:ListCoverage' END AS operation,
    repository_name,
    image_digest,
    CASE
        WHEN is_a IN ('image', 'child') AND percent < 95 THEN 'complete'
        WHEN is_a IN ('image', 'child') THEN 'archived'
        ELSE 'unsupported'
    END AS outcome,
    'image_scans image_scan_findings' AS for_tables,
    image_pushed_at,
    getvariable('now') AS extracted_at
FROM numbered_images
UNION ALL
SELECT
    registry_id,
    region,
    'ecr:BatchGetImage' AS operation,
    repository_name,
    image_digest,
    'complete' AS outcome,
    'image_manifests image_manifest_children' AS for_tables,
    image_pushed_at,
    getvariable('now') AS extracted_at
FROM numbered_images
WHERE is_a = 'index'
ORDER BY ALL;

INSERT INTO aws_ecr.policies BY NAME
SELECT
    'repository' AS owner_type,
    registry_id,
    region,
    repository_name AS owner_name,
    '2012-10-17' AS policy_version,
    3 AS statement_count,
    '{"Version": "2012-10-17", "Statement": []}' AS policy_text,
    getvariable('now') AS extracted_at
FROM numbered_repositories
WHERE number % 4 > 0;

CREATE TEMP TABLE written_statements AS
SELECT * FROM (
    VALUES
        (0, 'pull', 'Allow', 'arn:aws:iam::333333333333:root', '333333333333', 'ecr:BatchGetImage'),
        (0, 'pull', 'Allow', 'arn:aws:iam::333333333333:root', '333333333333', 'ecr:GetDownloadUrlForLayer'),
        (1, 'push', 'Allow', 'arn:aws:iam::444444444444:role/ci', '444444444444', 'ecr:Put*'),
        (2, 'guard', 'Deny', '*', NULL, 'ecr:DeleteRepository')
) AS written (statement_index, sid, effect, principal, principal_account_id, action);

INSERT INTO aws_ecr.policy_statements BY NAME
SELECT DISTINCT
    owner_type, registry_id, region, owner_name, statement_index, sid, effect, false AS is_public, extracted_at
FROM aws_ecr.policies
CROSS JOIN written_statements;

INSERT INTO aws_ecr.policy_statement_principals BY NAME
SELECT DISTINCT
    owner_type,
    registry_id,
    region,
    owner_name,
    statement_index,
    false AS negated,
    CASE principal WHEN '*' THEN '*' ELSE 'AWS' END AS principal_type,
    principal,
    principal_account_id,
    extracted_at
FROM aws_ecr.policies
CROSS JOIN written_statements;

INSERT INTO aws_ecr.policy_statement_actions BY NAME
SELECT owner_type, registry_id, region, owner_name, statement_index, false AS negated, action, extracted_at
FROM aws_ecr.policies
CROSS JOIN written_statements;

INSERT INTO aws_ecr.lifecycle_policies BY NAME
SELECT
    registry_id,
    region,
    repository_name,
    2 AS rule_count,
    '{"rules": []}' AS lifecycle_policy_text,
    getvariable('now') AS extracted_at
FROM numbered_repositories
WHERE number % 3 > 0;

INSERT INTO aws_ecr.lifecycle_policy_rules BY NAME
SELECT
    'repository' AS owner_type,
    registry_id,
    region,
    repository_name AS owner_name,
    rule_priority,
    CASE rule_priority WHEN 1 THEN 'untagged' ELSE 'any' END AS tag_status,
    CASE rule_priority WHEN 1 THEN 'sinceImagePushed' ELSE 'imageCountMoreThan' END AS count_type,
    CASE rule_priority WHEN 1 THEN 'days' END AS count_unit,
    CASE rule_priority WHEN 1 THEN 14 ELSE 500 END AS count_number,
    'expire' AS action_type,
    extracted_at
FROM aws_ecr.lifecycle_policies
CROSS JOIN (VALUES (1), (2)) AS rules (rule_priority);

INSERT INTO aws_ecr.extraction_repositories BY NAME
SELECT
    registry_id,
    region,
    operation,
    repository_name,
    CASE
        WHEN operation = 'ecr:GetRepositoryPolicy' AND number % 4 = 0 THEN 'no_policy'
        WHEN operation = 'ecr:GetLifecyclePolicy' AND number % 3 = 0 THEN 'no_policy'
        ELSE 'complete'
    END AS outcome,
    getvariable('now') AS extracted_at
FROM numbered_repositories
CROSS JOIN (
    VALUES
        ('ecr:DescribeImages'),
        ('ecr:GetRepositoryPolicy'),
        ('ecr:GetLifecyclePolicy'),
        ('ecr:BatchGetRepositoryScanningConfiguration'),
        ('ecr:ListTagsForResource')
) AS operations (operation);

INSERT INTO aws_ecr.registry_scanning_configurations BY NAME
SELECT
    registry_id,
    region,
    CASE WHEN registry_id < '2' THEN 'BASIC' ELSE 'ENHANCED' END AS scan_type,
    1 AS scanning_rule_count,
    getvariable('now') AS extracted_at
FROM scopes;

INSERT INTO aws_ecr.pull_through_cache_rules BY NAME
SELECT
    registry_id,
    region,
    'team-' || number AS ecr_repository_prefix,
    'docker-hub' AS upstream_registry,
    'registry-1.docker.io' AS upstream_registry_url,
    getvariable('now') AS created_at,
    getvariable('now') AS extracted_at
FROM scopes
CROSS JOIN range(5) AS numbers (number);

INSERT INTO aws_ecr.repository_creation_templates BY NAME
SELECT
    registry_id,
    region,
    CASE number WHEN 0 THEN 'ROOT' ELSE 'team-' || number END AS prefix,
    'AES256' AS encryption_type,
    'IMMUTABLE' AS image_tag_mutability,
    getvariable('now') - INTERVAL 1 YEAR AS created_at,
    getvariable('now') AS extracted_at
FROM scopes
CROSS JOIN range(20) AS numbers (number);

INSERT INTO aws_ecr.repository_creation_template_resource_tags BY NAME
SELECT registry_id, region, prefix, 'team' AS tag_key, 'platform' AS tag_value, extracted_at
FROM aws_ecr.repository_creation_templates;

INSERT INTO aws_ecr.extraction_scopes BY NAME
SELECT
    '1700000000.5' AS run_id,
    table_name,
    registry_id,
    region,
    'snapshot' AS mode,
    'complete' AS status,
    1 AS "rows",
    getvariable('now') AS started_at,
    getvariable('now') AS finished_at
FROM scopes
CROSS JOIN (
    SELECT table_name FROM duckdb_tables()
    WHERE schema_name = 'aws_ecr' AND table_name NOT LIKE 'extraction_%' AND table_name NOT LIKE 'public_%'
) AS tables;
