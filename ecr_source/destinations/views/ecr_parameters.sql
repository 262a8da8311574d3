-- Which prices, quotas and thresholds do the views use? A row for each of them.
--
-- name: What it is of; a setting of this name in the section sources.ecr.parameters overrides it, or --parameter of run.
-- value: The number. The last run says it.
-- unit: What it is counted in.
-- looked_up_on: When it was looked up; NULL where it is this project's choice, or a setting says it.
-- source: Who says so: settings, where one overrides it.

SELECT name, value, unit, looked_up_on, source
FROM parameters_in_force
