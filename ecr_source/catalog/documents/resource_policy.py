"""Resource policies: IAM's grammar as rows.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from ecr_source.catalog.documents.shape import (
    INT64,
    PARSE_ERROR,
    Malformed,
    Object,
    boolean_field,
    checked,
    integer_field,
    json_text,
    list_field,
    member_of,
    objects_of,
    required_member,
    sorted_texts,
    struct_of,
    text_field,
    unknown_members,
    wrong,
)

POLICY = struct_of(
    parseError=PARSE_ERROR,
    version=text_field("The version of the policy language."),
    id=text_field("The identifier of the policy."),
    statementCount=integer_field("How many statements the policy has."),
    statements=list_field(
        "The statements, in the order of the policy.",
        index=integer_field("Position of the statement in the policy, from 0."),
        sid=text_field("The identifier of the statement."),
        effect=text_field("Allow or Deny."),
        isPublic=boolean_field(
            'Whether the effect is Allow, the principal is "*" or AWS "*" (or a NotPrincipal, which allows everybody'
            " else), and there is no Condition."
        ),
        conditionText=text_field("The Condition as JSON, keys and lists sorted; NULL if there is none."),
        unknownFields=text_field("Members that IAM's grammar does not have, as a JSON object; NULL if there are none."),
        principals=list_field(
            "The principals, sorted by type and principal, each once.",
            negated=boolean_field("Whether it stands in NotPrincipal: everybody but these."),
            type=text_field('AWS, Service, Federated or CanonicalUser; "*" for the principal "*".'),
            principal=text_field('The principal as written: an ARN, an account id, a service, a URL or "*".'),
            accountId=text_field("The account that the ARN or account id names; NULL for other principals."),
        ),
        actions=list_field(
            "The actions, sorted, each once.",
            negated=boolean_field("Whether it stands in NotAction: all actions but these."),
            action=text_field("The action as written, with its wildcards; IAM ignores its case."),
        ),
        resources=list_field(
            "The resources, sorted, each once; a repository policy needs none.",
            negated=boolean_field("Whether it stands in NotResource: all resources but these."),
            resource=text_field("The ARN as written, with its wildcards."),
        ),
        conditions=list_field(
            "The values of the conditions, sorted, each once.",
            operator=text_field("The condition operator as written: StringEquals, ForAnyValue:ArnLike."),
            key=text_field("The condition key as written; IAM ignores its case."),
            ordinal=integer_field("Position among the sorted values of the key, from 0."),
            value=text_field("The value; booleans and numbers as JSON."),
        ),
    ),
)

# Names are compared with their case: `action` is an unknown member.
_STATEMENT = {"Sid", "Effect", "Condition"} | {
    negation + name for negation in ("", "Not") for name in ("Principal", "Action", "Resource")
}
_ACCOUNT_ID = re.compile(r"([0-9]{12})|arn:[^:]*:[^:]*:[^:]*:([0-9]{12}):.*")


def read_policy(policy: Object) -> Object:
    """A resource policy as a value of `POLICY`, but for its `parseError`.

    Raises:
        Malformed: it is none.
    """
    if isinstance(policy.get("Statement"), dict):
        statements = [_statement(0, policy["Statement"], "Statement.")]
    else:
        listed = objects_of(required_member(policy, "Statement", list), "Statement")
        statements = [_statement(index, item, within) for index, (item, within) in enumerate(listed)]
    return {
        "version": member_of(policy, "Version", str),
        "id": member_of(policy, "Id", str),
        "statementCount": len(statements),
        "statements": statements,
    }


def _statement(index: int, statement: Object, within: str) -> Object:
    effect = required_member(statement, "Effect", str, within)
    if effect not in ("Allow", "Deny"):
        raise wrong(effect, "Allow or Deny", within, "Effect")
    condition = member_of(statement, "Condition", dict, within) or {}
    conditions = _conditions(condition, f"{within}Condition")
    principals = _principals(statement, within)
    return {
        "index": index,
        "sid": member_of(statement, "Sid", str, within),
        "effect": effect,
        "isPublic": effect == "Allow" and not any(condition.values()) and _names_everybody(statement, principals),
        "conditionText": json_text(_in_order(condition), within),
        "unknownFields": json_text(unknown_members(statement, _STATEMENT), within),
        "principals": principals,
        "actions": _strings(statement, "Action", within),
        "resources": _strings(statement, "Resource", within),
        "conditions": conditions,
    }


def _element(statement: Object, name: str, within: str) -> tuple[str, Any]:
    """The element of this name or of its negation, with its value."""
    negation = f"Not{name}"
    if statement.get(negation) is None:
        return name, statement.get(name)
    if statement.get(name) is not None:
        raise Malformed(f"{within}{name} stands beside {within}{negation}, which excludes it")
    return negation, statement[negation]


def _strings(statement: Object, name: str, within: str) -> list[Object]:
    element, value = _element(statement, name, within)
    texts = [] if value is None else sorted_texts(value, within, element)
    return [{"negated": element != name, name.lower(): text} for text in texts]


def _principals(statement: Object, within: str) -> list[Object]:
    element, value = _element(statement, "Principal", within)
    by_type = {"*": "*"} if value == "*" else {} if value is None else value
    if not isinstance(by_type, dict):
        raise wrong(value, '"*" or an object', within, element)
    return [
        {
            "negated": element != "Principal",
            "type": type_,
            "principal": principal,
            "accountId": _account_id(principal),
        }
        for type_ in sorted(by_type)
        for principal in sorted_texts(by_type[type_], within, element, ".", type_)
    ]


def _account_id(principal: str) -> str | None:
    match = _ACCOUNT_ID.fullmatch(principal)
    return match[1] or match[2] if match else None


def _names_everybody(statement: Object, principals: list[Object]) -> bool:
    everybody = [one for one in principals if one["principal"] == "*" and one["type"] in ("*", "AWS")]
    return bool(everybody) or statement.get("NotPrincipal") is not None


def _conditions(condition: Object, place: str) -> list[Object]:
    return [
        {"operator": operator, "key": key, "ordinal": ordinal, "value": text}
        for operator, keys in sorted(condition.items())
        for key, values in sorted(checked(keys, dict, place, ".", operator).items())
        for ordinal, text in enumerate(_value_texts(values, f"{place}.{operator}.{key}"))
    ]


def _value_texts(values: Any, place: str) -> list[str]:
    return sorted({_value_text(value, place) for value in (values if isinstance(values, list) else [values])})


def _value_text(value: Any, place: str) -> str:
    if isinstance(value, str):
        return value
    # orjson reads a greater integer as a float, which is another number.
    if isinstance(value, int | float) and abs(value) < INT64.stop:
        return orjson.dumps(value).decode()
    raise wrong(value, "a string, a boolean, a 64-bit number or a list of them", place)


def _in_order(condition: Object) -> Object:
    def ordered(values: Any) -> Any:
        return sorted(values, key=orjson.dumps) if isinstance(values, list) else values

    return {operator: {key: ordered(values) for key, values in keys.items()} for operator, keys in condition.items()}
