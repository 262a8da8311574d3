-- Which images are there, and what is known of each? A row for each image of the private registries.
--
-- needs: images
-- is_newest: Whether no image of its repository that can be run was pushed after it.
-- scan_state: What came of scanning it, as in ecr_scan_coverage.
-- signing_state: signed: a signing job is complete. failed, in_progress: as the job. not_signed: no job is known of it.
--   denied, unanswered: asked in vain. not_asked: nobody asked.
-- replication_state: replicated: to all destinations. failed: to one at least. in_progress: not yet to all.
--   not_replicated: ECR has no status of it. denied, unanswered: asked in vain. not_asked: nobody asked.
-- as_of: When it was listed.

WITH signings AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        max(CASE WHEN status = 'COMPLETE' THEN 3 WHEN status = 'IN_PROGRESS' THEN 2 ELSE 1 END) AS best
    FROM image_signing_statuses
    GROUP BY registry_id, region, repository_name, image_digest
),

replications AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        min(CASE WHEN status = 'COMPLETE' THEN 3 WHEN status = 'IN_PROGRESS' THEN 2 ELSE 1 END) AS worst
    FROM image_replication_statuses
    GROUP BY registry_id, region, repository_name, image_digest
),

asked AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        max(CASE WHEN operation = 'ecr:DescribeImageSigningStatus' THEN outcome END) AS signing,
        max(CASE WHEN operation = 'ecr:DescribeImageReplicationStatus' THEN outcome END) AS replication
    FROM extraction_images
    WHERE operation IN ('ecr:DescribeImageSigningStatus', 'ecr:DescribeImageReplicationStatus')
    GROUP BY registry_id, region, repository_name, image_digest
)

SELECT
    scan_states.registry_id,
    scan_states.region,
    scan_states.repository_name,
    scan_states.image_digest,
    scan_states.image_tags,
    scan_states.kind,
    newest_images.image_digest IS NOT NULL AS is_newest,
    scan_states.image_status,
    scan_states.image_size_in_bytes,
    scan_states.image_pushed_at,
    scan_states.days_since_push,
    scan_states.last_recorded_pull_time,
    scan_states.days_since_pull,
    image_uses.in_use,
    image_uses.in_use_count,
    image_uses.last_in_use_at,
    scan_states.scan_state,
    scan_states.scan_completed_at,
    scan_states.critical_count,
    scan_states.high_count,
    CASE
        WHEN signings.best = 3 THEN 'signed'
        WHEN signings.best = 2 THEN 'in_progress'
        WHEN signings.best = 1 THEN 'failed'
        WHEN asked.signing = 'complete' THEN 'not_signed'
        WHEN asked.signing = 'call_failed' THEN 'unanswered'
        ELSE coalesce(asked.signing, 'not_asked')
    END AS signing_state,
    CASE
        WHEN replications.worst = 3 THEN 'replicated'
        WHEN replications.worst = 2 THEN 'in_progress'
        WHEN replications.worst = 1 THEN 'failed'
        WHEN asked.replication = 'complete' THEN 'not_replicated'
        WHEN asked.replication = 'call_failed' THEN 'unanswered'
        ELSE coalesce(asked.replication, 'not_asked')
    END AS replication_state,
    scan_states.image_manifest_media_type,
    scan_states.artifact_media_type,
    scan_states.subject_manifest_digest,
    scan_states.last_archived_at,
    scan_states.listed_at AS as_of
FROM scan_states
LEFT JOIN newest_images USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
LEFT JOIN signings USING (registry_id, region, repository_name, image_digest)
LEFT JOIN replications USING (registry_id, region, repository_name, image_digest)
LEFT JOIN asked USING (registry_id, region, repository_name, image_digest)
