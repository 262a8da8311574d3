"""What AWS answers of a registry: Amazon ECR, the tagging API and Amazon Inspector, in the members of their APIs.

What Amazon ECS and AWS Lambda answer is in `workload_answers`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from ecr_source.cli.demo_registry.embedded_registry import Finding, Image, Registry, Repository, Service
from ecr_source.cli.demo_registry.workload_answers import WorkloadAnswers

Item = dict[str, Any]

_SECONDS_A_DAY = 86_400
_ACCOUNT_SETTINGS = {
    "BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE",
    "REGISTRY_POLICY_SCOPE": "V2",
    "BLOB_MOUNTING": "DISABLED",
}


class NotThere(Exception):
    """What was asked for is not there; says so by the name of AWS's error."""


class Answers:
    """The answers of a registry of an account, whose days ago are those before `today`."""

    def __init__(self, account: str, registry: Registry, today: date) -> None:
        self._account = account
        self._registry = registry
        self._workloads = WorkloadAnswers(account, registry)
        self._midnight = int(datetime.combine(today, time(), UTC).timestamp())

    def answer(self, operation: str, asked: Item) -> Item:
        """The answer to a call.

        Raises:
            NotThere: what is asked for is not there.
            KeyError: no such operation is served, or no such repository, image or setting is there.
        """
        return self._operations()[operation](asked)

    def _operations(self) -> Mapping[str, Callable[[Item], Item]]:
        registry = self._registry
        return {
            # one answer for the registry
            "DescribeRepositories": lambda _: {"repositories": [*map(self._repository, registry.repositories)]},
            "DescribeRegistry": lambda _: {"replicationConfiguration": {"rules": registry.replication_rules}},
            "DescribePullThroughCacheRules": lambda _: {
                "pullThroughCacheRules": [*map(self._dated, registry.pull_through_cache_rules)]
            },
            "DescribeRepositoryCreationTemplates": lambda _: {
                "repositoryCreationTemplates": [*map(self._dated, registry.creation_templates)]
            },
            "GetRegistryPolicy": lambda _: {"policyText": _text(registry.policy, "RegistryPolicyNotFoundException")},
            "GetRegistryScanningConfiguration": lambda _: {
                "scanningConfiguration": {"scanType": registry.scan_type, "rules": registry.scanning_rules}
            },
            "GetSigningConfiguration": lambda _: _text(None, "SigningConfigurationNotFoundException"),
            "ListPullTimeUpdateExclusions": lambda _: {"pullTimeUpdateExclusions": []},
            "ListReplicationBackfills": lambda _: {"backfills": []},
            "GetResources": lambda _: {"ResourceTagMappingList": [*self._tagged_repositories()]},
            "ListCoverage": lambda _: {"coveredResources": [*self._covered_images()]},
            # one for a setting, a repository or an image
            "GetAccountSetting": lambda asked: {"name": asked["name"], "value": _ACCOUNT_SETTINGS[asked["name"]]},
            "BatchGetRepositoryScanningConfiguration": lambda asked: {
                "scanningConfigurations": [*map(self._scanning_configuration, asked["repositoryNames"])]
            },
            "GetRepositoryPolicy": lambda asked: {
                "policyText": _text(self._asked(asked).policy, "RepositoryPolicyNotFoundException")
            },
            "GetLifecyclePolicy": lambda asked: {
                "lifecyclePolicyText": _text(self._asked(asked).lifecycle_policy, "LifecyclePolicyNotFoundException"),
                "lastEvaluatedAt": self._time(0),
            },
            "DescribeImages": lambda asked: {"imageDetails": [*map(self._image, self._asked(asked).images)]},
            "BatchGetImage": self._manifests,
            "DescribeImageScanFindings": self._scan,
            "GetClustersForImage": self._clusters,
            **self._workloads.operations(),
        }

    # --- repositories

    def _repository(self, name: str) -> Item:
        one = self._registry.repositories[name]
        key = {"encryptionType": "KMS", "kmsKey": one.kms_key} if one.kms_key else {"encryptionType": "AES256"}
        exceptions = [{"filterType": "WILDCARD", "filter": pattern} for pattern in one.mutability_exceptions]
        return _given(
            {
                "registryId": self._account,
                "repositoryName": name,
                "repositoryArn": self._arn(name),
                "repositoryUri": f"{self._account}.dkr.ecr.{self._registry.region}.amazonaws.com/{name}",
                "createdAt": self._time(one.created),
                "imageTagMutability": one.mutability,
                "imageTagMutabilityExclusionFilters": exceptions or None,
                "imageScanningConfiguration": {"scanOnPush": one.scans == "SCAN_ON_PUSH"},
                "encryptionConfiguration": key,
            }
        )

    def _tagged_repositories(self) -> Iterator[Item]:
        for name, one in self._registry.repositories.items():
            if one.tags:
                tags = [{"Key": key, "Value": value} for key, value in one.tags.items()]
                yield {"ResourceARN": self._arn(name), "Tags": tags}

    def _scanning_configuration(self, name: str) -> Item:
        frequency = self._registry.repositories[name].scans
        return {
            "repositoryName": name,
            "repositoryArn": self._arn(name),
            "scanFrequency": frequency,
            "scanOnPush": frequency == "SCAN_ON_PUSH",
            "appliedScanFilters": [],
        }

    # --- images

    def _image(self, image: Image) -> Item:
        return _given(
            {
                "registryId": self._account,
                "imageDigest": image.digest,
                "imageTags": image.tags or None,
                "imageSizeInBytes": image.size,
                "imagePushedAt": self._time(image.pushed),
                "imageManifestMediaType": image.media_type,
                "artifactMediaType": None if image.children else image.artifact_type,
                "subjectManifestDigest": image.subject and image.subject.digest,
                "lastRecordedPullTime": self._time(image.pulled),
                "imageStatus": "ACTIVE" if image.archived is None else "ARCHIVED",
                "lastArchivedAt": self._time(image.archived),
            }
        )

    def _manifests(self, asked: Item) -> Item:
        wanted = {one["imageDigest"] for one in asked["imageIds"]}
        return {
            "images": [
                {
                    "registryId": self._account,
                    "repositoryName": asked["repositoryName"],
                    "imageId": {"imageDigest": image.digest},
                    "imageManifest": image.manifest,
                    "imageManifestMediaType": image.media_type,
                }
                for image in self._asked(asked).images
                if image.digest in wanted
            ]
        }

    # --- scans

    def _scan(self, asked: Item) -> Item:
        image = self._asked_image(asked["repositoryName"], asked["imageId"]["imageDigest"])
        if image.scan_failure:
            return {"imageScanStatus": {"status": "FAILED", "description": image.scan_failure}}
        if image.scanned is None:
            raise NotThere("ScanNotFoundException")
        is_enhanced = self._registry.scan_type == "ENHANCED"
        kind, told = ("enhancedFindings", self._enhanced) if is_enhanced else ("findings", _basic)
        return {
            "imageScanStatus": {"status": "ACTIVE" if is_enhanced else "COMPLETE"},
            "imageScanFindings": {
                "imageScanCompletedAt": self._time(image.scanned),
                "findingSeverityCounts": Counter(finding.severity for finding in image.findings),
                kind: [told(asked["repositoryName"], image, finding) for finding in image.findings],
            },
        }

    def _enhanced(self, name: str, image: Image, finding: Finding) -> Item:
        first_seen = min(finding.published, image.pushed)
        return {
            "awsAccountId": self._account,
            "findingArn": f"{self._arn(name)}/{image.digest}/{finding.vulnerability}",
            "type": "PACKAGE_VULNERABILITY",
            "status": "ACTIVE",
            "severity": finding.severity,
            "score": finding.score,
            "title": f"{finding.vulnerability} - {finding.package}",
            "fixAvailable": "YES" if finding.fixed_in else "NO",
            "exploitAvailable": "YES" if finding.is_exploited else "NO",
            "firstObservedAt": self._time(first_seen),
            "lastObservedAt": self._time(image.scanned),
            "updatedAt": self._time(first_seen),
            "packageVulnerabilityDetails": {
                "vulnerabilityId": finding.vulnerability,
                "source": "NVD",
                "sourceUrl": f"https://nvd.nist.gov/vuln/detail/{finding.vulnerability}",
                "vulnerablePackages": [
                    {
                        "name": finding.package,
                        "version": finding.version,
                        "packageManager": "OS",
                        "fixedInVersion": finding.fixed_in or "NotAvailable",
                    }
                ],
            },
        }

    # --- what runs

    def _covered_images(self) -> Iterator[Item]:
        for name, one in self._registry.repositories.items():
            for image in one.images:
                if image.scanned is not None:
                    yield self._covered(name, image)

    def _covered(self, name: str, image: Image) -> Item:
        last_used = self._time(0) if image.services else None
        usage = _given({"inUseCount": sum(one.running for one in image.services), "lastInUseAt": last_used})
        return {
            "resourceId": f"{self._arn(name)}/{image.digest}",
            "resourceType": "AWS_ECR_CONTAINER_IMAGE",
            "accountId": self._account,
            "scanType": "PACKAGE",
            "scanStatus": {"statusCode": "ACTIVE", "reason": "SUCCESSFUL"},
            "resourceMetadata": {"ecrRepository": {"name": name}, "ecrImage": usage},
        }

    def _clusters(self, asked: Item) -> Item:
        name, _, digest = asked["filter"]["resourceId"].partition(":repository/")[2].rpartition("/")
        return {"cluster": [*map(self._cluster, self._asked_image(name, digest).services)]}

    def _cluster(self, service: Service) -> Item:
        in_eks = self._arn_of("eks", f"cluster/{service.cluster}"), _of_eks(service)
        cluster, metadata = in_eks if service.namespace else self._of_ecs(service)
        return {
            "clusterArn": cluster,
            "clusterDetails": [
                {
                    "lastInUse": self._time(0),
                    "runningUnitCount": service.running,
                    "stoppedUnitCount": 0,
                    "clusterMetadata": metadata,
                }
            ],
        }

    def _of_ecs(self, service: Service) -> tuple[str, Item]:
        task = self._workloads.task_definition(service)
        metadata = {"awsEcsMetadataDetails": {"detailsGroup": f"service:{service.name}", "taskDefinitionArn": task}}
        return self._workloads.cluster(service), metadata

    # --- what is asked for, names and times

    def _asked(self, asked: Item) -> Repository:
        return self._registry.repositories[asked["repositoryName"]]

    def _asked_image(self, name: str, digest: str) -> Image:
        return {image.digest: image for image in self._registry.repositories[name].images}[digest]

    def _arn(self, name: str) -> str:
        return self._arn_of("ecr", f"repository/{name}")

    def _arn_of(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self._registry.region}:{self._account}:{resource}"

    def _time(self, days_ago: int | None) -> int | None:
        return None if days_ago is None else self._midnight - days_ago * _SECONDS_A_DAY

    def _dated(self, rule: Mapping[str, Any]) -> Item:
        """A rule or a template with times in place of days ago."""
        dates = {name: self._time(rule[name]) for name in ("createdAt", "updatedAt")}
        return {**rule, **dates}


def _text(document: Mapping[str, Any] | None, error: str) -> Any:
    if document is None:
        raise NotThere(error)
    return json.dumps(document)


def _given(members: Item) -> Item:
    return {name: value for name, value in members.items() if value is not None}


def _basic(_name: str, _image: Image, finding: Finding) -> Item:
    attributes = {
        "package_name": finding.package,
        "package_version": finding.version,
        "fixed_in_version": finding.fixed_in,
        "CVSS3_SCORE": str(finding.score),
    }
    return {
        "name": finding.vulnerability,
        "severity": finding.severity,
        "uri": f"https://nvd.nist.gov/vuln/detail/{finding.vulnerability}",
        "attributes": [{"key": key, "value": value} for key, value in attributes.items() if value],
    }


def _of_eks(service: Service) -> Item:
    workloads = [{"type": "DEPLOYMENT", "name": service.name}]
    return {"awsEksMetadataDetails": {"namespace": service.namespace, "workloadInfoList": workloads}}
