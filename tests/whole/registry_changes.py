"""A registry with a history: filled to the last column, then changed, phase by phase, in every table.

`furnish` gives a repository everything that a repository can have; what a phase changes are the values, not the keys,
so that the same repository furnished for a later phase has changed rows. Times go forward with the phases.
"""

from __future__ import annotations

import json

from tests.server.ecr_server import EcrServer
from tests.server.registry import (
    BACKFILLS,
    CREATED_AT,
    OCI_INDEX,
    OCI_MANIFEST,
    POLICIES,
    PULL_THROUGH_CACHE_RULES,
    PUSHED_AT,
    REPLICATION_RULES,
    SCANNED_AT,
    SCANNING_RULES,
    SIGNATURE,
    SIGNING_PROFILES,
    SIGNING_RULES,
    TEMPLATES,
    UNPARSABLE_POLICY,
    Item,
    PublicRegistry,
    Registry,
    basic_finding,
    digest_of,
    enhanced_finding,
    package,
)
from tests.server.workloads import Workloads

REGION, OTHER_REGION = "eu-west-1", "us-east-1"
"""The other one is where the public registry is asked too."""

LOCKED, LOCKED_IMAGES = "locked/all", "locked/images"
"""Repositories that are denied for a while: in everything but the listing; in what is asked for each image."""

LATER = 1_000_000.0
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL", "UNDEFINED")


def fill(server: EcrServer) -> None:
    """The first phase: the maximal registry, what it lacks, and repositories for the phases to come."""
    registry = server.registry(REGION)
    registry.maximal()
    complete(registry)
    registry.account_settings.pop("BASIC_SCAN_TYPE_VERSION")
    for name in ("doomed", "re/created", "in-place", LOCKED, LOCKED_IMAGES):
        furnish(registry, name, 0)
    for name in ("doomed", "re-created", LOCKED):
        furnish_public(registry.public, name, 0)
    for name in ("doomed", "stays"):
        furnish(server.registry(OTHER_REGION), name, 0)


def complete(registry: Registry) -> None:
    """What the maximal registry lacks of being maximal: severities, annotations, texts that do not parse."""
    counts = {severity: number + 1 for number, severity in enumerate(SEVERITIES)}
    summary = {"imageScanCompletedAt": SCANNED_AT, "findingSeverityCounts": counts}
    scanned = registry.put_image(
        "team-a/web", tags=["severe"], imageScanStatus={"status": "COMPLETE"}, imageScanFindingsSummary=summary
    )
    findings = [basic_finding(f"CVE-2025-2{n}", "tar", "1.0", severity) for n, severity in enumerate(SEVERITIES)]
    registry.scan("team-a/web", scanned["imageDigest"], findings)
    broken = registry.put_image("team-a/web", tags=["no-manifest"])
    registry.manifests["team-a/web", broken["imageDigest"]] = "not a manifest"
    registry.put("unknown-members", CREATED_AT + 4)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr:GetAuthorizationToken", "Until": "2030-01-01"}
    registry.policies["unknown-members"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    _annotate(registry)
    registry.public.policies["sdk/base"] = UNPARSABLE_POLICY


def _annotate(registry: Registry) -> None:
    digest = registry.put_image("team-a/web", tags=["annotated"])["imageDigest"]
    annotations = {"org.opencontainers.image.source": "https://example.com/web"}
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "annotations": annotations, "layers": []}
    registry.manifests["team-a/web", digest] = json.dumps(manifest)


# --- a repository that has everything ------------------------------------------------------------------------------


def furnish(registry: Registry, name: str, phase: int) -> None:
    """Creates the repository, or changes it in place: all that a repository can have, with the values of the phase."""
    now = LATER * phase
    registry.put(
        name,
        CREATED_AT + now,
        imageTagMutability=("IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION")[phase % 2],
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": f} for f in ("dev-*", "pr-*")],
        imageScanningConfiguration={"scanOnPush": phase % 2 == 0},
    )
    registry.tags[name] = {"team": "a", "stage": f"phase {phase}"}
    registry.policies[name] = json.dumps(policy(phase))
    registry.lifecycle_policies[name] = json.dumps(lifecycle_policy(phase))
    registry.lifecycle_evaluated_at[name] = CREATED_AT + now + 60
    registry.scanning_configurations[name] = {
        "scanFrequency": ("SCAN_ON_PUSH", "CONTINUOUS_SCAN")[phase % 2],
        "appliedScanFilters": [{"filter": f, "filterType": "WILDCARD"} for f in ("*", f"phase-{phase}*")],
    }
    for kind in ("app", "web", "index"):
        _furnish_image(registry, name, kind, phase)
    _furnish_preview(registry, name, phase)


def image_of(repository: str, kind: str) -> str:
    """The digest of an image of a furnished repository: `app`, `web` or `index`."""
    return digest_of(f"{kind} of {repository}")


def push(registry: Registry, name: str, phase: int, seconds: float = 0) -> None:
    """One image more in a furnished repository, with everything; so many seconds after the phase began."""
    _furnish_image(registry, name, f"pushed {phase}", phase, seconds)
    _furnish_preview(registry, name, phase)


def rescan(registry: Registry, name: str, kind: str, completed_at: float) -> None:
    """The listing tells of a newer scan of the image, which found one thing more."""
    digest = image_of(name, kind)
    registry.images[name][digest]["imageScanFindingsSummary"]["imageScanCompletedAt"] = completed_at
    findings = [basic_finding(f"CVE-2025-{n}", "zlib", "1.3") for n in range(4)]
    registry.scan(name, digest, findings, completed_at=completed_at)


def _furnish_image(registry: Registry, name: str, kind: str, phase: int, seconds: float = 0) -> None:
    digest, now = image_of(name, kind), LATER * phase
    registry.put_image(
        name,
        digest,
        [f"{kind}-{tag}".replace(" ", "-") for tag in ("1", "latest")],
        PUSHED_AT + now + seconds,
        imageManifestMediaType=OCI_INDEX if kind == "index" else OCI_MANIFEST,
        lastRecordedPullTime=PUSHED_AT + now + 100,
        imageScanStatus={"status": "COMPLETE", "description": f"phase {phase}"},
        imageScanFindingsSummary={
            "imageScanCompletedAt": SCANNED_AT + now,
            "findingSeverityCounts": {"HIGH": 1 + phase, "MEDIUM": 1},
        },
    )
    image = (name, digest)
    _furnish_scan(registry, *image, phase, enhanced=kind != "app")
    registry.replication_statuses[image] = [
        {"region": region, "registryId": "123456789012", "status": ("IN_PROGRESS", "COMPLETE")[phase % 2]}
        for region in ("us-west-2", "ap-south-1")[: 1 + phase % 2]
    ]
    registry.signing_statuses[image] = [
        {"signingProfileArn": profile, "status": ("FAILED", "COMPLETE")[phase % 2]}
        for profile in SIGNING_PROFILES[: 1 + phase % 2]
    ]
    registry.referrers[image] = [
        {
            "digest": digest_of(f"{digest} {referrer}"),
            "mediaType": OCI_MANIFEST,
            "artifactType": SIGNATURE,
            "size": 700 + phase,
            "annotations": {"made": f"in phase {phase}"},
            "artifactStatus": "ACTIVE",
        }
        for referrer in ("signature", "sbom")
    ]
    registry.in_use_counts[image] = 1 + phase
    registry.clusters[image] = _clusters(registry, phase)
    # What a digest stands for does not change.
    layers = [{"mediaType": "layer", "digest": digest_of(f"{n} of {digest}"), "size": 100 + n} for n in range(2)]
    children = [
        {"mediaType": OCI_MANIFEST, "digest": digest_of(f"{arch} of {digest}"), "platform": {"architecture": arch}}
        for arch in ("amd64", "arm64")
    ]
    content: Item = {"manifests": children} if kind == "index" else {"layers": layers}
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "annotations": {"of": digest}} | content
    registry.manifests[image] = json.dumps(manifest)


def _clusters(registry: Registry, phase: int) -> list[Item]:
    """A task of ECS and pods of EKS that stay, with others around them, and one more in each phase."""

    def details(metadata: Item) -> Item:
        return {"lastInUse": SCANNED_AT + phase, "runningUnitCount": 1 + phase, "clusterMetadata": metadata}

    def task(name: str) -> Item:
        definition = f"arn:aws:ecs:{registry.region}:{registry.account}:task-definition/{name}:1"
        return details({"awsEcsMetadataDetails": {"detailsGroup": f"service:{name}", "taskDefinitionArn": definition}})

    workloads = [{"name": name, "type": "DEPLOYMENT"} for name in ("web", f"web-{phase}")]
    pods = details({"awsEksMetadataDetails": {"namespace": "shop", "workloadInfoList": workloads}})
    arn = f"arn:aws:ecs:{registry.region}:{registry.account}:cluster/production"
    return [
        {"clusterArn": arn, "clusterDetails": [task("web"), task(f"canary-{phase}")]},
        {"clusterArn": arn.replace("ecs", "eks"), "clusterDetails": [pods]},
    ]


def _furnish_scan(registry: Registry, name: str, digest: str, phase: int, *, enhanced: bool) -> None:
    completed_at = SCANNED_AT + LATER * phase
    version = f"1.{phase}"
    if not enhanced:
        found = [
            basic_finding("CVE-2025-1", "openssl", "3.0", description=f"Known since phase {phase}."),
            basic_finding("CVE-2025-2", "zlib", "1.3", attributes={"CVSS2_SCORE": f"5.{phase}"}),
        ]
        registry.scan(name, digest, found, completed_at=completed_at, description=f"phase {phase}")
        return
    adjustments = [{"metric": metric, "reason": f"phase {phase}"} for metric in ("AV", "AC")]
    scores = [
        {"baseScore": 4.0 + phase, "scoringVector": "AV:N", "source": source, "version": "3.1"}
        for source in ("NVD", "VENDOR")
    ]
    details = {
        "cvss": scores,
        "referenceUrls": [f"https://example.com/{n}" for n in range(phase, phase + 2)],
        "relatedVulnerabilities": [f"CVE-2024-{n}" for n in range(phase, phase + 2)],
        "vulnerabilityId": "CVE-2025-3",
        "vulnerablePackages": [package("curl", "8", fixedInVersion=version), package("bash", "5")],
    }
    finding = enhanced_finding(
        "CVE-2025-3",
        score=4.0 + phase,
        scoreDetails={"cvss": {"adjustments": adjustments, "score": 4.0 + phase}},
        packageVulnerabilityDetails=details,
        updatedAt=completed_at,
    )
    registry.scan(name, digest, enhanced=[finding], completed_at=completed_at, description=f"phase {phase}")


def _furnish_preview(registry: Registry, name: str, phase: int) -> None:
    results = [
        {
            "imageTags": image["imageTags"],
            "imageDigest": digest,
            "imagePushedAt": image["imagePushedAt"],
            "action": {"type": ("EXPIRE", "TRANSITION")[phase % 2]},
            "appliedRulePriority": 1 + phase,
        }
        for digest, image in registry.images[name].items()
    ]
    counts = [{"targetStorageClass": "ARCHIVE", "imageTotalCount": 1 + phase}]
    registry.lifecycle_previews[name] = {
        "lifecyclePolicyText": registry.lifecycle_policies[name],
        "status": "COMPLETE",
        "previewResults": results,
        "summary": {"expiringImageTotalCount": 1 + phase, "transitioningImageTotalCounts": counts},
    }


def policy(phase: int) -> Item:
    """A policy that has rows in every policy table; even and odd phases differ in values and in rows."""
    first = {
        "Sid": f"Phase{phase}",
        "Effect": "Allow",
        "Principal": {"AWS": ["210987654321", f"arn:aws:iam::{phase + 1:012}:root"]},
        "Action": ["ecr:BatchGetImage", f"ecr:Phase{phase}"],
        "Resource": ["*", f"arn:aws:ecr:*:*:repository/{phase}"],
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": f"o-{phase}"}},
    }
    second = {"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"}
    return {"Version": "2012-10-17", "Id": f"phase {phase}", "Statement": [first, second][: 2 - phase % 2]}


def lifecycle_policy(phase: int) -> Item:
    """Rules of which one is in every phase, with other values, and one in this phase only."""
    return {
        "rules": [
            {
                "rulePriority": priority,
                "selection": {
                    "tagStatus": "tagged",
                    "tagPrefixList": ["dev-", f"phase-{phase}-"],
                    "countType": "imageCountMoreThan",
                    "countNumber": 10 + phase,
                },
                "action": {"type": "expire"},
            }
            for priority in (1, 100 + phase)
        ]
    }


def furnish_public(public: PublicRegistry, name: str, phase: int) -> None:
    """As `furnish`, for a public repository."""
    now = LATER * phase
    public.put(name, CREATED_AT + now)
    public.tags[name] = {"team": "a", "stage": f"phase {phase}"}
    public.policies[name] = json.dumps(policy(phase))
    public.catalog_data[name] = {
        "description": f"In phase {phase}",
        "architectures": ["x86-64", f"phase {phase}"],
        "operatingSystems": ["Linux", f"phase {phase}"],
    }
    for kind in ("app", "web"):
        digest = image_of(name, kind)
        public.put_image(name, digest, [f"{kind}-{phase}", kind], PUSHED_AT + now)
        public.tag_created_at[name, kind] = PUSHED_AT + now


# --- the phases ----------------------------------------------------------------------------------------------------


def change_everything(server: EcrServer) -> None:
    """The second phase: rows are created, changed and deleted in every table."""
    registry, public = server.registry(REGION), server.registry(REGION).public
    _change_repositories(registry)
    _change_rules(registry, 1)
    _change_public(public)
    del server.registry(OTHER_REGION).repositories["doomed"]
    furnish(server.registry(OTHER_REGION), "stays", 1)
    furnish(server.registry(OTHER_REGION), "new", 1)
    _change_rules(server.registry(OTHER_REGION), 1)


def _change_repositories(registry: Registry) -> None:
    del registry.repositories["doomed"]
    del registry.repositories["re/created"]
    furnish(registry, "re/created", 1)
    furnish(registry, "in-place", 1)
    furnish(registry, "new", 1)
    registry.delete_image("team-a/api", next(iter(registry.images["team-a/api"])))
    registry.put_image("team-a/api", tags=["3.0", "latest"], pushed_at=PUSHED_AT + LATER)
    del registry.policies["team-a/web"]
    del registry.lifecycle_policies["team-a/web"]


def _change_rules(registry: Registry, phase: int) -> None:
    """The rules of the whole registry; those without a name are known by their place, and become more."""
    rules: Item = {"destinations": [{"region": "sa-east-1", "registryId": "123456789012"}]}
    filters = [{"filter": "a-first/", "filterType": "PREFIX_MATCH"}]
    more = rules | {"repositoryFilters": filters, "deleteReplication": {"enabled": False}}
    registry.replication_configuration = {"rules": [more, *REPLICATION_RULES]}
    often: Item = {
        "scanFrequency": "SCAN_ON_PUSH",
        "repositoryFilters": [{"filter": "a-first*", "filterType": "WILDCARD"}],
    }
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": [often, *SCANNING_RULES]}
    signed: Item = {
        "signingProfileArn": SIGNING_PROFILES[0].replace("release", "a-first"),
        "repositoryFilters": [{"filter": "a-first*", "filterType": "WILDCARD_MATCH"}],
    }
    registry.signing_configuration = {"rules": [signed, *SIGNING_RULES]}
    registry.registry_policy = json.dumps(policy(phase))
    registry.account_settings |= {"BASIC_SCAN_TYPE_VERSION": "CLAIR", "REGISTRY_POLICY_SCOPE": "V2"}
    registry.account_settings.pop("BLOB_MOUNTING", None)
    _change_named_rules(registry, phase)
    _change_workloads(registry.workloads, phase)


def _change_named_rules(registry: Registry, phase: int) -> None:
    registry.pull_through_cache_rules = [
        PULL_THROUGH_CACHE_RULES[0] | {"updatedAt": CREATED_AT + LATER * phase},
        {"ecrRepositoryPrefix": "ghcr", "upstreamRegistryUrl": "ghcr.io", "createdAt": CREATED_AT + LATER},
    ]
    changed: Item = {
        "description": f"phase {phase}",
        "resourceTags": [{"Key": "team", "Value": f"phase {phase}"}, {"Key": "new", "Value": ""}],
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": f} for f in ("v*", "new*")],
        "appliedFor": ["REPLICATION"],
        "repositoryPolicy": json.dumps(policy(phase)),
        "lifecyclePolicy": json.dumps(lifecycle_policy(phase)),
    }
    registry.repository_creation_templates = [
        TEMPLATES[0] | changed,
        {"prefix": "new/", "repositoryPolicy": json.dumps(POLICIES["team-a/web"]), "appliedFor": ["CREATE_ON_PUSH"]},
    ]
    registry.pull_time_update_exclusions = [
        "arn:aws:iam::123456789012:role/mirror",
        f"arn:aws:iam::123456789012:role/phase-{phase}",
    ]
    _change_backfills(registry, phase)


def _change_workloads(workloads: Workloads, phase: int) -> None:
    """A service and a function that stay, with other numbers, and others in the place of those of the phase before."""
    workloads.tasks.clear()
    workloads.services.clear()
    workloads.functions.clear()
    image = workloads.image("team-a/web", ":latest")
    for _ in range(2 + phase):
        workloads.run_task("production", "web:7", [("web", image, digest_of("web"))], "service:web")
    workloads.run_task("production", f"job:{phase}", [("job", image, None)])
    workloads.define("web:7", {"web": image, f"proxy-{phase}": "nginx"})
    workloads.serve("production", "web", ["web:7"], running=2 + phase)
    for version in ("$LATEST", str(phase)):
        function = workloads.add_function("thumbnails", version, image, digest_of("web"))
        function["Configuration"]["Description"] = f"phase {phase}"


def _change_backfills(registry: Registry, phase: int) -> None:
    new = "33333333-3333-3333-3333-333333333333"
    progress = BACKFILLS[0]["progress"] | {"completedReplicationCount": 2, "failureCodes": ["KmsError", "New"]}
    registry.backfills = [
        BACKFILLS[0] | {"status": "COMPLETE", "progress": progress},
        BACKFILLS[1] | {"replicationBackfillId": new},
    ]
    image: Item = {"repositoryName": "team-a/web", "imageId": {"imageDigest": digest_of("any")}}
    again = [dict(result) for result in registry.backfill_results.get(BACKFILLS[0]["replicationBackfillId"], ())][1:]
    for result in again:
        result |= {"failureCode": f"Phase{phase}", "subImageFailureCodes": ["KmsError", "New"]}
    failed = {"status": "FAILED", "subImageFailureCodes": ["New"]}
    registry.backfill_results = {BACKFILLS[0]["replicationBackfillId"]: again, new: [image | failed]}


def _change_public(public: PublicRegistry) -> None:
    public.registry |= {
        "verified": False,
        "aliases": [
            {"name": "acme", "status": "PENDING", "primaryRegistryAlias": True, "defaultRegistryAlias": False},
            {"name": "new", "status": "ACTIVE", "primaryRegistryAlias": False, "defaultRegistryAlias": True},
        ],
    }
    public.registry_catalog_data = {"displayName": "Acme, Ltd."}
    for name in ("doomed", "re-created"):
        del public.repositories[name]
    furnish_public(public, "re-created", 1)
    furnish_public(public, "new", 1)


def change_again(server: EcrServer, phase: int) -> None:
    """A later phase: what could be read before changes again, and so does what cannot be read meanwhile."""
    registry = server.registry(REGION)
    for name in ("in-place", LOCKED, LOCKED_IMAGES, "new"):
        furnish(registry, name, phase)
    for seconds, name in enumerate((LOCKED, "in-place", "new")):
        push(registry, name, phase, seconds)
    for name in ("stays", "new"):
        furnish(server.registry(OTHER_REGION), name, phase)
    push(server.registry(OTHER_REGION), "stays", phase)
    for name in ("re-created", "new", LOCKED):
        furnish_public(registry.public, name, phase)
    _change_workloads(registry.workloads, phase)
    registry.replication_configuration = {"rules": REPLICATION_RULES[1:]}
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": SCANNING_RULES[1:]}
    registry.signing_configuration = {"rules": SIGNING_RULES[1:]}
