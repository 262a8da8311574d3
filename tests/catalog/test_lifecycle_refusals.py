"""What AWS refuses in a lifecycle policy is refused with its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ecr_source.catalog.documents.lifecycle_refusals import read_new_lifecycle
from ecr_source.catalog.documents.shape import Malformed
from tests.views.lifecycle_policies import (
    ANY,
    EXAMPLES,
    IN_ARCHIVE,
    TO_ARCHIVE,
    UNTAGGED,
    days,
    keep,
    policy_text,
    rule,
)

PROD: dict[str, Any] = {"tagStatus": "tagged", "tagPatternList": ["prod*"]}
PULLED: dict[str, Any] = ANY | days(9, "sinceImagePulled")


def without(one: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key != name}


def refused(text: str) -> str:
    with pytest.raises(Malformed) as raised:
        read_new_lifecycle(text)
    return str(raised.value)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_aws_gives_as_an_example_is_taken(name: str) -> None:
    rules = EXAMPLES[name].rules
    assert [one["rulePriority"] for one in read_new_lifecycle(policy_text(rules))["rules"]] == [
        one["rulePriority"] for one in rules
    ]


# https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        # "you must give them each a unique value for rulePriority"
        ([rule(1, "a", **keep(1)), rule(1, "b", **keep(1))], "rules[1].rulePriority is 1, as that of a rule before it"),
        ([rule(0, "a", **keep(1))], "rules[0].rulePriority is 0, not at least 1"),
        # "A rule with a tagStatus value of any must have the highest value for rulePriority and be evaluated last."
        (
            [rule(1, **ANY, **keep(1)), rule(2, "a", **keep(1))],
            "the rules 1 and 2: a rule with tagStatus any has the highest rulePriority of its storage class",
        ),
        # "Acceptable options are tagged, untagged, or any."
        (
            [rule(1, tagStatus="all", **keep(1))],
            "rules[0].selection.tagStatus is 'all', not one of tagged, untagged, any",
        ),
        # "If you specify tagged, then you must also specify a tagPrefixList value or a tagPatternList value."
        (
            [rule(1, tagStatus="tagged", **keep(1))],
            "rules[0].selection.tagStatus is tagged: give either tagPatternList or tagPrefixList, which says the tags",
        ),
        ([rule(1, tagStatus="tagged", tagPrefixList=[], **keep(1))], "rules[0].selection.tagPrefixList is empty"),
        ([rule(1, tagStatus="tagged", tagPrefixList=[""], **keep(1))], "rules[0].selection.tagPrefixList[0] is empty"),
        # "If you specify untagged, then you must omit both tagPrefixList and tagPatternList."
        (
            [rule(1, **UNTAGGED, tagPrefixList=["a"], **keep(1))],
            "rules[0].selection.tagPrefixList is not allowed where tagStatus is untagged",
        ),
        ([rule(1, **ANY, tagPatternList=["a"], **keep(1))], "tagPatternList is not allowed where tagStatus is any"),
        # "A lifecycle policy rule may specify either tagPatternList or tagPrefixList, but not both."
        ([rule(1, "a", tagPrefixList=["a"], **keep(1))], "give either tagPatternList or tagPrefixList, and not both"),
        # "There is a maximum limit of four wildcards (*) per string."
        (
            [rule(1, "test*1*2*3*4*5*6", **keep(1))],
            "tagPatternList[0] is 'test*1*2*3*4*5*6', not a text with at most 4",
        ),
        # "The set of all rules selecting a specific storage class must contain a unique set of prefixes."
        ([rule(1, "a", "b", **keep(1)), rule(2, "b", "a", **keep(2))], "they have the same tagPatternList"),
        # "Only one rule selecting a specific storage class is allowed to select untagged images."
        ([rule(1, **UNTAGGED, **keep(1)), rule(2, **UNTAGGED, **days(1))], "only one rule of a storage class has"),
        # "an error will occur if you specify a count unit when countType is any other value"
        ([rule(1, **PROD, **keep(1), countUnit="days")], "countUnit is not allowed where countType is imageCountMore"),
        # "Required: yes, only if countType is set to sinceImagePushed, sinceImagePulled, or sinceImageTransitioned"
        ([rule(1, **PROD, **without(days(1), "countUnit"))], "rules[0].selection.countUnit is missing"),
        ([rule(1, **PROD, **(days(1) | {"countUnit": "weeks"}))], "countUnit is 'weeks', not one of days"),
        # "Acceptable values are positive integers (0 is not an accepted value)."
        ([rule(1, **PROD, **keep(0))], "rules[0].selection.countNumber is 0, not at least 1"),
        ([rule(1, **PROD, countType="imageCountMoreThan")], "rules[0].selection.countNumber is missing"),
        (
            [rule(1, **PROD, countType="imageAge", countNumber=1)],
            "countType is 'imageAge', not one of imageCountMoreThan",
        ),
        # "When using a countType of imageCountMoreThan, sinceImagePushed, or sinceImagePulled, the only supported value
        # is standard. When using a count type of sinceImageTransitioned, this is required, and the only supported value
        # is archive."
        ([rule(1, **ANY, **keep(1), storageClass="archive")], "storageClass is 'archive', not one of standard"),
        ([rule(1, **ANY, **without(IN_ARCHIVE, "storageClass"))], "rules[0].selection.storageClass is missing"),
        # "The sinceImagePulled count type must be used with the transition action."
        ([rule(1, **PULLED)], "type is expire: where countType is sinceImagePulled, it is transition"),
        # "The sinceImageTransitioned count type must be used with the expire action and the archive storage class."
        ([rule(1, action=TO_ARCHIVE, **ANY, **IN_ARCHIVE)], "where countType is sinceImageTransitioned, it is expire"),
        # "You cannot configure lifecycle policies that delete images that have been in archive for less than 90 days."
        (
            [rule(1, **ANY, **(IN_ARCHIVE | {"countNumber": 89}))],
            "rules[0].selection.countNumber is 89, not at least 90",
        ),
        # "Required: yes, if type is transition."
        (
            [rule(1, **ANY, **keep(1)) | {"action": {"type": "transition"}}],
            "rules[0].action.targetStorageClass is missing",
        ),
        (
            [rule(1, **ANY, **keep(1)) | {"action": {"type": "delete"}}],
            "type is 'delete', not one of expire, transition",
        ),
        (
            [rule(1, **ANY, **keep(1)) | {"action": {"type": "expire", "targetStorageClass": "archive"}}],
            "rules[0].action.targetStorageClass is not allowed where type is expire",
        ),
        # https://github.com/cloudposse/terraform-aws-ecr/issues/158: "instance failed to match exactly one schema"
        (
            [rule(1, **ANY, **keep(1)) | {"action": {"type": "expire", "targetStorageClass": None}}],
            "rules[0].action.targetStorageClass is null: leave it out",
        ),
        (
            [rule(1, **ANY, **keep(1), tags=["a"])],
            "rules[0].selection.tags is not allowed: tagStatus, tagPatternList, ",
        ),
        ([without(rule(1, **ANY, **keep(1)), "action")], "rules[0].action is missing"),
        # "Rules per lifecycle policy: 50", in the service quotas.
        ([rule(number, f"v{number}", **keep(1)) for number in range(1, 52)], "rules has 51 rules"),
        ([], "rules has 0 rules: it has one at least"),
    ],
)
def test_what_aws_refuses_is_refused_with_its_reason(rules: list[dict[str, Any]], reason: str) -> None:
    assert reason in refused(policy_text(rules))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not JSON"),
        ("[]", "the document is [], not an object"),
        ("{}", "rules is missing"),
        ('{"rules": {}}', "rules is {}, not a list"),
        ('{"rules": [1]}', "rules[0] is 1, not an object"),
        ('{"rules": [], "Version": 1}', "Version is not allowed: rules are"),
        # "Lifecycle policy length: 30,720", in the service quotas.
        (json.dumps({"rules": []}) + " " * 30_720, "it has 30,733 characters: at most 30,720 are allowed"),
    ],
)
def test_what_is_no_policy_at_all_is_refused(text: str, reason: str) -> None:
    assert reason in refused(text)


def test_the_same_tags_may_be_chosen_in_each_storage_class() -> None:
    in_archive = rule(3, "a", **IN_ARCHIVE)
    rules = [rule(1, "a", **keep(1)), rule(2, **ANY, **keep(1)), in_archive, rule(4, **ANY, **IN_ARCHIVE)]
    assert len(read_new_lifecycle(policy_text(rules))["rules"]) == 4
