-- Which vulnerabilities has an image, and can an update mend them? A row for each vulnerability and package that a scan
-- found in an image. An image without a row is clean only where ecr_scan_coverage has it as scanned.
--
-- needs: images, image_scan_findings
-- severity: What ECR or Inspector calls it: CRITICAL, HIGH, MEDIUM, LOW, INFORMATIONAL, UNDEFINED or UNTRIAGED.
-- status: ACTIVE, or SUPPRESSED by a rule of Inspector; basic scanning has no rules.
-- fixed_in_version: The version of the package that mends it; NULL where there is none, or nobody says.
-- is_fixable: Whether there is a version that mends it; NULL where nobody says.
-- is_exploitable: Whether an exploit is known; NULL where nobody looked.
-- score: The score that Inspector gives it, else its CVSS 3 base score, else that of CVSS 2.
-- days_open: Days since it was first seen in the image; NULL with basic scanning, which does not say.
-- as_of: When the image was asked.

SELECT
    image_scan_findings.registry_id,
    image_scan_findings.region,
    image_scan_findings.repository_name,
    image_scan_findings.image_digest,
    images_by_kind.image_tags,
    images_by_kind.image_pushed_at,
    images_by_kind.days_since_push,
    images_by_kind.is_newest,
    image_scan_findings.vulnerability_id,
    image_scan_findings.severity,
    coalesce(image_scan_findings.status, 'ACTIVE') AS status,
    image_scan_findings.package_name,
    image_scan_findings.package_version,
    image_scan_findings.package_manager,
    image_scan_findings.file_path,
    nullif(image_scan_findings.fixed_in_version, 'NotAvailable') AS fixed_in_version,
    CASE
        WHEN image_scan_findings.fixed_in_version = 'NotAvailable' THEN false
        WHEN image_scan_findings.fixed_in_version IS NOT NULL THEN true
        WHEN image_scan_findings.fix_available = 'YES' THEN true
        WHEN image_scan_findings.fix_available = 'NO' THEN false
    END AS is_fixable,
    image_scan_findings.exploit_available = 'YES' AS is_exploitable,
    coalesce(
        image_scan_findings.inspector_score, image_scan_findings.cvss3_score, image_scan_findings.cvss2_score
    ) AS score,
    image_scan_findings.title,
    image_scan_findings.description,
    image_scan_findings.uri,
    image_scan_findings.scan_kind,
    image_scan_findings.first_observed_at,
    CAST(
        floor((extract(epoch FROM now()) - extract(epoch FROM image_scan_findings.first_observed_at)) / 86400) AS BIGINT
    ) AS days_open,
    image_uses.in_use,
    image_uses.in_use_count,
    image_uses.last_in_use_at,
    image_scan_findings.extracted_at AS as_of
FROM image_scan_findings
-- A finding can be older than the last listing, in which its image is gone.
JOIN images_by_kind USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
