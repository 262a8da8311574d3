"""An in-memory registry: what one account and region hold, as it goes over the wire.

Children of a repository are keyed by its name, those of an image by name and digest, so that a test can set any member
to anything. `fill_images` makes images that exist only while they are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from typing import Any

import orjson

from tests.server.regions import domain_of, partition_of
from tests.server.workloads import Workloads

Item = dict[str, Any]
Image = tuple[str, str]  # repository name, image digest

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
SIGNATURE = "application/vnd.cncf.notary.signature"

CREATED_AT = 1_700_000_000.25
PUSHED_AT = 1_700_000_100.5
SCANNED_AT = 1_700_000_200.75
EVALUATED_AT = 1_700_000_300.0


def digest_of(text: str) -> str:
    """The digest of `text`, as registries write it."""
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def given(item: Item) -> Item:
    """`item` without its None members."""
    return {member: value for member, value in item.items() if value is not None}


class _Repositories(dict[str, Item]):
    """Repositories by name; with one that is deleted go its children, even if it is created again."""

    def __init__(self, store: Store, items: dict[str, Item]) -> None:
        super().__init__(items)
        self._store = store

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._store.forget(name)

    def pop(self, name: str, *default: Any) -> Any:
        self._store.forget(name)
        return super().pop(name, *default)

    def clear(self) -> None:
        for name in list(self):
            del self[name]


@dataclass
class Store:
    """What private and public registries have in common: repositories, their images, tags and policies."""

    account: str
    _: KW_ONLY
    repositories: dict[str, Item] = field(default_factory=dict)
    images: dict[str, dict[str, Item]] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    tagged: dict[tuple[str, str], str] = field(default_factory=dict, repr=False)  # digest by repository and tag
    pushed: int = 0

    def __post_init__(self) -> None:
        self.repositories = _Repositories(self, self.repositories)

    def children(self) -> list[dict[Any, Any]]:
        """All that is kept by repository name, or by name and something of the repository."""
        return [self.images, self.tags, self.policies, self.tagged]

    def forget(self, name: str) -> None:
        """Drops all children of the repository `name`."""
        for children in self.children():
            for key in [key for key in children if key == name or (isinstance(key, tuple) and key[0] == name)]:
                del children[key]

    def images_of(self, name: str) -> dict[str, Item]:
        """All images of a repository, by digest."""
        return self.images.get(name, {})

    def image(self, name: str, image_id: Item) -> Item | None:
        """The image that `image_id` (imageDigest, imageTag or both) means."""
        tag, digest = image_id.get("imageTag"), image_id.get("imageDigest")
        if digest is not None:
            found = self.images_of(name).get(digest)
            return found if found and (tag is None or tag in found.get("imageTags", ())) else None
        return next((image for image in self.images_of(name).values() if tag in image.get("imageTags", ())), None)

    def delete_image(self, repository: str, digest: str) -> None:
        """Deletes an image and what is known about it."""
        del self._materialised(repository)[digest]
        for children in self.children():
            children.pop((repository, digest), None)

    def _materialised(self, repository: str) -> dict[str, Item]:
        self.repositories[repository]  # KeyError: nothing is pushed to a repository that does not exist
        if repository not in self.images:
            self.images[repository] = self.images_of(repository)
            for digest, image in self.images[repository].items():
                self.tagged.update({(repository, tag): digest for tag in image.get("imageTags", ())})
        return self.images[repository]

    def _untag(self, repository: str, tag: str) -> None:
        image = self.images[repository].get(self.tagged.get((repository, tag), ""), {})
        kept = [other for other in image.pop("imageTags", ()) if other != tag]
        if kept:
            image["imageTags"] = kept

    def _push(self, repository: str, digest: str | None, tags: Sequence[str], members: Item) -> Item:
        self.pushed += 1
        digest = digest or digest_of(f"image {self.pushed}")
        images = self._materialised(repository)
        for tag in tags:
            self._untag(repository, tag)
            self.tagged[repository, tag] = digest
        item = {
            "registryId": self.account,
            "repositoryName": repository,
            "imageDigest": digest,
            "imageTags": list(tags) or None,
            "imageSizeInBytes": 50_000_000 + self.pushed,
        }
        images[digest] = given(item | members)
        return images[digest]


@dataclass
class PublicRegistry(Store):
    """An account's registry in ecr-public."""

    registry: Item = field(default_factory=dict)
    registry_catalog_data: Item = field(default_factory=lambda: {"displayName": ""})
    catalog_data: dict[str, Item] = field(default_factory=dict)
    tag_created_at: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.registry = {
            "registryId": self.account,
            "registryArn": f"arn:aws:ecr-public::{self.account}:registry/{self.account}",
            "registryUri": "",
            "verified": False,
            "aliases": [],
        } | self.registry

    def children(self) -> list[dict[Any, Any]]:
        return [*super().children(), self.catalog_data, self.tag_created_at]

    def put(self, name: str, created_at: float = CREATED_AT, **members: Any) -> Item:
        """Creates or replaces a public repository; `members` as in the API, None leaves one out."""
        item = {
            "registryId": self.account,
            "repositoryName": name,
            "repositoryArn": f"arn:aws:ecr-public::{self.account}:repository/{name}",
            "repositoryUri": f"public.ecr.aws/{self.account}/{name}",
            "createdAt": created_at,
        }
        self.repositories[name] = given(item | members)
        return self.repositories[name]

    def put_image(
        self,
        repository: str,
        digest: str | None = None,
        tags: Sequence[str] = (),
        pushed_at: float | None = PUSHED_AT,
        **members: Any,
    ) -> Item:
        """Pushes an image; tags move to it from others. `members` as in the API, None leaves one out."""
        defaults = {
            "imagePushedAt": pushed_at,
            "imageManifestMediaType": OCI_MANIFEST,
            "artifactMediaType": OCI_CONFIG,
        }
        return self._push(repository, digest, tags, defaults | members)

    def maximal(self) -> None:
        """Fills the public registry so that every member of every answer is there at least once."""
        self.registry |= {"registryUri": "public.ecr.aws/acme", "verified": True, "aliases": PUBLIC_ALIASES}
        self.registry_catalog_data = {"displayName": "Acme, Inc."}
        for number, name in enumerate(("cli", "sdk/base", "empty")):
            self.put(name, CREATED_AT + number)
        self.put_image("cli", tags=["1.0", "latest"])
        self.put_image("cli", pushed_at=PUSHED_AT + 5)
        self.put_image("sdk/base", tags=["3"], imageManifestMediaType=OCI_INDEX, artifactMediaType=None)
        self.tags["cli"] = {"team": "tools", "stage": "public"}
        self.policies["cli"] = json.dumps(POLICIES["team-a/web"])
        self.catalog_data["cli"] = PUBLIC_CATALOG_DATA
        self.catalog_data["sdk/base"] = {"description": "Only a description"}


@dataclass
class Registry(Store):
    """The private registry of one account and region."""

    region: str
    _: KW_ONLY
    public: PublicRegistry = field(default_factory=lambda: PublicRegistry(""))
    # one per registry
    registry_policy: str | None = None
    replication_configuration: Item = field(default_factory=lambda: {"rules": []})
    scanning_configuration: Item = field(default_factory=lambda: {"scanType": "BASIC", "rules": []})
    signing_configuration: Item | None = None
    account_settings: dict[str, str] = field(
        default_factory=lambda: {
            "BASIC_SCAN_TYPE_VERSION": "AWS_NATIVE",
            "REGISTRY_POLICY_SCOPE": "V2",
            "BLOB_MOUNTING": "DISABLED",
        }
    )
    pull_through_cache_rules: list[Item] = field(default_factory=list)
    repository_creation_templates: list[Item] = field(default_factory=list)
    pull_time_update_exclusions: list[str] = field(default_factory=list)
    backfills: list[Item] = field(default_factory=list)
    backfill_results: dict[str, list[Item]] = field(default_factory=dict)
    # by repository name
    lifecycle_policies: dict[str, str] = field(default_factory=dict)
    lifecycle_evaluated_at: dict[str, float | None] = field(default_factory=dict)
    lifecycle_previews: dict[str, Item] = field(default_factory=dict)
    scanning_configurations: dict[str, Item] = field(default_factory=dict)
    bulk: dict[str, Bulk] = field(default_factory=dict)
    # by repository name and image digest
    scans: dict[Image, Item] = field(default_factory=dict)
    replication_statuses: dict[Image, list[Item]] = field(default_factory=dict)
    signing_statuses: dict[Image, list[Item]] = field(default_factory=dict)
    referrers: dict[Image, list[Item]] = field(default_factory=dict)
    in_use_counts: dict[Image, int | None] = field(default_factory=dict)
    clusters: dict[Image, list[Item]] = field(default_factory=dict)
    manifests: dict[Image, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.workloads = Workloads(self.account, self.region)
        self.public = self.public if self.public.account else PublicRegistry(self.account)

    def children(self) -> list[dict[Any, Any]]:
        by_name: list[dict[Any, Any]] = [
            self.lifecycle_policies,
            self.lifecycle_evaluated_at,
            self.lifecycle_previews,
            self.scanning_configurations,
            self.bulk,
        ]
        by_image: list[dict[Any, Any]] = [
            self.scans,
            self.replication_statuses,
            self.signing_statuses,
            self.referrers,
            self.in_use_counts,
            self.clusters,
            self.manifests,
        ]
        return [*super().children(), *by_name, *by_image]

    def repository_arn(self, name: str) -> str:
        """The ARN of the repository with that name, in the partition of the region."""
        return f"arn:{partition_of(self.region)}:ecr:{self.region}:{self.account}:repository/{name}"

    def put(self, name: str, created_at: float = CREATED_AT, **members: Any) -> Item:
        """Creates or replaces a repository; `members` as in the API, None leaves one out."""
        item = {
            "registryId": self.account,
            "repositoryName": name,
            "repositoryArn": self.repository_arn(name),
            "repositoryUri": f"{self.account}.dkr.ecr.{self.region}.{domain_of(self.region)}/{name}",
            "createdAt": created_at,
            "imageTagMutability": "MUTABLE",
            "imageScanningConfiguration": {"scanOnPush": False},
            "encryptionConfiguration": {"encryptionType": "AES256"},
        }
        self.repositories[name] = given(item | members)
        return self.repositories[name]

    def put_image(
        self,
        repository: str,
        digest: str | None = None,
        tags: Sequence[str] = (),
        pushed_at: float | None = PUSHED_AT,
        **members: Any,
    ) -> Item:
        """Pushes an image; tags move to it from others. `members` as in the API, None leaves one out."""
        defaults = {
            "imagePushedAt": pushed_at,
            "imageManifestMediaType": OCI_MANIFEST,
            "artifactMediaType": OCI_CONFIG,
            "imageStatus": "ACTIVE",
        }
        return self._push(repository, digest, tags, defaults | members)

    def images_of(self, name: str) -> dict[str, Item]:
        if name in self.bulk and name not in self.images:
            return {item["imageDigest"]: item for item in self.bulk[name].items()}
        return super().images_of(name)

    def image(self, name: str, image_id: Item) -> Item | None:
        if name in self.bulk and name not in self.images and image_id.keys() == {"imageDigest"}:
            return self.bulk[name].image(image_id["imageDigest"])
        return super().image(name, image_id)

    def scan(
        self,
        repository: str,
        digest: str,
        findings: Sequence[Item] = (),
        enhanced: Sequence[Item] = (),
        status: str = "COMPLETE",
        completed_at: float | None = SCANNED_AT,
        vulnerability_source_updated_at: float | None = None,
        description: str | None = None,
    ) -> Item:
        """Stores the scan of an image; enhanced findings without resources get the image as theirs.

        A scan without `enhanced` is a basic one. One that failed or is under way has no findings member.
        """
        scan: Item = {"imageScanStatus": given({"status": status, "description": description})}
        if status in ("COMPLETE", "ACTIVE"):
            completed = [self._completed(finding, repository, digest) for finding in enhanced]
            scan["imageScanFindings"] = given(
                {
                    "imageScanCompletedAt": completed_at,
                    "vulnerabilitySourceUpdatedAt": vulnerability_source_updated_at,
                    "findingSeverityCounts": severity_counts([*findings, *completed]),
                    "findings": list(findings) if findings or not enhanced else None,
                    "enhancedFindings": completed or None,
                }
            )
        self.scans[repository, digest] = scan
        return scan

    def _completed(self, finding: Item, repository: str, digest: str) -> Item:
        """`finding` of the image: its account, ARN and, unless it has some, its resource."""
        image = self.image(repository, {"imageDigest": digest}) or {}
        name = sha256(f"{repository}@{digest}/{finding['title']}".encode()).hexdigest()[:32]
        container = {
            "architecture": "amd64",
            "author": "build@example.com",
            "imageHash": digest,
            "imageTags": list(image.get("imageTags", ())),
            "platform": "DEBIAN_12",
            "pushedAt": image.get("imagePushedAt"),
            "lastInUseAt": SCANNED_AT + 60,
            "inUseCount": 2,
            "registry": self.account,
            "repositoryName": repository,
        }
        resource = {
            "type": "AWS_ECR_CONTAINER_IMAGE",
            "id": f"{self.repository_arn(repository)}/{digest}",
            "tags": dict(self.tags.get(repository, {})),
            "details": {"awsEcrContainerImage": given(container)},
        }
        return {
            "awsAccountId": self.account,
            "findingArn": f"arn:{partition_of(self.region)}:inspector2:{self.region}:{self.account}:finding/{name}",
            "resources": [resource],
        } | finding

    def manifest(self, name: str, image: Item) -> str:
        """The manifest text of an image: the stored one, or a plain one of a single layer."""
        digest = image["imageDigest"]
        return self.manifests.get((name, digest)) or json.dumps(plain_manifest(digest, image))

    def fill(self, count: int) -> None:
        """Puts `count` repositories with mixed settings."""
        for number in range(count):
            exclusion = {"filterType": "WILDCARD", "filter": f"dev-{number % 7}*"}
            self.put(
                _filled_name(number),
                1_600_000_000 + number * 0.001,
                imageTagMutability=("MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION")[number % 3],
                imageTagMutabilityExclusionFilters=[exclusion] if number % 3 == 2 else None,
                encryptionConfiguration={"encryptionType": "KMS", "kmsKey": f"arn:aws:kms:key/{number % 11}"},
            )

    def fill_images(self, repositories: int, images_per_repository: int) -> None:
        """Puts repositories with policies, tags and images, the latter made when asked for, each with a basic scan."""
        self.fill(repositories)
        lifecycle, policy = json.dumps(LIFECYCLE_POLICIES["team-a/web"]), json.dumps(POLICIES["team-a/web"])
        for number, name in enumerate(map(_filled_name, range(repositories))):
            self.lifecycle_policies[name] = lifecycle
            self.policies[name] = policy
            self.tags[name] = {"team": name.partition("/")[0], "stage": ("dev", "test", "prod")[number % 3]}
            self.bulk[name] = Bulk(self.account, name, number, images_per_repository)

    def maximal(self) -> None:
        """Fills this registry and the account's public one so that every answer has every member at least once."""
        _fill_registry(self)
        images = _fill_images(self)
        _fill_scans(self, images)
        _fill_image_statuses(self, images)
        _fill_manifests(self, images)
        self.public.maximal()

    @staticmethod
    def basic_finding(name: str, package: str | None, version: str | None, severity: str = "HIGH", **more: Any) -> Item:
        return basic_finding(name, package, version, severity, **more)

    @staticmethod
    def enhanced_finding(vulnerability_id: str, packages: Iterable[Item] = (), **more: Any) -> Item:
        return enhanced_finding(vulnerability_id, packages, **more)


def severity_counts(findings: Iterable[Item]) -> dict[str, int]:
    """How many findings there are of each severity."""
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding["severity"]] = counts.get(finding["severity"], 0) + 1
    return counts


def basic_finding(
    name: str,
    package: str | None,
    version: str | None,
    severity: str = "HIGH",
    description: str | None = None,
    uri: str | None = None,
    attributes: dict[str, str] | None = None,
) -> Item:
    """A finding of basic scanning; `package` None makes one without package details."""
    attributes = attributes if attributes is not None else {"CVSS2_VECTOR": "AV:N/AC:L/Au:N/C:P/I:P/A:P"}
    pairs = {"package_name": package, "package_version": version, **attributes}
    return {
        "name": name,
        "description": description or f"{name} lets a remote attacker read memory.",
        "uri": uri or f"https://security-tracker.debian.org/tracker/{name}",
        "severity": severity,
        "attributes": [{"key": key, "value": value} for key, value in pairs.items() if value is not None],
    }


def package(name: str, version: str, **members: Any) -> Item:
    """A vulnerable package of an enhanced finding; `members` as in the API, None leaves one out."""
    defaults = {
        "arch": "X86_64",
        "epoch": 0,
        "filePath": f"usr/lib/{name}",
        "name": name,
        "packageManager": "OS",
        "release": "1.el9",
        "sourceLayerHash": digest_of(f"layer of {name}"),
        "version": version,
        "fixedInVersion": f"{version}.1",
    }
    return given(defaults | members)


def enhanced_finding(
    vulnerability_id: str,
    packages: Iterable[Item] = (),
    severity: str = "HIGH",
    score: float = 7.5,
    **members: Any,
) -> Item:
    """A finding of enhanced scanning; `members` as in the API, None leaves one out.

    `Registry.scan` adds what depends on the image: account, ARN and resources.
    """
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
    packages = list(packages)
    finding = {
        "description": f"{vulnerability_id} lets a remote attacker read memory.",
        "firstObservedAt": SCANNED_AT - 86_400,
        "lastObservedAt": SCANNED_AT,
        "updatedAt": SCANNED_AT + 1,
        "packageVulnerabilityDetails": {
            "cvss": [
                {"baseScore": score, "scoringVector": vector, "source": "NVD", "version": "3.1"},
                {"baseScore": 5.0, "scoringVector": "AV:N/AC:L/Au:N/C:P/I:N/A:N", "source": "NVD", "version": "2.0"},
            ],
            "referenceUrls": [f"https://example.com/advisories/{vulnerability_id}", "https://example.com/errata/1"],
            "relatedVulnerabilities": [f"{vulnerability_id}-related"],
            "source": "NVD",
            "sourceUrl": f"https://nvd.nist.gov/vuln/detail/{vulnerability_id}",
            "vendorCreatedAt": SCANNED_AT - 864_000,
            "vendorSeverity": "Important",
            "vendorUpdatedAt": SCANNED_AT - 432_000,
            "vulnerabilityId": vulnerability_id,
            "vulnerablePackages": packages,
        },
        "remediation": {
            "recommendation": {"url": "https://example.com/how-to-update", "text": "Update the package."},
        },
        "score": score,
        "scoreDetails": {
            "cvss": {
                "adjustments": [{"metric": "AV", "reason": "The image is not reachable from the internet."}],
                "score": score,
                "scoreSource": "NVD",
                "scoringVector": vector,
                "version": "3.1",
            }
        },
        "severity": severity,
        "status": "ACTIVE",
        "title": " - ".join([vulnerability_id, *sorted({entry["name"] for entry in packages})]),
        "type": "PACKAGE_VULNERABILITY",
        "fixAvailable": "YES",
        "exploitAvailable": "NO",
    }
    return given(finding | members)


def plain_manifest(digest: str, image: Item) -> Item:
    """A manifest of one configuration and one layer."""
    layer = {
        "mediaType": OCI_LAYER,
        "digest": digest_of(f"layer of {digest}"),
        "size": image.get("imageSizeInBytes", 0),
    }
    return {
        "schemaVersion": 2,
        "mediaType": image.get("imageManifestMediaType", OCI_MANIFEST),
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(f"configuration of {digest}"), "size": 1469},
        "layers": [layer],
    }


# --- images that exist only while they are asked for ---------------------------------------------------------------


def _filled_name(number: int) -> str:
    return f"team-{number % 97}/service-{number:07}"


_TAGS = (
    b"",
    b'"imageTags":["1.4.%d"],',
    b'"imageTags":["1.4.%d","build-%d"],',
    b'"imageTags":["1.4.%d","build-%d","release-%d"],',
)
_IMAGE = b'{"registryId":"%s","repositoryName":"%s","imageDigest":"'
_IMAGE_FROM_TAGS = (
    b'",%s"imageSizeInBytes":%d,"imagePushedAt":%d.%03d,'
    b'"imageManifestMediaType":"application/vnd.oci.image.manifest.v1+json",'
    b'"artifactMediaType":"application/vnd.oci.image.config.v1+json",'
    b'"lastRecordedPullTime":%d.25,"imageStatus":"ACTIVE"}'
)
_SCAN = (
    b'{"registryId":"%s","repositoryName":"%s","imageId":{"imageDigest":"%s"},'
    b'"imageScanStatus":{"status":"COMPLETE","description":"The scan was completed successfully."},'
    b'"imageScanFindings":{"imageScanCompletedAt":%d.5,"vulnerabilitySourceUpdatedAt":1700000000.0,'
    b'"findings":[%s],"findingSeverityCounts":{"HIGH":1,"MEDIUM":1,"LOW":1}}}'
)
_BULK_PACKAGES = ("openssl", "zlib", "curl", "glibc", "expat", "libxml2", "bash", "perl", "tar", "sqlite3", "krb5")


@cache
def _bulk_findings(kind: int) -> bytes:
    """Three basic findings as JSON, of one of a thousand kinds."""
    findings = (
        basic_finding(
            f"CVE-2025-{10_000 + kind * 3 + number}",
            _BULK_PACKAGES[(kind + number) % len(_BULK_PACKAGES)],
            f"{kind % 7}.{number}.{kind % 13}-r1",
            severity,
        )
        for number, severity in enumerate(("HIGH", "MEDIUM", "LOW"))
    )
    return b",".join(orjson.dumps(finding) for finding in findings)


@lru_cache(maxsize=100_000)
def _from_tags(image: int, kind: int) -> bytes:
    """All that comes after the digest in the JSON of an image, for repositories of one of eight kinds."""
    tags = image % 4
    pushed = 1_650_000_000 + kind * 1009 + image * 3601
    return _IMAGE_FROM_TAGS % (
        _TAGS[tags] % ((image, image * 7, image)[:tags]),
        20_000_000 + (image * 7919 + kind) % 400_000_000,
        pushed,
        image % 1000,
        pushed + 86_400,
    )


@dataclass(frozen=True)
class Bulk:
    """The images of the `number`th repository of `fill_images`, as JSON: the same ones every time they are asked for.

    A digest opens with the numbers of its repository and image, so that an image is found without an index.
    """

    account: str
    name: str
    number: int
    count: int

    def page(self, start: int, stop: int) -> bytes:
        """Images from `start` to `stop` as the elements of a JSON array."""
        before, kind = _IMAGE % (self.account.encode(), self.name.encode()), self.number % 8
        images = range(start, min(stop, self.count))
        return b",".join([before + self._digest(image) + _from_tags(image, kind) for image in images])

    def items(self) -> list[Item]:
        items: list[Item] = orjson.loads(b"[%s]" % self.page(0, self.count))
        return items

    def image(self, digest: str) -> Item | None:
        number = self.find(digest)
        item: Item | None = None if number is None else orjson.loads(self.page(number, number + 1))
        return item

    def find(self, digest: str) -> int | None:
        """The number of the image with that digest."""
        try:
            image = int(digest[15:23], 16)
        except ValueError:
            return None
        return image if 0 <= image < self.count and self._digest(image) == digest.encode() else None

    def scan(self, digest: str) -> bytes | None:
        """The answer of DescribeImageScanFindings for the image with that digest."""
        image = self.find(digest)
        if image is None:
            return None
        findings = _bulk_findings((self.number * 31 + image) % 1000)
        names = (self.account.encode(), self.name.encode(), digest.encode())
        return _SCAN % (*names, 1_700_000_000 + image, findings)

    def _digest(self, image: int) -> bytes:
        numbers = b"%08x%08x" % (self.number, image)
        return b"sha256:" + numbers + sha256(numbers).hexdigest()[:48].encode()


# --- the maximal registry ------------------------------------------------------------------------------------------

LIFECYCLE_POLICIES: dict[str, Item] = {
    "team-a/api": {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Archive old releases",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPatternList": ["release-*", "v*.*"],
                    "storageClass": "standard",
                    "countType": "sinceImagePulled",
                    "countUnit": "days",
                    "countNumber": 90,
                },
                "action": {"type": "transition", "targetStorageClass": "archive"},
            },
            {
                "rulePriority": 2,
                "description": "Keep few development images",
                "selection": {
                    "tagStatus": "tagged",
                    "tagPrefixList": ["dev-", "pr-"],
                    "countType": "imageCountMoreThan",
                    "countNumber": 20,
                },
                "action": {"type": "expire"},
            },
            {
                "rulePriority": 10,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1000},
                "action": {"type": "expire"},
                "newMember": {"of": "a later release"},
            },
        ]
    },
    "team-a/web": {
        "rules": [
            {
                "rulePriority": 1,
                "description": "Expire untagged images after two weeks",
                "selection": {
                    "tagStatus": "untagged",
                    "countType": "sinceImagePushed",
                    "countUnit": "days",
                    "countNumber": 14,
                },
                "action": {"type": "expire"},
            }
        ]
    },
}
UNPARSABLE_LIFECYCLE_POLICY = '{"rules": [{"rulePriority": 1, '
POLICIES: dict[str, Item] = {
    "team-a/api": {
        "Version": "2012-10-17",
        "Id": "pull-and-push",
        "Statement": [
            {
                "Sid": "AnybodyInTheOrganisation",
                "Effect": "Allow",
                "Principal": "*",
                "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                "Condition": {
                    "StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"},
                    "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": ["o-abcdefghij/r-1/*", "o-abcdefghij/r-2/*"]},
                    "Bool": {"aws:SecureTransport": True},
                },
            },
            {
                "Sid": "Lambda",
                "Effect": "Allow",
                "Principal": {"Service": ["lambda.amazonaws.com", "codebuild.amazonaws.com"]},
                "Action": "ecr:BatchGetImage",
            },
            {
                "Effect": "Deny",
                "NotPrincipal": {
                    "AWS": ["arn:aws:iam::123456789012:root", "210987654321"],
                    "Federated": "cognito-identity.amazonaws.com",
                },
                "NotAction": ["ecr:Describe*", "ecr:List*"],
            },
        ],
    },
    "team-a/web": {
        "Version": "2008-10-17",
        "Statement": {
            "Sid": "Pull",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:role/reader"},
            "Action": "ecr:BatchGetImage",
        },
    },
}
UNPARSABLE_POLICY = '{"Version": "2012-10-17", "Statement": ['
REGISTRY_POLICY: Item = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Replication",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::210987654321:root"},
            "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
            "Resource": ["arn:aws:ecr:eu-west-1:123456789012:repository/*"],
        },
        {
            "Sid": "NothingElse",
            "Effect": "Deny",
            "Principal": {"Federated": ["arn:aws:iam::123456789012:saml-provider/office"]},
            "Action": "*",
            "NotResource": "arn:aws:ecr:eu-west-1:123456789012:repository/team-a/*",
        },
    ],
}
REPLICATION_RULES = [
    {
        "destinations": [
            {"region": "us-east-1", "registryId": "123456789012"},
            {"region": "eu-central-1", "registryId": "210987654321"},
        ],
        "repositoryFilters": [
            {"filter": "team-a/", "filterType": "PREFIX_MATCH"},
            {"filter": "platform/", "filterType": "PREFIX_MATCH"},
        ],
        "deleteReplication": {"enabled": True},
    },
    {"destinations": [{"region": "ap-southeast-2", "registryId": "123456789012"}]},
]
SCANNING_RULES: list[Item] = [
    {
        "scanFrequency": "CONTINUOUS_SCAN",
        "repositoryFilters": [
            {"filter": "team-a/*", "filterType": "WILDCARD"},
            {"filter": "platform*", "filterType": "WILDCARD"},
        ],
    },
    {"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "*", "filterType": "WILDCARD"}]},
]
SIGNING_PROFILES = [
    f"arn:aws:signer:eu-west-1:123456789012:/signing-profiles/{name}" for name in ("release", "nightly")
]
SIGNING_RULES = [
    {
        "signingProfileArn": SIGNING_PROFILES[0],
        "repositoryFilters": [
            {"filter": "team-a/*", "filterType": "WILDCARD_MATCH"},
            {"filter": "platform/*", "filterType": "WILDCARD_MATCH"},
        ],
    },
    {"signingProfileArn": SIGNING_PROFILES[1]},
]
CREDENTIALS = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecr-pullthroughcache/docker-hub-AbCdEf"
PULL_THROUGH_CACHE_RULES = [
    {
        "ecrRepositoryPrefix": "docker-hub",
        "upstreamRegistryUrl": "registry-1.docker.io",
        "createdAt": CREATED_AT,
        "credentialArn": CREDENTIALS,
        "customRoleArn": "arn:aws:iam::123456789012:role/pull-through",
        "upstreamRepositoryPrefix": "library",
        "upstreamRegistry": "docker-hub",
        "updatedAt": CREATED_AT + 50,
    },
    {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io", "createdAt": CREATED_AT + 1},
]
TEMPLATES = [
    {
        "prefix": "team-a/",
        "description": "What team A pushes",
        "encryptionConfiguration": {
            "encryptionType": "KMS",
            "kmsKey": "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555",
        },
        "resourceTags": [{"Key": "team", "Value": "a"}, {"Key": "stage", "Value": "prod"}],
        "imageTagMutability": "MUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [
            {"filterType": "WILDCARD", "filter": "release-*"},
            {"filterType": "WILDCARD", "filter": "v*"},
        ],
        "repositoryPolicy": json.dumps(POLICIES["team-a/web"]),
        "lifecyclePolicy": json.dumps(LIFECYCLE_POLICIES["team-a/web"]),
        "appliedFor": ["PULL_THROUGH_CACHE", "REPLICATION", "CREATE_ON_PUSH"],
        "customRoleArn": "arn:aws:iam::123456789012:role/templates",
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT + 60,
    },
    {
        "prefix": "ROOT",
        "imageTagMutability": "IMMUTABLE",
        "repositoryPolicy": json.dumps(POLICIES["team-a/api"]),
        "lifecyclePolicy": json.dumps(LIFECYCLE_POLICIES["team-a/api"]),
        "appliedFor": ["REPLICATION"],
        "createdAt": CREATED_AT + 2,
        "updatedAt": CREATED_AT + 2,
    },
]
BACKFILLS: list[Item] = [
    {
        "replicationBackfillId": "11111111-1111-1111-1111-111111111111",
        "destination": {"region": "us-east-1", "registryId": "123456789012"},
        "status": "FAILED",
        "failureCode": "DestinationUnavailable",
        "progress": {
            "totalReplicationCount": 3,
            "completedReplicationCount": 1,
            "failedReplicationCount": 2,
            "failureCodes": ["AccessDenied", "KmsError"],
        },
        "startedAt": CREATED_AT,
        "endedAt": CREATED_AT + 3600,
    },
    {
        "replicationBackfillId": "22222222-2222-2222-2222-222222222222",
        "destination": {"region": "eu-central-1", "registryId": "210987654321"},
        "status": "IN_PROGRESS",
        "startedAt": CREATED_AT + 7200,
    },
]
PULL_TIME_UPDATE_EXCLUSIONS = [
    "arn:aws:iam::123456789012:role/scanner",
    "arn:aws:iam::123456789012:role/mirror",
    "arn:aws:iam::123456789012:user/auditor",
]
PUBLIC_ALIASES = [
    {"name": "acme", "status": "ACTIVE", "primaryRegistryAlias": True, "defaultRegistryAlias": False},
    {"name": "a1b2c3d4", "status": "ACTIVE", "primaryRegistryAlias": False, "defaultRegistryAlias": True},
]
PUBLIC_CATALOG_DATA = {
    "description": "The command line",
    "architectures": ["x86-64", "ARM 64"],
    "operatingSystems": ["Linux", "Windows"],
    "logoUrl": "https://example.com/logo.png",
    "aboutText": "# About\n\nWhat it is.",
    "usageText": "# Usage\n\n`docker run`",
    "marketplaceCertified": True,
}


def _fill_registry(registry: Registry) -> None:
    """The registry's own settings, its repositories and what each has one of."""
    account = {"registryId": registry.account}
    registry.registry_policy = json.dumps(REGISTRY_POLICY)
    registry.replication_configuration = {"rules": REPLICATION_RULES}
    registry.scanning_configuration = {"scanType": "ENHANCED", "rules": SCANNING_RULES}
    registry.signing_configuration = {"rules": SIGNING_RULES}
    registry.account_settings |= {"REGISTRY_POLICY_SCOPE": "V1", "BLOB_MOUNTING": "ENABLED"}
    registry.pull_through_cache_rules = [account | rule for rule in PULL_THROUGH_CACHE_RULES]
    registry.repository_creation_templates = [*TEMPLATES]
    registry.pull_time_update_exclusions = [*PULL_TIME_UPDATE_EXCLUSIONS]
    key = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    registry.put(
        "team-a/api",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[
            {"filterType": "WILDCARD", "filter": "dev-*"},
            {"filterType": "WILDCARD", "filter": "latest"},
        ],
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": key},
    )
    registry.put("team-a/web", CREATED_AT + 1)
    registry.put("platform/base-images", CREATED_AT + 2, imageTagMutability="IMMUTABLE")
    registry.put(
        "bare",
        CREATED_AT + 3,
        imageTagMutability=None,
        imageScanningConfiguration=None,
        encryptionConfiguration=None,
    )
    documents = (
        (registry.lifecycle_policies, LIFECYCLE_POLICIES, UNPARSABLE_LIFECYCLE_POLICY),
        (registry.policies, POLICIES, UNPARSABLE_POLICY),
    )
    for texts, parsed, unparsable in documents:
        texts.update({name: json.dumps(document) for name, document in parsed.items()})
        texts["platform/base-images"] = unparsable
    registry.lifecycle_evaluated_at["team-a/web"] = None
    registry.tags |= {"team-a/api": {"team": "a", "stage": "prod"}, "platform/base-images": {"team": "platform"}}
    registry.scanning_configurations["team-a/api"] = {
        "scanFrequency": "CONTINUOUS_SCAN",
        "appliedScanFilters": SCANNING_RULES[0]["repositoryFilters"],
    }


def _fill_images(registry: Registry) -> dict[str, str]:
    """Images of every kind; answers their digests by the names that the other fillers use."""
    put = registry.put_image
    scanned: Item = {
        "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
        "imageScanFindingsSummary": {
            "imageScanCompletedAt": SCANNED_AT,
            "vulnerabilitySourceUpdatedAt": SCANNED_AT - 3600,
            "findingSeverityCounts": {"HIGH": 1, "MEDIUM": 1, "LOW": 1},
        },
    }
    archived = {"imageStatus": "ARCHIVED", "lastArchivedAt": PUSHED_AT + 500}
    activating = {"imageStatus": "ACTIVATING", "lastArchivedAt": PUSHED_AT + 500, "lastActivatedAt": PUSHED_AT + 900}
    docker = {"imageManifestMediaType": DOCKER_MANIFEST, "artifactMediaType": DOCKER_CONFIG}
    images = {
        "basic": put("team-a/api", tags=["1.0", "latest"], lastRecordedPullTime=PUSHED_AT + 1000, **scanned),
        "archived": put("team-a/api", None, ["0.9", "release-0.9"], PUSHED_AT - 5000, **archived),
        "activating": put("team-a/api", None, ["0.8"], PUSHED_AT - 9000, **activating),
        "amd64": put("team-a/api", pushed_at=PUSHED_AT + 10, lastActivatedAt=PUSHED_AT + 20),
        "arm64": put("team-a/api", pushed_at=PUSHED_AT + 11),
        "index": put(
            "team-a/api",
            None,
            ["2.0", "dev-7"],
            PUSHED_AT + 12,
            imageManifestMediaType=OCI_INDEX,
            artifactMediaType=None,
        ),
        "enhanced": put("team-a/web", None, ["blue", "green", "2026-11-23"], PUSHED_AT + 20, **docker),
        "unscanned": put("team-a/web", pushed_at=PUSHED_AT + 21, imageSizeInBytes=0),
        "failed": put("platform/base-images", None, ["debian-12"], PUSHED_AT + 30),
        "unsupported": put("platform/base-images", None, ["scratch"], PUSHED_AT + 31),
        "bare": put(
            "platform/base-images",
            pushed_at=None,
            registryId=None,
            imageSizeInBytes=None,
            imageManifestMediaType=None,
            artifactMediaType=None,
            imageStatus="ACTIVE",
        ),
    }
    digests: dict[str, str] = {kind: image["imageDigest"] for kind, image in images.items()}
    signature = put("team-a/api", artifactMediaType=SIGNATURE, subjectManifestDigest=digests["basic"])
    return digests | {"signature": signature["imageDigest"]}


def _fill_scans(registry: Registry, images: dict[str, str]) -> None:
    """Basic and enhanced scans, one that failed, one of an image that cannot be scanned, one without findings."""
    basic = [
        basic_finding("CVE-2025-0001", "openssl", "3.0.1-r1", attributes={"CVSS3_SCORE": "9.8", "CVSS2_SCORE": "7.5"}),
        basic_finding("CVE-2025-0001", "libssl", "3.0.1-r1", "MEDIUM"),
        basic_finding("CVE-2025-0002", None, None, "LOW", attributes={}),
    ]
    libraries = [package("openssl", "3.0.1"), package("libssl", "3.0.1", filePath=None, fixedInVersion="NotAvailable")]
    enhanced = [
        enhanced_finding("CVE-2025-1001", libraries, "CRITICAL", 9.8, exploitAvailable="YES"),
        enhanced_finding("CVE-2025-1002", [package("lodash", "4.17.20", packageManager="NPM", epoch=None)], score=7.1),
        enhanced_finding("CVE-2025-1003", [package("jinja2", "2.11")], "MEDIUM", 5.0, status="SUPPRESSED"),
        enhanced_finding("CVE-2025-1004", severity="UNTRIAGED", score=0.0, packageVulnerabilityDetails=None),
    ]
    registry.scan(
        "team-a/api",
        images["basic"],
        basic,
        vulnerability_source_updated_at=SCANNED_AT - 3600,
        description="The scan was completed successfully.",
    )
    registry.tags["team-a/web"] = {"team": "a", "stage": "test"}
    registry.scan("team-a/api", images["amd64"])
    registry.scan("team-a/web", images["enhanced"], enhanced=enhanced, status="ACTIVE", description="Continuous scan")
    registry.scan("platform/base-images", images["failed"], status="FAILED", description="The scan failed.")
    registry.scan(
        "platform/base-images",
        images["unsupported"],
        status="UNSUPPORTED_IMAGE",
        description="UnsupportedImageError: The operating system and/or package manager are not supported.",
    )
    registry.in_use_counts |= {
        ("platform/base-images", images["failed"]): 0,
        ("platform/base-images", images["unsupported"]): None,
    }
    registry.clusters["team-a/web", images["enhanced"]] = _clusters(registry)
    _fill_workloads(registry.workloads, images)


def _fill_workloads(workloads: Workloads, images: dict[str, str]) -> None:
    """A service that is being deployed, one that runs nothing, a task alone, and functions."""
    web, api = workloads.image("team-a/web", ":latest"), workloads.image("team-a/api", f"@{images['basic']}")
    proxy = "public.ecr.aws/nginx/nginx:1.27"
    for _ in range(2):
        workloads.run_task(
            "production", "web:7", [("web", web, images["enhanced"]), ("proxy", proxy, None)], "service:web"
        )
    workloads.run_task("production", "import:1", [("import", api, images["basic"])])
    workloads.define("web:7", {"web": web, "proxy": proxy})
    workloads.define("web:8", {"web": api})
    workloads.serve("production", "web", ["web:8", "web:7"], running=2)
    workloads.serve("idle", "web-canary", [], running=0, task_set="web:7")
    for version in ("$LATEST", "3"):
        workloads.add_function("thumbnails", version, web, images["enhanced"])
    workloads.add_zip_function("cron")


def _clusters(registry: Registry) -> list[Item]:
    """Clusters of ECS and EKS, and one of which nothing else is known."""

    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:{registry.region}:{registry.account}:{resource}"

    def details(running: int, metadata: Item) -> Item:
        return {
            "lastInUse": SCANNED_AT + 60,
            "runningUnitCount": running,
            "stoppedUnitCount": 1,
            "clusterMetadata": metadata,
        }

    tasks = [
        {"detailsGroup": f"service:{name}", "taskDefinitionArn": arn("ecs", f"task-definition/{name}:7")}
        for name in ("web", "web-canary")
    ]
    workloads = [{"name": "web", "type": "DEPLOYMENT"}, {"name": "web-cron", "type": "JOB"}]
    pods = {"namespace": "shop", "workloadInfoList": workloads}
    return [
        {
            "clusterArn": arn("ecs", "cluster/production"),
            "clusterDetails": [details(2, {"awsEcsMetadataDetails": task}) for task in tasks],
        },
        {
            "clusterArn": arn("eks", "cluster/production"),
            "clusterDetails": [details(3, {"awsEksMetadataDetails": pods})],
        },
        {"clusterArn": arn("ecs", "cluster/idle"), "clusterDetails": []},
    ]


def _fill_image_statuses(registry: Registry, images: dict[str, str]) -> None:
    """Replication, signing, backfill and lifecycle preview of images, and what refers to one."""
    api, basic = "team-a/api", images["basic"]
    registry.replication_statuses[api, basic] = [
        {"region": "us-east-1", "registryId": "123456789012", "status": "COMPLETE"},
        {"region": "eu-central-1", "registryId": "210987654321", "status": "FAILED", "failureCode": "AccessDenied"},
    ]
    failure = {"failureCode": "AccessDenied", "failureReason": "The role may not use the signing profile."}
    registry.signing_statuses[api, basic] = [
        {"signingProfileArn": SIGNING_PROFILES[0], "status": "COMPLETE"},
        {"signingProfileArn": SIGNING_PROFILES[1], "status": "FAILED", **failure},
    ]
    signature = {"mediaType": OCI_MANIFEST, "artifactType": SIGNATURE}
    registry.referrers[api, basic] = [
        {
            "digest": images["signature"],
            "size": 724,
            "annotations": {"io.cncf.notary.x509chain.thumbprint#S256": '["ab"]', "org.opencontainers.created": "2026"},
            "artifactStatus": "ACTIVE",
            **signature,
        },
        {"digest": digest_of("an archived signature"), "size": 725, "artifactStatus": "ARCHIVED", **signature},
    ]
    registry.backfills = [*BACKFILLS]
    failed = {"status": "FAILED", "failureCode": "KmsError", "subImageFailureCodes": ["AccessDenied", "KmsError"]}
    registry.backfill_results = {
        BACKFILLS[0]["replicationBackfillId"]: [
            {"repositoryName": api, "imageId": {"imageDigest": basic, "imageTag": "1.0"}, "status": "COMPLETE"},
            {"repositoryName": api, "imageId": {"imageDigest": images["index"]}, **failed},
        ],
        BACKFILLS[1]["replicationBackfillId"]: [
            {"repositoryName": "team-a/web", "imageId": {"imageDigest": images["enhanced"]}, "status": "COMPLETE"}
        ],
    }
    registry.lifecycle_previews[api] = {
        "lifecyclePolicyText": registry.lifecycle_policies[api],
        "status": "COMPLETE",
        "previewResults": [
            {
                "imageTags": ["0.9", "release-0.9"],
                "imageDigest": images["archived"],
                "imagePushedAt": PUSHED_AT - 5000,
                "action": {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"},
                "appliedRulePriority": 1,
                "storageClass": "STANDARD",
            },
            {
                "imageDigest": images["arm64"],
                "imagePushedAt": PUSHED_AT + 11,
                "action": {"type": "EXPIRE"},
                "appliedRulePriority": 10,
                "storageClass": "STANDARD",
            },
        ],
        "summary": {
            "expiringImageTotalCount": 1,
            "transitioningImageTotalCounts": [{"targetStorageClass": "ARCHIVE", "imageTotalCount": 1}],
        },
    }


def _fill_manifests(registry: Registry, images: dict[str, str]) -> None:
    """An index with two children and an attestation, and a signature; other images have plain manifests."""
    platforms = {
        "amd64": {"architecture": "amd64", "os": "linux"},
        "arm64": {"architecture": "arm64", "os": "linux", "os.version": "6.1", "variant": "v8"},
    }
    children: list[Item] = [
        {"mediaType": OCI_MANIFEST, "digest": images[name], "size": 1024, "platform": platform}
        for name, platform in platforms.items()
    ]
    attestation = {
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.in-toto+json",
        "digest": digest_of("an attestation"),
        "size": 566,
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": images["amd64"],
        },
        "platform": {"architecture": "unknown", "os": "unknown"},
    }
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [*children, attestation]}
    signature = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": SIGNATURE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of("{}"), "size": 2},
        "layers": [{"mediaType": "application/jose+json", "digest": digest_of("a signature"), "size": 2000}],
        "subject": {"mediaType": OCI_MANIFEST, "digest": images["basic"], "size": 1024},
    }
    registry.manifests["team-a/api", images["index"]] = json.dumps(index)
    registry.manifests["team-a/api", images["signature"]] = json.dumps(signature)


# --- the same findings as Amazon Inspector tells them ---------------------------------------------------------------

_SAME_IN_INSPECTOR = (
    "awsAccountId",
    "description",
    "exploitAvailable",
    "findingArn",
    "firstObservedAt",
    "fixAvailable",
    "lastObservedAt",
    "severity",
    "status",
    "title",
    "type",
    "updatedAt",
)
_COVERAGE = {  # scan status of the image: status code and reason of its coverage
    "ACTIVE": ("ACTIVE", "SUCCESSFUL"),
    "COMPLETE": ("ACTIVE", "SUCCESSFUL"),
    "PENDING": ("INACTIVE", "PENDING_INITIAL_SCAN"),
    "IN_PROGRESS": ("INACTIVE", "PENDING_INITIAL_SCAN"),
    "SCAN_ELIGIBILITY_EXPIRED": ("INACTIVE", "SCAN_ELIGIBILITY_EXPIRED"),
    "UNSUPPORTED_IMAGE": ("INACTIVE", "UNSUPPORTED_OS"),
    "FAILED": ("INACTIVE", "INTERNAL_ERROR"),
}


def enhanced_findings(registry: Registry) -> Iterator[Item]:
    """The enhanced findings of all images that there are, as DescribeImageScanFindings has them."""
    for (name, digest), scan in registry.scans.items():
        if name in registry.repositories and registry.image(name, {"imageDigest": digest}):
            yield from scan.get("imageScanFindings", {}).get("enhancedFindings", ())


def inspector_finding(finding: Item, region: str) -> Item:
    """An enhanced finding in the shape of Inspector's ListFindings."""
    cvss = finding.get("scoreDetails", {}).get("cvss")
    details = finding.get("packageVulnerabilityDetails")
    recommendation = finding.get("remediation", {}).get("recommendation", {})
    translated = {
        "remediation": {
            "recommendation": given({"text": recommendation.get("text"), "Url": recommendation.get("url")})
        },
        "resources": [resource | {"partition": "aws", "region": region} for resource in finding.get("resources", ())],
        "inspectorScore": finding.get("score"),
        "inspectorScoreDetails": cvss and {"adjustedCvss": cvss | {"cvssSource": cvss["scoreSource"]}},
        "packageVulnerabilityDetails": details and details | {"vulnerablePackages": _inspector_packages(details)},
        "epss": {"score": finding.get("score", 0.0) / 1000},
        "exploitabilityDetails": {"lastKnownExploitAt": finding.get("lastObservedAt")}
        if finding.get("exploitAvailable") == "YES"
        else None,
    }
    return {member: finding[member] for member in _SAME_IN_INSPECTOR if member in finding} | given(translated)


def _inspector_packages(details: Item) -> list[Item]:
    return [
        entry | {"remediation": f"update {entry['name']} to {entry.get('fixedInVersion', 'a later version')}"}
        for entry in details.get("vulnerablePackages", ())
    ]


def inspector_coverage(registry: Registry) -> Iterator[Item]:
    """What Inspector covers: the images with an enhanced scan, or with any when the registry is scanned by it."""
    everything = registry.scanning_configuration.get("scanType") == "ENHANCED"
    for (name, digest), scan in registry.scans.items():
        image = name in registry.repositories and registry.image(name, {"imageDigest": digest})
        if image and (everything or "enhancedFindings" in scan.get("imageScanFindings", {})):
            yield _covered(registry, name, image, scan)


def _covered(registry: Registry, name: str, image: Item, scan: Item) -> Item:
    code, reason = _COVERAGE.get(scan["imageScanStatus"]["status"], ("INACTIVE", "NO_RESOURCES_FOUND"))
    frequency = registry.scanning_configurations.get(name, {}).get("scanFrequency", "CONTINUOUS_SCAN")
    usage = {
        "tags": image.get("imageTags", []),
        "imagePulledAt": image.get("lastRecordedPullTime"),
        "lastInUseAt": SCANNED_AT + 60,
        "inUseCount": registry.in_use_counts.get((name, image["imageDigest"]), 2),
    }
    covered = {
        "resourceType": "AWS_ECR_CONTAINER_IMAGE",
        "resourceId": f"{registry.repository_arn(name)}/{image['imageDigest']}",
        "accountId": registry.account,
        "scanType": "PACKAGE",
        "scanStatus": {"statusCode": code, "reason": reason},
        "resourceMetadata": {
            "ecrRepository": {"name": name, "scanFrequency": frequency},
            "ecrImage": given(usage),
        },
        "lastScannedAt": scan.get("imageScanFindings", {}).get("imageScanCompletedAt"),
    }
    return given(covered)
