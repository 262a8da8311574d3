"""Lifecycle policies: those of AWS's documentation, with what it says that they do, and others by chance."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.conftest import Row
from tests.server.registry import OCI_INDEX, OCI_MANIFEST, SIGNATURE, Registry, digest_of
from tests.views.lifecycle_evaluator import Image, Repository, Rule


def rule(priority: int, *tags: str, action: str = "expire", **selection: Any) -> dict[str, Any]:
    """A rule for images with tags of all these patterns, or whatever `tagStatus` says."""
    selected = {"tagStatus": "tagged", "tagPatternList": list(tags)} if tags else {}
    does = {"type": action} if action == "expire" else {"type": action, "targetStorageClass": "archive"}
    return {"rulePriority": priority, "selection": selected | selection, "action": does}


def keep(number: int) -> dict[str, Any]:
    return {"countType": "imageCountMoreThan", "countNumber": number}


def days(number: int, since: str = "sinceImagePushed") -> dict[str, Any]:
    return {"countType": since, "countUnit": "days", "countNumber": number}


def policy_text(rules: Sequence[Rule]) -> str:
    return json.dumps({"rules": rules})


NOW = datetime.now(UTC)
EFFECTS = "SELECT image_digest, effect, reason, rule_priority, action, days_until_action FROM ecr_lifecycle_effects"

ANY: dict[str, Any] = {"tagStatus": "any"}
UNTAGGED: dict[str, Any] = {"tagStatus": "untagged"}
TO_ARCHIVE = "transition"
IN_ARCHIVE = {"storageClass": "archive"} | days(365, "sinceImageTransitioned")


@dataclass(frozen=True)
class Example:
    """One of AWS's: images by their letters, the rules, and the letters of what is acted on now, with the rule."""

    images: dict[str, Image]
    rules: list[dict[str, Any]]
    outcome: dict[str, tuple[int, str]]


def _tagged(**tags_and_age: tuple[list[str], int]) -> dict[str, Image]:
    return {letter: Image(letter, tuple(tags), pushed=age) for letter, (tags, age) in tags_and_age.items()}


_BETA_AND_PROD = _tagged(A=(["beta-1", "prod-1"], 10), B=(["beta-2", "prod-2"], 9), C=(["beta-3"], 8))
_ALPHA_AND_BETA = _tagged(
    A=(["alpha-1"], 12),
    B=(["beta-1"], 11),
    C=(["alpha-2", "beta-2"], 10),
    D=(["alpha-3"], 4),
    E=(["beta-3"], 3),
    F=(["alpha-4", "beta-4"], 2),
)

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_examples.html
EXAMPLES = {
    # "expires images with a tag starting with prod by using a tagPatternList of prod* that are also older than 14 days"
    "image-age": Example(
        _tagged(A=(["prod-1"], 15), B=(["prod-2"], 14), C=(["dev-1"], 15), D=([], 15)),
        [rule(1, "prod*", **days(14))],
        {"A": (1, "expire")},
    ),
    # "transitions images to archive storage that haven't been pulled in 90 days", and in LifecyclePolicies.html: "If
    # an image was never pulled, the image's pushed_at_time is used instead of the last_recorded_pulltime. If an image
    # was archived and then restored at any point in the past, but never pulled since the image was restored, the
    # image's last_activated_at is used instead of the last_recorded_pulltime."
    "last-pulled": Example(
        {
            "A": Image("A", pushed=200, pulled=91),
            "B": Image("B", pushed=200, pulled=90),
            "C": Image("C", pushed=91),
            "D": Image("D", pushed=90),
            "E": Image("E", pushed=200, pulled=150, archived=100, activated=91),
            "F": Image("F", pushed=200, pulled=150, archived=100, activated=90),
            "G": Image("G", pushed=200, pulled=91, archived=150, activated=100),
        },
        [rule(1, action=TO_ARCHIVE, **ANY, **days(90, "sinceImagePulled"))],
        dict.fromkeys("ACEG", (1, TO_ARCHIVE)),
    ),
    # "expires archived images that have been in archive storage for more than 365 days"
    "archive-transition": Example(
        {
            "A": Image("A", pushed=400, archived=366, is_archived=True),
            "B": Image("B", pushed=400, archived=365, is_archived=True),
            "C": Image("C", pushed=400),
        },
        [rule(1, **ANY, **IN_ARCHIVE)],
        {"A": (1, "expire")},
    ),
    # "keeps only one untagged image and expires all others"
    "image-count": Example(
        _tagged(A=([], 3), B=([], 2), C=(["1"], 4), D=([], 1)),
        [rule(1, **UNTAGGED, **keep(1))],
        {"A": (1, "expire"), "B": (1, "expire")},
    ),
    # "Image A has already been seen by Rule 1 and if Image B were expired it would violate Rule 1 and thus is skipped.
    # Result: Image A is expired."
    "several-rules-a": Example(
        _BETA_AND_PROD, [rule(1, "prod*", **keep(1)), rule(2, "beta*", **keep(1))], {"A": (1, "expire")}
    ),
    # "It would see no images because all available images were already seen by Rule 1 and thus would mark no additional
    # images. Result: Images A and B are expired."
    "several-rules-b": Example(
        _BETA_AND_PROD,
        [rule(1, "beta*", **keep(1)), rule(2, "prod*", **keep(1))],
        {"A": (1, "expire"), "B": (1, "expire")},
    ),
    # "images must match all listed tag patterns … It sees images C and F. It should mark images that are older than
    # five days, which would be Image C. Result: Image C is expired."
    "several-tags-a": Example(_ALPHA_AND_BETA, [rule(1, "alpha*", "beta*", **days(5))], {"C": (1, "expire")}),
    # "tags are not exclusive … It sees all images. … Result: Images A and B are expired."
    "several-tags-b": Example(
        _tagged(
            A=(["alpha-1", "beta-1", "gamma-1"], 10),
            B=(["alpha-2", "beta-2"], 9),
            C=(["alpha-3", "beta-3", "gamma-2"], 8),
        ),
        [rule(1, "alpha*", "beta*", **keep(1))],
        {"A": (1, "expire"), "B": (1, "expire")},
    ),
    # "Rule 1 identifies all images. It sees images A, B, C, and D. It should expire all images other than the newest
    # one. … Result: Images A, B, and C are expired."
    "all-images-a": Example(
        _tagged(A=(["alpha-1"], 4), B=(["beta-1"], 3), C=([], 2), D=(["alpha-2"], 1)),
        [rule(1, **ANY, **keep(1))],
        dict.fromkeys("ABC", (1, "expire")),
    ),
    # "Rule 3 identifies all images. … However, it can't mark images A, B, C, or E because they were identified by
    # higher priority rules. It marks image D for expiration. Result: Images A, B, and D are expired."
    "all-images-b": Example(
        _tagged(A=(["alpha-1", "beta-1"], 4), B=([], 3), C=(["alpha-2"], 2), D=(["git hash"], 1), E=([], 1)),
        [rule(1, "alpha*", **keep(1)), rule(2, **UNTAGGED, **days(1)), rule(3, **ANY, **keep(1))],
        {"A": (1, "expire"), "B": (2, "expire"), "D": (3, "expire")},
    ),
    # "archives images with tags starting with prod that are older than 30 days"
    "archive-age": Example(
        _tagged(A=(["prod-1"], 31), B=(["prod-2"], 30), C=(["dev"], 31)),
        [rule(1, "prod*", action=TO_ARCHIVE, **days(30))],
        {"A": (1, TO_ARCHIVE)},
    ),
    # "archives images older than 30 days and then permanently expires images that have been archived for more than 365
    # days"
    "archive-then-expire": Example(
        {
            "A": Image("A", pushed=31),
            "B": Image("B", pushed=400, archived=366, is_archived=True),
            "C": Image("C", pushed=400, archived=365, is_archived=True),
        },
        [rule(1, action=TO_ARCHIVE, **ANY, **days(30)), rule(2, **ANY, **IN_ARCHIVE)],
        {"A": (1, TO_ARCHIVE), "B": (2, "expire")},
    ),
}

_TAGS = ("prod-1", "prod-2", "dev-1", "dev_1", "devx1", "v1.0", "v1.1", "1-prod", "latest")
_PATTERNS = ("prod*", "*prod*", "dev_*", "v1.*", "*", "latest", "v*.0", "d*v*1")


def random_rules(random: Random) -> list[dict[str, Any]]:
    """A policy that AWS takes."""
    tagged = [_random_rule(random, _random_tags(random)) for _ in range(random.randint(0, 3))]
    others = [_random_rule(random, status) for status in (UNTAGGED, ANY) if random.random() < 0.6]
    in_archive = [rule(0, **ANY, **days(random.randint(90, 95), "sinceImageTransitioned"), storageClass="archive")]
    rules = [*tagged, *others, *(in_archive if random.random() < 0.4 or not tagged + others else [])]
    priorities = sorted(random.sample(range(1, 1000), len(rules)))
    return [one | {"rulePriority": priority} for one, priority in zip(rules, priorities, strict=True)]


def _random_tags(random: Random) -> dict[str, Any]:
    if random.random() < 0.3:
        return {"tagStatus": "tagged", "tagPrefixList": random.sample(("prod", "dev_", "v", "1"), random.randint(1, 2))}
    return {"tagStatus": "tagged", "tagPatternList": random.sample(_PATTERNS, random.randint(1, 2))}


def _random_rule(random: Random, selected: dict[str, Any]) -> dict[str, Any]:
    kind = random.choice(["count", "pushed", "pulled"])
    if kind == "count":
        return rule(0, action=random.choice(["expire", TO_ARCHIVE]), **selected, **keep(random.randint(1, 4)))
    if kind == "pushed":
        return rule(0, action=random.choice(["expire", TO_ARCHIVE]), **selected, **days(random.randint(1, 60)))
    return rule(0, action=TO_ARCHIVE, **selected, **days(random.randint(1, 60), "sinceImagePulled"))


def random_images(random: Random, name: str) -> list[Image]:
    """Images of a repository: some are indexes, also of indexes; some are attached to one before them."""
    images: list[Image] = []
    free = list(_TAGS)
    random.shuffle(free)
    for number in range(random.randint(0, 12)):
        before = [image.name for image in images]
        pushed = random.randint(0, 40)
        is_archived = random.random() < 0.15
        was_archived = is_archived or random.random() < 0.15
        is_index = len(before) > 1 and random.random() < 0.25
        images.append(
            Image(
                f"{name} {number}",
                tags=tuple(free.pop() for _ in range(min(len(free), random.choice([0, 0, 1, 1, 2])))),
                pushed=pushed,
                pulled=random.choice([None, random.randint(0, pushed)]),
                archived=random.randint(85, 99) if was_archived else None,
                activated=random.randint(0, pushed) if was_archived and not is_archived else None,
                is_archived=is_archived,
                children=tuple(random.sample(before, 2)) if is_index else (),
                subject=random.choice(before) if before and not is_index and random.random() < 0.15 else None,
            )
        )
    return images


def random_repositories() -> dict[str, Repository]:
    random = Random(20)
    return {
        f"random-{number}": Repository(random_rules(random), random_images(random, f"random-{number}"))
        for number in range(40)
    }


def put(
    registry: Registry,
    repository: str,
    images: Iterable[Image],
    age: timedelta = timedelta(hours=1),
    apart: timedelta = timedelta(0),
) -> None:
    """Pushes images whose times are so many days ago, and `age` more; each `apart` from the one before it."""
    registry.put(repository)
    for number, image in enumerate(images):
        times = {
            member: None if since is None else (NOW - timedelta(days=since) - age + number * apart).timestamp()
            for member, since in (
                ("pushed_at", image.pushed),
                ("lastRecordedPullTime", image.pulled),
                ("lastArchivedAt", image.archived),
                ("lastActivatedAt", image.activated),
            )
        }
        members: dict[str, Any] = {}
        if image.children:
            members = {"imageManifestMediaType": OCI_INDEX, "artifactMediaType": None}
        if image.subject:
            members = {"subjectManifestDigest": digest_of(image.subject), "artifactMediaType": SIGNATURE}
        registry.put_image(
            repository,
            image.digest,
            image.tags,
            imageStatus="ARCHIVED" if image.is_archived else "ACTIVE",
            imageSizeInBytes=1000,
            **members,
            **times,
        )
        if image.children:
            children = [{"mediaType": OCI_MANIFEST, "digest": digest_of(one), "size": 5} for one in image.children]
            manifest = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
            registry.manifests[repository, image.digest] = json.dumps(manifest)


def compare(effects: Iterable[Row], repositories: dict[str, Repository]) -> None:
    """Compares each image of random repositories, of which `effects` has the rows of `EFFECTS`, with the evaluator."""
    found = {digest: tuple(effect) for digest, *effect in effects}
    images = [(repository, image) for repository in repositories.values() for image in repository.images.values()]
    assert {*found} == {image.digest for _, image in images}
    for repository, image in images:
        effect, _, priority, action, until = found[image.digest]
        wanted = repository.effect(image)
        if wanted is None:
            assert (effect, action, until) == ("stays", None, None), (repository.rules, image)
        else:
            acts = "acts_later" if wanted.days else "acts_now"
            told = (wanted.rule, wanted.action, wanted.days)
            assert (effect, priority, action, until) == (acts, *told), (repository.rules, image)
