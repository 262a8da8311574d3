"""A plain evaluator of lifecycle policies, rule by rule and image by image, with which tests compare the views.

Its semantics are those of https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.server.registry import digest_of

Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Image:
    """An image; times are whole days ago, and an hour more. It names others by their names."""

    name: str
    tags: tuple[str, ...] = ()
    pushed: int = 0
    pulled: int | None = None
    archived: int | None = None
    activated: int | None = None
    is_archived: bool = False
    children: tuple[str, ...] = ()
    subject: str | None = None

    @property
    def digest(self) -> str:
        """By it images are put in order that were pushed at once."""
        return digest_of(self.name)


@dataclass(frozen=True)
class Effect:
    """What a rule does to an image, in so many days from now."""

    rule: int
    action: str
    days: int


class Repository:
    """Images by name, and the rules of their repository."""

    def __init__(self, rules: Sequence[Rule], images: Sequence[Image]) -> None:
        self.rules = sorted(rules, key=lambda rule: rule["rulePriority"])
        self.images = {image.name: image for image in images}

    def effect(self, image: Image) -> Effect | None:
        """What is done to the image, if anything."""
        own = self._by_rule(image)
        subject = self.images.get(image.subject or "")
        of_subject = self.effect(subject) if subject else None
        if of_subject and (own is None or of_subject.days < own.days):
            return of_subject
        return own

    def _by_rule(self, image: Image) -> Effect | None:
        rule = next((rule for rule in self.rules if fits(rule, image)), None)
        days = self._days(rule, image) if rule else None
        if rule is None or days is None:
            return None
        for index in self.images.values():
            if image.name in index.children and not index.is_archived:
                gone = self._by_rule(index)
                if gone is None:
                    return None
                days = max(days, gone.days)
        return Effect(rule["rulePriority"], rule["action"]["type"], days)

    def _days(self, rule: Rule, image: Image) -> int | None:
        selection = rule["selection"]
        kind, number = selection["countType"], int(selection["countNumber"])
        if kind == "imageCountMoreThan":
            fitting = [one for one in self.images.values() if fits(rule, one)]
            youngest = sorted(fitting, key=lambda one: (_since_push(one), one.digest))
            return 0 if youngest.index(image) >= number else None
        ages = {
            "sinceImagePushed": _since_push(image),
            "sinceImagePulled": _since_pull(image),
            "sinceImageTransitioned": image.archived or 0,
        }
        return max(0, number - ages[kind])


def fits(rule: Rule, image: Image) -> bool:
    """Whether the rule selects the image."""
    selection = rule["selection"]
    if (selection.get("storageClass", "standard") == "archive") != image.is_archived:
        return False
    if selection["tagStatus"] == "tagged":
        wanted = [f"{prefix}*" for prefix in selection.get("tagPrefixList", ())] or selection["tagPatternList"]
        return all(any(_is_match(pattern, tag) for tag in image.tags) for pattern in wanted)
    return selection["tagStatus"] == "any" or not image.tags


def _is_match(pattern: str, tag: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), tag) is not None


def _since_push(image: Image) -> int:
    return image.pushed if image.activated is None else image.activated


def _since_pull(image: Image) -> int:
    if image.activated is not None and (image.pulled is None or image.pulled > image.activated):
        return image.activated
    return image.pushed if image.pulled is None else image.pulled
