"""Lifecycle policies as rows.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
"""

from __future__ import annotations

from ecr_source.catalog.documents.shape import (
    PARSE_ERROR,
    Malformed,
    Object,
    integer_field,
    json_text,
    list_field,
    member_of,
    members_of,
    objects_of,
    required_member,
    sorted_texts,
    struct_of,
    text_field,
    unknown_members,
)

LIFECYCLE = struct_of(
    parseError=PARSE_ERROR,
    ruleCount=integer_field("How many rules the policy has."),
    rules=list_field(
        "The rules, sorted by priority.",
        rulePriority=integer_field("The rank of the rule, unique in the policy; the lowest is applied first."),
        description=text_field("What the rule is for, in its author's words."),
        tagStatus=text_field("Which images the rule selects: tagged, untagged or any."),
        storageClass=text_field("The storage class of the images that the rule selects: standard or archive."),
        countType=text_field("What is counted: images, or the time since an event."),
        countUnit=text_field("The unit of countNumber; NULL if images are counted."),
        countNumber=integer_field("The number of images or units of time beyond which the rule acts."),
        actionType=text_field("What the rule does: expire or transition."),
        actionTargetStorageClass=text_field("The storage class that images move to; NULL if they expire."),
        unknownFields=text_field("Members that no other field holds, as a JSON object; NULL if there are none."),
        tagMatches=list_field(
            "The tag patterns and prefixes of the rule, sorted, each once.",
            type=text_field("pattern (with wildcards) or prefix."),
            value=text_field("The pattern or prefix."),
        ),
    ),
)

_SELECTION = {"tagStatus": str, "storageClass": str, "countType": str, "countUnit": str, "countNumber": int}
_TAG_LISTS = {"pattern": "tagPatternList", "prefix": "tagPrefixList"}
_ACTION = {"type": str, "targetStorageClass": str}
_KNOWN_IN_RULE = {"selection": {*_SELECTION, *_TAG_LISTS.values()}, "action": set(_ACTION)}


def read_lifecycle(policy: Object) -> Object:
    """A lifecycle policy as a value of `LIFECYCLE`, but for its `parseError`.

    Raises:
        Malformed: it is none.
    """
    rules: dict[int, Object] = {}
    for item, within in objects_of(required_member(policy, "rules", list), "rules"):
        priority = required_member(item, "rulePriority", int, within)
        if priority in rules:
            raise Malformed(f"{within}rulePriority is {priority}, as that of a rule before it")
        rules[priority] = {"rulePriority": priority, **_rule(item, within)}
    return {"ruleCount": len(rules), "rules": [rules[priority] for priority in sorted(rules)]}


def _rule(rule: Object, within: str) -> Object:
    selection, action = (member_of(rule, name, dict, within) or {} for name in ("selection", "action"))
    unknown = unknown_members(rule, {"rulePriority", "description", "selection", "action"})
    for name, known in _KNOWN_IN_RULE.items():
        if nested := unknown_members(rule.get(name) or {}, known):
            unknown[name] = nested
    does = members_of(action, _ACTION, f"{within}action.")
    return {
        "description": member_of(rule, "description", str, within),
        **members_of(selection, _SELECTION, f"{within}selection."),
        "actionType": does["type"],
        "actionTargetStorageClass": does["targetStorageClass"],
        "unknownFields": json_text(unknown, within),
        "tagMatches": [
            {"type": type_, "value": text}
            for type_, name in _TAG_LISTS.items()
            if selection.get(name) is not None
            for text in sorted_texts(selection[name], within, "selection.", name)
        ],
    }
