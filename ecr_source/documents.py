"""JSON documents that ECR delivers as text become Arrow structs: resource policies, lifecycle policies, manifests.

A text that is no such document is a fact: its struct has a `parseError`, and its lists are empty. A member that is null
counts as absent.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import orjson
import pyarrow as pa

_Object = dict[str, Any]
_Kind = TypeVar("_Kind", str, int, _Object, list[Any])


@dataclass(frozen=True)
class Document:
    """A kind of document: its Arrow type, with descriptions, and what reads a text as a value of that type."""

    type: pa.StructType
    parse: Callable[[str], dict[str, Any]]


def parse_documents(kind: str, texts: pa.StringArray) -> pa.StructArray:
    """One struct of `DOCUMENTS[kind].type` per text, NULL where the text is.

    Raises:
        KeyError: `DOCUMENTS` has no such kind.
    """
    document = DOCUMENTS[kind]
    # Hundreds of repositories have the same policy.
    encoded = texts.dictionary_encode()
    distinct = pa.array(_Parsed(document, encoded.dictionary.to_pylist()), document.type)
    return distinct.take(encoded.indices)


@dataclass(frozen=True)
class _Parsed(Sequence[dict[str, Any]]):
    """Parses each text when Arrow asks for it: to hold all objects at once costs a multiple, in garbage collections."""

    document: Document
    texts: list[str]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: Any) -> Any:
        return self.document.parse(self.texts[index])


# types: a field is its type and its description

_Field = tuple[pa.DataType, str]


def _scalar(type_: pa.DataType, description: str) -> _Field:
    return type_, description


_text, _integer, _boolean = (partial(_scalar, type_) for type_ in (pa.string(), pa.int64(), pa.bool_()))


def _list(description: str, /, **fields: _Field) -> _Field:
    return pa.list_(pa.field("item", _struct(**fields), metadata={"description": description})), description


def _struct(**fields: _Field) -> pa.StructType:
    return pa.struct(pa.field(name, type_, metadata={"description": text}) for name, (type_, text) in fields.items())


_PARSE_ERROR = _text("What is wrong with the document, and where; NULL if it could be read.")

_POLICY = _struct(
    parseError=_PARSE_ERROR,
    version=_text("The version of the policy language."),
    id=_text("The identifier of the policy."),
    statementCount=_integer("How many statements the policy has."),
    statements=_list(
        "The statements, in the order of the policy.",
        index=_integer("Position of the statement in the policy, from 0."),
        sid=_text("The identifier of the statement."),
        effect=_text("Allow or Deny."),
        isPublic=_boolean(
            'Whether the effect is Allow, the principal is "*" or AWS "*" (or a NotPrincipal, which allows everybody'
            " else), and there is no Condition."
        ),
        conditionText=_text("The Condition as JSON, keys and lists sorted; NULL if there is none."),
        unknownFields=_text("Members that IAM's grammar does not have, as a JSON object; NULL if there are none."),
        principals=_list(
            "The principals, sorted by type and principal, each once.",
            negated=_boolean("Whether it stands in NotPrincipal: everybody but these."),
            type=_text('AWS, Service, Federated or CanonicalUser; "*" for the principal "*".'),
            principal=_text('The principal as written: an ARN, an account id, a service, a URL or "*".'),
            accountId=_text("The account that the ARN or account id names; NULL for other principals."),
        ),
        actions=_list(
            "The actions, sorted, each once.",
            negated=_boolean("Whether it stands in NotAction: all actions but these."),
            action=_text("The action as written, with its wildcards; IAM ignores its case."),
        ),
        resources=_list(
            "The resources, sorted, each once; a repository policy needs none.",
            negated=_boolean("Whether it stands in NotResource: all resources but these."),
            resource=_text("The ARN as written, with its wildcards."),
        ),
        conditions=_list(
            "The values of the conditions, sorted, each once.",
            operator=_text("The condition operator as written: StringEquals, ForAnyValue:ArnLike."),
            key=_text("The condition key as written; IAM ignores its case."),
            ordinal=_integer("Position among the sorted values of the key, from 0."),
            value=_text("The value; booleans and numbers as JSON."),
        ),
    ),
)

_LIFECYCLE = _struct(
    parseError=_PARSE_ERROR,
    ruleCount=_integer("How many rules the policy has."),
    rules=_list(
        "The rules, sorted by priority.",
        rulePriority=_integer("The rank of the rule, unique in the policy; the lowest is applied first."),
        description=_text("What the rule is for, in its author's words."),
        tagStatus=_text("Which images the rule selects: tagged, untagged or any."),
        storageClass=_text("The storage class of the images that the rule selects: standard or archive."),
        countType=_text("What is counted: images, or the time since an event."),
        countUnit=_text("The unit of countNumber; NULL if images are counted."),
        countNumber=_integer("The number of images or units of time beyond which the rule acts."),
        actionType=_text("What the rule does: expire or transition."),
        actionTargetStorageClass=_text("The storage class that images move to; NULL if they expire."),
        unknownFields=_text("Members that no other field holds, as a JSON object; NULL if there are none."),
        tagMatches=_list(
            "The tag patterns and prefixes of the rule, sorted, each once.",
            type=_text("pattern (with wildcards) or prefix."),
            value=_text("The pattern or prefix."),
        ),
    ),
)

_MANIFEST = _struct(
    parseError=_PARSE_ERROR,
    schemaVersion=_integer("1 for Docker schema 1, 2 for all others."),
    mediaType=_text("The media type that the manifest gives itself; OCI and Docker schema 1 may leave it out."),
    artifactType=_text("The type of the artifact, if it is no container image."),
    configDigest=_text("The digest of the configuration."),
    configMediaType=_text("The media type of the configuration."),
    configSize=_integer("The size of the configuration, in bytes."),
    subjectDigest=_text("The digest of the manifest that this one refers to."),
    layerCount=_integer("How many layers the manifest lists; NULL for a manifest list or index."),
    totalLayerSize=_integer("The sum of the listed layers' compressed sizes, in bytes; NULL if one is not known."),
    layers=_list(
        "The layers in the order of the manifest: from the base up, in Docker schema 1 from the top down.",
        index=_integer("Position of the layer in the manifest, from 0."),
        digest=_text("The digest of the layer; a layer may be listed twice."),
        mediaType=_text("The media type of the layer."),
        size=_integer("The compressed size of the layer, in bytes; NULL in Docker schema 1."),
    ),
    children=_list(
        "The manifests of a manifest list or index, in its order.",
        digest=_text("The digest of the listed manifest."),
        mediaType=_text("The media type of the listed manifest."),
        artifactType=_text("The type of the artifact, if it is no container image."),
        size=_integer("The size of the listed manifest itself, in bytes."),
        architecture=_text("The architecture that the image runs on."),
        os=_text("The operating system that the image runs on."),
        osVersion=_text("The version of the operating system."),
        variant=_text("The variant of the architecture."),
        isAttestation=_boolean("Whether it is BuildKit's attestation of an image, not an image."),
    ),
    annotations=_list(
        "The annotations of the manifest, sorted by key.",
        key=_text("The name of the annotation."),
        value=_text("The value of the annotation."),
    ),
)

# JSON of the expected shape, or an error that names the place


class _Malformed(Exception):
    """What is wrong with a document, and where."""


def _wrong(value: Any, expected: str, *place: str) -> _Malformed:
    return _Malformed(f"{''.join(place)} is {reprlib.repr(value)}, not {expected}")


_INT64 = range(-(2**63), 2**63)
_NAMES: dict[type, str] = {str: "a string", int: "a 64-bit integer", dict: "an object", list: "a list"}


def _checked(value: Any, kind: type[_Kind], *place: str) -> _Kind:
    """`value`, if it is of `kind`; else an error at `place`, which is joined only then."""
    if type(value) is not kind or (kind is int and value not in _INT64):
        raise _wrong(value, _NAMES[kind], *place)
    return value


def _member(parent: _Object, name: str, kind: type[_Kind], within: str = "") -> _Kind | None:
    value = parent.get(name)
    return None if value is None else _checked(value, kind, within, name)


def _required(parent: _Object, name: str, kind: type[_Kind], within: str = "") -> _Kind:
    value = _member(parent, name, kind, within)
    if value is None:
        raise _Malformed(f"{within}{name} is missing")
    return value


def _members(parent: _Object, kinds: Mapping[str, type[Any]], within: str) -> _Object:
    return {name: _member(parent, name, kind, within) for name, kind in kinds.items()}


def _objects(items: list[Any] | None, place: str) -> Iterator[tuple[_Object, str]]:
    """Each object of a list, and the prefix of its members' places."""
    for index, item in enumerate(items or []):
        yield _checked(item, dict, f"{place}[{index}]"), f"{place}[{index}]."


def _texts(value: Any, *place: str) -> list[str]:
    """The strings of a string or a list of strings, sorted, each once."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and set(map(type, value)) <= {str}:
        return sorted(set(value))
    raise _wrong(value, "a string or a list of strings", *place)


def _unknown(parent: _Object, known: set[str]) -> _Object:
    return {name: parent[name] for name in parent.keys() - known}


def _json_text(value: _Object, within: str) -> str | None:
    """`value` as JSON with sorted keys, NULL if it is empty."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else None
    except orjson.JSONEncodeError as error:
        # orjson reads 1024 levels, and writes 254.
        raise _Malformed(f"{within.removesuffix('.')} has a member that nests too deep to be kept ({error})") from error


# IAM policies: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html

# Names are compared with their case: `action` is an unknown member.
_STATEMENT = {"Sid", "Effect", "Condition"} | {
    negation + name for negation in ("", "Not") for name in ("Principal", "Action", "Resource")
}
_ACCOUNT_ID = re.compile(r"([0-9]{12})|arn:[^:]*:[^:]*:[^:]*:([0-9]{12}):.*")


def _policy(policy: _Object) -> _Object:
    if isinstance(policy.get("Statement"), dict):
        statements = [_statement(0, policy["Statement"], "Statement.")]
    else:
        listed = _objects(_required(policy, "Statement", list), "Statement")
        statements = [_statement(index, item, within) for index, (item, within) in enumerate(listed)]
    return {
        "version": _member(policy, "Version", str),
        "id": _member(policy, "Id", str),
        "statementCount": len(statements),
        "statements": statements,
    }


def _statement(index: int, statement: _Object, within: str) -> _Object:
    effect = _required(statement, "Effect", str, within)
    if effect not in ("Allow", "Deny"):
        raise _wrong(effect, "Allow or Deny", within, "Effect")
    condition = _member(statement, "Condition", dict, within) or {}
    conditions = _conditions(condition, f"{within}Condition")
    principals = _principals(statement, within)
    return {
        "index": index,
        "sid": _member(statement, "Sid", str, within),
        "effect": effect,
        "isPublic": effect == "Allow" and not any(condition.values()) and _names_everybody(statement, principals),
        "conditionText": _json_text(_in_order(condition), within),
        "unknownFields": _json_text(_unknown(statement, _STATEMENT), within),
        "principals": principals,
        "actions": _strings(statement, "Action", within),
        "resources": _strings(statement, "Resource", within),
        "conditions": conditions,
    }


def _element(statement: _Object, name: str, within: str) -> tuple[str, Any]:
    """The element of this name or of its negation, with its value."""
    negation = f"Not{name}"
    if statement.get(negation) is None:
        return name, statement.get(name)
    if statement.get(name) is not None:
        raise _Malformed(f"{within}{name} stands beside {within}{negation}, which excludes it")
    return negation, statement[negation]


def _strings(statement: _Object, name: str, within: str) -> list[_Object]:
    element, value = _element(statement, name, within)
    texts = [] if value is None else _texts(value, within, element)
    return [{"negated": element != name, name.lower(): text} for text in texts]


def _principals(statement: _Object, within: str) -> list[_Object]:
    element, value = _element(statement, "Principal", within)
    by_type = {"*": "*"} if value == "*" else {} if value is None else value
    if not isinstance(by_type, dict):
        raise _wrong(value, '"*" or an object', within, element)
    return [
        {
            "negated": element != "Principal",
            "type": type_,
            "principal": principal,
            "accountId": _account_id(principal),
        }
        for type_ in sorted(by_type)
        for principal in _texts(by_type[type_], within, element, ".", type_)
    ]


def _account_id(principal: str) -> str | None:
    match = _ACCOUNT_ID.fullmatch(principal)
    return match[1] or match[2] if match else None


def _names_everybody(statement: _Object, principals: list[_Object]) -> bool:
    everybody = [one for one in principals if one["principal"] == "*" and one["type"] in ("*", "AWS")]
    return bool(everybody) or statement.get("NotPrincipal") is not None


def _conditions(condition: _Object, place: str) -> list[_Object]:
    return [
        {"operator": operator, "key": key, "ordinal": ordinal, "value": text}
        for operator, keys in sorted(condition.items())
        for key, values in sorted(_checked(keys, dict, place, ".", operator).items())
        for ordinal, text in enumerate(_value_texts(values, f"{place}.{operator}.{key}"))
    ]


def _value_texts(values: Any, place: str) -> list[str]:
    return sorted({_value_text(value, place) for value in (values if isinstance(values, list) else [values])})


def _value_text(value: Any, place: str) -> str:
    if isinstance(value, str):
        return value
    # orjson reads a greater integer as a float, which is another number.
    if isinstance(value, int | float) and abs(value) < _INT64.stop:
        return orjson.dumps(value).decode()
    raise _wrong(value, "a string, a boolean, a 64-bit number or a list of them", place)


def _in_order(condition: _Object) -> _Object:
    def ordered(values: Any) -> Any:
        return sorted(values, key=orjson.dumps) if isinstance(values, list) else values

    return {operator: {key: ordered(values) for key, values in keys.items()} for operator, keys in condition.items()}


# lifecycle policies: https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html

_SELECTION = {"tagStatus": str, "storageClass": str, "countType": str, "countUnit": str, "countNumber": int}
_TAG_LISTS = {"pattern": "tagPatternList", "prefix": "tagPrefixList"}
_ACTION = {"type": str, "targetStorageClass": str}
_KNOWN_IN_RULE = {"selection": {*_SELECTION, *_TAG_LISTS.values()}, "action": set(_ACTION)}


def _lifecycle(policy: _Object) -> _Object:
    rules: dict[int, _Object] = {}
    for item, within in _objects(_required(policy, "rules", list), "rules"):
        priority = _required(item, "rulePriority", int, within)
        if priority in rules:
            raise _Malformed(f"{within}rulePriority is {priority}, as that of a rule before it")
        rules[priority] = {"rulePriority": priority, **_rule(item, within)}
    return {"ruleCount": len(rules), "rules": [rules[priority] for priority in sorted(rules)]}


def _rule(rule: _Object, within: str) -> _Object:
    selection, action = (_member(rule, name, dict, within) or {} for name in ("selection", "action"))
    unknown = _unknown(rule, {"rulePriority", "description", "selection", "action"})
    for name, known in _KNOWN_IN_RULE.items():
        if nested := _unknown(rule.get(name) or {}, known):
            unknown[name] = nested
    does = _members(action, _ACTION, f"{within}action.")
    return {
        "description": _member(rule, "description", str, within),
        **_members(selection, _SELECTION, f"{within}selection."),
        "actionType": does["type"],
        "actionTargetStorageClass": does["targetStorageClass"],
        "unknownFields": _json_text(unknown, within),
        "tagMatches": [
            {"type": type_, "value": text}
            for type_, name in _TAG_LISTS.items()
            if selection.get(name) is not None
            for text in _texts(selection[name], within, "selection.", name)
        ],
    }


# manifests: https://github.com/opencontainers/image-spec, https://distribution.github.io/distribution/spec/

_DESCRIPTOR = {"digest": str, "mediaType": str, "size": int}
_PLATFORM = {"architecture": str, "os": str, "os.version": str, "variant": str}


def _manifest(manifest: _Object) -> _Object:
    config = _members(_member(manifest, "config", dict) or {}, _DESCRIPTOR, "config.")
    layers = [{"index": index, **layer} for index, layer in enumerate(_layers(manifest))]
    is_list = manifest.get("manifests") is not None
    return {
        "schemaVersion": _required(manifest, "schemaVersion", int),
        "mediaType": _member(manifest, "mediaType", str),
        "artifactType": _member(manifest, "artifactType", str),
        "configDigest": config["digest"],
        "configMediaType": config["mediaType"],
        "configSize": config["size"],
        "subjectDigest": _member(_member(manifest, "subject", dict) or {}, "digest", str, "subject."),
        "layerCount": None if is_list else len(layers),
        "totalLayerSize": None if is_list else _total_size(layers),
        "layers": layers,
        "children": [_child(*child) for child in _objects(_member(manifest, "manifests", list), "manifests")],
        "annotations": [{"key": key, "value": value} for key, value in sorted(_annotations(manifest, "").items())],
    }


def _layers(manifest: _Object) -> Iterator[_Object]:
    for layer, within in _objects(_member(manifest, "layers", list), "layers"):
        yield _descriptor(layer, within)
    for layer, within in _objects(_member(manifest, "fsLayers", list), "fsLayers"):
        yield {"digest": _required(layer, "blobSum", str, within), "mediaType": None, "size": None}


def _descriptor(value: _Object, within: str) -> _Object:
    return _members(value, _DESCRIPTOR, within) | {"digest": _required(value, "digest", str, within)}


def _total_size(layers: list[_Object]) -> int | None:
    sizes = [layer["size"] for layer in layers]
    return None if None in sizes else _checked(sum(sizes), int, "the sum of the layers' sizes")


def _child(child: _Object, within: str) -> _Object:
    platform = _members(_member(child, "platform", dict, within) or {}, _PLATFORM, f"{within}platform.")
    return {
        **_descriptor(child, within),
        "artifactType": _member(child, "artifactType", str, within),
        "architecture": platform["architecture"],
        "os": platform["os"],
        "osVersion": platform["os.version"],
        "variant": platform["variant"],
        "isAttestation": _annotations(child, within).get("vnd.docker.reference.type") == "attestation-manifest",
    }


def _annotations(parent: _Object, within: str) -> dict[str, str]:
    annotations = _member(parent, "annotations", dict, within) or {}
    return {key: _checked(value, str, within, "annotations.", key) for key, value in annotations.items()}


# all of them


def _document(type_: pa.StructType, read: Callable[[_Object], _Object]) -> Document:
    no_rows: _Object = {field.name: [] for field in type_ if pa.types.is_list(field.type)}

    def parse(text: str) -> _Object:
        try:
            return {"parseError": None, **read(_checked(orjson.loads(text), dict, "the document"))}
        except orjson.JSONDecodeError as error:
            return {"parseError": f"the text is not JSON: {error}", **no_rows}
        except _Malformed as error:
            return {"parseError": str(error), **no_rows}

    return Document(type_, parse)


DOCUMENTS: Mapping[str, Document] = {
    "policy": _document(_POLICY, _policy),
    "lifecycle": _document(_LIFECYCLE, _lifecycle),
    "manifest": _document(_MANIFEST, _manifest),
}
"""The kinds of documents: resource policies (of IAM's grammar), lifecycle policies, image manifests."""
