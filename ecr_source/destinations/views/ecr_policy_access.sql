-- What does each statement of a policy allow or deny, and to whom? A row for each principal of each statement (one for
-- all of a NotPrincipal), of the policies of repositories, registries and repository creation templates.
--
-- needs: policy_statements
-- effect: Allow or Deny.
-- principal: The principal as written: an ARN, an account id, a service, a URL or "*"; where negated, those that are
--   excepted, with commas between. NULL where its principals were not loaded.
-- principal_type: AWS, Service, Federated or CanonicalUser; "*" for the principal "*"; NULL where it excepts several.
-- principal_account_id: The account that the principal is of; NULL if it names none.
-- reach: How far the statement goes. public: everybody, in so far as `condition` does not narrow it. organization:
--   everybody whom a condition finds in an organization of AWS. other_account, own_account: principals of one account.
--   service: a service of AWS. federated: who signed in elsewhere. unidentified: a principal without an account, as
--   one that was deleted. NULL where there is no statement, or its principals were not loaded.
-- negated: Whether it is a NotPrincipal: everybody but these, so that an Allow is public.
-- may_pull: Whether it is about a call that a pull needs: ecr:BatchGetImage or ecr:GetDownloadUrlForLayer. Wildcards
--   and NotAction are understood. All columns like this are NULL where the actions are not known; of a Deny, they are
--   what it denies.
-- may_push: Whether it is about a call of a push: ecr:PutImage, or one that uploads a layer.
-- may_administer: Whether it is about a call that changes or deletes a repository, its policies, settings or images.
-- may_replicate: Whether it is about ecr:ReplicateImage.
-- may_import_upstream: Whether it is about ecr:BatchImportUpstreamImage, which a pull through a cache rule needs.
-- may_create_repository: Whether it is about ecr:CreateRepository.
-- actions: Its actions, with commas between, behind "all but" if it is a NotAction.
-- resources: Its resources, with commas between, behind "all but" if it is a NotResource; NULL if it names none.
-- is_conditional: Whether there is a condition.
-- condition: The condition as JSON; NULL if there is none.
-- is_denied_elsewhere: Whether a Deny of the same policy is about the principal, or some of those meant, and about
--   something that this Allow allows, whatever its condition and resources: what is allowed here may be denied there.
--   NULL but for an Allow whose principals and actions are known.

WITH named_calls AS (
    SELECT call, purpose
    FROM (
        VALUES
            ('ecr:batchgetimage', 'pull'),
            ('ecr:getdownloadurlforlayer', 'pull'),
            ('ecr:putimage', 'push'),
            ('ecr:initiatelayerupload', 'push'),
            ('ecr:uploadlayerpart', 'push'),
            ('ecr:completelayerupload', 'push'),
            ('ecr:batchdeleteimage', 'administer'),
            ('ecr:deletelifecyclepolicy', 'administer'),
            ('ecr:deleterepository', 'administer'),
            ('ecr:deleterepositorypolicy', 'administer'),
            ('ecr:putimagescanningconfiguration', 'administer'),
            ('ecr:putimagetagmutability', 'administer'),
            ('ecr:putlifecyclepolicy', 'administer'),
            ('ecr:setrepositorypolicy', 'administer'),
            ('ecr:tagresource', 'administer'),
            ('ecr:untagresource', 'administer'),
            ('ecr:updateimagestorageclass', 'administer'),
            ('ecr:replicateimage', 'replicate'),
            ('ecr:batchimportupstreamimage', 'import'),
            ('ecr:createrepository', 'create')
    ) AS listed (call, purpose)
),

written AS (
    SELECT DISTINCT action FROM policy_statement_actions
),

-- IAM's wildcards as those of LIKE.
meant AS (
    SELECT written.action, named_calls.call, named_calls.purpose
    FROM written
    JOIN named_calls ON named_calls.call LIKE replace(replace(lower(written.action), '*', '%'), '?', '_')
),

purposes AS (
    SELECT
        action,
        max(CASE WHEN purpose = 'pull' THEN 1 ELSE 0 END) AS pulls,
        max(CASE WHEN purpose = 'push' THEN 1 ELSE 0 END) AS pushes,
        max(CASE WHEN purpose = 'administer' THEN 1 ELSE 0 END) AS administers,
        max(CASE WHEN purpose = 'replicate' THEN 1 ELSE 0 END) AS replicates,
        max(CASE WHEN purpose = 'import' THEN 1 ELSE 0 END) AS imports,
        max(CASE WHEN purpose = 'create' THEN 1 ELSE 0 END) AS creates
    FROM meant
    GROUP BY action
),

-- A NotAction is about a purpose if one call of it is not excepted.
excepted AS (
    SELECT
        owner_type,
        registry_id,
        region,
        owner_name,
        statement_index,
        count(DISTINCT CASE WHEN purpose = 'pull' THEN call END) AS pulls,
        count(DISTINCT CASE WHEN purpose = 'push' THEN call END) AS pushes,
        count(DISTINCT CASE WHEN purpose = 'administer' THEN call END) AS administers,
        count(DISTINCT CASE WHEN purpose = 'replicate' THEN call END) AS replicates,
        count(DISTINCT CASE WHEN purpose = 'import' THEN call END) AS imports,
        count(DISTINCT CASE WHEN purpose = 'create' THEN call END) AS creates
    FROM policy_statement_actions
    JOIN meant USING (action)
    WHERE negated
    GROUP BY owner_type, registry_id, region, owner_name, statement_index
),

named AS (
    SELECT
        owner_type,
        registry_id,
        region,
        owner_name,
        statement_index,
        negated,
        max(coalesce(pulls, 0)) AS pulls,
        max(coalesce(pushes, 0)) AS pushes,
        max(coalesce(administers, 0)) AS administers,
        max(coalesce(replicates, 0)) AS replicates,
        max(coalesce(imports, 0)) AS imports,
        max(coalesce(creates, 0)) AS creates,
        string_agg(action, ', ' ORDER BY action) AS actions
    FROM policy_statement_actions
    LEFT JOIN purposes USING (action)
    GROUP BY owner_type, registry_id, region, owner_name, statement_index, negated
),

resources AS (
    SELECT
        owner_type,
        registry_id,
        region,
        owner_name,
        statement_index,
        CASE WHEN negated THEN 'all but ' ELSE '' END || string_agg(resource, ', ' ORDER BY resource) AS resources
    FROM policy_statement_resources
    GROUP BY owner_type, registry_id, region, owner_name, statement_index, negated
),

-- Only an operator that fails where the key is missing, and a value that names an organization, keep others out.
-- https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition_examples-multi-valued-context-keys.html
organizations AS (
    SELECT owner_type, registry_id, region, owner_name, statement_index
    FROM policy_statement_conditions
    WHERE lower(condition_key) IN ('aws:principalorgid', 'aws:principalorgpaths')
        AND lower(operator) IN (
            'stringequals', 'stringlike', 'stringequalsignorecase',
            'foranyvalue:stringequals', 'foranyvalue:stringlike', 'foranyvalue:stringequalsignorecase'
        )
    GROUP BY owner_type, registry_id, region, owner_name, statement_index, operator, condition_key
    HAVING min(CASE WHEN condition_value LIKE 'o-%' AND condition_value NOT LIKE 'o-*%' THEN 1 ELSE 0 END) = 1
),

-- `who` has an account as its id, however it is written.
principals AS (
    SELECT
        owner_type,
        registry_id,
        region,
        owner_name,
        statement_index,
        false AS negated,
        principal_type,
        principal,
        principal_account_id,
        CASE WHEN principal LIKE 'arn:%:root' THEN principal_account_id ELSE principal END AS who
    FROM policy_statement_principals
    WHERE NOT negated
    UNION ALL
    SELECT
        owner_type,
        registry_id,
        region,
        owner_name,
        statement_index,
        true AS negated,
        CASE WHEN min(principal_type) = max(principal_type) THEN min(principal_type) END AS principal_type,
        string_agg(principal, ', ' ORDER BY principal) AS principal,
        CAST(NULL AS VARCHAR) AS principal_account_id,
        string_agg(CASE WHEN principal LIKE 'arn:%:root' THEN principal_account_id ELSE principal END, ' ') AS who
    FROM policy_statement_principals
    WHERE negated
    GROUP BY owner_type, registry_id, region, owner_name, statement_index
),

stated AS NOT MATERIALIZED (
    SELECT
        policy_statements.owner_type,
        policy_statements.registry_id,
        policy_statements.region,
        policy_statements.owner_name,
        policy_statements.statement_index,
        policy_statements.sid,
        policy_statements.effect,
        policy_statements.condition_text,
        principals.principal,
        principals.principal_type,
        principals.principal_account_id,
        principals.negated,
        principals.who,
        resources.resources,
        CASE
            WHEN principals.principal IS NULL THEN NULL
            WHEN principals.negated OR (principals.principal = '*' AND principals.principal_type IN ('*', 'AWS'))
                THEN CASE WHEN organized.statement_index IS NULL THEN 'public' ELSE 'organization' END
            WHEN principals.principal_account_id = policy_statements.registry_id THEN 'own_account'
            WHEN principals.principal_account_id IS NOT NULL THEN 'other_account'
            WHEN principals.principal_type = 'Service' THEN 'service'
            WHEN principals.principal_type = 'Federated' THEN 'federated'
            ELSE 'unidentified'
        END AS reach,
        CASE WHEN named.negated THEN coalesce(excepted.pulls, 0) < 2 ELSE named.pulls = 1 END AS may_pull,
        CASE WHEN named.negated THEN coalesce(excepted.pushes, 0) < 4 ELSE named.pushes = 1 END AS may_push,
        CASE
            WHEN named.negated THEN coalesce(excepted.administers, 0) < 11
            ELSE named.administers = 1
        END AS may_administer,
        CASE
            WHEN named.negated THEN coalesce(excepted.replicates, 0) < 1
            ELSE named.replicates = 1
        END AS may_replicate,
        CASE
            WHEN named.negated THEN coalesce(excepted.imports, 0) < 1
            ELSE named.imports = 1
        END AS may_import_upstream,
        CASE
            WHEN named.negated THEN coalesce(excepted.creates, 0) < 1
            ELSE named.creates = 1
        END AS may_create_repository,
        CASE WHEN named.negated THEN 'all but ' || named.actions ELSE named.actions END AS actions
    FROM policy_statements
    LEFT JOIN named USING (owner_type, registry_id, region, owner_name, statement_index)
    LEFT JOIN excepted USING (owner_type, registry_id, region, owner_name, statement_index)
    LEFT JOIN principals USING (owner_type, registry_id, region, owner_name, statement_index)
    LEFT JOIN resources USING (owner_type, registry_id, region, owner_name, statement_index)
    LEFT JOIN (SELECT DISTINCT * FROM organizations) AS organized
        USING (owner_type, registry_id, region, owner_name, statement_index)
),

-- A Deny that is about a principal, its account, one of its account, everybody, or everybody but others; of what is
-- allowed to everybody any Deny takes something.
denied AS (
    SELECT DISTINCT
        allows.owner_type,
        allows.registry_id,
        allows.region,
        allows.owner_name,
        allows.statement_index,
        allows.principal
    FROM stated AS allows
    JOIN stated AS denies USING (owner_type, registry_id, region, owner_name)
    WHERE allows.effect = 'Allow'
        AND denies.effect = 'Deny'
        AND (
            (allows.may_pull AND denies.may_pull)
            OR (allows.may_push AND denies.may_push)
            OR (allows.may_administer AND denies.may_administer)
            OR (allows.may_replicate AND denies.may_replicate)
            OR (allows.may_import_upstream AND denies.may_import_upstream)
            OR (allows.may_create_repository AND denies.may_create_repository)
        )
        AND (
            allows.reach IN ('public', 'organization')
            OR CASE
                WHEN denies.negated THEN strpos(' ' || denies.who || ' ', ' ' || allows.who || ' ') = 0
                ELSE denies.reach IN ('public', 'organization')
                    OR denies.who IN (allows.who, allows.principal_account_id)
                    OR denies.principal_account_id = allows.who
            END
        )
)

SELECT
    stated.owner_type,
    stated.registry_id,
    stated.region,
    stated.owner_name,
    stated.statement_index,
    stated.sid,
    stated.effect,
    stated.principal,
    stated.principal_type,
    stated.principal_account_id,
    stated.reach,
    stated.negated,
    stated.may_pull,
    stated.may_push,
    stated.may_administer,
    stated.may_replicate,
    stated.may_import_upstream,
    stated.may_create_repository,
    stated.actions,
    stated.resources,
    stated.condition_text IS NOT NULL AS is_conditional,
    stated.condition_text AS condition,
    CASE
        WHEN stated.effect = 'Allow' AND stated.principal IS NOT NULL AND stated.actions IS NOT NULL
            THEN denied.statement_index IS NOT NULL
    END AS is_denied_elsewhere
FROM stated
LEFT JOIN denied
    ON denied.owner_type = stated.owner_type
    AND denied.registry_id = stated.registry_id
    AND denied.region = stated.region
    AND denied.owner_name = stated.owner_name
    AND denied.statement_index = stated.statement_index
    AND denied.principal = stated.principal
