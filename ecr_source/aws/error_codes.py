"""What the error codes of AWS mean."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from json import JSONDecodeError
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NotConnected
from botocore.parsers import ResponseParserError

from ecr_source.catalog.model import iam_action
from ecr_source.catalog.table import Operation
from ecr_source.errors import Absent, CallFailed, Denied, Disabled, Gone, NotOffered, ScopeLost

DENIED_CODES = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
GONE_CODES = {"RepositoryNotFoundException", "ImageNotFoundException"}
THROTTLED_CODES = {
    *("Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException"),
    *("RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown"),
}
INVALID_CODES = {"InvalidParameterException", "ValidationException"}
TOKEN_CODES = {
    *INVALID_CODES,
    *("PaginationTokenExpiredException", "InvalidPaginationTokenException", "InvalidParameterValueException"),
}
"""Those by which a service refuses a token that it gave out."""

NOT_OFFERED_CODES = {"UnknownOperationException", "UnknownOperation", "InvalidAction"}
LASTING_CODES = {*DENIED_CODES, *GONE_CODES, *TOKEN_CODES, *NOT_OFFERED_CODES}
"""Those of answers that another attempt does not change."""

# Connecting has shown that the credentials are good, so a region that does not know them is not enabled.
DISABLED_CODES = {"UnrecognizedClientException", "InvalidClientTokenId"}
EXPIRED_CODES = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
REJECTED_CODES = {*EXPIRED_CODES, *DISABLED_CODES, "InvalidSignatureException", "SignatureDoesNotMatch"}


NOT_RENEWED = (
    CredentialRetrievalError,
    JSONDecodeError,
    MetadataRetrievalError,
    OSError,
    RefreshWithMFAUnsupportedError,
    SSOError,
    TokenRetrievalError,
)
"""What a call raises where credentials have ended and nobody gives new ones.

An OSError or a JSONDecodeError is that of a file or a process that has credentials, but for those of the network.
"""

OF_THE_NETWORK = (HTTPClientError, NotConnected)
"""What a call raises that got no answer; some, such as timeouts, are an OSError too."""

CALL_ERRORS = (ClientError, BotoCoreError, ResponseParserError, KeyError, *NOT_RENEWED)
"""What a call through botocore's own parser raises; a JSON body that was cut off parses as one without members."""

RENEWING = {"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "CreateToken", "GetRoleCredentials"}
"""The operations by which botocore renews credentials, in the midst of another call."""


def code_of(error: Exception) -> str:
    """The service's code; of an error that is not the service's, such as a network's, its name."""
    return error.response["Error"].get("Code", "") if isinstance(error, ClientError) else type(error).__name__


def message_of(error: Exception) -> str:
    """The service's message; empty for an error that is not the service's."""
    return error.response["Error"].get("Message", "") if isinstance(error, ClientError) else ""


def is_throttled(answer: Mapping[str, Any]) -> bool:
    """Whether a call was refused because of its rate, by what botocore's parser made of the answer."""
    is_refused = answer["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.TOO_MANY_REQUESTS
    return is_refused or answer.get("Error", {}).get("Code") in THROTTLED_CODES


def failed_call(
    error: Exception, operation: Operation, asked: Mapping[str, Any], place: str, endpoint: str
) -> CallFailed:
    """What `error` means for a call with the parameters `asked`: a `CallFailed`, or one of its subclasses.

    `endpoint` is the URL that was asked, where that is not AWS's own.
    """
    resource = _resource(operation, asked)
    where = f"cannot call {operation}{f' of {resource}' if resource else ''} in {place}"
    code, message = code_of(error), message_of(error)
    kind, text = CallFailed, f"{where}: {code}: {message}" if isinstance(error, ClientError) else f"{where}: {error}"
    if code in operation.absent:
        kind = Absent
    elif code in DENIED_CODES:
        kind = Denied
        text = (
            f"{where}: access denied; allow {iam_action(operation)} in the caller's IAM policy,"
            f' "ecr-source iam-policy" prints the statement{f" ({message})" if message else ""}'
        )
    elif code in DISABLED_CODES:
        kind = Disabled
        says = f", says {endpoint}" if endpoint else ""
        text = (
            f"{where}: the region is not enabled for the account, or does not accept its session token ({code}{says})"
        )
    elif code in REJECTED_CODES and endpoint:
        text = f"{text} (says {endpoint})"
    elif code in NOT_OFFERED_CODES:
        kind, text = NotOffered, f"{where}: it is not offered there ({code})"
    elif code in GONE_CODES:
        kind, text = Gone, f"{where}: {message}"
    return kind(text, operation=str(operation), error_code=code, resource=resource)


def lost_scope(error: Exception, operation: Operation, place: str, endpoint: str, *, is_dead: bool) -> ScopeLost | None:
    """What `error` means for all calls in `place`: None, unless its credentials have ended or its endpoint `is_dead`.

    `endpoint` is the URL that was asked, where that is not AWS's own.
    """
    code, name = code_of(error), str(operation)
    if isinstance(error, ClientError) and error.operation_name == "AssumeRole":
        name, text = f"sts:{error.operation_name}", f"cannot assume the role of {place} anew: {error}"
    elif isinstance(error, OF_THE_NETWORK):
        if not is_dead:
            return None
        text = f"the endpoint of {place} does not answer any more ({error}): run again later"
    elif isinstance(error, NOT_RENEWED) or (isinstance(error, ClientError) and error.operation_name in RENEWING):
        text = f"the credentials of {place} ended and cannot be renewed ({error}): get new ones and run again"
    elif code in EXPIRED_CODES:
        says = f", says {endpoint}" if endpoint else ""
        text = f"the credentials of {place} have expired ({code}{says}): get new ones and run again"
    else:
        return None
    return ScopeLost(text, operation=name, error_code=code)


def _resource(operation: Operation, asked: Mapping[str, Any]) -> str:
    """What a call asked for, for a person: the repository, with the digest where it was an image."""
    if operation.each is None:
        return ""
    arn = asked.get("resourceArn", "").partition(":repository/")[2]
    names = ("repositoryName", "replicationBackfillId", "FunctionName", "taskDefinition", "cluster")
    name = arn or next((asked[member] for member in names if member in asked), None)
    digest = next((asked[member].get("imageDigest") for member in ("imageId", "subjectId") if member in asked), None)
    return "@".join(filter(None, (str(name or ", ".join(asked.get("repositoryNames", ()))), digest)))
