"""Stable pseudonyms in place of account ids, for data that leaves the company."""

from __future__ import annotations

import hmac
import json
import os
import re
from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from ecr_source.aws.scopes import Scope
from ecr_source.errors import ConfigurationError

MASK_KEY = "ECR_SOURCE_MASK_KEY"
"""The environment variable that holds the key. It is no setting of dlt, whose traces tell where settings come from."""

SHORTEST_KEY = 16

_ID_LENGTH = 12

# RE2's dialect: what a text holds at least, if anything in it can be replaced.
_CANDIDATE = r"[0-9]{12}|[0-9]{4}-[0-9]{4}-[0-9]{4}|\\u003[0-9]"

# The letters and digits of an escape flank nothing: `%3A123456789012`, `%253A…` (encoded twice), `\u003a…`, `\n…`.
_ESCAPE = r"%(?:25)?[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\[bfnrt]"
_AFTER_ESCAPE = r"(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})|(?<=\\[bfnrt])"
_ID = re.compile(
    rf"""
      (?<![0-9A-Za-z]) (?P<account>[0-9]{{12}}) (?![0-9A-Za-z])
    | (?P<escape>{_ESCAPE}) (?P<escaped>[0-9]{{12}}) (?![0-9A-Za-z])
    | (?<![0-9A-Za-z-]) (?P<hyphened>[0-9]{{4}}-[0-9]{{4}}-[0-9]{{4}}) (?![0-9A-Za-z-])
    | (?:(?<![0-9A-Fa-f])|{_AFTER_ESCAPE}) (?P<digest>[0-9A-Fa-f]{{64}}) (?![0-9A-Fa-f])
    | (?P<digits>[0-9]{{12,}})
    """,
    re.VERBOSE,
)

_JSON_STRING_OR_NUMBER = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)


def mask_key() -> bytes:
    """The key from the environment.

    Raises:
        ConfigurationError: there is none, or it is shorter than `SHORTEST_KEY` characters.
    """
    key = os.environ.get(MASK_KEY, "")
    if len(key) < SHORTEST_KEY:
        state = f"has {len(key)} characters" if key else "is not set"
        raise ConfigurationError(
            f"account ids are masked with a key from the environment, and {MASK_KEY} {state}:"
            f" set it to a secret of at least {SHORTEST_KEY} characters, the same for every run"
        )
    return os.fsencode(key)


class Pseudonyms:
    """Replaces account ids by `x` and eleven hexadecimal digits of HMAC-SHA256 with the key. Safe to use from threads.

    An account id is a run of exactly twelve ASCII digits that no ASCII letter or digit flanks, wherever it stands; the
    id of a `known` account is one anywhere, but for the 64 hexadecimal digits of a SHA-256 digest. So an image tag such
    as 202401011230, the last group of a UUID if it happens to have no letter, and a size of 100 GB in a JSON text are
    replaced too: what cannot be told from an account id must not leave either. 1234-5678-9012, as AWS's console writes
    ids, becomes a pseudonym with hyphens.

    With the same key, an id has the same pseudonym everywhere and always, so that joins hold, and a text that was
    replaced stays as it is. Numbers in columns of other types than text (sizes, counts) stay.
    """

    def __init__(self, key: bytes, known: Collection[str]) -> None:
        self._key = key
        self._known = frozenset(known)

    def text(self, text: str) -> str:
        """`text` with pseudonyms in place of account ids; a JSON text stays one, its bare numbers become strings."""
        if _ID.search(text) is None and "\\u003" not in text:
            return text
        if not _is_json_document(text):
            return self._plain(text)
        return _JSON_STRING_OR_NUMBER.sub(lambda found: self._json_value(found.group()), text)

    def column(self, texts: pa.Array) -> pa.Array:
        """The texts, of type string, each as `text` has it."""
        found = pc.match_substring_regex(texts, _CANDIDATE)
        # Few texts are many rows' as a rule: each is replaced once.
        candidates = texts.filter(found).dictionary_encode()
        if not len(candidates):
            return texts
        replaced = pa.array(map(self.text, candidates.dictionary.to_pylist()), texts.type)
        return pc.replace_with_mask(texts, found, replaced.take(candidates.indices))

    def scope(self, scope: Scope) -> Scope:
        """The scope as the tables name it."""
        return replace(scope, registry_id=self.text(scope.registry_id))

    def _plain(self, text: str) -> str:
        return _ID.sub(self._replaced, text)

    def _replaced(self, found: re.Match[str]) -> str:
        digits = found.group()
        match found.lastgroup:
            case "account":
                return self._pseudonym(digits)
            case "escaped":
                return found["escape"] + self._pseudonym(found["escaped"])
            case "hyphened":
                pseudonym = self._pseudonym(digits.replace("-", ""))
                return f"{pseudonym[:4]}-{pseudonym[4:8]}-{pseudonym[8:]}"
            case "digits":
                return self._known_in(digits)
        return digits

    def _known_in(self, digits: str) -> str:
        for start in range(len(digits) - _ID_LENGTH + 1):
            before, account, after = digits[:start], digits[start : start + _ID_LENGTH], digits[start + _ID_LENGTH :]
            if account in self._known:
                return before + self._pseudonym(account) + self._known_in(after)
        return digits

    def _json_value(self, token: str) -> str:
        if not token.startswith('"'):
            number = self._plain(token)
            return token if number == token else f'"{number}"'
        # What the string means: an id can be spelled with escapes, and the string can be JSON itself.
        meant = json.loads(token)
        replaced = self.text(meant)
        # Where there are escapes, one can be half of a surrogate pair, which UTF-8 does not have.
        return token if replaced == meant else json.dumps(replaced, ensure_ascii="\\" in token)

    def _pseudonym(self, account: str) -> str:
        return "x" + hmac.digest(self._key, account.encode(), "sha256").hex()[: _ID_LENGTH - 1]


def _is_json_document(text: str) -> bool:
    """Whether it is an object or an array; what is only a number is an id."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        # Numbers stay texts: Python refuses to read one of more than 4,300 digits.
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True
