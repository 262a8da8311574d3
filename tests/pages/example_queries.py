"""What people ask of each table: the example queries of docs/tables.md, in DuckDB's SQL."""

from __future__ import annotations

QUERIES: dict[str, str] = {
    # repositories
    "repositories": """\
-- How is each repository encrypted, and with which key?
SELECT repository_name, encryption_type, split_part(kms_key, '/', 2) AS key, created_at::DATE AS created
FROM repositories
ORDER BY ALL""",
    "repository_tag_mutability_exclusion_filters": """\
-- Which tags may move in repositories that are otherwise immutable?
SELECT r.region, r.repository_name, string_agg(f.filter, ', ' ORDER BY f.filter) AS tags_that_may_move
FROM repositories r JOIN repository_tag_mutability_exclusion_filters f USING (registry_id, region, repository_name)
WHERE r.image_tag_mutability = 'IMMUTABLE_WITH_EXCLUSION'
GROUP BY r.registry_id, r.region, r.repository_name ORDER BY ALL""",
    "repository_tags": """\
-- Which repositories lack a resource tag that all of them should have? Those whose tags were not read are not counted.
SELECT region, repository_name, tag_key AS missing
FROM repositories CROSS JOIN (VALUES ('team'), ('stage')) AS required(tag_key)
SEMI JOIN (
  SELECT * FROM extraction_repositories
  WHERE operation IN ('resourcegroupstaggingapi:GetResources', 'ecr:ListTagsForResource')
) USING (registry_id, region, repository_name)
ANTI JOIN repository_tags USING (registry_id, region, repository_name, tag_key)
ORDER BY ALL""",
    "repository_scanning_configurations": """\
-- Which repositories are scanned only when somebody asks, and how many images do they hold?
SELECT s.region, s.repository_name, count(i.image_digest) AS images, max(i.image_pushed_at)::DATE AS last_push
FROM repository_scanning_configurations s
JOIN extraction_repositories e USING (registry_id, region, repository_name)
LEFT JOIN images i USING (registry_id, region, repository_name)
WHERE s.scan_frequency = 'MANUAL' AND e.operation = 'ecr:DescribeImages'
GROUP BY s.registry_id, s.region, s.repository_name ORDER BY images DESC, s.region, s.repository_name""",
    "repository_scanning_filters": """\
-- Which of the registry's filters make a repository be scanned, and how often?
SELECT c.region, c.repository_name, c.scan_frequency, string_agg(f.filter, ', ' ORDER BY f.filter) AS filters
FROM repository_scanning_configurations c
JOIN repository_scanning_filters f USING (registry_id, region, repository_name)
GROUP BY c.registry_id, c.region, c.repository_name, c.scan_frequency ORDER BY ALL""",
    # images
    "images": """\
-- How much does each repository store, and how much of it is archived? (Layers that images share count for each.)
SELECT region, repository_name, count(*) AS images, count(*) FILTER (tag_count = 0) AS untagged,
  sum(image_size_in_bytes) / 1e6 AS megabytes,
  sum(image_size_in_bytes) FILTER (image_status = 'ARCHIVED') / 1e6 AS archived_megabytes
FROM images WHERE is_manifest_list IS NOT TRUE
GROUP BY registry_id, region, repository_name ORDER BY megabytes DESC, region, repository_name""",
    "image_tags": """\
-- Which image is `latest`, and under which other tags can it be pulled?
SELECT l.region, l.repository_name, left(l.image_digest, 14) AS digest,
  string_agg(o.image_tag, ', ' ORDER BY o.image_tag) AS others
FROM image_tags l JOIN image_tags o USING (registry_id, region, repository_name, image_digest)
WHERE l.image_tag = 'latest' AND o.image_tag <> 'latest'
GROUP BY l.registry_id, l.region, l.repository_name, l.image_digest ORDER BY ALL""",
    # policies
    "policies": """\
-- What has a policy, of how many statements, and which text is no policy?
SELECT owner_type, owner_name, policy_version, statement_count, left(parse_error, 24) AS parse_error
FROM policies
ORDER BY ALL""",
    "policy_statements": """\
-- Which statements open a repository to everybody, or would do so without their condition?
SELECT region, owner_name, sid, is_public, left(condition_text, 50) AS condition
FROM policy_statements
WHERE owner_type = 'repository' AND effect = 'Allow' AND (is_public OR condition_text IS NOT NULL)
ORDER BY ALL""",
    "policy_statement_principals": """\
-- Which other accounts does a policy let in?
SELECT p.owner_type, p.owner_name, s.sid, p.principal_account_id, p.principal
FROM policy_statement_principals p
JOIN policy_statements s USING (owner_type, registry_id, region, owner_name, statement_index)
WHERE s.effect = 'Allow' AND NOT p.negated AND p.principal_account_id <> p.registry_id
ORDER BY ALL""",
    "policy_statement_actions": """\
-- Which statements of repository policies allow pulling, wildcards included?
SELECT a.region, a.owner_name, s.sid, a.action, s.condition_text IS NOT NULL AS on_condition
FROM policy_statement_actions a
JOIN policy_statements s USING (owner_type, registry_id, region, owner_name, statement_index)
WHERE a.owner_type = 'repository' AND s.effect = 'Allow' AND NOT a.negated
  AND 'ecr:batchgetimage' GLOB lower(a.action)
ORDER BY ALL""",
    "policy_statement_resources": """\
-- Which repositories does each statement of the registry's policy concern?
SELECT s.region, s.sid, s.effect, if(r.negated, 'all but', 'only') AS concerns, r.resource
FROM policy_statement_resources r
JOIN policy_statements s USING (owner_type, registry_id, region, owner_name, statement_index)
WHERE r.owner_type = 'registry'
ORDER BY ALL""",
    "policy_statement_conditions": """\
-- Which policies let in a whole organisation?
SELECT owner_type, region, owner_name, statement_index, operator, condition_value AS organisation
FROM policy_statement_conditions
WHERE lower(condition_key) = 'aws:principalorgid'
ORDER BY ALL""",
    "lifecycle_policies": """\
-- Which repositories have no lifecycle policy? Those that could not be asked are not counted.
SELECT r.region, r.repository_name, r.created_at::DATE AS created
FROM repositories r JOIN extraction_repositories e USING (registry_id, region, repository_name)
ANTI JOIN lifecycle_policies USING (registry_id, region, repository_name)
WHERE e.operation = 'ecr:GetLifecyclePolicy'
ORDER BY ALL""",
    "lifecycle_policy_rules": """\
-- Do the lifecycle policies have a rule for untagged images, and a cap on tagged ones?
SELECT region, owner_name, count(*) AS rules, bool_or(tag_status IN ('untagged', 'any')) AS acts_on_untagged,
  bool_or(tag_status IN ('tagged', 'any') AND count_type = 'imageCountMoreThan') AS caps_tagged
FROM lifecycle_policy_rules
WHERE owner_type = 'repository'
GROUP BY registry_id, region, owner_name ORDER BY ALL""",
    "lifecycle_policy_rule_tag_matches": """\
-- Which tags bring an image under a lifecycle rule, and what does the rule do?
SELECT m.owner_name, m.rule_priority, m.match_type, m.match_value, r.action_type, r.count_number
FROM lifecycle_policy_rule_tag_matches m
JOIN lifecycle_policy_rules r USING (owner_type, registry_id, region, owner_name, rule_priority)
WHERE m.owner_type = 'repository'
ORDER BY ALL""",
    # registry
    "registry_account_settings": """\
-- Which account settings does each region have?
SELECT region, setting_name, setting_value
FROM registry_account_settings
ORDER BY setting_name, region""",
    "registry_replications": """\
-- Which registries replicate their images, and which do not?
SELECT registry_id, region, replication_rule_count, replication_rule_count > 0 AS replicates
FROM registry_replications
ORDER BY replicates, registry_id, region""",
    "replication_rules": """\
-- Which replication rules carry deletions over, and which take all repositories?
SELECT region, rule_index, coalesce(delete_replication_enabled, false) AS deletes_too,
  filter_count = 0 AS all_repositories, destination_count
FROM replication_rules
ORDER BY ALL""",
    "replication_rule_destinations": """\
-- Where are images copied to, and which copies leave the account?
SELECT region, rule_index, destination_region, destination_registry_id,
  destination_registry_id <> registry_id AS leaves_the_account
FROM replication_rule_destinations
ORDER BY ALL""",
    "replication_rule_filters": """\
-- Which repositories do the filters of replication rules choose?
SELECT r.region, r.repository_name, f.rule_index, f.filter
FROM repositories r JOIN replication_rule_filters f
  ON f.registry_id = r.registry_id AND f.region = r.region AND starts_with(r.repository_name, f.filter)
WHERE f.filter_type = 'PREFIX_MATCH'
ORDER BY ALL""",
    "registry_scanning_configurations": """\
-- Which registries are scanned by Amazon Inspector (ENHANCED), and which are not?
SELECT registry_id, region, scan_type, scanning_rule_count
FROM registry_scanning_configurations
ORDER BY ALL""",
    "registry_scanning_rules": """\
-- How often does each registry scan, and what?
SELECT r.region, r.rule_index, r.scan_frequency, string_agg(f.filter, ', ' ORDER BY f.filter) AS repositories
FROM registry_scanning_rules r LEFT JOIN registry_scanning_rule_filters f USING (registry_id, region, rule_index)
GROUP BY r.registry_id, r.region, r.rule_index, r.scan_frequency ORDER BY ALL""",
    "registry_scanning_rule_filters": """\
-- Which repositories does no filter choose for continuous scanning?
SELECT r.region, r.repository_name
FROM repositories r
SEMI JOIN registry_scanning_configurations USING (registry_id, region)
ANTI JOIN (
  SELECT * FROM registry_scanning_rule_filters JOIN registry_scanning_rules USING (registry_id, region, rule_index)
  WHERE scan_frequency = 'CONTINUOUS_SCAN'
) f ON f.registry_id = r.registry_id AND f.region = r.region AND r.repository_name GLOB f.filter
ORDER BY ALL""",
    "signing_rules": """\
-- With which profiles does each registry sign what is pushed, and how many filters bound that?
SELECT r.region, split_part(r.signing_profile_arn, '/', -1) AS profile, count(f.filter) AS filters
FROM signing_rules r LEFT JOIN signing_rule_filters f USING (registry_id, region, rule_index)
GROUP BY r.registry_id, r.region, r.rule_index, r.signing_profile_arn ORDER BY ALL""",
    "signing_rule_filters": """\
-- Which repositories does a filter choose for signing, and with which profile?
SELECT r.region, r.repository_name, f.filter, split_part(s.signing_profile_arn, '/', -1) AS profile
FROM repositories r
JOIN signing_rule_filters f
  ON f.registry_id = r.registry_id AND f.region = r.region AND r.repository_name GLOB f.filter
JOIN signing_rules s ON s.registry_id = f.registry_id AND s.region = f.region AND s.rule_index = f.rule_index
ORDER BY ALL""",
    "pull_through_cache_rules": """\
-- From which registries may images be pulled through, with stored credentials, and into how many repositories?
SELECT c.registry_id, c.region, c.ecr_repository_prefix, c.upstream_registry_url,
  c.credential_arn IS NOT NULL AS with_credentials, count(r.repository_name) AS repositories
FROM pull_through_cache_rules c
SEMI JOIN (
  SELECT * FROM extraction_scopes WHERE table_name = 'repositories' AND status = 'complete'
) USING (registry_id, region)
LEFT JOIN repositories r ON r.registry_id = c.registry_id AND r.region = c.region
  AND starts_with(r.repository_name, c.ecr_repository_prefix || '/')
GROUP BY ALL ORDER BY ALL""",
    "repository_creation_templates": """\
-- Which repositories differ from the template of their prefix?
SELECT r.region, r.repository_name, t.prefix, t.image_tag_mutability AS template_says, r.image_tag_mutability
FROM repositories r JOIN repository_creation_templates t
  ON t.registry_id = r.registry_id AND t.region = r.region AND starts_with(r.repository_name, t.prefix)
WHERE r.image_tag_mutability IS DISTINCT FROM t.image_tag_mutability
ORDER BY ALL""",
    "repository_creation_template_resource_tags": """\
-- Which repositories have not the resource tags that the template of their prefix gives?
SELECT r.region, r.repository_name, t.tag_key, t.tag_value AS template_says, g.tag_value
FROM repositories r
SEMI JOIN (
  SELECT * FROM extraction_repositories
  WHERE operation IN ('resourcegroupstaggingapi:GetResources', 'ecr:ListTagsForResource')
) USING (registry_id, region, repository_name)
JOIN repository_creation_template_resource_tags t
  ON t.registry_id = r.registry_id AND t.region = r.region AND starts_with(r.repository_name, t.prefix)
LEFT JOIN repository_tags g
  ON g.registry_id = r.registry_id AND g.region = r.region AND g.repository_name = r.repository_name
  AND g.tag_key = t.tag_key
WHERE g.tag_value IS DISTINCT FROM t.tag_value
ORDER BY ALL""",
    "repository_creation_template_applied_for": """\
-- When does each template apply?
SELECT region, prefix, string_agg(applied_for, ', ' ORDER BY applied_for) AS applied_for
FROM repository_creation_template_applied_for
GROUP BY registry_id, region, prefix ORDER BY ALL""",
    "repository_creation_template_exclusion_filters": """\
-- Which tags do templates except from the mutability that they set?
SELECT t.region, t.prefix, t.image_tag_mutability, string_agg(f.filter, ', ' ORDER BY f.filter) AS but_not
FROM repository_creation_templates t
JOIN repository_creation_template_exclusion_filters f USING (registry_id, region, prefix)
GROUP BY t.registry_id, t.region, t.prefix, t.image_tag_mutability ORDER BY ALL""",
    "pull_time_update_exclusions": """\
-- Whose pulls leave no trace in last_recorded_pull_time, so that an image may be in use that seems to be idle?
SELECT region, principal_arn
FROM pull_time_update_exclusions
ORDER BY ALL""",
    "replication_backfills": """\
-- How far are the backfills, and which failed?
SELECT left(replication_backfill_id, 8) AS backfill, destination_region, status,
  completed_replication_count AS completed, failed_replication_count AS failed, total_replication_count AS total
FROM replication_backfills
ORDER BY ALL""",
    "replication_backfill_failure_codes": """\
-- For which reasons do backfills fail?
SELECT c.failure_code, b.destination_region, count(*) AS backfills
FROM replication_backfill_failure_codes c
JOIN replication_backfills b USING (registry_id, region, replication_backfill_id)
GROUP BY ALL ORDER BY ALL""",
    "replication_backfill_results": """\
-- Which images did a backfill not copy, and why?
SELECT b.destination_region, r.repository_name, left(r.image_digest, 14) AS digest, r.failure_code
FROM replication_backfill_results r
JOIN replication_backfills b USING (registry_id, region, replication_backfill_id)
WHERE r.status = 'FAILED'
ORDER BY ALL""",
    "replication_backfill_result_sub_failures": """\
-- Which indexes were not copied because of the images that they refer to?
SELECT left(replication_backfill_id, 8) AS backfill, repository_name, left(image_digest, 14) AS digest,
  string_agg(failure_code, ', ' ORDER BY failure_code) AS failure_codes
FROM replication_backfill_result_sub_failures
GROUP BY registry_id, region, replication_backfill_id, repository_name, image_digest ORDER BY ALL""",
    # findings
    "image_scans": """\
-- How many images of each repository are scanned, and how many are not or cannot be?
SELECT region, repository_name, fetch_outcome, count(*) AS images,
  count(*) FILTER (critical_count > 0 OR high_count > 0) AS with_critical_or_high
FROM image_scans
GROUP BY registry_id, region, repository_name, fetch_outcome ORDER BY ALL""",
    "image_scan_findings": """\
-- Which critical and high findings can be fixed, and do clusters run the images?
SELECT repository_name, vulnerability_id, severity, package_name, fixed_in_version, in_use_count
FROM image_scan_findings
WHERE severity IN ('CRITICAL', 'HIGH') AND fixed_in_version <> 'NotAvailable' AND status IS DISTINCT FROM 'SUPPRESSED'
ORDER BY in_use_count DESC, repository_name, vulnerability_id, package_name""",
    "image_scan_finding_attributes": """\
-- Which scores does basic scanning give?
SELECT f.repository_name, f.vulnerability_id, f.package_name, a.attribute_key, a.attribute_value
FROM image_scan_finding_attributes a
JOIN image_scan_findings f USING (registry_id, region, repository_name, image_digest, finding_id)
WHERE a.attribute_key LIKE 'CVSS%_SCORE'
ORDER BY ALL""",
    "image_scan_finding_cvss": """\
-- Which vulnerabilities have a base score of 7 or more, and who says so?
SELECT DISTINCT f.vulnerability_id, c.source, c.version, c.base_score
FROM image_scan_finding_cvss c
JOIN image_scan_findings f USING (registry_id, region, repository_name, image_digest, finding_id)
WHERE c.base_score >= 7
ORDER BY c.base_score DESC, f.vulnerability_id, c.source, c.version""",
    "image_scan_finding_score_adjustments": """\
-- Why does Inspector score a vulnerability otherwise than its source?
SELECT DISTINCT f.vulnerability_id, f.cvss3_score, f.inspector_score, a.metric, a.reason
FROM image_scan_finding_score_adjustments a
JOIN image_scan_findings f USING (registry_id, region, repository_name, image_digest, finding_id)
WHERE f.vulnerability_id IS NOT NULL
ORDER BY ALL""",
    "image_scan_finding_reference_urls": """\
-- Where can one read more of the critical findings?
SELECT DISTINCT f.vulnerability_id, f.severity, u.url
FROM image_scan_finding_reference_urls u
JOIN image_scan_findings f USING (registry_id, region, repository_name, image_digest, finding_id)
WHERE f.severity = 'CRITICAL'
ORDER BY ALL""",
    "image_scan_finding_related_vulnerabilities": """\
-- Which vulnerabilities does a finding mean besides its own, and where?
SELECT DISTINCT f.region, f.repository_name, f.vulnerability_id, r.related_vulnerability
FROM image_scan_finding_related_vulnerabilities r
JOIN image_scan_findings f USING (registry_id, region, repository_name, image_digest, finding_id)
ORDER BY ALL""",
    # image_status
    "image_replications": """\
-- How many images of each repository are replicated somewhere, and how many nowhere?
SELECT region, repository_name, count(*) FILTER (destination_count > 0) AS replicated,
  count(*) FILTER (destination_count = 0) AS not_replicated
FROM image_replications
WHERE fetch_outcome = 'complete'
GROUP BY registry_id, region, repository_name ORDER BY ALL""",
    "image_replication_statuses": """\
-- Which copies of images failed, and why?
SELECT s.repository_name, left(s.image_digest, 14) AS digest, i.image_pushed_at::DATE AS pushed,
  s.destination_region, s.destination_registry_id, s.failure_code
FROM image_replication_statuses s JOIN images i USING (registry_id, region, repository_name, image_digest)
WHERE s.status = 'FAILED'
ORDER BY ALL""",
    "image_signings": """\
-- Which tagged images has no profile signed?
SELECT s.region, s.repository_name, left(s.image_digest, 14) AS digest, i.image_pushed_at::DATE AS pushed
FROM image_signings s JOIN images i USING (registry_id, region, repository_name, image_digest)
WHERE s.fetch_outcome = 'complete' AND s.signing_profile_count = 0 AND i.tag_count > 0
ORDER BY ALL""",
    "image_signing_statuses": """\
-- Which signatures failed, and why?
SELECT repository_name, left(image_digest, 14) AS digest, split_part(signing_profile_arn, '/', -1) AS profile,
  failure_code, failure_reason
FROM image_signing_statuses
WHERE status = 'FAILED'
ORDER BY ALL""",
    # usage
    "image_usage": """\
-- Which images run, and which of them were pushed longest ago?
SELECT u.region, u.repository_name, left(u.image_digest, 14) AS digest, u.in_use_count,
  i.image_pushed_at::DATE AS pushed
FROM image_usage u JOIN images i USING (registry_id, region, repository_name, image_digest)
WHERE u.in_use_count > 0
ORDER BY i.image_pushed_at, u.repository_name, digest""",
    "image_clusters": """\
-- In which clusters does each image run, by which service or in which namespace?
SELECT repository_name, left(image_digest, 14) AS digest, split_part(cluster_arn, ':', 3) AS kind,
  split_part(cluster_arn, '/', -1) AS cluster, coalesce(ecs_group, eks_namespace) AS used_by, running_unit_count
FROM image_clusters
ORDER BY ALL""",
    "image_cluster_workloads": """\
-- Which workloads of EKS use an image?
SELECT split_part(cluster_arn, '/', -1) AS cluster, eks_namespace, workload_type, workload_name, repository_name
FROM image_cluster_workloads
ORDER BY ALL""",
    "ecs_task_containers": """\
-- What runs in each cluster, and how old is its image?
SELECT split_part(c.cluster_arn, '/', -1) AS cluster, c.started_as, c.container_name, c.task_count,
  left(c.image_digest, 14) AS digest, i.image_pushed_at::DATE AS pushed
FROM ecs_task_containers c
JOIN images i ON i.registry_id = c.image_registry_id AND i.region = c.image_region
  AND i.repository_name = c.image_repository_name AND i.image_digest = c.image_digest
ORDER BY pushed, cluster, c.started_as, c.container_name""",
    "ecs_service_images": """\
-- Which services name an image by a tag alone, so that nobody can say what they will start?
SELECT split_part(cluster_arn, '/', -1) AS cluster, service_name, container_name, image_repository_name, image_tag,
  desired_count
FROM ecs_service_images
WHERE image_digest IS NULL
ORDER BY ALL""",
    "lambda_function_images": """\
-- Which functions are images, and how old are these?
SELECT f.function_name, f.function_version, f.image_repository_name, left(f.image_digest, 14) AS digest,
  i.image_pushed_at::DATE AS pushed
FROM lambda_function_images f
JOIN images i ON i.registry_id = f.image_registry_id AND i.region = f.image_region
  AND i.repository_name = f.image_repository_name AND i.image_digest = f.image_digest
ORDER BY ALL""",
    # previews
    "lifecycle_policy_previews": """\
-- How many of its images would each repository lose by the lifecycle policy that was previewed?
SELECT p.registry_id, p.region, p.repository_name, p.status, p.expiring_image_total_count AS expiring,
  count(*) AS images
FROM lifecycle_policy_previews p JOIN images i USING (registry_id, region, repository_name)
GROUP BY ALL ORDER BY ALL""",
    "lifecycle_policy_preview_transition_counts": """\
-- How many images would move to another storage class?
SELECT region, repository_name, target_storage_class, image_total_count
FROM lifecycle_policy_preview_transition_counts
ORDER BY ALL""",
    "lifecycle_policy_preview_results": """\
-- How much would each rule of a previewed lifecycle policy expire or archive?
SELECT p.region, p.repository_name, p.applied_rule_priority, p.action_type, count(*) AS images,
  sum(i.image_size_in_bytes) / 1e6 AS megabytes
FROM lifecycle_policy_preview_results p
JOIN images i USING (registry_id, region, repository_name, image_digest)
GROUP BY p.registry_id, p.region, p.repository_name, p.applied_rule_priority, p.action_type ORDER BY ALL""",
    "lifecycle_policy_preview_result_tags": """\
-- Which tags have the images that a previewed lifecycle policy would act on?
SELECT p.repository_name, p.action_type, p.applied_rule_priority, t.image_tag
FROM lifecycle_policy_preview_result_tags t
JOIN lifecycle_policy_preview_results p USING (registry_id, region, repository_name, image_digest)
ORDER BY ALL""",
    # manifests
    "image_manifests": """\
-- Which tagged images are the largest to pull?
SELECT m.repository_name, t.image_tag, m.layer_count, m.total_layer_size_in_bytes / 1e6 AS megabytes
FROM image_manifests m JOIN image_tags t USING (registry_id, region, repository_name, image_digest)
WHERE m.total_layer_size_in_bytes IS NOT NULL
ORDER BY megabytes DESC, m.repository_name, t.image_tag LIMIT 5""",
    "image_layers": """\
-- How much does each repository hold, every layer counted once?
SELECT region, repository_name, count(*) AS layers, sum(size_in_bytes) / 1e6 AS megabytes
FROM (SELECT DISTINCT registry_id, region, repository_name, layer_digest, size_in_bytes FROM image_layers)
GROUP BY registry_id, region, repository_name
ORDER BY megabytes DESC, region, repository_name""",
    "image_manifest_children": """\
-- Which untagged images are neither part of an index nor attached to another image, where all indexes were read?
SELECT i.repository_name, left(i.image_digest, 14) AS digest, i.image_pushed_at::DATE AS pushed, i.image_size_in_bytes
FROM images i
ANTI JOIN image_manifest_children c ON c.registry_id = i.registry_id AND c.region = i.region
  AND c.repository_name = i.repository_name AND c.child_digest = i.image_digest
ANTI JOIN (
  SELECT * FROM images ANTI JOIN image_manifests USING (registry_id, region, repository_name, image_digest)
) AS unread USING (registry_id, region, repository_name)
WHERE i.tag_count = 0 AND i.subject_manifest_digest IS NULL
ORDER BY ALL""",
    "image_manifest_annotations": """\
-- From which commit was each image built?
SELECT region, repository_name, left(image_digest, 14) AS digest, annotation_value AS revision
FROM image_manifest_annotations
WHERE annotation_key = 'org.opencontainers.image.revision'
ORDER BY ALL""",
    "image_referrer_listings": """\
-- Which tagged images have nothing that refers to them: no signature, no SBOM?
SELECT l.repository_name, left(l.image_digest, 14) AS digest, i.image_pushed_at::DATE AS pushed, i.tag_count
FROM image_referrer_listings l JOIN images i USING (registry_id, region, repository_name, image_digest)
ANTI JOIN image_referrers r ON r.registry_id = l.registry_id AND r.region = l.region
  AND r.repository_name = l.repository_name AND r.subject_digest = l.image_digest
WHERE l.fetch_outcome = 'complete' AND i.tag_count > 0
ORDER BY ALL""",
    "image_referrers": """\
-- What refers to which image, and is it still active?
SELECT repository_name, left(subject_digest, 14) AS subject, artifact_type, artifact_status, size_in_bytes
FROM image_referrers
ORDER BY ALL""",
    "image_referrer_annotations": """\
-- When do the signatures of images say that they were made?
SELECT a.repository_name, left(a.subject_digest, 14) AS subject, r.artifact_type, a.annotation_value AS created
FROM image_referrer_annotations a
JOIN image_referrers r USING (registry_id, region, repository_name, subject_digest, digest)
WHERE a.annotation_key = 'org.opencontainers.created'
ORDER BY ALL""",
    # public
    "public_registries": """\
-- Which public registries are there, and is the account a verified vendor?
SELECT registry_id, registry_uri, verified
FROM public_registries
ORDER BY ALL""",
    "public_registry_catalog_data": """\
-- Under which name does the gallery show each public registry?
SELECT r.registry_uri, c.display_name
FROM public_registries r JOIN public_registry_catalog_data c USING (registry_id)
ORDER BY ALL""",
    "public_registry_aliases": """\
-- By which names can public images be pulled?
SELECT 'public.ecr.aws/' || name AS pulled_from, status, primary_registry_alias, default_registry_alias
FROM public_registry_aliases
ORDER BY ALL""",
    "public_repositories": """\
-- Which public repositories are empty?
SELECT repository_name, repository_uri, created_at::DATE AS created
FROM public_repositories JOIN extraction_repositories e USING (registry_id, repository_name)
ANTI JOIN public_images USING (registry_id, repository_name)
WHERE e.operation = 'ecr-public:DescribeImages'
ORDER BY ALL""",
    "public_repository_tags": """\
-- Who owns each public repository?
SELECT r.repository_name, t.tag_value AS team
FROM public_repositories r JOIN extraction_repositories e USING (registry_id, repository_name)
LEFT JOIN (SELECT * FROM public_repository_tags WHERE tag_key = 'team') t USING (registry_id, repository_name)
WHERE e.operation = 'ecr-public:ListTagsForResource'
ORDER BY ALL""",
    "public_repository_policies": """\
-- Which public repositories have a policy, and whom does it name?
SELECT repository_name, statement_count, try(policy_text -> '$..Principal') AS principals
FROM public_repository_policies
ORDER BY ALL""",
    "public_repository_catalog_data": """\
-- Which public repositories does the gallery show without a text on how to use them?
SELECT r.repository_name, c.description, c.about_text IS NOT NULL AS about, c.usage_text IS NOT NULL AS usage
FROM public_repositories r JOIN extraction_repositories e USING (registry_id, repository_name)
LEFT JOIN public_repository_catalog_data c USING (registry_id, repository_name)
WHERE e.operation = 'ecr-public:GetRepositoryCatalogData' AND c.usage_text IS NULL
ORDER BY ALL""",
    "public_repository_architectures": """\
-- For which architectures does each public repository say that it has images?
SELECT repository_name, string_agg(architecture, ', ' ORDER BY architecture) AS architectures
FROM public_repository_architectures
GROUP BY registry_id, repository_name
ORDER BY ALL""",
    "public_repository_operating_systems": """\
-- For which operating systems does each public repository say that it has images?
SELECT repository_name, string_agg(operating_system, ', ' ORDER BY operating_system) AS operating_systems
FROM public_repository_operating_systems
GROUP BY registry_id, repository_name
ORDER BY ALL""",
    "public_images": """\
-- How much does each public repository hold, and when was it pushed to last?
SELECT repository_name, count(*) AS images, sum(image_size_in_bytes) / 1e6 AS megabytes,
  max(image_pushed_at)::DATE AS last_push
FROM public_images
GROUP BY registry_id, repository_name
ORDER BY ALL""",
    "public_image_tags": """\
-- Which public tags point to which image, and since when?
SELECT repository_name, image_tag, left(image_digest, 14) AS digest, tag_created_at::DATE AS since
FROM public_image_tags
ORDER BY ALL""",
    # what the run itself tells
    "extraction_scopes": """\
-- Was everything read to its end in the last run, and at how many calls?
SELECT registry_id, region, status, count(*) AS tables, sum(rows) AS rows, sum(calls) AS calls
FROM extraction_scopes
WHERE run_id = (SELECT max(run_id) FROM extraction_scopes)
GROUP BY ALL ORDER BY ALL""",
    "extraction_errors": """\
-- What could not be read in the last run, and why?
SELECT region, operation, resource, status, error_code
FROM extraction_errors
WHERE run_id = (SELECT max(run_id) FROM extraction_scopes)
ORDER BY ALL""",
    "extraction_repositories": """\
-- Of which repositories is it not known whether somebody previewed a lifecycle policy?
SELECT region, repository_name
FROM repositories
ANTI JOIN (
  SELECT * FROM extraction_repositories WHERE operation = 'ecr:GetLifecyclePolicyPreview'
) USING (registry_id, region, repository_name)
ORDER BY ALL""",
    "extraction_images": """\
-- Of which images is the answer not final yet, so that the next run asks again?
SELECT operation, outcome, count(*) AS images
FROM extraction_images
WHERE outcome NOT IN ('complete', 'unsupported', 'failed', 'archived')
GROUP BY ALL ORDER BY ALL""",
}
"""The question and the query, by table. A query answers in the order of its rows, without what the clock says."""
