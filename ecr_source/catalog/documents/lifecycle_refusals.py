"""What AWS refuses in a lifecycle policy, before it is put.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations

import orjson

from ecr_source.catalog.documents.lifecycle_policy import read_lifecycle
from ecr_source.catalog.documents.shape import INT64, Malformed, Object, checked, objects_of, required_member, wrong

_LONGEST = 30_720
_MOST_RULES = 50
_MOST_WILDCARDS = 4
_LEAST_DAYS_IN_ARCHIVE = 90

_LISTS = ("tagPatternList", "tagPrefixList")
_TIMES = ("sinceImagePushed", "sinceImagePulled", "sinceImageTransitioned")
_MEMBERS = {
    "": ("rulePriority", "description", "selection", "action"),
    "selection.": ("tagStatus", *_LISTS, "storageClass", "countType", "countUnit", "countNumber"),
    "action.": ("type", "targetStorageClass"),
}


def read_new_lifecycle(text: str) -> Object:
    """The lifecycle policy that `text` is, as `read_lifecycle` has it.

    Raises:
        Malformed: AWS would refuse it; with its reason.
    """
    if len(text) > _LONGEST:
        raise Malformed(f"it has {len(text):,} characters: at most {_LONGEST:,} are allowed")
    try:
        policy = checked(orjson.loads(text), dict, "the document")
    except orjson.JSONDecodeError as error:
        raise Malformed(f"it is not JSON: {error}") from error
    _check_members(policy, ("rules",), "")
    rules = required_member(policy, "rules", list)
    if not 1 <= len(rules) <= _MOST_RULES:
        raise Malformed(f"rules has {len(rules)} rules: it has one at least, and at most {_MOST_RULES}")
    for rule, within in objects_of(rules, "rules"):
        _check_rule(rule, within)
    read = read_lifecycle(policy)
    for one, other in combinations(read["rules"], 2):
        _check_beside(one, other)
    return read


def _check_rule(rule: Object, within: str) -> None:
    _check_members(rule, _MEMBERS[""], within)
    _check_number(rule, "rulePriority", within)
    selection = required_member(rule, "selection", dict, within)
    action = required_member(rule, "action", dict, within)
    _check_members(selection, _MEMBERS["selection."], f"{within}selection.")
    _check_members(action, _MEMBERS["action."], f"{within}action.")
    _check_tags(selection, f"{within}selection.")
    _check_count(selection, f"{within}selection.")
    _check_action(action, selection, f"{within}action.")


def _check_members(parent: Object, known: Collection[str], within: str) -> None:
    for name, value in parent.items():
        if name not in known:
            raise Malformed(f"{within}{name} is not allowed: {', '.join(known)} are")
        if value is None:
            raise Malformed(f"{within}{name} is null: leave it out")


def _check_number(parent: Object, name: str, within: str, least: int = 1) -> None:
    number = required_member(parent, name, int, within)
    if number < least or number not in INT64:
        raise wrong(number, f"at least {least}", within, name)


def _one_of(parent: Object, name: str, words: Collection[str], within: str) -> str:
    word = required_member(parent, name, str, within)
    if word not in words:
        raise wrong(word, f"one of {', '.join(words)}", within, name)
    return word


def _check_tags(selection: Object, within: str) -> None:
    status = _one_of(selection, "tagStatus", ("tagged", "untagged", "any"), within)
    given = [name for name in _LISTS if name in selection]
    if status != "tagged" and given:
        raise Malformed(f"{within}{given[0]} is not allowed where tagStatus is {status}")
    if status == "tagged" and len(given) != 1:
        which = "and not both" if given else "which says the tags"
        raise Malformed(f"{within}tagStatus is tagged: give either {' or '.join(_LISTS)}, {which}")
    for name in given:
        texts = required_member(selection, name, list, within)
        if not texts:
            raise Malformed(f"{within}{name} is empty")
        for index, text in enumerate(texts):
            _check_tag(checked(text, str, f"{within}{name}[{index}]"), f"{within}{name}[{index}]")


def _check_tag(text: str, place: str) -> None:
    if not text:
        raise Malformed(f"{place} is empty")
    if text.count("*") > _MOST_WILDCARDS:
        raise wrong(text, f"a text with at most {_MOST_WILDCARDS} wildcards (*)", place)


def _check_count(selection: Object, within: str) -> None:
    kind = _one_of(selection, "countType", ("imageCountMoreThan", *_TIMES), within)
    if kind in _TIMES:
        _one_of(selection, "countUnit", ("days",), within)
    elif "countUnit" in selection:
        raise Malformed(f"{within}countUnit is not allowed where countType is {kind}")
    if kind == "sinceImageTransitioned":
        _one_of(selection, "storageClass", ("archive",), within)
    elif "storageClass" in selection:
        _one_of(selection, "storageClass", ("standard",), within)
    _check_number(selection, "countNumber", within)


def _check_action(action: Object, selection: Object, within: str) -> None:
    kind = _one_of(action, "type", ("expire", "transition"), within)
    if kind == "transition":
        _one_of(action, "targetStorageClass", ("archive",), within)
    elif "targetStorageClass" in action:
        raise Malformed(f"{within}targetStorageClass is not allowed where type is {kind}")
    if selection["countType"] == "sinceImagePulled" and kind != "transition":
        raise Malformed(f"{within}type is {kind}: where countType is sinceImagePulled, it is transition")
    if selection["countType"] == "sinceImageTransitioned":
        if kind != "expire":
            raise Malformed(f"{within}type is {kind}: where countType is sinceImageTransitioned, it is expire")
        _check_number(selection, "countNumber", within.replace("action.", "selection."), _LEAST_DAYS_IN_ARCHIVE)


def _check_beside(first: Object, second: Object) -> None:
    """Checks two rules, of which the second has the higher number."""
    if (first["storageClass"] or "standard") != (second["storageClass"] or "standard"):
        return
    both = f"the rules {first['rulePriority']} and {second['rulePriority']}"
    if first["tagStatus"] == "any":
        raise Malformed(f"{both}: a rule with tagStatus any has the highest rulePriority of its storage class")
    if first["tagStatus"] == second["tagStatus"] == "untagged":
        raise Malformed(f"{both}: only one rule of a storage class has tagStatus untagged")
    if first["tagStatus"] == second["tagStatus"] == "tagged" and first["tagMatches"] == second["tagMatches"]:
        raise Malformed(f"{both}: they have the same {_list_of(first)}, which is unique in a storage class")


def _list_of(rule: Object) -> str:
    return {"pattern": _LISTS[0], "prefix": _LISTS[1]}[rule["tagMatches"][0]["type"]]
