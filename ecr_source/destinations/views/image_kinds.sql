-- What is an image? A row for each image: a part of views, not one of them.
--
-- kind: image: it can be run. index: a manifest list, which names images. attachment: a signature, an SBOM or the like
--   of an image; those that BuildKit hides in an index only where its manifest was read, which takes the group
--   manifests. artifact: anything else that was pushed, a Helm chart for example.
-- days_since_push: Days since it was pushed.
-- days_since_pull: Days since the last pull that ECR recorded; NULL if it recorded none, which an exclusion may be the
--   cause of.

WITH attached AS (
    SELECT registry_id, region, repository_name, image_digest
    FROM images_attached_by_tag
    UNION
    SELECT registry_id, region, repository_name, child_digest AS image_digest
    FROM image_manifest_children
    WHERE is_attestation
)

SELECT
    images.*,
    CASE
        WHEN images.subject_manifest_digest IS NOT NULL OR attached.image_digest IS NOT NULL THEN 'attachment'
        WHEN images.is_manifest_list THEN 'index'
        WHEN images.artifact_media_type NOT IN (
            'application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json'
        ) THEN 'artifact'
        ELSE 'image'
    END AS kind,
    CAST(floor((extract(epoch FROM now()) - extract(epoch FROM images.image_pushed_at)) / 86400) AS BIGINT)
        AS days_since_push,
    CAST(floor((extract(epoch FROM now()) - extract(epoch FROM images.last_recorded_pull_time)) / 86400) AS BIGINT)
        AS days_since_pull
FROM images
LEFT JOIN attached USING (registry_id, region, repository_name, image_digest)
