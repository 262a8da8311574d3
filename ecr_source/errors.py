"""What can go wrong, as types; every message is one sentence for a person."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ecr_source.redaction import masked
from ecr_source.statuses import ABSENT, DENIED, DISABLED, FAILED, GONE, NOT_OFFERED

_LONGEST = 500


# Controls, marks that change the direction of text or are invisible, line separators, halves of surrogate pairs.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def as_sentence(text: str) -> str:
    """`text` on one line, with what cannot be seen as its escape, and without its middle if it is long."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 100]} … {line[-97:]}"


def visible(text: str) -> str:
    """`text` with each character that a terminal would act on, or not show, as its escape: `\\x1b`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(_escape(one) if unicodedata.category(one) in _UNSEEN else one for one in text)


def _escape(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else repr(character)[1:-1]


class EcrSourceError(Exception):
    """Base of all errors that this package raises; no message holds a secret."""

    def __init__(self, message: str) -> None:
        super().__init__(masked(message))


class ConfigurationError(EcrSourceError):
    """An option, a setting or the environment is wrong; nothing was read."""


class NotLoaded(ConfigurationError):
    """What is asked for is not there, but a run with these options, and those that say where, would load it."""

    def __init__(self, message: str, options: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.options = options


class DestinationUnusable(ConfigurationError):
    """The destination cannot be opened; nothing was read."""


class DestinationUnreachable(DestinationUnusable):
    """The destination does not answer, or somebody else holds it; it may be there later."""


class CredentialsRejected(EcrSourceError):
    """AWS does not accept the credentials, so no scope can be read."""


class OrganizationUnreadable(EcrSourceError):
    """The organization does not tell its accounts, so nobody knows what to read."""


class Interrupted(EcrSourceError):
    """The run was stopped while it read."""


class IncompleteRun(EcrSourceError):
    """Some scope or table was not read completely; what was read is loaded."""


class BudgetSpent(EcrSourceError):
    """The run may ask for nothing more; what it did not reach waits for the next one."""


class NotWhole(EcrSourceError):
    """A response body is not one whole JSON object; the call is repeated."""


class MalformedResponse(EcrSourceError):
    """A response decodes as JSON but does not have the shape of the service model."""


class MissingKey(MalformedResponse):
    """A row lacks a member of its table's key."""


class ForeignRow(MalformedResponse):
    """A row names another registry or region than the scope that was asked."""


class LoopingToken(EcrSourceError):
    """A listing returned a `nextToken` that it had returned before."""


class TokenRejected(EcrSourceError):
    """The service no longer accepts a `nextToken` that it gave out."""


class CallFailed(EcrSourceError):
    """A call ended with an error after all retries.

    `status` sorts it for the ledger (denied, disabled, not_offered, gone or failed); `error_code` is the service's
    code, or the name of the network error; `resource` is the repository that was asked for, empty for the whole
    registry. The message is as long as the service's: cut before account ids are replaced in it, it would keep parts of
    them.
    """

    status = FAILED

    def __init__(self, message: str, *, operation: str, error_code: str, resource: str = "") -> None:
        super().__init__(masked(message))
        self.operation = operation
        self.error_code = error_code
        self.resource = resource


class ScopeLost(CallFailed):
    """No call of the scope can succeed any more: its credentials have expired, or its endpoint does not answer."""


class Absent(CallFailed):
    """There is none of what was asked for: a fact, not a failure."""

    status = ABSENT


class Denied(CallFailed):
    """The caller lacks the permission."""

    status = DENIED


class Disabled(CallFailed):
    """The region is not enabled for the account."""

    status = DISABLED


class NotOffered(CallFailed):
    """The region, or the partition, does not have the operation: a fact, not a failure."""

    status = NOT_OFFERED


class Gone(CallFailed):
    """What was asked for does not exist (any more)."""

    status = GONE
