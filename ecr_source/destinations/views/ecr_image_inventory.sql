-- Which images are there, and what is known of each? A row for each image of the private registries.
--
-- needs: images
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
    images_by_kind.registry_id,
    images_by_kind.region,
    images_by_kind.repository_name,
    images_by_kind.image_digest,
    images_by_kind.image_tags,
    images_by_kind.kind,
    images_by_kind.is_newest,
    images_by_kind.image_status,
    images_by_kind.image_size_in_bytes,
    images_by_kind.image_pushed_at,
    images_by_kind.days_since_push,
    images_by_kind.last_recorded_pull_time,
    images_by_kind.days_since_pull,
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
    images_by_kind.image_manifest_media_type,
    images_by_kind.artifact_media_type,
    images_by_kind.subject_manifest_digest,
    images_by_kind.last_archived_at,
    images_by_kind.extracted_at AS as_of
FROM images_by_kind
LEFT JOIN scan_states USING (registry_id, region, repository_name, image_digest)
LEFT JOIN image_uses USING (registry_id, region, repository_name, image_digest)
LEFT JOIN signings USING (registry_id, region, repository_name, image_digest)
LEFT JOIN replications USING (registry_id, region, repository_name, image_digest)
LEFT JOIN asked USING (registry_id, region, repository_name, image_digest)
