-- Which repositories have a lifecycle policy, or may have one? A row for each of them that has images: a part of views,
-- not one of them.
--
-- repository_number: Stands for registry_id, region and repository_name, because numbers are joined faster.

SELECT *, row_number() OVER (ORDER BY registry_id, region, repository_name) AS repository_number
FROM lifecycle_policy_states
