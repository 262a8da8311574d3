"""Secrets stay out of messages, logs, tracebacks, traces and rows."""

from __future__ import annotations

import base64
import logging
import re
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, unquote
from urllib.request import getproxies

if TYPE_CHECKING:
    from botocore.hooks import BaseEventHooks

_MASK = "***"

# A shorter one is a word that stands in sentences too; the patterns find it where it is named.
_SHORTEST_LITERAL = 8

_LOGGERS = {"boto3", "botocore", "dlt", "ecr_source", "urllib3"}

_SECRET_PARAMETERS = ("ExternalId", "SAMLAssertion", "TokenCode", "WebIdentityToken")

# All quantifiers are bounded, or consume what they have seen: a hostile body must not keep a processor busy.
_QUERY = re.compile(r"""(?i)(https?://[^\s"'<>?]{1,2048})\?([^\s"'<>]{1,8192})""")
_SECRETS = re.compile(
    r"""
      \b(?:AKIA|ASIA)[A-Z0-9]{12,}                                   # access key ids
    | \bQVdTO[A-Za-z0-9+/=]{20,}                                     # base64 of AWS:password, an authorization token
    | (?P<scheme>\b(?:Basic|Bearer)\s)[A-Za-z0-9+/=._~-]{20,}        # credentials of HTTP
    | (?<=://)[^\s@/:]{0,256}:\S{1,256}(?=@)                         # user:password of a URL
    | (?P<log>\bSignature:\n)\S+                                     # as botocore logs it
    | (?P<name>(?i:
          secret[_-]?(?:access[_-]?)?key
        | (?:session|security|access|refresh|authorization|bearer|web[_-]?identity|\bid)[_-]?token
        | x-amz-(?:signature|credential)
        | (?:signature|credential)(?==|%3D)
        | client[_-]?secret | external[_-]?id | saml[_-]?assertion | token[_-]?code | pass(?:word|wd)
        | authorization(?=\W{1,4}(?:Basic|Bearer|Digest|Negotiate)\b)
      )
      (?:\\{0,4}["'])?\s{0,9}(?:[:=>]|%3[AD])\s{0,9}b?(?:\\{0,4}["'])?
      (?:(?:Basic|Bearer|Digest|Negotiate)\s+)?)
      (?: (?<=")[^"]{1,8192}?(?=\\{0,4}") | (?<=')[^']{1,8192}?(?=\\{0,4}') | (?:(?!%26)[^\s&,;'"<>\\])+ )
    """,
    re.VERBOSE,
)

_SECRET_MEMBERS = {
    "accesstoken",
    "authorizationtoken",
    "clientsecret",
    "externalid",
    "idtoken",
    "password",
    "refreshtoken",
    "secretaccesskey",
    "securitytoken",
    "sessiontoken",
}

_literals: frozenset[str] = frozenset()
_literal_pattern: re.Pattern[str] | None = None


def masked(text: str) -> str:
    """`text` without secrets: those told to `redact_always`, and all that is known by its form or its name.

    That are access key ids, members, parameters and headers with secrets in any spelling, presigned URLs, passwords in
    URLs, authorization tokens.
    """
    if _literal_pattern is not None:
        text = _literal_pattern.sub(_MASK, text)
    return _SECRETS.sub(_without_value, _QUERY.sub(_without_signed_query, text))


def _without_value(match: re.Match[str]) -> str:
    return f"{match['scheme'] or match['log'] or match['name'] or ''}{_MASK}"


def _without_signed_query(match: re.Match[str]) -> str:
    is_signed = re.search(r"(?i)signature(?:=|%3D)", match[2])
    return f"{match[1]}?{_MASK}" if is_signed else match[0]


def masked_body(body: bytes) -> bytes:
    """The body of a response, `masked`, whatever it is encoded in."""
    return masked(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")


def masked_members(value: Any) -> Any:
    """A JSON value without secrets: members that are named for one have no other value, texts are `masked`."""
    if isinstance(value, dict):
        return {
            name: _MASK if _is_secret(name) and member is not None else masked_members(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [masked_members(item) for item in value]
    return masked(value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return re.sub(r"[_-]", "", name).lower() in _SECRET_MEMBERS


def mask_exception(error: BaseException) -> None:
    """Masks the text of `error`, and of all that led to it, where they are: dlt keeps them in its trace."""
    seen: set[int] = set()
    found: list[object] = [error]
    while found:
        one = found.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        found += [one.__cause__, one.__context__, *one.args, *getattr(one, "exceptions", ())]
        one.args = tuple(masked(argument) if isinstance(argument, str) else argument for argument in one.args)


def redact_always(secret: str | None) -> None:
    """From now on `masked` knows this very text, also encoded for URLs and in base64.

    A text of fewer than eight characters is left to the patterns.
    """
    global _literals, _literal_pattern
    if secret is None or len(secret) < _SHORTEST_LITERAL or secret in _literals:
        return
    _literals = _literals | set(_spellings(secret))
    _literal_pattern = re.compile("|".join(re.escape(one) for one in sorted(_literals, key=len, reverse=True)))


def _spellings(secret: str) -> list[str]:
    quoted = [quote(secret), quote(secret, safe=""), quote_plus(secret)]
    lower = [re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in quoted]
    return [secret, *quoted, *lower, secret.replace("/", "\\/"), base64.b64encode(secret.encode()).decode()]


def redact_secrets_of(events: BaseEventHooks) -> None:
    """From now on nothing tells the secrets of the session with these `events`, and of the clients it makes.

    The credentials that sign a request are told to `redact_always` before anything is logged of it, renewed ones and
    those that assume a role too; so are secrets among the parameters of STS. Error responses are masked before they
    become exceptions. Logs of boto3, botocore, urllib3, dlt and this package are masked as they are written.
    """
    _redact_logs()
    for proxy in getproxies().values():
        password = proxy.rpartition("@")[0].rpartition("/")[2].partition(":")[2]
        redact_always(password)
        redact_always(unquote(password))
    events.register("before-sign", _redact_credentials, unique_id="ecr-source-credentials")
    events.register("provide-client-params.sts", _redact_parameters, unique_id="ecr-source-parameters")
    events.register("before-parse", _mask_error_body, unique_id="ecr-source-error-body")


def _redact_credentials(request_signer: Any, **_: object) -> None:
    # The session's own would not do: while it assumes a role, others sign, and to ask for its own would wait for them.
    credentials = request_signer._credentials
    if credentials is not None:
        for secret in credentials.get_frozen_credentials()[:3]:
            redact_always(secret)


def _redact_parameters(params: dict[str, Any], **_: object) -> None:
    for name in _SECRET_PARAMETERS:
        redact_always(params.get(name))


def _mask_error_body(response_dict: dict[str, Any], **_: object) -> None:
    if response_dict["status_code"] >= 300:
        response_dict["body"] = masked_body(response_dict["body"])


def _redact_logs() -> None:
    # Not a filter: those of a logger do not apply to the loggers below it, which are made at any time.
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _MaskedRecords):
        logging.setLogRecordFactory(_MaskedRecords(factory))


class _MaskedRecords:
    """Makes log records as `factory` does; those of the loggers that may tell secrets are masked."""

    def __init__(self, factory: Any) -> None:
        self._factory = factory

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._factory(*arguments, **named)
        # Without a name it is `logging.makeLogRecord`'s, which copies a record that has been made before.
        if record.name and record.name.partition(".")[0] in _LOGGERS:
            record.msg, record.args = masked(_message(record)), None
            if record.exc_info and record.exc_info[0]:
                record.exc_text = masked("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
                record.exc_info = None  # formatters would write it anew
        return record


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # the arguments do not fit; logging would tell so on stderr, with the arguments
        return f"{record.msg} {record.args}"
