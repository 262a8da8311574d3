-- How many findings were opened and closed each week, and how many are open at its end? A row for each week in which a
-- run read findings, and each severity, in history mode only. An image's findings are those of the last time it was
-- asked: what came and went between two times is not seen, and what came of an image that is asked less often than
-- weekly is counted in the week in which it was asked. A finding whose severity changes is closed in one and opened in
-- the other.
--
-- needs: extraction_scopes
-- week: The Monday on which the week begins (UTC).
-- severity: The severity of the findings; NULL where none is told.
-- opened: How many findings were seen for the first time. A finding is one of a vulnerability, an image and a package.
-- opened_with_image: How many of them came with the first answer for their image: a new image, or one that was not
--   asked before, and not a new vulnerability.
-- closed: How many were seen no more, or were suppressed.
-- closed_with_image: How many of them went with their image, which is gone: they were not fixed.
-- open_at_end: How many were open at the end of the week, or now, if it is not over.
-- images_asked: How many images were asked in the week, or had an answer in bulk; no more is known than they told.

WITH open_versions AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        finding_id,
        package_id,
        severity,
        _dlt_valid_from AS valid_from,
        _dlt_valid_to AS valid_to
    FROM versions_of_image_scan_findings
    WHERE coalesce(status, 'ACTIVE') = 'ACTIVE'
),

answers AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        min(_dlt_valid_from) AS first_from,
        CASE WHEN count(_dlt_valid_to) = count(*) THEN max(_dlt_valid_to) END AS gone_at
    FROM versions_of_image_scans
    GROUP BY registry_id, region, repository_name, image_digest
),

ended AS (
    SELECT * FROM open_versions WHERE valid_to IS NOT NULL
),

opened AS (
    SELECT
        open_versions.registry_id,
        open_versions.region,
        open_versions.severity,
        CAST(date_trunc('week', open_versions.valid_from AT TIME ZONE 'UTC') AS DATE) AS week,
        count(*) AS opened,
        count(CASE WHEN answers.first_from = open_versions.valid_from THEN 1 END) AS opened_with_image
    FROM open_versions
    LEFT JOIN ended
        ON ended.registry_id = open_versions.registry_id
        AND ended.region = open_versions.region
        AND ended.repository_name = open_versions.repository_name
        AND ended.image_digest = open_versions.image_digest
        AND ended.finding_id = open_versions.finding_id
        AND ended.package_id = open_versions.package_id
        AND ended.severity IS NOT DISTINCT FROM open_versions.severity
        AND ended.valid_to = open_versions.valid_from
    LEFT JOIN answers
        ON answers.registry_id = open_versions.registry_id
        AND answers.region = open_versions.region
        AND answers.repository_name = open_versions.repository_name
        AND answers.image_digest = open_versions.image_digest
    WHERE ended.finding_id IS NULL
    GROUP BY open_versions.registry_id, open_versions.region, open_versions.severity, 4
),

closed AS (
    SELECT
        ended.registry_id,
        ended.region,
        ended.severity,
        CAST(date_trunc('week', ended.valid_to AT TIME ZONE 'UTC') AS DATE) AS week,
        count(*) AS closed,
        count(CASE WHEN answers.gone_at = ended.valid_to THEN 1 END) AS closed_with_image
    FROM ended
    LEFT JOIN open_versions
        ON open_versions.registry_id = ended.registry_id
        AND open_versions.region = ended.region
        AND open_versions.repository_name = ended.repository_name
        AND open_versions.image_digest = ended.image_digest
        AND open_versions.finding_id = ended.finding_id
        AND open_versions.package_id = ended.package_id
        AND open_versions.severity IS NOT DISTINCT FROM ended.severity
        AND open_versions.valid_from = ended.valid_to
    LEFT JOIN answers
        ON answers.registry_id = ended.registry_id
        AND answers.region = ended.region
        AND answers.repository_name = ended.repository_name
        AND answers.image_digest = ended.image_digest
    WHERE open_versions.finding_id IS NULL
    GROUP BY ended.registry_id, ended.region, ended.severity, 4
),

weeks AS (
    SELECT
        registry_id,
        region,
        CAST(date_trunc('week', valid_from AT TIME ZONE 'UTC') AS DATE) AS week,
        CAST(sum(coalesce(images_asked, "rows")) AS BIGINT) AS images_asked
    FROM extraction_scopes
    WHERE
        table_name = 'image_scans'
        AND valid_from IS NOT NULL
        AND status IN ('complete', 'bounded', 'selected', 'partial')
    GROUP BY registry_id, region, 3
),

severities AS (
    SELECT DISTINCT registry_id, region, severity FROM opened
),

events AS (
    SELECT registry_id, region, severity, week, opened, opened_with_image, 0 AS closed, 0 AS closed_with_image
    FROM opened
    UNION ALL
    SELECT registry_id, region, severity, week, 0 AS opened, 0 AS opened_with_image, closed, closed_with_image
    FROM closed
    UNION ALL
    SELECT weeks.registry_id, weeks.region, severities.severity, weeks.week, 0, 0, 0, 0
    FROM weeks
    JOIN severities ON severities.registry_id = weeks.registry_id AND severities.region = weeks.region
),

counted AS (
    SELECT
        registry_id,
        region,
        severity,
        week,
        CAST(sum(opened) AS BIGINT) AS opened,
        CAST(sum(opened_with_image) AS BIGINT) AS opened_with_image,
        CAST(sum(closed) AS BIGINT) AS closed,
        CAST(sum(closed_with_image) AS BIGINT) AS closed_with_image
    FROM events
    GROUP BY registry_id, region, severity, week
)

SELECT
    counted.registry_id,
    counted.region,
    counted.week,
    counted.severity,
    counted.opened,
    counted.opened_with_image,
    counted.closed,
    counted.closed_with_image,
    CAST(
        sum(counted.opened - counted.closed) OVER (
            PARTITION BY counted.registry_id, counted.region, counted.severity ORDER BY counted.week
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS BIGINT
    ) AS open_at_end,
    coalesce(weeks.images_asked, 0) AS images_asked
FROM counted
LEFT JOIN weeks
    ON weeks.registry_id = counted.registry_id AND weeks.region = counted.region AND weeks.week = counted.week
