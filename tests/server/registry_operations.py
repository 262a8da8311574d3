"""What each operation of ecr and tagging answers, from what a registry holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from tests.server.answers import AnswerError
from tests.server.pages import next_token
from tests.server.registry import EVALUATED_AT, Bulk, Item, Registry, Store, given
from tests.server.store_operations import StoreOperations, asked_image, existing, found, of_repository, tag_list

Operation = Callable[[Registry, Item], Item | bytes]
DESCRIBE_REPOSITORIES = "DescribeRepositories"


class RegistryOperations(StoreOperations):
    """The operations of ecr and tagging."""

    def table(self) -> dict[str, Operation]:
        """All operations that are served, by the name under which their calls are counted."""
        return {
            DESCRIBE_REPOSITORIES: self.describe_repositories,
            "DescribeRegistry": self.describe_registry,
            "GetRegistryPolicy": self.get_registry_policy,
            "GetRegistryScanningConfiguration": self.get_registry_scanning_configuration,
            "GetSigningConfiguration": self.get_signing_configuration,
            "GetAccountSetting": self.get_account_setting,
            "DescribePullThroughCacheRules": self.describe_pull_through_cache_rules,
            "DescribeRepositoryCreationTemplates": self.describe_repository_creation_templates,
            "ListPullTimeUpdateExclusions": self.list_pull_time_update_exclusions,
            "ListReplicationBackfills": self.list_replication_backfills,
            "DescribeReplicationBackfillResults": self.describe_replication_backfill_results,
            "DescribeImages": self.describe_images,
            "GetLifecyclePolicy": self.get_lifecycle_policy,
            "GetRepositoryPolicy": self.get_repository_policy,
            "GetLifecyclePolicyPreview": self.get_lifecycle_policy_preview,
            "ListTagsForResource": self.list_tags_for_resource,
            "BatchGetRepositoryScanningConfiguration": self.batch_get_repository_scanning_configuration,
            "DescribeImageScanFindings": self.describe_image_scan_findings,
            "DescribeImageReplicationStatus": self.describe_image_replication_status,
            "DescribeImageSigningStatus": self.describe_image_signing_status,
            "ListImageReferrers": self.list_image_referrers,
            "BatchGetImage": self.batch_get_image,
            "GetResources": self.get_resources,
        }

    # --- ecr: one a registry

    def describe_registry(self, registry: Registry, parameters: Item) -> Item:
        return {"registryId": registry.account, "replicationConfiguration": registry.replication_configuration}

    def get_registry_policy(self, registry: Registry, parameters: Item) -> Item:
        text = found(registry.registry_policy, "RegistryPolicyNotFoundException", "Registry policy does not exist")
        return {"registryId": registry.account, "policyText": text}

    def get_registry_scanning_configuration(self, registry: Registry, parameters: Item) -> Item:
        return {"registryId": registry.account, "scanningConfiguration": registry.scanning_configuration}

    def get_signing_configuration(self, registry: Registry, parameters: Item) -> Item:
        configuration = found(
            registry.signing_configuration,
            "SigningConfigurationNotFoundException",
            f"There is no signing configuration in the registry with id '{registry.account}'",
        )
        return {"registryId": registry.account, "signingConfiguration": configuration}

    def get_account_setting(self, registry: Registry, parameters: Item) -> Item:
        name = parameters["name"]
        value = found(registry.account_settings.get(name), "ValidationException", f"Unknown account setting {name}")
        return {"name": name, "value": value}

    def describe_pull_through_cache_rules(self, registry: Registry, parameters: Item) -> Item:
        rules = _chosen(
            registry.pull_through_cache_rules, "ecrRepositoryPrefix", parameters.get("ecrRepositoryPrefixes")
        )
        return self.pages.page("pullThroughCacheRules", rules, parameters)

    def describe_repository_creation_templates(self, registry: Registry, parameters: Item) -> Item:
        templates = _chosen(registry.repository_creation_templates, "prefix", parameters.get("prefixes"))
        beside = {"registryId": registry.account}
        return self.pages.page("repositoryCreationTemplates", templates, parameters, beside=beside)

    def list_pull_time_update_exclusions(self, registry: Registry, parameters: Item) -> Item:
        return self.pages.page("pullTimeUpdateExclusions", registry.pull_time_update_exclusions, parameters)

    def list_replication_backfills(self, registry: Registry, parameters: Item) -> Item:
        beside = {"registryId": registry.account}
        return self.pages.page("backfills", registry.backfills, parameters, beside=beside, default=50)

    def describe_replication_backfill_results(self, registry: Registry, parameters: Item) -> Item:
        wanted = parameters["replicationBackfillId"]
        backfills = (entry for entry in registry.backfills if entry["replicationBackfillId"] == wanted)
        backfill = found(
            next(backfills, None),
            "ReplicationBackfillNotFoundException",
            f"There is no replication backfill '{wanted}'",
        )
        status = parameters.get("resultStatusFilter")
        results = _chosen(registry.backfill_results.get(wanted, []), "status", status and [status])
        return self.pages.page("results", results, parameters, beside={"registryId": registry.account, **backfill})

    # --- ecr: one a repository

    def describe_images(self, registry: Registry, parameters: Item) -> Item | bytes:
        name = existing(registry, parameters["repositoryName"])
        condition = parameters.get("filter", {})
        if self.pages.reject_image_status_filter and "imageStatus" in condition:
            raise AnswerError("InvalidParameterException", "Invalid parameter at 'filter.imageStatus'")
        if "imageIds" in parameters:
            return self.images_by_id(registry, name, parameters)
        status, tagged = condition.get("imageStatus", "ACTIVE"), condition.get("tagStatus", "ANY")
        bulk = registry.bulk.get(name) if name not in registry.images else None
        if bulk and self.pages.pages_plainly and status in ("ACTIVE", "ANY") and tagged == "ANY":
            return self._bulk_images(bulk, parameters)
        images = [
            image
            for image in registry.images_of(name).values()
            if status in ("ANY", image.get("imageStatus", "ACTIVE")) and _has_tag_status(image, tagged)
        ]
        return self.pages.page("imageDetails", images, parameters)

    def _bulk_images(self, bulk: Bulk, parameters: Item) -> bytes:
        start, stop = self.pages.page_bounds(parameters)
        following = b',"nextToken":"%s"' % next_token(stop).encode() if stop < bulk.count else b""
        return b'{"imageDetails":[%s]%s}' % (bulk.page(start, stop), following)

    def get_lifecycle_policy(self, registry: Registry, parameters: Item) -> Item:
        name = existing(registry, parameters["repositoryName"])
        text = of_repository(registry, name, registry.lifecycle_policies, "LifecyclePolicyNotFoundException")
        evaluated_at = registry.lifecycle_evaluated_at.get(name, EVALUATED_AT)
        return given(
            {
                "registryId": registry.account,
                "repositoryName": name,
                "lifecyclePolicyText": text,
                "lastEvaluatedAt": evaluated_at,
            }
        )

    def get_lifecycle_policy_preview(self, registry: Registry, parameters: Item) -> Item:
        name = existing(registry, parameters["repositoryName"])
        code = "LifecyclePolicyPreviewNotFoundException"
        preview = of_repository(registry, name, registry.lifecycle_previews, code)
        beside = {"registryId": registry.account, "repositoryName": name, **preview}
        wanted = [image_id.get("imageDigest") for image_id in parameters.get("imageIds", ())]
        tagged = parameters.get("filter", {}).get("tagStatus", "ANY")
        results = _chosen(beside.pop("previewResults", []), "imageDigest", wanted or None)
        results = [result for result in results if _has_tag_status(result, tagged)]
        return self.pages.page("previewResults", results, parameters, beside=beside)

    def batch_get_repository_scanning_configuration(self, registry: Registry, parameters: Item) -> Item:
        names = dict.fromkeys(parameters["repositoryNames"])
        failure = {"failureCode": "REPOSITORY_NOT_FOUND", "failureReason": "The repository does not exist."}
        return {
            "scanningConfigurations": [
                _scanning_configuration(registry, n) for n in names if n in registry.repositories
            ],
            "failures": [{"repositoryName": name, **failure} for name in names if name not in registry.repositories],
        }

    # --- ecr: one an image

    def describe_image_scan_findings(self, registry: Registry, parameters: Item) -> Item | bytes:
        name, image_id = existing(registry, parameters["repositoryName"]), parameters["imageId"]
        bulk = registry.bulk.get(name)
        key = (name, image_id.get("imageDigest", ""))
        stored = key in registry.scans or name in registry.images
        if bulk and not stored and self.pages.pages_plainly and not self.pages.page_size:
            answer = bulk.scan(key[1])
            if answer:
                return answer
        image = asked_image(registry, name, image_id)
        scan = registry.scans.get((name, image["imageDigest"]))
        if scan is None and bulk:
            scan = orjson.loads(bulk.scan(image["imageDigest"]) or b"null")
        scan = found(
            scan, "ScanNotFoundException", f"Image scan does not exist for the image with '{image_id}' in '{name}'"
        )
        return self._scan_page(scan, parameters, _image_echo(registry, name, image, image_id))

    def _scan_page(self, scan: Item, parameters: Item, echo: Item) -> Item:
        """Both kinds of findings are paged as one list; the rest of the scan is on every page."""
        whole = scan.get("imageScanFindings")
        if whole is None:
            return {**scan, **echo}
        kinds = [kind for kind in ("findings", "enhancedFindings") if kind in whole]
        items = [{kind: finding} for kind in kinds for finding in whole[kind]]
        page = self.pages.page("items", items, parameters, largest=100 if whole.get("enhancedFindings") else None)
        shown = page.pop("items")
        findings = {kind: [item[kind] for item in shown if kind in item] for kind in kinds}
        return {**scan, **echo, "imageScanFindings": whole | findings, **page}

    def describe_image_replication_status(self, registry: Registry, parameters: Item) -> Item:
        image, echo = self._asked(registry, parameters)
        del echo["registryId"]  # DescribeImageReplicationStatus has none
        return {**echo, "replicationStatuses": registry.replication_statuses.get(image, [])}

    def describe_image_signing_status(self, registry: Registry, parameters: Item) -> Item:
        image, echo = self._asked(registry, parameters)
        return {**echo, "signingStatuses": registry.signing_statuses.get(image, [])}

    def _asked(self, registry: Registry, parameters: Item) -> tuple[tuple[str, str], Item]:
        name = existing(registry, parameters["repositoryName"])
        image = asked_image(registry, name, parameters["imageId"])
        return (name, image["imageDigest"]), _image_echo(registry, name, image, parameters["imageId"])

    def list_image_referrers(self, registry: Registry, parameters: Item) -> Item:
        name = existing(registry, parameters["repositoryName"])
        image = asked_image(registry, name, parameters["subjectId"])
        condition = parameters.get("filter", {})
        status = condition.get("artifactStatus", "ACTIVE")
        referrers = registry.referrers.get((name, image["imageDigest"]), [])
        referrers = _chosen(referrers, "artifactType", condition.get("artifactTypes") or None)
        referrers = [one for one in referrers if status in ("ANY", one.get("artifactStatus", "ACTIVE"))]
        return self.pages.page("referrers", referrers, parameters, default=20)

    def batch_get_image(self, registry: Registry, parameters: Item) -> Item:
        name = existing(registry, parameters["repositoryName"])
        answer: Item = {"images": [], "failures": []}
        for image_id in parameters["imageIds"]:
            image = registry.image(name, image_id)
            if image is None:
                failure = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
                answer["failures"].append({"imageId": image_id, **failure})
            else:
                manifest = {
                    "imageManifest": registry.manifest(name, image),
                    "imageManifestMediaType": image.get("imageManifestMediaType"),
                }
                answer["images"].append(given({**_image_echo(registry, name, image, image_id), **manifest}))
        return answer

    # --- tagging

    def get_resources(self, registry: Registry, parameters: Item) -> Item:
        if not 1 <= parameters.get("ResourcesPerPage", 50) <= 100:
            raise AnswerError("InvalidParameterException", "ResourcesPerPage must be between 1 and 100")
        if parameters.get("ResourceTypeFilters") != ["ecr:repository"]:
            raise AnswerError("InvalidParameterException", "only the resource type ecr:repository is served")
        tagged = [
            {"ResourceARN": repository["repositoryArn"], "Tags": tag_list(registry.tags[name])}
            for name, repository in registry.repositories.items()
            if registry.tags.get(name)
        ]
        return self.pages.page(
            "ResourceTagMappingList",
            tagged,
            parameters,
            token="PaginationToken",
            limit="ResourcesPerPage",
            default=50,
            last_token="",
        )


def _image_echo(registry: Store, name: str, image: Item, image_id: Item) -> Item:
    """How answers about one image name it: with its digest, and with its tag if that was asked for."""
    return {
        "registryId": registry.account,
        "repositoryName": name,
        "imageId": {**image_id, "imageDigest": image["imageDigest"]},
    }


def _chosen(items: Sequence[Item], member: str, wanted: Sequence[Any] | None) -> list[Item]:
    """The items whose `member` is wanted; all when nothing is wanted."""
    return [item for item in items if wanted is None or item.get(member) in wanted]


def _has_tag_status(image: Item, status: str) -> bool:
    return status == "ANY" or bool(image.get("imageTags")) == (status == "TAGGED")


def _scanning_configuration(registry: Registry, name: str) -> Item:
    repository = registry.repositories[name]
    on_push = repository.get("imageScanningConfiguration", {}).get("scanOnPush", False)
    return given(
        {
            "repositoryArn": repository.get("repositoryArn"),
            "repositoryName": name,
            "scanOnPush": on_push,
            "scanFrequency": "SCAN_ON_PUSH" if on_push else "MANUAL",
            "appliedScanFilters": [],
        }
        | registry.scanning_configurations.get(name, {})
    )
