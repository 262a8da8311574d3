-- What has been read and loaded? A row for each run, scope and table that the run was to read: a part of views, not one of
-- them.
--
-- loaded_at: When the load of the run was complete.
-- is_of_images: Whether it is a table of single images, which are loaded together, or none is.

SELECT
    extraction_scopes.*,
    coalesce(inserted_at, finished_at) AS loaded_at,
    table_name IN (SELECT table_name FROM tables_asked_again) AS is_of_images
FROM extraction_scopes
LEFT JOIN _dlt_loads ON load_id = run_id
-- Where many tasks load one run, its id is not dlt's, and the ledger is written when all have ended.
WHERE extraction_scopes.status <> 'skipped' AND (load_id IS NOT NULL OR run_id NOT SIMILAR TO '[0-9]+[.][0-9]+')
