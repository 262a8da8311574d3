"""An endpoint of ECR and the services around it that serves registries from memory and can be told to misbehave.

It answers ecr, ecr-public, tagging, inspector2 and sts over HTTP. Requests are checked against botocore's service
models, and what the endpoint was asked is counted. Accounts are told apart by access key, regions and services by the
signature's scope, as AWS does.
"""

from __future__ import annotations

import argparse
import base64
import random
import re
import socket
import socketserver
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qs

import botocore.session
import orjson
from botocore.model import ServiceModel

from tests.registry import (
    EVALUATED_AT,
    Bulk,
    Item,
    PublicRegistry,
    Registry,
    Store,
    basic_finding,
    enhanced_finding,
    enhanced_findings,
    given,
    inspector_coverage,
    inspector_finding,
    package,
)

__all__ = [
    "ACCESS_KEY",
    "ACCOUNT",
    "BROKEN",
    "CUT",
    "DENIED",
    "DESCRIBE_REPOSITORIES",
    "HTML",
    "RESET",
    "THROTTLED",
    "TRUNCATED",
    "Answer",
    "AnswerError",
    "EcrServer",
    "Item",
    "PublicRegistry",
    "Registry",
    "basic_finding",
    "check_request",
    "enhanced_finding",
    "error",
    "package",
    "serving",
]

ACCOUNT = "123456789012"
ACCESS_KEY = "AKIATESTTESTTESTTEST"
DESCRIBE_REPOSITORIES = "DescribeRepositories"
PUBLIC_REGION = "us-east-1"
CACHED_BYTES = 600_000_000

_BOTOCORE_NAMES = {"tagging": "resourcegroupstaggingapi"}  # where the signing name is another one
_CHECKED = ("ecr", "ecr-public", "tagging", "inspector2")
_SCOPE = re.compile(rb"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")

Delivery = Literal["whole", "reset", "cut"]
Operation = Callable[[Registry, Item], Item | bytes]


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of the service with that signing name."""
    return botocore.session.get_session().get_service_model(_BOTOCORE_NAMES.get(service, service))


@cache
def _operation_at(service: str, method: str, path: str) -> str:
    """The operation of a REST service that `path` means, or the path itself."""
    model = service_model(service)
    operations = (model.operation_model(name) for name in model.operation_names)
    return next((o.name for o in operations if (o.http["method"], o.http["requestUri"]) == (method, path)), path)


@dataclass(frozen=True)
class Answer:
    """What goes over the wire: `cut` promises more bytes than it sends, `reset` drops the connection instead."""

    status: int = 200
    body: bytes = b"{}"
    delivery: Delivery = "whole"


class AnswerError(Exception):
    """An AWS error answer."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.answer = error(code, message, status)


def error(code: str, message: str = "", status: int = 400) -> Answer:
    """AWS's error answer of the JSON protocol."""
    return Answer(status, orjson.dumps({"__type": code, "message": message or f"{code} of the test server"}))


THROTTLED = error("ThrottlingException", "Rate exceeded")
DENIED = error(
    "AccessDeniedException",
    f"User: arn:aws:iam::{ACCOUNT}:user/reader is not authorized to perform: ecr:DescribeRepositories",
)
BROKEN = error("ServerException", "internal", 500)
RESET = Answer(delivery="reset")
CUT = Answer(body=b'{"repositories": [{"repos', delivery="cut")
TRUNCATED = Answer(body=b'{"repositories": [{"repos')
HTML = Answer(body=b"<html><body>Welcome to the captive portal</body></html>")


@dataclass
class Fault:
    """Answers matching calls with `answer`, `times` times, after letting `after` of them through."""

    answer: Answer
    times: float
    after: int
    operation: str
    region: str | None
    repository: str | None = None
    image: str | None = None

    def takes(self, operation: str, region: str, parameters: Item) -> bool:
        if operation != self.operation or self.region not in (None, region) or self.times <= 0:
            return False
        if self.repository is not None and not _concerns_repository(parameters, self.repository):
            return False
        if self.image is not None and not _concerns_image(parameters, self.image):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


def _concerns_repository(parameters: Item, name: str) -> bool:
    return (
        parameters.get("repositoryName") == name
        or name in parameters.get("repositoryNames", ())
        or parameters.get("resourceArn", "").endswith(f":repository/{name}")
    )


def _concerns_image(parameters: Item, digest: str) -> bool:
    image_ids = [parameters.get("imageId"), parameters.get("subjectId"), *parameters.get("imageIds", ())]
    return any(image_id and image_id.get("imageDigest") == digest for image_id in image_ids)


@dataclass
class Bucket:
    """A token bucket: `rate` calls a second, `burst` at once."""

    rate: float
    burst: float
    tokens: float = 0
    filled_at: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic

    def fill(self) -> None:
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now

    def change(self, rate: float, burst: float) -> None:
        """Other limits from now on."""
        self.fill()
        self.rate, self.burst = rate, burst

    def grants(self) -> bool:
        self.fill()
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class EcrServer:
    """The endpoint: registries to fill, faults to set, calls to count.

    `calls`, `operations`, faults and rates know an operation by its name; those of ecr-public as
    "ecr-public:DescribeImages".
    """

    def __init__(self) -> None:
        self.accounts = {ACCESS_KEY: ACCOUNT}
        self.expired_keys: set[str] = set()
        self.disabled_regions: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.requests: list[tuple[str, str, Item]] = []
        self.keep_requests = True
        self.faults: list[Fault] = []
        self.buckets: dict[tuple[str, str, str], Bucket] = {}
        self.rates: dict[str, tuple[float, float]] = {}
        self.throttle: tuple[float, float] | None = None
        self.delay = 0.0
        self.page_size: int | None = None
        self.empty_pages = False
        self.repeat_last_item = False
        self.loop_token = False
        self.reject_image_status_filter = False
        self.shuffle: random.Random | None = None
        self.before_answer: Callable[[str, int], None] = lambda operation, call: None
        self.operations: dict[str, Operation] = _Operations(self).table()
        self.model: ServiceModel = service_model("ecr")
        self.answers: dict[bytes, Answer] | None = None
        self._cached_bytes = 0
        self._registries: dict[tuple[str, str], Registry] = {}
        self._publics: dict[str, PublicRegistry] = {}
        self._lock = threading.RLock()
        self._http = _HttpServer(("127.0.0.1", 0), _Connection)
        self._http.ecr = self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def registry(self, region: str = "eu-west-1", account: str = ACCOUNT) -> Registry:
        """The registry of a region; `public` of all regions of an account is the same one."""
        found = self._registries.get((account, region))
        if found is None:
            public = self._publics.setdefault(account, PublicRegistry(account))
            found = self._registries.setdefault((account, region), Registry(account, region, public=public))
        return found

    def fail(
        self,
        answer: Answer,
        *,
        times: float = float("inf"),
        after: int = 0,
        operation: str = DESCRIBE_REPOSITORIES,
        region: str | None = None,
        repository: str | None = None,
        image: str | None = None,
    ) -> None:
        """From now on answers calls of `operation` (about that repository, that image digest) with `answer`."""
        self.faults.append(Fault(answer, times, after, operation, region, repository, image))

    def recover(self) -> None:
        """Ends all faults."""
        self.faults.clear()

    def set_rate(self, operation: str, rate: float, burst: float) -> None:
        """From now on lets `rate` calls of `operation` a second through, `burst` at once, whatever `throttle` says."""
        self.rates[operation] = (rate, burst)
        for (name, _, _), bucket in list(self.buckets.items()):
            if name == operation:
                bucket.change(rate, burst)

    def start(self) -> None:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, service: str, operation: str, region: str, access_key: str, parameters: Item) -> Answer:
        name = f"{service}:{operation}" if service == "ecr-public" else operation
        with self._lock:
            self.calls[name] += 1
            if self.keep_requests:
                self.requests.append((name, region, parameters))
            self.before_answer(name, self.calls[name])
            refused = self._refusal(service, name, region, access_key, parameters)
            if refused:
                return refused
            if service == "sts":
                return _caller_identity(self.accounts[access_key])
            if self.answers is None or "imageId" in parameters:  # answers about one image are many, and quick to make
                return self._answer(service, operation, region, access_key, parameters)
            request = orjson.dumps([service, operation, region, access_key, parameters])
            answer = self.answers.get(request) or self._answer(service, operation, region, access_key, parameters)
            if request not in self.answers and self._cached_bytes < CACHED_BYTES:
                self.answers[request] = answer
                self._cached_bytes += len(answer.body)
            return answer

    def _refusal(self, service: str, name: str, region: str, access_key: str, parameters: Item) -> Answer | None:
        refused = self._unauthenticated(service, region, access_key)
        if refused:
            return refused
        for fault in self.faults:
            if fault.takes(name, region, parameters):
                return fault.answer
        limits = self.rates.get(name, self.throttle)
        if limits and service != "sts":
            rate, burst = limits
            bucket = (name, region, self.accounts[access_key])
            if not self.buckets.setdefault(bucket, Bucket(rate, burst, burst)).grants():
                return THROTTLED
        return None

    def _unauthenticated(self, service: str, region: str, access_key: str) -> Answer | None:
        unknown = access_key not in self.accounts or region in self.disabled_regions
        if service == "sts" and unknown:
            return _sts_error("InvalidClientTokenId", "The security token included in the request is invalid.")
        if service == "sts" and access_key in self.expired_keys:
            return _sts_error("ExpiredToken", "The security token included in the request is expired")
        if unknown:
            return error("UnrecognizedClientException", "The security token included in the request is invalid.")
        if access_key in self.expired_keys:
            return error("ExpiredTokenException", "The security token included in the request is expired")
        return None

    def _answer(self, service: str, operation: str, region: str, access_key: str, parameters: Item) -> Answer:
        name = f"{service}:{operation}" if service == "ecr-public" else operation
        model = self._model(service)
        if model is None or name not in self.operations or operation not in model.operation_names:
            return error("UnknownOperationException", f"{operation} is not served")
        if service == "ecr-public" and region != PUBLIC_REGION:
            return error("UnsupportedCommandException", f"ecr-public is not served in {region}")
        account = parameters.get("registryId", self.accounts[access_key])
        invalid = "ValidationException" if service == "inspector2" else "InvalidParameterException"
        try:
            check_request(model.operation_model(operation).input_shape, parameters, invalid=invalid)
            answered = self.operations[name](self.registry(region, account), parameters)
        except AnswerError as failure:
            return failure.answer
        if isinstance(answered, bytes):
            return Answer(body=answered)
        return Answer(body=orjson.dumps(_shuffled(answered, self.shuffle) if self.shuffle else answered))

    def _model(self, service: str) -> ServiceModel | None:
        if service == "ecr":
            return self.model
        return service_model(service) if service in _CHECKED else None

    @property
    def pages_plainly(self) -> bool:
        """Whether nothing was set that pages have to be taken apart for."""
        return not (self.empty_pages or self.repeat_last_item or self.loop_token or self.shuffle)

    def page_bounds(self, parameters: Item, default: int = 100) -> tuple[int, int]:
        """Where the page asked for starts and ends, when pages are plain."""
        start = _read_token(parameters["nextToken"]) if "nextToken" in parameters else 0
        return start, start + (self.page_size or parameters.get("maxResults", default))

    def page(
        self,
        member: str,
        items: Sequence[Any],
        parameters: Item,
        *,
        beside: Item | None = None,
        token: str = "nextToken",
        limit: str = "maxResults",
        default: int = 100,
        largest: int | None = None,
        last_token: str | None = None,
    ) -> Item:
        """One page of `items`: the token holds where the next one starts.

        `beside` are further members of every page, `token` and `limit` the names of the paging parameters, `default`
        and `largest` sizes of a page, and `last_token` is what AWS gives as token of the last page, if anything.
        """
        beside = beside or {}
        start = _read_token(parameters[token]) if parameters.get(token) else 0
        if self.empty_pages and start >= 0:
            return {**beside, member: [], token: _token(-start - 1)}
        start = -start - 1 if start < 0 else start
        size = min(self.page_size or parameters.get(limit, default), largest or len(items) + 1)
        page = list(items[start : start + size])
        if self.repeat_last_item and start:
            page = [*items[start - 1 : start], *page]
        if self.loop_token:
            return {**beside, member: page, token: _token(0)}
        following = _token(start + size) if start + size < len(items) else last_token
        return given({**beside, member: page, token: following})


class _Operations:
    """What each operation answers, from what the registry holds."""

    def __init__(self, server: EcrServer) -> None:
        self.server = server

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
            "ListFindings": self.list_findings,
            "ListCoverage": self.list_coverage,
            "ecr-public:DescribeRegistries": self.public_describe_registries,
            "ecr-public:GetRegistryCatalogData": self.public_get_registry_catalog_data,
            "ecr-public:DescribeRepositories": self.public_describe_repositories,
            "ecr-public:DescribeImages": self.public_describe_images,
            "ecr-public:DescribeImageTags": self.public_describe_image_tags,
            "ecr-public:GetRepositoryCatalogData": self.public_get_repository_catalog_data,
            "ecr-public:GetRepositoryPolicy": self.public_get_repository_policy,
            "ecr-public:ListTagsForResource": self.public_list_tags_for_resource,
        }

    # --- ecr: one a registry

    def describe_repositories(self, registry: Store, parameters: Item) -> Item:
        names = parameters.get("repositoryNames")
        if names is None:
            return self.server.page("repositories", list(registry.repositories.values()), parameters)
        if "maxResults" in parameters or "nextToken" in parameters:
            raise AnswerError("InvalidParameterException", "repositoryNames excludes maxResults and nextToken")
        return {"repositories": [registry.repositories[_existing(registry, name)] for name in names]}

    def describe_registry(self, registry: Registry, parameters: Item) -> Item:
        return {"registryId": registry.account, "replicationConfiguration": registry.replication_configuration}

    def get_registry_policy(self, registry: Registry, parameters: Item) -> Item:
        text = _found(registry.registry_policy, "RegistryPolicyNotFoundException", "Registry policy does not exist")
        return {"registryId": registry.account, "policyText": text}

    def get_registry_scanning_configuration(self, registry: Registry, parameters: Item) -> Item:
        return {"registryId": registry.account, "scanningConfiguration": registry.scanning_configuration}

    def get_signing_configuration(self, registry: Registry, parameters: Item) -> Item:
        configuration = _found(
            registry.signing_configuration,
            "SigningConfigurationNotFoundException",
            f"There is no signing configuration in the registry with id '{registry.account}'",
        )
        return {"registryId": registry.account, "signingConfiguration": configuration}

    def get_account_setting(self, registry: Registry, parameters: Item) -> Item:
        name = parameters["name"]
        value = _found(registry.account_settings.get(name), "ValidationException", f"Unknown account setting {name}")
        return {"name": name, "value": value}

    def describe_pull_through_cache_rules(self, registry: Registry, parameters: Item) -> Item:
        rules = _chosen(
            registry.pull_through_cache_rules, "ecrRepositoryPrefix", parameters.get("ecrRepositoryPrefixes")
        )
        return self.server.page("pullThroughCacheRules", rules, parameters)

    def describe_repository_creation_templates(self, registry: Registry, parameters: Item) -> Item:
        templates = _chosen(registry.repository_creation_templates, "prefix", parameters.get("prefixes"))
        beside = {"registryId": registry.account}
        return self.server.page("repositoryCreationTemplates", templates, parameters, beside=beside)

    def list_pull_time_update_exclusions(self, registry: Registry, parameters: Item) -> Item:
        return self.server.page("pullTimeUpdateExclusions", registry.pull_time_update_exclusions, parameters)

    def list_replication_backfills(self, registry: Registry, parameters: Item) -> Item:
        beside = {"registryId": registry.account}
        return self.server.page("backfills", registry.backfills, parameters, beside=beside, default=50)

    def describe_replication_backfill_results(self, registry: Registry, parameters: Item) -> Item:
        wanted = parameters["replicationBackfillId"]
        backfills = (entry for entry in registry.backfills if entry["replicationBackfillId"] == wanted)
        backfill = _found(
            next(backfills, None),
            "ReplicationBackfillNotFoundException",
            f"There is no replication backfill '{wanted}'",
        )
        status = parameters.get("resultStatusFilter")
        results = _chosen(registry.backfill_results.get(wanted, []), "status", status and [status])
        return self.server.page("results", results, parameters, beside={"registryId": registry.account, **backfill})

    # --- ecr: one a repository

    def describe_images(self, registry: Registry, parameters: Item) -> Item | bytes:
        name = _existing(registry, parameters["repositoryName"])
        condition = parameters.get("filter", {})
        if self.server.reject_image_status_filter and "imageStatus" in condition:
            raise AnswerError("InvalidParameterException", "Invalid parameter at 'filter.imageStatus'")
        if "imageIds" in parameters:
            return self._images_by_id(registry, name, parameters)
        status, tagged = condition.get("imageStatus", "ACTIVE"), condition.get("tagStatus", "ANY")
        bulk = registry.bulk.get(name) if name not in registry.images else None
        if bulk and self.server.pages_plainly and status in ("ACTIVE", "ANY") and tagged == "ANY":
            return self._bulk_images(bulk, parameters)
        images = [
            image
            for image in registry.images_of(name).values()
            if status in ("ANY", image.get("imageStatus", "ACTIVE")) and _has_tag_status(image, tagged)
        ]
        return self.server.page("imageDetails", images, parameters)

    def _images_by_id(self, registry: Store, name: str, parameters: Item) -> Item:
        if "maxResults" in parameters or "nextToken" in parameters:
            raise AnswerError("InvalidParameterException", "imageIds excludes maxResults and nextToken")
        return {"imageDetails": [_image(registry, name, image_id) for image_id in parameters["imageIds"]]}

    def _bulk_images(self, bulk: Bulk, parameters: Item) -> bytes:
        start, stop = self.server.page_bounds(parameters)
        following = b',"nextToken":"%s"' % _token(stop).encode() if stop < bulk.count else b""
        return b'{"imageDetails":[%s]%s}' % (bulk.page(start, stop), following)

    def get_lifecycle_policy(self, registry: Registry, parameters: Item) -> Item:
        name = _existing(registry, parameters["repositoryName"])
        text = _of_repository(registry, name, registry.lifecycle_policies, "LifecyclePolicyNotFoundException")
        evaluated_at = registry.lifecycle_evaluated_at.get(name, EVALUATED_AT)
        return given(
            {
                "registryId": registry.account,
                "repositoryName": name,
                "lifecyclePolicyText": text,
                "lastEvaluatedAt": evaluated_at,
            }
        )

    def get_repository_policy(self, registry: Store, parameters: Item) -> Item:
        name = _existing(registry, parameters["repositoryName"])
        text = _of_repository(registry, name, registry.policies, "RepositoryPolicyNotFoundException")
        return {"registryId": registry.account, "repositoryName": name, "policyText": text}

    def get_lifecycle_policy_preview(self, registry: Registry, parameters: Item) -> Item:
        name = _existing(registry, parameters["repositoryName"])
        code = "LifecyclePolicyPreviewNotFoundException"
        preview = _of_repository(registry, name, registry.lifecycle_previews, code)
        beside = {"registryId": registry.account, "repositoryName": name, **preview}
        wanted = [image_id.get("imageDigest") for image_id in parameters.get("imageIds", ())]
        tagged = parameters.get("filter", {}).get("tagStatus", "ANY")
        results = _chosen(beside.pop("previewResults", []), "imageDigest", wanted or None)
        results = [result for result in results if _has_tag_status(result, tagged)]
        return self.server.page("previewResults", results, parameters, beside=beside)

    def list_tags_for_resource(self, registry: Store, parameters: Item) -> Item:
        arn = parameters["resourceArn"]
        _, separator, name = arn.partition(":repository/")
        if not separator:
            raise AnswerError("InvalidParameterException", f"Invalid parameter at 'resourceArn': '{arn}'")
        return {"tags": _tag_list(registry.tags.get(_existing(registry, name), {}))}

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
        name, image_id = _existing(registry, parameters["repositoryName"]), parameters["imageId"]
        bulk = registry.bulk.get(name)
        key = (name, image_id.get("imageDigest", ""))
        stored = key in registry.scans or name in registry.images
        if bulk and not stored and self.server.pages_plainly and not self.server.page_size:
            answer = bulk.scan(key[1])
            if answer:
                return answer
        image = _image(registry, name, image_id)
        scan = registry.scans.get((name, image["imageDigest"]))
        if scan is None and bulk:
            scan = orjson.loads(bulk.scan(image["imageDigest"]) or b"null")
        scan = _found(
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
        page = self.server.page("items", items, parameters, largest=100 if whole.get("enhancedFindings") else None)
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
        name = _existing(registry, parameters["repositoryName"])
        image = _image(registry, name, parameters["imageId"])
        return (name, image["imageDigest"]), _image_echo(registry, name, image, parameters["imageId"])

    def list_image_referrers(self, registry: Registry, parameters: Item) -> Item:
        name = _existing(registry, parameters["repositoryName"])
        image = _image(registry, name, parameters["subjectId"])
        condition = parameters.get("filter", {})
        status = condition.get("artifactStatus", "ACTIVE")
        referrers = registry.referrers.get((name, image["imageDigest"]), [])
        referrers = _chosen(referrers, "artifactType", condition.get("artifactTypes") or None)
        referrers = [one for one in referrers if status in ("ANY", one.get("artifactStatus", "ACTIVE"))]
        return self.server.page("referrers", referrers, parameters, default=20)

    def batch_get_image(self, registry: Registry, parameters: Item) -> Item:
        name = _existing(registry, parameters["repositoryName"])
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
            {"ResourceARN": repository["repositoryArn"], "Tags": _tag_list(registry.tags[name])}
            for name, repository in registry.repositories.items()
            if registry.tags.get(name)
        ]
        return self.server.page(
            "ResourceTagMappingList",
            tagged,
            parameters,
            token="PaginationToken",
            limit="ResourcesPerPage",
            default=50,
            last_token="",
        )

    # --- inspector2

    def list_findings(self, registry: Registry, parameters: Item) -> Item:
        criteria = parameters.get("filterCriteria", {})
        findings = [finding for finding in enhanced_findings(registry) if _meets(finding, criteria, _FINDING_FILTERS)]
        answer = self.server.page("findings", findings, parameters, default=25)
        answer["findings"] = [inspector_finding(finding, registry.region) for finding in answer["findings"]]
        return answer

    def list_coverage(self, registry: Registry, parameters: Item) -> Item:
        criteria = parameters.get("filterCriteria", {})
        covered = [
            resource for resource in inspector_coverage(registry) if _meets(resource, criteria, _COVERAGE_FILTERS)
        ]
        return self.server.page("coveredResources", covered, parameters)

    # --- ecr-public

    def public_describe_registries(self, registry: Registry, parameters: Item) -> Item:
        return self.server.page("registries", [registry.public.registry], parameters)

    def public_get_registry_catalog_data(self, registry: Registry, parameters: Item) -> Item:
        return {"registryCatalogData": registry.public.registry_catalog_data}

    def public_describe_repositories(self, registry: Registry, parameters: Item) -> Item:
        return self.describe_repositories(registry.public, parameters)

    def public_describe_images(self, registry: Registry, parameters: Item) -> Item:
        name = _existing(registry.public, parameters["repositoryName"])
        if "imageIds" in parameters:
            return self._images_by_id(registry.public, name, parameters)
        return self.server.page("imageDetails", list(registry.public.images_of(name).values()), parameters)

    def public_describe_image_tags(self, registry: Registry, parameters: Item) -> Item:
        name = _existing(registry.public, parameters["repositoryName"])
        tags = [
            _public_tag(registry.public, name, image, tag)
            for image in registry.public.images_of(name).values()
            for tag in image.get("imageTags", ())
        ]
        return self.server.page("imageTagDetails", tags, parameters)

    def public_get_repository_catalog_data(self, registry: Registry, parameters: Item) -> Item:
        public, code = registry.public, "RepositoryCatalogDataNotFoundException"
        name = _existing(public, parameters["repositoryName"])
        return {"catalogData": _of_repository(public, name, public.catalog_data, code)}

    def public_get_repository_policy(self, registry: Registry, parameters: Item) -> Item:
        return self.get_repository_policy(registry.public, parameters)

    def public_list_tags_for_resource(self, registry: Registry, parameters: Item) -> Item:
        return self.list_tags_for_resource(registry.public, parameters)


def _found(value: Any, code: str, message: str) -> Any:
    if value is None:
        raise AnswerError(code, message)
    return value


def _existing(registry: Store, name: str) -> str:
    if name not in registry.repositories:
        raise AnswerError(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id '{registry.account}'",
        )
    return name


def _of_repository(registry: Store, name: str, children: dict[str, Any], code: str) -> Any:
    where = f"for the repository with name '{name}' in the registry with id '{registry.account}'"
    return _found(children.get(name), code, f"There is none {where}")


def _image(registry: Store, name: str, image_id: Item) -> Item:
    return _found(  # type: ignore[no-any-return]  # items are dictionaries of anything
        registry.image(name, image_id),
        "ImageNotFoundException",
        f"The image with imageId {image_id} does not exist within the repository with name '{name}'"
        f" in the registry with id '{registry.account}'",
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


def _tag_list(tags: dict[str, str]) -> list[Item]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


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


def _public_tag(public: PublicRegistry, name: str, image: Item, tag: str) -> Item:
    members = ("imageDigest", "imageSizeInBytes", "imagePushedAt", "imageManifestMediaType", "artifactMediaType")
    created_at = public.tag_created_at.get((name, tag), image.get("imagePushedAt"))
    detail = {member: image[member] for member in members if member in image}
    return given({"imageTag": tag, "createdAt": created_at, "imageDetail": detail})


Extract = Callable[[Item], list[str]]


def _of_containers(member: str) -> Extract:
    return lambda finding: [
        resource["details"]["awsEcrContainerImage"][member] for resource in finding.get("resources", ())
    ]


_FINDING_FILTERS: dict[str, Extract] = {
    "awsAccountId": lambda finding: [finding["awsAccountId"]],
    "ecrImageHash": _of_containers("imageHash"),
    "ecrImageRegistry": _of_containers("registry"),
    "ecrImageRepositoryName": _of_containers("repositoryName"),
    "findingArn": lambda finding: [finding["findingArn"]],
    "findingStatus": lambda finding: [finding["status"]],
    "findingType": lambda finding: [finding["type"]],
    "resourceId": lambda finding: [resource["id"] for resource in finding["resources"]],
    "resourceType": lambda finding: [resource["type"] for resource in finding["resources"]],
    "severity": lambda finding: [finding["severity"]],
    "vulnerabilityId": lambda finding: [finding.get("packageVulnerabilityDetails", {}).get("vulnerabilityId", "")],
}
_COVERAGE_FILTERS: dict[str, Extract] = {
    "accountId": lambda resource: [resource["accountId"]],
    "ecrRepositoryName": lambda resource: [resource["resourceMetadata"]["ecrRepository"]["name"]],
    "resourceId": lambda resource: [resource["resourceId"]],
    "resourceType": lambda resource: [resource["resourceType"]],
    "scanStatusCode": lambda resource: [resource["scanStatus"]["statusCode"]],
    "scanStatusReason": lambda resource: [resource["scanStatus"]["reason"]],
    "scanType": lambda resource: [resource["scanType"]],
}
_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "EQUALS": lambda value, wanted: value == wanted,
    "PREFIX": lambda value, wanted: value.startswith(wanted),
    "NOT_EQUALS": lambda value, wanted: value != wanted,
}


def _meets(item: Item, criteria: Item, filters: dict[str, Extract]) -> bool:
    """Whether the item meets one condition of every filter in Inspector's `filterCriteria`."""
    for name, conditions in criteria.items():
        if name not in filters:
            raise AnswerError("ValidationException", f"filterCriteria.{name} is not served")
        values = filters[name](item)
        if not any(
            _COMPARISONS[condition["comparison"]](value, condition["value"])
            for condition in conditions
            for value in values
        ):
            return False
    return True


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
}


def check_request(shape: Any, value: Any, path: str = "", invalid: str = "InvalidParameterException") -> None:
    """Answers what the model does not allow as AWS does: InvalidParameterException with the reason."""
    kind = shape.type_name
    if not _is_a(kind, value):
        raise AnswerError("SerializationException", f"'{path.rstrip('.')}' is no {kind}")
    if kind == "structure":
        for member in shape.required_members:
            if member not in value:
                raise AnswerError(invalid, f"Missing parameter {path}{member}")
        for member, inner in value.items():
            if member not in shape.members:
                raise AnswerError(invalid, f"Unknown parameter {path}{member}")
            check_request(shape.members[member], inner, f"{path}{member}.", invalid)
        return
    broken = _broken_constraint(shape, value)
    if broken:
        raise AnswerError(invalid, f"Invalid parameter at '{path.rstrip('.')}' failed to satisfy constraint: {broken}")
    if kind == "list":
        for inner in value:
            check_request(shape.member, inner, path, invalid)


def _is_a(kind: str, value: Any) -> bool:
    return kind not in _PYTHON_TYPES or isinstance(value, _PYTHON_TYPES[kind])


def _broken_constraint(shape: Any, value: Any) -> str | None:
    """The name of the first constraint of the model that `value` does not satisfy."""
    if shape.type_name in ("boolean", "timestamp"):
        return None
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        return "enum"
    size = len(value) if isinstance(value, str | list | dict) else value
    if size < shape.metadata.get("min", size):
        return "min"
    return "max" if size > shape.metadata.get("max", size) else None


def _shuffled(value: Any, order: random.Random, member: str = "") -> Any:
    """`value` with the elements of its lists in another order, except those of "rules": these are known by position."""
    if isinstance(value, dict):
        return {name: _shuffled(inner, order, name) for name, inner in value.items()}
    if not isinstance(value, list):
        return value
    elements = [_shuffled(inner, order) for inner in value]
    return elements if member == "rules" else order.sample(elements, len(elements))


def _token(start: int) -> str:
    return base64.b64encode(f"start={start}".encode()).decode()


def _read_token(token: str) -> int:
    try:
        return int(base64.b64decode(token).decode().removeprefix("start="))
    except ValueError:
        raise AnswerError("InvalidParameterException", "Invalid token") from None


def _caller_identity(account: str) -> Answer:
    return Answer(
        body=(
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
            f"<Arn>arn:aws:iam::{account}:user/reader</Arn><UserId>AIDA</UserId><Account>{account}</Account>"
            "</GetCallerIdentityResult></GetCallerIdentityResponse>"
        ).encode()
    )


def _sts_error(code: str, message: str) -> Answer:
    detail = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(403, f"<ErrorResponse>{detail}</ErrorResponse>".encode())


class _HttpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    ecr: EcrServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests; tells of anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@dataclass(frozen=True)
class _Request:
    """A request off the wire, its headers by lower-case name."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get(b"connection", b"").lower() != b"close"


class _Connection(socketserver.BaseRequestHandler):
    """One HTTP/1.1 connection, read by hand: http.server takes longer to read headers than the answers take to make."""

    server: _HttpServer
    request: socket.socket
    buffer = b""

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while request := self._read():
            if not self._send(self._answer(request)) or not request.keeps_alive:
                return

    def _read(self) -> _Request | None:
        """The next request; None when the client has gone."""
        end = self._receive_until(lambda: self.buffer.find(b"\r\n\r\n"))
        if end is None:
            return None
        line, *fields = self.buffer[:end].split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (entry.partition(b":") for entry in fields)}
        self.buffer = self.buffer[end + 4 :]
        if b"expect" in headers:
            self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get(b"content-length", 0))
        if self._receive_until(lambda: 0 if len(self.buffer) >= length else -1) is None:
            return None
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        method, path, _ = line.decode().split(" ", 2)
        return _Request(method, path, headers, body)

    def _receive_until(self, found: Callable[[], int]) -> int | None:
        while (position := found()) < 0:
            received = self.request.recv(65536)
            if not received:
                return None
            self.buffer += received
        return position

    def _answer(self, request: _Request) -> Answer:
        scope = _SCOPE.search(request.headers.get(b"authorization", b""))
        if scope is None:
            return error("MissingAuthenticationTokenException", "Missing Authentication Token")
        key, region, service = (part.decode() for part in scope.groups())
        operation, parameters = _operation(request, service)
        ecr = self.server.ecr
        if ecr.delay:
            time.sleep(ecr.delay)
        return ecr.answer(service, operation, region, key, parameters)

    def _send(self, answer: Answer) -> bool:
        """Sends the answer; says whether the connection is still in order."""
        if answer.delivery == "reset":
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.request.close()
            return False
        promised = len(answer.body) + 100 * (answer.delivery == "cut")
        self.request.sendall(_HEAD % (answer.status, _PHRASES[answer.status], promised) + answer.body)
        return answer.delivery != "cut"


_HEAD = b"HTTP/1.1 %d %s\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: %d\r\n\r\n"
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


def _operation(request: _Request, service: str) -> tuple[str, Item]:
    """The operation that is asked for and its parameters, in the protocol of the service."""
    if service == "sts":
        return parse_qs(request.body.decode())["Action"][0], {}
    target = request.headers.get(b"x-amz-target")
    parameters: Item = orjson.loads(request.body or b"{}")
    if target:
        return target.decode().rpartition(".")[2], parameters
    return _operation_at(service, request.method, request.path), parameters


@contextmanager
def serving() -> Iterator[EcrServer]:
    """A started server."""
    server = EcrServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    """Serves a filled registry until it is stopped; the first line of output is the URL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, required=True)
    parser.add_argument("--images", type=int, default=0, help="images in each repository")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="time that every answer takes")
    parser.add_argument("--rate", type=float, metavar="CALLS", help="calls a second of each operation in each region")
    parser.add_argument("--burst", type=float, metavar="CALLS", help="calls at once; by default those of a second")
    arguments = parser.parse_args()
    with serving() as server:
        if arguments.images:
            server.registry().fill_images(arguments.repositories, arguments.images)
        else:
            server.registry().fill(arguments.repositories)
        server.answers = {}  # nothing changes here, so that an answer can be kept
        server.keep_requests = False
        server.delay = arguments.latency
        if arguments.rate:
            server.throttle = (arguments.rate, arguments.burst or max(arguments.rate, 1))
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
