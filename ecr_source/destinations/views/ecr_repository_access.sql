-- Who may do what with each repository, and is it public, shared with the organization or with other accounts? A row
-- for each principal of each statement of a repository's policy (one for all of a NotPrincipal), and one for a
-- repository of which there is no statement to show. What the policy of the registry says of all repositories is in
-- ecr_registry_access.
--
-- needs: repositories
-- access: stated: the row is of a statement. no_policy: the repository has none, so that only what IAM allows within
--   its own account holds. unreadable: its policy is no policy document. unknown: it is not known whether it has one,
--   or what it says. The columns of statements are NULL but for stated.
-- as_of: When the policy was read; NULL if it was never.

WITH asked AS (
    SELECT registry_id, region, repository_name, outcome, extracted_at
    FROM extraction_repositories
    WHERE operation = 'ecr:GetRepositoryPolicy'
),

-- In incremental mode the statements of a policy that is gone are still there.
stated AS (
    SELECT ecr_policy_access.*
    FROM ecr_policy_access
    LEFT JOIN asked
        ON asked.registry_id = ecr_policy_access.registry_id
        AND asked.region = ecr_policy_access.region
        AND asked.repository_name = ecr_policy_access.owner_name
    WHERE ecr_policy_access.owner_type = 'repository' AND coalesce(asked.outcome, '') <> 'no_policy'
)

SELECT
    repositories.registry_id,
    repositories.region,
    repositories.repository_name,
    CASE
        WHEN asked.outcome IS NULL THEN 'unknown'
        WHEN stated.statement_index IS NOT NULL THEN 'stated'
        WHEN asked.outcome = 'no_policy' OR policies.statement_count = 0 THEN 'no_policy'
        WHEN policies.parse_error IS NOT NULL THEN 'unreadable'
        ELSE 'unknown'
    END AS access,
    effect,
    principal,
    principal_type,
    principal_account_id,
    reach,
    negated,
    may_pull,
    may_push,
    may_administer,
    actions,
    is_conditional,
    condition,
    is_denied_elsewhere,
    sid,
    statement_index,
    asked.extracted_at AS as_of
FROM repositories
LEFT JOIN asked USING (registry_id, region, repository_name)
LEFT JOIN policies
    ON policies.registry_id = repositories.registry_id
    AND policies.region = repositories.region
    AND policies.owner_name = repositories.repository_name
    AND policies.owner_type = 'repository'
LEFT JOIN stated
    ON stated.registry_id = repositories.registry_id
    AND stated.region = repositories.region
    AND stated.owner_name = repositories.repository_name
