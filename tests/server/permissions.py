"""Which IAM action a call takes, on which resource, and how AWS denies it."""

from __future__ import annotations

from tests.server.accounts import Caller
from tests.server.answers import ErrorAnswer, error
from tests.server.protocols import Call, service_model

_PREFIXES = {"tagging": "tag"}  # where an action's prefix is not the signing name
_ACTIONS = {"ecr:ListImageReferrers": "ecr:BatchGetImage"}  # as the documentation of the operation says
_ALWAYS_ALLOWED = "sts:GetCallerIdentity"


def iam_action(call: Call) -> str:
    """The IAM action that allows the call: `tag:GetResources`."""
    action = f"{_PREFIXES.get(call.service, call.service)}:{call.operation}"
    return _ACTIONS.get(action, action)


def denial(call: Call, caller: Caller, allowed: set[str]) -> ErrorAnswer | None:
    """How the call is denied where only `allowed` actions are; None when it is allowed."""
    action = iam_action(call)
    if action in allowed or action == _ALWAYS_ALLOWED:
        return None
    resource = _resource(call, caller)
    return error(
        "AccessDeniedException",
        f"User: {caller.arn} is not authorized to perform: {action}{f' on resource: {resource}' if resource else ''}"
        f" because no identity-based policy allows the {action} action",
    )


def _resource(call: Call, caller: Caller) -> str | None:
    """The resource that the sentence of a denial names, if it names any."""
    if call.service in ("ecr", "ecr-public"):
        return _repository(call, caller)
    if call.service == "inspector2":
        path = service_model(call.service).operation_model(call.operation).http["requestUri"]
        return f"arn:{caller.partition}:inspector2:{caller.region}:{caller.account}:{path}"
    named = {
        "account": f"arn:{caller.partition}:account::{caller.account}:account",
        "organizations": "*",
        "sts": call.parameters.get("RoleArn"),
    }
    return named.get(call.service)


def _repository(call: Call, caller: Caller) -> str:
    if "resourceArn" in call.parameters:
        return str(call.parameters["resourceArn"])
    shape = service_model(call.service).operation_model(call.operation).input_shape
    if shape is None or not {"repositoryName", "repositoryNames"} & shape.members.keys():
        return "*"
    name = next(iter(call.parameters.get("repositoryNames", ())), call.parameters.get("repositoryName", "*"))
    region = "" if call.service == "ecr-public" else caller.region
    return f"arn:{caller.partition}:{call.service}:{region}:{caller.account}:repository/{name}"
