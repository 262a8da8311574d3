-- When were the images of a repository read? A row for each repository of which they were: a part of views, not one of
-- them.
--
-- images_as_of: When its images were read.

-- Where only the tags were asked for, the images were listed, too, but the table has none.
SELECT
    extraction_repositories.registry_id,
    extraction_repositories.region,
    extraction_repositories.repository_name,
    extraction_repositories.extracted_at AS images_as_of
FROM extraction_repositories
JOIN ecr_freshness USING (registry_id, region)
WHERE extraction_repositories.operation = 'ecr:DescribeImages'
    AND ecr_freshness.table_name = 'images'
    AND ecr_freshness.read_as_of IS NOT NULL
