-- Which packages are vulnerable, in how many images, and for how long? A row for each version of a package with an open
-- finding. What was not scanned has none: ecr_scan_coverage.
--
-- needs: image_scan_findings
-- package_name: The name of the package; NULL where a finding names none.
-- package_manager: What it was installed with; NULL where that is not told, as by basic scanning.
-- images: In how many images it is found.
-- repositories: In how many repositories these are.
-- worst_severity: The worst severity of its vulnerabilities; UNTRIAGED, which may be any, stands below LOW.
-- vulnerabilities: How many vulnerabilities it has.
-- fixable_vulnerabilities: How many of them are fixed in a version that is known.
-- fixed_in_version: The versions in which they are fixed, with commas between; NULL if none is known.
-- oldest_first_observed_at: When the oldest of its findings was first seen; NULL where that is not told, as by basic
--   scanning.
-- mean_age_in_days: Days since its findings were first seen, on average of those that tell.
-- as_of: When the oldest of its findings was read.

WITH open_findings AS NOT MATERIALIZED (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        package_name,
        package_version,
        package_manager,
        vulnerability_id,
        CASE severity
            WHEN 'CRITICAL' THEN 1
            WHEN 'HIGH' THEN 2
            WHEN 'MEDIUM' THEN 3
            WHEN 'LOW' THEN 4
            WHEN 'UNTRIAGED' THEN 5
            WHEN 'INFORMATIONAL' THEN 6
            ELSE 7
        END AS severity_rank,
        CASE WHEN fixed_in_version <> 'NotAvailable' THEN fixed_in_version END AS fixed_in_version,
        first_observed_at,
        extracted_at
    FROM image_scan_findings
    WHERE coalesce(status, 'ACTIVE') = 'ACTIVE'
),

by_vulnerability AS (
    SELECT
        package_name,
        package_version,
        package_manager,
        vulnerability_id,
        min(severity_rank) AS severity_rank,
        max(fixed_in_version) AS fixed_in_version,
        min(first_observed_at) AS first_observed_at,
        sum((extract(epoch FROM now()) - extract(epoch FROM first_observed_at)) / 86400) AS days,
        count(first_observed_at) AS dated,
        min(extracted_at) AS extracted_at
    FROM open_findings
    GROUP BY package_name, package_version, package_manager, vulnerability_id
),

by_repository AS (
    SELECT package_name, package_version, package_manager, registry_id, region, repository_name, count(*) AS images
    FROM (
        SELECT DISTINCT
            package_name, package_version, package_manager, registry_id, region, repository_name, image_digest
        FROM open_findings
    ) AS images_with_it
    GROUP BY package_name, package_version, package_manager, registry_id, region, repository_name
),

places AS (
    SELECT
        package_name,
        package_version,
        package_manager,
        CAST(sum(images) AS BIGINT) AS images,
        count(*) AS repositories
    FROM by_repository
    GROUP BY package_name, package_version, package_manager
),

packages AS (
    SELECT
        package_name,
        package_version,
        package_manager,
        min(severity_rank) AS severity_rank,
        count(*) AS vulnerabilities,
        count(fixed_in_version) AS fixable_vulnerabilities,
        string_agg(DISTINCT fixed_in_version, ', ' ORDER BY fixed_in_version) AS fixed_in_version,
        min(first_observed_at) AS oldest_first_observed_at,
        CAST(CAST(sum(days) / nullif(sum(dated), 0) AS DECIMAL(18, 1)) AS DOUBLE) AS mean_age_in_days,
        min(extracted_at) AS as_of
    FROM by_vulnerability
    GROUP BY package_name, package_version, package_manager
)

SELECT
    packages.package_name,
    packages.package_version,
    packages.package_manager,
    places.images,
    places.repositories,
    CASE packages.severity_rank
        WHEN 1 THEN 'CRITICAL'
        WHEN 2 THEN 'HIGH'
        WHEN 3 THEN 'MEDIUM'
        WHEN 4 THEN 'LOW'
        WHEN 5 THEN 'UNTRIAGED'
        WHEN 6 THEN 'INFORMATIONAL'
        ELSE 'UNDEFINED'
    END AS worst_severity,
    packages.vulnerabilities,
    packages.fixable_vulnerabilities,
    packages.fixed_in_version,
    packages.oldest_first_observed_at,
    packages.mean_age_in_days,
    packages.as_of
FROM packages
JOIN places
    ON places.package_name IS NOT DISTINCT FROM packages.package_name
    AND places.package_version IS NOT DISTINCT FROM packages.package_version
    AND places.package_manager IS NOT DISTINCT FROM packages.package_manager
