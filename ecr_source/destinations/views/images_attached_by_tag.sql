-- Which images are attached to another one by nothing but a tag? A row for each of them: a part of views, not one of
-- them.
--
-- image_tag: The tag that says so.
-- subject_digest: The digest of the image that it is attached to.

-- Where a registry has no referrers, cosign attaches by a tag.
-- https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    min(image_tag) AS image_tag,
    'sha256:' || substr(min(image_tag), 8, 64) AS subject_digest
FROM image_tags
WHERE image_tag LIKE 'sha256-%.sig' OR image_tag LIKE 'sha256-%.att' OR image_tag LIKE 'sha256-%.sbom'
GROUP BY registry_id, region, repository_name, image_digest
