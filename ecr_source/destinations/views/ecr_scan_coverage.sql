-- Which images were never scanned, failed, cannot be scanned, or were scanned too long ago? A row for each image, with
-- what is known of its scan.
--
-- needs: images

SELECT
    scan_states.registry_id,
    scan_states.region,
    scan_states.repository_name,
    scan_states.image_digest,
    scan_states.image_tags,
    scan_states.image_pushed_at,
    scan_states.image_status,
    scan_states.scan_state,
    scan_states.scan_status,
    scan_states.scan_status_description,
    scan_states.scan_completed_at,
    scan_states.days_since_scan,
    scan_states.critical_count,
    scan_states.high_count,
    scan_states.medium_count,
    scan_states.low_count,
    scan_states.as_of
FROM scan_states
