-- Which images have no signature, no SBOM, no provenance? A row for each image and each index (manifest list), but
-- none for what is attached to them.
--
-- needs: images
-- signed: Whether it is signed: by a signing job that is complete, or by a signature that is attached to it or to an
--   index that refers to it. This and the next two are false only where all that could tell was read, and NULL where
--   it is not known.
-- has_sbom: Whether an SBOM is attached. NULL too where the repository has indexes whose manifests were not read,
--   because BuildKit hides attestations in them (`--table manifests`), and where an attestation does not say what it
--   attests.
-- has_provenance: Whether a provenance is attached, with the same reservations.
-- signature: What says that it is signed: the ARN of a signing profile, or the digest of a signature.
-- signing_failure: Why the last signing job failed; NULL if it did not.
-- sbom_digest: The digest of an SBOM.
-- provenance_digest: The digest of a provenance.
-- attestation_digest: The digest of an attestation that does not say what it attests.
-- as_of: When the images of the repository were listed, or the image was asked for its signing status, if that was
--   before.

WITH artifacts AS (
    SELECT
        registry_id,
        region,
        repository_name,
        subject_manifest_digest AS subject,
        image_digest AS digest,
        artifact_media_type AS is_a
    FROM images
    WHERE subject_manifest_digest IS NOT NULL
    UNION ALL
    SELECT registry_id, region, repository_name, subject_digest AS subject, digest, artifact_type AS is_a
    FROM image_referrers
    UNION ALL
    SELECT
        registry_id,
        region,
        repository_name,
        subject_digest AS subject,
        image_digest AS digest,
        CASE
            WHEN image_tag LIKE '%.sig' THEN 'cosign signature'
            WHEN image_tag LIKE '%.sbom' THEN 'cosign sbom'
            ELSE 'cosign attestation'
        END AS is_a
    FROM images_attached_by_tag
    UNION ALL
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest AS subject,
        child_digest AS digest,
        'buildkit attestation' AS is_a
    FROM image_manifest_children
    WHERE is_attestation
),

-- https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md
predicates AS (
    SELECT registry_id, region, repository_name, digest, max(predicate) AS predicate
    FROM (
        SELECT registry_id, region, repository_name, digest, annotation_value AS predicate
        FROM image_referrer_annotations
        WHERE annotation_key IN ('dev.sigstore.bundle.predicateType', 'in-toto.io/predicate-type')
        UNION ALL
        SELECT registry_id, region, repository_name, image_digest AS digest, annotation_value AS predicate
        FROM image_manifest_annotations
        WHERE annotation_key IN ('dev.sigstore.bundle.predicateType', 'in-toto.io/predicate-type')
    ) AS annotated
    GROUP BY registry_id, region, repository_name, digest
),

described AS (
    SELECT
        artifacts.registry_id,
        artifacts.region,
        artifacts.repository_name,
        artifacts.subject,
        artifacts.digest,
        lower(coalesce(artifacts.is_a, '') || ' ' || coalesce(predicates.predicate, '')) AS is_a
    FROM artifacts
    LEFT JOIN predicates USING (registry_id, region, repository_name, digest)
),

kinds AS (
    SELECT
        registry_id,
        region,
        repository_name,
        subject,
        digest,
        CASE
            WHEN is_a LIKE '%notary.signature%' OR is_a LIKE '%cosign signature%' OR is_a LIKE '%cosign.artifact.sig%'
                OR is_a LIKE '%simplesigning%' OR is_a LIKE '%cosign/sign%' THEN 'signature'
            WHEN is_a LIKE '%spdx%' OR is_a LIKE '%cyclonedx%' OR is_a LIKE '%sbom%' OR is_a LIKE '%syft%' THEN 'sbom'
            WHEN is_a LIKE '%slsa%' OR is_a LIKE '%provenance%' THEN 'provenance'
            WHEN is_a LIKE '%sigstore.bundle%' THEN 'bundle'
            WHEN is_a LIKE '%attestation%' OR is_a LIKE '%in-toto%' OR is_a LIKE '%dsse%' OR is_a = ' '
                THEN 'attestation'
        END AS kind
    FROM described
),

attached AS NOT MATERIALIZED (
    SELECT
        registry_id,
        region,
        repository_name,
        subject,
        min(CASE WHEN kind = 'signature' THEN digest END) AS signature_digest,
        min(CASE WHEN kind = 'sbom' THEN digest END) AS sbom_digest,
        min(CASE WHEN kind = 'provenance' THEN digest END) AS provenance_digest,
        min(CASE WHEN kind IN ('attestation', 'bundle') THEN digest END) AS attestation_digest,
        max(CASE WHEN kind = 'bundle' THEN 1 ELSE 0 END) AS bundles
    FROM kinds
    GROUP BY registry_id, region, repository_name, subject
),

attached_to_index AS (
    SELECT
        registry_id,
        region,
        repository_name,
        child_digest,
        min(signature_digest) AS signature_digest,
        min(sbom_digest) AS sbom_digest,
        min(provenance_digest) AS provenance_digest,
        min(attestation_digest) AS attestation_digest,
        max(bundles) AS bundles
    FROM image_manifest_children
    JOIN attached USING (registry_id, region, repository_name)
    WHERE subject = image_digest
    GROUP BY registry_id, region, repository_name, child_digest
),

signing AS (
    SELECT
        registry_id,
        region,
        repository_name,
        image_digest,
        min(CASE WHEN status = 'COMPLETE' THEN signing_profile_arn END) AS profile,
        max(CASE WHEN status = 'IN_PROGRESS' THEN 1 ELSE 0 END) AS pending,
        max(CASE WHEN status = 'FAILED' THEN coalesce(failure_reason, failure_code, status) END) AS signing_failure,
        min(extracted_at) AS extracted_at
    FROM image_signing_statuses
    GROUP BY registry_id, region, repository_name, image_digest
),

manifests_read AS (
    SELECT registry_id, region, repository_name, image_digest
    FROM extraction_images
    WHERE operation = 'ecr:BatchGetImage'
        AND outcome = 'complete'
        AND ' ' || for_tables || ' ' LIKE '% image_manifest_children %'
),

unread_indexes AS (
    SELECT
        images.registry_id,
        images.region,
        images.repository_name,
        count(*) AS indexes,
        count(attached.signature_digest) AS signed_indexes
    FROM images
    LEFT JOIN manifests_read USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN attached
        ON attached.registry_id = images.registry_id
        AND attached.region = images.region
        AND attached.repository_name = images.repository_name
        AND attached.subject = images.image_digest
    WHERE coalesce(images.is_manifest_list, true) AND manifests_read.image_digest IS NULL
    GROUP BY images.registry_id, images.region, images.repository_name
),

found AS (
    SELECT
        image_kinds.registry_id,
        image_kinds.region,
        image_kinds.repository_name,
        image_kinds.image_digest,
        image_kinds.image_tags,
        image_kinds.image_pushed_at,
        image_kinds.image_status,
        image_kinds.is_manifest_list,
        coalesce(signing.profile, attached.signature_digest, attached_to_index.signature_digest) AS signature,
        coalesce(attached.sbom_digest, attached_to_index.sbom_digest) AS sbom_digest,
        coalesce(attached.provenance_digest, attached_to_index.provenance_digest) AS provenance_digest,
        coalesce(attached.attestation_digest, attached_to_index.attestation_digest) AS attestation_digest,
        signing.signing_failure,
        image_listings.images_as_of IS NULL
            OR coalesce(signing.pending, 0) = 1
            OR coalesce(attached.bundles, 0) + coalesce(attached_to_index.bundles, 0) > 0
            OR (coalesce(unread_indexes.signed_indexes, 0) > 0 AND NOT coalesce(image_kinds.is_manifest_list, false))
            AS may_be_signed,
        image_listings.images_as_of IS NULL OR coalesce(unread_indexes.indexes, 0) > 0 AS may_be_attested,
        least(coalesce(image_listings.images_as_of, image_kinds.extracted_at), signing.extracted_at) AS as_of
    FROM image_kinds
    LEFT JOIN signing USING (registry_id, region, repository_name, image_digest)
    LEFT JOIN image_listings USING (registry_id, region, repository_name)
    LEFT JOIN unread_indexes USING (registry_id, region, repository_name)
    LEFT JOIN attached
        ON attached.registry_id = image_kinds.registry_id
        AND attached.region = image_kinds.region
        AND attached.repository_name = image_kinds.repository_name
        AND attached.subject = image_kinds.image_digest
    LEFT JOIN attached_to_index
        ON attached_to_index.registry_id = image_kinds.registry_id
        AND attached_to_index.region = image_kinds.region
        AND attached_to_index.repository_name = image_kinds.repository_name
        AND attached_to_index.child_digest = image_kinds.image_digest
    WHERE image_kinds.kind IN ('image', 'index')
)

SELECT
    registry_id,
    region,
    repository_name,
    image_digest,
    image_tags,
    image_pushed_at,
    image_status,
    is_manifest_list,
    CASE WHEN signature IS NOT NULL THEN true WHEN NOT may_be_signed THEN false END AS signed,
    CASE
        WHEN sbom_digest IS NOT NULL THEN true
        WHEN NOT may_be_attested AND attestation_digest IS NULL THEN false
    END AS has_sbom,
    CASE
        WHEN provenance_digest IS NOT NULL THEN true
        WHEN NOT may_be_attested AND attestation_digest IS NULL THEN false
    END AS has_provenance,
    signature,
    signing_failure,
    sbom_digest,
    provenance_digest,
    attestation_digest,
    as_of
FROM found
